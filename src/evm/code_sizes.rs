//! Which accounts have code, asked in one call: an account with code may run
//! it on our gas (ERC-1271), and an account of a private key may take code on
//! and off (EIP-7702).
//!
//! The question is creation code: an `eth_call` without `to` runs it and
//! answers what it returns. It is short enough for EIP-3860 (49,152 bytes), and
//! its answer for EIP-170 (24,576 bytes), for up to 768 accounts.

use super::Address;

/// What one account adds to the answer, in bytes.
const WORD: usize = 32;

const PUSH1: u8 = 0x60;
const PUSH2: u8 = 0x61;
const PUSH20: u8 = 0x73;
const EXTCODESIZE: u8 = 0x3b;
const MSTORE: u8 = 0x52;
const RETURN: u8 = 0xf3;

/// Creation code that returns the size of each account's code, as words in the
/// accounts' order.
pub fn code_sizes_code(accounts: &[Address]) -> Vec<u8> {
    let mut code = Vec::with_capacity(accounts.len() * 26 + 6);
    let mut end: u16 = 0;
    for account in accounts {
        code.push(PUSH20);
        code.extend_from_slice(account.as_bytes());
        code.extend_from_slice(&[EXTCODESIZE, PUSH2]);
        code.extend_from_slice(&end.to_be_bytes());
        code.push(MSTORE);
        end = end.saturating_add(32);
    }
    code.push(PUSH2);
    code.extend_from_slice(&end.to_be_bytes());
    code.extend_from_slice(&[PUSH1, 0, RETURN]);
    code
}

/// Whether each of so many accounts has code; `None` if this is no answer to
/// [`code_sizes_code`].
pub fn read_code_sizes(data: &[u8], count: usize) -> Option<Vec<bool>> {
    let is_whole = Some(data.len()) == count.checked_mul(WORD);
    is_whole.then(|| data.chunks(WORD).map(|word| word.iter().any(|byte| *byte != 0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_pushes_each_account_and_returns_all_words() {
        let code = code_sizes_code(&[Address::new([0xaa; 20]), Address::new([0xbb; 20])]);
        let (a, b) = ("aa".repeat(20), "bb".repeat(20));
        let expected = format!("73{a}3b61000052 73{b}3b61002052 6100406000f3").replace(' ', "");
        assert_eq!(crate::encoding::encode_hex(&code), format!("0x{expected}"));
        assert!(code_sizes_code(&vec![Address::ZERO; 100]).len() < 49_152);
    }

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let mut data = vec![0; 96];
        data[63] = 23;
        assert_eq!(read_code_sizes(&data, 3), Some(vec![false, true, false]));
        for wrong in [&data[..95], &data[..64], &[]] {
            assert_eq!(read_code_sizes(wrong, 3), None);
        }
        assert_eq!(read_code_sizes(&[], usize::MAX), None);
    }
}
