//! Money: prices as sellers write them, amounts as chains count them.

use crate::json_text;
use crate::plain_error;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// An amount of a token in its smallest unit (for USDC, millionths).
///
/// On the wire a decimal string, `^(0|[1-9][0-9]*)$` and nothing else
/// (x402 specification, section 5). 128 bits hold every price that a seller
/// can configure; a larger amount that a client claims can only differ from
/// it, so it is refused where it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AtomicAmount(pub u128);

/// A text that is not a decimal string of atomic units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidAmount;

plain_error!(InvalidAmount, |_| "is no decimal number of atomic units");

impl FromStr for AtomicAmount {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        if !is_canonical_decimal(text) {
            return Err(InvalidAmount);
        }
        text.parse().map(Self).map_err(|_| InvalidAmount)
    }
}

/// Whether a text is `0`, or digits without a leading zero, and nothing else.
pub fn is_canonical_decimal(text: &str) -> bool {
    match text.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

impl fmt::Display for AtomicAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

json_text!(AtomicAmount);

/// Reads a plain decimal number such as `0.05` in units of `10^-decimals`:
/// with 18 decimals, tokens of a chain's own coin in wei. `None` for anything
/// else, and for what is finer than that.
pub fn parse_decimal(text: &str, decimals: u32) -> Option<u128> {
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    let digits_only = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !is_canonical_decimal(whole) || !digits_only || whole.len() > 12 {
        return None;
    }
    let zeros = decimals.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    digits.checked_mul(10_u128.checked_pow(zeros)?)
}

/// A price in US dollars as a seller writes it: `$0.01`.
///
/// Kept as the digits and the number of them behind the point, so that the
/// conversion to atomic units is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    digits: u128,
    scale: u32,
}

/// Why a text is not a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidPrice {
    /// Not `$`, digits, and at most one point with digits on both sides.
    Malformed,
    /// Free things need no route.
    Zero,
    /// Larger than a million dollars: most likely a slip.
    TooLarge,
}

plain_error!(InvalidPrice, |it| match it {
    InvalidPrice::Malformed => "is not an amount of dollars, such as $0.01",
    InvalidPrice::Zero => "is zero",
    InvalidPrice::TooLarge => "is above a million dollars, or has over 18 decimals",
});

impl FromStr for Price {
    type Err = InvalidPrice;

    fn from_str(text: &str) -> Result<Self, InvalidPrice> {
        let number = text.strip_prefix('$').ok_or(InvalidPrice::Malformed)?;
        let (whole, fraction) = match number.split_once('.') {
            Some((_, "")) => return Err(InvalidPrice::Malformed),
            Some(parts) => parts,
            None => (number, ""),
        };
        if !is_canonical_decimal(whole) || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidPrice::Malformed);
        }
        if whole.len() > 7 || fraction.len() > 18 {
            return Err(InvalidPrice::TooLarge);
        }
        let fraction = fraction.trim_end_matches('0');
        let digits: u128 =
            format!("{whole}{fraction}").parse().map_err(|_| InvalidPrice::Malformed)?;
        let scale = u32::try_from(fraction.len()).map_err(|_| InvalidPrice::TooLarge)?;
        match digits {
            0 => Err(InvalidPrice::Zero),
            _ if digits > 1_000_000 * 10_u128.pow(scale) => Err(InvalidPrice::TooLarge),
            _ => Ok(Self { digits, scale }),
        }
    }
}

impl Price {
    /// The price in atomic units of a dollar token with this many decimals;
    /// `None` if the price is finer than the token.
    pub fn in_units(self, decimals: u8) -> Option<AtomicAmount> {
        let zeros = u32::from(decimals).checked_sub(self.scale)?;
        self.digits.checked_mul(10_u128.checked_pow(zeros)?).map(AtomicAmount)
    }

    /// What so many atomic units of a dollar token with this many decimals are worth;
    /// `None` for nothing, and for what is no price.
    pub fn of_units(amount: AtomicAmount, decimals: u8) -> Option<Self> {
        let (mut digits, mut scale) = (amount.0, u32::from(decimals));
        while scale > 0 && digits % 10 == 0 && digits > 0 {
            digits /= 10;
            scale -= 1;
        }
        let most = 10_u128.checked_pow(scale)?.checked_mul(1_000_000)?;
        (scale <= 18 && (1..=most).contains(&digits)).then_some(Self { digits, scale })
    }

    /// What `count` things cost of which `per` cost this much, in whole atomic
    /// units of a dollar token with this many decimals. `None` if that is more
    /// than can be counted, or `per` is zero.
    pub fn times(self, count: u128, per: u128, decimals: u8) -> Option<u128> {
        let units = self.digits.checked_mul(10_u128.checked_pow(decimals.into())?)?;
        let per = per.checked_mul(10_u128.checked_pow(self.scale)?)?;
        units.checked_mul(count)?.checked_div(per)
    }
}

