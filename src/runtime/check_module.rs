//! The reader of the configuration as a module for Node, for `edge402 check`:
//! made with the feature `check`, and no part of the Worker.

use wasm_bindgen::prelude::wasm_bindgen;

mod fold;

/// See [`crate::check::report`].
#[allow(unreachable_pub, reason = "JavaScript calls it")]
#[wasm_bindgen]
pub fn report(input: &str) -> String {
    crate::check::report(input, fold::fold)
}
