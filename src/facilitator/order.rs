//! What a resource server asks for at `/verify` and `/settle`.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::fields::{BadRequest, Fields, read_body};
use crate::amount::AtomicAmount;
use crate::config::{Account, Config, Network, Token};
use crate::encoding::{decode_base64, encode_hex};
use crate::evm::keccak256;
use crate::json::whole_number;
use crate::payment::{PayTo, Terms, VerifiedPayment, Wanted};
use crate::protocol::payment::{MAX_PAYMENT_BYTES, put_sponsoring};
use crate::protocol::requirements::{EXACT, PAYMENT_FLOW, TRANSFER_METHOD, UPFRONT, UPTO};
use crate::protocol::{ChainId, Reason, Version};
use crate::solana;
use crate::time::UnixSeconds;

/// A payment, and what a resource server wants for it.
#[derive(Debug)]
pub struct Order {
    /// The version that the server speaks.
    pub version: Version,
    /// The network.
    pub network: Rc<Network>,
    /// What the server calls the network.
    pub network_name: String,
    /// What the payment must be.
    pub terms: Terms,
    /// The scheme of the requirements.
    wanted_scheme: &'static str,
    /// The payment, for its scheme.
    pub payload: Value,
    /// Whether the request was the payment itself, without requirements.
    pub is_bare: bool,
    /// What the payment says it is.
    scheme: String,
    /// The network that the payment says it is on, if it is one of ours.
    paid_on: Option<ChainId>,
}

impl Order {
    /// Reads the body of a request on an account. Some guides send the payment
    /// alone: then what it must be is what was signed, in the token and to an
    /// address that the account may have.
    ///
    /// # Errors
    /// The first field that can't be read or that the account can't have.
    /// What the payment itself is worth is not looked at yet.
    pub fn read(config: &Config, account: &Account, body: &[u8]) -> Result<Self, BadRequest> {
        let members = read_body(body)?;
        let body = Fields::new(String::new(), &members, Reason::InvalidPayload);
        let is_bare = body.has("payload")
            && !["paymentPayload", "paymentHeader", "paymentRequirements"]
                .iter()
                .any(|name| body.has(name));
        let from_header;
        let payment = if is_bare {
            body.clone()
        } else if let Some(payment) = body.object("paymentPayload", Reason::InvalidPayload)? {
            payment
        } else {
            from_header = read_header(&body)?;
            Fields::new("paymentHeader".into(), &from_header, Reason::InvalidPayload)
        };
        let version = read_version(&body, &payment)?;
        let named = match version {
            Version::V1 => payment.clone(),
            Version::V2 => payment.needed("accepted", Reason::InvalidPayload)?,
        };
        let scheme = named.text("scheme")?.to_owned();
        let paid_on = config.network_called(named.text("network")?);
        let Some(payload @ Value::Object(_)) = payment.get("payload") else {
            return Err(payment.bad("payload", "must be an object"));
        };
        let mut payload = payload.clone();
        put_sponsoring(&mut payload, payment.get("extensions"));
        let requirements = if is_bare {
            Requirements::read_bare(config, account, version, &payment, paid_on)?
        } else {
            let wanted = body.needed("paymentRequirements", Reason::InvalidPaymentRequirements)?;
            Requirements::read(config, account, version, &wanted)?
        };
        let Requirements { network, network_name, terms, scheme: wanted_scheme } = requirements;
        let paid_on = paid_on.map(|network| network.id);
        Ok(Self {
            version,
            network,
            network_name,
            terms,
            wanted_scheme,
            payload,
            is_bare,
            scheme,
            paid_on,
        })
    }

    /// The same at `/settle`, and how much is charged of it: of what is paid by
    /// use the requirements name what was used, and the payment the most (x402,
    /// upto).
    pub fn to_settle(self) -> (Self, Option<AtomicAmount>) {
        if self.wanted_scheme != UPTO {
            return (self, None);
        }
        let charge = self.terms.amount();
        let most = self.payload.pointer("/permit2Authorization/permitted/amount");
        let most = most.and_then(Value::as_str).and_then(|most| most.parse().ok());
        // What can't be read is refused where the payment is checked.
        let terms = self.terms.of_amount(most.unwrap_or(charge));
        (Self { terms, ..self }, Some(charge))
    }

