//! What the desk makes of the sums of several Settlers.

use edge402::amount::AtomicAmount;
use edge402::config::Config;
use edge402::desk::sums::{Together, read_query};
use edge402::settlement::sums::{Sum, SumBy, SumsQuery};
use edge402::time::UnixSeconds;
use serde_json::{Value, json};

use crate::gate_support;

/// 2026-11-27, in the morning.
const NOW: UnixSeconds = UnixSeconds(20_784 * 86_400 + 3_600);

fn sum(key: Option<&str>, asset: Option<&str>, amount: u128) -> Sum {
    Sum {
        key: key.map(str::to_owned),
        asset: asset.map(str::to_owned),
        count: 1,
        amount: AtomicAmount(amount),
        fee: AtomicAmount(7),
    }
}

fn answer(config: &Config, asked: &SumsQuery, said: Vec<Vec<Sum>>) -> Value {
    let mut together = Together::default();
    for sums in said {
        together.add(config.networks[0].id, sums);
    }
    serde_json::from_str(&together.answer(config, asked, false, &vec![], &[])).unwrap()
}

#[test]
fn a_month_until_today_unless_something_else_is_asked_for() {
    let asked = read_query("", NOW).unwrap();
    assert_eq!((asked.from, asked.to, asked.by), (20_784 - 29, 20_784, SumBy::Day));
    let asked = read_query("?to=2026-01-31&by=payer", NOW).unwrap();
    assert_eq!((asked.from, asked.to, asked.by), (20_484 - 29, 20_484, SumBy::Payer));
    assert!(read_query("?from=2026-11-28", NOW).unwrap_err().contains("ends before it starts"));
}

#[test]
fn lines_of_all_settlers_are_one_line() {
    let loaded = gate_support::assets();
    let config = gate_support::config(loaded);
    let asked = read_query("?by=route", NOW).unwrap();
    let usdc = config.networks[0].token.asset.address();
    let usdc = Some(usdc.as_str());
    let most = u128::MAX - 5;
    let said = vec![
        vec![sum(Some("/a"), usdc, 3), sum(None, usdc, 1)],
        vec![sum(Some("/a"), usdc, 4), sum(Some("/a"), None, most), sum(Some("/a"), None, 9)],
    ];
    let answer = answer(config, &asked, said);
    assert_eq!((&answer["from"], &answer["to"]), (&json!("2026-10-29"), &json!("2026-11-27")));
    let network = config.networks[0].id.to_string();
    let line = |key: Option<&str>, asset: Option<&str>, count: u32, amount: &str, fee: &str| {
        let known = asset.is_some();
        json!({
            "key": key, "network": network, "asset": asset, "decimals": known.then_some(6),
            "symbol": known.then_some("USDC"), "count": count, "amount": amount, "fee": fee,
        })
    };
    let expected = json!([
        line(None, usdc, 1, "1", "7"),
        line(Some("/a"), None, 2, &u128::MAX.to_string(), "14"),
        line(Some("/a"), usdc, 2, "7", "14"),
    ]);
    assert_eq!(answer["sums"], expected);
}

#[test]
fn of_payers_those_stand_there_who_paid_most() {
    let loaded = gate_support::assets();
    let config = gate_support::config(loaded);
    let asked = read_query("?by=payer", NOW).unwrap();
    let usdc = config.networks[0].token.asset.address();
    let usdc = Some(usdc.as_str());
    let payers: Vec<_> = (1..=120_u128).map(|n| sum(Some(&format!("{n}")), usdc, n)).collect();
    let answer = answer(config, &asked, vec![payers.clone(), payers]);
    let sums = answer["sums"].as_array().unwrap();
    assert_eq!(sums.len(), 50);
    let keys: Vec<_> = sums.iter().map(|it| it["key"].as_str().unwrap()).collect();
    assert_eq!((keys[0], keys[49]), ("120", "71"));
    assert_eq!(sums[0]["amount"], "240");
}
