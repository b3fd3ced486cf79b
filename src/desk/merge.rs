//! The sales of many Settlers in one order, some of each in memory.

use std::collections::VecDeque;

use crate::settlement::sales::SalePlace;
use crate::settlement::{Sale, SalesQuery};
use crate::time::UnixSeconds;

/// How many sales are in memory at once, at about 2 KB each; and how many a
/// Settler is asked for at least, and at most.
const HELD: usize = 4_000;
const PAGE_MIN: usize = 4;
const PAGE_MAX: usize = 2_000;

/// The sales of several Settlers, in one order.
#[derive(Debug)]
pub struct Merge {
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    number: usize,
    sales: VecDeque<Sale>,
    /// The last of its sales so far.
    last: Option<SalePlace>,
    /// How many it was asked for last.
    asked: usize,
    /// Whether the Settler has no more than those.
    is_over: bool,
}

impl Merge {
    /// Of so many Settlers.
    pub fn new(settlers: usize) -> Self {
        let source = |number| Source {
            number,
            sales: VecDeque::new(),
            last: None,
            asked: 0,
            is_over: false,
        };
        Self { sources: (0..settlers).map(source).collect() }
    }

    /// What is to be asked before it can go on, of the Settlers of these numbers;
    /// nothing at the end. The fewer have more sales, the more each is asked for, and
    /// none for more than `query` has a limit.
    pub fn wanted(&mut self, query: &SalesQuery) -> Vec<(usize, SalesQuery)> {
        let alive = self.sources.iter().filter(|it| !it.is_over).count();
        let most = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let limit = (HELD / alive.max(1)).clamp(PAGE_MIN, PAGE_MAX).min(most);
        let dry = self.sources.iter_mut().filter(|it| it.sales.is_empty() && !it.is_over);
        dry.map(|it| {
            it.asked = limit;
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            let before = it.last.clone().or_else(|| query.before.clone());
            (it.number, SalesQuery { before, limit, ..query.clone() })
        })
        .collect()
    }

    /// Whether there is nothing more.
    pub fn is_over(&self) -> bool {
        self.sources.iter().all(|it| it.is_over && it.sales.is_empty())
    }

    /// Takes what one of them has said, the newest first.
    pub fn add(&mut self, number: usize, sales: Vec<Sale>) {
        let Some(at) = self.sources.iter().position(|it| it.number == number) else { return };
        if let Some(source) = self.sources.get_mut(at) {
            source.is_over = sales.len() < source.asked;
            source.last = sales.last().map(Sale::place);
            source.sales.extend(sales);
            if source.is_over && source.sales.is_empty() {
                self.sources.swap_remove(at);
            }
        }
    }

    /// The newest sale that was not taken yet, as long as it is known which one that is.
    pub fn take(&mut self) -> Option<Sale> {
        let mut newest: Option<(usize, &Sale)> = None;
        for (at, source) in self.sources.iter().enumerate() {
            let sale = source.sales.front()?;
            if newest.is_none_or(|(_, known)| place_of(known) < place_of(sale)) {
                newest = Some((at, sale));
            }
        }
        let (at, _) = newest?;
        let source = self.sources.get_mut(at)?;
        let sale = source.sales.pop_front();
        if source.is_over && source.sales.is_empty() {
            self.sources.swap_remove(at);
        }
        sale
    }
}

fn place_of(sale: &Sale) -> (UnixSeconds, &str) {
    (sale.time, &sale.payment)
}
