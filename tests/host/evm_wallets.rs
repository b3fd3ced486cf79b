//! Signatures that only the payer's contract can judge: what is read, what the
//! chain is asked, and what goes out. The codes are literals: they are the wire.

use edge402::amount::AtomicAmount;
use edge402::encoding::{decode_hex_bytes, encode_hex};
use edge402::evm::transfer::MAX_SIGNATURE_BYTES;
use edge402::evm::{self, Address, MULTICALL3, Signed, Terms, VerifiedPayment};
use edge402::protocol::Reason;
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::evm_support::{
    NOW, RECIPIENT, SIGNATURE, VALID_AFTER, VALID_BEFORE, VALUE, authorization, domain, eip3009,
    payload, sign, signed, terms,
};

const FACTORY: &str = "eip6492_factory_not_allowed";

fn vectors() -> Value {
    let path = format!("{}/tests/data/evm/wallets.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    decode_hex_bytes(value.as_str().unwrap(), 1 << 20).unwrap()
}

fn factory() -> Address {
    Address::new([0xfa; 20])
}

/// The terms of every test, with this factory on the list.
fn open_terms() -> Terms {
    terms().with_smart_wallets(Some(vec![factory()]))
}

fn check(payload: &Value, terms: &Terms) -> Result<VerifiedPayment, &'static str> {
    evm::verify(payload, terms, UnixSeconds(NOW)).map_err(Reason::code)
}

fn with_signature(signature: &[u8]) -> Value {
    payload(&authorization(), &encode_hex(signature))
}

fn word(number: usize) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&(number as u64).to_be_bytes());
    word
}

/// `abi.encode(factory, data, signature) ‖ 0x6492…`.
fn wrapped(factory: Address, data: &[u8], signature: &[u8]) -> Vec<u8> {
    let padded = |bytes: &[u8]| {
        let mut padded = [&word(bytes.len())[..], bytes].concat();
        padded.resize(32 + bytes.len().next_multiple_of(32), 0);
        padded
    };
    let data = padded(data);
    let mut whole =
        [&factory.to_word()[..], &word(96), &word(96 + data.len()), &data, &padded(signature)]
            .concat();
    whole.extend([0x64, 0x92].repeat(16));
    whole
}

