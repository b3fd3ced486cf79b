//! Who has signed a request: the directories of agents' hosts, and the
//! signatures that were seen.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use worker::console_log;

use super::clock;
use super::head::RequestHead;
use super::transport::FetchTransport;
use crate::config::Loaded;
use crate::facilitator_client::{Http as _, HttpRequest};
use crate::gate::Head as _;
use crate::gate::nonces::Nonces;
use crate::gate::signed::{AgentKey, SignedRequest, read_directory, signed_request};
use crate::table::Table;
use crate::time::UnixSeconds;

/// How long a directory may take; it has as many bytes as an answer of a
/// facilitator at most.
const TIMEOUT: Duration = Duration::from_secs(5);

/// For how long a directory is not asked for again: one that was had, and one
/// that could not be.
const FRESH_MS: u64 = 600_000;
const PAUSE_MS: u64 = 30_000;

/// How many ask for one directory at the same time: nobody can wait for what
/// another request asks.
const MOST_ASKING: u32 = 8;

thread_local! {
    /// What the hosts last said. There are as many as the configuration names.
    static DIRECTORIES: RefCell<Table<String, Directory>> = const { RefCell::new(Table::new()) };
    static NONCES: RefCell<Nonces> = const { RefCell::new(Nonces::new()) };
}

/// What a host last said.
#[derive(Clone, Default)]
struct Directory {
    keys: Rc<Vec<AgentKey>>,
    /// When it came, or failed to come.
    at_ms: u64,
    /// Since when some have been asking, and how many.
    asking_since_ms: u64,
    asking: u32,
}

/// The host whose key has signed a request, where its route asks for that.
pub(super) async fn signer_of(loaded: &Loaded, head: &RequestHead) -> Option<String> {
    let now = clock::now();
    let signed = signed_request(loaded, head, now)?;
    let keys = keys_of(&signed).await?;
    (signed.is_by_one_of(&keys, now) && is_new(&signed, head, now)).then_some(signed.host)
}

async fn keys_of(signed: &SignedRequest) -> Option<Rc<Vec<AgentKey>>> {
    let host = &signed.host;
    let now = clock::now_ms();
    let mut known = DIRECTORIES.with_borrow(|all| all.get(host).cloned()).unwrap_or_default();
    let pause = if known.keys.is_empty() { PAUSE_MS } else { FRESH_MS };
    if known.at_ms > 0 && now.saturating_sub(known.at_ms) < pause {
        return Some(known.keys);
    }
    if now.saturating_sub(known.asking_since_ms) > 2 * PAUSE_MS {
        known.asking = 0;
        known.asking_since_ms = now;
    }
    if known.asking >= MOST_ASKING {
        return (!known.keys.is_empty()).then_some(known.keys);
    }
    known.asking += 1;
    keep(host, known);
    let request = HttpRequest {
        url: signed.directory(),
        headers: vec![],
        auth: None,
        body: None,
        timeout: TIMEOUT,
    };
    let answer = FetchTransport.exchange(request).await.ok();
    let text = answer.filter(|it| it.status == 200).and_then(|it| it.body);
    let keys = Rc::new(text.as_deref().map(read_directory).unwrap_or_default());
    if keys.is_empty() {
        console_log!("signed:{}: its directory of keys can't be had", host.as_str());
    }
    let had = Directory { keys: Rc::clone(&keys), at_ms: clock::now_ms(), ..Directory::default() };
    keep(host, had);
    Some(keys)
}

fn keep(host: &str, directory: Directory) {
    DIRECTORIES.with_borrow_mut(|all| all.insert(host.to_owned(), directory));
}

/// Whether a signature's nonce counts, if it has one.
fn is_new(signed: &SignedRequest, head: &RequestHead, now: UnixSeconds) -> bool {
    let Some(nonce) = &signed.nonce else { return true };
    let request = (head.method(), head.url());
    NONCES.with_borrow_mut(|all| all.take((&signed.host, nonce), request, signed.expires_at, now))
}
