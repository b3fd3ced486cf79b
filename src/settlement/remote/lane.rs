//! A facilitator, as a Settler knows it.

use std::rc::Rc;

use super::RemoteLane;
use crate::facilitator_client;
use crate::payment::VerifiedPayment;
use crate::protocol::{ChainId, Reason};
use crate::settlement::journal::Entries;
use crate::settlement::lane::{Attempt, Job, Lane, Load, Task};
use crate::settlement::{ClaimRequest, Host, SettleRequest, StoreError, Verdict};

impl<H: Host> Lane for RemoteLane<H> {
    fn takes(&self, payment: &VerifiedPayment) -> bool {
        // What names a relayer of ours nobody else can settle.
        let is_ours = payment.as_evm().is_some_and(|payment| payment.relayer().is_some());
        matches!(self.network, ChainId::Evm(_)) == payment.as_evm().is_some() && !is_ours
    }

    /// Only a claim asks that, for a payment that nobody here can check: else
    /// the gate asks the facilitator by itself.
    fn verify<'a>(
        &'a self,
        request: &'a SettleRequest,
        _: &'a VerifiedPayment,
    ) -> Task<'a, Result<Verdict, StoreError>> {
        Box::pin(async {
            let Some(body) = &request.remote else {
                return Ok(Verdict::Invalid(Reason::InvalidNetwork));
            };
            Ok(match self.facilitator.verify(&self.http, &body.to_string()).await {
                facilitator_client::Verdict::Valid => Verdict::Valid,
                facilitator_client::Verdict::Invalid { reason, code } => {
                    self.log_refusal(&format!("{}: verify: {code}", request.payment));
                    Verdict::Invalid(reason)
                }
                facilitator_client::Verdict::NoAnswer(why) => {
                    self.log_refusal(&format!("verify: {why}"));
                    Verdict::Unknown
                }
            })
        })
    }

    fn settle(self: Rc<Self>, job: Job) -> Task<'static, Result<Attempt, StoreError>> {
        Box::pin(async move {
            let asked =
                if self.verifies { self.verify_and_ask(job).await } else { self.ask(job).await };
            asked.map(Attempt::Done)
        })
    }

    fn too_late_by(&self, request: &ClaimRequest) -> Option<u64> {
        // Where the disk fails nothing is claimed, either.
        self.why_not_claim(request).ok().flatten()
    }

    fn resume(self: Rc<Self>, open: &mut Entries) {
        if std::mem::take(&mut open.is_at_facilitator)
            && let Err(error) = self.take_up()
        {
            self.log(&error.to_string());
        }
    }

    fn look(self: Rc<Self>) -> Task<'static, ()> {
        Box::pin(async {})
    }

    fn load(&self) -> Load {
        Load { in_air: self.in_air.borrow().len(), ..Load::default() }
    }
}
