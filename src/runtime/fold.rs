//! Letters by JavaScript's own tables of Unicode, which the Worker need not hold.

use js_sys::JsString;

/// Makes letters alike that some origin takes for one; see `path::Fold`.
pub(crate) fn fold(text: &str) -> String {
    let cased = JsString::from(text).normalize("NFKD").to_upper_case().to_lower_case();
    cased.normalize("NFKD").into()
}
