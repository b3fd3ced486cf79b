//! The meters, against `serde_json` and a plain reader of events, however the
//! answer is cut into chunks.

use std::fmt::Write as _;

use edge402::meter::{Counter, Path, Quantity, Reading, What};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

fn usage() -> What {
    What::Json("usage.total_tokens".parse::<Path>().unwrap())
}

fn read_in(kind: &str, text: &[u8], cuts: &[usize]) -> Reading {
    let mut counter = Counter::new(&usage(), kind);
    let mut rest = text;
    for cut in cuts {
        let (chunk, left) = rest.split_at(cut % (rest.len() + 1));
        counter.take(chunk);
        rest = left;
    }
    counter.take(rest);
    counter.reading()
}

fn read_json(text: &str) -> Reading {
    read_in("application/json; charset=utf-8", text.as_bytes(), &[])
}

fn read_events(text: &str) -> Reading {
    read_in("text/event-stream", text.as_bytes(), &[])
}

fn used(count: u64) -> Reading {
    Reading::Used(Quantity::whole(count))
}

/// What a reader of the whole text finds.
fn expected(text: &str) -> Reading {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Reading::Nothing };
    match value.pointer("/usage/total_tokens") {
        None | Some(Value::Null) => Reading::Nothing,
        Some(Value::Number(number)) if number.is_u64() => used(number.as_u64().unwrap()),
        Some(_) => Reading::Unreadable,
    }
}

/// Any JSON, with names that are, nearly are, or are spelled like those that are
/// looked for.
fn document() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("usage".to_owned()),
        Just("total_tokens".to_owned()),
        Just("usage.total_tokens".to_owned()),
        Just("total_token".to_owned()),
        Just("us\"age\\".to_owned()),
        Just("\u{1f600}".to_owned()),
        "[a-z]{0,12}",
    ];
    let leaf = prop_oneof![
        any::<u32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        any::<String>().prop_map(Value::from),
        Just(json!("{\"usage\":{\"total_tokens\":5}}")),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name.clone(), inner.clone()), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
            inner.clone().prop_map(|it| json!({ "usage": it })),
            inner.prop_map(|it| json!({ "a": [it.clone()], "usage": { "total_tokens": it } })),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_scan_finds_what_a_reader_of_the_whole_finds(
        document in document(),
        is_pretty in any::<bool>(),
        cuts in vec(0_usize..40, 0..12),
    ) {
        let text = if is_pretty {
            serde_json::to_string_pretty(&document).unwrap()
        } else {
            document.to_string()
        };
        let found = read_in("application/json", text.as_bytes(), &cuts);
        prop_assert_eq!(found, expected(&text), "{}", text);
    }

    #[test]
    fn an_event_stream_says_what_its_last_event_with_an_amount_says(
        documents in vec(document(), 0..5),
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        cuts in vec(0_usize..40, 0..12),
    ) {
        let mut stream = format!(": a comment{end}");
        let mut last = Reading::Nothing;
        for document in &documents {
            let text = serde_json::to_string_pretty(document).unwrap();
            for line in text.split('\n') {
                write!(stream, "data: {line}{end}").unwrap();
            }
            write!(stream, "event: x{end}id:5{end}{end}data:[DONE]{end}{end}").unwrap();
            let said = expected(&text);
            if said != Reading::Nothing {
                last = said;
            }
        }
        let found = read_in("Text/Event-Stream; charset=utf-8", stream.as_bytes(), &cuts);
        prop_assert_eq!(found, last, "{}", stream);
    }

    #[test]
    fn no_bytes_break_a_meter(
        bytes in vec(any::<u8>(), 0..300),
        cuts in vec(0_usize..40, 0..5),
        is_stream in any::<bool>(),
    ) {
        let kind = if is_stream { "text/event-stream" } else { "application/json" };
        let whole = read_in(kind, &bytes, &[]);
        prop_assert_eq!(read_in(kind, &bytes, &cuts), whole);
    }
}

