//! Reading a body field by field, so that whoever sent it is told which one to
//! change.

use serde_json::{Map, Value};

use crate::amount::AtomicAmount;
use crate::json;
use crate::protocol::Reason;

/// A field of a request that can't be read or can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    /// Where it stands: `paymentRequirements.payTo`; `body` for all of it.
    pub field: String,
    /// What it must be.
    pub problem: &'static str,
    /// The nearest reason code.
    pub reason: Reason,
}

impl std::fmt::Display for BadRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.field, self.problem)
    }
}

impl std::error::Error for BadRequest {}

/// A JSON object within a body.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// Where it stands; empty for the body itself.
    path: String,
    members: &'a Map<String, Value>,
    reason: Reason,
}

/// Reads a body: one JSON object that repeats no key at any depth.
pub fn read_body(bytes: &[u8]) -> Result<Map<String, Value>, BadRequest> {
    let bad =
        |problem| BadRequest { field: "body".into(), problem, reason: Reason::InvalidPayload };
    match json::from_slice(bytes) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(bad("must be a JSON object")),
        Err(_) => Err(bad("must be JSON that repeats no key")),
    }
}

/// Said of an amount that is none, or 0 where something must be paid.
const NO_AMOUNT: &str = "must be a decimal text of atomic units above 0";

impl<'a> Fields<'a> {
    /// The members of an object. What is wrong with one goes by this reason
    /// code.
    pub const fn new(path: String, members: &'a Map<String, Value>, reason: Reason) -> Self {
        Self { path, members, reason }
    }

    /// A complaint about a member.
    pub fn bad(&self, name: &str, problem: &'static str) -> BadRequest {
        BadRequest { field: self.path_of(name), problem, reason: self.reason }
    }

    /// A member, unless it is missing or null.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// Whether a member is there, and not null.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// An amount in atomic units, above 0, that is needed.
    pub fn amount(&self, name: &str) -> Result<AtomicAmount, BadRequest> {
        let amount = self.amount_or_nothing(name)?;
        if amount.0 > 0 { Ok(amount) } else { Err(self.bad(name, NO_AMOUNT)) }
    }

    /// An amount that may be 0.
    pub fn amount_or_nothing(&self, name: &str) -> Result<AtomicAmount, BadRequest> {
        self.text(name)?.parse().map_err(|_| self.bad(name, NO_AMOUNT))
    }

    /// A text that is needed.
    pub fn text(&self, name: &str) -> Result<&'a str, BadRequest> {
        match self.get(name) {
            None => Err(self.bad(name, "is needed")),
            Some(value) => value.as_str().ok_or_else(|| self.bad(name, "must be a text")),
        }
    }

    /// An object that may be left out.
    pub fn object(&self, name: &str, reason: Reason) -> Result<Option<Fields<'a>>, BadRequest> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let Some(members) = value.as_object() else {
            return Err(BadRequest { reason, ..self.bad(name, "must be an object") });
        };
        Ok(Some(Fields::new(self.path_of(name), members, reason)))
    }

    /// An object that is needed.
    pub fn needed(&self, name: &str, reason: Reason) -> Result<Fields<'a>, BadRequest> {
        let missing = BadRequest { reason, ..self.bad(name, "is needed") };
        self.object(name, reason)?.ok_or(missing)
    }

    /// Where a member stands.
    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}