    /// Checks all of the payment that can be checked without asking a chain. One
    /// whose time is over passes: what it bought while it was good can still be
    /// told, and the Settler knows. What nobody reads of it is dropped.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&mut self, now: UnixSeconds) -> Result<VerifiedPayment, Reason> {
        if self.scheme != self.wanted_scheme {
            return Err(Reason::InvalidScheme);
        }
        if self.paid_on != Some(self.network.id) {
            return Err(Reason::InvalidNetwork);
        }
        let (payment, _) = self.terms.check(&self.payload, now)?.into_parts();
        // SVM exact: the fee payer is the one of the requirements.
        if payment.fee_payer() != self.terms.fee_payer() {
            return Err(Reason::SvmFeePayerMismatch);
        }
        self.payload = payment.whole_payload();
        Ok(payment)
    }

    /// What the payment buys, as far as a facilitator knows: a purchase on
    /// these terms, on this account; with an idempotency key, the one that the
    /// server calls so.
    pub fn resource(&self, account: &Account, key: Option<&str>) -> String {
        let terms = self.terms.agreed_text();
        // None of the parts but the last can hold a line break.
        let key = key.unwrap_or_default();
        let bound = format!("facilitator\n{}\n{key}\n{terms}", account.name);
        encode_hex(&keccak256(bound.as_bytes()))
    }
}

/// What a server calls its request, in the header `Idempotency-Key`: 1 to 255
/// visible ASCII characters.
///
/// # Errors
/// It is something else.
pub fn idempotency_key(header: Option<&str>) -> Result<Option<&str>, BadRequest> {
    let Some(key) = header else { return Ok(None) };
    if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(key));
    }
    Err(BadRequest {
        field: "Idempotency-Key".into(),
        problem: "must be 1 to 255 visible ASCII characters",
        reason: Reason::InvalidPayload,
    })
}

/// The version of a request: its own word, or that of the payment. They must
/// not contradict each other.
fn read_version(body: &Fields<'_>, payment: &Fields<'_>) -> Result<Version, BadRequest> {
    let read = |fields: &Fields<'_>| match fields.get("x402Version").map(whole_number) {
        None => Ok(None),
        Some(Some(1)) => Ok(Some(Version::V1)),
        Some(Some(2)) => Ok(Some(Version::V2)),
        Some(_) => Err(BadRequest {
            reason: Reason::InvalidX402Version,
            ..fields.bad("x402Version", "must be 1 or 2")
        }),
    };
    match (read(body)?, read(payment)?) {
        (None, None) => Err(BadRequest {
            reason: Reason::InvalidX402Version,
            ..body.bad("x402Version", "is needed")
        }),
        (Some(ours), Some(theirs)) if ours != theirs => Err(BadRequest {
            reason: Reason::InvalidX402Version,
            ..payment.bad("x402Version", "is not the x402Version of the request")
        }),
        (Some(version), _) | (None, Some(version)) => Ok(version),
    }
}

/// The payment as some v1 servers pass it on: as it came in the header.
fn read_header(body: &Fields<'_>) -> Result<Map<String, Value>, BadRequest> {
    if body.get("paymentHeader").is_none() {
        return Err(body.bad("paymentPayload", "is needed"));
    }
    let bytes = decode_base64(body.text("paymentHeader")?, MAX_PAYMENT_BYTES);
    let bytes = bytes.map_err(|_| body.bad("paymentHeader", "must be base64"))?;
    read_body(&bytes).map_err(|_| body.bad("paymentHeader", "must be base64 of a JSON object"))
}

