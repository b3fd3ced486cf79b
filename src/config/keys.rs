//! The keys that send and pay, in the spellings that tools write them in.
//!
//! A spelling is taken if it can mean one thing only. Nothing here ever says
//! what a text was, which may be a secret with a slip in it.

use super::fields::Report;
use crate::encoding::{decode_base58, decode_hex, encode_base58};
use crate::evm::RelayerKey;
use crate::json;
use crate::solana::FeePayerKey;

/// The secret that holds the relayers' keys.
pub(super) const EVM_SECRET: &str = "EVM_RELAYER_KEYS";
/// The secret that holds the fee payers' keys.
pub(super) const SOLANA_SECRET: &str = "SOLANA_FEE_PAYER_KEYS";

/// Reads `EVM_RELAYER_KEYS`: 64 hex digits each, with or without `0x`.
pub(super) fn read_relayers(secret: Option<&str>, faults: &Report) -> Vec<RelayerKey> {
    read(EVM_SECRET, secret, relayer, faults)
}

/// Reads `SOLANA_FEE_PAYER_KEYS`: base58 of 64 bytes, what solana-keygen
/// writes (a JSON array of 64 bytes), or a seed of 64 hex digits.
pub(super) fn read_fee_payers(secret: Option<&str>, faults: &Report) -> Vec<FeePayerKey> {
    read(SOLANA_SECRET, secret, fee_payer, faults)
}

fn read<K>(
    name: &str,
    secret: Option<&str>,
    read_one: fn(&str) -> Result<K, &'static str>,
    faults: &Report,
) -> Vec<K> {
    let texts = split(secret.unwrap_or_default());
    let mut keys = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match read_one(text) {
            Ok(key) => keys.push(key),
            Err(problem) if texts.len() == 1 => faults.add(name, problem),
            Err(problem) => {
                faults.add(name, format!("key {} of {}: {problem}", index + 1, texts.len()));
            }
        }
    }
    keys
}

/// Cuts at the commas that stand in no brackets.
fn split(secret: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let parts = secret.split(move |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    let bare =
        parts.map(|part| part.trim_matches(|c: char| c.is_whitespace() || "\"'".contains(c)));
    bare.filter(|part| !part.is_empty()).collect()
}

fn relayer(text: &str) -> Result<RelayerKey, &'static str> {
    if let Some(bytes) = hex32(text) {
        return crate::encoding::encode_hex(&bytes)
            .parse()
            .map_err(|_| "is no secret key of secp256k1: zero, or not below the curve's order");
    }
    Err(if is_phrase(text) {
        "is a seed phrase; put the private key of one account: 0x and 64 hex digits"
    } else if decode_hex::<20>(text).is_ok() {
        "is an address; put the account's private key: 0x and 64 hex digits"
    } else if text.starts_with('[') || decode_base58::<64>(text).is_ok() {
        "is a Solana keypair; put an EVM private key: 0x and 64 hex digits"
    } else {
        "must be private keys, 0x and 64 hex digits each, with commas between"
    })
}

fn fee_payer(text: &str) -> Result<FeePayerKey, &'static str> {
    const MISMATCH: &str =
        "doesn't fit together: the second 32 bytes must be the public key of the first 32";
    if let Ok(bytes) = decode_base58::<64>(text) {
        return encode_base58(&bytes).parse().map_err(|_| MISMATCH);
    }
    if let Ok(bytes) = json::from_text::<Vec<u8>>(text)
        && bytes.len() == 64
    {
        return encode_base58(&bytes).parse().map_err(|_| MISMATCH);
    }
    // With 0x it is an EVM key that got into the wrong secret.
    if !text.starts_with("0x")
        && let Some(seed) = hex32(text)
    {
        return Ok(FeePayerKey::from_seed(&seed));
    }
    Err(if is_phrase(text) {
        "is a seed phrase; put the keypair of one account: solana-keygen recover -o id.json, \
         then what is in id.json"
    } else if hex32(text).is_some() {
        "is an EVM private key; put a Solana keypair: base58 of 64 bytes, or what solana-keygen \
         wrote"
    } else if decode_base58::<32>(text).is_ok() {
        "has 32 bytes, which may be an address as well as a seed; put all 64 bytes: the base58 \
         that a wallet exports, or what solana-keygen wrote"
    } else if text.starts_with('[') {
        "must be a JSON array of 64 bytes, as solana-keygen writes it"
    } else {
        "must be keypairs, base58 of 64 bytes each or what solana-keygen wrote, with commas \
         between"
    })
}

/// 64 hex digits, with or without `0x`.
fn hex32(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    decode_hex(&format!("0x{digits}")).ok()
}

