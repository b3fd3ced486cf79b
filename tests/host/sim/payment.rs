//! Who pays whom in a world, and what buyers sign.

use edge402::amount::AtomicAmount;
use edge402::encoding::encode_hex;
use edge402::evm::eip712::{self, Domain};
use edge402::evm::transfer::permit2::{EXACT_PROXY, UPTO_PROXY};
use edge402::evm::{
    Address, Authorization, Call, Fees, Permit2Authorization, RelayerKey, Transaction,
    TransferMethod,
};
use edge402::payment::{Terms, VerifiedPayment};
use edge402::protocol::ChainId;
use edge402::settlement::{ClaimRequest, SettleRequest, Sold};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use super::{AMOUNT, CHAIN, REDELIVER, time};
use crate::permit2_support;

pub fn relayer() -> RelayerKey {
    format!("0x{}", "11".repeat(32)).parse().unwrap()
}

/// An empty transaction of the relayer's, from another tool.
pub fn foreign_raw(nonce: u64) -> String {
    let fees = Fees { max_fee_per_gas: 90_000_000_000, max_priority_fee_per_gas: 9_000_000_000 };
    let call = Call { to: relayer().address(), data: vec![] };
    let signed = Transaction::new(CHAIN, nonce, fees, 21_000, call).sign(&relayer());
    edge402::encoding::encode_hex(&signed.raw)
}

pub fn payer(number: u8) -> RelayerKey {
    format!("0x{}{number:02x}", "42".repeat(31)).parse().unwrap()
}

pub fn domain() -> Domain {
    Domain {
        name: "USDC".into(),
        version: "2".into(),
        chain_id: CHAIN,
        verifying_contract: "0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse().unwrap(),
    }
}

/// A second token of the chain.
pub fn other_domain() -> Domain {
    Domain {
        name: "Other Dollar".into(),
        version: "1".into(),
        verifying_contract: "0xaf88d065e77c8cC2239327C5EDb3A432268e5831".parse().unwrap(),
        ..domain()
    }
}

/// Whether there is a token at an address.
pub fn is_token(address: Address) -> bool {
    [domain(), other_domain()].iter().any(|it| it.verifying_contract == address)
}

pub fn pay_to() -> Address {
    "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".parse().unwrap()
}

/// What a payer signs for Permit2.
pub fn permit2_of(payer_number: u8, number: u8, end: u64) -> Permit2Authorization {
    Permit2Authorization {
        token: domain().verifying_contract,
        amount: AtomicAmount(AMOUNT).into(),
        from: payer(payer_number).address(),
        spender: EXACT_PROXY,
        nonce: u64::from(number).into(),
        deadline: end.into(),
        to: pay_to(),
        facilitator: None,
        valid_after: 0_u64.into(),
    }
}

/// The factory that may deploy wallets.
pub fn factory() -> Address {
    Address::new([0xfa; 20])
}

/// A signature with what deploys its wallet: `abi.encode(factory, wallet,
/// signature) ‖ 0x6492…`.
pub fn with_deployment(factory: Address, wallet: Address, signature: &[u8]) -> Vec<u8> {
    let word = |number: usize| {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&(number as u64).to_be_bytes());
        word
    };
    let head = [factory.to_word(), word(96), word(160), word(32), wallet.to_word()].concat();
    let mut whole = [&head[..], &word(signature.len()), signature].concat();
    whole.resize(192 + signature.len().next_multiple_of(32), 0);
    whole.extend([0x64, 0x92].repeat(16));
    whole
}

