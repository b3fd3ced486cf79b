//! `WEBHOOKS`: who is told of what happens, and with which secret it is signed.

use std::fmt;

use serde_json::Value;

use super::fields::{Fields, Report, is_safe_url};
use crate::encoding::{decode_base64, encode_base64};
use crate::mac;
use crate::table::Table;
use crate::time::UnixSeconds;

const KEY: &str = "WEBHOOKS";
const KNOWN: &[&str] = &["url", "events", "secret"];

/// What can be heard of.
pub const EVENTS: [&str; 5] = ["sale", "refused", "low_balance", "stuck", "fault"];

/// The secret of a webhook that names none.
const DEFAULT_SECRET: &str = "WEBHOOK_SECRET";

/// How many there may be: each takes a connection of the object that sends, which
/// has six.
const MAX_WEBHOOKS: usize = 5;

/// The longest key that is taken, in bytes.
const MAX_KEY: usize = 64;

/// Who is told.
#[derive(Clone)]
pub struct Webhook {
    /// Where to.
    pub url: String,
    /// Of what, by the names of [`EVENTS`].
    pub events: Vec<&'static str>,
    /// What signs: the newest first, and each one signs.
    keys: Vec<Vec<u8>>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL may be a secret, too.
        write!(f, "Webhook({:?})", self.events)
    }
}

impl Webhook {
    /// The value of `webhook-signature`: a signature by each key, with blanks
    /// between ([Standard Webhooks], "Signature scheme").
    ///
    /// [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    pub fn signature(&self, id: &str, time: UnixSeconds, body: &str) -> String {
        let text = format!("{id}.{time}.{body}");
        let codes = self.keys.iter().filter_map(|key| mac::code_of_text(key, &text));
        let codes: Vec<String> = codes.map(|it| format!("v1,{}", encode_base64(&it))).collect();
        codes.join(" ")
    }

    /// Reads the list. Faults never show a secret.
    pub(super) fn read(
        value: Option<&Value>,
        secrets: &Table<String, String>,
        faults: &Report,
    ) -> Vec<Self> {
        let Some(value) = value.filter(|value| !value.is_null()) else { return vec![] };
        let Some(list) = value.as_array() else {
            faults.add(KEY, "must be a list: write each as [[vars.WEBHOOKS]]");
            return vec![];
        };
        if list.len() > MAX_WEBHOOKS {
            faults.add(KEY, format!("has {} entries; {MAX_WEBHOOKS} are taken", list.len()));
        }
        let mut read: Vec<Self> = vec![];
        for (n, value) in list.iter().enumerate() {
            let fields = Fields::new(format!("{KEY}[{n}]"), value, KNOWN, faults);
            let Some(webhook) = Self::read_one(&fields, secrets) else { continue };
            if read.iter().any(|it| it.url == webhook.url) {
                fields.fault("url", "is that of an earlier one; name all its events there");
            }
            read.push(webhook);
        }
        read
    }

    fn read_one(fields: &Fields<'_>, secrets: &Table<String, String>) -> Option<Self> {
        let url = fields.needed("url", "https://…").filter(|url| {
            let is_good = is_safe_url(url);
            if !is_good {
                let problem = "must be https://host/…, or http:// on localhost";
                fields.fault("url", problem);
            }
            is_good
        });
        let events = fields.texts("events");
        if events.is_none() && !fields.has("events") {
            fields.fault("events", format!("is needed: a list of some of {}", EVENTS.join(", ")));
        }
        let mut known = vec![];
        for event in events.unwrap_or_default() {
            match EVENTS.iter().find(|it| **it == event) {
                Some(event) if known.contains(event) => {
                    fields.fault("events", format!("names {event} twice"));
                }
                Some(event) => known.push(*event),
                None => {
                    let all = EVENTS.join(", ");
                    fields.fault("events", format!("has no event {event:?}; there are {all}"));
                }
            }
        }
        let name = fields.text("secret").unwrap_or(DEFAULT_SECRET);
        let keys = secrets.get(name).map(|secret| read_keys(secret));
        if keys.as_ref().is_none_or(Option::is_none) {
            let problem = if keys.is_some() {
                "must be whsec_ and base64 of 24 to 64 bytes, or two of them with a comma between"
            } else {
                "is needed to sign webhooks: echo whsec_$(openssl rand -base64 32)"
            };
            fields.faults().add(name, problem);
        }
        Some(Self { url: url?.to_owned(), events: known, keys: keys?? })
    }
}

/// The names of the secrets that the list's entries are signed with.
pub(super) fn secrets_named(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let entries = value.and_then(Value::as_array);
    entries.into_iter().flatten().map(|it| {
        let name = it.get("secret").and_then(Value::as_str);
        name.unwrap_or(DEFAULT_SECRET)
    })
}

/// One key, or two for as long as the older one is being replaced.
fn read_keys(secret: &str) -> Option<Vec<Vec<u8>>> {
    let keys = secret.split(',').map(|part| {
        let key = decode_base64(part.trim().strip_prefix("whsec_")?, MAX_KEY).ok()?;
        (key.len() >= 24).then_some(key)
    });
    keys.collect::<Option<Vec<_>>>().filter(|keys| keys.len() <= 2)
}
