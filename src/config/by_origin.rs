//! What the origin says of a route: what a request costs (`price = "origin"`), and
//! which requests it wants paid at all (`challenge_on`).

use std::time::Duration;

use super::fields::Fields;
use super::method::Method;
use crate::time;

/// What stands for a price where the origin says it.
const BY_ORIGIN: &str = "origin";

/// For how long what the origin has said holds, unless a route says otherwise.
const DEFAULT_QUOTE: Duration = Duration::from_mins(1);

/// The bounds of that, in seconds.
const QUOTE_SECONDS: std::ops::RangeInclusive<u64> = 5..=3_600;

/// What says of itself that a request goes free, or at another price than the
/// origin's: the origin, which hears nothing of it, would ask for money all the same.
const NOT_WITH: [&str; 3] = ["free", "free_for", "access"];

/// The same where the origin says the price.
const NOT_WITH_PRICE: [&str; 2] = ["prices", "scheme"];

/// Whether an origin knows what was paid for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Informed {
    /// It is told, with the amount.
    Told,
    /// It gets a header with that alone, which says nothing of the amount.
    Opened,
    /// It could be, and isn't.
    No,
    /// It asks for no money anyway.
    Never,
}

/// What the origin says of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByOrigin {
    /// The status by which it says that a request is to be paid for.
    pub challenge_on: u16,
    /// For how long its price holds, if it says the price.
    pub quote: Option<Duration>,
    /// Whether the route's price is one that it has said for a request.
    pub is_quoted: bool,
    /// Whether that may be more than what was paid before, if anything was.
    pub asks_more: bool,
    /// Whether it may be asked by other methods than GET and HEAD before anything
    /// is paid: the seller has named them.
    pub(super) asks_all: bool,
}

impl ByOrigin {
    /// Reads what a route says of it; `None` where it says nothing.
    pub(super) fn read(
        fields: &Fields<'_>,
        methods: Option<&[Method]>,
        origin: Informed,
        can_sign: bool,
    ) -> Option<Self> {
        let says_price = fields.text("price") == Some(BY_ORIGIN);
        if !says_price {
            for name in ["price_max", "quote"].into_iter().filter(|name| fields.has(name)) {
                fields.fault(name, "is for price = \"origin\" only");
            }
        }
        let status = fields.number("challenge_on", 401..=402);
        if !says_price && !fields.has("challenge_on") {
            return None;
        }
        let key = if says_price { "price" } else { "challenge_on" };
        let others = NOT_WITH_PRICE.iter().filter(|_| says_price);
        for name in NOT_WITH.iter().chain(others).filter(|name| fields.has(name)) {
            let problem = format!("can't go with {key}: the origin says what is to be paid for");
            fields.fault(name, problem);
        }
        match origin {
            Informed::Never => fields.fault(key, "needs another ORIGIN: files ask for no money"),
            // A header of the request, or a redirect, may change what it would ask.
            Informed::No | Informed::Opened if says_price => {
                let problem =
                    "needs an origin that knows how much was paid: set tell_origin = true";
                fields.fault(key, problem);
            }
            Informed::No => {
                let problem = "needs an origin that knows what was paid for: set tell_origin = \
                               true, or a header of ORIGIN_HEADERS with when = \"paid\"";
                fields.fault(key, problem);
            }
            Informed::Told | Informed::Opened => {}
        }
        if says_price && !can_sign {
            let problem = "is needed for price = \"origin\": wrangler secret put GRANT_SECRET";
            fields.faults().add("GRANT_SECRET", problem);
        }
        let quote = match fields.text("quote") {
            None => DEFAULT_QUOTE,
            Some(text) => time::parse_duration(text).unwrap_or_default(),
        };
        if !QUOTE_SECONDS.contains(&quote.as_secs()) {
            fields.fault("quote", "must be from \"5s\" to \"1h\"");
        }
        Some(Self {
            challenge_on: status.and_then(|it| it.try_into().ok()).unwrap_or(402),
            quote: says_price.then_some(quote),
            is_quoted: false,
            asks_more: false,
            asks_all: methods.is_some(),
        })
    }
}

/// The key that a route's price stands under.
pub(super) fn price_key(fields: &Fields<'_>) -> &'static str {
    if fields.text("price") == Some(BY_ORIGIN) { "price_max" } else { "price" }
}
