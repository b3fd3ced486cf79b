//! `/accepts`: a resource server's requirements, completed with what a client
//! needs to pay them (as Faremeter's facilitators have it).

use std::rc::Rc;

use serde_json::{Map, Value};

use super::BadRequest;
use super::fields::{Fields, read_body};
use super::order::read_timeout;
use crate::config::{Account, Config, Network, Token};
use crate::gate::Hints;
use crate::json::{json, whole_number};
use crate::protocol::requirements::EXACT;
use crate::protocol::{ChainId, Reason};

/// A request for completion.
#[derive(Debug)]
pub struct AcceptsRequest {
    /// 1 or 2; the answer's members differ.
    version: u64,
    resource: Option<Value>,
    entries: Vec<Entry>,
}

/// One that can be settled here.
#[derive(Debug)]
struct Entry {
    network: Rc<Network>,
    token: Rc<Token>,
    members: Map<String, Value>,
}

impl AcceptsRequest {
    /// Reads a body. Entries that can't be settled here for this account are
    /// left out.
    ///
    /// # Errors
    /// The first field that can't be read.
    pub fn read(config: &Config, account: &Account, body: &[u8]) -> Result<Self, BadRequest> {
        let members = read_body(body)?;
        let body = Fields::new(String::new(), &members, Reason::InvalidPaymentRequirements);
        let version = match body.get("x402Version").map(whole_number) {
            Some(Some(version @ 1..=2)) => version,
            Some(_) => return Err(body.bad("x402Version", "must be 1 or 2")),
            None => return Err(body.bad("x402Version", "is needed")),
        };
        let Some(Value::Array(list)) = body.get("accepts") else {
            return Err(body.bad("accepts", "must be a list"));
        };
        let mut entries = vec![];
        for (n, entry) in list.iter().enumerate() {
            let Some(entry) = entry.as_object() else {
                return Err(body.bad(&format!("accepts[{n}]"), "must be an object"));
            };
            let fields =
                Fields::new(format!("accepts[{n}]"), entry, Reason::InvalidPaymentRequirements);
            let network = fields.text("network")?;
            if fields.text("scheme")? != EXACT {
                continue;
            }
            read_rest(&fields, version)?;
            let network = config.network_called(network).filter(|it| account.may_use(it));
            let entry = network.and_then(|network| Entry::read(network, account, entry));
            entries.extend(entry.filter(|it| version == 2 || it.token.asset.is_for_v1()));
        }
        Ok(Self { version, resource: body.get("resource").cloned(), entries })
    }

    /// The Solana networks of whom a recent blockhash would help.
    pub fn hinted_networks(&self) -> Vec<ChainId> {
        let networks = self.entries.iter().map(|entry| entry.network.id);
        networks.filter(|id| id.names_fee_payer()).collect()
    }

    /// The answer.
    pub fn answer(self, hints: &Hints) -> Value {
        let entries = self.entries.into_iter();
        let accepts: Vec<Value> =
            entries.map(|entry| entry.completed(hints, self.version)).collect();
        if self.version == 1 {
            return json!({ "x402Version": 1, "accepts": accepts, "error": "" });
        }
        let resource = self.resource.unwrap_or_else(|| json!({ "url": "" }));
        json!({ "x402Version": 2, "resource": resource, "accepts": accepts })
    }
}

/// Reads what an entry may hold besides network and scheme.
fn read_rest(fields: &Fields<'_>, version: u64) -> Result<(), BadRequest> {
    fields.amount(if version == 1 { "maxAmountRequired" } else { "amount" })?;
    fields.text("payTo")?;
    if fields.has("asset") {
        fields.text("asset")?;
    }
    // Some middleware writes 0 for what it leaves to the facilitator.
    if fields.has("maxTimeoutSeconds") {
        read_timeout(fields, 0)?;
    }
    fields.object("extra", Reason::InvalidPaymentRequirements)?;
    Ok(())
}

impl Entry {
    /// An entry, if what it says of token and recipient can be had. One that
    /// names no token means the network's own.
    fn read(
        network: &Rc<Network>,
        account: &Account,
        members: &Map<String, Value>,
    ) -> Option<Self> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let token = match text("asset") {
            Some(asset) => network.token_called(asset)?,
            None => &network.token,
        };
        let pay_to = text("payTo").and_then(|text| token.asset.pay_to(text))?;
        let (network, token) = (Rc::clone(network), Rc::clone(token));
        account.may_pay(pay_to).then(|| Self { network, token, members: members.clone() })
    }

    /// The entry with what it left open. What is ours to say of token and fee
    /// payer goes over what the server said; a fee payer of ours that it names
    /// stays.
    fn completed(self, hints: &Hints, version: u64) -> Value {
        let Self { network, token, members: mut entry } = self;
        let named = entry.get("extra").and_then(|extra| extra.get("feePayer")?.as_str());
        let named = named.and_then(|named| named.parse().ok());
        let ours = &network.signers.fee_payers;
        let fee_payer = ours.iter().find(|key| Some(**key) == named).or(ours.first());
        let mut extra = token.asset.extra(fee_payer);
        if let Some(hint) = hints.of(network.id) {
            let height = hint.last_valid_block_height.to_string();
            extra.insert("recentBlockhash".into(), json!(hint.blockhash));
            extra.insert("lastValidBlockHeight".into(), json!(height));
        }
        let asset = token.asset.address();
        // A client looks for an address, and for a name that it knows.
        let is_symbol = |asset: &Value| asset.as_str() == Some(&token.symbol);
        if entry.get("asset").is_none_or(|it| it.is_null() || is_symbol(it)) {
            entry.insert("asset".into(), json!(asset));
        }
        let named = entry.get("network").and_then(Value::as_str);
        if named != network.v1_name && named.is_none_or(|named| !named.contains(':')) {
            let caip2 = network.id.to_string();
            let name = network.v1_name.filter(|_| version == 1);
            entry.insert("network".into(), json!(name.unwrap_or(&caip2)));
        }
        let timeout = entry.entry("maxTimeoutSeconds").or_insert(Value::Null);
        if whole_number(timeout).unwrap_or(0) == 0 {
            *timeout = json!(network.max_timeout_seconds);
        }
        let theirs = entry.entry("extra").or_insert_with(|| json!({}));
        if !theirs.is_object() {
            *theirs = json!({});
        }
        if let Some(theirs) = theirs.as_object_mut() {
            theirs.extend(extra);
        }
        Value::Object(entry)
    }
}