/// `maxTimeoutSeconds`, no less than `least`.
pub(super) fn read_timeout(wanted: &Fields<'_>, least: u64) -> Result<u64, BadRequest> {
    let name = "maxTimeoutSeconds";
    let timeout = wanted.get(name).and_then(whole_number);
    timeout
        .filter(|seconds| *seconds >= least)
        .ok_or_else(|| wanted.bad(name, "must be a whole number of seconds"))
}

/// What a server wants for what it sells.
struct Requirements {
    network: Rc<Network>,
    network_name: String,
    terms: Terms,
    scheme: &'static str,
}

impl Requirements {
    /// What a payment that comes without requirements must be: in v2 what it
    /// says it accepted, in v1 what was signed, in the token that it was signed
    /// for.
    fn read_bare(
        config: &Config,
        account: &Account,
        version: Version,
        payment: &Fields<'_>,
        network: Option<&Rc<Network>>,
    ) -> Result<Self, BadRequest> {
        let reason = Reason::InvalidPaymentRequirements;
        if version == Version::V2 {
            return Self::read(config, account, version, &payment.needed("accepted", reason)?);
        }
        let mut signed = Map::new();
        let mut copy = |name: &str, value: Option<&Value>| {
            signed.insert(name.to_owned(), value.cloned().unwrap_or_default());
        };
        copy("scheme", payment.get("scheme"));
        copy("network", payment.get("network"));
        if network.is_some_and(|network| network.id.names_fee_payer()) {
            return Err(payment.bad("paymentRequirements", "is needed on Solana"));
        }
        copy("maxTimeoutSeconds", Some(&Value::from(1)));
        let payload = payment.needed("payload", Reason::InvalidPayload)?;
        let authorization = payload.needed("authorization", reason)?;
        copy("payTo", authorization.get("to"));
        copy("maxAmountRequired", authorization.get("value"));
        let mut read_in = |token: Option<&Rc<Token>>| {
            let asset = token.map(|token| Value::from(token.asset.address()));
            signed.insert("asset".into(), asset.unwrap_or_default());
            let wanted = Fields::new(String::new(), &signed, reason);
            Self::read(config, account, version, &wanted).map_err(|bad| match bad.field.as_str() {
                "payTo" => authorization.bad("to", bad.problem),
                "maxAmountRequired" => authorization.bad("value", bad.problem),
                _ => bad,
            })
        };
        let tokens = network.iter().flat_map(|network| network.tokens());
        let tokens: Vec<_> = tokens.filter(|token| token.asset.is_for_v1()).collect();
        let own = read_in(tokens.first().copied())?;
        let payload = payment.get("payload").unwrap_or(&Value::Null);
        if tokens.len() > 1 && !own.terms.may_be_for(payload) {
            for token in tokens.iter().skip(1) {
                let other = read_in(Some(token))?;
                if other.terms.may_be_for(payload) {
                    return Ok(other);
                }
            }
        }
        Ok(own)
    }

