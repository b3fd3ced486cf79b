//! A number in a JSON text that comes in chunks.
//!
//! The text is read as it comes and nothing of it is kept: where the reader is,
//! a name no longer than those that are looked for, and one number.

use std::str::FromStr;

use super::Reading;

/// How deep a text may be nested, as in `serde_json`.
const DEEPEST: usize = 127;

/// The longest number that is read, in bytes.
const LONGEST_NUMBER: usize = 48;

/// How many decimals of what was used count.
const DECIMALS: i32 = 6;

/// Names of members, from the outermost object inwards: `usage.total_tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<String>);

/// A text that is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPath;

impl FromStr for Path {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let names: Vec<_> = text.split('.').map(str::to_owned).collect();
        let is_good = names.len() <= 16 && !names.iter().any(String::is_empty);
        if is_good && text.len() <= 256 { Ok(Self(names)) } else { Err(InvalidPath) }
    }
}

/// How much was used: a number that is not negative, down to its millionth part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(u128);

impl Quantity {
    /// So many.
    pub fn whole(count: u64) -> Self {
        Self(u128::from(count).saturating_mul(1_000_000))
    }

    /// How many millionths.
    pub const fn millionths(self) -> u128 {
        self.0
    }

    /// Reads a number as JSON writes it (RFC 8259, section 6); `None` if it is
    /// none, is negative, or is out of all bounds. What is less than a millionth
    /// is left out.
    fn read(text: &str) -> Option<Self> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, read_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = match number.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (number, ""),
        };
        let is_whole = crate::amount::is_canonical_decimal(whole);
        if !is_whole || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
        let scale = exponent.checked_add(DECIMALS)?.checked_sub(fraction.len().try_into().ok()?)?;
        if digits == 0 {
            return Some(Self(0));
        }
        let power = 10_u128.checked_pow(scale.unsigned_abs());
        if scale < 0 {
            return Some(Self(power.map_or(0, |power| digits / power)));
        }
        digits.checked_mul(power?).map(Self)
    }
}

fn read_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent: i32 = digits.parse().ok()?;
    Some(if text.starts_with('-') { -exponent } else { exponent })
}

/// Where the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before a value; `true`: or the end of an empty list.
    Value(bool),
    /// Before a member's name; `true`: or the end of an empty object.
    Name(bool),
    /// Before the colon behind a name.
    Colon,
    /// Behind a value.
    After,
    /// In a string; `true`: one that is a member's name.
    Text(bool),
    /// Behind a backslash in it.
    Escape(bool),
    /// Behind `\u` in it: how many digits came, and what they say.
    Unicode(bool, u8, u16),
    /// In a number.
    Number,
    /// In `true`, `false` or `null`: what is still to come.
    Word(&'static [u8]),
    /// It is not JSON.
    Broken,
}

/// Looks for the number at a path of one JSON text.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    path: Path,
    at: At,
    /// The objects and lists around, the innermost one last.
    around: Vec<Around>,
    /// Whether the value that comes next has the next name of the path.
    is_named: bool,
    /// The name that is being read, as far as it can be one of the path's.
    name: Vec<u8>,
    /// The first half of a character that is written as two.
    half: Option<u16>,
    /// The number that is being read; `None` if nobody looks for it.
    number: Option<String>,
    found: Reading,
}

/// An object or a list.
#[derive(Clone, Copy, Debug)]
struct Around {
    is_object: bool,
    /// How many of the path's names lead to it; `None` if they lead elsewhere.
    led: Option<usize>,
}

impl Scan {
    pub(super) fn new(path: Path) -> Self {
        Self {
            path,
            at: At::Value(false),
            around: vec![],
            is_named: false,
            name: vec![],
            half: None,
            number: None,
            found: Reading::Nothing,
        }
    }

    /// What was found so far; nothing in what is not JSON.
    pub(super) fn reading(&self) -> Reading {
        match self.at {
            At::Broken => Reading::Nothing,
            _ => self.found,
        }
    }

    /// Whether the text may end here: one whole value was read.
    pub(super) fn is_whole(&self) -> bool {
        self.at == At::After && self.around.is_empty()
    }

    pub(super) fn take(&mut self, chunk: &[u8]) {
        for &byte in chunk {
            self.step(byte);
            if self.at == At::Broken {
                return;
            }
        }
    }

    fn step(&mut self, byte: u8) {
        self.at = match (self.at, byte) {
            (At::Number, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E') => {
                if let Some(number) = &mut self.number {
                    number.push(char::from(byte));
                    number.truncate(LONGEST_NUMBER + 1);
                }
                At::Number
            }
            (At::Number, _) => {
                self.end_number();
                self.end_value();
                return self.step(byte);
            }
            (At::Value(_) | At::Name(_) | At::Colon | At::After, b' ' | b'\t' | b'\n' | b'\r') => {
                self.at
            }
            (At::Value(true) | At::After, b']') => self.close(false),
            (At::Value(_), _) => self.begin_value(byte),
            (At::Name(true) | At::After, b'}') => self.close(true),
            (At::Name(_), b'"') => {
                self.name.clear();
                At::Text(true)
            }
            (At::Colon, b':') => At::Value(false),
            (At::After, b',') => match self.around.last() {
                Some(it) if it.is_object => At::Name(false),
                Some(_) => At::Value(false),
                None => At::Broken,
            },
            (At::Text(is_name), _) => self.text(is_name, byte),
            (At::Escape(is_name), _) => self.escape(is_name, byte),
            (At::Unicode(is_name, count, said), _) => self.unicode(is_name, count, said, byte),
            (At::Word([next, rest @ ..]), _) if *next == byte => {
                if rest.is_empty() {
                    self.end_value()
                } else {
                    At::Word(rest)
                }
            }
            _ => At::Broken,
        };
    }

