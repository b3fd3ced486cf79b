//! `Settlement-Overrides`: what an origin says that a request is to be charged
//! (x402, scheme `upto`).

use serde_json::Value;

use crate::amount::{AtomicAmount, Price, is_canonical_decimal};
use crate::json;

/// The header.
pub const SETTLEMENT_OVERRIDES: &str = "Settlement-Overrides";

/// What an origin says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// So much.
    Amount(AtomicAmount),
    /// More than the most.
    TooMuch,
    /// Nothing that is an amount, or less than nothing.
    Unreadable,
}

/// Reads the header's value: JSON with an `amount` of atomic units (`"1000"`), of
/// the most in percent (`"50%"`, two decimals at most) or in dollars
/// (`"$0.05"`). What is not a whole atomic unit is left out, as the reference
/// implementation does.
pub fn read(header: &str, most: AtomicAmount, decimals: u8) -> Said {
    let value = json::parse(header).unwrap_or_default();
    let amount = match value.get("amount") {
        Some(Value::String(text)) => read_amount(text.trim(), most, decimals),
        // A number is not in the specification, and can mean nothing else.
        Some(Value::Number(number)) => number.as_u64().map(u128::from).map(AtomicAmount),
        _ => None,
    };
    match amount {
        Some(amount) if amount <= most => Said::Amount(amount),
        Some(_) => Said::TooMuch,
        None => Said::Unreadable,
    }
}

fn read_amount(text: &str, most: AtomicAmount, decimals: u8) -> Option<AtomicAmount> {
    /// More than any price: what can't be counted is more than the most.
    const ENDLESS: AtomicAmount = AtomicAmount(u128::MAX);
    let units = if let Some(percent) = text.strip_suffix('%') {
        percent_of(percent, most)?
    } else if text.starts_with('$') {
        dollars(text, decimals)?
    } else if is_canonical_decimal(text) {
        text.parse().ok()
    } else {
        return None;
    };
    Some(units.unwrap_or(ENDLESS))
}

/// `Some(None)` is too large a number.
#[allow(clippy::option_option, reason = "read by the one function above")]
fn percent_of(percent: &str, most: AtomicAmount) -> Option<Option<AtomicAmount>> {
    let (whole, fraction) = percent.split_once('.').unwrap_or((percent, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 2 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let hundredths = format!("{whole}{fraction:0<2}").parse::<u128>().ok();
    Some(hundredths.and_then(|it| most.0.checked_mul(it)).map(|it| AtomicAmount(it / 10_000)))
}

#[allow(clippy::option_option, reason = "as above")]
fn dollars(text: &str, decimals: u8) -> Option<Option<AtomicAmount>> {
    use crate::amount::InvalidPrice;
    match text.parse::<Price>() {
        Ok(price) => Some(price.times(1, 1, decimals).map(AtomicAmount)),
        Err(InvalidPrice::Zero) => Some(Some(AtomicAmount(0))),
        Err(InvalidPrice::TooLarge) => Some(None),
        Err(InvalidPrice::Malformed) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_in_three_spellings() {
        let most = AtomicAmount(100_000);
        for (amount, units) in [
            ("\"0\"", 0),
            ("\"1000\"", 1_000),
            ("\"100000\"", 100_000),
            ("1000", 1_000),
            ("\"50%\"", 50_000),
            ("\"0%\"", 0),
            ("\"100%\"", 100_000),
            ("\"33.33%\"", 33_330),
            ("\"0.01%\"", 10),
            ("\"7.%\"", 7_000),
            ("\"$0.05\"", 50_000),
            ("\"$0\"", 0),
            ("\"$0.0000019\"", 1),
        ] {
            let header = format!("{{\"amount\":{amount}}}");
            assert_eq!(read(&header, most, 6), Said::Amount(AtomicAmount(units)), "{amount}");
        }
        assert_eq!(read(r#"{"amount":"50%"}"#, AtomicAmount(3), 6), Said::Amount(AtomicAmount(1)));
    }

    #[test]
    fn more_than_the_most_is_told_from_what_is_no_amount() {
        let most = AtomicAmount(100_000);
        for more in [
            "\"100001\"",
            "\"100.01%\"",
            "\"$0.100001\"",
            "\"$99999999\"",
            "100001",
            "\"99999999999999999999999999999999999999999999\"",
            "\"99999999999999999999999999999999999999999999%\"",
        ] {
            assert_eq!(read(&format!("{{\"amount\":{more}}}"), most, 6), Said::TooMuch, "{more}");
        }
        for wrong in [
            "",
            "null",
            "[]",
            "{}",
            "50%",
            "\"50%\"",
            r#"{"amount":null}"#,
            r#"{"amount":""}"#,
            r#"{"amount":"-1"}"#,
            r#"{"amount":-1}"#,
            r#"{"amount":"-5%"}"#,
            r#"{"amount":"$-1"}"#,
            r#"{"amount":"-$1"}"#,
            r#"{"amount":1.5}"#,
            r#"{"amount":"1.5"}"#,
            r#"{"amount":"1e3"}"#,
            r#"{"amount":"0x10"}"#,
            r#"{"amount":"01"}"#,
            r#"{"amount":"%"}"#,
            r#"{"amount":"$"}"#,
            r#"{"amount":"1.234%"}"#,
            r#"{"amount":{"a":1}}"#,
            r#"{"amount":"1","amount":"2"}"#,
            r#"{"Amount":"1"}"#,
        ] {
            assert_eq!(read(wrong, most, 6), Said::Unreadable, "{wrong}");
        }
    }
}