    fn read(
        config: &Config,
        account: &Account,
        version: Version,
        wanted: &Fields<'_>,
    ) -> Result<Self, BadRequest> {
        let scheme = match wanted.text("scheme")? {
            EXACT => EXACT,
            UPTO if version == Version::V2 => UPTO,
            _ => {
                let bad = wanted.bad("scheme", "must be \"exact\", or in version 2 \"upto\"");
                return Err(BadRequest { reason: Reason::InvalidScheme, ..bad });
            }
        };
        let network_name = wanted.text("network")?;
        let known = config.network_called(network_name).filter(|it| account.may_use(it));
        let is_settled = |it: &&Rc<Network>| scheme == EXACT || it.settles_by_use();
        let Some(network) = known.filter(is_settled) else {
            let bad = wanted.bad("network", "is none of those in /supported");
            return Err(BadRequest { reason: Reason::InvalidNetwork, ..bad });
        };
        let name = match version {
            Version::V1 => "maxAmountRequired",
            Version::V2 => "amount",
        };
        // Nothing may be used, and that is what is settled then.
        let amount = match scheme {
            UPTO => wanted.amount_or_nothing(name)?,
            _ => wanted.amount(name)?,
        };
        let timeout = read_timeout(wanted, 1)?;
        let nothing = Map::new();
        let extra =
            wanted.object("extra", Reason::InvalidPaymentRequirements)?.unwrap_or_else(|| {
                Fields::new(
                    "paymentRequirements.extra".into(),
                    &nothing,
                    Reason::InvalidPaymentRequirements,
                )
            });
        let token = network.token_called(wanted.text("asset")?);
        // v1 knows no other method than EIP-3009.
        let token = token.filter(|it| version == Version::V2 || it.asset.is_for_v1());
        let Some(token) = token else {
            return Err(wanted.bad("asset", "is no token that is settled here"));
        };
        let flow = extra.get(PAYMENT_FLOW);
        if flow.is_some_and(|flow| flow != "authorization" && flow != UPFRONT) {
            return Err(extra.bad(PAYMENT_FLOW, "must be \"authorization\" or \"upfront\""));
        }
        let pay_to = pay_to(account, token, wanted)?;
        for (member, ours) in token.asset.fixed_extra() {
            // What is paid by use moves by Permit2, whatever the token knows.
            let is_by_use = scheme == UPTO && member == TRANSFER_METHOD;
            agrees(&extra, member, if is_by_use { "permit2" } else { ours })?;
        }
        let mut order = Wanted {
            pay_to,
            amount,
            max_timeout_seconds: timeout,
            fee_payers: vec![],
            relayers: (scheme == UPTO).then(|| network.signers.relayers.clone()),
            memo: None,
            smart_wallets: network.wallet_factories(),
            takes_permits: token.eip2612,
        };
        if network.id.names_fee_payer() {
            order.fee_payers = fee_payers(network, &extra)?;
            order.memo = memo(&extra)?;
        }
        let terms = token.asset.terms(order);
        let terms = terms.map_err(|_| wanted.bad(name, "must fit into 64 bits"))?;
        let (network, network_name) = (Rc::clone(network), network_name.to_owned());
        Ok(Self { network, network_name, terms, scheme })
    }
}

/// The address that is to be paid, if the account may have it paid.
fn pay_to(account: &Account, token: &Token, wanted: &Fields<'_>) -> Result<PayTo, BadRequest> {
    let pay_to = token.asset.pay_to(wanted.text("payTo")?);
    let pay_to = pay_to.ok_or_else(|| wanted.bad("payTo", "must be an address of its network"))?;
    if account.may_pay(pay_to) {
        return Ok(pay_to);
    }
    Err(wanted.bad("payTo", "is no address that may be paid with this token"))
}

fn agrees(extra: &Fields<'_>, name: &str, ours: &str) -> Result<(), BadRequest> {
    match extra.get(name) {
        Some(theirs) if theirs.as_str() != Some(ours) => {
            Err(extra.bad(name, "is not that of the token that is settled here; see /accepts"))
        }
        _ => Ok(()),
    }
}

/// Our fee payers, none of whom may appear in the payment's instructions: first
/// the one that the server told its buyer.
fn fee_payers(network: &Network, extra: &Fields<'_>) -> Result<Vec<solana::Pubkey>, BadRequest> {
    let named = extra.text("feePayer")?.parse().ok();
    let mut ours = network.signers.fee_payers.clone();
    let Some(place) = ours.iter().position(|key| Some(*key) == named) else {
        return Err(extra.bad("feePayer", "must be one of the signers in /supported"));
    };
    ours.swap(0, place);
    Ok(ours)
}

fn memo(extra: &Fields<'_>) -> Result<Option<String>, BadRequest> {
    let Some(memo) = extra.get("memo") else { return Ok(None) };
    memo.as_str()
        .filter(|memo| memo.len() <= solana::terms::MAX_MEMO_BYTES)
        .map(|memo| Some(memo.to_owned()))
        .ok_or_else(|| extra.bad("memo", "must be a text of at most 256 bytes"))
}
