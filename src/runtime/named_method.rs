//! Requests whose body names another method than their own.

use worker::web_sys::{Request, Response};

use super::app::App;
use super::head::RequestHead;
use super::respond;
use crate::gate::{self, body_names_method};

/// The largest body that is looked into for a method, in bytes.
const MAX_LOOKED_INTO: usize = 1024 * 1024;

/// What to answer if the body of a request names, or may name, another method where the
/// method counts.
pub(super) async fn refusal(
    app: &App,
    head: &RequestHead,
    request: &Request,
) -> Option<worker::Result<Response>> {
    let media_type = match gate::type_to_look_into(&app.loaded, head) {
        Ok(media_type) => media_type?,
        Err(not_read) => return Some(respond::error(415, not_read.message())),
    };
    let body = match head.copy_of_body(request, MAX_LOOKED_INTO).await {
        Ok(body) => body,
        Err(unread) => return Some(respond::unread(&unread)),
    };
    let (status, why) = match body {
        None => {
            (413, "a form, JSON, or a body without a type is taken here up to 1 MiB, and no longer")
        }
        Some(body) if body_names_method(&media_type, &body) => {
            (400, "the request names another method in its body")
        }
        Some(_) => return None,
    };
    Some(respond::error(status, why))
}
