//! The Settlers' sales, read side by side, and once for all webhooks that are equally
//! far.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::spot::SaleSpot;
use super::{Outbox, Sender};
use crate::config::Webhook;
use crate::settlement::Sale;
use crate::settlement::outbox::SalesAfter;
use crate::settlement::sales::SalePlace;
use crate::time::UnixSeconds;

/// In how many steps a sale is looked for out of turn, until now.
const STEPS: u64 = 8;

/// What was read of one Settler behind one place; nothing if it did not answer.
type Page = (String, SalePlace, Option<Vec<Sale>>);

/// What was read.
pub(super) struct Pages {
    pages: Vec<Page>,
    limit: u32,
}

impl Pages {
    /// Reads what these webhooks have not been told.
    pub(super) async fn read<S: Sender>(
        sender: &S,
        hooks: &[&Webhook],
        settlers: &[String],
        outbox: &RefCell<Outbox>,
        limit: u32,
    ) -> Self {
        let mut wanted: Vec<(&str, SalePlace)> = vec![];
        for hook in hooks {
            let outbox = outbox.borrow();
            let Some(state) = outbox.hook(&hook.url) else { continue };
            for settler in settlers {
                let one = (settler.as_str(), state.place(settler));
                if !wanted.contains(&one) {
                    wanted.push(one);
                }
            }
        }
        let before = sender.now();
        let asked = wanted.into_iter().map(|(settler, after)| {
            let asked = SalesAfter { after, before, limit };
            (settler.to_owned(), asked)
        });
        let asked: Vec<_> = asked.collect();
        let said = sender.sales_of(&asked).await;
        let pages = asked.into_iter().zip(said);
        let pages = pages.map(|((settler, asked), sales)| (settler, asked.after, sales)).collect();
        Self { pages, limit }
    }

    /// The sales of a Settler behind a place.
    pub(super) fn sales(&self, settler: &str, after: &SalePlace) -> Option<&[Sale]> {
        let page = self.pages.iter().find(|it| it.0 == settler && it.1 == *after)?;
        page.2.as_deref()
    }
}

/// One Settler's sales that are read and not tried yet.
struct List {
    settler: String,
    sales: VecDeque<Sale>,
    /// The last that was taken out, or before the first.
    last: SalePlace,
    /// Whether there may be more behind them.
    is_cut: bool,
}

/// All Settlers' sales for one webhook, in their order.
pub(super) struct Merged {
    lists: Vec<List>,
    limit: u32,
    /// Whether each Settler has answered.
    pub is_whole: bool,
}

impl Merged {
    /// From what was read.
    pub(super) fn new(
        pages: &Pages,
        url: &str,
        settlers: &[String],
        outbox: &RefCell<Outbox>,
    ) -> Self {
        let limit = pages.limit;
        let (mut lists, mut is_whole) = (vec![], true);
        let outbox = outbox.borrow();
        for settler in settlers {
            let Some(state) = outbox.hook(url) else { continue };
            let last = state.place(settler);
            let Some(sales) = pages.sales(settler, &last) else {
                is_whole = false;
                continue;
            };
            let (is_cut, sales) = (sales.len() >= limit as usize, sales.to_vec().into());
            lists.push(List { settler: settler.clone(), sales, last, is_cut });
        }
        Self { lists, limit, is_whole }
    }

    /// Reads on where a list is used up: what follows may come before what others have.
    pub(super) async fn refill<S: Sender>(&mut self, sender: &S, before: UnixSeconds) {
        let limit = self.limit;
        let dry = self.lists.iter_mut().filter(|it| it.is_cut && it.sales.is_empty());
        for list in dry {
            let asked = SalesAfter { after: list.last.clone(), before, limit };
            let sales = sender.sales(&list.settler, &asked).await;
            self.is_whole &= sales.is_some();
            let sales = sales.unwrap_or_default();
            list.is_cut = sales.len() >= limit as usize;
            list.sales = sales.into();
        }
    }

    /// Where to look for a sale out of turn: a Settler that has more to tell, and behind
    /// which place; another one each `turn`, further and further from the one whose turn
    /// it is. Never one that was `taken` before.
    pub(super) fn ahead(
        &self,
        turn: u64,
        taken: Option<&SalePlace>,
        now: UnixSeconds,
    ) -> Option<(String, SalePlace)> {
        let lists: Vec<_> = self.lists.iter().filter(|it| !it.sales.is_empty()).collect();
        let count = u64::try_from(lists.len()).unwrap_or(u64::MAX).max(1);
        let list = lists.get(usize::try_from(turn % count).unwrap_or_default())?;
        let step = turn / count % STEPS;
        let jump = now.since(list.last.time) / STEPS * step;
        let far = SalePlace { time: list.last.time.plus(jump), payment: String::new() };
        let place = far.max(list.last.clone());
        let place = taken.map_or(place.clone(), |taken| place.max(taken.clone()));
        Some((list.settler.clone(), place))
    }

    /// The next ones, as long as it is known which they are.
    pub(super) fn take(&mut self, most: usize) -> Vec<(Sale, SaleSpot)> {
        let mut taken = vec![];
        while taken.len() < most && !self.lists.iter().any(|it| it.is_cut && it.sales.is_empty()) {
            let heads = self.lists.iter_mut().filter(|it| !it.sales.is_empty());
            let first = heads.min_by_key(|it| it.sales.front().map(Sale::place));
            let Some(list) = first else { break };
            let Some(sale) = list.sales.pop_front() else { break };
            let (settler, place) = (list.settler.clone(), sale.place());
            let after = std::mem::replace(&mut list.last, place.clone());
            taken.push((sale, SaleSpot { settler, after, place }));
        }
        taken
    }
}
