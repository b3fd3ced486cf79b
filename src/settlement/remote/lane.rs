//! A facilitator, as a Settler knows it.

use std::rc::Rc;

use super::RemoteLane;
use crate::payment::VerifiedPayment;
use crate::protocol::{ChainId, Reason};
use crate::settlement::journal::Entries;
use crate::settlement::lane::{Attempt, Job, Lane, Load, Task};
use crate::settlement::{Host, SettleRequest, StoreError, Verdict};

impl<H: Host> Lane for RemoteLane<H> {
    fn takes(&self, payment: &VerifiedPayment) -> bool {
        matches!(self.network, ChainId::Evm(_)) == payment.as_evm().is_some()
    }

    /// Only the gate asks that, and it asks the facilitator by itself.
    fn verify<'a>(
        &'a self,
        _: &'a SettleRequest,
        _: &'a VerifiedPayment,
    ) -> Task<'a, Result<Verdict, StoreError>> {
        Box::pin(async { Ok(Verdict::Invalid(Reason::InvalidNetwork)) })
    }

    fn settle(self: Rc<Self>, job: Job) -> Task<'static, Result<Attempt, StoreError>> {
        Box::pin(async move {
            let asked =
                if self.verifies { self.verify_and_ask(job).await } else { self.ask(job).await };
            asked.map(Attempt::Done)
        })
    }

    fn resume(self: Rc<Self>, open: &mut Entries) {
        self.take_up(std::mem::take(&mut open.facilitator));
    }

    fn look(self: Rc<Self>) -> Task<'static, ()> {
        Box::pin(async {})
    }

    fn load(&self) -> Load {
        Load { in_air: self.in_air.borrow().len(), ..Load::default() }
    }
}
