//! Reading one table of the configuration, member by member, so that each
//! fault is reported with the key that holds it and hides no other.

use serde_json::{Map, Value};

use super::Faults;

/// One table of the configuration.
pub(super) struct Fields<'a> {
    key: String,
    value: &'a Value,
    members: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    /// The table at a key. Members other than the known ones are faults: a
    /// misspelt key must not pass for one that was left out.
    pub fn new(key: String, value: &'a Value, known: &[&str], faults: &mut Faults) -> Self {
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
        Self { key, value, members }
    }

    /// The table as it was written.
    pub const fn value(&self) -> &'a Value {
        self.value
    }

    /// The full key of a member.
    pub fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.key)
    }

    /// Reports a fault of a member.
    pub fn fault(&self, name: &str, problem: impl Into<String>, faults: &mut Faults) {
        faults.add(self.key(name), problem);
    }

    /// Reports a fault of the table as a whole.
    pub fn report(&self, problem: impl Into<String>, faults: &mut Faults) {
        faults.add(&self.key, problem);
    }

    /// Whether the member is there at all.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A text that may be left out.
    pub fn text(&self, name: &str, faults: &mut Faults) -> Option<&'a str> {
        let text = self.get(name)?.as_str();
        if text.is_none() {
            self.fault(name, "must be a text, in quotes", faults);
        }
        text
    }

    /// A text that is needed, and why.
    pub fn needed(&self, name: &str, what: &str, faults: &mut Faults) -> Option<&'a str> {
        if !self.has(name) && self.members.is_some() {
            self.fault(name, format!("is needed: {what}"), faults);
        }
        self.text(name, faults)
    }

    /// A text that clients get to see; empty if it is left out.
    pub fn words(&self, name: &str, faults: &mut Faults) -> String {
        let words = self.text(name, faults).unwrap_or_default();
        // Controls have no place in it, and private-use characters mark the
        // gaps of a challenge.
        let is_plain =
            |c: char| (c == '\n' || !c.is_control()) && !('\u{e000}'..='\u{f8ff}').contains(&c);
        if !words.chars().all(is_plain) {
            self.fault(name, "holds control or private-use characters", faults);
        }
        words.to_owned()
    }

    /// A list of texts that may be left out.
    pub fn texts(&self, name: &str, faults: &mut Faults) -> Option<Vec<&'a str>> {
        let list = self.get(name)?.as_array().map(|list| list.iter().map(Value::as_str));
        let texts = list.and_then(Iterator::collect::<Option<Vec<_>>>);
        if texts.is_none() {
            self.fault(name, "must be a list of texts, in [brackets]", faults);
        }
        texts
    }

    /// A yes or no that may be left out, for no.
    pub fn flag(&self, name: &str, faults: &mut Faults) -> bool {
        let Some(value) = self.get(name) else { return false };
        if !value.is_boolean() {
            self.fault(name, "must be true or false", faults);
        }
        value.as_bool().unwrap_or_default()
    }

    /// A table within this one that may be left out, in the order of its keys.
    pub fn table(&self, name: &str, faults: &mut Faults) -> Option<&'a Map<String, Value>> {
        let table = self.get(name)?.as_object();
        if table.is_none() {
            self.fault(name, "must be a table, in {braces}", faults);
        }
        table
    }

    /// A list of tables that may be left out.
    pub fn list(&self, name: &str, faults: &mut Faults) -> &'a [Value] {
        let Some(value) = self.get(name) else { return &[] };
        let Some(list) = value.as_array() else {
            let key = self.key(name);
            self.fault(name, format!("must be a list: write each as [[vars.{key}]]"), faults);
            return &[];
        };
        list
    }

    /// A whole number within bounds that may be left out.
    pub fn number(
        &self,
        name: &str,
        bounds: std::ops::RangeInclusive<u64>,
        faults: &mut Faults,
    ) -> Option<u64> {
        let number = self.get(name)?.as_u64().filter(|number| bounds.contains(number));
        if number.is_none() {
            let (least, most) = (bounds.start(), bounds.end());
            self.fault(name, format!("must be a whole number from {least} to {most}"), faults);
        }
        number
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.members?.get(name).filter(|value| !value.is_null())
    }
}
