//! A sale as a data point of Workers Analytics Engine, for sellers that bind one.

use serde_json::{Value, json};

use super::Sale;

/// How long an index may be, in bytes, and all blobs together may be 16 KB; see
/// [Limits](https://developers.cloudflare.com/analytics/analytics-engine/limits/).
const INDEX_MAX: usize = 96;
const BLOB_MAX: usize = 1_700;

/// How many points wait to be written at most.
pub const POINTS_WAIT: usize = 1_000;
/// How many one invocation may write.
pub const POINTS_AT_ONCE: usize = 250;

impl Sale {
    /// What `writeDataPoint` takes, as JSON. The order is part of the interface:
    /// queries name `blob1` to `blob9` and `double1` to `double3`.
    pub fn data_point(&self) -> String {
        let network = self.network.map(|it| it.to_string());
        let blobs = [
            self.route.as_deref(),
            self.path.as_deref(),
            self.method.as_deref(),
            network.as_deref(),
            self.asset.as_deref(),
            Some(&self.payer),
            Some(&self.transaction),
            Some(&self.payment),
            self.way.as_deref(),
        ];
        let blobs = blobs.map(|text| cut(text.unwrap_or_default(), BLOB_MAX));
        let index = cut(self.route.as_deref().unwrap_or_default(), INDEX_MAX);
        // Read as a whole number: what reads a fraction is 14 KB to upload.
        let fee: u128 = self.fee.as_ref().and_then(|fee| fee.parse().ok()).unwrap_or(0);
        #[allow(clippy::cast_precision_loss, reason = "all that the engine keeps")]
        let [amount, fee] = [self.amount.0, fee].map(|number| number as f64);
        let version = f64::from(self.x402_version.unwrap_or(0));
        json!({ "indexes": [index], "blobs": blobs, "doubles": [amount, fee, version] }).to_string()
    }
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, max: usize) -> Value {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default().into()
}
