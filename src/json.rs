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

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

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

/// Reads a value from the JSON that [`to_text`] wrote, by this release or an
/// earlier one.
///
/// # Errors
/// It is no JSON, or not such a value's.
pub fn from_text<T: FromJson>(text: &str) -> Result<T, Unreadable> {
    T::from_json(&parse(text)?).ok_or(Unreadable)
}

/// A value as JSON.
pub fn to_text(value: &dyn ToJson) -> String {
    let mut text = String::new();
    value.write_json(&mut text);
    text
}

/// The same, as a [`Value`].
pub fn to_value(value: &dyn ToJson) -> Value {
    parse(&to_text(value)).unwrap_or_default()
}

/// What can be written as JSON.
pub trait ToJson {
    /// Writes it behind what is there.
    fn write_json(&self, to: &mut String);

    /// Whether an object leaves out a member with this value.
    fn is_absent(&self) -> bool {
        false
    }
}

/// What can be read from JSON.
pub trait FromJson: Sized {
    /// Reads it; `None` if this is something else.
    fn from_json(value: &Value) -> Option<Self>;

    /// What it is where an object has no such member; `None` if it must have one.
    fn absent() -> Option<Self> {
        None
    }
}

/// A member of an object, or what its absence means.
pub fn member<T: FromJson>(object: &Value, name: &str) -> Option<T> {
    match object.get(name) {
        Some(value) => T::from_json(value),
        None => T::absent(),
    }
}

/// A member that an earlier release didn't write, or its default.
pub fn member_or_default<T: FromJson + Default>(object: &Value, name: &str) -> Option<T> {
    match object.get(name) {
        Some(value) => T::from_json(value),
        None => Some(T::default()),
    }
}

/// Writes an object of these members, in their order.
pub fn write_object(members: &[(&str, &dyn ToJson)], to: &mut String) {
    to.push('{');
    let mut is_first = true;
    for (name, value) in members.iter().filter(|(_, value)| !value.is_absent()) {
        if !is_first {
            to.push(',');
        }
        is_first = false;
        name.write_json(to);
        to.push(':');
        value.write_json(to);
    }
    to.push('}');
}

/// The name of an enum's variant, and what it holds: `"Name"` or
/// `{"Name": what}`.
pub fn variant(value: &Value) -> Option<(&str, &Value)> {
    match value {
        Value::String(name) => Some((name, &Value::Null)),
        Value::Object(members) if members.len() == 1 => {
            members.iter().next().map(|(name, inner)| (name.as_str(), inner))
        }
        _ => None,
    }
}

/// Writes `{"name": inner}`, or `"name"` for a variant that holds nothing.
pub fn write_variant(name: &str, inner: Option<&dyn ToJson>, to: &mut String) {
    match inner {
        None => name.write_json(to),
        Some(inner) => write_object(&[(name, inner)], to),
    }
}

/// The members of a variant that has names for them.
pub struct Members<'a>(pub &'a [(&'a str, &'a dyn ToJson)]);

impl ToJson for Members<'_> {
    fn write_json(&self, to: &mut String) {
        write_object(self.0, to);
    }
}

/// A member that is there even if it is `null`.
pub struct Always<'a, T>(pub &'a T);

impl<T: ToJson> ToJson for Always<'_, T> {
    fn write_json(&self, to: &mut String) {
        self.0.write_json(to);
    }
}

/// Makes a struct readable from and writable as a JSON object. Its fields stand
/// in the order in which they are written; `as "name"` says what a member is
/// called if not like its field, `= default` that it may be missing, and
/// `= null` that it is written even if it holds nothing.
#[macro_export]
macro_rules! json_struct {
    ($type:ident { $($field:ident $(as $name:literal)? $(= $default:ident)?),* $(,)? }) => {
        impl $crate::json::ToJson for $type {
            fn write_json(&self, to: &mut String) {
                $crate::json::write_object(
                    &[$((
                        $crate::json_struct!(@name $field $($name)?),
                        $crate::json_struct!(@value self $field $($default)?),
                    )),*],
                    to,
                );
            }
        }

        impl $crate::json::FromJson for $type {
            fn from_json(value: &serde_json::Value) -> Option<Self> {
                Some(Self {
                    $($field: $crate::json_struct!(@read $($default)?)(
                        value,
                        $crate::json_struct!(@name $field $($name)?),
                    )?),*
                })
            }
        }
    };
    (@name $field:ident $name:literal) => { $name };
    (@name $field:ident) => { stringify!($field) };
    (@value $self:ident $field:ident null) => { &$crate::json::Always(&$self.$field) };
    (@value $self:ident $field:ident $($default:ident)?) => { &$self.$field };
    (@read null) => { $crate::json::member };
    (@read default) => { $crate::json::member_or_default };
    (@read) => { $crate::json::member };
}

