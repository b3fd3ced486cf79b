//! Whose wallet asks: a text that it has signed for this shop (CAIP-122; x402's
//! extension `sign-in-with-x`), by which what is free for each wallet is counted.
//!
//! No chain is asked, so the signature of a contract says nothing here. The text
//! has a nonce that only this shop writes, for one route and five minutes, so
//! nobody signs in advance, or for another shop.

use serde_json::Value;

use super::quota::key_of;
use super::{Head, Sale};
use crate::config::Config;
use crate::encoding::{decode_base58, decode_base64, decode_hex, encode_hex};
use crate::evm::{self, keccak256};
use crate::json;
use crate::mac;
use crate::path::UrlParts;
use crate::solana;
use crate::time::UnixSeconds;

/// The header in which a client shows what it has signed: base64 of JSON.
pub const SIGN_IN_HEADER: &str = "Sign-In-With-X";

/// The longest that is read, in bytes.
const MAX_PROOF: usize = 4_096;

/// How long a nonce is good, in seconds: what the reference takes.
const LIFE: u64 = 300;

/// How many digits of a nonce say when it was made: seconds, in hex.
const TIME_DIGITS: usize = 9;

/// What a challenge gives a wallet to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// The time in hex, and a code of it and of the route.
    pub nonce: String,
    /// The same time, as clients write it that go by JavaScript.
    pub issued_at: String,
}

impl SignIn {
    fn new(config: &Config, route: &str, at: UnixSeconds) -> Option<Self> {
        let time = format!("{:0TIME_DIGITS$x}", at.0);
        let code = mac::code_of(key_of(config), &["edge402 sign-in 1", &time, route])?;
        let code = encode_hex(&code);
        Some(Self { nonce: time + code.get(2..34)?, issued_at: at.iso8601().replace('Z', ".000Z") })
    }
}

impl Sale<'_> {
    /// What a wallet may sign now to have what is free here.
    pub fn sign_in(&self, config: &Config, now: UnixSeconds) -> Option<SignIn> {
        self.is_counted_by_wallet().then(|| SignIn::new(config, &self.route.full_name, now))?
    }

    /// Whether something is free here of each wallet.
    pub fn is_counted_by_wallet(&self) -> bool {
        self.route.free.is_some_and(|it| it.by_wallet)
    }

    /// The wallet that has signed for this: `eip155/0x…`, in small letters, or
    /// `solana/…`.
    pub fn wallet(&self, config: &Config, head: &impl Head, now: UnixSeconds) -> Option<String> {
        let header = head.header(SIGN_IN_HEADER).filter(|it| it.len() <= MAX_PROOF)?;
        let proof: Value = json::from_slice(&decode_base64(&header, MAX_PROOF).ok()?).ok()?;
        let said = |name: &str| proof.get(name).and_then(Value::as_str).unwrap_or_default();
        let own = UrlParts::of(&self.url).origin;
        let (_, domain) = own.split_once("://")?;
        let nonce = said("nonce");
        let at = UnixSeconds(u64::from_str_radix(nonce.get(..TIME_DIGITS)?, 16).ok()?);
        let SignIn { nonce: ours, issued_at } = SignIn::new(config, &self.route.full_name, at)?;
        let chain = said("chainId");
        let is_good = said("domain") == domain
            && UrlParts::of(said("uri")).origin == own
            && ours == nonce
            && said("issuedAt") == issued_at
            && said("version") == "1"
            && at <= now
            && now.since(at) <= LIFE
            && self.route.offers.iter().any(|it| it.v2.network.to_string() == chain);
        if !is_good {
            return None;
        }
        let (kind, reference) = chain.split_once(':')?;
        let (named, blank) = if kind == "solana" { ("Solana", "") } else { ("Ethereum", "\n") };
        let (address, uri) = (said("address"), said("uri"));
        // EIP-4361 without a statement, and what is made of it for Solana.
        let text = format!(
            "{domain} wants you to sign in with your {named} account:\n{address}\n{blank}\n\
             URI: {uri}\nVersion: 1\nChain ID: {reference}\nNonce: {nonce}\nIssued At: {issued_at}"
        );
        let who = if kind == "solana" {
            solana_signer(address, said("signature"), &text)
        } else {
            evm_signer(address, said("signature"), &text)
        };
        Some(format!("{kind}/{}", who?))
    }
}

fn solana_signer(address: &str, signature: &str, text: &str) -> Option<String> {
    let key = solana::Pubkey(decode_base58(address).ok()?);
    let signature = solana::Signature(decode_base58(signature).ok()?);
    signature.is_by(&key, text.as_bytes()).then(|| address.to_owned())
}

/// EIP-191, version 0x45.
fn evm_signer(address: &str, signature: &str, text: &str) -> Option<String> {
    let signature = evm::Signature::from_bytes(&decode_hex(signature).ok()?).ok()?;
    let signed = format!("\u{19}Ethereum Signed Message:\n{}{text}", text.len());
    let wallet = signature.recover(&keccak256(signed.as_bytes()))?;
    (address.parse() == Ok(wallet)).then(|| wallet.to_lower_hex())
}
