//! JSON: read strictly, and kept or sent without a second way to read it.
//!
//! `serde_json` bounds nesting and refuses leftovers; it lets a repeated key
//! of a map pass, the last one winning, where another reader may take the
//! first. Whoever checks and whoever settles must never read two payments
//! out of one text, so a repeated key is an error here, at any depth.
//!
//! What is read becomes a [`Value`] first, and types are made from that. Serde's
//! derived readers are compiled anew for every type, some kilobytes each: all of
//! them together were an eighth of what is uploaded. [`json_struct`](crate::json_struct)
//! and [`json_enum`](crate::json_enum) write the same JSON as they did.

mod literal;
#[cfg(test)]
mod tests;
mod types;
mod values;

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

pub use literal::{json, put, value};
pub use types::*;

/// A text that is no JSON, repeats a key, or doesn't say what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the JSON that was expected")
    }
}

impl std::error::Error for Unreadable {}

/// Reads JSON that repeats no key.
///
/// # Errors
/// It is not UTF-8, no JSON, nested too deeply, or repeats a key.
pub fn from_slice(bytes: &[u8]) -> Result<Value, Unreadable> {
    // As a text, like everywhere else: a reader of bytes would be a second
    // copy of all of serde_json in the binary.
    parse(std::str::from_utf8(bytes).map_err(|_| Unreadable)?)
}

/// Reads JSON that repeats no key.
///
/// # Errors
/// It is no JSON, nested too deeply, or repeats a key.
pub fn parse(text: &str) -> Result<Value, Unreadable> {
    match serde_json::from_str(text) {
        Ok(UniqueKeys(value)) => Ok(value),
        Err(_) => Err(Unreadable),
    }
}

/// A whole number that is not negative, however it is spelled: some clients
/// write `300.0`.
pub fn whole_number(value: &Value) -> Option<u64> {
    /// Up to here a number of this type has no neighbour that is left out.
    const EXACT_TO: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|it| it.fract() == 0.0)?;
        // In this range nothing is lost.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        (0.0..=EXACT_TO).contains(&number).then_some(number as u64)
    })
}

/// Any JSON whose objects repeat no key.
struct UniqueKeys(Value);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueKeysVisitor)
    }
}

struct UniqueKeysVisitor;

impl<'de> Visitor<'de> for UniqueKeysVisitor {
    type Value = UniqueKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated keys")
    }

    fn visit_bool<E>(self, value: bool) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys(value.into()))
    }

    fn visit_unit<E>(self) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<UniqueKeys, A::Error> {
        let mut list = vec![];
        while let Some(UniqueKeys(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(UniqueKeys(Value::Array(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<UniqueKeys, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom("duplicate key"));
            }
            let UniqueKeys(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(UniqueKeys(Value::Object(map)))
    }
}

#[cfg(test)]
mod read_strictly {
    use super::*;

    #[test]
    fn whole_numbers_may_have_a_point() {
        for (text, number) in [
            ("300", Some(300)),
            ("300.0", Some(300)),
            ("3e2", Some(300)),
            ("0.0", Some(0)),
            ("300.5", None),
            ("-1", None),
            ("-1.0", None),
            ("1e300", None),
            ("\"300\"", None),
            ("null", None),
        ] {
            assert_eq!(whole_number(&from_slice(text.as_bytes()).unwrap()), number, "{text}");
        }
    }

    #[test]
    fn repeated_keys_are_refused_at_any_depth() {
        assert!(from_slice(br#"{"a":1,"b":{"a":2}}"#).is_ok());
        for wrong in [
            r#"{"a":1,"a":1}"#,
            r#"{"x":[{"a":1,"b":2,"a":3}]}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":1"#,
            r#"{"a":1}x"#,
            &"[".repeat(100_000),
        ] {
            assert!(from_slice(wrong.as_bytes()).is_err(), "{wrong:.40}");
        }
    }
}
