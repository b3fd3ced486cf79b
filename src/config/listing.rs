//! What the challenge says of a route besides its price, and whether it is
//! listed where agents and crawlers look for things to buy.

use serde_json::{Map, Value};

use super::fields::Fields;
use super::free::SIGN_IN;
use super::method::Method;
use super::offer::Offer;
use super::route::{PaymentIdentifier, Route};
use super::shape;
use crate::json::json;
use crate::protocol::payment::{BAZAAR, GAS_SPONSORING, PAYMENT_IDENTIFIER};

/// What a route's part of the challenge header may take, in bytes of JSON: of
/// the 2,250 that are 3,000 in base64, a shortened URL takes 210, the longest
/// code 100, and the version 20, each with its name.
pub(super) const MAX_CHALLENGE_JSON: usize = 1_920;

/// What a blockhash hint adds to the challenge, in bytes of JSON.
const HINT_BYTES: usize = 130;

/// What is filled into the extension by which wallets sign in, in bytes of JSON.
const SIGN_IN_BYTES: usize = 200;

/// What a quote adds to it.
const QUOTE_BYTES: usize = 100;

/// The methods that can be listed besides those whose input is in the body.
const QUERY_METHODS: &[&str] = &["GET", "HEAD", "DELETE"];

/// The method under which a route is listed: the first of its own that can
/// be, or GET if it sells every method.
pub(super) fn read_listed(fields: &Fields<'_>, methods: Option<&[Method]>) -> Option<Method> {
    if !fields.flag("listed") {
        return None;
    }
    let Some(methods) = methods else { return "GET".parse().ok() };
    let can_be_listed =
        |method: &&Method| method.has_body() || QUERY_METHODS.contains(&method.as_str());
    let method = methods.iter().find(can_be_listed).cloned();
    if method.is_none() {
        let problem = "needs GET, HEAD, DELETE, POST, PUT or PATCH among the route's methods";
        fields.fault("listed", problem);
    }
    method
}

/// What the challenge says of the extension `eip2612GasSponsoring`: the least
/// that its specification asks for.
fn gas_sponsoring() -> Value {
    let members =
        ["from", "asset", "spender", "amount", "nonce", "deadline", "signature", "version"];
    json!({
        "info": { "description": "EIP-2612 permits for Permit2 are settled here", "version": "1" },
        "schema": { "type": "object", "required": members },
    })
}

impl Route {
    /// The offers that the challenge's header has room for: the first ones.
    /// v1's body and the lists of resources have all of them.
    pub fn in_header(&self) -> &[Offer] {
        self.offers.get(..self.in_header).unwrap_or_default()
    }

    /// The offers that the header has no room for.
    pub(super) fn left_out(&self) -> &[Offer] {
        self.offers.get(self.in_header..).unwrap_or_default()
    }

    /// How many offers fit into the header, from the first.
    pub(super) fn count_fitting(&self) -> usize {
        let mut size = self.resource_size();
        let fits = |offer: &&Offer| {
            let hint = if offer.network.id.names_fee_payer() { HINT_BYTES } else { 0 };
            let hint = if self.lacks_quote() { hint + QUOTE_BYTES } else { hint };
            // With its comma.
            size += offer.v2.to_value().to_string().len() + 1 + hint;
            size <= MAX_CHALLENGE_JSON
        };
        self.offers.iter().take_while(fits).count()
    }

    /// What the challenge takes without any offer, in bytes of JSON.
    pub(super) fn resource_size(&self) -> usize {
        let (resource, mut extensions) = (self.resource(), self.extensions());
        let mut filled = 0;
        if let Some(sign_in) = self.sign_in() {
            extensions.insert(SIGN_IN.into(), sign_in);
            filled = SIGN_IN_BYTES;
        }
        let challenge = json!({ "resource": resource, "accepts": [], "extensions": extensions });
        challenge.to_string().len() + filled
    }

    /// What the v2 challenge says of the resource, besides its URL
    /// (`ResourceInfo`): what the seller said, and nothing else.
    pub fn resource(&self) -> Map<String, Value> {
        let texts = [
            ("description", &self.description),
            ("mimeType", &self.mime_type),
            ("serviceName", &self.service.name),
            ("iconUrl", &self.service.icon_url),
        ];
        let said = texts.into_iter().filter(|(_, text)| !text.is_empty());
        // One by one: to collect into a map means to sort, and brings the code for it.
        let mut resource = Map::new();
        for (name, text) in said {
            resource.insert(name.to_owned(), json!(text));
        }
        if !self.service.tags.is_empty() {
            resource.insert("tags".into(), json!(self.service.tags));
        }
        resource
    }

    /// The extensions of the v2 challenge, by their names.
    pub fn extensions(&self) -> Map<String, Value> {
        let mut extensions = Map::new();
        if self.payment_identifier != PaymentIdentifier::Off {
            extensions.insert(PAYMENT_IDENTIFIER.into(), self.payment_identifier.extension());
        }
        if let Some(method) = &self.listed {
            extensions.insert(BAZAAR.into(), self.bazaar(method));
        }
        if self.offers.iter().any(|offer| offer.token.eip2612) {
            extensions.insert(GAS_SPONSORING.into(), gas_sponsoring());
        }
        extensions
    }

    /// What the challenge says of [`SIGN_IN`], without what differs from one to the
    /// next; `None` if nothing here is counted by wallet.
    pub fn sign_in(&self) -> Option<Value> {
        if !self.free.is_some_and(|it| it.by_wallet) {
            return None;
        }
        let mut chains: Vec<Value> = vec![];
        for offer in &self.offers {
            let network = offer.v2.network;
            let kind = if network.names_fee_payer() { "ed25519" } else { "eip191" };
            let chain = json!({ "chainId": network.to_string(), "type": kind });
            if !chains.contains(&chain) {
                chains.push(chain);
            }
        }
        let members = [
            "domain",
            "address",
            "uri",
            "version",
            "chainId",
            "type",
            "nonce",
            "issuedAt",
            "signature",
        ];
        Some(json!({
            "info": { "version": "1" },
            "supportedChains": chains,
            "schema": { "type": "object", "required": members },
        }))
    }

    /// How the resource is asked for, for catalogues.
    fn bazaar(&self, method: &Method) -> Value {
        let has_body = method.has_body();
        let shapes = (self.input.as_ref(), self.output.as_ref());
        let mut bazaar = shape::bazaar(method.as_str(), has_body, shapes, &self.mime_type);
        if let (Some(template), Some(bazaar)) = (self.route_template(), bazaar.as_object_mut()) {
            bazaar.insert("routeTemplate".into(), json!(template));
        }
        bazaar
    }

    /// The one name under which a catalogue keeps all that a prefix covers, as
    /// the reference names a wildcard. A catalogue takes only these
    /// characters, and `:` marks a parameter; without a template it keeps each
    /// path by itself.
    fn route_template(&self) -> Option<String> {
        let prefix = self.pattern.path();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.-~".contains(&byte);
        let has_template = self.pattern.is_prefix()
            && prefix != "/"
            && prefix.bytes().all(is_plain)
            && !prefix.contains("..");
        has_template.then(|| format!("{prefix}:var1"))
    }
}
