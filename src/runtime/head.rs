//! The head of a request, as the gate looks at it.

use std::cell::{Cell, RefCell};

use js_sys::{JSON, Reflect, Set};
use worker::wasm_bindgen::JsValue;
use worker::web_sys::{Headers, Request};

use super::body::{self, Unread};
use super::{js, waiting};
use crate::gate::{Body, BoundBody, Fact, Head, MAX_BOUND_BODY};
use crate::path::{SplitUrl, UrlParts};
use crate::room::Place;

/// A request's method and URL, read once, and its headers, read as needed.
pub(super) struct RequestHead {
    method: String,
    url: SplitUrl,
    headers: Headers,
    /// `None`: it was not read, or is too long.
    body: Option<Vec<u8>>,
    /// How much of the body was read in a copy, which the request itself keeps for
    /// whoever reads it, and the room that this and the body above take.
    copied: Cell<usize>,
    places: RefCell<Vec<Place>>,
    /// The request itself, once it is not free: the edge's `cf` is read of it.
    request: Option<JsValue>,
    /// The host by whose key it is signed.
    pub(super) signer: Option<String>,
}

impl RequestHead {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            method: request.method(),
            url: SplitUrl::new(request.url()),
            headers: request.headers(),
            body: None,
            copied: Cell::new(0),
            places: RefCell::default(),
            request: None,
            signer: None,
        }
    }

    /// Keeps the request, so that the edge's word is at hand.
    pub(super) fn keep(&mut self, request: &Request) {
        self.request = Some(JsValue::from(request));
    }

    /// Reads the body, for a price that depends on it. A request without one has
    /// an empty one.
    pub(super) async fn read_body(&mut self, request: &Request) -> Result<(), Unread> {
        self.body = self.copy_of_body(request, MAX_BOUND_BODY).await?;
        self.hold(self.body.as_ref().map_or(0, Vec::len))
    }

    /// What of the body a payment is bound to. The body itself stays unread.
    pub(super) async fn bound_body(&self, request: &Request) -> Result<BoundBody, Unread> {
        if request.body().is_none() {
            return Ok(BoundBody::none());
        }
        let media_type = self.header("Content-Type").unwrap_or_default();
        let length = self.header("Content-Length").and_then(|length| length.parse::<usize>().ok());
        if length.is_some_and(|length| length > MAX_BOUND_BODY) {
            return Ok(BoundBody::unread(length, &media_type));
        }
        // HTTP/2 and chunks need not say how long a body is.
        Ok(match self.copy_of_body(request, MAX_BOUND_BODY).await? {
            Some(bytes) => BoundBody::read(&bytes, &media_type),
            None => BoundBody::unread(length, &media_type),
        })
    }

    /// A copy of the body, of at most `limit` bytes; `None` for a longer one. A body
    /// may come as slowly as its sender likes: it takes its room once it is here.
    pub(super) async fn copy_of_body(
        &self,
        request: &Request,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, Unread> {
        if request.body().is_none() {
            return Ok(Some(vec![]));
        }
        let read = body::read_at_most(&request.clone()?, limit).await?;
        // However often it is read, the request keeps it once.
        let copied = read.as_ref().map_or(limit, Vec::len);
        let before = self.copied.replace(self.copied.get().max(copied));
        self.hold(copied.saturating_sub(before))?;
        Ok(read)
    }

    fn hold(&self, bytes: usize) -> Result<(), Unread> {
        if bytes > 0 {
            let place = waiting::for_body(bytes).ok_or(Unread::Full)?;
            self.places.borrow_mut().push(place);
        }
        Ok(())
    }

    /// Whether any of these headers is there.
    pub(super) fn holds_any(&self, names: &Set) -> bool {
        js::holds_any(&self.headers, names)
    }
}

/// A member of an object, if it is there.
fn member(object: &JsValue, name: &str) -> Option<JsValue> {
    let found = Reflect::get(object, &JsValue::from(name)).ok()?;
    (!found.is_undefined() && !found.is_null()).then_some(found)
}

impl Head for RequestHead {
    fn method(&self) -> &str {
        &self.method
    }

    fn url(&self) -> &str {
        self.url.as_str()
    }

    fn parts(&self) -> UrlParts<'_> {
        self.url.parts()
    }

    fn header(&self, name: &'static str) -> Option<String> {
        js::header(&self.headers, name)
    }

    fn named_header(&self, name: &str) -> Option<String> {
        self.headers.get(name).ok().flatten()
    }

    fn header_names(&self) -> Vec<String> {
        js::header_names(&self.headers)
    }

    fn names_with_underscores(&self) -> Vec<String> {
        js::names_with_underscores(&self.headers).unwrap_or_default()
    }

    fn edge(&self, fact: Fact) -> Option<String> {
        if fact == Fact::Signer {
            return self.signer.clone();
        }
        // Where it is missing the edge wasn't there, and anybody may have written
        // the header.
        let cf = member(self.request.as_ref()?, "cf").filter(JsValue::is_object)?;
        let of_bots = |name| member(&member(&cf, "botManagement")?, name);
        let found = match fact {
            // The edge writes it over whatever the client sent.
            Fact::Address | Fact::Signer => return self.header("CF-Connecting-IP"),
            Fact::Asn => member(&cf, "asn"),
            Fact::Country => member(&cf, "country"),
            Fact::VerifiedBot => of_bots("verifiedBot"),
            Fact::BotCategory => {
                member(&cf, "verifiedBotCategory").or_else(|| of_bots("verifiedBotCategory"))
            }
            Fact::BotScore => of_bots("score"),
        }?;
        // Numbers and `true` as JavaScript writes them.
        JSON::stringify(&found).ok()?.as_string().map(|it| it.trim_matches('"').to_owned())
    }

    fn body(&self) -> Body<'_> {
        self.body.as_deref().map_or(Body::Unread, Body::Read)
    }
}
