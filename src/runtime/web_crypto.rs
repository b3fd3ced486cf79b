//! What the runtime's own cryptography does (`crypto.subtle`).

use js_sys::{Array, Object, Reflect, Uint8Array};
use worker::console_error;
use worker::wasm_bindgen::JsValue;

use super::js;
use crate::facilitator_client::p256::P256Key;

/// Signs with ECDSA, P-256 and SHA-256: `r ‖ s`.
pub(super) async fn sign(key: &P256Key, text: &[u8]) -> Result<[u8; 64], JsValue> {
    let signed = try_to_sign(key, text).await;
    if signed.is_err() {
        // A number that is no key, for one: its PEM was good.
        console_error!("CDP_API_KEY: the key of P-256 can't sign");
    }
    signed
}

async fn try_to_sign(key: &P256Key, text: &[u8]) -> Result<[u8; 64], JsValue> {
    let crypto = Reflect::get(&js_sys::global(), &"crypto".into())?;
    let subtle = Reflect::get(&crypto, &"subtle".into())?;
    let how = Object::new();
    for (name, value) in [("name", "ECDSA"), ("namedCurve", "P-256"), ("hash", "SHA-256")] {
        Reflect::set(&how, &name.into(), &value.into())?;
    }
    let bytes: JsValue = Uint8Array::from(key.to_pkcs8().as_slice()).into();
    let uses: JsValue = Array::of1(&"sign".into()).into();
    let import = [&"pkcs8".into(), &bytes, &how, &JsValue::FALSE, &uses];
    let key = js::call(&subtle, "importKey", &import).await?;
    let text: JsValue = Uint8Array::from(text).into();
    let signature = js::call(&subtle, "sign", &[&how, &key, &text]).await?;
    let signature = Uint8Array::new(&signature).to_vec();
    signature.try_into().map_err(|_| JsValue::from("no signature of 64 bytes"))
}