    /// How many of the path's names lead to where the reader is.
    fn led(&self) -> Option<usize> {
        self.around.last()?.led
    }

    /// Whether a value that begins now is the one that is looked for.
    fn is_looked_for(&self) -> bool {
        self.is_named && self.led().is_some_and(|led| led + 1 == self.path.0.len())
    }

    fn begin_value(&mut self, byte: u8) -> At {
        let is_number = matches!(byte, b'-' | b'0'..=b'9');
        // A value that is left out is like one that isn't there.
        if self.is_looked_for() && !is_number && byte != b'n' {
            self.found = Reading::Unreadable;
        }
        match byte {
            b'{' | b'[' => {
                if self.around.len() >= DEEPEST {
                    return At::Broken;
                }
                let is_object = byte == b'{';
                let led = match self.led() {
                    None if self.around.is_empty() => Some(0),
                    led => led.filter(|_| self.is_named).map(|led| led + 1),
                };
                self.is_named = false;
                self.around.push(Around { is_object, led: led.filter(|_| is_object) });
                if is_object { At::Name(true) } else { At::Value(true) }
            }
            b'"' => At::Text(false),
            b't' => At::Word(b"rue"),
            b'f' => At::Word(b"alse"),
            b'n' => At::Word(b"ull"),
            _ if is_number => {
                self.number = self.is_looked_for().then(|| char::from(byte).to_string());
                At::Number
            }
            _ => At::Broken,
        }
    }

    fn end_number(&mut self) {
        if let Some(number) = self.number.take() {
            let used = Quantity::read(&number).filter(|_| number.len() <= LONGEST_NUMBER);
            self.found = used.map_or(Reading::Unreadable, Reading::Used);
        }
    }

    fn end_value(&mut self) -> At {
        self.is_named = false;
        self.at = At::After;
        At::After
    }

    fn text(&mut self, is_name: bool, byte: u8) -> At {
        match byte {
            b'"' if is_name => {
                self.end_half();
                self.end_name();
                At::Colon
            }
            b'"' => self.end_value(),
            b'\\' => At::Escape(is_name),
            0..0x20 => At::Broken,
            _ => {
                if is_name {
                    self.end_half();
                    self.push(&[byte]);
                }
                At::Text(is_name)
            }
        }
    }

    fn escape(&mut self, is_name: bool, byte: u8) -> At {
        let meant = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return At::Unicode(is_name, 0, 0),
            _ => return At::Broken,
        };
        if is_name {
            self.end_half();
            self.push(&[meant]);
        }
        At::Text(is_name)
    }

    fn unicode(&mut self, is_name: bool, count: u8, said: u16, byte: u8) -> At {
        let Some(digit) = char::from(byte).to_digit(16).and_then(|it| u16::try_from(it).ok())
        else {
            return At::Broken;
        };
        let said = (said << 4) | digit;
        if count < 3 {
            return At::Unicode(is_name, count + 1, said);
        }
        if is_name {
            let units: Vec<u16> = self.half.take().into_iter().chain([said]).collect();
            match String::from_utf16(&units) {
                Ok(text) => self.push(text.as_bytes()),
                Err(_) if (0xd800..0xdc00).contains(&said) => self.half = Some(said),
                Err(_) => self.push("\u{fffd}".as_bytes()),
            }
        }
        At::Text(is_name)
    }

    /// Half a character, and nothing that completes it.
    fn end_half(&mut self) {
        if self.half.take().is_some() {
            self.push("\u{fffd}".as_bytes());
        }
    }

    /// The name that leads on from here.
    fn wanted(&self) -> Option<&String> {
        self.path.0.get(self.led()?)
    }

    /// Keeps what was read of a name: as much as tells it from the path's.
    fn push(&mut self, bytes: &[u8]) {
        let wanted = self.wanted().map_or(0, String::len);
        if self.name.len() <= wanted {
            self.name.extend_from_slice(bytes);
        }
    }

    fn end_name(&mut self) {
        self.is_named = self.wanted().is_some_and(|wanted| wanted.as_bytes() == self.name);
        if self.is_named {
            // Of members with the same name the last one counts.
            self.found = Reading::Nothing;
        }
    }

    fn close(&mut self, is_object: bool) -> At {
        match self.around.pop() {
            Some(it) if it.is_object == is_object => self.end_value(),
            _ => At::Broken,
        }
    }
}
