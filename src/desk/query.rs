//! A request's query, read strictly: what is not known is refused.

/// The names and values of a query (from its `?` on), each name once and none
/// empty (WHATWG URL, application/x-www-form-urlencoded).
///
/// # Errors
/// A sentence for the client: what to change.
pub(super) fn pairs_of(query: &str, known: &[&str]) -> Result<Vec<(String, String)>, String> {
    let mut read: Vec<(String, String)> = vec![];
    let pairs = query.trim_start_matches('?').split('&').filter(|pair| !pair.is_empty());
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).ok_or("a parameter's name can't be read")?;
        let value = decode(value).ok_or_else(|| format!("{name} can't be read"))?;
        if !known.contains(&name.as_str()) {
            let known = known.join(", ");
            return Err(format!("there is no parameter {name:?}; there are {known}"));
        }
        if value.is_empty() {
            return Err(format!("{name} is empty; leave it out"));
        }
        if read.iter().any(|(other, _)| *other == name) {
            return Err(format!("{name} stands there twice"));
        }
        read.push((name, value));
    }
    Ok(read)
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = vec![];
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|it| char::from(it).to_digit(16));
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}
