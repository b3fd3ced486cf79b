//! `/.edge402/sales/sums`: what all Settlers have sold, summed.

use worker::web_sys::Response;
use worker::{Env, console_error};

use super::super::head::RequestHead;
use super::super::settler_client::SettlerClient;
use super::super::{clock, refused, respond};
use super::refunds::between;
use super::{SILENT, json};
use crate::config::Config;
use crate::desk::refunds::{RefundsQuery, add_up};
use crate::desk::settlers;
use crate::desk::sums::{PATIENCE, PAYERS_SALES, Together, read_query};
use crate::gate::Head as _;
use crate::settlement::sales::SalePlace;
use crate::settlement::sums::{Sum, SumBy, SumsQuery};
use crate::together::join_all;

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
    let (mut sums, mut is_cut) = (Together::default(), false);
    if asked.by == SumBy::Payer {
        let mut left = PAYERS_SALES;
        let turns = settlers.iter().map(|(network, name)| (*network, name, asked.clone()));
        let mut turns: Vec<_> = turns.collect();
        while !turns.is_empty() && left > 0 {
            let mut more = vec![];
            // One after the other: each may know many payers.
            for (network, name, query) in turns {
                if left == 0 {
                    more.push((network, name, query));
                    continue;
                }
                let Some((said, next)) = ask(env, name, &query).await else {
                    return respond::error(503, SILENT);
                };
                left = left.saturating_sub(said.iter().map(|sum| sum.count).sum());
                sums.add(network, said);
                if next.is_some() {
                    more.push((network, name, SumsQuery { before: next, ..query }));
                }
            }
            turns = more;
        }
        is_cut = !turns.is_empty();
    } else {
        let questions = settlers.iter().map(|(_, name)| Box::pin(ask(env, name, &asked)) as _);
        let said = join_all(questions.collect()).await;
        for ((network, _), said) in settlers.iter().zip(said) {
            let Some((said, _)) = said else { return respond::error(503, SILENT) };
            sums.add(*network, said);
        }
    }
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

type Said = (Vec<Sum>, Option<SalePlace>);

/// What a Settler says, once it has folded its sales.
async fn ask(env: &Env, name: &str, query: &SumsQuery) -> Option<Said> {
    for _ in 0..PATIENCE {
        let said = match SettlerClient::new(env, name) {
            Ok(settler) => settler.sums(query).await,
            Err(error) => Err(error),
        };
        match said {
            Ok(said) if said.is_behind => {}
            Ok(said) => return Some((said.sums, said.next)),
            Err(error) => {
                console_error!("sums of {}: {}", name, error.to_string());
                return None;
            }
        }
    }
    console_error!("sums of {}: there are still sales to fold; ask again", name);
    None
}
