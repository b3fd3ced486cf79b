//! The facilitator: other people's resource servers have payments checked and
//! settled here (x402 v2 specification, section 7, and the `/accepts` of
//! Faremeter).
//!
//! A request becomes an [`Order`] or is told which of its fields to change;
//! the same Settlers that serve the gate check and settle it, so that a
//! payment is one payment wherever it is shown.
//!
//! | module | what |
//! |---|---|
//! | [`access`] | bearer tokens and how often they may ask |
//! | [`order`] | `/verify` and `/settle`: what is asked for |
//! | [`settle`] | which Settlers are asked for them |
//! | [`answer`] | what they are told |
//! | [`accepts`] | `/accepts`: requirements completed for a server |
//! | [`fields`] | reading a body, field by field |

pub mod accepts;
pub mod access;
pub mod answer;
pub mod fields;
pub mod order;
pub mod settle;

use serde_json::Value;

use crate::config::{Account, Config};
use crate::json::json;
use crate::path::CanonicalPath;
use crate::protocol::payment::GAS_SPONSORING;
use crate::protocol::requirements::{EXACT, FACILITATOR_ADDRESS, UPTO};

pub use fields::BadRequest;
pub use order::Order;

/// The largest body that is read, in bytes: a payment, requirements, and room
/// for extensions.
pub const MAX_BODY: usize = 64 * 1024;

/// What stands at a path of the facilitator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /verify`.
    Verify,
    /// `POST /settle`.
    Settle,
    /// `POST /accepts`.
    Accepts,
    /// `GET /supported`.
    Supported,
    /// `GET /discovery/resources`: public.
    Resources,
    /// Nothing.
    Unknown,
}

impl Endpoint {
    /// What is at a path, if that is the facilitator's: `base` or below it, in
    /// any spelling, because a request there may carry a token. With an empty
    /// `base` only the endpoints themselves are.
    pub fn at(base: &str, path: &CanonicalPath) -> Option<Self> {
        match path.as_str().strip_prefix(base) {
            Some("/verify") => return Some(Self::Verify),
            Some("/settle") => return Some(Self::Settle),
            Some("/accepts") => return Some(Self::Accepts),
            Some("/supported") => return Some(Self::Supported),
            Some("/discovery/resources") => return Some(Self::Resources),
            Some(_) | None => {}
        }
        let key = path.key();
        let rest = key.strip_prefix(&CanonicalPath::parse(base).ok()?.key())?;
        let is_below = !base.is_empty() && (rest.is_empty() || rest.starts_with('/'));
        is_below.then_some(Self::Unknown)
    }

    /// The method that it answers to.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Verify | Self::Settle | Self::Accepts => "POST",
            Self::Supported | Self::Resources | Self::Unknown => "GET",
        }
    }
}

/// The body of `GET /supported`: the kinds of payments that an account can
/// have settled, each once per version, and who signs for them.
pub fn supported(config: &Config, account: &Account) -> Value {
    let mut kinds = vec![];
    let mut signers = json!({});
    let mut is_sponsored = false;
    for network in config.networks.iter().filter(|network| account.may_use(network)) {
        let signing = network.signers();
        let fee_payer = signing.first().filter(|_| network.id.names_fee_payer());
        let extra = fee_payer.map(|key| json!({ "feePayer": key }));
        if let Some(signers) = signers.as_object_mut() {
            signers.insert(format!("{}:*", network.id.namespace()), json!(signing));
        }
        is_sponsored |= network.tokens().any(|token| token.eip2612);
        let is_for_v1 = network.tokens().any(|token| token.asset.is_for_v1());
        let v1_name = network.v1_name.filter(|_| is_for_v1);
        let names = [(2, Some(network.id.to_string())), (1, v1_name.map(str::to_owned))];
        for (version, name) in names {
            let Some(name) = name else { continue };
            let mut kind = json!({ "x402Version": version, "scheme": EXACT, "network": name });
            if let (Some(kind), Some(extra)) = (kind.as_object_mut(), &extra) {
                kind.insert("extra".into(), extra.clone());
            }
            kinds.push(kind);
        }
        if let Some(relayer) = signing.first().filter(|_| network.settles_by_use()) {
            kinds.push(json!({
                "x402Version": 2, "scheme": UPTO, "network": network.id.to_string(),
                "extra": { FACILITATOR_ADDRESS: relayer },
            }));
        }
    }
    let extensions: &[&str] = if is_sponsored { &[GAS_SPONSORING] } else { &[] };
    json!({ "kinds": kinds, "extensions": extensions, "signers": signers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_below_the_path_is_the_facilitators() {
        let at = |path| Endpoint::at("/pay", &CanonicalPath::parse(path).unwrap());
        assert_eq!(at("/pay/verify"), Some(Endpoint::Verify));
        assert_eq!(at("/pay/discovery/resources"), Some(Endpoint::Resources));
        for unknown in [
            "/pay",
            "/pay/",
            "/pay/verify/",
            "/pay/VERIFY",
            "/pay/x",
            "/PAY/verify",
            "/pay;a/verify",
        ] {
            assert_eq!(at(unknown), Some(Endpoint::Unknown), "{unknown}");
        }
        for other in ["/", "/payments/verify", "/verify", "/x/pay/verify"] {
            assert_eq!(at(other), None, "{other}");
        }
        let at_root = |path| Endpoint::at("", &CanonicalPath::parse(path).unwrap());
        assert_eq!(at_root("/settle"), Some(Endpoint::Settle));
        assert_eq!(at_root("/shop"), None);
    }
}