/// Makes an enum readable from and writable as JSON: `"Variant"`,
/// `{"Variant": inner}` or `{"Variant": {"field": …}}`.
#[macro_export]
macro_rules! json_enum {
    ($type:ident { $($variant:ident $(($inner:ident))? $({ $($field:ident),* })?),* $(,)? }) => {
        impl $crate::json::ToJson for $type {
            fn write_json(&self, to: &mut String) {
                match self {
                    $(Self::$variant $(($inner))? $({ $($field),* })? => {
                        let inner: Option<&dyn $crate::json::ToJson> = None;
                        $(let inner: Option<&dyn $crate::json::ToJson> = {
                            let _ = inner;
                            Some($inner)
                        };)?
                        $(
                            let members: &[(&str, &dyn $crate::json::ToJson)] =
                                &[$((stringify!($field), $field)),*];
                            let members = $crate::json::Members(members);
                            let inner: Option<&dyn $crate::json::ToJson> = {
                                let _ = inner;
                                Some(&members)
                            };
                        )?
                        $crate::json::write_variant(stringify!($variant), inner, to);
                    })*
                }
            }
        }

        impl $crate::json::FromJson for $type {
            fn from_json(value: &serde_json::Value) -> Option<Self> {
                let (name, inner) = $crate::json::variant(value)?;
                let _ = inner;
                match name {
                    $(stringify!($variant) => Some(
                        Self::$variant
                        $(({
                            let $inner = $crate::json::FromJson::from_json(inner)?;
                            $inner
                        }))?
                        $({ $($field: $crate::json::member(inner, stringify!($field))?),* })?
                    ),)*
                    _ => None,
                }
            }
        }
    };
}

/// Makes a type that is written and read as text a JSON string; also for
/// serde's [`json!`](serde_json::json).
#[macro_export]
macro_rules! json_text {
    ($($type:ty),*) => {$(
        impl $crate::json::ToJson for $type {
            fn write_json(&self, to: &mut String) {
                self.to_string().write_json(to);
            }
        }

        impl $crate::json::FromJson for $type {
            fn from_json(value: &serde_json::Value) -> Option<Self> {
                value.as_str()?.parse().ok()
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(|_| serde::de::Error::custom($crate::json::Unreadable))
            }
        }
    )*};
}

macro_rules! json_number {
    ($($type:ty),*) => {$(
        impl ToJson for $type {
            fn write_json(&self, to: &mut String) {
                to.push_str(&self.to_string());
            }
        }

        impl FromJson for $type {
            fn from_json(value: &Value) -> Option<Self> {
                value.as_u64()?.try_into().ok()
            }
        }
    )*};
}

json_number!(u8, u32, u64, usize);

/// Wei, for example: below 2^64, as everything here is that is kept as a number.
impl ToJson for u128 {
    fn write_json(&self, to: &mut String) {
        to.push_str(&self.to_string());
    }
}

impl FromJson for u128 {
    fn from_json(value: &Value) -> Option<Self> {
        value.as_u64().map(Self::from)
    }
}

impl ToJson for bool {
    fn write_json(&self, to: &mut String) {
        to.push_str(if *self { "true" } else { "false" });
    }
}

