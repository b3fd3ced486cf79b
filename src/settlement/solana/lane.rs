//! The way onto Solana, as a Settler knows it.

use std::rc::Rc;

use super::SolanaLane;
use crate::payment::VerifiedPayment;
use crate::protocol::Reason;
use crate::settlement::journal::Entries;
use crate::settlement::lane::{Attempt, Job, Lane, Load, Task};
use crate::settlement::{Host, SettleRequest, StoreError, Verdict};

impl<H: Host> Lane for SolanaLane<H> {
    fn takes(&self, payment: &VerifiedPayment) -> bool {
        payment.as_solana().is_some()
    }

    fn verify<'a>(
        &'a self,
        request: &'a SettleRequest,
        payment: &'a VerifiedPayment,
    ) -> Task<'a, Result<Verdict, StoreError>> {
        Box::pin(async move {
            match payment.as_solana() {
                Some(payment) => self.verdict_on(request, payment).await,
                None => Ok(Verdict::Invalid(Reason::InvalidNetwork)),
            }
        })
    }

    fn settle(self: Rc<Self>, job: Job) -> Task<'static, Result<Attempt, StoreError>> {
        Box::pin(async move { self.bring(job).await.map(Attempt::Done) })
    }

    fn prepare(self: Rc<Self>, order: &SettleRequest, payment: VerifiedPayment) {
        if let VerifiedPayment::Solana(payment) = payment {
            self.ask_early(order, payment);
        }
    }

    fn resume(self: Rc<Self>, open: &mut Entries) {
        self.take_up(std::mem::take(&mut open.solana));
    }

    fn look(self: Rc<Self>) -> Task<'static, ()> {
        Box::pin(async move { self.look_at_balance().await })
    }

    fn load(&self) -> Load {
        Load { waiting: 0, in_air: self.watch.len(), daily_spend: self.limits.daily_spend }
    }
}
