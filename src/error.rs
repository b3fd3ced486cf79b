//! Errors as sentences.

/// Makes a type an error (`std::error::Error`) whose text a function of it
/// gives.
#[macro_export]
macro_rules! plain_error {
    ($type:ty, $text:expr) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let text: fn(&$type) -> &'static str = $text;
                f.write_str(text(self))
            }
        }

        impl std::error::Error for $type {}
    };
}