#[test]
fn names_may_be_spelled_with_escapes() {
    assert_eq!(read_json(r#"{"\u0075sage":{"total\u005ftokens":7}}"#), used(7));
    assert_eq!(read_json(r#"{"usage\ud83d\ude00":{"total_tokens":7}}"#), Reading::Nothing);
    assert_eq!(read_json(r#"{"usage\ud83d":{"total_tokens":7}}"#), Reading::Nothing);
}

#[test]
fn numbers_may_have_a_point_and_an_exponent() {
    let of = |number: &str| read_json(&format!("{{\"usage\":{{\"total_tokens\":{number}}}}}"));
    for (text, millionths) in [
        ("0", 0),
        ("1.5", 1_500_000),
        ("1.2345678", 1_234_567),
        ("1.5e3", 1_500_000_000),
        ("15E-1", 1_500_000),
        ("1e-9", 0),
        ("0e999", 0),
        ("18446744073709551616", 18_446_744_073_709_551_616_000_000),
    ] {
        let Reading::Used(quantity) = of(text) else { panic!("{text}") };
        assert_eq!(quantity.millionths(), millionths, "{text}");
    }
    for wrong in ["-1", "-0.5", "01", "1.", "1e", "1e400", "+1", "1-1", "--1", "\"5\"", "[5]"] {
        assert!(!matches!(of(wrong), Reading::Used(_)), "{wrong}");
    }
    let long = format!("1{}", "0".repeat(60));
    assert_eq!(of(&long), Reading::Unreadable);
}

#[test]
fn of_members_with_one_name_the_last_one_counts() {
    assert_eq!(read_json(r#"{"usage":{"total_tokens":1,"total_tokens":2}}"#), used(2));
    assert_eq!(read_json(r#"{"usage":{"total_tokens":1},"usage":{}}"#), Reading::Nothing);
    assert_eq!(read_json(r#"{"usage":{"total_tokens":1},"usage":null}"#), Reading::Nothing);
}

#[test]
fn what_is_not_json_says_nothing() {
    for text in [
        "",
        "<html>{\"usage\":{\"total_tokens\":1}}",
        "{\"usage\":{\"total_tokens\":1}} and more",
        "{\"usage\":{\"total_tokens\":1}]",
        "{'usage':{'total_tokens':1}}",
        "{\"usage\":{\"total_tokens\" 1}}",
        "[{\"usage\":{\"total_tokens\":1}}]",
    ] {
        assert_eq!(read_json(text), Reading::Nothing, "{text}");
    }
    let deep = format!("{{\"usage\":{{\"total_tokens\":1}},\"a\":{}", "[".repeat(100_000));
    assert_eq!(read_json(&deep), Reading::Nothing);
}

#[test]
fn an_answer_that_breaks_off_counts_as_far_as_it_came() {
    assert_eq!(read_json(r#"{"usage":{"total_tokens":12"#), Reading::Nothing);
    assert_eq!(read_json(r#"{"usage":{"total_tokens":12}"#), used(12));
    assert_eq!(read_json(r#"{"usage":{"total_tokens":12},"text":"brok"#), used(12));
    let event = "data: {\"usage\":{\"total_tokens\":3}}\n\n";
    assert_eq!(read_events(&format!("{event}data: {{\"usage\":{{\"total_tok")), used(3));
    assert_eq!(read_events(&format!("{event}data: {{\"usage\":{{\"total_tokens\":4}}}}")), used(4));
}

#[test]
fn a_models_stream_is_read_as_it_comes() {
    let stream = concat!(
        "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}],\"usage\":null}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"lo\"}}],\"usage\":null}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"total_tokens\":21}}\n\n",
        "data: [DONE]\n\n",
    );
    assert_eq!(read_events(stream), used(21));
    let wrong = "data: {\"usage\":{\"total_tokens\":-4}}\n\n";
    assert_eq!(read_events(&format!("{stream}{wrong}")), Reading::Unreadable);
    assert_eq!(read_events(&format!("{wrong}{stream}")), used(21));
}
