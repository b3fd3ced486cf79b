//! What [`json_struct`] and [`json_enum`] write and read.

use super::*;
use crate::{json_enum, json_struct};

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
    Record { first_name: "a\"<\n".into(), count: u64::MAX, missing: None, kept: None, list, state }
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

#[test]
fn large_numbers_are_texts_beyond_what_other_readers_take() {
    for (number, text) in [
        (0_u128, "0"),
        (u128::from(u64::MAX), "18446744073709551615"),
        (u128::from(u64::MAX) + 1, "\"18446744073709551616\""),
        (u128::MAX, "\"340282366920938463463374607431768211455\""),
    ] {
        assert_eq!(to_text(&number), text);
        assert_eq!(from_text::<u128>(text), Ok(number));
    }
    for wrong in ["-1", "1.5", "\"x\"", "\"-1\"", "\"+1\"", "18446744073709551616", "null"] {
        assert_eq!(from_text::<u128>(wrong), Err(Unreadable), "{wrong}");
    }
}
