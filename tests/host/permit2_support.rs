//! A valid payment by Permit2, and ways to make it another one.
use edge402::amount::AtomicAmount;
use edge402::evm::transfer::permit2::{EXACT_PROXY, permit_digest};
use edge402::evm::{
    Address, Permit2, Permit2Authorization, RelayerKey, Terms, Transfer, TransferMethod,
    VerifiedPayment, verify,
};
use edge402::protocol::Reason;
use edge402::time::UnixSeconds;
use serde_json::Value;

use crate::evm_support::{self, AMOUNT, NOW, TIMEOUT, domain, pay_to, payer};

/// What a payer signed besides whom to pay how much.
pub fn permit2(payment: &VerifiedPayment) -> &Permit2 {
    match payment.transfer() {
        Transfer::Permit2(transfer) => transfer,
        Transfer::Eip3009(_) => panic!("by EIP-3009"),
    }
}

pub fn terms() -> Terms {
    evm_support::terms().by(TransferMethod::Permit2).with_permits(true)
}

pub fn authorization() -> Permit2Authorization {
    Permit2Authorization {
        token: domain().verifying_contract,
        amount: AtomicAmount(AMOUNT).into(),
        from: payer().address(),
        spender: EXACT_PROXY,
        nonce: (0xf3_u64 << 8 | 9).into(),
        deadline: (NOW + TIMEOUT).into(),
        to: pay_to(),
        facilitator: None,
        valid_after: 0_u64.into(),
    }
}

/// A payload of what one payer signs.
pub fn signed_by(key: &RelayerKey, chain_id: u64, it: &Permit2Authorization) -> Value {
    it.payload(&key.sign_digest(&permit_digest(chain_id, it)).to_string())
}

/// A payload whose authorization was edited before it was signed.
pub fn signed(edit: impl FnOnce(&mut Permit2Authorization)) -> Value {
    let mut authorization = authorization();
    edit(&mut authorization);
    signed_by(&payer(), 84_532, &authorization)
}

/// The valid payload, its JSON edited after it was signed.
pub fn edited(edit: impl FnOnce(&mut Value)) -> Value {
    let mut payload = signed(|_| {});
    edit(&mut payload);
    payload
}

pub fn check(payload: &Value) -> Result<VerifiedPayment, &'static str> {
    verify(payload, &terms(), UnixSeconds(NOW)).map_err(Reason::code)
}

pub fn other() -> Address {
    Address::new([0x77; 20])
}
