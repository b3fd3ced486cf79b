//! Builds Solana transactions, well-formed or not, for the tests: on its own,
//! with nothing of the crate but addresses.

use ed25519_dalek::{Signer as _, SigningKey};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use edge402::amount::AtomicAmount;
use edge402::encoding::encode_base64;
use edge402::solana::{
    Limits, Pubkey, Terms, TermsParts, TokenProgram, VerifiedPayment, associated_token_address,
    verify,
};
use serde_json::Value;

pub const TOKEN: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
pub const TOKEN_2022: &str = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb";
pub const ATA: &str = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL";
pub const MEMO: &str = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr";
pub const MEMO_V1: &str = "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo";
pub const LIGHTHOUSE: &str = "L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95";
pub const COMPUTE_BUDGET: &str = "ComputeBudget111111111111111111111111111111";
pub const SYSTEM: &str = "11111111111111111111111111111111";
pub const RECENT_BLOCKHASHES: &str = "SysvarRecentB1ockHashes11111111111111111111";
pub const USDC: &str = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU";

pub fn key(text: &str) -> Pubkey {
    text.parse().unwrap()
}

/// The key that is made of 32 times this byte, which is less than 32. Made
/// once: without optimisation a key takes milliseconds.
pub fn signing_key(seed: u8) -> &'static SigningKey {
    static KEYS: LazyLock<Vec<SigningKey>> =
        LazyLock::new(|| (0..32).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect());
    &KEYS[usize::from(seed)]
}

pub fn pubkey(seed: u8) -> Pubkey {
    Pubkey(signing_key(seed).verifying_key().to_bytes())
}

pub fn fee_payer() -> Pubkey {
    pubkey(1)
}

pub fn other_fee_payer() -> Pubkey {
    pubkey(2)
}

pub fn payer() -> Pubkey {
    pubkey(3)
}

pub fn pay_to() -> Pubkey {
    pubkey(4)
}

pub fn ata(owner: Pubkey) -> Pubkey {
    static KNOWN: LazyLock<Mutex<HashMap<Pubkey, Pubkey>>> = LazyLock::new(Mutex::default);
    let derive = || associated_token_address(&owner, &key(USDC), &key(TOKEN)).unwrap();
    *KNOWN.lock().unwrap().entry(owner).or_insert_with(derive)
}

pub fn parts() -> TermsParts {
    TermsParts {
        mint: key(USDC),
        token_program: TokenProgram::Spl,
        decimals: 6,
        pay_to: pay_to(),
        amount: AtomicAmount(10_000),
        fee_payers: vec![other_fee_payer(), fee_payer()],
        memo: None,
        limits: Limits::default(),
    }
}

pub fn terms() -> Terms {
    static TERMS: LazyLock<Terms> = LazyLock::new(|| Terms::new(parts()).unwrap());
    TERMS.clone()
}

pub fn terms_with_memo(memo: &str) -> Terms {
    Terms::new(TermsParts { memo: Some(memo.to_owned()), ..parts() }).unwrap()
}

/// An account of an instruction, and what the instruction wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub key: Pubkey,
    pub signer: bool,
    pub writable: bool,
}

pub fn readonly(key: Pubkey) -> Account {
    Account { key, signer: false, writable: false }
}

pub fn writable(key: Pubkey) -> Account {
    Account { key, signer: false, writable: true }
}

