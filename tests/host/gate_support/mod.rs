//! A shop to knock at: a configuration, requests, and what the gate answers.
use edge402::config::{self, Config, Loaded, Method, Settings};
use edge402::encoding::encode_base64;
use edge402::gate::{Body, Decision, Fact, Head, decide, decide_free, straight};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

pub const NOW: u64 = 1_700_000_000;
pub const SHOP: &str = "https://shop.example";
pub const DEVNET: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
pub const PAY_TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
/// The addresses of the ed25519 keys whose secrets are 32 times 2 and 4.
pub const FEE_PAYER: &str = "9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu";
pub const SOLANA_PAY_TO: &str = "EdmxWPmx2WH6WgFfTdu9xfkYf3k1g5wD1zccTVySEEh1";

pub fn relayer_secret() -> String {
    format!("0x{}", "11".repeat(32))
}

/// The keypair whose secret is 32 times this byte, as wallets export it.
pub fn solana_secret(seed: u8) -> String {
    let key = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
    edge402::encoding::encode_base58(&key.to_keypair_bytes())
}

pub fn settings(origin: &str, routes: Value) -> Settings {
    Settings {
        origin: Some(json!(origin)),
        origin_headers: None,
        header_secrets: edge402::table::Table::new(),
        tell_origin: None,
        tell_machines: None,
        origin_secret: None,
        routes: Some(routes),
        networks: Some(json!({
            "eip155:42161": { "rpc": ["https://arb.example"], "pay_to": PAY_TO },
            "eip155:84532": { "rpc": ["https://base.example"], "pay_to": PAY_TO },
            DEVNET: { "rpc": ["https://sol.example"], "pay_to": SOLANA_PAY_TO },
        })),
        evm_relayer_keys: Some(relayer_secret()),
        solana_fee_payer_keys: Some(format!("{}, {}", solana_secret(2), solana_secret(1))),
        former_signers: None,
        rpc_urls: None,
        grant_secret: None,
        facilitator_headers: None,
        cdp_api_key: None,
        remote: edge402::table::Table::new(),
        facilitator: None,
        facilitator_tokens: None,
        passes: None,
        sales: None,
        desk_tokens: None,
        missing_bindings: vec![],
        cors_credentials: None,
        page: None,
        webhooks: None,
        webhook_secrets: edge402::table::Table::new(),
        overrides: edge402::config::Overrides::default(),
        fold: edge402::path::Fold::default(),
    }
}

pub fn routes() -> Value {
    json!([
        { "pattern": "/premium/*", "price": "$0.01", "description": "Premium pages" },
        { "pattern": "/guide", "price": "$0.01", "methods": ["GET"],
          "networks": ["eip155:84532"], "mime_type": "text/html" },
        { "pattern": "/premium/orders", "price": "$0.02", "methods": ["POST"],
          "settle": "before" },
    ])
}

/// In front of static assets.
pub fn assets() -> &'static Loaded {
    thread_local! {
        static LOADED: &'static Loaded = Box::leak(Box::new(config::read(&settings("assets", routes()))));
    }
    LOADED.with(|loaded| *loaded)
}

/// In front of a site at another host.
pub fn site() -> &'static Loaded {
    thread_local! {
        static LOADED: &'static Loaded = Box::leak(Box::new(config::read(&settings("https://own.example/base", routes()))));
    }
    LOADED.with(|loaded| *loaded)
}

pub fn config(loaded: &Loaded) -> &Config {
    loaded.config.as_ref().unwrap_or_else(|faults| panic!("{faults}"))
}

/// The head of a request, as the Fetch standard hands it over.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// `None` for one that was not read.
    pub body: Option<Vec<u8>>,
    /// What the edge says.
    pub edge: Vec<(Fact, String)>,
}

impl Head for Request {
    fn method(&self) -> &str {
        &self.method
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn header(&self, name: &'static str) -> Option<String> {
        self.named_header(name)
    }

    fn named_header(&self, name: &str) -> Option<String> {
        let same = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let values: Vec<&str> = same.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn header_names(&self) -> Vec<String> {
        self.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect()
    }

    fn edge(&self, fact: Fact) -> Option<String> {
        self.edge.iter().find(|(known, _)| *known == fact).map(|(_, it)| it.clone())
    }

    fn body(&self) -> Body<'_> {
        self.body.as_deref().map_or(Body::Unread, Body::Read)
    }
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            url: format!("{SHOP}{target}"),
            headers: vec![],
            body: Some(vec![]),
            edge: vec![],
        }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A POST request with JSON.
    pub fn post(target: &str, json: &str) -> Self {
        Self { body: Some(json.into()), ..Self::new("POST", target) }
            .with("Content-Type", "application/json")
    }