fn payload_of(authorization: &Authorization, signature: &str) -> Value {
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

/// A payment that a buyer has signed.
#[derive(Clone, Debug)]
pub struct Payment {
    pub id: String,
    pub network: ChainId,
    pub terms: Terms,
    pub payload: Value,
    pub expires_at: UnixSeconds,
    pub authorization: Option<Authorization>,
}

impl Payment {
    /// A payer's payment, told apart by its number, that is valid for so many
    /// seconds from the beginning.
    pub fn new(payer_number: u8, number: u8, valid_for: u64) -> Self {
        Self::to(pay_to(), payer_number, number, valid_for)
    }

    /// The payment with this number, of 250 payers in turn.
    pub fn of_crowd(number: usize, valid_for: u64) -> Self {
        let of = |number: usize| u8::try_from(number).unwrap();
        Self::new(of(number % 250), of(number / 250 % 250), valid_for)
    }

    /// A payer's payment to another account.
    pub fn to(to: Address, payer_number: u8, number: u8, valid_for: u64) -> Self {
        let start = time::START_MS / 1_000;
        Self::within(to, payer_number, number, (start - 600, start + valid_for))
    }

    /// One that is valid between two times, in Unix seconds.
    pub fn within(to: Address, payer_number: u8, number: u8, valid: (u64, u64)) -> Self {
        Self::of_amount(AtomicAmount(AMOUNT), to, payer_number, number, valid)
    }

    /// One of another amount.
    pub fn of_amount(
        amount: AtomicAmount,
        to: Address,
        payer_number: u8,
        number: u8,
        valid: (u64, u64),
    ) -> Self {
        Self::signed_for(domain(), amount, to, (payer_number, number), valid)
    }

    /// One in the second token, of so much, that is valid for ten minutes.
    pub fn in_other_token(amount: AtomicAmount, payer_number: u8, number: u8) -> Self {
        let start = time::START_MS / 1_000;
        let valid = (start - 600, start + 600);
        Self::signed_for(other_domain(), amount, pay_to(), (payer_number, number), valid)
    }

    fn signed_for(
        domain: Domain,
        amount: AtomicAmount,
        to: Address,
        (payer_number, number): (u8, u8),
        valid: (u64, u64),
    ) -> Self {
        let key = payer(payer_number);
        let authorization = Authorization {
            from: key.address(),
            to,
            value: amount.into(),
            valid_after: valid.0.into(),
            valid_before: valid.1.into(),
            nonce: [number; 32],
        };
        let hash = eip712::transfer_with_authorization_hash(&authorization);
        let signature = key.sign_digest(&eip712::digest(&domain.separator(), &hash));
        let payload = payload_of(&authorization, &signature.to_string());
        let terms = edge402::evm::Terms::new(domain, to, amount, 100_000);
        Self::from_parts(ChainId::Evm(CHAIN), Terms::Evm(terms), &payload, Some(authorization))
    }

    /// One by Permit2 of the usual amount, whose nonce is its number's.
    pub fn by_permit2(payer_number: u8, number: u8, valid_for: u64) -> Self {
        Self::by_permit2_of(AMOUNT, payer_number, number, valid_for)
    }

    /// One of another amount.
    pub fn by_permit2_of(amount: u128, payer_number: u8, number: u8, valid_for: u64) -> Self {
        let (amount, end) = (AtomicAmount(amount), time::START_MS / 1_000 + valid_for);
        let terms = edge402::evm::Terms::new(domain(), pay_to(), amount, 100_000);
        let terms = terms.by(TransferMethod::Permit2).with_permits(true);
        let mut it = permit2_of(payer_number, number, end);
        it.amount = amount.into();
        let payload = permit2_support::signed_by(&payer(payer_number), CHAIN, &it);
        Self::from_parts(ChainId::Evm(CHAIN), Terms::Evm(terms), &payload, None)
    }

    /// One for what is paid by use, of the usual amount at most.
    pub fn by_use(payer_number: u8, number: u8, valid_for: u64) -> Self {
        Self::by_use_among(payer_number, number, valid_for, vec![relayer().address()])
    }

    /// The same for the Settler's relayer, where buyers are told of the first of
    /// these.
    pub fn by_use_among(
        payer_number: u8,
        number: u8,
        valid_for: u64,
        relayers: Vec<Address>,
    ) -> Self {
        let end = time::START_MS / 1_000 + valid_for;
        let terms = edge402::evm::Terms::new(domain(), pay_to(), AtomicAmount(AMOUNT), 100_000);
        let it = Permit2Authorization {
            spender: UPTO_PROXY,
            facilitator: Some(relayer().address()),
            ..permit2_of(payer_number, number, end)
        };
        let payload = permit2_support::signed_by(&payer(payer_number), CHAIN, &it);
        let terms = Terms::Evm(terms.by_use(relayers).with_permits(true));
        Self::from_parts(ChainId::Evm(CHAIN), terms, &payload, None)
    }

    /// A smart wallet's payment, with these bytes for its signature.
    pub fn of_wallet(wallet: Address, number: u8, signature: &[u8]) -> Self {
        let start = time::START_MS / 1_000;
        Self::of_wallet_within(wallet, number, signature, (start - 600, start + 600))
    }

    /// One that is valid between two times, in Unix seconds.
    pub fn of_wallet_within(
        wallet: Address,
        number: u8,
        signature: &[u8],
        valid: (u64, u64),
    ) -> Self {
        let authorization = Authorization {
            from: wallet,
            to: pay_to(),
            value: AtomicAmount(AMOUNT).into(),
            valid_after: valid.0.into(),
            valid_before: valid.1.into(),
            nonce: [number; 32],
        };
        let payload = payload_of(&authorization, &encode_hex(signature));
        let terms = edge402::evm::Terms::new(domain(), pay_to(), AtomicAmount(AMOUNT), 100_000)
            .with_smart_wallets(Some(vec![factory()]));
        Self::from_parts(ChainId::Evm(CHAIN), Terms::Evm(terms), &payload, Some(authorization))
    }

    pub fn from_parts(
        network: ChainId,
        terms: Terms,
        payload: &Value,
        authorization: Option<Authorization>,
    ) -> Self {
        let start = UnixSeconds(time::START_MS / 1_000);
        let verified = edge402::payment::verify(payload, &terms, start).unwrap();
        Self {
            id: verified.identity(),
            network,
            terms,
            payload: payload.clone(),
            expires_at: verified.expires_at(start),
            authorization,
        }
    }

    pub fn settle_request(&self, claim: &ClaimRequest) -> SettleRequest {
        SettleRequest {
            payment: self.id.clone(),
            ticket: claim.ticket,
            resource: claim.resource.clone(),
            network: self.network,
            terms: self.terms.clone(),
            payload: self.payload.clone().into(),
            proof: claim.proof.clone(),
            redeliver_seconds: REDELIVER,
            redeliver_max: claim.redeliver_max,
            once: false,
            remote: None,
            charge: None,
            metered: None,
            unpaid: None,
            sold: Some(Sold::at_gate(2, "/r/*", &claim.resource, "GET")),
            account: None,
        }
    }

    pub fn verified(&self) -> VerifiedPayment {
        let start = UnixSeconds(time::START_MS / 1_000);
        edge402::payment::verify(&self.payload, &self.terms, start).unwrap()
    }

    /// Whether an authorization is this payment's, as a client sends it.
    pub fn is_signed_in(&self, authorization: &serde_json::Value) -> bool {
        let own = &self.payload["authorization"];
        ["from", "nonce"].iter().all(|name| own[name] == authorization[name])
    }

    /// Its claim, with what has to be proved, if anything has.
    pub fn to_prove(&self, mut claim: ClaimRequest) -> ClaimRequest {
        let needs_proof = self.verified().signature_to_prove().is_some();
        claim.to_prove = needs_proof.then(|| self.settle_request(&claim).into());
        claim
    }

    pub fn evm(&self) -> edge402::evm::VerifiedPayment {
        match self.verified() {
            VerifiedPayment::Evm(payment) => payment,
            VerifiedPayment::Solana(_) => panic!("not on EVM"),
        }
    }
}