#[test]
fn calls_are_those_that_viem_makes() {
    let vectors = vectors();
    let domain = evm::Domain {
        name: "USDC".into(),
        version: "2".into(),
        chain_id: 84_532,
        verifying_contract: vectors["domain"]["verifyingContract"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap(),
    };
    let factory: Address = vectors["factory"].as_str().unwrap().parse().unwrap();
    let pay_to = vectors["payTo"].as_str().unwrap().parse().unwrap();
    let terms = Terms::new(domain.clone(), pay_to, AtomicAmount(10_000), 60);
    let open = terms.clone().with_smart_wallets(Some(vec![factory]));
    let payments = vectors["payments"].as_array().unwrap();
    assert_eq!(payments.len(), 8);
    for vector in payments {
        let payload = json!({
            "signature": vector["signature"],
            "authorization": vector["authorization"],
        });
        assert_eq!(check(&payload, &terms).unwrap_err(), SIGNATURE, "off");
        let payment = check(&payload, &open).unwrap();
        let Signed::ByWallet { signature, digest } = eip3009(&payment).signed() else { panic!() };
        assert_eq!(encode_hex(digest), vector["digest"]);
        assert_eq!(encode_hex(signature.bytes()), vector["inner"]);
        assert_eq!(payment.payload()["signature"], vector["signature"], "passed on unchanged");
        let call = payment.call();
        assert_eq!(call.to.to_string(), vector["to"]);
        assert_eq!(encode_hex(&call.data), vector["call"]);

        let questions = payment.preview_calls();
        assert_eq!(questions.len(), payment.preview_count());
        let [.., is_valid, simulated] = &questions[..] else { panic!() };
        assert_eq!(*simulated, call);
        assert_eq!(is_valid.to, payment.from());
        assert_eq!(encode_hex(&is_valid.data), vector["isValid"]);
        // The wallet is there by the time it is asked.
        let deploys = questions.iter().position(|it| it.to == factory);
        assert_eq!(deploys, vector["factoryData"].is_string().then_some(2));
        if let Some(at) = deploys {
            assert_eq!(encode_hex(&questions[at].data), vector["factoryData"]);
        }
    }
}

#[test]
fn what_the_key_of_the_payer_has_signed_needs_no_contract() {
    for terms in [terms(), open_terms()] {
        let payment = check(&signed(|_| {}), &terms).unwrap();
        assert_eq!(*eip3009(&payment).signed(), Signed::ByKey(sign(&authorization(), &domain())));
        assert!(payment.wallet_signature().is_none());
    }
    // v of 0 and 1, too.
    let mut bytes = sign(&authorization(), &domain()).to_bytes();
    bytes[64] -= 27;
    assert!(check(&with_signature(&bytes), &open_terms()).unwrap().wallet_signature().is_none());
}

#[test]
fn any_other_signature_is_for_the_contract_to_judge() {
    let ours = sign(&authorization(), &domain()).to_bytes();
    let mut high_v = ours;
    high_v[64] = 31;
    let stranger = [7; 65];
    let cases: [&[u8]; 7] = [
        &[1],
        &ours[..63],
        &high_v,
        &stranger,
        &[&ours[..], &[0]].concat(),
        &[0; 700],
        &[9; 4_096],
    ];
    for signature in cases {
        let payload = with_signature(signature);
        let length = signature.len();
        assert_eq!(check(&payload, &terms()).unwrap_err(), SIGNATURE, "{length} bytes, off");
        let payment = check(&payload, &open_terms()).unwrap();
        let wallet = payment.wallet_signature().unwrap();
        assert_eq!(wallet.bytes(), signature);
        assert!(wallet.deployment().is_none());
        assert_eq!(payment.call().to, payment.asset());
    }
}

#[test]
fn what_can_be_no_signature_of_a_contract_has_one_code() {
    let good = wrapped(factory(), &[5; 40], &[6; 100]);
    assert!(check(&with_signature(&good), &open_terms()).is_ok());
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        edit(&mut bytes);
        bytes
    };
    let suffix = good.len() - 32;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("too long", vec![1; MAX_SIGNATURE_BYTES + 1]),
        ("a suffix alone", good[suffix..].to_vec()),
        ("a suffix behind too little", [&[1; 31], &good[suffix..]].concat()),
        ("leftovers", edited(&|it| it.splice(suffix..suffix, [0; 32]).for_each(drop))),
        ("leftovers that are no word", edited(&|it| it.insert(suffix, 0))),
        ("leftovers before", edited(&|it| it.splice(..0, [0; 32]).for_each(drop))),
        ("an address with more in its word", edited(&|it| it[11] = 1)),
        ("calldata elsewhere", edited(&|it| it[63] += 32)),
        ("a signature elsewhere", edited(&|it| it[95] += 32)),
        ("calldata that is longer", edited(&|it| it[127] += 32)),
        ("calldata that has no end", edited(&|it| it[96] = 0xff)),
        ("padding that is not empty", edited(&|it| it[128 + 40] = 1)),
        ("padding of the signature", edited(&|it| it[suffix - 1] = 1)),
        ("no signature within", wrapped(factory(), &[5; 40], &[])),
        ("a wrapper in a wrapper", wrapped(factory(), &[5; 40], &good)),
        ("cut", good[32..].to_vec()),
    ];
    for (what, signature) in cases {
        let payload = with_signature(&signature);
        assert_eq!(check(&payload, &open_terms()).unwrap_err(), SIGNATURE, "{what}");
        assert_eq!(check(&payload, &terms()).unwrap_err(), SIGNATURE, "{what}, off");
    }
    for text in ["", "0x", "0x1", "abc", "0xzz", "signature", &"é".repeat(66)] {
        let payload = payload(&authorization(), text);
        assert_eq!(check(&payload, &open_terms()).unwrap_err(), SIGNATURE, "{text:?}");
    }
    let mut nobody = authorization();
    nobody.from = Address::ZERO;
    let nobody = payload(&nobody, &encode_hex(&good));
    assert_eq!(check(&nobody, &open_terms()).unwrap_err(), SIGNATURE, "from of zero");
}

