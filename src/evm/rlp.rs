//! RLP, the writer: as much as a transaction needs (Yellow Paper, appendix B).

/// One item in RLP.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// A string of bytes, as it is.
    Bytes(&'a [u8]),
    /// A number, big-endian: written without leading zeros, 0 as the empty
    /// string.
    Number(&'a [u8]),
    /// The empty list.
    EmptyList,
}

/// Writes a list of items.
pub fn encode_list(items: &[Item<'_>]) -> Vec<u8> {
    let mut payload = Vec::new();
    for item in items {
        match *item {
            Item::Bytes(bytes) => encode_bytes(&mut payload, bytes),
            Item::Number(bytes) => encode_bytes(&mut payload, trimmed(bytes)),
            Item::EmptyList => payload.push(0xc0),
        }
    }
    let mut list = Vec::with_capacity(payload.len() + 9);
    encode_length(&mut list, payload.len(), 0xc0);
    list.append(&mut payload);
    list
}

fn encode_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes {
        [byte] if *byte < 0x80 => out.push(*byte),
        _ => {
            encode_length(out, bytes.len(), 0x80);
            out.extend_from_slice(bytes);
        }
    }
}

/// `kind` is 0x80 for strings, 0xc0 for lists.
fn encode_length(out: &mut Vec<u8>, length: usize, kind: u8) {
    if let Ok(short @ ..=55) = u8::try_from(length) {
        out.push(kind + short);
        return;
    }
    let bytes = length.to_be_bytes();
    let bytes = trimmed(&bytes);
    // A length has 8 bytes at most.
    out.push(kind + 55 + u8::try_from(bytes.len()).unwrap_or(8));
    out.extend_from_slice(bytes);
}

fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_their_shortest_form() {
        let list = |item| encode_list(&[item]);
        assert_eq!(encode_list(&[]), [0xc0]);
        assert_eq!(list(Item::EmptyList), [0xc1, 0xc0]);
        assert_eq!(list(Item::Bytes(&[])), [0xc1, 0x80]);
        assert_eq!(list(Item::Bytes(&[0])), [0xc1, 0x00]);
        assert_eq!(list(Item::Number(&[0])), [0xc1, 0x80]);
        assert_eq!(list(Item::Number(&[0, 0, 0x7f])), [0xc1, 0x7f]);
        assert_eq!(list(Item::Number(&[0, 0x80])), [0xc2, 0x81, 0x80]);
        assert_eq!(list(Item::Bytes(&[7; 54]))[..2], [0xf7, 0xb6]);
        assert_eq!(list(Item::Bytes(&[7; 55]))[..3], [0xf8, 56, 0xb7]);
        assert_eq!(list(Item::Bytes(&[7; 56]))[..4], [0xf8, 58, 0xb8, 56]);
        assert_eq!(list(Item::Bytes(&[7; 256]))[..6], [0xf9, 1, 3, 0xb9, 1, 0]);
    }
}
