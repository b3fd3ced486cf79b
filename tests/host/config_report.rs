//! What the log says of a configuration: every fault, and no secret.

use crate::gate_support::{relayer_secret, routes, settings, solana_secret};
use edge402::config::{self, Settings};
use proptest::prelude::*;
use serde_json::json;

/// Parts of a secret that would give it away, or most of it.
fn parts(secret: &str) -> Vec<&str> {
    secret.as_bytes().windows(16).map(|part| str::from_utf8(part).unwrap()).collect()
}

fn assert_silent(shown: &str, secret: &str) {
    for part in parts(secret) {
        assert!(!shown.contains(part), "{part} of {secret} in {shown}");
    }
}

#[test]
fn the_report_names_every_fault() {
    let faults = config::read(&Settings::default()).config.unwrap_err();
    assert_eq!(
        faults.to_string(),
        "the configuration has 3 fault(s); nothing is sold until they are mended:\n  \
         ORIGIN: must be \"assets\", \"service\", \"zone\", or the URL of a site, https://…\n  \
         ROUTES: must be a list: write each route as [[vars.ROUTES]]\n  \
         NETWORKS: must name a network: write each as [vars.NETWORKS.\"eip155:8453\"]"
    );
}

#[test]
fn the_report_never_shows_a_secret() {
    let (evm, solana) = (relayer_secret(), solana_secret(2));
    let rpc = "https://base.example/v2/kH3mQ8ZrT5xYw1Lp";
    let rpc_of = |urls: &str| format!("{{\"eip155:84532\":{urls}}}");
    for (name, secret) in [
        ("evm", format!("{evm}00")),
        ("evm", format!("{evm};{evm}")),
        ("evm", evm[3..].to_owned()),
        ("evm", evm.replace('1', "g")),
        ("evm", solana.clone()),
        ("solana", solana[1..].to_owned()),
        ("solana", format!("{solana}{solana}")),
        ("solana", format!("{solana},{evm}")),
        ("solana", format!("[{solana}]")),
        ("rpc", rpc.to_owned()),
        ("rpc", rpc_of(&format!("\"{rpc}\""))),
        ("rpc", rpc_of(&format!("[\"{}\"]", rpc.replace("https", "wss")))),
        ("rpc", rpc_of(&format!("[\"{rpc} \"]"))),
        ("rpc", rpc_of(&format!("[\"{rpc}\", 1]"))),
        ("rpc", rpc_of(&format!("[\"{rpc}\""))),
    ] {
        let mut settings = settings("assets", routes());
        match name {
            "evm" => settings.evm_relayer_keys = Some(secret.clone()),
            "solana" => settings.solana_fee_payer_keys = Some(secret.clone()),
            _ => settings.rpc_urls = Some(secret.clone()),
        }
        let loaded = config::read(&settings);
        let faults = loaded.config.as_ref().expect_err(&secret);
        for shown in [faults.to_string(), format!("{faults:?}"), format!("{loaded:?}")] {
            for secret in [&*secret, &*evm, &*solana, &evm[2..], rpc] {
                assert_silent(&shown, secret);
            }
        }
    }
}

#[test]
fn keys_are_not_shown_where_they_are_kept() {
    let shown = format!("{:?}", config::read(&settings("assets", routes())));
    assert!(shown.contains("0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"), "{shown}");
    assert_silent(&shown, &relayer_secret()[2..]);
    assert_silent(&shown, &solana_secret(1));
    assert_silent(&shown, &solana_secret(2));
}

#[test]
fn a_fault_closes_what_is_sold_and_only_that() {
    let mut cases = vec![];
    for name in ["origin", "networks", "evm", "solana", "rpc", "price"] {
        let mut settings = settings("assets", routes());
        match name {
            "origin" => settings.origin = None,
            "networks" => settings.networks = None,
            "evm" => settings.evm_relayer_keys = Some("0x".into()),
            "solana" => settings.solana_fee_payer_keys = None,
            "rpc" => settings.rpc_urls = Some("x".into()),
            _ => {
                let routes = settings.routes.as_mut().unwrap();
                crate::gate_support::set(&mut routes[2], "/price", Some(json!("free")));
            }
        }
        cases.push((name, config::read(&settings)));
    }
    for (name, loaded) in cases {
        assert!(loaded.config.is_err(), "{name}");
        assert_eq!(loaded.origin.is_none(), name == "origin");
        for (target, expected) in [
            ("/premium/page", "closed"),
            ("/premium", "closed"),
            ("/PREMIUM//x", "closed"),
            ("/guide", "closed"),
            ("/about", "forward /about"),
            ("/", "forward /"),
        ] {
            let outcome = crate::gate_support::Request::get(target).outcome(&loaded);
            assert_eq!(outcome, expected, "{name}: {target}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_secret_is_read_or_refused_in_silence(
        evm in "[0-9a-fx, ]{0,80}|\\PC{20,40}",
        solana in "[1-9A-HJ-NP-Za-km-z, ]{0,100}|\\PC{20,40}",
        rpc in "\\PC{20,40}",
    ) {
        let loaded = config::read(&Settings {
            evm_relayer_keys: Some(evm.clone()),
            solana_fee_payer_keys: Some(solana.clone()),
            rpc_urls: Some(rpc.clone()),
            ..settings("assets", routes())
        });
        let shown = loaded.config.unwrap_err().to_string();
        for secret in [evm, solana, rpc] {
            prop_assert!(secret.trim().len() < 20 || !shown.contains(secret.trim()));
        }
    }
}

#[test]
fn what_default_clients_refuse_is_noted_and_no_fault() {
    let mut settings = crate::gate_support::settings(
        "assets",
        serde_json::json!([
            { "pattern": "/cheap", "price": "$1" },
            { "pattern": "/dear", "price": "$1.01" },
        ]),
    );
    let notes = |settings: &edge402::config::Settings| {
        edge402::config::read(settings).config.unwrap_or_else(|it| panic!("{it}")).notes()
    };
    assert_eq!(
        notes(&settings),
        ["ROUTES[1].price: $1.01 is more than the $1 that default clients pay; \
          buyers must raise their limit"]
    );
    let other = "0x00000000000000000000000000000000000000e0";
    settings.networks.as_mut().unwrap()["eip155:84532"] = serde_json::json!({
        "rpc": ["https://base.example"], "pay_to": crate::gate_support::PAY_TO,
        "asset": other, "name": "Euro", "version": "1", "decimals": 6,
    });
    settings.routes = Some(serde_json::json!([]));
    let notes = notes(&settings);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("NETWORKS.\"eip155:84532\".asset: 0x"), "{notes:?}");
}
