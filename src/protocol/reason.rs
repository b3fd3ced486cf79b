//! The reason codes: the one table of what a payment can be refused for.
//!
//! Where the specification and the reference implementation differ, the code
//! is the specification's.

use std::fmt;

use serde_json::Value;

use crate::json::{FromJson, ToJson};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// Why a payment was refused, as the wire spells it ([x402 v2, 9]).
        ///
        /// [x402 v2, 9]: https://github.com/x402-foundation/x402/blob/main/specs/x402-specification-v2.md
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// The code that goes into `errorReason` and `invalidReason`.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The reason with this code, if it is one of ours.
            pub fn from_code(code: &str) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

reasons! {
    // What both chains share (x402 v2 specification, section 9).
    /// `x402Version` is neither 1 nor 2, or not that of the header it came in.
    InvalidX402Version = "invalid_x402_version",
    /// The scheme is not the route's.
    InvalidScheme = "invalid_scheme",
    /// The network is none that this route takes.
    InvalidNetwork = "invalid_network",
    /// What the client says it accepted is not what this route asks for.
    InvalidPaymentRequirements = "invalid_payment_requirements",
    /// The scheme's payload can't be read.
    InvalidPayload = "invalid_payload",
    /// The payer does not hold the amount.
    InsufficientFunds = "insufficient_funds",
    /// The transaction landed without the transfer it should have made.
    InvalidTransactionState = "invalid_transaction_state",
    /// The payment has bought, or is buying, another resource.
    DuplicateSettlement = "duplicate_settlement",
    /// Sent, and the chain has not said yet what became of it. Not final.
    SettlementPending = "settlement_pending",
    /// The chain could not be reached, and nothing was sent.
    UnexpectedSettleError = "unexpected_settle_error",
    /// The chain could not be reached, and nothing is known of the payment.
    UnexpectedVerifyError = "unexpected_verify_error",
    /// Several of the payer's payments failed on chain lately. Not final.
    TooManyFailures = "too_many_failed_settlements",

    // exact on EVM (EIP-3009).
    /// Not 65 or 64 bytes, high s, a wrong v, or not signed by `from`; where smart
    /// wallets may pay, nor taken by the contract at `from`.
    EvmSignature = "invalid_exact_evm_payload_signature",
    /// The wallet is to be deployed by a factory that is not on the list.
    Erc6492Factory = "eip6492_factory_not_allowed",
    /// `to` is not payTo.
    EvmRecipientMismatch = "invalid_exact_evm_payload_recipient_mismatch",
    /// `validBefore` is too near, past, or beyond `maxTimeoutSeconds`.
    EvmValidBefore = "invalid_exact_evm_payload_authorization_valid_before",
    /// `validAfter` is not in the past.
    EvmValidAfter = "invalid_exact_evm_payload_authorization_valid_after",
    /// `value` is not the amount.
    EvmValueMismatch = "invalid_exact_evm_payload_authorization_value_mismatch",
    /// The token has seen this authorization's nonce.
    EvmNonceUsed = "invalid_exact_evm_nonce_already_used",
    /// The chain says that the transfer would fail.
    EvmSimulationFailed = "invalid_exact_evm_transaction_simulation_failed",

    // exact on EVM by Permit2.
    /// Not 65 or 64 bytes, high s, a wrong v, or not signed by `from`.
    Permit2Signature = "invalid_permit2_signature",
    /// `spender` is not x402's contract for exact amounts.
    Permit2Spender = "invalid_permit2_spender",
    /// `witness.to` is not payTo.
    Permit2RecipientMismatch = "invalid_permit2_recipient_mismatch",
    /// `permitted.amount` is not the amount.
    Permit2AmountMismatch = "permit2_amount_mismatch",
    /// `deadline` is too near or past.
    Permit2DeadlineExpired = "permit2_deadline_expired",
    /// `witness.validAfter` is ahead.
    Permit2NotYetValid = "permit2_not_yet_valid",
    /// `permitted.token` is not the token.
    Permit2TokenMismatch = "permit2_token_mismatch",
    /// The payer has not let Permit2 move so much. Answered with 412.
    Permit2AllowanceRequired = "permit2_allowance_required",
    /// The payer does not hold the amount.
    Permit2InsufficientBalance = "permit2_insufficient_balance",
    /// Permit2 has seen this nonce.
    Permit2InvalidNonce = "permit2_invalid_nonce",
    /// x402's contract is not on this chain.
    Permit2ProxyNotDeployed = "permit2_proxy_not_deployed",
    /// The chain says that the transfer would fail.
    Permit2SimulationFailed = "permit2_simulation_failed",
    /// The token's own permit (EIP-2612) can't be read.
    Eip2612Format = "invalid_eip2612_extension_format",
    /// It is another account's.
    Eip2612FromMismatch = "eip2612_from_mismatch",
    /// It is another token's.
    Eip2612AssetMismatch = "eip2612_asset_mismatch",
    /// It is for another spender than Permit2.
    Eip2612SpenderNotPermit2 = "eip2612_spender_not_permit2",
    /// Its end is too near or past.
    Eip2612DeadlineExpired = "eip2612_deadline_expired",
    /// It is for another amount than the payment.
    Permit2612AmountMismatch = "permit2_2612_amount_mismatch",

    // upto on EVM.
    /// More is to be settled than was signed for.
    UptoExceedsAmount = "invalid_upto_evm_payload_settlement_exceeds_amount",
    /// `witness.facilitator` is none of our relayers.
    UptoFacilitatorMismatch = "upto_facilitator_mismatch",
    /// The payer owes for what was delivered before.
    UnpaidDebt = "upto_debt_unpaid",

    // exact on Solana.
    /// Not one whole transaction, or one with address lookup tables.
    SvmUndecodable = "invalid_exact_svm_payload_transaction_could_not_be_decoded",
    /// Account 0 is not our fee payer.
    SvmFeePayerMismatch = "invalid_exact_svm_payload_fee_payer_mismatch",
    /// A signature is missing, wrong, or stands where ours belongs.
    SvmSignatureInvalid = "invalid_exact_svm_payload_signature_invalid",
    /// Someone besides the fee payer and the payer must sign.
    SvmExcessiveSigners = "invalid_exact_svm_payload_excessive_signers",
    /// Fewer than 3 instructions or more than 12.
    SvmInstructionsLength = "invalid_exact_svm_payload_transaction_instructions_length",
    /// There is no `SetComputeUnitLimit`, or something else before it.
    SvmComputeLimitInstruction =
        "invalid_exact_svm_payload_transaction_instructions_compute_limit_instruction",
    /// The compute unit limit is above ours.
    SvmComputeLimitTooHigh =
        "invalid_exact_svm_payload_transaction_instructions_compute_limit_instruction_too_high",
    /// There is no `SetComputeUnitPrice`, or something else before it.
    SvmComputePriceInstruction =
        "invalid_exact_svm_payload_transaction_instructions_compute_price_instruction",
    /// The compute unit price, or what it comes to in lamports, is above ours.
    SvmComputePriceTooHigh =
        "invalid_exact_svm_payload_transaction_instructions_compute_price_instruction_too_high",
    /// There is no `TransferChecked` of a token program, or something else
    /// before it.
    SvmNoTransferInstruction = "invalid_exact_svm_payload_no_transfer_instruction",
    /// Our fee payer appears in an instruction.
    SvmFeePayerTransferringFunds =
        "invalid_exact_svm_payload_transaction_fee_payer_transferring_funds",
    /// Another mint, other decimals, or another token program.
    SvmMintMismatch = "invalid_exact_svm_payload_mint_mismatch",
    /// The destination is not payTo's associated token account.
    SvmRecipientMismatch = "invalid_exact_svm_payload_recipient_mismatch",
    /// The amount is not the required one.
    SvmAmountMismatch = "invalid_exact_svm_payload_amount_mismatch",
    /// Instruction 3 is neither Memo nor Lighthouse.
    SvmUnknownFourthInstruction = "invalid_exact_svm_payload_unknown_fourth_instruction",
    /// Instruction 4 is neither Memo nor Lighthouse.
    SvmUnknownFifthInstruction = "invalid_exact_svm_payload_unknown_fifth_instruction",
    /// Instruction 5 is neither Memo nor Lighthouse.
    SvmUnknownSixthInstruction = "invalid_exact_svm_payload_unknown_sixth_instruction",
    /// Instruction 6, or one behind it, is neither Memo nor Lighthouse.
    SvmUnknownSeventhInstruction = "invalid_exact_svm_payload_unknown_seventh_instruction",
    /// A memo is required, and there is not exactly one.
    SvmMemoCount = "invalid_exact_svm_payload_memo_count",
    /// The memo is not the required one.
    SvmMemoMismatch = "invalid_exact_svm_payload_memo_mismatch",
    /// The chain says that the transaction would fail.
    SvmSimulationFailed = "invalid_exact_svm_transaction_simulation_failed",
}

impl Reason {
    /// Whether it says that a payment was used or canceled.
    pub const fn is_used(self) -> bool {
        matches!(self, Self::EvmNonceUsed | Self::Permit2InvalidNonce)
    }

    /// Whether it says that a payment's time is over.
    pub const fn is_too_late(self) -> bool {
        matches!(
            self,
            Self::EvmValidBefore | Self::Permit2DeadlineExpired | Self::Eip2612DeadlineExpired
        )
    }

    /// Whether it says that a payment by Permit2, which was good once, can't be
    /// settled because of what its payer has done since: no money, no allowance,
    /// its nonce used, or code that stands in the way.
    pub const fn is_payers_fault(self) -> bool {
        matches!(
            self,
            Self::Permit2InsufficientBalance
                | Self::Permit2AllowanceRequired
                | Self::Permit2InvalidNonce
                | Self::Permit2Signature
                | Self::Permit2SimulationFailed
                | Self::InvalidTransactionState
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Reason {}

impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl ToJson for Reason {
    fn write_json(&self, to: &mut String) {
        self.code().write_json(to);
    }
}

impl FromJson for Reason {
    fn from_json(value: &Value) -> Option<Self> {
        Self::from_code(value.as_str()?)
    }
}
