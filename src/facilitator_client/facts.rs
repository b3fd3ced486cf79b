//! What must be known of a facilitator before anything is sold: which version
//! it speaks, and on Solana who pays the fees, for buyers sign that in.

use std::time::Duration;

use serde_json::Value;

use super::{Facilitator, Http, HttpRequest, is_network};
use crate::json::json;
use crate::protocol::requirements::EXACT;
use crate::protocol::{ChainId, Version};
use crate::rpc::TransportError;
use crate::solana::Pubkey;
use crate::solana::address::SYSTEM_PROGRAM;

/// How long a facilitator may take to say what it does: together, what the
/// first request for something that is sold waits at most.
const SUPPORTED_TIMEOUT: Duration = Duration::from_secs(2);
const ACCEPTS_TIMEOUT: Duration = Duration::from_secs(1);

/// What a facilitator has said of itself, for one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteFacts {
    /// Solana: the account that pays the fees of the transactions it settles.
    pub fee_payer: Option<Pubkey>,
    /// The version to speak with it: v2 unless it knows v1 only.
    pub version: Version,
}

impl Default for RemoteFacts {
    fn default() -> Self {
        Self { fee_payer: None, version: Version::V2 }
    }
}

impl Facilitator {
    /// Asks a facilitator what it does on a network: `/supported`, and where
    /// that doesn't tell Solana's fee payer, Faremeter's `/accepts`. `None` if
    /// it doesn't say, or too little to sell anything.
    pub async fn ask_facts(
        &self,
        http: &impl Http,
        network: ChainId,
        asset: &str,
        pay_to: &str,
    ) -> Option<RemoteFacts> {
        let supported = self.ask(http, "/supported", None, SUPPORTED_TIMEOUT).await;
        let known = supported.and_then(|answer| RemoteFacts::from_supported(&answer, network));
        let is_enough = known.is_some_and(|known| known.fee_payer.is_some());
        if is_enough || !network.names_fee_payer() {
            return known;
        }
        let probe = json!({
            "x402Version": 2,
            "resource": { "url": self.url },
            "accepts": [{
                "scheme": EXACT, "network": network.to_string(), "amount": "1",
                "asset": asset, "payTo": pay_to, "maxTimeoutSeconds": 60,
            }],
        });
        let answer = self.ask(http, "/accepts", Some(&probe.to_string()), ACCEPTS_TIMEOUT).await;
        answer.and_then(|answer| RemoteFacts::from_accepts(&answer, network))
    }

    /// What keeps it from settling, as far as one question tells: it is asked
    /// for what every facilitator should have, and any answer but a failure or
    /// a closed door will do.
    pub async fn problem(&self, http: &impl Http) -> Option<String> {
        let headers = self.headers.iter().map(|(n, value)| (n.as_str(), value.as_str())).collect();
        let url = format!("{}/supported", self.url);
        let auth = self.auth();
        let request = HttpRequest { url, headers, auth, body: None, timeout: SUPPORTED_TIMEOUT };
        match http.exchange(request).await {
            Ok(answer) if matches!(answer.status, 401 | 403) => {
                let secrets = "FACILITATOR_HEADERS and facilitator_auth";
                Some(format!("turns us away ({}): see {secrets}", answer.status))
            }
            Ok(answer) if answer.status >= 500 => Some(format!("answers {}", answer.status)),
            Ok(_) => None,
            Err(TransportError::TimedOut) => Some("does not answer in time".to_owned()),
            Err(_) => Some("can't be reached".to_owned()),
        }
    }

    async fn ask(
        &self,
        http: &impl Http,
        path: &str,
        body: Option<&str>,
        timeout: Duration,
    ) -> Option<Value> {
        let headers = self.headers.iter().map(|(n, value)| (n.as_str(), value.as_str())).collect();
        let (url, auth) = (format!("{}{path}", self.url), self.auth());
        let request = HttpRequest { url, headers, auth, body, timeout };
        let answer = http.exchange(request).await.ok()?;
        (answer.status == 200).then(|| answer.json())
    }
}

impl RemoteFacts {
    /// Reads `GET /supported` (x402 v2 specification, section 7.3): each kind
    /// once for each version. `None` if it does nothing on this network.
    pub fn from_supported(answer: &Value, network: ChainId) -> Option<Self> {
        let kinds = answer.get("kinds")?.as_array()?;
        let of_version = |number: u64| {
            kinds.iter().find(move |kind| {
                kind.get("x402Version").and_then(Value::as_u64) == Some(number)
                    && is_exact_on(kind, network)
            })
        };
        let (v1, v2) = (of_version(1), of_version(2));
        let version = if v2.is_some() { Version::V2 } else { Version::V1 };
        v2.or(v1)?;
        let named = v2.and_then(fee_payer_of).or_else(|| v1.and_then(fee_payer_of));
        // With several fee payers the reference names one at random each time.
        // Every isolate must name the same: the first of those that it lists.
        let signers = fee_payers_in(answer, network);
        let first = signers.iter().copied().min_by_key(|signer| signer.0);
        let fee_payer =
            named.map(|named| first.filter(|_| signers.contains(&named)).unwrap_or(named));
        Some(Self { fee_payer, version })
    }

