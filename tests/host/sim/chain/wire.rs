//! Numbers, calls and transactions as they are on the wire.

use super::*;

/// What a node that lies returns for a check: everything is good, or used.
pub fn false_check(params: &Value, is_good: bool) -> Value {
    let count = read_aggregate3(&bytes(&params[0]["data"])).len() / 3;
    let one = [
        (true, word_of((!is_good).into()).to_vec()),
        (true, word_of(if is_good { u128::MAX } else { 0 }).to_vec()),
        (is_good, vec![]),
    ];
    let results: Vec<_> = std::iter::repeat_n(one, count).flatten().collect();
    encode_hex(&write_results(&results)).into()
}

pub fn calls_in(transaction: &Transaction) -> usize {
    if transaction.to == MULTICALL3 {
        read_aggregate3(&transaction.data).len()
    } else {
        usize::from(!transaction.data.is_empty())
    }
}

pub fn gas_of(to: Address, data: &[u8]) -> u64 {
    let calls = if to == MULTICALL3 {
        read_aggregate3(data).len() as u64
    } else {
        u64::from(!data.is_empty())
    };
    GAS_BASE + GAS_PER_CALL * calls
}

pub fn quantity(number: u128) -> String {
    format!("{number:#x}")
}

pub fn number(value: &Value) -> u128 {
    u128::from_str_radix(value.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
}

pub fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    decode_hex_bytes(text, text.len()).unwrap()
}

pub fn word_of(number: u128) -> [u8; 32] {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&number.to_be_bytes());
    word
}

pub fn word_at(data: &[u8], index: usize) -> [u8; 32] {
    data[4 + 32 * index..][..32].try_into().unwrap()
}

pub fn number_at(data: &[u8], index: usize) -> u128 {
    u128::from_be_bytes(word_at(data, index)[16..].try_into().unwrap())
}

pub fn address_at(data: &[u8], index: usize) -> Address {
    Address::new(word_at(data, index)[12..].try_into().unwrap())
}

/// What bytes are, whose place a word of the calldata names.
pub fn bytes_at(data: &[u8], index: usize) -> &[u8] {
    let data = &data[4..];
    let at = size(data, 32 * index);
    &data[at + 32..][..size(data, at)]
}

pub fn size(data: &[u8], at: usize) -> usize {
    let word: [u8; 16] = data[at + 16..][..16].try_into().unwrap();
    u128::from_be_bytes(word).try_into().unwrap()
}

pub fn read_aggregate3(data: &[u8]) -> Vec<(Address, bool, Vec<u8>)> {
    assert_eq!(data[..4], [0x82, 0xad, 0x56, 0xcb], "aggregate3");
    let data = &data[4..];
    let array = size(data, 0);
    let base = array + 32;
    (0..size(data, array))
        .map(|index| {
            let tuple = base + size(data, base + 32 * index);
            let target = Address::new(data[tuple + 12..][..20].try_into().unwrap());
            let call = tuple + size(data, tuple + 64);
            let call_data = data[call + 32..][..size(data, call)].to_vec();
            (target, size(data, tuple + 32) == 1, call_data)
        })
        .collect()
}

pub fn write_results(results: &[(bool, Vec<u8>)]) -> Vec<u8> {
    let mut data = [word_of(0x20), word_of(results.len() as u128)].concat();
    let mut offset = 32 * results.len();
    for (_, returned) in results {
        data.extend(word_of(offset as u128));
        offset += 96 + returned.len().next_multiple_of(32);
    }
    for (success, returned) in results {
        data.extend(word_of((*success).into()));
        data.extend(word_of(0x40));
        data.extend(word_of(returned.len() as u128));
        data.extend(returned);
        data.resize(data.len().next_multiple_of(32), 0);
    }
    data
}

/// Whether a log is of this address, or of one in a list.
pub fn is_at(address: &Value, wanted: &Value) -> bool {
    let is_same = |it: &Value| address.as_str().unwrap().eq_ignore_ascii_case(it.as_str().unwrap());
    wanted.as_array().map_or_else(|| is_same(wanted), |any| any.iter().any(is_same))
}

/// Whether a log has these topics; a list stands for any of its members.
pub fn are_these(topics: &Value, wanted: &Value) -> bool {
    let (topics, wanted) = (topics.as_array().unwrap(), wanted.as_array().unwrap());
    topics.iter().zip(wanted).all(|(topic, wanted)| match wanted {
        Value::Array(any) => any.contains(topic),
        one => one == topic,
    })
}

/// Reads a signed EIP-1559 transaction and recovers who signed it.
pub fn read_transaction(raw: &[u8]) -> (Address, Transaction) {
    let (kind, list) = raw.split_first().unwrap();
    assert_eq!(*kind, 2);
    let (list, rest) = rlp_item(list);
    assert!(rest.is_empty());
    let mut items = vec![];
    let mut rest = list;
    while !rest.is_empty() {
        let (item, after) = rlp_item(rest);
        items.push(item);
        rest = after;
    }
    assert_eq!(items.len(), 12);
    let number = |index: usize| {
        let mut bytes = [0; 16];
        let item: &[u8] = items[index];
        bytes[16 - item.len()..].copy_from_slice(item);
        u128::from_be_bytes(bytes)
    };
    let small = |index: usize| u64::try_from(number(index)).unwrap();
    let transaction = Transaction {
        chain_id: small(0),
        nonce: small(1),
        max_priority_fee_per_gas: number(2),
        max_fee_per_gas: number(3),
        gas_limit: small(4),
        to: Address::new(items[5].try_into().unwrap()),
        data: items[7].to_vec(),
    };
    assert!(items[6].is_empty() && items[8].is_empty(), "no value, no access list");
    let mut signature = [0; 65];
    signature[32 - items[10].len()..32].copy_from_slice(items[10]);
    signature[64 - items[11].len()..64].copy_from_slice(items[11]);
    signature[64] = 27 + u8::try_from(number(9)).unwrap();
    let signature = Signature::from_bytes(&signature).unwrap();
    (signature.recover(&transaction.signing_hash()).unwrap(), transaction)
}

/// The content of the first item, and what is behind it.
pub fn rlp_item(data: &[u8]) -> (&[u8], &[u8]) {
    let (first, rest) = data.split_first().unwrap();
    let long = |rest: &[u8], count: u8| {
        let length = rest[..count.into()].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        (length, usize::from(count))
    };
    let (length, skip) = match *first {
        0..=0x7f => return data.split_at(1),
        0x80..=0xb7 => (usize::from(first - 0x80), 0),
        0xb8..=0xbf => long(rest, first - 0xb7),
        0xc0..=0xf7 => (usize::from(first - 0xc0), 0),
        0xf8.. => long(rest, first - 0xf7),
    };
    rest[skip..].split_at(length)
}
