//! Which smart wallets may pay on a network.

use serde_json::Value;

use super::fields::Fields;
use crate::evm::Address;
use crate::protocol::ChainId;

/// Smart wallets that may pay: contracts that judge their own signatures
/// (ERC-1271), accounts that delegate (EIP-7702), and wallets that a factory is
/// to deploy with their first payment (ERC-6492).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmartWallets {
    /// Who may deploy a wallet in the transaction that settles its payment.
    pub factories: Vec<Address>,
    /// The most gas that such a transaction is given.
    pub gas: u64,
}

/// The gas that a smart wallet's payment may use where a network sets nothing:
/// room for a wallet that is deployed and checks a passkey in Solidity.
const DEFAULT_WALLET_GAS: u64 = 1_000_000;

/// The factories of Coinbase's Smart Wallet, versions 1 and 1.1: the wallet of
/// the Base app. Each is at the same address on every chain that has it.
const KNOWN_FACTORIES: [Address; 2] = [
    Address::new([
        0x0b, 0xa5, 0xed, 0x0c, 0x6a, 0xa8, 0xc4, 0x90, 0x38, 0xf8, 0x19, 0xe5, 0x87, 0xe2, 0x63,
        0x3c, 0x4a, 0x9f, 0x42, 0x8a,
    ]),
    Address::new([
        0xba, 0x5e, 0xd1, 0x10, 0xef, 0xdb, 0xa3, 0xd0, 0x05, 0xbf, 0xc8, 0x82, 0xd7, 0x53, 0x58,
        0xac, 0xbb, 0xb8, 0x58, 0x42,
    ]),
];

impl Default for SmartWallets {
    fn default() -> Self {
        Self { factories: KNOWN_FACTORIES.to_vec(), gas: DEFAULT_WALLET_GAS }
    }
}

impl SmartWallets {
    /// Reads `smart_wallets` of a network: `true`, `false`, or a table with
    /// `factories` and `gas`. `None` where no smart wallet may pay.
    pub(super) fn read(network: &Fields<'_>, id: ChainId) -> Option<Self> {
        const KEY: &str = "smart_wallets";
        if id.names_fee_payer() {
            if network.has(KEY) {
                network.fault(KEY, "is for EVM chains only");
            }
            return None;
        }
        let members = match network.value().get(KEY) {
            None | Some(Value::Null | Value::Bool(true)) => return Some(Self::default()),
            Some(Value::Bool(false)) => return None,
            Some(members @ Value::Object(_)) => members,
            Some(_) => {
                network.fault(KEY, "must be true, false, or a table with factories and gas");
                return None;
            }
        };
        let fields =
            Fields::new(network.key(KEY), members, &["factories", "gas"], network.faults());
        let factories = fields.texts("factories").map(|texts| {
            let read = texts.iter().map(|text| text.parse().ok().filter(|it| *it != Address::ZERO));
            let read = read.collect::<Option<Vec<_>>>();
            if read.is_none() {
                fields.fault("factories", "must hold addresses: 0x and 40 hex digits each");
            }
            read.unwrap_or_default()
        });
        let gas = fields.number("gas", 100_000..=10_000_000);
        let known = Self::default();
        Some(Self {
            factories: factories.unwrap_or(known.factories),
            gas: gas.unwrap_or(known.gas),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coinbases_factories_have_their_addresses() {
        let texts = KNOWN_FACTORIES.map(|it| it.to_string());
        // With the checksums of EIP-55, as Coinbase writes them.
        assert_eq!(
            texts,
            [
                "0x0BA5ED0c6AA8c49038F819E587E2633c4A9F428a",
                "0xBA5ED110eFDBa3D005bfC882d75358ACBbB85842",
            ]
        );
    }
}
