//! Calldata and returned data, as the Solidity ABI lays them out: the few
//! functions that a settlement calls, and no more.

use super::{Address, Authorization, Signature, Uint256};

/// The most text that is taken from a revert, in bytes.
pub const MAX_REVERT_TEXT: usize = 256;

/// Multicall3, at the one address it has on nearly every EVM chain.
/// Source: <https://github.com/mds1/multicall3>.
pub const MULTICALL3: Address = Address::new([
    0xca, 0x11, 0xbd, 0xe0, 0x59, 0x77, 0xb3, 0x63, 0x11, 0x67, 0x02, 0x88, 0x62, 0xbe, 0x2a, 0x17,
    0x39, 0x76, 0xca, 0x11,
]);

/// One call of Multicall3's `aggregate3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call3 {
    /// The contract to call.
    pub target: Address,
    /// Whether the other calls go on when this one reverts.
    pub allow_failure: bool,
    /// Its calldata.
    pub call_data: Vec<u8>,
}

/// What one call of `aggregate3` came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResult {
    /// Whether the call did not revert. A call to an address without code
    /// doesn't.
    pub success: bool,
    /// What it returned, or its revert data.
    pub return_data: Vec<u8>,
}

/// Calldata of `transferWithAuthorization` (EIP-3009), the overload with the
/// signature as v, r and s, v being 27 or 28.
pub fn transfer_with_authorization(
    authorization: &Authorization,
    signature: &Signature,
) -> Vec<u8> {
    call(
        TRANSFER_WITH_AUTHORIZATION,
        &[
            authorization.from.to_word(),
            authorization.to.to_word(),
            authorization.value.to_be_bytes(),
            authorization.valid_after.to_be_bytes(),
            authorization.valid_before.to_be_bytes(),
            authorization.nonce,
            number(u64::from(signature.v())),
            *signature.r(),
            *signature.s(),
        ],
    )
}

/// Calldata of `transferWithAuthorization`, the overload with the signature as
/// bytes (USDC since its version 2.2): whatever the payer's contract takes.
pub fn transfer_with_authorization_bytes(
    authorization: &Authorization,
    signature: &[u8],
) -> Vec<u8> {
    let mut data = call(
        TRANSFER_WITH_AUTHORIZATION_BYTES,
        &[
            authorization.from.to_word(),
            authorization.to.to_word(),
            authorization.value.to_be_bytes(),
            authorization.valid_after.to_be_bytes(),
            authorization.valid_before.to_be_bytes(),
            authorization.nonce,
            number(7 * 32),
        ],
    );
    push_bytes(&mut data, signature);
    data
}

/// The same for an authorization that ended in 1970, and nobody's signature: a
/// token that has the overload says that it is over.
pub fn expired_transfer_with_bytes() -> Vec<u8> {
    let authorization = Authorization {
        from: MULTICALL3,
        to: MULTICALL3,
        value: Uint256::ZERO,
        valid_after: Uint256::ZERO,
        valid_before: Uint256::ZERO,
        nonce: [0; 32],
    };
    transfer_with_authorization_bytes(&authorization, &[])
}

/// Calldata of `isValidSignature(hash, signature)` (ERC-1271).
pub fn is_valid_signature(hash: &[u8; 32], signature: &[u8]) -> Vec<u8> {
    let mut data = call(IS_VALID_SIGNATURE, &[*hash, number(2 * 32)]);
    push_bytes(&mut data, signature);
    data
}

/// Whether a contract's answer to [`is_valid_signature`] is yes, as tokens read
/// it: the first word is the function's own selector, padded.
pub fn decode_is_valid_signature(data: &[u8]) -> bool {
    let mut yes = [0; 32];
    let (selector, _) = yes.split_at_mut(4);
    selector.copy_from_slice(&IS_VALID_SIGNATURE.to_be_bytes());
    data.starts_with(&yes)
}

/// Reads `abi.encode(address, bytes, bytes)`. Takes only the layout that
/// Solidity writes, to the last byte; `None` for everything else.
pub fn decode_address_and_two_bytes(data: &[u8]) -> Option<(Address, Vec<u8>, Vec<u8>)> {
    let mut reader = Reader(data);
    let address = reader.address()?;
    let (first, second) = (reader.size()?, reader.size()?);
    if first != 3 * 32 {
        return None;
    }
    let one = reader.bytes()?;
    if second != data.len() - reader.0.len() {
        return None;
    }
    let two = reader.bytes()?;
    reader.0.is_empty().then_some((address, one, two))
}

/// Calldata of `authorizationState(authorizer, nonce)` (EIP-3009): true once
/// the nonce was used or canceled.
pub fn authorization_state(authorizer: Address, nonce: &[u8; 32]) -> Vec<u8> {
    call(AUTHORIZATION_STATE, &[authorizer.to_word(), *nonce])
}

