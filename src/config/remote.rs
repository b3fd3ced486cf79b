//! Somebody else's facilitator for a network, and the headers that it wants.

use serde_json::Value;

use super::fields::{Fields, Report, is_header_name, is_header_value, is_safe_url};
use crate::facilitator_client::auth::AUTHORIZATION;
use crate::facilitator_client::{CdpKey, Facilitator, RemoteFacts};
use crate::json;
use crate::protocol::ChainId;
use crate::table::Table;

/// Headers of requests to a facilitator: names and values.
pub(super) type Headers = Vec<(String, String)>;

const SECRET: &str = "FACILITATOR_HEADERS";
const CDP_SECRET: &str = "CDP_API_KEY";

/// What has no effect where the seller's own keys send nothing.
const OWN_LANE: [&str; 9] = [
    "batch_max",
    "batch_gas",
    "batch_calldata",
    "daily_spend",
    "low_balance",
    "max_tip",
    "coin_price",
    "failed_gas",
    "quorum_above",
];

/// Headers that the Worker sets itself.
const OURS: [&str; 5] =
    ["content-type", "content-length", "host", "idempotency-key", "transfer-encoding"];

/// The facilitators of a network.
pub(super) struct Facilitators {
    /// Who settles there.
    pub facilitator: Option<Facilitator>,
    /// Who does while no node can be reached.
    pub fallback: Option<Facilitator>,
    /// Who did before.
    pub former: Option<Facilitator>,
}

const NAMES: [&str; 3] = ["facilitator", "fallback_facilitator", "former_facilitator"];

impl Facilitators {
    /// Reads a network's `facilitator`, `fallback_facilitator` and `former_facilitator`.
    pub(super) fn read(
        fields: &Fields<'_>,
        id: ChainId,
        (headers, cdp_key): (Option<Headers>, Option<&Result<CdpKey, &'static str>>),
        facts: RemoteFacts,
    ) -> Self {
        let [own, fallback, former] = NAMES;
        if headers.is_some() && !NAMES.into_iter().any(|name| fields.has(name)) {
            let problem = format!("names {id}, which has no facilitator in NETWORKS");
            fields.faults().add(SECRET, problem);
        }
        let headers = headers.unwrap_or_default();
        let auth = read_auth(fields, &headers, cdp_key);
        let read = |name: &str| {
            let url = fields.text(name)?;
            if !is_safe_url(url) || url.contains('?') {
                let problem =
                    "must be an https:// URL, or http:// on localhost, without query and user name";
                fields.fault(name, problem);
                return None;
            }
            let url = url.trim_end_matches('/').to_owned();
            Some(Facilitator { url, headers: headers.clone(), auth: auth.clone(), facts })
        };
        let all = Self { facilitator: read(own), fallback: read(fallback), former: read(former) };
        if let (Some(one), Some(other)) = (&all.fallback, &all.former)
            && one.url != other.url
            && (one.auth.is_some() || !one.headers.is_empty())
        {
            let problem = "is another one than fallback_facilitator, which would be sent its \
                           FACILITATOR_HEADERS and what facilitator_auth signs: leave the fallback \
                           out until this one is";
            fields.fault(former, problem);
        }
        if fields.has(own) {
            for name in OWN_LANE.into_iter().filter(|name| fields.has(name)) {
                fields.fault(name, "has no effect with facilitator");
            }
            if fields.has(fallback) {
                let problem = "is for a network with its own rpc; facilitator has no other to \
                               fall back from";
                fields.fault(fallback, problem);
            }
            if fields.has(former) {
                let problem = "is for a network that keys of your own settle now: what is open \
                               at another facilitator is asked of this one";
                fields.fault(former, problem);
            }
        } else if fields.has(fallback) && id.names_fee_payer() {
            let problem = "is for EVM chains only: a Solana payment names its fee payer, so no \
                           other facilitator can settle it";
            fields.fault(fallback, problem);
        }
        all
    }
}

/// Reads a network's `facilitator_auth`.
fn read_auth(
    fields: &Fields<'_>,
    headers: &Headers,
    cdp_key: Option<&Result<CdpKey, &'static str>>,
) -> Option<CdpKey> {
    let name = "facilitator_auth";
    let kind = fields.text(name)?;
    if kind != "cdp" {
        fields.fault(name, "must be \"cdp\": each request is signed with CDP_API_KEY");
        return None;
    }
    if !NAMES.into_iter().any(|name| fields.has(name)) {
        fields.fault(name, "has no effect without facilitator");
    }
    if headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(AUTHORIZATION)) {
        fields.faults().add(SECRET, "has an Authorization, which facilitator_auth writes");
    }
    match cdp_key {
        Some(Ok(key)) => Some(key.clone()),
        // What can't be read is reported where it stands.
        Some(Err(_)) => None,
        None => {
            let problem = format!("is needed for {name}: wrangler secret put {CDP_SECRET}");
            fields.faults().add(CDP_SECRET, problem);
            None
        }
    }
}

/// Reads the secret `CDP_API_KEY`: the file that CDP gives out, or `id:secret`.
/// Faults never show it.
pub(super) fn read_cdp_key(
    secret: Option<&str>,
    faults: &Report,
) -> Option<Result<CdpKey, &'static str>> {
    let text = secret?.trim();
    let read = if text.starts_with('{') {
        let file = json::parse(text).unwrap_or_default();
        let member = |names: [&str; 2]| {
            let found = names.into_iter().find_map(|name| file.get(name)?.as_str());
            found.unwrap_or_default().to_owned()
        };
        CdpKey::read(&member(["id", "name"]), &member(["privateKey", "secret"]))
    } else {
        let (name, secret) = text.split_once(':').unwrap_or(("", text));
        CdpKey::read(name.trim(), secret)
    };
    if let Err(problem) = read {
        faults.add(CDP_SECRET, format!("{problem}; put the JSON file of the key, or id:secret"));
    }
    Some(read)
}

/// Reads the secret `FACILITATOR_HEADERS`. Faults never show a value.
pub(super) fn read_headers(secret: Option<&str>, faults: &Report) -> Table<String, Headers> {
    let Some(text) = secret else { return Table::new() };
    let Some(read) = parse_headers(text) else {
        faults.add(SECRET, "must be JSON: {\"eip155:8453\": {\"Authorization\": \"Bearer …\"}}");
        return Table::new();
    };
    for (network, headers) in &read {
        for (name, value) in headers {
            let problem = if !is_header_name(name) {
                "has a header whose name is none"
            } else if OURS.contains(&name.to_ascii_lowercase().as_str()) {
                "has a header that the Worker sets itself"
            } else if !is_header_value(value) {
                "has a header whose value is none"
            } else {
                continue;
            };
            faults.add(SECRET, format!("{problem}, for {}", shown(network)));
        }
    }
    read
}

fn parse_headers(text: &str) -> Option<Table<String, Headers>> {
    let read: Value = json::parse(text).ok()?;
    let networks = read.as_object()?.iter().map(|(network, headers)| {
        let pairs = headers.as_object()?.iter();
        let pairs = pairs.map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        Some((network.clone(), pairs.collect::<Option<Headers>>()?))
    });
    networks.collect()
}

/// Reports the networks that are left over. What is no network's name may be
/// a secret in a wrong place.
pub(super) fn report_unknown(left: &Table<String, Headers>, faults: &Report) {
    for name in left.keys() {
        faults.add(SECRET, format!("names {}, which NETWORKS doesn't have", shown(name)));
    }
}

fn shown(network: &str) -> &str {
    if network.parse::<ChainId>().is_ok() { network } else { "something" }
}
