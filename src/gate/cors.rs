//! Cross-origin requests (Fetch standard, CORS protocol): a page elsewhere may
//! pay, and read what it got for its money.

use super::Head;
use crate::config::Method;

/// What a page may send besides what browsers always allow. The reference
/// client sends `Access-Control-Expose-Headers` as a request header.
pub const ALLOWED_HEADERS: &str = "X-PAYMENT, PAYMENT-SIGNATURE, PAYMENT-GRANT, Access-Control-Expose-Headers, \
     Content-Type, Accept, Range";

/// What a page may read of the answer.
pub const EXPOSED_HEADERS: &str =
    "PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, PAYMENT-GRANT, Retry-After";

/// What a page may do.
pub const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// How long a browser may remember the answer to a preflight, in seconds.
pub const MAX_AGE: &str = "86400";

/// The method that a preflight asks for; `None` if the request is none.
pub fn preflight_method(method: &Method, head: &impl Head) -> Option<Method> {
    if method.as_str() != "OPTIONS" {
        return None;
    }
    head.header("Origin")?;
    head.header("Access-Control-Request-Method")?.parse().ok()
}
