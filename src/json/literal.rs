//! JSON that is written out in code.

use serde::Serialize;
use serde_json::{Map, Value};

/// A [`Value`] as JSON spells it, with expressions in place of values and names. As
/// `serde_json::json!`, but for what each member comes to in code: that one's takes a
/// name, a result and a map's former value apart wherever one stands.
#[macro_export]
macro_rules! json_literal {
    (@members $map:ident) => {};
    (@members $map:ident $name:tt: null $(, $($rest:tt)*)?) => {
        $crate::json::put(&mut $map, $name.as_ref(), serde_json::Value::Null);
        $crate::json_literal!(@members $map $($($rest)*)?);
    };
    (@members $map:ident $name:tt: {$($inner:tt)*} $(, $($rest:tt)*)?) => {
        $crate::json::put(&mut $map, $name.as_ref(), $crate::json_literal!({$($inner)*}));
        $crate::json_literal!(@members $map $($($rest)*)?);
    };
    (@members $map:ident $name:tt: [$($inner:tt)*] $(, $($rest:tt)*)?) => {
        $crate::json::put(&mut $map, $name.as_ref(), $crate::json_literal!([$($inner)*]));
        $crate::json_literal!(@members $map $($($rest)*)?);
    };
    (@members $map:ident $name:tt: $value:expr $(, $($rest:tt)*)?) => {
        $crate::json::put(&mut $map, $name.as_ref(), $crate::json::value(&$value));
        $crate::json_literal!(@members $map $($($rest)*)?);
    };
    (@items [$($done:expr,)*]) => { vec![$($done),*] };
    (@items [$($done:expr,)*] null $(, $($rest:tt)*)?) => {
        $crate::json_literal!(@items [$($done,)* serde_json::Value::Null,] $($($rest)*)?)
    };
    (@items [$($done:expr,)*] {$($inner:tt)*} $(, $($rest:tt)*)?) => {
        $crate::json_literal!(@items [$($done,)* $crate::json_literal!({$($inner)*}),] $($($rest)*)?)
    };
    (@items [$($done:expr,)*] [$($inner:tt)*] $(, $($rest:tt)*)?) => {
        $crate::json_literal!(@items [$($done,)* $crate::json_literal!([$($inner)*]),] $($($rest)*)?)
    };
    (@items [$($done:expr,)*] $value:expr $(, $($rest:tt)*)?) => {
        $crate::json_literal!(@items [$($done,)* $crate::json::value(&$value),] $($($rest)*)?)
    };
    (null) => { serde_json::Value::Null };
    ([$($items:tt)*]) => {
        serde_json::Value::Array($crate::json_literal!(@items [] $($items)*))
    };
    ({}) => { serde_json::Value::Object(serde_json::Map::new()) };
    ({$($members:tt)+}) => {{
        let mut map = serde_json::Map::new();
        $crate::json_literal!(@members map $($members)+);
        serde_json::Value::Object(map)
    }};
    ($value:expr) => { $crate::json::value(&$value) };
}

pub use crate::json_literal as json;

/// A member more in an object that [`json!`] writes out.
pub fn put(object: &mut Map<String, Value>, name: &str, value: Value) {
    object.insert(name.to_owned(), value);
}

/// A value that [`json!`] holds. None of those here fails to become one.
pub fn value<T: Serialize + ?Sized>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json as theirs;

    use super::json;

    #[test]
    fn it_is_what_serde_json_makes() {
        const NAME: &str = "named";
        let (name, number, list) = (String::from("computed"), u128::from(u64::MAX), vec![1, 2]);
        macro_rules! literal {
            ($json:ident) => {
                $json!({
                    "text": "a\"b",
                    NAME: null,
                    (name.as_str()): { "inner": {}, "list": [] },
                    "list": [null, { "a": [1, [2]] }, [list[0], list.len()], number, Some(name.as_str())],
                    "calls": list.iter().map(|it| it * 2).collect::<Vec<_>>(),
                    "none": None::<u8>,
                    "sum": 1 + 2,
                    "is": true,
                })
            };
        }
        assert_eq!(literal!(json), literal!(theirs));
        assert_eq!(json!(null), serde_json::Value::Null);
        assert_eq!(json!([1, "x",]), theirs!([1, "x"]));
        assert_eq!(json!(name), theirs!("computed"));
        assert_eq!(json!({ "a": 1, "a": 2 }), theirs!({ "a": 2 }));
    }
}
