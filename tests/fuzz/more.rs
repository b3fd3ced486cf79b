//! Readers of what comes in smaller pieces: headers of a request, answers of nodes as
//! they come over the wire, what contracts return, and what is kept.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::Duration;

use edge402::config::{Overrides, Settings, Sources, read};
use edge402::desk::overrides::Board;
use edge402::desk::refusals;
use edge402::desk::session::Session;
use edge402::evm::{self, VerifiedPayment};
use edge402::facilitator_client::{Facilitator, Http, HttpAnswer, HttpRequest, RemoteFacts};
use edge402::gate::grant::{cookies_without_grants, may_hold_grants};
use edge402::gate::signed::{AgentKey, read_directory, signed_request};
use edge402::gate::{BoundBody, body_names_method};
use edge402::json::{self, FromJson, ToJson};
use edge402::protocol::ChainId;
use edge402::rpc::{Call, ChainCheck, Expected, Nodes, PostAnswer, Transport, TransportError};
use edge402::settlement::replay::ReplayRecord;
use edge402::settlement::{ClaimRequest, PaymentRecord, SettleRequest};
use edge402::table::Table;
use edge402::time::UnixSeconds;
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::gate_support::{self, NOW, Request};
use crate::{SHOP, evm_support, permit2_support};

/// A key that has signed nothing.
static DIRECTORY: LazyLock<Vec<AgentKey>> = LazyLock::new(|| {
    let keys = read_directory(include_str!("seeds/directory/keys"));
    assert!(!keys.is_empty());
    keys
});

/// The signature of an agent (RFC 9421): three headers, a line each.
pub fn signed(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let mut request = Request::get("/news/1");
    for name in ["Signature-Agent", "Signature-Input", "Signature"] {
        request = request.with(name, lines.next().unwrap_or_default());
    }
    let read = SHOP.with(|shop| signed_request(shop, &request, UnixSeconds(NOW)));
    if let Some(read) = read {
        assert!(read.directory().contains("agent.example"));
        assert!(!read.is_by_one_of(&DIRECTORY, UnixSeconds(NOW)));
    }
}

/// The keys of an agent.
pub fn directory(data: &[u8]) {
    let _ = read_directory(&String::from_utf8_lossy(data));
}

/// Cookies: what goes on to the origin holds none of ours.
pub fn cookies(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    SHOP.with(|shop| assert!(Session::read(&text, &gate_support::config(shop).desk).is_none()));
    if let Some(rest) = cookies_without_grants(&text) {
        assert!(rest.split(';').all(|it| !it.trim_start().starts_with("edge402_")), "{rest}");
        assert!(may_hold_grants(&text) || !may_hold_grants(&rest));
    }
}

/// A body of this media type, which is its first line.
pub fn body(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (media_type, body) = data.split_at(end);
    let (media_type, body) =
        (String::from_utf8_lossy(media_type), body.get(1..).unwrap_or_default());
    let _ = BoundBody::read(body, &media_type).bound();
    let _ = body_names_method(&media_type.to_ascii_lowercase(), body);
}

/// Answers one after the other: each a line with the status, and the body.
struct Wire(RefCell<VecDeque<(u16, String)>>);

impl Wire {
    fn new(data: &[u8]) -> Self {
        let text = String::from_utf8_lossy(data);
        let read = |part: &str| {
            let (status, body) = part.split_once('\n').unwrap_or((part, ""));
            (status.trim().parse().unwrap_or(0), body.to_owned())
        };
        Self(RefCell::new(text.split("\n\n").map(read).collect()))
    }

    fn next(&self) -> Result<(u16, String), TransportError> {
        match self.0.borrow_mut().pop_front() {
            None | Some((0, _)) => Err(TransportError::Unreachable),
            Some(answer) => Ok(answer),
        }
    }
}

impl Transport for &Wire {
    async fn post(&self, _: &str, _: String, _: Duration) -> Result<PostAnswer, TransportError> {
        self.next().map(|(status, body)| PostAnswer { status, body })
    }
}

impl Http for &Wire {
    async fn exchange(&self, _: HttpRequest<'_>) -> Result<HttpAnswer, TransportError> {
        self.next().map(|(status, body)| HttpAnswer { status, body: Some(body) })
    }
}

