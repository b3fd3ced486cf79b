//! The head of a request, as the gate looks at it.

use worker::web_sys::{Headers, Request};

use super::js;
use crate::gate::Head;

/// A request's method and URL, read once, and its headers, read as needed.
pub(super) struct RequestHead {
    method: String,
    url: String,
    headers: Headers,
}

impl RequestHead {
    pub(super) fn new(request: &Request) -> Self {
        Self { method: request.method(), url: request.url(), headers: request.headers() }
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
}
