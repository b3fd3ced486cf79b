//! Types that are kept or sent as JSON.

use serde_json::Value;

use super::{Unreadable, parse};

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