/// What nodes send: batches, errors, the chain that they are of.
pub fn rpc(data: &[u8]) {
    let wire = Wire::new(data);
    let check = ChainCheck { method: "eth_chainId", expect: Expected::ChainId(84_532) };
    let urls = vec!["https://a.example".into(), "https://b.example".into()];
    let nodes = Nodes::new(&wire, urls, check);
    let calls = ["eth_call", "eth_sendRawTransaction", "eth_blockNumber"];
    let calls = calls.map(|method| Call::new(method, json!([])));
    for _ in 0..2 {
        let Some(Ok(replies)) = nodes.ask(&calls).now_or_never() else { return };
        assert_eq!(replies.len(), calls.len());
        for (reply, call) in replies.iter().zip(&calls) {
            if let Err(error) = reply {
                let _ = error.kind(call.method);
            }
        }
    }
    let _ = nodes.ask_each(&calls[0]).now_or_never();
}

/// What somebody else's facilitator answers to `/verify` and `/settle`.
pub fn settled(data: &[u8]) {
    let wire = Wire::new(data);
    let facilitator = Facilitator {
        url: "https://pay.example".into(),
        headers: vec![],
        auth: None,
        facts: RemoteFacts::default(),
    };
    let _ = facilitator.verify(&&wire, "{}").now_or_never();
    let _ = facilitator.settle(&&wire, ChainId::Evm(84_532), "{}", "key").now_or_never();
}

static PAYMENTS: LazyLock<[VerifiedPayment; 2]> = LazyLock::new(|| {
    [
        evm_support::check(&evm_support::signed(|_| {})).unwrap(),
        permit2_support::check(&permit2_support::signed(|_| {})).unwrap(),
    ]
});

/// What contracts return: ABI.
pub fn abi(data: &[u8]) {
    use evm::abi as it;
    let Some((count, data)) = data.split_first() else { return };
    let payments: Vec<_> = PAYMENTS.iter().collect();
    if let Some(facts) = evm::multicall::read_check(data, &payments) {
        for (facts, payment) in facts.iter().zip(payments) {
            let _ = evm::refusal(facts, payment);
        }
    }
    let count = usize::from(*count);
    let _ = it::decode_aggregate3(data, count);
    let _ = evm::multicall::read_questions(data, count);
    let _ = evm::read_code_sizes(data, count);
    let _ = it::decode_error_string(data);
    let _ = it::decode_address_and_two_bytes(data);
    let _ = (it::decode_uint256(data), it::decode_bool(data), it::decode_is_valid_signature(data));
    PAYMENTS.iter().for_each(|payment| {
        let _ = payment.read_used(data);
    });
}

/// What is kept, and passed between a gate and its Settlers: what was read is written
/// as what is read as the same again.
pub fn kept(data: &[u8]) {
    fn twice<T: FromJson + ToJson>(text: &str) {
        let Ok(read) = json::from_text::<T>(text) else { return };
        let written = json::to_text(&read);
        let again = json::from_text::<T>(&written).map(|it| json::to_text(&it));
        assert_eq!(again.ok(), Some(written));
    }
    let text = String::from_utf8_lossy(data);
    twice::<PaymentRecord>(&text);
    twice::<SettleRequest>(&text);
    twice::<ClaimRequest>(&text);
    twice::<ReplayRecord>(&text);
    twice::<Board>(&text);
    let _ = Overrides::read(&text);
    let Ok(value) = json::from_slice(data) else { return };
    let _ = (refusals::read_counts(&value, 19_675), refusals::read_rows(&value));
    SHOP.with(|shop| {
        let _ = Board::default().read_change(gate_support::config(shop), data, "me");
    });
}

/// A seller's variables and secrets: a mistake is a sentence, whatever it is.
pub fn config(data: &[u8]) {
    let Ok(Value::Object(given)) = json::from_slice(data) else { return };
    let sources = Sources {
        variable: &|name| given.get(name).cloned(),
        secret: &|name| given.get(name).cloned(),
        has_binding: &|_| true,
    };
    let loaded = read(&Settings::collect(&sources, Table::new(), str::to_owned));
    if let Err(faults) = loaded.config {
        assert!(!faults.to_string().is_empty());
    }
}
