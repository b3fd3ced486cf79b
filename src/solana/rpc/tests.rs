use super::*;

fn simulated(err: &Value) -> Result<SimulationOutcome, UnexpectedResult> {
    let result = json!({
        "context": { "apiVersion": "2.1.0", "slot": 1 },
        "value": { "err": err, "logs": [], "unitsConsumed": 6_200, "accounts": null },
    });
    parse_simulation(&result, 2)
}

#[test]
fn simulations_tell_whose_fault_it_is() {
    use SimulationOutcome::{
        AlreadyProcessed, BlockhashNotFound, Fails, FeePayerUnfunded, Succeeds,
    };
    let failed = Fails(Reason::SvmSimulationFailed);
    for (err, expected) in [
        (json!(null), Succeeds),
        (json!("BlockhashNotFound"), BlockhashNotFound),
        (json!("AlreadyProcessed"), AlreadyProcessed),
        (json!("InsufficientFundsForFee"), FeePayerUnfunded),
        (json!("AccountNotFound"), FeePayerUnfunded),
        (json!({ "InsufficientFundsForRent": { "account_index": 0 } }), FeePayerUnfunded),
        (json!({ "InsufficientFundsForRent": { "account_index": 1 } }), failed),
        (json!("SignatureFailure"), failed),
        (json!({ "InstructionError": [2, { "Custom": 1 }] }), Fails(Reason::InsufficientFunds)),
        (json!({ "InstructionError": [3, { "Custom": 1 }] }), failed),
        (json!({ "InstructionError": [2, { "Custom": 17 }] }), failed),
        (json!({ "InstructionError": [2, "InvalidAccountData"] }), failed),
        (json!({ "SomethingNew": [] }), failed),
    ] {
        assert_eq!(simulated(&err), Ok(expected), "{err}");
    }
    for wrong in [json!(null), json!({}), json!({ "value": null }), json!({ "value": {} })] {
        assert_eq!(parse_simulation(&wrong, 2), Err(UnexpectedResult), "{wrong}");
    }
}

#[test]
fn statuses_are_final_from_confirmed_on() {
    use Status::{Confirmed, Failed, Finalized, Processed, Unknown};
    let funds = json!({ "InstructionError": [2, { "Custom": 1 }] });
    let other = json!({ "InstructionError": [0, "ComputationalBudgetExceeded"] });
    let status = |err: &Value, reached: Value, confirmations: Value| {
        let status = json!({
            "slot": 48, "confirmations": confirmations, "err": err,
            "status": { "Ok": null }, "confirmationStatus": reached,
        });
        let result = json!({ "context": { "slot": 82 }, "value": [null, status] });
        parse_signature_statuses(&result, &[2, 2])
    };
    let fine = Value::Null;
    for (err, reached, confirmations, expected) in [
        (&fine, json!("processed"), json!(0), Processed),
        (&fine, json!("confirmed"), json!(10), Confirmed),
        (&fine, json!("finalized"), json!(null), Finalized),
        (&fine, json!(null), json!(null), Finalized),
        (&fine, json!(null), json!(3), Processed),
        (&funds, json!("processed"), json!(0), Processed),
        (&funds, json!("confirmed"), json!(1), Failed(Reason::InsufficientFunds)),
        (&other, json!("finalized"), json!(null), Failed(Reason::InvalidTransactionState)),
    ] {
        let statuses = status(err, reached.clone(), confirmations);
        let seen = |status, slot| Sighting { status, slot };
        assert_eq!(statuses, Ok(vec![seen(Unknown, 0), seen(expected, 48)]), "{reached}");
    }
    assert_eq!(status(&fine, json!("certain"), json!(1)), Err(UnexpectedResult));
    for wrong in [json!({ "value": [{}] }), json!([]), json!({ "value": [null, null] })] {
        assert_eq!(parse_signature_statuses(&wrong, &[2]), Err(UnexpectedResult), "{wrong}");
    }
}

#[test]
fn the_transfers_own_error_is_the_lack_of_tokens() {
    let status = json!({
        "slot": 1, "confirmations": 1, "confirmationStatus": "confirmed",
        "err": { "InstructionError": [5, { "Custom": 1 }] },
    });
    let result = json!({ "value": [status, status] });
    let seen = parse_signature_statuses(&result, &[5, 2]).unwrap();
    assert_eq!(seen[0].status, Status::Failed(Reason::InsufficientFunds));
    assert_eq!(seen[1].status, Status::Failed(Reason::InvalidTransactionState));
}

