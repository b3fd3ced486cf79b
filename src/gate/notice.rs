//! What the origin is told of a payment: headers that only the gate sends, and
//! a signature over them, by which the origin tells them from anybody else's.

use super::Sale;
use crate::amount::AtomicAmount;
use crate::config::{Offer, OriginSecret};
use crate::encoding::encode_hex;
use crate::mac;
use crate::payment::VerifiedPayment;
use crate::settlement::Settlement;
use crate::time::UnixSeconds;

/// The names of the headers: those that are signed, in their order, and the
/// signature. No client may send them to the origin.
pub const NAMES: [&str; 8] = [
    "X-Payment-Time",
    "X-Payment-Payer",
    "X-Payment-Amount",
    "X-Payment-Asset",
    "X-Payment-Network",
    "X-Payment-Transaction",
    "X-Payment-Claim",
    "X-Payment-Signature",
];

/// Of a name with so many dashes and underscores each spelling is asked for; one
/// with more has so many that the request's own names are looked through instead.
const FEW_DASHES: usize = 4;

/// The other names that CGI takes for this one (RFC 3875, section 4.1.18), of which
/// a request may have some; `names` are the request's own, asked for where this has
/// too many spellings to ask for each.
pub fn other_spellings(name: &str, names: impl FnOnce() -> Vec<String>) -> Vec<String> {
    if name.matches(['-', '_']).count() <= FEW_DASHES {
        return spellings_of(name);
    }
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    let wanted = plain(name);
    let is_other = |it: &String| plain(it) == wanted && !it.eq_ignore_ascii_case(name);
    names().into_iter().filter(is_other).collect()
}

/// All of them; each dash doubles their number.
fn spellings_of(name: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for letter in name.chars() {
        if matches!(letter, '-' | '_') {
            let with_dash = all.clone();
            push(&mut all, '_');
            all.extend(with_dash.into_iter().map(|it| it + "-"));
        } else {
            push(&mut all, letter);
        }
    }
    all.retain(|it| it != name);
    all
}

fn push(all: &mut [String], letter: char) {
    for text in all {
        text.push(letter);
    }
}

/// What the origin is told of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    payer: String,
    amount: AtomicAmount,
    asset: String,
    network: String,
    /// The settlement's; else empty.
    transaction: String,
    /// The payment's identity while it is not settled; else empty.
    claim: String,
}

impl Notice {
    /// Of a payment that is not settled yet. Where it is by use, its amount is
    /// the most that may be charged.
    pub fn claimed(offer: &Offer, payment: &VerifiedPayment) -> Self {
        let (payer, amount) = (payment.payer(), payment.amount());
        Self { claim: payment.identity(), ..Self::new(offer, payer, amount) }
    }

    /// Of a payment that is settled.
    pub fn settled(offer: &Offer, settlement: &Settlement) -> Self {
        let Settlement { payer, amount, transaction, .. } = settlement;
        let transaction = transaction.clone();
        Self { transaction, ..Self::new(offer, payer.clone(), *amount) }
    }

    fn new(offer: &Offer, payer: String, amount: AtomicAmount) -> Self {
        Self {
            payer,
            amount,
            asset: offer.v2.asset.clone(),
            network: offer.v2.network.to_string(),
            transaction: String::new(),
            claim: String::new(),
        }
    }

    /// The headers of a request with this method for this path and query, at
    /// this time. The signature is `v1=` and the HMAC in hex over lines that
    /// each end with a line break: `v1`, method, path with query, time, payer,
    /// amount, asset, network, transaction, claim. What is empty has no header.
    pub fn headers(
        &self,
        secret: &OriginSecret,
        (method, target): (&str, &str),
        now: UnixSeconds,
    ) -> Option<Vec<(String, String)>> {
        let (time, amount) = (now.to_string(), self.amount.to_string());
        let values = [
            time.as_str(),
            &self.payer,
            &amount,
            &self.asset,
            &self.network,
            &self.transaction,
            &self.claim,
        ];
        let lines = [&["v1", method, target], values.as_slice()].concat();
        let code = encode_hex(&mac::code_of(secret.key(), &lines)?);
        let signature = format!("v1={}", code.trim_start_matches("0x"));
        let values = values.into_iter().chain([signature.as_str()]);
        let headers = NAMES.into_iter().zip(values).filter(|(_, value)| !value.is_empty());
        Some(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl Sale<'_> {
    /// By what a notice of this is signed; `None` if the origin is told nothing.
    pub fn told_by<'a>(&self, secret: Option<&'a OriginSecret>) -> Option<&'a OriginSecret> {
        secret.filter(|_| self.route.tells_origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OriginSecret;

    fn notice() -> Notice {
        Notice {
            payer: "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F".into(),
            amount: AtomicAmount(10_000),
            asset: "0x036CbD53842c5426634e7929541eC2318f3dCF7e".into(),
            network: "eip155:84532".into(),
            transaction: format!("0x{}", "ab".repeat(32)),
            claim: String::new(),
        }
    }

    fn headers(notice: &Notice, method: &str, target: &str) -> Vec<(String, String)> {
        let secret = OriginSecret::of("5e".repeat(32));
        notice.headers(&secret, (method, target), UnixSeconds(1_764_191_000)).unwrap()
    }

    fn signature(notice: &Notice, method: &str, target: &str) -> String {
        let (name, value) = headers(notice, method, target).pop().unwrap();
        assert_eq!(name, "X-Payment-Signature");
        value
    }

    /// As node:crypto has it: `createHmac('sha256', '5e'.repeat(32))` over
    /// `['v1', 'GET', '/premium/a?b=c', …, ''].join('\n')`.
    #[test]
    fn the_signature_is_over_the_canonical_lines() {
        let paid = notice();
        assert_eq!(
            signature(&paid, "GET", "/premium/a?b=c"),
            "v1=1affacec50ed5013748776a5ac48a0834ec42adcefb61ae40ad5e42616e79d0c"
        );
        let claim = "eip155:84532/0x036cbd53842c5426634e7929541ec2318f3dcf7e/0x9d/0x01".into();
        let claimed = Notice { transaction: String::new(), claim, ..notice() };
        assert_eq!(
            signature(&claimed, "POST", "/"),
            "v1=4ee29f5a1c6eb4923666c097df0e94d6896514ee68522ef27352299058f62340"
        );
    }

    #[test]
    fn what_is_empty_has_no_header_and_no_value_passes_for_another() {
        let paid = notice();
        let names: Vec<_> = headers(&paid, "GET", "/").into_iter().map(|(name, _)| name).collect();
        let ends = ["Time", "Payer", "Amount", "Asset", "Network", "Transaction", "Signature"];
        assert_eq!(names, ends.map(|end| format!("X-Payment-{end}")));
        let as_claim =
            Notice { claim: paid.transaction.clone(), transaction: String::new(), ..paid.clone() };
        let of = signature(&paid, "GET", "/");
        for other in [
            signature(&as_claim, "GET", "/"),
            signature(&paid, "HEAD", "/"),
            signature(&paid, "GET", "/?"),
            signature(&Notice { amount: AtomicAmount(1_000), ..paid.clone() }, "GET", "/"),
        ] {
            assert_ne!(other, of);
        }
    }

    #[test]
    fn no_spelling_of_a_name_is_left() {
        assert_eq!(spellings_of("X-Role"), ["X_Role"]);
        assert_eq!(spellings_of("X-My-Role"), ["X_My_Role", "X-My_Role", "X_My-Role"]);
        assert!(spellings_of("Role").is_empty());
    }
}