#[test]
fn a_wallet_is_deployed_by_a_factory_on_the_list_alone() {
    let payload = with_signature(&wrapped(factory(), &[5; 40], &[6; 65]));
    let payment = check(&payload, &open_terms()).unwrap();
    assert_eq!(payment.call().to, MULTICALL3);
    for list in [vec![], vec![Address::new([1; 20])], vec![MULTICALL3]] {
        let other = terms().with_smart_wallets(Some(list));
        assert_eq!(check(&payload, &other).unwrap_err(), FACTORY);
    }
    // Whose wallet is there already needs no factory.
    let bare = with_signature(&[6; 65]);
    assert!(check(&bare, &terms().with_smart_wallets(Some(vec![]))).is_ok());
}

#[test]
fn the_other_checks_are_those_of_every_payment() {
    type Edit = fn(&mut evm::Authorization);
    let edits: [(&str, Edit); 4] = [
        (RECIPIENT, |it| it.to = Address::new([0x77; 20])),
        (VALID_BEFORE, |it| it.valid_before = (NOW + 5).into()),
        (VALID_AFTER, |it| it.valid_after = (NOW + 6).into()),
        (VALUE, |it| it.value = 9_999_u64.into()),
    ];
    for (code, edit) in edits {
        let mut authorization = authorization();
        edit(&mut authorization);
        let payload = payload(&authorization, &encode_hex(&[3; 100]));
        assert_eq!(check(&payload, &open_terms()).unwrap_err(), code);
        assert_eq!(check(&payload, &terms()).unwrap_err(), SIGNATURE, "the signature comes first");
    }
}

#[test]
fn what_is_around_a_signature_makes_no_other_payment() {
    let of = |signature: &[u8]| check(&with_signature(signature), &open_terms()).unwrap();
    let bare = of(&[6; 65]);
    let deployed = of(&wrapped(factory(), &[5; 40], &[6; 65]));
    let by_key = check(&signed(|_| {}), &open_terms()).unwrap();
    assert_eq!(bare.identity(), deployed.identity());
    assert_eq!(bare.identity(), by_key.identity());
    let hash = |it: &VerifiedPayment| it.wallet_signature().unwrap().hash();
    assert_eq!(hash(&bare), hash(&deployed));
    assert_ne!(hash(&bare), hash(&of(&[7; 65])));
}

#[test]
fn the_contracts_answer_counts_as_the_token_reads_it() {
    let payment = check(&with_signature(&[6; 65]), &open_terms()).unwrap();
    let yes = bytes(&json!(format!("0x1626ba7e{}", "0".repeat(56))));
    let code = |answer: Result<Vec<u8>, Option<String>>, simulates: bool| {
        let simulated = if simulates { Ok(vec![]) } else { Err(None) };
        let answers = vec![Ok(word(0).to_vec()), Ok(word(10_000).to_vec()), answer, simulated];
        evm::refusal(&payment.read_preview(answers), &payment).map(Reason::code)
    };
    assert_eq!(code(Ok(yes.clone()), true), None);
    assert_eq!(code(Ok([&yes[..], &[1; 64]].concat()), true), None, "with more behind it");
    let failed = "invalid_exact_evm_transaction_simulation_failed";
    assert_eq!(code(Ok(yes.clone()), false), Some(failed));
    let mut other = yes.clone();
    other[31] = 1;
    for no in
        [vec![], yes[..4].to_vec(), yes[..31].to_vec(), vec![0xff; 32], word(1).to_vec(), other]
    {
        assert_eq!(code(Ok(no.clone()), true), Some(SIGNATURE), "{no:?}");
    }
    assert_eq!(code(Err(None), true), Some(SIGNATURE), "it reverts");
}

#[test]
fn terms_with_smart_wallets_survive_storage() {
    for list in [vec![], vec![factory(), MULTICALL3]] {
        let terms = terms().with_smart_wallets(Some(list));
        let text = edge402::json::to_text(&terms);
        assert_eq!(edge402::json::from_text(&text), Ok(terms));
    }
}

#[test]
fn purchases_are_not_bound_to_which_wallets_may_pay() {
    use edge402::payment;
    let text = |terms: Terms| payment::Terms::Evm(terms).agreed_text();
    assert_eq!(text(open_terms()), text(terms()));
    assert_eq!(text(terms()), edge402::json::to_text(&payment::Terms::Evm(terms())));
}