#[test]
fn token_accounts_are_read() {
    let key = |byte| Pubkey([byte; 32]);
    let mut data = vec![0; 165];
    data[..32].fill(1);
    data[32..64].fill(2);
    data[64..72].copy_from_slice(&70_u64.to_le_bytes());
    data[108] = 1;
    let account = |owner: TokenProgram, data: &[u8]| {
        let owner = owner.id();
        Account { owner, lamports: 1, data: data.to_vec() }.as_token_account()
    };
    let plain = account(TokenProgram::Spl, &data).unwrap();
    assert_eq!((plain.mint, plain.owner, plain.amount), (key(1), key(2), 70));
    assert_eq!((plain.delegate, plain.is_frozen), (None, false));
    let extended = account(TokenProgram::Token2022, &[&data[..], &[2]].concat());
    assert_eq!(extended, Some(plain));
    // A mint, a multisig, a shorter one, one that isn't initialised.
    assert_eq!(account(TokenProgram::Token2022, &[&data[..], &[1]].concat()), None);
    assert_eq!(account(TokenProgram::Spl, &data[..82]), None);
    data[108] = 0;
    assert_eq!(account(TokenProgram::Spl, &data), None);
    data[108] = 2;
    data[72] = 1;
    data[76..108].fill(3);
    data[121..129].copy_from_slice(&30_u64.to_le_bytes());
    let delegated = account(TokenProgram::Spl, &data).unwrap();
    assert_eq!((delegated.delegate, delegated.is_frozen), (Some((key(3), 30)), true));
    assert_eq!((delegated.available_to(&key(3)), delegated.available_to(&key(2))), (30, 70));
}

#[test]
fn accounts_are_read() {
    let owner = TokenProgram::Spl.id();
    let account = json!({
        "data": ["AQID", "base64"], "executable": false, "lamports": 7,
        "owner": owner, "rentEpoch": 0, "space": 3,
    });
    let result = json!({ "context": { "slot": 9 }, "value": [null, account] });
    let read = Account { owner, lamports: 7, data: vec![1, 2, 3] };
    assert_eq!(parse_accounts(&result), Ok((9, vec![None, Some(read)])));
    for wrong in [json!({ "value": [] }), json!({ "context": { "slot": 9 }, "value": [{}] })] {
        assert_eq!(parse_accounts(&wrong), Err(UnexpectedResult), "{wrong}");
    }
}

#[test]
fn params_are_those_of_the_documentation() {
    let signed = SignedTransaction { signature: "1".into(), raw: vec![1, 2, 3] };
    assert_eq!(
        simulate_transaction_params(&signed).to_string(),
        r#"["AQID",{"commitment":"confirmed","encoding":"base64","sigVerify":true}]"#
    );
    let account = Pubkey([0; 32]);
    assert_eq!(
        watching(simulate_transaction_params(&signed), &account)[1],
        json!({
            "commitment": "confirmed", "encoding": "base64", "sigVerify": true,
            "accounts": { "encoding": "base64", "addresses": ["1".repeat(32)] },
        })
    );
    assert_eq!(
        get_signature_statuses_params(&["a", "b"]),
        json!([["a", "b"], { "searchTransactionHistory": true }])
    );
    assert_eq!(get_latest_blockhash_params(), json!([{ "commitment": "confirmed" }]));
    assert_eq!(get_block_height_params(), json!([{ "commitment": "confirmed" }]));
}

#[test]
fn what_an_account_will_hold_is_read() {
    let account = json!({ "lamports": 5, "owner": "1", "data": ["", "base64"] });
    let result = json!({ "value": { "err": null, "accounts": [account] } });
    assert_eq!(parse_simulated_lamports(&result), Some(5));
    for none in [json!(null), json!([]), json!([null])] {
        let result = json!({ "value": { "err": null, "accounts": none } });
        assert_eq!(parse_simulated_lamports(&result), None);
    }
}

#[test]
fn results_are_read() {
    let latest = json!({
        "context": { "slot": 2792 },
        "value": { "blockhash": "EkSnNWid2cvwEVnVx9aBqawnmiCNiDgp3gUdkDPTKN1N",
                   "lastValidBlockHeight": 3090 },
    });
    let latest = parse_latest_blockhash(&latest).unwrap();
    assert_eq!(latest.blockhash, "EkSnNWid2cvwEVnVx9aBqawnmiCNiDgp3gUdkDPTKN1N");
    assert_eq!(latest.last_valid_block_height, 3090);
    assert_eq!(parse_latest_blockhash(&json!({ "value": {} })), Err(UnexpectedResult));
    assert_eq!(parse_block_height(&json!(1233)), Ok(1233));
    assert_eq!(parse_block_height(&json!("1233")), Err(UnexpectedResult));
}
