//! What `entry.js` asks, which sends free requests straight to the origin.

use js_sys::Array;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::Env;
use worker::wasm_bindgen::JsValue;

use super::app::App;
use super::origin;
use super::own_headers::set_of;
use crate::config::{Origin, OriginUrl};
use crate::desk;
use crate::facilitator::Endpoint;
use crate::gate::straight::{self, COOKIE_PREFIX, MARKS, telling_headers};

/// Where free requests go straight to, asked once: the origin's URL, a `Set` of the
/// names of headers that keep one from it, what in a `Cookie` does, and the names and
/// values of the headers that it is given. `null` where the origin has no URL.
#[allow(unreachable_pub, reason = "the runtime calls it")]
#[wasm_bindgen]
pub fn straight(env: &Env) -> JsValue {
    let app = App::get(env);
    let Some(Origin::Url(OriginUrl { origin, base })) = &app.loaded.origin else {
        return JsValue::NULL;
    };
    let pair = |name: &str, value: &str| Array::of2(&name.into(), &value.into());
    let own = app.loaded.origin_headers.always.iter().map(|(name, value)| pair(name, value));
    let given: Array = own.chain([pair(MARKS, &app.loaded.mark)]).collect();
    let url = JsValue::from(format!("{origin}{base}"));
    let telling = set_of(telling_headers(&app.loaded));
    Array::of4(&url, &telling, &COOKIE_PREFIX.into(), &given).into()
}

/// Where the path begins in the URL of a GET or HEAD request that costs nothing,
/// whatever its headers; 0 if there is more to decide.
#[allow(unreachable_pub, reason = "the runtime calls it")]
#[wasm_bindgen(js_name = freeFrom)]
pub fn free_from(url: &str, is_head: bool) -> usize {
    let method = if is_head { "HEAD" } else { "GET" };
    let from = || {
        let app = App::known()?;
        let (at, path) = straight::free_from(&app.loaded, method, url)?;
        let base = app.loaded.facilitator_path.as_ref();
        let is_ours = desk::is_own(path.as_str())
            || base.is_some_and(|base| Endpoint::at(base, &path).is_some());
        (!is_ours).then_some(at)
    };
    from().unwrap_or(0)
}

/// What the client gets for an origin's answer that may need a change, or for its
/// error, to the request of this URL.
#[allow(unreachable_pub, reason = "the runtime calls it")]
#[wasm_bindgen]
pub fn look(answer: JsValue, url: &str) -> Result<JsValue, JsValue> {
    let Some(app) = App::known() else { return Err(answer) };
    Ok(origin::look(&app.loaded, answer, url)?.into())
}
