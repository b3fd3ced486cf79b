//! Who sells a route, for people and for search.

use super::fields::{Fields, is_http_url};

/// The longest service name and the longest tag that facilitators take, in
/// characters (x402 extension `bazaar`, "Service Metadata on `resource`").
const MAX_LABEL: usize = 32;

/// The most tags that facilitators take.
const MAX_TAGS: usize = 5;

/// The longest URL of an icon that facilitators take, in bytes.
const MAX_ICON_URL: usize = 2_048;

/// Who sells it, for people and for search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// `serviceName`; empty if the seller says nothing.
    pub name: String,
    /// `tags`.
    pub tags: Vec<String>,
    /// `iconUrl`; empty if the seller says nothing.
    pub icon_url: String,
}

impl Service {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let name = fields.text("service_name");
        if name.is_some_and(|name| !is_label(name)) {
            fields.fault("service_name", "must be 1 to 32 printable ASCII characters");
        }
        let tags = fields.texts("tags").unwrap_or_default();
        if tags.len() > MAX_TAGS || !tags.iter().all(|tag| is_label(tag)) {
            let problem = "must be at most 5 tags, each of 1 to 32 printable ASCII characters";
            fields.fault("tags", problem);
        }
        let icon_url = fields.text("icon_url");
        if icon_url.is_some_and(|url| !is_icon_url(url)) {
            let problem = "must be an http:// or https:// URL of at most 2048 ASCII bytes";
            fields.fault("icon_url", problem);
        }
        Self {
            name: name.unwrap_or_default().to_owned(),
            tags: tags.into_iter().map(str::to_owned).collect(),
            icon_url: icon_url.unwrap_or_default().to_owned(),
        }
    }
}

fn is_label(text: &str) -> bool {
    (1..=MAX_LABEL).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn is_icon_url(url: &str) -> bool {
    url.len() <= MAX_ICON_URL && is_http_url(url) && url.bytes().all(|b| b.is_ascii_graphic())
}