pub fn signer(key: Pubkey) -> Account {
    Account { key, signer: true, writable: false }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ix {
    pub program: Pubkey,
    pub accounts: Vec<Account>,
    pub data: Vec<u8>,
}

pub fn ix(program: &str, accounts: &[Account], data: &[u8]) -> Ix {
    Ix { program: key(program), accounts: accounts.to_vec(), data: data.to_vec() }
}

pub fn limit(units: u32) -> Ix {
    ix(COMPUTE_BUDGET, &[], &[&[2][..], &units.to_le_bytes()].concat())
}

pub fn price(micro_lamports: u64) -> Ix {
    ix(COMPUTE_BUDGET, &[], &[&[3][..], &micro_lamports.to_le_bytes()].concat())
}

pub fn transfer() -> Ix {
    let accounts =
        [writable(ata(payer())), readonly(key(USDC)), writable(ata(pay_to())), signer(payer())];
    ix(TOKEN, &accounts, &transfer_data(12, 10_000, 6))
}

pub fn transfer_data(discriminator: u8, amount: u64, decimals: u8) -> Vec<u8> {
    [&[discriminator][..], &amount.to_le_bytes(), &[decimals]].concat()
}

pub fn memo(text: &str) -> Ix {
    ix(MEMO, &[], text.as_bytes())
}

pub fn lighthouse() -> Ix {
    ix(LIGHTHOUSE, &[readonly(payer())], &[5, 0, 0, 1])
}

/// `Create` or `CreateIdempotent` of payTo's token account at `funder`'s cost.
pub fn create_ata(funder: Pubkey, data: &[u8]) -> Ix {
    let accounts = [
        Account { key: funder, signer: true, writable: true },
        writable(ata(pay_to())),
        readonly(pay_to()),
        readonly(key(USDC)),
        readonly(key(SYSTEM)),
        readonly(key(TOKEN)),
    ];
    ix(ATA, &accounts, data)
}

/// `AdvanceNonceAccount`: what makes a transaction outlive its blockhash.
pub fn advance_nonce() -> Ix {
    let accounts = [writable(Pubkey([77; 32])), readonly(key(RECENT_BLOCKHASHES)), signer(payer())];
    ix(SYSTEM, &accounts, &[4, 0, 0, 0])
}

/// A payment before it is a message.
#[derive(Clone, Debug)]
pub struct Draft {
    pub versioned: bool,
    pub fee_payer: Pubkey,
    pub instructions: Vec<Ix>,
}

/// One that the terms accept.
pub fn draft() -> Draft {
    let instructions = vec![limit(20_000), price(1), transfer(), memo("0123456789abcdef")];
    Draft { versioned: true, fee_payer: fee_payer(), instructions }
}

/// A message with every field open to abuse.
#[derive(Clone, Debug)]
pub struct RawMessage {
    pub prefix: Option<u8>,
    pub header: [u8; 3],
    pub keys: Vec<Pubkey>,
    pub blockhash: [u8; 32],
    pub instructions: Vec<RawIx>,
    pub lookups: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub struct RawIx {
    pub program: u8,
    pub accounts: Vec<u8>,
    pub data: Vec<u8>,
}

impl Draft {
    pub fn message(&self) -> RawMessage {
        let mut accounts = vec![Account { key: self.fee_payer, signer: true, writable: true }];
        let used = self.instructions.iter().flat_map(|ix| &ix.accounts).copied();
        let programs = self.instructions.iter().map(|ix| readonly(ix.program));
        for account in used.chain(programs) {
            match accounts.iter_mut().find(|known| known.key == account.key) {
                Some(known) => {
                    known.signer |= account.signer;
                    known.writable |= account.writable;
                }
                None => accounts.push(account),
            }
        }
        // A stable sort: the fee payer stays first.
        accounts.sort_by_key(|account| (!account.signer, !account.writable));
        let count = |signer, writable| {
            let same = |a: &&Account| a.signer == signer && a.writable == writable;
            u8::try_from(accounts.iter().filter(same).count()).unwrap()
        };
        let header =
            [count(true, true) + count(true, false), count(true, false), count(false, false)];
        let keys: Vec<Pubkey> = accounts.iter().map(|account| account.key).collect();
        let index = |key: Pubkey| {
            u8::try_from(keys.iter().position(|known| *known == key).unwrap()).unwrap()
        };
        let raw = |ix: &Ix| RawIx {
            program: index(ix.program),
            accounts: ix.accounts.iter().map(|account| index(account.key)).collect(),
            data: ix.data.clone(),
        };
        RawMessage {
            prefix: self.versioned.then_some(0x80),
            header,
            instructions: self.instructions.iter().map(raw).collect(),
            keys: keys.clone(),
            blockhash: [9; 32],
            lookups: self.versioned.then(|| vec![0]),
        }
    }

    pub fn transaction(&self) -> Vec<u8> {
        self.message().transaction()
    }
}

impl RawMessage {
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.prefix.into_iter().chain(self.header).collect();
        bytes.extend(compact(self.keys.len()));
        bytes.extend(self.keys.iter().flat_map(|key| key.0));
        bytes.extend(self.blockhash);
        bytes.extend(compact(self.instructions.len()));
        for ix in &self.instructions {
            bytes.push(ix.program);
            bytes.extend(compact(ix.accounts.len()));
            bytes.extend(&ix.accounts);
            bytes.extend(compact(ix.data.len()));
            bytes.extend(&ix.data);
        }
        bytes.extend(self.lookups.iter().flatten());
        bytes
    }

    /// The transaction, signed by every signer that the tests have the key
    /// of, except by account 0.
    pub fn transaction(&self) -> Vec<u8> {
        let required = usize::from(self.header[0]).min(self.keys.len());
        transaction(&self.bytes(), &self.keys[..required])
    }
}

/// Signatures over any bytes, and these bytes.
pub fn transaction(message: &[u8], signers: &[Pubkey]) -> Vec<u8> {
    let mut bytes = compact(signers.len());
    for (index, signer) in signers.iter().enumerate() {
        let known = (1..32).map(signing_key).find(|it| it.verifying_key().to_bytes() == signer.0);
        bytes.extend(match known {
            Some(key) if index > 0 => key.sign(message).to_bytes(),
            _ => [0; 64],
        });
    }
    bytes.extend(message);
    bytes
}

pub fn compact(length: usize) -> Vec<u8> {
    let mut rest = u16::try_from(length).unwrap();
    let mut bytes = vec![];
    while rest > 0x7f {
        bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

pub fn payload(transaction: &[u8]) -> Value {
    let json = format!("{{\"transaction\":\"{}\"}}", encode_base64(transaction));
    edge402::json::parse(&json).unwrap()
}

pub fn check(transaction: &[u8], terms: &Terms) -> Result<VerifiedPayment, &'static str> {
    verify(&payload(transaction), terms).map_err(edge402::protocol::Reason::code)
}

/// `ok`, or the code of the refusal without what all codes begin with.
pub fn outcome(transaction: &[u8], terms: &Terms) -> &'static str {
    match check(transaction, terms) {
        Ok(_) => "ok",
        Err(code) => code.strip_prefix("invalid_exact_svm_payload_").unwrap_or(code),
    }
}

pub type Change = fn(&mut Draft);

/// Every change alone, in a v0 and in a legacy transaction.
pub fn table(terms: &Terms, rows: &[(&str, Change, &str)]) {
    for versioned in [true, false] {
        for (name, change, expected) in rows {
            let mut draft = Draft { versioned, ..draft() };
            change(&mut draft);
            assert_eq!(outcome(&draft.transaction(), terms), *expected, "{name}");
        }
    }
}

pub fn accounts(draft: &mut Draft, index: usize) -> &mut Vec<Account> {
    &mut draft.instructions[index].accounts
}
