//! A request, as the gate looks at it.

/// The head of a request. Headers are asked for one by one, because each
/// question crosses from WebAssembly to the host.
pub trait Head {
    /// The method, as the client wrote it.
    fn method(&self) -> &str;
    /// The whole URL.
    fn url(&self) -> &str;
    /// The value of a header; several of one name with commas between.
    fn header(&self, name: &'static str) -> Option<String>;
    /// The same for a header that the configuration names.
    fn named_header(&self, _name: &str) -> Option<String> {
        None
    }
    /// The body, where the price depends on it.
    fn body(&self) -> Body<'_> {
        Body::Unread
    }
}

/// The body of a request, as far as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// It was not, or is longer than [`MAX_BOUND_BODY`](super::MAX_BOUND_BODY).
    Unread,
    /// All of it; empty if there is none.
    Read(&'a [u8]),
}