impl FromJson for bool {
    fn from_json(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

/// An answer that says nothing but that there is one.
impl ToJson for () {
    fn write_json(&self, to: &mut String) {
        to.push_str("null");
    }
}

impl FromJson for () {
    fn from_json(value: &Value) -> Option<Self> {
        value.as_null()
    }
}

impl ToJson for &str {
    fn write_json(&self, to: &mut String) {
        to.push_str(&Value::from(*self).to_string());
    }
}

impl ToJson for String {
    fn write_json(&self, to: &mut String) {
        self.as_str().write_json(to);
    }
}

impl FromJson for String {
    fn from_json(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn write_json(&self, to: &mut String) {
        match self {
            Some(value) => value.write_json(to),
            None => to.push_str("null"),
        }
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_json(value).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn write_json(&self, to: &mut String) {
        to.push('[');
        for (place, item) in self.iter().enumerate() {
            if place > 0 {
                to.push(',');
            }
            item.write_json(to);
        }
        to.push(']');
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::from_json).collect()
    }
}

impl<T: ToJson + ?Sized> ToJson for Box<T> {
    fn write_json(&self, to: &mut String) {
        (**self).write_json(to);
    }
}

impl<T: FromJson> FromJson for Box<T> {
    fn from_json(value: &Value) -> Option<Self> {
        T::from_json(value).map(Self::new)
    }
}

impl ToJson for Value {
    fn write_json(&self, to: &mut String) {
        to.push_str(&self.to_string());
    }
}

impl FromJson for Value {
    fn from_json(value: &Value) -> Option<Self> {
        Some(value.clone())
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
mod tests {
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

#[cfg(test)]
mod written {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Record {
        first_name: String,
        count: u64,
        missing: Option<u32>,
        kept: Option<u32>,
        list: Vec<bool>,
        state: State,
    }
    json_struct!(Record {
        first_name as "firstName",
        count = default,
        missing,
        kept = null,
        list,
        state
    });

    #[derive(Debug, PartialEq)]
    enum State {
        Idle,
        Named(String),
        Busy { since: u64, by: Option<String> },
    }
    json_enum!(State { Idle, Named(name), Busy { since, by } });

    fn record(state: State) -> Record {
        let list = vec![true, false];
        Record {
            first_name: "a\"<\n".into(),
            count: u64::MAX,
            missing: None,
            kept: None,
            list,
            state,
        }
    }

    #[test]
    fn structs_and_enums_look_as_serde_wrote_them() {
        let rest = r#"{"firstName":"a\"<\n","count":18446744073709551615,"kept":null,"list":[true,false],"state":"#;
        for (state, json) in [
            (State::Idle, r#""Idle""#),
            (State::Named("x".into()), r#"{"Named":"x"}"#),
            (State::Busy { since: 1, by: None }, r#"{"Busy":{"since":1}}"#),
            (State::Busy { since: 1, by: Some("y".into()) }, r#"{"Busy":{"since":1,"by":"y"}}"#),
        ] {
            let record = record(state);
            let text = to_text(&record);
            assert_eq!(text, format!("{rest}{json}}}"));
            assert_eq!(from_text::<Record>(&text), Ok(record));
        }
    }

    #[test]
    fn what_may_be_missing_is_its_default_and_nothing_else_may() {
        let read = |text: &str| from_text::<Record>(text);
        let whole = r#"{"firstName":"a","list":[],"state":"Idle"}"#;
        assert_eq!(read(whole).map(|it| (it.count, it.missing, it.kept)), Ok((0, None, None)));
        for wrong in [
            r#"{"list":[],"state":"Idle"}"#,
            r#"{"firstName":7,"list":[],"state":"Idle"}"#,
            r#"{"firstName":"a","list":null,"state":"Idle"}"#,
            r#"{"firstName":"a","list":[1],"state":"Idle"}"#,
            r#"{"firstName":"a","list":[],"state":"Other"}"#,
            r#"{"firstName":"a","list":[],"state":{"Idle":null,"Named":"x"}}"#,
            r#"{"firstName":"a","list":[],"state":{"Busy":{}}}"#,
            r#"{"firstName":"a","count":-1,"list":[],"state":"Idle"}"#,
            r#"{"firstName":"a","firstName":"b","list":[],"state":"Idle"}"#,
            "[]",
        ] {
            assert_eq!(read(wrong), Err(Unreadable), "{wrong}");
        }
    }
}
