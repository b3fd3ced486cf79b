//! The few instructions that a payment may hold.
//!
//! Each reader takes exactly the length of data that the instruction has,
//! because programs differ in what they make of bytes left over.

use serde_json::Value;

use super::address::{
    COMPUTE_BUDGET_PROGRAM, LIGHTHOUSE_PROGRAM, MEMO_PROGRAM, Pubkey, TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
};
use super::message::Instruction;
use crate::json::{FromJson, ToJson};

/// A program that keeps tokens. As JSON, its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenProgram {
    /// SPL Token.
    Spl,
    /// Token-2022. A mint of it may keep a fee of every transfer, and then
    /// the seller gets the amount less the fee.
    Token2022,
}

impl TokenProgram {
    /// The program's address.
    pub const fn id(self) -> Pubkey {
        match self {
            Self::Spl => TOKEN_PROGRAM,
            Self::Token2022 => TOKEN_2022_PROGRAM,
        }
    }

    /// The token program at this address, if one is there.
    pub fn from_id(id: &Pubkey) -> Option<Self> {
        [Self::Spl, Self::Token2022].into_iter().find(|program| program.id() == *id)
    }
}

impl ToJson for TokenProgram {
    fn write_json(&self, to: &mut String) {
        self.id().write_json(to);
    }
}

impl FromJson for TokenProgram {
    fn from_json(value: &Value) -> Option<Self> {
        Self::from_id(&Pubkey::from_json(value)?)
    }
}

/// `TransferChecked` of a token program, signed by a single authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferChecked {
    /// Whose instruction it is.
    pub token_program: TokenProgram,
    /// The token account that is charged.
    pub source: Pubkey,
    /// The token.
    pub mint: Pubkey,
    /// The token account that is paid.
    pub destination: Pubkey,
    /// The owner of the source, or its delegate.
    pub authority: Pubkey,
    /// Atomic units of the token.
    pub amount: u64,
    /// The mint's decimals, as the payer knows them.
    pub decimals: u8,
}

impl TransferChecked {
    /// Reads discriminator 12, the amount (u64, little-endian) and the
    /// decimals (u8), with exactly the accounts source, mint, destination and
    /// authority. More accounts would be the signers of a multisig, or those
    /// of a transfer hook, which runs a program that no one here knows.
    ///
    /// Source: SPL Token, `TokenInstruction::TransferChecked`.
    pub fn read(instruction: &Instruction) -> Option<Self> {
        let token_program = TokenProgram::from_id(&instruction.program)?;
        let [source, mint, destination, authority] = *instruction.accounts.as_slice() else {
            return None;
        };
        let (12, data) = instruction.data.split_first()? else { return None };
        let (amount, [decimals]) = data.split_first_chunk()? else { return None };
        let amount = u64::from_le_bytes(*amount);
        let decimals = *decimals;
        Some(Self { token_program, source, mint, destination, authority, amount, decimals })
    }
}

impl Instruction {
    /// The units of a `SetComputeUnitLimit`: discriminator 2 and a u32,
    /// little-endian. Source: Compute Budget program.
    pub fn compute_unit_limit(&self) -> Option<u32> {
        match self.compute_budget()? {
            (2, units) => Some(u32::from_le_bytes(units.try_into().ok()?)),
            _ => None,
        }
    }

    /// The price of a `SetComputeUnitPrice` in micro-lamports per unit:
    /// discriminator 3 and a u64, little-endian. Source: Compute Budget
    /// program.
    pub fn compute_unit_price(&self) -> Option<u64> {
        match self.compute_budget()? {
            (3, price) => Some(u64::from_le_bytes(price.try_into().ok()?)),
            _ => None,
        }
    }

    /// The text of a memo, as bytes: the program sees to it that it is UTF-8.
    pub fn memo(&self) -> Option<&[u8]> {
        (self.program == MEMO_PROGRAM).then_some(&self.data)
    }

    /// Whether it is an assertion that a wallet added.
    pub fn is_lighthouse(&self) -> bool {
        self.program == LIGHTHOUSE_PROGRAM
    }

    /// Whether it is an assertion about this account alone. What Lighthouse's
    /// numbers 2 to 15 stand for reads accounts and fails, and does nothing
    /// else; 0 and 1 write memory at its payer's cost, and from 16 on other
    /// programs are called.
    ///
    /// Source: Lighthouse, `LighthouseInstruction`.
    pub fn is_guard_of(&self, account: &Pubkey) -> bool {
        self.is_lighthouse()
            && self.accounts.as_slice() == [*account]
            && self.data.first().is_some_and(|kind| (2..=15).contains(kind))
    }

    fn compute_budget(&self) -> Option<(u8, &[u8])> {
        let (discriminator, data) = self.data.split_first()?;
        (self.program == COMPUTE_BUDGET_PROGRAM).then_some((*discriminator, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{from_text, to_text};

    fn instruction(program: Pubkey, accounts: usize, data: &[u8]) -> Instruction {
        Instruction { program, accounts: vec![Pubkey([9; 32]); accounts], data: data.to_vec() }
    }

    #[test]
    fn compute_budget_is_read_to_the_byte() {
        let read = |data: &[u8]| {
            let it = instruction(COMPUTE_BUDGET_PROGRAM, 0, data);
            (it.compute_unit_limit(), it.compute_unit_price())
        };
        assert_eq!(read(&[2, 64, 13, 3, 0]), (Some(200_000), None));
        assert_eq!(read(&[3, 1, 1, 0, 0, 0, 0, 0, 0]), (None, Some(257)));
        for wrong in [&[][..], &[2], &[2, 0, 0, 0], &[2, 0, 0, 0, 0, 0], &[3, 0, 0, 0, 0]] {
            assert_eq!(read(wrong), (None, None), "{wrong:?}");
        }
        assert_eq!(instruction(MEMO_PROGRAM, 0, &[2, 0, 0, 0, 0]).compute_unit_limit(), None);
    }

    #[test]
    fn transfers_have_four_accounts_and_ten_bytes() {
        let data = [12, 0x10, 0x27, 0, 0, 0, 0, 0, 0, 6];
        let read = |program, accounts, data: &[u8]| {
            TransferChecked::read(&instruction(program, accounts, data))
        };
        let transfer = read(TOKEN_2022_PROGRAM, 4, &data).unwrap();
        assert_eq!((transfer.amount, transfer.decimals), (10_000, 6));
        assert_eq!(transfer.token_program, TokenProgram::Token2022);
        assert!(read(TOKEN_PROGRAM, 4, &data).is_some());
        assert!(read(TOKEN_PROGRAM, 3, &data).is_none());
        assert!(read(TOKEN_PROGRAM, 5, &data).is_none());
        assert!(read(TOKEN_PROGRAM, 4, &data[..9]).is_none());
        assert!(read(TOKEN_PROGRAM, 4, &[&data[..], &[0]].concat()).is_none());
        assert!(read(TOKEN_PROGRAM, 4, &[3, 0x10, 0x27, 0, 0, 0, 0, 0, 0, 6]).is_none());
        assert!(read(MEMO_PROGRAM, 4, &data).is_none());
    }

    #[test]
    fn token_programs_are_their_addresses_in_json() {
        let json = "\"TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb\"";
        assert_eq!(to_text(&TokenProgram::Token2022), json);
        assert_eq!(from_text::<TokenProgram>(json).unwrap(), TokenProgram::Token2022);
        assert!(from_text::<TokenProgram>("\"11111111111111111111111111111111\"").is_err());
    }
}