    /// Reads the answer of Faremeter's `POST /accepts`.
    pub fn from_accepts(answer: &Value, network: ChainId) -> Option<Self> {
        let accepts = answer.get("accepts")?.as_array()?;
        let entry = accepts.iter().find(|entry| is_exact_on(entry, network))?;
        Some(Self { fee_payer: Some(fee_payer_of(entry)?), version: Version::V2 })
    }
}

fn is_exact_on(entry: &Value, network: ChainId) -> bool {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    text("scheme") == Some(EXACT) && text("network").is_some_and(|text| is_network(text, network))
}

fn fee_payer_of(entry: &Value) -> Option<Pubkey> {
    account(entry.pointer("/extra/feePayer")?)
}

/// The accounts that a facilitator signs with on a Solana network.
fn fee_payers_in(answer: &Value, network: ChainId) -> Vec<Pubkey> {
    let names = [network.to_string(), "solana:*".to_owned()];
    let signers = |name: &String| answer.get("signers")?.get(name)?.as_array();
    names.iter().filter_map(signers).flatten().filter_map(account).collect()
}

fn account(value: &Value) -> Option<Pubkey> {
    value.as_str()?.parse().ok().filter(|account| *account != SYSTEM_PROGRAM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facilitator_client::HttpAnswer;

    const PAYER: &str = "9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu";
    const OTHER: &str = "EdmxWPmx2WH6WgFfTdu9xfkYf3k1g5wD1zccTVySEEh1";
    const DEVNET: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";

    fn kind(version: u8, network: &str, fee_payer: Option<&str>) -> Value {
        let mut kind = json!({ "x402Version": version, "scheme": "exact", "network": network });
        if let Some(fee_payer) = fee_payer {
            kind["extra"] = json!({ "feePayer": fee_payer });
        }
        kind
    }

    fn supported(network: &str, kinds: &[Value]) -> Option<RemoteFacts> {
        let answer = json!({ "kinds": kinds, "extensions": [], "signers": {} });
        RemoteFacts::from_supported(&answer, network.parse().unwrap())
    }

    #[test]
    fn supported_tells_the_version_and_the_fee_payer() {
        let payer = |text: &str| Some(text.parse().unwrap());
        let base = "eip155:84532";
        for (network, kinds, expected) in [
            (base, vec![kind(1, "base-sepolia", None)], Some((None, Version::V1))),
            (base, vec![kind(2, base, None)], Some((None, Version::V2))),
            (
                base,
                vec![kind(1, "base-sepolia", None), kind(2, base, None)],
                Some((None, Version::V2)),
            ),
            (base, vec![kind(2, "eip155:8453", None), kind(3, base, None)], None),
            (base, vec![], None),
            (
                DEVNET,
                vec![kind(1, "solana-devnet", Some(OTHER)), kind(2, DEVNET, Some(PAYER))],
                Some((payer(PAYER), Version::V2)),
            ),
            (
                DEVNET,
                vec![kind(1, "solana-devnet", Some(OTHER))],
                Some((payer(OTHER), Version::V1)),
            ),
            (DEVNET, vec![kind(2, DEVNET, None)], Some((None, Version::V2))),
            (DEVNET, vec![kind(2, DEVNET, Some("no key"))], Some((None, Version::V2))),
            (DEVNET, vec![kind(2, DEVNET, Some(&"1".repeat(32)))], Some((None, Version::V2))),
        ] {
            let expected = expected.map(|(fee_payer, version)| RemoteFacts { fee_payer, version });
            assert_eq!(supported(network, &kinds), expected, "{kinds:?}");
        }
        let mut other = kind(2, base, None);
        other["scheme"] = json!("upto");
        assert_eq!(supported(base, &[other]), None);
        for garbage in
            [json!(null), json!([]), json!({ "kinds": {} }), json!({ "kinds": [1, null] })]
        {
            assert_eq!(RemoteFacts::from_supported(&garbage, base.parse().unwrap()), None);
        }
    }

    #[test]
    fn of_several_fee_payers_every_isolate_names_the_same() {
        let network: ChainId = DEVNET.parse().unwrap();
        let read = |named: &str, signers: Value| {
            let kinds = json!([kind(2, DEVNET, Some(named))]);
            let answer = json!({ "kinds": kinds, "signers": signers });
            RemoteFacts::from_supported(&answer, network).unwrap().fee_payer.unwrap().to_string()
        };
        let both = json!({ "solana:*": [PAYER, OTHER], "eip155:*": ["0x1"] });
        assert_eq!(read(PAYER, both.clone()), read(OTHER, both));
        let one = json!({ DEVNET: [OTHER] });
        assert_eq!(read(PAYER, one), PAYER, "which is not among those that are listed");
        for odd in
            [json!(null), json!([]), json!({ "solana:*": PAYER }), json!({ "solana:*": [1] })]
        {
            assert_eq!(read(PAYER, odd), PAYER);
        }
    }

    #[test]
    fn accepts_tells_the_fee_payer() {
        let network = DEVNET.parse().unwrap();
        let read = |accepts: Value| {
            RemoteFacts::from_accepts(&json!({ "x402Version": 2, "accepts": accepts }), network)
        };
        let facts = RemoteFacts { fee_payer: PAYER.parse().ok(), version: Version::V2 };
        assert_eq!(
            read(json!([kind(2, "eip155:1", None), kind(2, DEVNET, Some(PAYER))])),
            Some(facts)
        );
        assert_eq!(read(json!([kind(2, DEVNET, None)])), None);
        assert_eq!(read(json!([])), None);
        assert_eq!(read(json!(null)), None);
    }

    /// Answers by path, and writes down what it was asked.
    struct Script(Vec<(&'static str, u16, Value)>, std::cell::RefCell<Vec<String>>);

    impl Http for Script {
        async fn exchange(
            &self,
            request: HttpRequest<'_>,
        ) -> Result<HttpAnswer, crate::rpc::TransportError> {
            assert_eq!(request.headers, [("X-Key", "k")]);
            let path = request.url.strip_prefix("https://pay.test").unwrap();
            self.1.borrow_mut().push(format!("{path} {}", request.body.unwrap_or_default()));
            let found = self.0.iter().find(|(known, ..)| *known == path);
            found
                .map(|(_, status, body)| HttpAnswer {
                    status: *status,
                    body: Some(body.to_string()),
                })
                .ok_or(crate::rpc::TransportError::TimedOut)
        }
    }

    fn ask(network: &str, script: &Script) -> Option<RemoteFacts> {
        use futures_util::FutureExt as _;
        let facilitator = Facilitator {
            url: "https://pay.test".into(),
            headers: vec![("X-Key".into(), "k".into())],
            auth: None,
            facts: RemoteFacts::default(),
        };
        let asked = facilitator.ask_facts(script, network.parse().unwrap(), "mint", "seller");
        asked.now_or_never().unwrap()
    }

    #[test]
    fn accepts_is_asked_where_supported_says_too_little() {
        let script =
            |answers: &[(&'static str, u16, Value)]| Script(answers.to_vec(), [].to_vec().into());
        let kinds = |kind: Value| json!({ "kinds": [kind] });
        let facts = RemoteFacts { fee_payer: PAYER.parse().ok(), version: Version::V2 };
        let accepts = json!({ "x402Version": 2, "accepts": [kind(2, DEVNET, Some(PAYER))] });

        let told = script(&[("/supported", 200, kinds(kind(2, DEVNET, Some(PAYER))))]);
        assert_eq!(ask(DEVNET, &told), Some(facts));
        assert_eq!(*told.1.borrow(), ["/supported "]);

        for supported in [
            ("/supported", 200, kinds(kind(2, DEVNET, None))),
            ("/supported", 404, json!({})),
            ("/elsewhere", 200, json!({})),
        ] {
            let asked = script(&[supported.clone(), ("/accepts", 200, accepts.clone())]);
            assert_eq!(ask(DEVNET, &asked), Some(facts));
            let probe = asked.1.borrow()[1].clone();
            let probe: Value =
                serde_json::from_str(probe.strip_prefix("/accepts ").unwrap()).unwrap();
            assert_eq!(probe["accepts"][0]["payTo"], "seller");
            assert_eq!(ask(DEVNET, &script(&[supported])), None, "nothing can be sold then");
        }

        let base = "eip155:84532";
        let told = script(&[("/supported", 200, kinds(kind(1, "base-sepolia", None)))]);
        let v1 = RemoteFacts { fee_payer: None, version: Version::V1 };
        assert_eq!(ask(base, &told), Some(v1));
        assert_eq!(ask(base, &script(&[])), None);
    }
}
