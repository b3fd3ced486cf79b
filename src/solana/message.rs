//! Transactions as bytes: a strict reader for legacy and v0.
//!
//! Account indexes are resolved while reading, so that what comes out of
//! [`Transaction::parse`] has no index that could be out of range.
//!
//! Source: Solana documentation, "Transaction structure" and "Versioned
//! transactions"; the checks are those of the runtime's `sanitize`, and a
//! repeated account key is refused as the runtime refuses it.

use super::address::Pubkey;
use super::signature::Signature;

use crate::plain_error;

/// The largest transaction that the network carries, in bytes.
pub const MAX_TRANSACTION_BYTES: usize = 1232;

/// The highest bit of a message's first byte: set if the message has a
/// version, which the other bits then hold.
const VERSIONED: u8 = 0x80;

/// A whole transaction: signatures, and the message that they sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// As many as the message has signers, and in their order; one that has
    /// not been made yet is all zero.
    pub signatures: Vec<Signature>,
    /// What is signed.
    pub message: Message,
}

/// A message, legacy or v0, without address lookup tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The bytes that every signature is over.
    pub bytes: Vec<u8>,
    /// The accounts that must sign; the first pays the fee.
    pub signers: Vec<Pubkey>,
    /// The blockhash that the transaction expires with, or, with an advanced
    /// nonce account, the nonce that it does not expire with.
    pub recent_blockhash: [u8; 32],
    /// In the order in which they run.
    pub instructions: Vec<Instruction>,
}

/// One call of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The program that is called.
    pub program: Pubkey,
    /// The accounts that it is given, in its own order.
    pub accounts: Vec<Pubkey>,
    /// The program's input.
    pub data: Vec<u8>,
}

/// Bytes that are not exactly one transaction that can be taken here. The
/// client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable;

plain_error!(Undecodable, |_| "is not exactly one transaction that can be taken here");

impl Transaction {
    /// Reads a transaction of at most [`MAX_TRANSACTION_BYTES`] bytes.
    ///
    /// # Errors
    /// [`Undecodable`] for a length over the limit, bytes left over or
    /// missing, a compact-u16 that is longer than it need be, a version other
    /// than 0, any address lookup table, a header that contradicts itself or
    /// the number of signatures, a repeated account, an index out of range,
    /// or the fee payer as a program.
    pub fn parse(bytes: &[u8]) -> Result<Self, Undecodable> {
        if bytes.len() > MAX_TRANSACTION_BYTES {
            return Err(Undecodable);
        }
        let mut reader = Reader(bytes);
        let count = reader.compact_u16()?;
        let signatures = reader.many(count, |r| r.array().map(Signature))?;
        let message = Message::parse(reader.0)?;
        if signatures.len() != message.signers.len() {
            return Err(Undecodable);
        }
        Ok(Self { signatures, message })
    }

    /// The transaction as the network carries it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MAX_TRANSACTION_BYTES);
        // `parse` lets at most 19 signatures through: one byte's worth.
        bytes.push(u8::try_from(self.signatures.len()).unwrap_or(u8::MAX));
        for signature in &self.signatures {
            bytes.extend_from_slice(&signature.0);
        }
        bytes.extend_from_slice(&self.message.bytes);
        bytes
    }
}

impl Message {
    fn parse(bytes: &[u8]) -> Result<Self, Undecodable> {
        let mut reader = Reader(bytes);
        let versioned = match reader.peek()? {
            first if first & VERSIONED == 0 => false,
            VERSIONED => {
                reader.byte()?;
                true
            }
            _ => return Err(Undecodable),
        };
        let header = reader.array()?;
        let count = reader.compact_u16()?;
        let keys = reader.many(count, |r| r.array().map(Pubkey))?;
        let signers = signers(header, &keys)?;
        let recent_blockhash = reader.array()?;
        let count = reader.compact_u16()?;
        let instructions = reader.many(count, |r| r.instruction(&keys))?;
        if versioned && reader.compact_u16()? != 0 {
            return Err(Undecodable);
        }
        if !reader.0.is_empty() {
            return Err(Undecodable);
        }
        Ok(Self { bytes: bytes.to_vec(), signers, recent_blockhash, instructions })
    }
}

