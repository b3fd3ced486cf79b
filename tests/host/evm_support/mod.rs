//! A valid payment, and ways to make it another one.
use edge402::amount::AtomicAmount;
use edge402::encoding::encode_hex;
use edge402::evm::eip712::{self, Domain};
use edge402::evm::{
    Address, Authorization, Eip3009, RelayerKey, Signature, Terms, Transfer, VerifiedPayment,
    verify,
};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

/// What a payer signed besides whom to pay how much.
pub fn eip3009(payment: &VerifiedPayment) -> &Eip3009 {
    match payment.transfer() {
        Transfer::Eip3009(transfer) => transfer,
        Transfer::Permit2(_) => panic!("by Permit2"),
    }
}

pub const NOW: u64 = 1_700_000_000;
pub const TIMEOUT: u64 = 60;
pub const AMOUNT: u128 = 10_000;

pub const INVALID_PAYLOAD: &str = "invalid_payload";
pub const SIGNATURE: &str = "invalid_exact_evm_payload_signature";
pub const RECIPIENT: &str = "invalid_exact_evm_payload_recipient_mismatch";
pub const VALID_BEFORE: &str = "invalid_exact_evm_payload_authorization_valid_before";
pub const VALID_AFTER: &str = "invalid_exact_evm_payload_authorization_valid_after";
pub const VALUE: &str = "invalid_exact_evm_payload_authorization_value_mismatch";

pub const MAX: &str =
    "115792089237316195423570985008687907853269984665640564039457584007913129639935";
pub const TWO_TO_256: &str =
    "115792089237316195423570985008687907853269984665640564039457584007913129639936";

pub fn domain() -> Domain {
    Domain {
        name: "USDC".into(),
        version: "2".into(),
        chain_id: 84_532,
        verifying_contract: "0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse().unwrap(),
    }
}

pub fn pay_to() -> Address {
    "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".parse().unwrap()
}

pub fn terms() -> Terms {
    Terms::new(domain(), pay_to(), AtomicAmount(AMOUNT), TIMEOUT)
}

pub fn payer() -> RelayerKey {
    format!("0x{}", "42".repeat(32)).parse().unwrap()
}

pub fn authorization() -> Authorization {
    Authorization {
        from: payer().address(),
        to: pay_to(),
        value: AtomicAmount(AMOUNT).into(),
        valid_after: (NOW - 600).into(),
        valid_before: (NOW + TIMEOUT).into(),
        nonce: [0xf3; 32],
    }
}

pub fn sign(authorization: &Authorization, domain: &Domain) -> Signature {
    let hash = eip712::transfer_with_authorization_hash(authorization);
    payer().sign_digest(&eip712::digest(&domain.separator(), &hash))
}

pub fn payload(authorization: &Authorization, signature: &str) -> Value {
    json!({
        "signature": signature,
        "authorization": {
            "from": authorization.from,
            "to": authorization.to,
            "value": authorization.value,
            "validAfter": authorization.valid_after,
            "validBefore": authorization.valid_before,
            "nonce": encode_hex(&authorization.nonce),
        },
    })
}

/// A payload whose authorization was edited before it was signed.
pub fn signed(edit: impl FnOnce(&mut Authorization)) -> Value {
    let mut authorization = authorization();
    edit(&mut authorization);
    payload(&authorization, &sign(&authorization, &domain()).to_string())
}

/// The valid payload, its JSON edited after it was signed.
pub fn edited(edit: impl FnOnce(&mut Value)) -> Value {
    let mut payload = signed(|_| {});
    edit(&mut payload);
    payload
}

pub fn check_text(json: &str) -> Result<VerifiedPayment, &'static str> {
    let raw = edge402::json::parse(json).unwrap();
    verify(&raw, &terms(), UnixSeconds(NOW)).map_err(edge402::protocol::Reason::code)
}

pub fn check(payload: &Value) -> Result<VerifiedPayment, &'static str> {
    check_text(&payload.to_string())
}
