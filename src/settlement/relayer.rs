//! Which Settler a payment goes to.

use crate::evm::{Address, keccak256};
use crate::protocol::ChainId;

/// The relayer that settles a payer's payments: rendezvous hashing, so that
/// adding the n-th relayer moves 1/n of the payers and no one else.
pub fn relayer_for(payer: &Address, relayers: &[Address]) -> Option<Address> {
    relayers.iter().copied().max_by_key(|relayer| {
        let mut pair = [0; 40];
        let (front, back) = pair.split_at_mut(20);
        front.copy_from_slice(payer.as_bytes());
        back.copy_from_slice(relayer.as_bytes());
        keccak256(&pair)
    })
}

/// The name of the Durable Object that settles for this key on this network.
pub fn settler_name(network: ChainId, key_address: &str) -> String {
    format!("{network}/{key_address}")
}

/// The name of the Durable Object that has a payer's payments settled by a
/// facilitator: one of sixteen, and the same one whenever a payment comes.
pub fn facilitator_name(network: ChainId, payer: &str) -> String {
    let [first, ..] = keccak256(payer.as_bytes());
    settler_name(network, &format!("facilitator/{:x}", first >> 4))
}

/// Whether a Durable Object has payments of a network settled by a facilitator.
pub fn is_facilitator_name(network: ChainId, name: &str) -> bool {
    name.starts_with(&settler_name(network, "facilitator/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_relayer_takes_its_share_and_moves_no_one_else() {
        let relayer = |n: u8| Address::new([n; 20]);
        let three = [relayer(1), relayer(2), relayer(3)];
        let four = [relayer(4), relayer(1), relayer(2), relayer(3)];
        let mut moved = 0;
        for n in 0..1_000_u16 {
            let mut bytes = [0; 20];
            bytes[..2].copy_from_slice(&n.to_be_bytes());
            let payer = Address::new(bytes);
            let (before, after) = (relayer_for(&payer, &three), relayer_for(&payer, &four));
            if before != after {
                assert_eq!(after, Some(relayer(4)));
                moved += 1;
            }
        }
        assert!((200..300).contains(&moved), "{moved} of 1000 moved");
        assert_eq!(relayer_for(&relayer(9), &[]), None);
    }
}