/// The keys that must sign, if the header and the keys agree.
fn signers(header: [u8; 3], keys: &[Pubkey]) -> Result<Vec<Pubkey>, Undecodable> {
    let [required, readonly_signed, readonly_unsigned] = header.map(usize::from);
    let (signers, others) = keys.split_at_checked(required).ok_or(Undecodable)?;
    // The fee payer is charged, so at least one signer is writable.
    if readonly_signed >= signers.len() || readonly_unsigned > others.len() {
        return Err(Undecodable);
    }
    // A packet holds too few keys for sorting to pay.
    let is_repeated = |(at, key)| keys.iter().take(at).any(|earlier| earlier == key);
    if keys.iter().enumerate().any(is_repeated) { Err(Undecodable) } else { Ok(signers.to_vec()) }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Result<u8, Undecodable> {
        self.0.first().copied().ok_or(Undecodable)
    }

    fn byte(&mut self) -> Result<u8, Undecodable> {
        let (first, rest) = self.0.split_first().ok_or(Undecodable)?;
        self.0 = rest;
        Ok(*first)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Undecodable> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Undecodable)?;
        self.0 = rest;
        Ok(*first)
    }

    fn slice(&mut self, length: u16) -> Result<&'a [u8], Undecodable> {
        let (first, rest) = self.0.split_at_checked(length.into()).ok_or(Undecodable)?;
        self.0 = rest;
        Ok(first)
    }

    /// Seven bits a byte, the lowest first, the highest bit of a byte saying
    /// that another follows; at most three bytes, and none that adds nothing.
    fn compact_u16(&mut self) -> Result<u16, Undecodable> {
        let mut value = 0;
        for shift in [0, 7, 14] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return match byte {
                    0 if shift > 0 => Err(Undecodable),
                    _ => u16::try_from(value).map_err(|_| Undecodable),
                };
            }
        }
        Err(Undecodable)
    }

    fn many<T>(
        &mut self,
        count: u16,
        mut item: impl FnMut(&mut Self) -> Result<T, Undecodable>,
    ) -> Result<Vec<T>, Undecodable> {
        // Every item takes a byte or more: the input bounds the memory.
        if usize::from(count) > self.0.len() {
            return Err(Undecodable);
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn instruction(&mut self, keys: &[Pubkey]) -> Result<Instruction, Undecodable> {
        let key = |index: u8| keys.get(usize::from(index)).copied().ok_or(Undecodable);
        let program = match self.byte()? {
            // The fee payer is no program.
            0 => return Err(Undecodable),
            index => key(index)?,
        };
        let count = self.compact_u16()?;
        let accounts =
            self.slice(count)?.iter().map(|index| key(*index)).collect::<Result<_, _>>()?;
        let length = self.compact_u16()?;
        let data = self.slice(length)?.to_vec();
        Ok(Instruction { program, accounts, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compact(bytes: &[u8]) -> Result<u16, Undecodable> {
        let mut reader = Reader(bytes);
        let value = reader.compact_u16()?;
        if reader.0.is_empty() { Ok(value) } else { Err(Undecodable) }
    }

    /// Values from `solana_short_vec`'s documentation and tests.
    #[test]
    fn compact_u16_takes_one_spelling() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x7f], 0x7f),
            (&[0x80, 0x01], 0x80),
            (&[0xff, 0x01], 0xff),
            (&[0x80, 0x02], 0x100),
            (&[0xff, 0xff, 0x01], 0x7fff),
            (&[0x80, 0x80, 0x02], 0x8000),
            (&[0xff, 0xff, 0x03], 0xffff),
        ] {
            assert_eq!(compact(bytes), Ok(value));
        }
        for wrong in [
            &[][..],
            &[0x80],
            &[0x80, 0x00],
            &[0xff, 0x00],
            &[0x80, 0x80],
            &[0x80, 0x80, 0x00],
            &[0xff, 0x80, 0x00],
            &[0x80, 0x80, 0x04],
            &[0x80, 0x80, 0x06],
            &[0xff, 0xff, 0x83],
            &[0xff, 0xff, 0x83, 0x00],
        ] {
            assert_eq!(compact(wrong), Err(Undecodable), "{wrong:x?}");
        }
    }

    /// What `@solana/kit` writes.
    #[test]
    fn compact_u16_is_kits() {
        let vectors = include_str!("../../tests/data/solana/compact-u16.json");
        let vectors: Vec<(u16, String)> = serde_json::from_str(vectors).unwrap();
        assert!(vectors.len() > 200);
        for (value, hex) in vectors {
            let bytes = crate::encoding::decode_hex_bytes(&format!("0x{hex}"), 3).unwrap();
            assert_eq!(compact(&bytes), Ok(value));
        }
    }

    #[test]
    fn headers_agree_with_the_keys() {
        let keys = [1, 2, 3].map(|byte| Pubkey([byte; 32]));
        assert_eq!(signers([2, 1, 1], &keys).unwrap().len(), 2);
        for wrong in [[0, 0, 0], [4, 0, 0], [2, 2, 0], [2, 0, 2], [1, 1, 0], [255, 0, 0]] {
            assert_eq!(signers(wrong, &keys), Err(Undecodable), "{wrong:?}");
        }
        assert_eq!(signers([1, 0, 0], &[keys[0], keys[1], keys[0]]), Err(Undecodable));
    }
}