    /// With a payment in the header of its version.
    #[must_use]
    pub fn paying(self, payment: &Value) -> Self {
        let name = if payment["x402Version"] == 1 { "X-PAYMENT" } else { "PAYMENT-SIGNATURE" };
        self.with(name, &encode_base64(payment.to_string().as_bytes()))
    }

    pub fn decide<'a>(&self, loaded: &'a Loaded) -> Decision<'a> {
        let decision = decide(loaded, self, UnixSeconds(NOW));
        // What is passed on without deciding anything more is what would be.
        let free = decide_free(loaded, self);
        match &decision {
            Decision::Forward(path) if matches!(self.method(), "GET" | "HEAD") => {
                assert_eq!(free.as_ref(), Some(path));
            }
            _ => assert_eq!(free, None),
        }
        if self.goes_straight(loaded) {
            let (at, _) = straight::free_from(loaded, &self.method, &self.url).unwrap();
            let path = self.url[at..].split('?').next().unwrap();
            assert_eq!(outcome(&decision), format!("forward {path}"), "{}", self.url);
        }
        decision
    }

    /// Whether the runtime sends it to the origin without having it decided.
    pub fn goes_straight(&self, loaded: &Loaded) -> bool {
        let plain = |name: &str| name.to_ascii_lowercase().replace('_', "-");
        let tells = |(name, value): &(String, String)| {
            straight::telling_headers(loaded).any(|it| plain(it) == plain(name))
                || plain(name) == "cookie" && value.contains(straight::COOKIE_PREFIX)
        };
        !self.headers.iter().any(tells)
            && straight::free_from(loaded, &self.method, &self.url).is_some()
    }

    /// What the gate decides, in short.
    pub fn outcome(&self, loaded: &Loaded) -> String {
        outcome(&self.decide(loaded))
    }
}

/// `forward /path`, `402 {route} /path`, `402 {route} {version} {reason}`,
/// `purchase {route} {version} {network}`, `400 {message}` …
pub fn outcome(decision: &Decision<'_>) -> String {
    match decision {
        Decision::Forward(path) => format!("forward {}", path.as_str()),
        Decision::BadRequest(message) => format!("400 {message}"),
        Decision::Preflight => "preflight".into(),
        Decision::Closed => "closed".into(),
        Decision::Off => "off".into(),
        Decision::Granted(sale) => format!("granted {} {}", sale.number, sale.path.as_str()),
        Decision::Free(sale) => format!("free {} {}", sale.number, sale.path.as_str()),
        Decision::Collect(sale, it) => {
            format!("collect {} {} {}", sale.number, it.settler, it.payment)
        }
        Decision::PaymentRequired(sale, None) => {
            format!("402 {} {}", sale.number, sale.path.as_str())
        }
        Decision::PaymentRequired(sale, Some(refusal)) => {
            format!("402 {} {:?} {}", sale.number, refusal.version, refusal.reason.code())
        }
        Decision::MayBeFree(sale) => format!("free? {} {}", sale.number, sale.path.as_str()),
        Decision::AskPrice(sale) => format!("ask {} {}", sale.number, sale.path.as_str()),
        Decision::Purchase(purchase) => {
            let offer = purchase.sale.route.offer(purchase.offer).unwrap();
            let version = purchase.version;
            format!("purchase {} {version:?} {}", purchase.sale.number, offer.v2.network)
        }
    }
}

/// A v2 payment for what costs $0.01 on Base Sepolia, around this payload.
pub fn v2(payload: &Value) -> Value {
    json!({
        "x402Version": 2,
        "resource": { "url": "https://shop.example/premium/page" },
        "accepted": {
            "scheme": "exact",
            "network": "eip155:84532",
            "amount": "10000",
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "payTo": PAY_TO,
            "maxTimeoutSeconds": 300,
            "extra": { "name": "USDC", "version": "2" },
        },
        "payload": payload,
    })
}

/// The same in v1.
pub fn v1(payload: &Value) -> Value {
    json!({ "x402Version": 1, "scheme": "exact", "network": "base-sepolia", "payload": payload })
}

/// Sets what a JSON pointer names, or removes it (`None`).
pub fn set(json: &mut Value, pointer: &str, value: Option<Value>) {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let parent = json.pointer_mut(parent).expect(pointer).as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(member.into(), value),
        None => parent.remove(member),
    };
}

/// The method of most requests.
pub fn get() -> Method {
    let Ok(method) = "GET".parse();
    method
}
