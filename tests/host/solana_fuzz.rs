//! Whatever arrives, nothing panics, and nothing that no payer signed for
//! these terms is taken.

use crate::solana_support::*;
use edge402::solana::{Transaction, VerifiedPayment, verify};
use proptest::prelude::*;

/// What holds of every payment that is taken, said in another way than the
/// rules are.
fn harmless(payment: &VerifiedPayment) {
    let transaction = payment.transaction();
    let message = &transaction.message;
    let key = |pubkey: &edge402::solana::Pubkey| {
        ed25519_dalek::VerifyingKey::from_bytes(&pubkey.0).unwrap()
    };
    let signature = ed25519_dalek::Signature::from_bytes(&transaction.signatures[1].0);
    assert_eq!(transaction.signatures[0].0, [0; 64]);
    assert!(key(payment.payer()).verify_strict(&message.bytes, &signature).is_ok());
    assert_eq!(message.signers, [*payment.fee_payer(), *payment.payer()]);
    assert!([fee_payer(), other_fee_payer()].contains(payment.fee_payer()));
    assert_eq!((*payment.destination(), payment.amount().0), (ata(pay_to()), 10_000));
    assert_eq!(*payment.mint(), key_of_usdc());
    assert!((3..=12).contains(&message.instructions.len()));
    for instruction in &message.instructions {
        let program = instruction.program.to_string();
        assert!([COMPUTE_BUDGET, TOKEN, MEMO, LIGHTHOUSE].contains(&program.as_str()));
        let is_shown = program == LIGHTHOUSE
            && instruction.accounts == [*payment.fee_payer()]
            && (2..16).contains(&instruction.data[0]);
        let ours = [fee_payer(), other_fee_payer()];
        let has_ours = instruction.accounts.iter().any(|account| ours.contains(account));
        assert!(is_shown || !has_ours, "{instruction:?}");
    }
    let budget = message.instructions.iter().filter(|it| it.program.to_string() == COMPUTE_BUDGET);
    assert_eq!(budget.count(), 2);
    let of_token = |it: &&edge402::solana::message::Instruction| it.program.to_string() == TOKEN;
    assert_eq!(message.instructions.iter().filter(of_token).count(), 1);
}

fn key_of_usdc() -> edge402::solana::Pubkey {
    crate::solana_support::key(USDC)
}

fn take(bytes: &[u8]) -> bool {
    match check(bytes, &terms()) {
        Ok(payment) => {
            harmless(&payment);
            assert_eq!(payment.transaction().to_bytes(), bytes);
            true
        }
        Err(code) => {
            assert!(code.starts_with("invalid_exact_svm_payload_"), "{code}");
            false
        }
    }
}

/// Changes of some bytes, an insertion and a cut.
#[derive(Debug, Clone)]
struct Mutation {
    bytes: Vec<(prop::sample::Index, u8)>,
    insert: Option<(prop::sample::Index, Vec<u8>)>,
    remove: Option<(prop::sample::Index, usize)>,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let bytes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let some = prop::collection::vec(any::<u8>(), 1..40);
    let insert = prop::option::weighted(0.3, (any::<prop::sample::Index>(), some));
    let remove = prop::option::weighted(0.3, (any::<prop::sample::Index>(), 1..40_usize));
    (bytes, insert, remove).prop_map(|(bytes, insert, remove)| Mutation { bytes, insert, remove })
}

impl Mutation {
    fn apply(&self, mut data: Vec<u8>) -> Vec<u8> {
        for (index, byte) in &self.bytes {
            let at = index.index(data.len());
            data[at] = *byte;
        }
        if let Some((index, more)) = &self.insert {
            let at = index.index(data.len() + 1);
            data.splice(at..at, more.iter().copied());
        }
        if let Some((index, length)) = &self.remove {
            let at = index.index(data.len());
            data.drain(at..(at + length).min(data.len()));
        }
        data
    }
}

fn drafts() -> impl Strategy<Value = Draft> {
    let rest = prop::sample::select(vec![
        memo("0123456789abcdef"),
        memo(""),
        lighthouse(),
        create_ata(payer(), &[1]),
        create_ata(fee_payer(), &[]),
        advance_nonce(),
        limit(7),
        transfer(),
        ix(LIGHTHOUSE, &[readonly(fee_payer())], &[6, 4, 1]),
        ix(LIGHTHOUSE, &[signer(payer()), readonly(fee_payer())], &[0, 1, 255]),
    ]);
    let mixed = prop::collection::vec(rest, 0..6).prop_flat_map(|rest| {
        let mut instructions = draft().instructions;
        instructions.truncate(3);
        instructions.extend(rest);
        Just(instructions).prop_shuffle()
    });
    (any::<bool>(), mixed).prop_map(|(versioned, instructions)| Draft {
        versioned,
        instructions,
        ..draft()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..1400)) {
        if let Ok(transaction) = Transaction::parse(&bytes) {
            prop_assert_eq!(transaction.to_bytes(), bytes.clone());
        }
        take(&bytes);
    }

    #[test]
    fn any_message_that_the_payer_signed(bytes in prop::collection::vec(any::<u8>(), 0..1100)) {
        take(&transaction(&bytes, &[fee_payer(), payer()]));
    }

    #[test]
    fn any_text(text in any::<String>()) {
        let json = serde_json::json!({ "transaction": text }).to_string();
        prop_assert!(verify(&edge402::json::parse(&json).unwrap(), &terms()).is_err());
    }

    #[test]
    fn a_changed_transaction_is_refused(versioned: bool, mutation in mutation()) {
        let whole = Draft { versioned, ..draft() }.transaction();
        let changed = mutation.apply(whole.clone());
        prop_assert_eq!(take(&changed), changed == whole);
    }

    #[test]
    fn a_changed_message_that_is_signed_again_is_harmless(
        draft in drafts(),
        mutation in mutation(),
    ) {
        let message = mutation.apply(draft.message().bytes());
        take(&transaction(&message, &[fee_payer(), payer()]));
    }

    #[test]
    fn any_mix_of_instructions_is_harmless(draft in drafts()) {
        take(&draft.transaction());
    }
}

#[test]
fn one_changed_byte_is_refused() {
    for versioned in [true, false] {
        let whole = Draft { versioned, ..draft() }.transaction();
        assert!(take(&whole));
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(!take(&changed), "byte {at}");
        }
    }
}