/// Calldata of `balanceOf(account)` (ERC-20): atomic units.
pub fn balance_of(account: Address) -> Vec<u8> {
    call(BALANCE_OF, &[account.to_word()])
}

/// Calldata of Multicall3's `aggregate3((address,bool,bytes)[])`.
pub fn aggregate3(calls: &[Call3]) -> Vec<u8> {
    let mut data = call(AGGREGATE3, &[number(0x20), length(calls.len())]);
    // Where each tuple starts, counted from behind the array's length.
    let mut offset = 32 * calls.len();
    for call in calls {
        data.extend_from_slice(&length(offset));
        offset += 32 * 4 + padded(call.call_data.len());
    }
    for call in calls {
        data.extend_from_slice(&call.target.to_word());
        data.extend_from_slice(&number(u64::from(call.allow_failure)));
        data.extend_from_slice(&number(0x60));
        push_bytes(&mut data, &call.call_data);
    }
    data
}

/// Reads what `aggregate3` returned for `count` calls: `(bool success, bytes
/// returnData)[]`. Takes only the layout that Solidity writes, to the last
/// byte; `None` for everything else.
pub fn decode_aggregate3(data: &[u8], count: usize) -> Option<Vec<CallResult>> {
    let mut reader = Reader(data);
    if reader.size()? != 0x20 || reader.size()? != count {
        return None;
    }
    // Never more of them than there are bytes: `count` is ours.
    let offsets = (0..count).map(|_| reader.size()).collect::<Option<Vec<_>>>()?;
    let start = reader.0.len() + 32 * count;
    let mut results = Vec::with_capacity(count);
    for offset in offsets {
        if offset != start - reader.0.len() {
            return None;
        }
        let success = reader.bool()?;
        if reader.size()? != 0x40 {
            return None;
        }
        results.push(CallResult { success, return_data: reader.bytes()? });
    }
    reader.0.is_empty().then_some(results)
}

/// Reads a returned `uint256`: one word.
pub fn decode_uint256(data: &[u8]) -> Option<Uint256> {
    data.try_into().ok().map(Uint256::from_be_bytes)
}

/// Reads a returned `bool`: one word, 0 or 1.
pub fn decode_bool(data: &[u8]) -> Option<bool> {
    let mut reader = Reader(data);
    let value = reader.bool()?;
    reader.0.is_empty().then_some(value)
}

/// Reads the text of `Error(string)`, what `revert("…")` and
/// `require(…, "…")` leave, for logs: at most [`MAX_REVERT_TEXT`] bytes, what
/// is not printable ASCII replaced.
///
/// The one lenient reader here: contracts write this by hand, too, and the
/// text decides nothing.
pub fn decode_error_string(data: &[u8]) -> Option<String> {
    let (selector, data) = data.split_first_chunk::<4>()?;
    let mut reader = Reader(data);
    if *selector != ERROR.to_be_bytes() || reader.size()? != 0x20 {
        return None;
    }
    let length = reader.size()?;
    let text = reader.0.get(..length)?;
    Some(
        text.iter()
            .take(MAX_REVERT_TEXT)
            .map(|byte| match byte {
                b' '..=b'~' => char::from(*byte),
                _ => '\u{fffd}',
            })
            .collect(),
    )
}

// The first 4 bytes of the hashes of the signatures beside them; a test holds
// the two together.
const TRANSFER_WITH_AUTHORIZATION: u32 = 0xe3ee_160e;
const TRANSFER_WITH_AUTHORIZATION_BYTES: u32 = 0xcf09_2995;
const IS_VALID_SIGNATURE: u32 = 0x1626_ba7e;
const AUTHORIZATION_STATE: u32 = 0xe94a_0102;
const BALANCE_OF: u32 = 0x70a0_8231;
const AGGREGATE3: u32 = 0x82ad_56cb;
const ERROR: u32 = 0x08c3_79a0;

/// A selector and words.
pub(super) fn call(selector: u32, words: &[[u8; 32]]) -> Vec<u8> {
    let mut data = Vec::with_capacity(4 + 32 * words.len());
    data.extend_from_slice(&selector.to_be_bytes());
    data.extend_from_slice(words.as_flattened());
    data
}

/// Writes bytes behind what is there: their length, and they with their padding.
fn push_bytes(data: &mut Vec<u8>, bytes: &[u8]) {
    data.extend_from_slice(&length(bytes.len()));
    data.extend_from_slice(bytes);
    data.resize(data.len() + padded(bytes.len()) - bytes.len(), 0);
}

fn number(value: u64) -> [u8; 32] {
    Uint256::from(value).to_be_bytes()
}

/// A length or an offset, as a word.
pub(super) fn length(value: usize) -> [u8; 32] {
    // A length in memory fits 64 bits.
    number(u64::try_from(value).unwrap_or(u64::MAX))
}

