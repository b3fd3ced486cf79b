//! What Permit2 and x402's contract in front of it do.

use edge402::evm::Permit2Authorization;
pub use edge402::evm::transfer::permit2::{EXACT_PROXY, PERMIT2, UPTO_PROXY};

use super::*;

/// Where `settle`'s words stand behind the token: amount, nonce, deadline, owner, to, validAfter.
const WORDS: [usize; 6] = [1, 2, 3, 4, 5, 6];

/// The same where it is paid by use; the second word is the most, and the eighth
/// who may call it.
const WORDS_BY_USE: [usize; 6] = [4, 2, 3, 5, 6, 8];
const MOST: usize = 1;
const CALLER: usize = 7;

/// `settle` of the contract for what is paid by use.
pub(super) const SETTLE_BY_USE: [u8; 4] = [0xff, 0x11, 0xe7, 0xb4];

impl Chain {
    /// What a call to one of the two returns; `None` if it is to another.
    pub(super) fn run_permit2(
        &self,
        state: &mut State,
        to: Address,
        data: &[u8],
        time: u64,
        is_real: bool,
    ) -> Option<Ran> {
        if to == PERMIT2 {
            let (owner, word) = (address_at(data, 0), word_at(data, 1));
            return Some(Ok((bitmap(state, owner, &word[1..]).to_vec(), vec![])));
        }
        if Some(to) != self.proxy && to != UPTO_PROXY {
            return None;
        }
        Some(match data[..4] {
            [0x6a, 0xfd, 0xd8, 0x50] => Ok((PERMIT2.to_word().to_vec(), vec![])),
            [0x13, 0xcd, 0x3b, 0x53] if to != UPTO_PROXY => {
                self.settle(state, data, WORDS, time, is_real)
            }
            [0xff, 0x11, 0xe7, 0xb4] if to == UPTO_PROXY => {
                let amount = number_at(data, WORDS_BY_USE[0]);
                let is_allowed = address_at(data, CALLER) == self.relayer
                    && amount > 0
                    && amount <= number_at(data, MOST);
                if is_allowed {
                    self.settle(state, data, WORDS_BY_USE, time, is_real)
                } else {
                    Err(Failure::Reverts)
                }
            }
            [0xfa, 0x34, 0x03, 0x78] => {
                // The token takes each of its own permits once, in their order:
                // here one is signed for its number and nothing else.
                let (value, permitted) = (number_at(data, 0), number_at(data, 6));
                let owner = address_at(data, 9);
                if value != permitted {
                    return Some(Err(Failure::Reverts));
                }
                let [r, s, v] = [2, 3, 4].map(|place| word_at(data, place));
                let signature = encode_hex(&[&r[..], &s[..], &v[31..]].concat());
                let signature: Signature = signature.parse().unwrap();
                let taken = state.permits.entry(owner).or_default();
                if signature.recover(&[*taken; 32]) == Some(owner) {
                    *taken += 1;
                    state.lent.remove(&owner);
                    state.approved.insert(owner, value);
                }
                let rest = [&data[..4], &data[4 + 5 * 32..]].concat();
                self.settle(state, &rest, WORDS, time, is_real)
            }
            _ => Err(Failure::Reverts),
        })
    }

    fn settle(
        &self,
        state: &mut State,
        data: &[u8],
        words: [usize; 6],
        time: u64,
        is_real: bool,
    ) -> Ran {
        let [amount, nonce, deadline, owner, to, valid_after] = words;
        let (from, to) = (address_at(data, owner), address_at(data, to));
        let (token, amount) = (address_at(data, 0), number_at(data, amount));
        let nonce = word_at(data, nonce);
        match self.codes.get(&from) {
            Some(Code::Spoils) => return Err(Failure::Burns),
            Some(Code::Burns) if is_real => return Err(Failure::Burns),
            _ => {}
        }
        let allowed = self.allowance(state, from);
        let is_good = u128::from(time) >= number_at(data, valid_after)
            && u128::from(time) <= number_at(data, deadline)
            && self.balance(state, token, from) >= amount
            && allowed >= amount
            && !(is_real && self.poisoned.contains(&nonce));
        if !is_good || state.bits.contains_key(&(from, nonce)) {
            return Err(Failure::Reverts);
        }
        state.bits.insert((from, nonce), self.height());
        *state.spent.entry((token, from)).or_default() += amount;
        *state.lent.entry(from).or_default() += amount;
        let transfer = Transfer {
            token,
            from,
            to,
            nonce,
            amount,
            by_permit2: true,
            transaction: String::new(),
        };
        Ok((vec![], vec![transfer]))
    }

    /// What a payer still lets Permit2 have.
    pub(super) fn allowance(&self, state: &State, owner: Address) -> u128 {
        let at_first = self.allowances.get(&owner).copied().unwrap_or(u128::MAX);
        let first = state.approved.get(&owner).copied().unwrap_or(at_first);
        first.saturating_sub(state.lent.get(&owner).copied().unwrap_or(0))
    }

    /// A payer takes a nonce back, or uses it for something else: no log tells.
    pub fn uses_bit(&mut self, it: &Permit2Authorization) {
        let height = self.height();
        // What is used stays used since then.
        self.state.bits.entry((it.from, it.nonce.to_be_bytes())).or_insert(height);
    }

    /// A payer takes a nonce back at Permit2, in a block of its own.
    pub fn invalidates(&mut self, it: &Permit2Authorization, now_ms: u64) {
        self.blocks.push(now_ms / 1_000 - self.clock_lag);
        self.uses_bit(it);
        let nonce = it.nonce.to_be_bytes();
        let mut word = [0; 32];
        word[1..].copy_from_slice(&nonce[..31]);
        let mask = bit(nonce[31]);
        let event = keccak256(b"UnorderedNonceInvalidation(address,uint256,uint256)");
        let hash = encode_hex(&keccak256(&[&nonce[..], b"invalidates"].concat()));
        let block = self.height();
        let log = json!({
            "address": PERMIT2,
            "topics": [encode_hex(&event), encode_hex(&it.from.to_word())],
            "data": encode_hex(&[word, mask].concat()),
            "transactionHash": hash,
            "blockNumber": quantity(block.into()),
        });
        self.note_transaction(&hash, it.from, block, vec![], vec![log], now_ms);
    }
}

/// The bit of a nonce in its word.
fn bit(place: u8) -> [u8; 32] {
    let mut word = [0; 32];
    word[31 - usize::from(place / 8)] = 1 << (place % 8);
    word
}

/// The bits that are set of those nonces that begin so.
fn bitmap(state: &State, owner: Address, start: &[u8]) -> [u8; 32] {
    let used = state.bits.keys().filter(|(of, nonce)| *of == owner && nonce[..31] == start[..]);
    used.fold([0; 32], |mut word, (_, nonce)| {
        for (to, from) in word.iter_mut().zip(bit(nonce[31])) {
            *to |= from;
        }
        word
    })
}
