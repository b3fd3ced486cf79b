//! The head of a request, as the gate looks at it.

use worker::wasm_bindgen::JsValue;
use worker::web_sys::{Headers, Request};

use super::{body, js};
use crate::gate::{Body, Head, MAX_BOUND_BODY};

/// A request's method and URL, read once, and its headers, read as needed.
pub(super) struct RequestHead {
    method: String,
    url: String,
    headers: Headers,
    /// `None`: it was not read, or is too long.
    body: Option<Vec<u8>>,
}

impl RequestHead {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            method: request.method(),
            url: request.url(),
            headers: request.headers(),
            body: None,
        }
    }

    /// Reads the body, for a price that depends on it. A request without one has
    /// an empty one.
    pub(super) async fn read_body(&mut self, request: &Request) -> Result<(), JsValue> {
        self.body = if request.body().is_none() {
            Some(vec![])
        } else {
            body::read_at_most(&request.clone()?, MAX_BOUND_BODY).await?
        };
        Ok(())
    }

    /// Whether there is a header of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.has(name).is_ok_and(|it| it)
    }
}

impl Head for RequestHead {
    fn method(&self) -> &str {
        &self.method
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn header(&self, name: &'static str) -> Option<String> {
        js::header(&self.headers, name)
    }

    fn named_header(&self, name: &str) -> Option<String> {
        self.headers.get(name).ok().flatten()
    }

    fn body(&self) -> Body<'_> {
        self.body.as_deref().map_or(Body::Unread, Body::Read)
    }
}