impl Ord for Price {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        // At most a million dollars with 18 decimals: far from what doesn't fit.
        let at_scale =
            |it: &Self| it.digits.saturating_mul(10_u128.saturating_pow(scale - it.scale));
        at_scale(self).cmp(&at_scale(other))
    }
}

impl PartialOrd for Price {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", decimal(self.digits, self.scale))
    }
}

impl AtomicAmount {
    /// The amount in whole tokens, for people: `10000` with 6 decimals is
    /// `0.01`.
    pub fn in_tokens(self, decimals: u8) -> String {
        decimal(self.0, u32::from(decimals))
    }
}

fn decimal(digits: u128, scale: u32) -> String {
    let unit = 10_u128.saturating_pow(scale);
    let (whole, fraction) = (digits / unit, digits % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let fraction = format!("{fraction:0width$}", width = usize::try_from(scale).unwrap_or(0));
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_take_one_spelling() {
        assert_eq!("0".parse(), Ok(AtomicAmount(0)));
        assert_eq!("10000".parse(), Ok(AtomicAmount(10_000)));
        let too_large = format!("1{}", "0".repeat(39));
        for wrong in
            ["", "01", "+1", "-1", "1e3", "1.0", " 1", "1 ", "0x1", "1_000", "١", &too_large]
        {
            assert_eq!(wrong.parse::<AtomicAmount>(), Err(InvalidAmount), "{wrong:?}");
        }
    }

    #[test]
    fn prices_become_exact_units() {
        let units = |text: &str, decimals| text.parse::<Price>().map(|p| p.in_units(decimals));
        assert_eq!(units("$0.01", 6), Ok(Some(AtomicAmount(10_000))));
        assert_eq!(units("$0.010", 6), Ok(Some(AtomicAmount(10_000))));
        assert_eq!(units("$1", 6), Ok(Some(AtomicAmount(1_000_000))));
        assert_eq!(units("$0.000001", 6), Ok(Some(AtomicAmount(1))));
        assert_eq!(units("$0.0000001", 6), Ok(None));
        assert_eq!(units("$2.50", 18), Ok(Some(AtomicAmount(2_500_000_000_000_000_000))));
        assert_eq!(units("$0.00", 6), Err(InvalidPrice::Zero));
        assert_eq!(units("$1000000.01", 6), Err(InvalidPrice::TooLarge));
        for wrong in
            ["", "$", "0.01", "$.5", "$1.", "$01", "$1,5", "$-1", "$1e3", "$ 1", "$1.2.3", "€1"]
        {
            assert_eq!(units(wrong, 6), Err(InvalidPrice::Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn prices_are_compared_as_what_they_are_worth() {
        let price = |text: &str| text.parse::<Price>().unwrap();
        for (less, more) in [("$0.009", "$0.01"), ("$1", "$1000000"), ("$0.1", "$0.11")] {
            assert!(price(less) < price(more), "{less} {more}");
        }
        assert!(price("$0.000000000000000001") < price("$1000000"));
        assert_eq!(price("$0.50").cmp(&price("$0.5")), Ordering::Equal);
    }

    #[test]
    fn units_become_the_price_that_they_are_worth() {
        for (text, units, decimals) in [
            ("$0.01", 10_000, 6),
            ("$2", 2_000_000, 6),
            ("$0.000001", 1, 6),
            ("$10", 10, 0),
            ("$1000000", 1_000_000_000_000, 6),
        ] {
            let price = Price::of_units(AtomicAmount(units), decimals);
            assert_eq!(price, text.parse().ok(), "{text}");
            assert_eq!(price.and_then(|it| it.in_units(decimals)), Some(AtomicAmount(units)));
        }
        for (units, decimals) in [(0, 6), (1_000_000_000_001, 6), (1, 19), (u128::MAX, 36)] {
            assert_eq!(Price::of_units(AtomicAmount(units), decimals), None, "{units} {decimals}");
        }
    }

    #[test]
    fn coins_become_exact_units() {
        assert_eq!(parse_decimal("0.05", 18), Some(50_000_000_000_000_000));
        assert_eq!(parse_decimal("2", 9), Some(2_000_000_000));
        assert_eq!(parse_decimal("0.0000000001", 9), None);
        for wrong in ["", ".5", "1.", "01", "-1", "1e3", "1.2.3", "$1", "1,5"] {
            assert_eq!(parse_decimal(wrong, 18), None, "{wrong:?}");
        }
    }

    #[test]
    fn people_read_tokens() {
        assert_eq!(AtomicAmount(10_000).in_tokens(6), "0.01");
        assert_eq!(AtomicAmount(2_000_000).in_tokens(6), "2");
        assert_eq!("$0.50".parse::<Price>().map(|p| p.to_string()), Ok("$0.5".into()));
    }
}
