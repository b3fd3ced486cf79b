//! `/.edge402/sales/sums`: what all Settlers have sold, summed.

use worker::web_sys::Response;
use worker::{Env, console_error};

use super::super::head::RequestHead;
use super::super::many::{Question, ask};
use super::super::{clock, refused, respond};
use super::refunds::between;
use super::{SILENT, json};
use crate::config::Config;
use crate::desk::refunds::{RefundsQuery, add_up};
use crate::desk::settlers;
use crate::desk::sums::{PATIENCE, PAYERS_SALES, Together, payers_page, read_query};
use crate::gate::Head as _;
use crate::protocol::ChainId;
use crate::settlement::sums::{SumBy, Sums, SumsQuery};

pub(super) async fn answer(
    config: &Config,
    env: &Env,
    head: &RequestHead,
) -> worker::Result<Response> {
    let asked = match read_query(head.parts().query, clock::now()) {
        Ok(asked) => asked,
        Err(message) => return respond::error(400, &message),
    };
    let settlers = settlers(config, None);
    let said = if asked.by == SumBy::Payer {
        payers(env, &settlers, &asked).await
    } else {
        folded(env, &settlers, &asked).await.map(|said| {
            let mut sums = Together::default();
            for ((network, _), said) in settlers.iter().zip(said) {
                sums.add(*network, said.sums);
            }
            (sums, false)
        })
    };
    let Some((sums, is_cut)) = said else { return respond::error(503, SILENT) };
    let refused = match refused::between(env, asked.from, asked.to).await {
        Ok(refused) => refused,
        Err(error) => {
            console_error!("counts of refusals: {}", error.to_string());
            return respond::error(503, SILENT);
        }
    };
    let mut refunds = vec![];
    let take = |some| add_up(&mut refunds, some, asked.by);
    if between(env, RefundsQuery::of_days(&asked), take).await.is_none() {
        return respond::error(503, SILENT);
    }
    json(&sums.answer(config, &asked, is_cut, &refused, &refunds))
}

/// A Settler, and its network.
type Named = (ChainId, String);

/// What each of them says once it has folded its sales.
async fn folded(env: &Env, settlers: &[Named], query: &SumsQuery) -> Option<Vec<Sums>> {
    let mut all = vec![Sums::default(); settlers.len()];
    let mut left: Vec<usize> = (0..settlers.len()).collect();
    for _ in 0..PATIENCE {
        let questions = left.iter().filter_map(|at| settlers.get(*at));
        let questions: Vec<_> =
            questions.map(|(_, name)| Question::new(name, "sums", query)).collect();
        let said = ask::<Sums>(env, &questions).await;
        let mut behind = vec![];
        for (at, said) in left.into_iter().zip(said) {
            let said = said?;
            if said.is_behind {
                behind.push(at);
            } else if let Some(place) = all.get_mut(at) {
                *place = said;
            }
        }
        if behind.is_empty() {
            return Some(all);
        }
        left = behind;
    }
    console_error!("sums: there are still sales to fold; ask again");
    None
}

/// Who has paid most, by turns of all who have sold something, and whether older sales
/// are left out.
async fn payers(env: &Env, settlers: &[Named], asked: &SumsQuery) -> Option<(Together, bool)> {
    let counts = SumsQuery { by: SumBy::Network, ..asked.clone() };
    let counts = folded(env, settlers, &counts).await?;
    let turns = settlers.iter().zip(counts).filter(|(_, said)| !said.sums.is_empty());
    let mut turns: Vec<_> = turns.map(|(settler, _)| (settler, None)).collect();
    let (mut sums, mut left) = (Together::default(), PAYERS_SALES);
    while !turns.is_empty() && left > 0 {
        let limit = payers_page(turns.len(), left);
        let questions = turns.iter().map(|((_, name), before)| {
            let query = SumsQuery { before: before.clone(), limit, ..asked.clone() };
            Question::new(name, "sums", &query)
        });
        let said = ask::<Sums>(env, &questions.collect::<Vec<_>>()).await;
        let mut more = vec![];
        for ((settler, _), said) in turns.into_iter().zip(said) {
            let said = said?;
            left = left.saturating_sub(said.sums.iter().map(|sum| sum.count).sum());
            sums.add(settler.0, said.sums);
            if said.next.is_some() {
                more.push((settler, said.next));
            }
        }
        turns = more;
    }
    Some((sums, !turns.is_empty()))
}
