//! `SALES` and the secret `DESK_TOKENS`: the seller's own view of the sales.

use std::time::Duration;

use serde_json::Value;

use super::DEFAULT_KEEP;
use super::facilitator::TokenHash;
use super::fields::{Fields, Report};
use super::read_route::read_duration;

const KNOWN: &[&str] = &["keep"];

/// What the seller sees of the sales, and for how long.
#[derive(Debug)]
pub struct Desk {
    /// For how long a sale is kept.
    pub keep: Duration,
    /// Who may look; empty if nobody may.
    tokens: Vec<TokenHash>,
}

impl Desk {
    /// Whether anybody may look.
    pub const fn is_open(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// The hashes of those who may look.
    pub fn tokens(&self) -> &[TokenHash] {
        &self.tokens
    }

    /// The hash of a token, if it is one of them.
    pub fn hash_of(&self, token: &str) -> Option<&TokenHash> {
        TokenHash::of(&self.tokens, token)
    }

    /// The hash of the token in an `Authorization` header (RFC 6750, section
    /// 2.1), if it is one of them.
    pub fn lets_in(&self, authorization: Option<&str>) -> Option<&TokenHash> {
        let (scheme, token) = authorization?.trim().split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") { self.hash_of(token.trim()) } else { None }
    }

    /// Reads the variable `SALES` and the secret `DESK_TOKENS`.
    pub(super) fn read(value: Option<&Value>, secret: Option<&str>, faults: &Report) -> Self {
        let keep = value.filter(|value| !value.is_null()).and_then(|value| {
            let fields = Fields::new("SALES".into(), value, KNOWN, faults);
            read_duration(&fields, "keep")
        });
        let keep = keep.unwrap_or(DEFAULT_KEEP);
        let parts = secret.unwrap_or_default().split(',').map(str::trim);
        let mut tokens = vec![];
        for (n, part) in parts.filter(|it| !it.is_empty()).enumerate() {
            match TokenHash::read(part, "must be 64 hex digits: the SHA-256 of a token") {
                Ok(hash) => tokens.push(hash),
                Err(problem) => {
                    faults.add("DESK_TOKENS", format!("entry {} {problem}", n + 1));
                }
            }
        }
        Self { keep, tokens }
    }
}
