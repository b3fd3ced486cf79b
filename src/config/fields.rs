//! Reading one table of the configuration, member by member, so that each
//! fault is reported with the key that holds it and hides no other.

use std::cell::RefCell;

use serde_json::{Map, Value};

use super::{Fault, Faults};

/// The faults that were found so far.
#[derive(Default)]
pub(super) struct Report(RefCell<Vec<Fault>>);

impl Report {
    /// Notes a fault.
    pub(super) fn add(&self, key: impl Into<String>, problem: impl Into<String>) {
        self.0.borrow_mut().push(Fault { key: key.into(), problem: problem.into() });
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// All of them; what was found twice in a row is one.
    pub(super) fn into_faults(self) -> Faults {
        let mut faults = self.0.into_inner();
        faults.dedup();
        Faults(faults)
    }
}

/// One table of the configuration.
pub(super) struct Fields<'a> {
    key: String,
    value: &'a Value,
    members: Option<&'a Map<String, Value>>,
    faults: &'a Report,
}

impl<'a> Fields<'a> {
    /// The table at a key. Members other than the known ones are faults: a
    /// misspelt key must not pass for one that was left out.
    pub(super) fn new(key: String, value: &'a Value, known: &[&str], faults: &'a Report) -> Self {
        let members = value.as_object();
        match members {
            None => faults.add(&key, "must be a table"),
            Some(members) => {
                for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
                    let known = known.join(", ");
                    faults.add(&key, format!("has no key {name:?}; it knows {known}"));
                }
            }
        }
        Self { key, value, members, faults }
    }

    /// The table as it was written.
    pub(super) const fn value(&self) -> &'a Value {
        self.value
    }

    /// Where its faults go.
    pub(super) const fn faults(&self) -> &'a Report {
        self.faults
    }

    /// The full key of a member.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.key)
    }

    /// Reports a fault of a member.
    pub(super) fn fault(&self, name: &str, problem: impl Into<String>) {
        self.faults.add(self.key(name), problem);
    }

    /// Reports a fault of the table as a whole.
    pub(super) fn report(&self, problem: impl Into<String>) {
        self.faults.add(&self.key, problem);
    }

    /// Whether the member is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A text that may be left out.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let text = self.get(name)?.as_str();
        if text.is_none() {
            self.fault(name, "must be a text, in quotes");
        }
        text
    }

    /// A text that is needed, and why.
    pub(super) fn needed(&self, name: &str, what: &str) -> Option<&'a str> {
        if !self.has(name) && self.members.is_some() {
            self.fault(name, format!("is needed: {what}"));
        }
        self.text(name)
    }

    /// A text that clients get to see; empty if it is left out.
    pub(super) fn words(&self, name: &str) -> String {
        let words = self.text(name).unwrap_or_default();
        // Controls have no place in it, and private-use characters mark the
        // gaps of a challenge.
        let is_plain =
            |c: char| (c == '\n' || !c.is_control()) && !('\u{e000}'..='\u{f8ff}').contains(&c);
        if !words.chars().all(is_plain) {
            self.fault(name, "holds control or private-use characters");
        }
        words.to_owned()
    }

    /// A list of texts that may be left out.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<&'a str>> {
        let list = self.get(name)?.as_array().map(|list| list.iter().map(Value::as_str));
        let texts = list.and_then(Iterator::collect::<Option<Vec<_>>>);
        if texts.is_none() {
            self.fault(name, "must be a list of texts, in [brackets]");
        }
        texts
    }

    /// A yes or no that may be left out, for no.
    pub(super) fn flag(&self, name: &str) -> bool {
        let Some(value) = self.get(name) else { return false };
        if !value.is_boolean() {
            self.fault(name, "must be true or false");
        }
        value.as_bool().unwrap_or_default()
    }

    /// A table within this one that may be left out, in the order of its keys.
    pub(super) fn table(&self, name: &str) -> Option<&'a Map<String, Value>> {
        let table = self.get(name)?.as_object();
        if table.is_none() {
            self.fault(name, "must be a table, in {braces}");
        }
        table
    }

    /// A list of tables that may be left out.
    pub(super) fn list(&self, name: &str) -> &'a [Value] {
        let Some(value) = self.get(name) else { return &[] };
        let Some(list) = value.as_array() else {
            let key = self.key(name);
            self.fault(name, format!("must be a list: write each as [[vars.{key}]]"));
            return &[];
        };
        list
    }

    /// A whole number within bounds that may be left out.
    pub(super) fn number(&self, name: &str, bounds: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let number = self.get(name)?.as_u64().filter(|number| bounds.contains(number));
        if number.is_none() {
            let (least, most) = (bounds.start(), bounds.end());
            self.fault(name, format!("must be a whole number from {least} to {most}"));
        }
        number
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.members?.get(name).filter(|value| !value.is_null())
    }
}

/// Whether a text is the URL of something that can be asked over HTTP.
pub(super) fn is_http_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(|c: char| c.is_whitespace())
    })
}

/// Whether what is sent to a URL, and comes from there, can be read and changed by
/// nobody on its way.
pub(super) fn is_safe_url(url: &str) -> bool {
    let (rest, is_open) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return false,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic())
        && !authority.contains(['@', '\\'])
        && !url.contains('#')
        && !host.is_empty();
    is_plain && (!is_open || matches!(host, "localhost" | "127.0.0.1" | "::1"))
}

/// Whether a text is the name of a header: a token (RFC 9110, section 5.6.2).
pub(super) fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// Whether a text is the value of a header: visible ASCII with blanks between
/// (RFC 9110, section 5.5).
pub(super) fn is_header_value(value: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    !value.is_empty() && value.trim() == value && value.bytes().all(is_plain)
}