/// A length rounded up to whole words.
fn padded(length: usize) -> usize {
    length.next_multiple_of(32)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn word(&mut self) -> Option<Uint256> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(Uint256::from_be_bytes(*word))
    }

    fn size(&mut self) -> Option<usize> {
        u64::try_from(self.word()?).ok()?.try_into().ok()
    }

    fn address(&mut self) -> Option<Address> {
        let word = self.word()?.to_be_bytes();
        let (padding, address) = word.split_last_chunk::<20>().map(|(it, at)| (it, *at))?;
        padding.iter().all(|byte| *byte == 0).then_some(Address::new(address))
    }

    fn bool(&mut self) -> Option<bool> {
        match self.size()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.size()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        let (padding, rest) = rest.split_at_checked(padded(length).checked_sub(length)?)?;
        if padding.iter().any(|byte| *byte != 0) {
            return None;
        }
        self.0 = rest;
        Some(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evm::keccak256;

    #[test]
    fn selectors_are_those_of_their_signatures() {
        for (selector, signature) in [
            (
                TRANSFER_WITH_AUTHORIZATION,
                "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
            ),
            (
                TRANSFER_WITH_AUTHORIZATION_BYTES,
                "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
            ),
            (IS_VALID_SIGNATURE, "isValidSignature(bytes32,bytes)"),
            (AUTHORIZATION_STATE, "authorizationState(address,bytes32)"),
            (BALANCE_OF, "balanceOf(address)"),
            (AGGREGATE3, "aggregate3((address,bool,bytes)[])"),
            (ERROR, "Error(string)"),
        ] {
            assert_eq!(keccak256(signature.as_bytes())[..4], selector.to_be_bytes(), "{signature}");
        }
    }

    fn word(value: u64) -> [u8; 32] {
        number(value)
    }

    #[test]
    fn single_words_are_read_whole() {
        assert_eq!(decode_uint256(&word(7)), Some(7_u64.into()));
        assert_eq!(decode_uint256(&[0xff; 32]), Some(Uint256::MAX));
        assert_eq!(decode_bool(&word(1)), Some(true));
        assert_eq!(decode_bool(&word(0)), Some(false));
        assert_eq!(decode_bool(&word(2)), None);
        assert_eq!(decode_bool(&[word(1), word(0)].concat()), None);
        for wrong in [&[][..], &[0; 31], &[0; 33], &[0; 64]] {
            assert_eq!(decode_uint256(wrong), None);
            assert_eq!(decode_bool(wrong), None);
        }
    }

    #[test]
    fn aggregate_results_are_read_whole_or_not_at_all() {
        let mut data = [word(32), word(2), word(64), word(192), word(1), word(64)].concat();
        data.extend([word(3), [0; 32], word(0), word(64), word(0)].concat());
        data[32 * 7..32 * 7 + 3].copy_from_slice(&[1, 2, 3]);
        let results = decode_aggregate3(&data, 2).unwrap();
        assert_eq!(results[0], CallResult { success: true, return_data: vec![1, 2, 3] });
        assert_eq!(results[1], CallResult { success: false, return_data: vec![] });
        assert_eq!(decode_aggregate3(&data, 1), None);
        assert_eq!(decode_aggregate3(&data, 3), None);
        for end in 0..data.len() {
            assert_eq!(decode_aggregate3(&data[..end], 2), None, "cut at {end}");
        }
        assert_eq!(decode_aggregate3(&[&data[..], &[0]].concat(), 2), None);
        // Every byte of the layout and the padding counts; only the data and
        // the success flags can take another value.
        for at in 0..data.len() {
            let mut other = data.clone();
            other[at] ^= 1;
            let free = [32 * 4 + 31, 32 * 7, 32 * 7 + 1, 32 * 7 + 2, 32 * 8 + 31];
            assert_eq!(decode_aggregate3(&other, 2).is_some(), free.contains(&at), "byte {at}");
        }
        assert_eq!(decode_aggregate3(&[word(32), word(0)].concat(), 0), Some(vec![]));
    }

    #[test]
    fn revert_texts_are_bounded_and_printable() {
        let revert = |length: u64, text: &[u8]| {
            let mut data = ERROR.to_be_bytes().to_vec();
            data.extend([word(32), word(length)].concat());
            data.extend(text);
            decode_error_string(&data)
        };
        assert_eq!(revert(3, b"abc").as_deref(), Some("abc"));
        assert_eq!(revert(3, b"a\nc\0\0").as_deref(), Some("a\u{fffd}c"));
        assert_eq!(revert(4, b"abc"), None);
        assert_eq!(revert(u64::MAX, b"abc"), None);
        assert_eq!(revert(9_999, &[b'x'; 9_999]).unwrap().len(), MAX_REVERT_TEXT);
        assert_eq!(decode_error_string(&[]), None);
        assert_eq!(decode_error_string(&[0x4e, 0x48, 0x7b, 0x71]), None);
    }
}
