//! Parameters and answers of the Ethereum JSON-RPC methods.
//! Source: <https://ethereum.github.io/execution-apis/>.

use serde_json::Value;

use super::{Address, Call};
use crate::encoding::{decode_hex, decode_hex_bytes, encode_hex};
use crate::json::json;
use crate::time::UnixSeconds;

/// Which state of the chain a method looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockTag {
    /// After the latest block.
    Latest,
    /// After what waits in the node's pool.
    Pending,
    /// After the block of this number.
    Number(u64),
}

impl BlockTag {
    /// As nodes are told.
    pub fn to_value(self) -> Value {
        match self {
            Self::Latest => "latest".into(),
            Self::Pending => "pending".into(),
            Self::Number(number) => quantity(number.into()).into(),
        }
    }
}

/// The parameters of `eth_call` and `eth_estimateGas`.
pub fn call_params(from: Address, call: &Call, block: BlockTag) -> Value {
    params_of(
        [("from", from.to_string()), ("to", call.to.to_string()), ("data", encode_hex(&call.data))],
        block,
    )
}

/// The parameters of `eth_call` that run creation code and answer what it
/// returns.
pub fn creation_params(from: Address, code: &[u8], block: BlockTag) -> Value {
    params_of([("from", from.to_string()), ("data", encode_hex(code))], block)
}

/// An object with these members, and a block. `json!` would copy the texts, which may
/// be long.
fn params_of<const N: usize>(members: [(&str, String); N], block: BlockTag) -> Value {
    let members = members.into_iter().map(|(name, text)| (name.to_owned(), text.into()));
    Value::Array(vec![Value::Object(members.collect()), block.to_value()])
}

/// The same in a block of another time: without state overrides, and with the
/// block override that geth calls `time`, as its fourth parameter.
pub fn at_time(mut call_params: Value, time: Option<UnixSeconds>) -> Value {
    if let (Some(time), Some(params)) = (time, call_params.as_array_mut()) {
        params.push(json!({}));
        params.push(json!({ "time": quantity(time.0.into()) }));
    }
    call_params
}

/// The parameters of `eth_getTransactionCount` and `eth_getBalance`.
pub fn account_params(account: Address, block: BlockTag) -> Value {
    json!([account.to_string(), block.to_value()])
}

/// Writes a quantity: `0x` and hex without leading zeros.
pub fn quantity(number: u128) -> String {
    format!("{number:#x}")
}

/// Reads a quantity of at most 128 bits: `0x` and hex digits. Leading zeros
/// are tolerated, for some nodes write them; a JSON number is not.
pub fn parse_quantity(value: &Value) -> Option<u128> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    // `from_str_radix` takes a sign, which a quantity has not.
    if digits.is_empty() || digits.len() > 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(digits, 16).ok()
}

/// Reads a quantity of at most 64 bits: a block number, a nonce, gas.
pub fn parse_u64(value: &Value) -> Option<u64> {
    parse_quantity(value)?.try_into().ok()
}

/// Reads 32 bytes: a hash or a topic.
pub fn parse_hash(value: &Value) -> Option<[u8; 32]> {
    decode_hex(value.as_str()?).ok()
}

/// Reads bytes, at most `max` of them: what `eth_call` returns.
pub fn parse_data(value: &Value, max: usize) -> Option<Vec<u8>> {
    decode_hex_bytes(value.as_str()?, max).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evm::keccak256;

    #[test]
    fn quantities_are_read_strictly_but_for_leading_zeros() {
        let read = |text: &str| parse_quantity(&text.into());
        assert_eq!(read("0x0"), Some(0));
        assert_eq!(read("0x1aF"), Some(431));
        assert_eq!(read("0x00000000000000000000000000000000000000000001"), Some(1));
        assert_eq!(read(&quantity(u128::MAX)), Some(u128::MAX));
        let over = format!("0x1{}", "0".repeat(32));
        let long = format!("0x{}", "0".repeat(65));
        for wrong in ["", "0x", "1", "0X1", "0x+1", "0x-1", "0x1 ", "0xg", "0x1_0", &over, &long] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(parse_quantity(&json!(1)), None);
        assert_eq!(parse_quantity(&Value::Null), None);
        assert_eq!(parse_u64(&"0x10000000000000000".into()), None);
    }

    #[test]
    fn params_have_the_shape_that_nodes_take() {
        let call = Call { to: Address::new([2; 20]), data: vec![1, 2] };
        assert_eq!(
            call_params(Address::new([1; 20]), &call, BlockTag::Latest),
            json!([
                {
                    "from": "0x0101010101010101010101010101010101010101",
                    "to": "0x0202020202020202020202020202020202020202",
                    "data": "0x0102"
                },
                "latest"
            ])
        );
        assert_eq!(
            at_time(json!([{}, "latest"]), Some(UnixSeconds(255))),
            json!([{}, "latest", {}, { "time": "0xff" }])
        );
        assert_eq!(at_time(json!([{}, "latest"]), None), json!([{}, "latest"]));
        assert_eq!(
            account_params(Address::ZERO, BlockTag::Number(16)),
            json!(["0x0000000000000000000000000000000000000000", "0x10"])
        );
        assert_eq!(parse_data(&"0x0102".into(), 2), Some(vec![1, 2]));
        assert_eq!(parse_data(&"0x010203".into(), 2), None);
        assert_eq!(keccak256(b"DOMAIN_SEPARATOR()")[..4], 0x3644_e515_u32.to_be_bytes());
    }
}
