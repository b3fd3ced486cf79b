//! What a purchase by use comes to.

use crate::amount::AtomicAmount;
use crate::meter::overrides::{self, SETTLEMENT_OVERRIDES, Said};
use crate::meter::{Meter, Reading, WithoutAmount};

/// How what was used is charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tariff {
    /// The most that is charged, in atomic units.
    pub most: AtomicAmount,
    /// The token's decimals.
    pub decimals: u8,
    /// What counts it; `None` where the origin tells.
    pub meter: Option<Meter>,
    /// What is charged where nothing says how much was used.
    pub without_amount: WithoutAmount,
}

impl Tariff {
    /// What an origin's `Settlement-Overrides` has charged, and what there is to
    /// say of it to the operator.
    pub fn told(&self, header: Option<&str>) -> (AtomicAmount, Option<String>) {
        let problem = match header.map(|header| overrides::read(header, self.most, self.decimals)) {
            Some(Said::Amount(amount)) => return (amount, None),
            Some(Said::TooMuch) => {
                let most = self.most;
                let line = format!(
                    "the origin's {SETTLEMENT_OVERRIDES} is above the price: \
                     {most} atomic units are charged, which is the most"
                );
                return (most, Some(line));
            }
            Some(Said::Unreadable) => format!("the origin's {SETTLEMENT_OVERRIDES} is no amount"),
            None => format!("the origin sent no {SETTLEMENT_OVERRIDES}"),
        };
        (self.unknown(), Some(self.line(&problem)))
    }

    /// What a meter's reading comes to, and what there is to say of it to the
    /// operator.
    pub fn counted(&self, reading: Reading) -> (AtomicAmount, Option<String>) {
        let problem = match (reading, &self.meter) {
            (Reading::Used(used), Some(meter)) => {
                return (meter.cost(used, self.decimals, self.most), None);
            }
            (Reading::Unreadable, _) => "what the meter reads is no amount",
            _ => "the meter found nothing in the answer",
        };
        (self.unknown(), Some(self.line(problem)))
    }

    fn line(&self, problem: &str) -> String {
        let charged = match self.without_amount {
            WithoutAmount::Most => "the most is charged",
            WithoutAmount::Nothing => "nothing is charged",
        };
        format!("{problem}: {charged} (without_amount)")
    }

    const fn unknown(&self) -> AtomicAmount {
        match self.without_amount {
            WithoutAmount::Most => self.most,
            WithoutAmount::Nothing => AtomicAmount(0),
        }
    }
}
