//! `/.edge402/desk/state`: how all Settlers stand.

use worker::Env;
use worker::web_sys::Response;

use super::super::health;
use super::super::many::{Question, ask};
use super::json;
use crate::config::Config;
use crate::desk::settlers;
use crate::desk::state::DeskState;
use crate::protocol::ChainId;
use crate::settlement::relayer::settler_name;
use crate::settlement::standing::Standing;

pub(super) async fn answer(config: &Config, env: &Env) -> worker::Result<Response> {
    let mut state = DeskState::default();
    let all = settlers(config, None);
    let keys: Vec<_> = all.iter().map(|(id, name)| key_of(config, *id, name)).collect();
    let questions = all.iter().zip(&keys).map(|((_, name), key)| {
        Question::new(name, if key.is_some() { "standing" } else { "waiting" }, &())
    });
    let said: Vec<Option<Standing>> = ask(env, &questions.collect::<Vec<_>>()).await;
    for (((id, name), key), said) in all.iter().zip(&keys).zip(said) {
        match said {
            Some(said) => state.add(*id, key.as_deref(), said),
            None => state.add_problem(format!("the Settler {name} does not answer")),
        }
    }
    for network in &config.networks {
        if let Some(facilitator) = &network.facilitator
            && let Some(problem) = health::problem_of(network, facilitator).await
        {
            state.add_problem(problem);
        }
    }
    json(&state.answer())
}

/// The key that signs at a Settler of this name, if one does.
fn key_of(config: &Config, id: ChainId, name: &str) -> Option<String> {
    let network = config.network(id).filter(|network| network.facilitator.is_none())?;
    network.signers().into_iter().find(|key| settler_name(id, key) == name)
}
