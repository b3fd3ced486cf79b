//! Leases that are kept alive, and answers that are seen to their end.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, LocalBoxFuture, select};

use crate::settlement::{ClaimRequest, DeliveryReport, Ending, RenewRequest};

/// How soon a lease is renewed for the first time, in seconds; each time after
/// that takes twice as long. Less than the lease that a claim begins with.
pub(super) const FIRST_BEAT: u64 = 20;

/// The longest time between two renewals, in seconds. Less than what is reserved
/// at other Settlers lasts.
const LAST_BEAT: u64 = 80;

/// How much longer than until the next renewal a lease is, in seconds.
pub(super) const BEAT_MARGIN: u64 = 15;

/// How long to wait before a report is made again that did not arrive, in
/// seconds.
pub(super) const REPORT_AGAIN: [u64; 3] = [1, 4, 10];

/// What keeps leases alive and reports how answers ended.
#[allow(async_fn_in_trait)] // Workers have one thread: nothing needs to be Send.
pub trait Holder {
    /// Asks the Settler to keep a claim or a lease: whether there was one.
    async fn renew(&self, request: &RenewRequest) -> Result<bool, String>;
    /// Tells the Settler how an answer ended.
    async fn report(&self, report: &DeliveryReport) -> Result<(), String>;
    /// Waits.
    async fn sleep(&self, duration: Duration);
    /// Writes a line for the operator.
    fn log(&self, line: &str);
}

/// Sees an answer to its end, which `is_whole` tells, and reports it. Goes on
/// after the answer's head has gone out.
pub async fn follow(
    holder: &impl Holder,
    claim: &ClaimRequest,
    is_whole: impl Future<Output = bool>,
) {
    let ending = if renewing(holder, claim, Box::pin(is_whole)).await {
        Ending::Whole
    } else {
        Ending::Broken
    };
    report(holder, claim, ending, None).await;
}

/// Reports how an answer ended. If that can't be told, the lease ends by itself,
/// and it counts as one that broke off.
pub(super) async fn report(
    holder: &impl Holder,
    claim: &ClaimRequest,
    ending: Ending,
    moved_to: Option<String>,
) {
    let (payment, ticket) = (claim.payment.clone(), claim.ticket);
    let report = DeliveryReport { payment, ticket, ending, moved_to };
    let mut pauses = REPORT_AGAIN.into_iter();
    while let Err(error) = holder.report(&report).await {
        holder.log(&format!("{}: report: {error}", report.payment));
        let Some(pause) = pauses.next() else { return };
        holder.sleep(Duration::from_secs(pause)).await;
    }
}

/// Keeps a claim or a lease until it is renewed for the first time.
pub(super) async fn renew_now(holder: &impl Holder, claim: &ClaimRequest) {
    let request = RenewRequest {
        payment: claim.payment.clone(),
        ticket: claim.ticket,
        seconds: FIRST_BEAT + BEAT_MARGIN,
        used: None,
    };
    if let Err(error) = holder.renew(&request).await {
        holder.log(&format!("{}: renew: {error}", request.payment));
    }
}

/// Waits for a future, and keeps the claim or the lease until it is done. The
/// future comes in a box, because a crowd may wait here.
pub(super) async fn renewing<T>(
    holder: &impl Holder,
    claim: &ClaimRequest,
    future: LocalBoxFuture<'_, T>,
) -> T {
    let beats = pin!(async {
        let mut pause = FIRST_BEAT;
        loop {
            holder.sleep(Duration::from_secs(pause)).await;
            pause = (2 * pause).min(LAST_BEAT);
            let request = RenewRequest {
                payment: claim.payment.clone(),
                ticket: claim.ticket,
                seconds: pause + BEAT_MARGIN,
                used: None,
            };
            match Box::pin(holder.renew(&request)).await {
                Ok(true) => {}
                // It was submitted, or is somebody else's by now.
                Ok(false) => std::future::pending().await,
                Err(error) => {
                    holder.log(&format!("{}: renew: {error}", request.payment));
                    pause = FIRST_BEAT;
                }
            }
        }
    });
    match select(future, beats).await {
        Either::Left((value, _)) => value,
        Either::Right((never, _)) => never,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::{pending, poll_fn};
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Answers renewals with these, the last one first, and then no more.
    struct Answering {
        replies: RefCell<Vec<Result<bool, String>>>,
        slept: RefCell<Vec<u64>>,
        asked_for: RefCell<Vec<u64>>,
    }

    impl Holder for Answering {
        async fn renew(&self, request: &RenewRequest) -> Result<bool, String> {
            self.asked_for.borrow_mut().push(request.seconds);
            let reply = self.replies.borrow_mut().pop();
            match reply {
                Some(reply) => reply,
                None => pending().await,
            }
        }

        async fn report(&self, _: &DeliveryReport) -> Result<(), String> {
            Ok(())
        }

        async fn sleep(&self, duration: Duration) {
            self.slept.borrow_mut().push(duration.as_secs());
        }

        fn log(&self, _: &str) {}
    }

    /// After how many seconds each renewal came, and for how many it asked.
    fn beats(replies: Vec<Result<bool, String>>) -> (Vec<u64>, Vec<u64>) {
        let holder = Answering {
            replies: RefCell::new(replies.into_iter().rev().collect()),
            slept: RefCell::default(),
            asked_for: RefCell::default(),
        };
        let polled = Cell::new(0);
        let work = poll_fn(|_| {
            polled.set(polled.get() + 1);
            if polled.get() > 1 { Poll::Ready(()) } else { Poll::Pending }
        });
        let claim = r#"{"payment":"p","resource":"r","ticket":1,"expires_at":0,"look_only":false}"#;
        let request: ClaimRequest = crate::json::from_text(claim).unwrap();
        let mut whole = pin!(renewing(&holder, &request, Box::pin(work)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(whole.as_mut().poll(&mut context).is_pending());
        assert!(whole.as_mut().poll(&mut context).is_ready());
        (holder.slept.take(), holder.asked_for.take())
    }

    #[test]
    fn a_lease_outlives_the_time_until_it_is_renewed_again() {
        let (slept, asked_for) = beats(vec![Ok(true); 4]);
        assert_eq!(slept, [20, 40, 80, 80, 80]);
        assert_eq!(asked_for, [55, 95, 95, 95, 95]);
    }

    #[test]
    fn a_renewal_that_is_lost_is_made_again_soon() {
        let (slept, _) = beats(vec![Ok(true), Ok(true), Err("lost".into()), Ok(true)]);
        assert_eq!(slept, [20, 40, 80, 20, 40]);
    }

    #[test]
    fn what_is_somebody_elses_is_renewed_no_more() {
        let (slept, asked_for) = beats(vec![Ok(true), Ok(false), Ok(true)]);
        assert_eq!((slept.len(), asked_for.len()), (2, 2));
    }
}
