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

/// The relayers that may have settled a payer's payments before, besides the one
/// that does now: of those that there are and were, every other one, because
/// nobody knows which of them there were at what time.
pub fn others_for(payer: &Address, relayers: &[Address], former: &[Address]) -> Vec<Address> {
    let owner = relayer_for(payer, relayers);
    let mut others: Vec<Address> = vec![];
    for relayer in relayers.iter().chain(former) {
        if Some(*relayer) != owner && !others.contains(relayer) {
            others.push(*relayer);
        }
    }
    others
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

/// The names of all of these on a network.
pub fn facilitator_names(network: ChainId) -> impl Iterator<Item = String> {
    (0..16).map(move |digit| settler_name(network, &format!("facilitator/{digit:x}")))
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

    #[test]
    fn a_facilitators_settler_is_one_of_sixteen_and_always_the_same() {
        let network = ChainId::Evm(8_453);
        let all: Vec<_> = facilitator_names(network).collect();
        assert_eq!((all.len(), all[10].as_str()), (16, "eip155:8453/facilitator/a"));
        let mut seen = vec![];
        for n in 0..=255_u8 {
            let payer = Address::new([n; 20]).to_string();
            let name = facilitator_name(network, &payer);
            assert_eq!(name, facilitator_name(network, &payer));
            assert!(all.contains(&name) && is_facilitator_name(network, &name), "{name}");
            if !seen.contains(&name) {
                seen.push(name);
            }
        }
        assert_eq!(seen.len(), 16);
        // Payments are found again by it: it may never change.
        let zero = Address::ZERO.to_string();
        assert_eq!(facilitator_name(network, &zero), "eip155:8453/facilitator/9");
        assert!(!is_facilitator_name(network, &settler_name(network, &zero)));
        assert!(!is_facilitator_name(ChainId::Evm(1), &all[0]));
    }

    #[test]
    fn whoever_was_a_payers_relayer_is_among_the_others() {
        let relayer = |n: u8| Address::new([n; 20]);
        // The second is replaced by the fourth.
        let before = [relayer(1), relayer(2), relayer(3)];
        let after = [relayer(1), relayer(4), relayer(3)];
        for n in 0..100_u8 {
            let payer = Address::new([n; 20]);
            let others = others_for(&payer, &after, &[relayer(2)]);
            let was = relayer_for(&payer, &before).unwrap();
            let is = relayer_for(&payer, &after).unwrap();
            assert_eq!(others.contains(&was), was != is);
            assert!(!others.contains(&is));
            assert_eq!(others.len(), 3);
        }
        // One that is named and still there is asked once.
        assert_eq!(others_for(&relayer(9), &before, &before).len(), 2);
    }
}
