//! What the end of a purchase looks like over HTTP.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use js_sys::Uint8Array;
use worker::console_error;
use worker::web_sys::{Headers, Response};

use super::{Follower, PaidBy, Sequence, location};
use crate::amount::AtomicAmount;
use crate::config::Offer;
use crate::gate::delivery_cookie::{Bought, PREFER, REDIRECT_MANUAL, RETURN_MINIMAL};
use crate::gate::goods::Judgement;
use crate::gate::grant::GRANT_HEADER;
use crate::gate::{Head as _, Sale};
use crate::meter::overrides::SETTLEMENT_OVERRIDES;
use crate::meter::{Counter, Quantity, Reading};
use crate::path::UrlParts;
use crate::protocol::{Reason, Version};
use crate::purchase::{self, Counted, End, Goods, by_use};
use crate::runtime::challenge::{ReceiptHeader, payment_required};
use crate::runtime::{clock, js, origin, respond, stream};
use crate::settlement::{Settlement, Wanted};

/// How soon to ask again about a payment that is pending, in seconds.
const RETRY_AFTER: &str = "2";

impl Sequence<'_> {
    /// What the client is told of a purchase's end.
    pub(super) async fn told(&self, end: End<Response>) -> worker::Result<Response> {
        match end {
            End::Deliver(goods) => self.deliver(&goods),
            End::Counted(answer, goods) => self.count(&answer, goods),
            End::Promised(settlement) => self.promise(&settlement),
            // The claim was given up: where a redirect leads to something that
            // is sold, the same payment is good there.
            End::NotCharged(answer) => match self.judge(&answer) {
                Judgement::SoldElsewhere(location) => {
                    let words = "nothing was charged: it is sold at another address, where the \
                                 same payment is good if it costs the same";
                    self.send_on(&answer, &location, words)
                }
                Judgement::Goods | Judgement::NotGoods if self.is_asked_again(&answer) => {
                    respond::error(502, "the origin asks for money again; nothing was charged")
                }
                Judgement::Goods | Judgement::NotGoods => origin::private(&answer),
            },
            End::Refused { reason, transaction, amount } => {
                Box::pin(self.not_paid(reason, transaction, amount)).await
            }
            End::Pending(transaction) => {
                let reason = Reason::SettlementPending;
                let answer = Box::pin(self.not_paid(reason, Some(transaction), None)).await?;
                answer.headers().set("Retry-After", RETRY_AFTER)?;
                Ok(answer)
            }
            End::TryAgain(message) => respond::try_again(message),
            End::Crowded(seconds) => respond::try_again_in(
                seconds,
                "many payments are before this one; nothing was charged",
            ),
            End::OriginDown(None) => {
                respond::error(502, "the origin did not answer; nothing was charged")
            }
            End::OriginDown(Some(settlement)) => {
                let failed = respond::error(
                    502,
                    "the origin did not answer; send the same payment again, it is charged once",
                )?;
                self.put_receipt(&failed.headers(), &settlement)?;
                Ok(failed)
            }
            End::NameTaken => respond::error(
                409,
                "extensions.payment-identifier.info.id was given to another payment",
            ),
        }
    }

    /// Passes on goods that are counted. What they come to is not known yet, so
    /// there is no receipt: the same payment shown again is answered with it.
    fn count(&self, answer: &Response, goods: Box<Counted>) -> worker::Result<Response> {
        let Some(meter) = &goods.tariff.meter else { return respond::closed() };
        let media_type = answer.headers().get("Content-Type")?.unwrap_or_default();
        let counter = Rc::new(RefCell::new(Counter::new(&meter.what, &media_type)));
        let (taken, is_head) = (Rc::clone(&counter), self.head.method() == "HEAD");
        let limit = Duration::from_secs(goods.until.since(clock::now()));
        let count = move |piece: &Uint8Array| taken.borrow_mut().take(&piece.to_vec());
        let (answer, is_over, ends) = stream::count(answer, Box::new(count), limit)?;
        let follower = Follower(self.settlers.own()?.clone());
        self.context.wait_until(js::in_a_box(async move {
            let reading = || {
                // Nothing is used by a look at the head.
                let nothing = Reading::Used(Quantity::whole(0));
                if is_head { nothing } else { counter.borrow().reading() }
            };
            let was_held = by_use::follow_counted(&follower, &goods, reading, is_over).await;
            if let Some(ends) = ends.filter(|_| !was_held) {
                ends.break_off("the payment is not held any more").await;
            }
        }));
        let headers = answer.headers();
        headers.delete(SETTLEMENT_OVERRIDES)?;
        respond::keep_private(&headers)?;
        respond::allow_origins(&headers)?;
        Ok(answer)
    }

    fn deliver(&self, goods: &Goods<Response>) -> worker::Result<Response> {
        let settlement = &goods.settlement;
        let answer = if let Judgement::SoldElsewhere(location) = self.judge(&goods.answer) {
            // It is paid for, and had there, or here if the payment is no good there.
            let words = "it was charged, and is to be had at another address by the same \
                         payment if it costs no more there";
            let answer = self.send_on(&goods.answer, &location, words)?;
            let to = (goods.answer.status(), Some(location.as_str()));
            if self.claim.by_cookie == Some(Wanted::Whole)
                && let Some((there, offer)) = self.sale.sale_at(&self.app.loaded, self.offer, to)
            {
                self.put_cookie(
                    &answer.headers(),
                    (&there, offer),
                    there.path.as_str(),
                    settlement,
                )?;
            }
            answer
        } else if self.is_asked_again(&goods.answer) {
            let words = "the origin asks for money again; send the same payment again, it is \
                         charged once";
            respond::error(502, words)?
        } else {
            let told_apart = self.told_apart(&goods.answer)?;
            let answer = told_apart.as_ref().unwrap_or(&goods.answer);
            if goods.is_followed { self.follow(answer)? } else { origin::mutable(answer)? }
        };
        let headers = answer.headers();
        headers.delete(SETTLEMENT_OVERRIDES)?;
        self.put_receipt(&headers, settlement)?;
        if goods.may_grant {
            self.put_grant(&headers, settlement)?;
        }
        respond::keep_private(&headers)?;
        respond::allow_origins(&headers)?;
        Ok(answer)
    }

    /// Whether the origin wants money for what is paid for: it hasn't seen that it is,
    /// or wants more by now.
    fn is_asked_again(&self, answer: &Response) -> bool {
        let route = self.sale.route;
        let is_so = route.by_origin.is_some() && matches!(answer.status(), 401 | 402);
        if is_so {
            let (pattern, status) = (route.pattern.as_str(), answer.status());
            console_error!("origin: {} to what was paid for, {}", status, pattern);
            origin::drop_body(answer);
        }
        is_so
    }

    /// The same answer, seen to its end.
    fn follow(&self, answer: &Response) -> worker::Result<Response> {
        let (answer, is_whole) = stream::watch(answer)?;
        let (follower, claim) = (Follower(self.settlers.own()?.clone()), self.claim.clone());
        self.context.wait_until(js::in_a_box(async move {
            purchase::follow(&follower, &claim, is_whole).await;
        }));
        Ok(answer)
    }

    /// Sends a client on to what is sold at this address; one that can't read a
    /// redirect gets the words with it.
    fn send_on(&self, answer: &Response, location: &str, words: &str) -> worker::Result<Response> {
        let applied = match (self.prefers_minimal(), self.prefers_manual()) {
            (true, _) => RETURN_MINIMAL,
            (_, true) => REDIRECT_MANUAL,
            _ => return origin::redirect(answer, location, answer.status()),
        };
        let moved = respond::error(409, words)?;
        moved.headers().set("Location", location)?;
        // By this a page tells it from an answer of the origin's.
        moved.headers().set("Preference-Applied", applied)?;
        Ok(moved)
    }

    /// Goods that are a redirect, for a client that can't read one: 200, and
    /// where it leads is in `Location` still. There is no more to take.
    fn told_apart(&self, answer: &Response) -> worker::Result<Option<Response>> {
        let Some(location) = location(answer).filter(|_| self.prefers_manual()) else {
            return Ok(None);
        };
        let answer = origin::redirect(answer, &location, 200)?;
        answer.headers().set("Preference-Applied", REDIRECT_MANUAL)?;
        Ok(Some(answer))
    }

    /// The answer to a client that fetches the goods by a cookie (RFC 7240,
    /// section 4.2): the receipt, and the cookie.
    fn promise(&self, settlement: &Settlement) -> worker::Result<Response> {
        let headers = Headers::new()?;
        self.put_receipt(&headers, settlement)?;
        self.put_grant(&headers, settlement)?;
        let path = UrlParts::of(self.head.url()).path;
        self.put_cookie(&headers, (self.sale, self.offer), path, settlement)?;
        headers.set("Preference-Applied", RETURN_MINIMAL)?;
        headers.set("Vary", PREFER)?;
        respond::keep_private(&headers)?;
        respond::allow_origins(&headers)?;
        respond::respond(204, &headers, None)
    }

    /// Adds the cookie that fetches what is sold at this path.
    fn put_cookie(
        &self,
        headers: &Headers,
        (sale, offer): (&Sale<'_>, &Offer),
        path: &str,
        settlement: &Settlement,
    ) -> worker::Result<()> {
        let Ok(config) = &self.app.loaded.config else { return Ok(()) };
        let (settler, payment) = (self.settlers.place()?.0.as_str(), self.claim.payment.as_str());
        let bought = Bought { settler, payment, offer };
        let time = (settlement.redeliver_until, clock::now());
        match sale.delivery_cookie(&config.delivery_keys, path, &bought, time) {
            Some(cookie) => Ok(headers.append("Set-Cookie", &cookie)?),
            None => Ok(()),
        }
    }

    pub(super) fn prefers_minimal(&self) -> bool {
        self.paid_by.as_ref().is_some_and(|it| it.order.prefers_minimal)
    }

    pub(super) fn prefers_manual(&self) -> bool {
        self.paid_by.as_ref().is_some_and(|it| it.purchase.prefers_manual)
    }

    /// In which version of the protocol the client speaks.
    fn version(&self) -> Version {
        self.paid_by.as_ref().map_or(Version::V2, |it| it.purchase.version)
    }

    fn put_receipt(&self, headers: &Headers, settlement: &Settlement) -> worker::Result<()> {
        let version = self.version();
        let receipt = self.offer.receipt(version, settlement);
        Ok(headers.set(version.receipt_header(), &receipt.to_header())?)
    }

    fn put_grant(&self, headers: &Headers, settlement: &Settlement) -> worker::Result<()> {
        if let Ok(config) = &self.app.loaded.config
            && let Some(keys) = &config.grant_keys
            && let Some(grant) = self.sale.scope().grant(keys, settlement, clock::now())
        {
            headers.set(GRANT_HEADER, &grant.token)?;
            headers.append("Set-Cookie", &grant.cookie)?;
        }
        Ok(())
    }

    async fn not_paid(
        &self,
        reason: Reason,
        transaction: Option<String>,
        amount: Option<AtomicAmount>,
    ) -> worker::Result<Response> {
        let Some(PaidBy { purchase, .. }) = &self.paid_by else {
            let answer = self.payment_required(None, None).await?;
            // What the cookie was for can't be had any more, for certain.
            let is_over = transaction.is_some() && self.claim.by_cookie == Some(Wanted::Whole);
            if is_over && !self.claim.by_other_site {
                let path = UrlParts::of(self.head.url()).path;
                answer.headers().append("Set-Cookie", &self.sale.no_delivery_cookie(path))?;
            }
            return Ok(answer);
        };
        let version = purchase.version;
        let payer = Some(purchase.payment.payer());
        let mut receipt = self.offer.failure(version, reason, payer, transaction);
        // Where the price doesn't say it, and no earlier receipt did.
        receipt.amount = amount.filter(|_| self.sale.route.by_use.is_some());
        let receipt = Some((version, receipt));
        self.payment_required(Some(reason), receipt).await
    }

    async fn payment_required(
        &self,
        reason: Option<Reason>,
        receipt: Option<ReceiptHeader>,
    ) -> worker::Result<Response> {
        let Self { app, env, head, sale, context, .. } = *self;
        payment_required(app, env, head, sale, reason, receipt, context).await
    }
}
