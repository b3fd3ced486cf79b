//! What `@solana/kit` made (`tests/data/make-solana-vectors.mjs`), read here.

use edge402::amount::AtomicAmount;
use edge402::encoding::{decode_base64, encode_base64};
use edge402::protocol::Reason;
use edge402::solana::{
    FeePayerKey, Limits, Pubkey, Signature, Terms, TermsParts, TokenProgram, Transaction,
    associated_token_address, co_sign, find_program_address, verify,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Addresses {
    pdas: Vec<Pda>,
    atas: Vec<Ata>,
    curve: Vec<Curve>,
}

#[derive(Deserialize)]
struct Pda {
    program: Pubkey,
    seeds: Vec<String>,
    address: Pubkey,
    bump: u8,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ata {
    owner: Pubkey,
    mint: Pubkey,
    token_program: Pubkey,
    address: Pubkey,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Curve {
    address: Pubkey,
    on_curve: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payment {
    name: String,
    fee_payer: Pubkey,
    fee_payer_key: String,
    payer: Pubkey,
    source: Pubkey,
    destination: Pubkey,
    blockhash: String,
    message_sha256: String,
    transaction: String,
    signed_transaction: String,
    signature: String,
    #[serde(flatten)]
    asked: Asked,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    mint: Pubkey,
    token_program: Pubkey,
    decimals: u8,
    pay_to: Pubkey,
    amount: AtomicAmount,
}

fn addresses() -> Addresses {
    serde_json::from_str(include_str!("../data/solana/addresses.json")).unwrap()
}

fn payments() -> Vec<Payment> {
    serde_json::from_str(include_str!("../data/solana/payments.json")).unwrap()
}

fn terms(payment: &Payment) -> Terms {
    let Asked { mint, token_program, decimals, pay_to, amount } = payment.asked;
    Terms::new(TermsParts {
        mint,
        token_program: TokenProgram::from_id(&token_program).unwrap(),
        decimals,
        pay_to,
        amount,
        fee_payers: vec![payment.fee_payer],
        memo: None,
        limits: Limits::default(),
    })
    .unwrap()
}

#[test]
fn program_addresses_are_kits() {
    for pda in addresses().pdas {
        let seed = |hex: &String| edge402::encoding::decode_hex_bytes(&format!("0x{hex}"), 32);
        let seeds: Vec<Vec<u8>> = pda.seeds.iter().map(|hex| seed(hex).unwrap()).collect();
        let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
        assert_eq!(find_program_address(&seeds, &pda.program), Some((pda.address, pda.bump)));
    }
}

#[test]
fn token_accounts_are_kits() {
    let atas = addresses().atas;
    assert_eq!(atas.len(), 16);
    for ata in atas {
        let ours = associated_token_address(&ata.owner, &ata.mint, &ata.token_program);
        assert_eq!(ours, Some(ata.address));
    }
}

#[test]
fn the_curve_is_kits() {
    for it in addresses().curve {
        assert_eq!(it.address.is_on_curve(), it.on_curve, "{}", it.address);
    }
}

#[test]
fn payments_of_kit_verify() {
    let payments = payments();
    assert_eq!(payments.len(), 12);
    for it in payments {
        let payload = serde_json::json!({ "transaction": it.transaction });
        let terms = terms(&it);
        let verified = verify(&payload, &terms);
        let verified = verified.unwrap_or_else(|reason: Reason| panic!("{}: {reason}", it.name));
        assert_eq!(*verified.fee_payer(), it.fee_payer);
        assert_eq!(*verified.payer(), it.payer);
        assert_eq!(*verified.mint(), it.asked.mint);
        assert_eq!(verified.amount(), it.asked.amount);
        assert_eq!(*verified.source(), it.source);
        assert_eq!(*verified.destination(), it.destination);
        assert_eq!(*terms.destination(), it.destination);
        assert_eq!(verified.recent_blockhash(), it.blockhash);
        assert_eq!(verified.identity(), it.message_sha256);
    }
}

#[test]
fn co_signed_payments_are_kits_byte_for_byte() {
    let payments = payments();
    for it in &payments {
        let payload = serde_json::json!({ "transaction": it.transaction });
        let verified = verify(&payload, &terms(it)).unwrap();
        let key: FeePayerKey = it.fee_payer_key.parse().unwrap();
        assert_eq!(key.pubkey(), it.fee_payer);
        let signed = co_sign(&verified, &key).unwrap();
        assert_eq!(signed.signature, it.signature);
        assert_eq!(encode_base64(&signed.raw), it.signed_transaction);
        assert_eq!(signed.to_base64(), it.signed_transaction);
        let read = Transaction::parse(&signed.raw).unwrap();
        let id: Signature = it.signature.parse().unwrap();
        assert_eq!(read.signatures[0], id);
        assert!(id.is_by(&it.fee_payer, &read.message.bytes));
        for other in payments.iter().filter(|other| other.name != it.name) {
            assert!(co_sign(&verified, &other.fee_payer_key.parse().unwrap()).is_err());
        }
    }
}

#[test]
fn a_payment_that_we_signed_already_is_no_payment() {
    for it in payments() {
        let payload = serde_json::json!({ "transaction": it.signed_transaction });
        let refusal = verify(&payload, &terms(&it)).unwrap_err();
        assert_eq!(refusal.code(), "invalid_exact_svm_payload_signature_invalid");
    }
}

#[test]
fn transactions_are_written_as_they_were_read() {
    for it in payments() {
        for text in [it.transaction, it.signed_transaction] {
            let bytes = decode_base64(&text, 1232).unwrap();
            assert_eq!(Transaction::parse(&bytes).unwrap().to_bytes(), bytes);
        }
    }
}