/// Twelve words or more.
fn is_phrase(text: &str) -> bool {
    text.split_whitespace().count() >= 12
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::encode_hex;

    const EVM_KEY: &str = "4646464646464646464646464646464646464646464646464646464646464646";

    fn relayers(secret: &str) -> Result<Vec<String>, String> {
        let faults = Report::default();
        let keys = read_relayers(Some(secret), &faults);
        let faults = faults.into_faults().0;
        let problems: Vec<_> = faults.iter().map(|fault| fault.problem.clone()).collect();
        assert!(faults.iter().all(|fault| fault.key == EVM_SECRET));
        if problems.is_empty() {
            Ok(keys.iter().map(|key| key.address().to_string()).collect())
        } else {
            Err(problems.join("; "))
        }
    }

    fn fee_payers(secret: &str) -> Result<Vec<String>, String> {
        let faults = Report::default();
        let keys = read_fee_payers(Some(secret), &faults);
        let faults = faults.into_faults().0;
        let problems: Vec<_> = faults.iter().map(|fault| fault.problem.clone()).collect();
        assert!(faults.iter().all(|fault| fault.key == SOLANA_SECRET));
        if problems.is_empty() {
            Ok(keys.iter().map(|key| key.pubkey().to_string()).collect())
        } else {
            Err(problems.join("; "))
        }
    }

    fn keypair(seed: u8) -> [u8; 64] {
        ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).to_keypair_bytes()
    }

    #[test]
    fn a_relayers_key_goes_with_and_without_0x() {
        let expected = Ok(vec!["0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F".to_owned()]);
        for text in [
            EVM_KEY.to_owned(),
            format!("0x{EVM_KEY}"),
            format!("0X{EVM_KEY}"),
            format!(" \"0x{EVM_KEY}\" \n"),
            format!("'{EVM_KEY}',"),
        ] {
            assert_eq!(relayers(&text), expected, "{text}");
        }
        let both = format!("{EVM_KEY}, 0x{}", "11".repeat(32));
        assert_eq!(relayers(&both).map(|keys| keys.len()), Ok(2));
    }

    #[test]
    fn a_fee_payers_keypair_goes_as_wallets_and_solana_keygen_write_it() {
        let pair = keypair(2);
        let expected = Ok(vec!["9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu".to_owned()]);
        let array = serde_json::to_string(&pair.to_vec()).unwrap();
        let spaced = array.replace(',', ", ");
        let seed = "02".repeat(32);
        for text in [encode_base58(&pair), array.clone(), spaced, format!("\n{array}\n"), seed] {
            assert_eq!(fee_payers(&text), expected);
        }
        let both = format!("{array},{}", encode_base58(&keypair(3)));
        assert_eq!(fee_payers(&both).map(|keys| keys.len()), Ok(2));
    }

    #[test]
    fn what_can_mean_two_things_is_refused_and_says_what_to_put() {
        let pair = keypair(2);
        let address = encode_base58(pair.get(32..).unwrap());
        let seed = encode_base58(pair.get(..32).unwrap());
        let array = serde_json::to_string(&pair.to_vec()).unwrap();
        let mut mixed = pair.to_vec();
        mixed[63] ^= 1;
        let phrase = "test test test test test test test test test test test junk";
        for (text, problem) in [
            (address.clone(), "address as well as a seed; put all 64 bytes"),
            (seed, "address as well as a seed; put all 64 bytes"),
            (format!("0x{EVM_KEY}"), "is an EVM private key"),
            (phrase.to_owned(), "is a seed phrase"),
            (serde_json::to_string(&pair[..32]).unwrap(), "JSON array of 64 bytes"),
            ("[1,2,3]".to_owned(), "JSON array of 64 bytes"),
            (encode_base58(&mixed), "doesn't fit together"),
            (serde_json::to_string(&mixed).unwrap(), "doesn't fit together"),
            ("hello".to_owned(), "must be keypairs"),
            (format!("{array},hello"), "key 2 of 2: must be keypairs"),
        ] {
            let said = fee_payers(&text).unwrap_err();
            assert!(said.contains(problem), "{text}: {said}");
            assert!(!said.contains(&text), "{said}");
        }
        for (text, problem) in [
            ("0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F".to_owned(), "is an address"),
            (encode_base58(&pair), "is a Solana keypair"),
            (array, "is a Solana keypair"),
            (phrase.to_owned(), "is a seed phrase"),
            (encode_hex(&[0; 32]), "no secret key"),
            (EVM_KEY.get(1..).unwrap().to_owned(), "must be private keys"),
            (address, "must be private keys"),
        ] {
            let said = relayers(&text).unwrap_err();
            assert!(said.contains(problem), "{text}: {said}");
            assert!(!said.contains(&text), "{said}");
        }
    }
}
