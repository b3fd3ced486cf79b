//! JSON of the standard library's types.

use std::rc::Rc;

use serde_json::Value;

use super::{FromJson, ToJson, write_object};

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

/// Wei, for example. A number is written as a text where 64 bits don't hold it,
/// since no reader of JSON takes it for what it is then.
impl ToJson for u128 {
    fn write_json(&self, to: &mut String) {
        let digits = self.to_string();
        if u64::try_from(*self).is_ok() { to.push_str(&digits) } else { digits.write_json(to) }
    }
}

impl FromJson for u128 {
    fn from_json(value: &Value) -> Option<Self> {
        let small = value.as_u64().map(Self::from);
        small.or_else(|| value.as_str().filter(|text| !text.starts_with('+'))?.parse().ok())
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
        for byte in self.bytes() {
            if byte < b' ' || byte == b'"' || byte == b'\\' {
                return to.push_str(&Value::from(*self).to_string());
            }
        }
        // As nearly all are.
        to.push('"');
        to.push_str(self);
        to.push('"');
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

impl<T: ToJson + ?Sized> ToJson for Rc<T> {
    fn write_json(&self, to: &mut String) {
        (**self).write_json(to);
    }
}

impl<T: FromJson> FromJson for Rc<T> {
    fn from_json(value: &Value) -> Option<Self> {
        T::from_json(value).map(Self::new)
    }
}

impl ToJson for Value {
    fn write_json(&self, to: &mut String) {
        match self {
            Self::Null => ().write_json(to),
            Self::Bool(it) => it.write_json(to),
            Self::Number(number) => to.push_str(&number.to_string()),
            Self::String(text) => text.write_json(to),
            Self::Array(items) => items.write_json(to),
            Self::Object(members) => {
                let members: Vec<(&str, &dyn ToJson)> =
                    members.iter().map(|(name, value)| (name.as_str(), value as _)).collect();
                write_object(&members, to);
            }
        }
    }
}

impl FromJson for Value {
    fn from_json(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{parse, to_text};

    #[test]
    fn json_is_written_as_serde_json_writes_it() {
        let texts: Vec<String> =
            (0..=0x2100).filter_map(char::from_u32).map(String::from).collect();
        for text in texts.iter().map(String::as_str).chain(["", "a", "a\"b", "a\\", "\u{1f600}\n"])
        {
            assert_eq!(to_text(&text), json!(text).to_string());
        }
        let value = json!({
            "b": [1, -2, 3.5, 1e300, u64::MAX, true, false, null, [], {}],
            "a": { "\"": "\u{7f}\t", "nested": { "x": ["y", { "z": null }] } },
        });
        assert_eq!(to_text(&value), value.to_string());
        assert_eq!(parse(&to_text(&value)).unwrap(), value);
    }
}
