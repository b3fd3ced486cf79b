//! A seller on Solana who can't be paid: the log and the health say so, and no
//! buyer is blamed for it.

use std::rc::Rc;

use crate::sim::{Answer, World};
use crate::solana_cluster::{
    Cluster, GENESIS, cluster, cluster_for, payment, seller, token_account,
};
use crate::solana_support::{SYSTEM, TOKEN, TOKEN_2022, USDC, ata, key, pay_to, payer};
use edge402::protocol::Reason;
use edge402::settlement::solana::Seller;
use edge402::settlement::{Health, Limits};
use edge402::solana::{TokenProgram, associated_token_address};

fn lines_with(world: &World, text: &str) -> usize {
    world.log.borrow().iter().filter(|line| line.contains(text)).count()
}

fn health(world: &Rc<World>) -> Health {
    let settler = world.settler();
    world.wait(async move { settler.health().await })
}

type Break = fn(&mut Cluster);

#[test]
fn what_the_seller_lacks_is_told_to_the_seller() {
    let no_account = |cluster: &mut Cluster| {
        cluster.accounts.insert(ata(pay_to()).to_string(), None);
    };
    let account_for_wallet = |cluster: &mut Cluster| {
        let account = (TOKEN.to_owned(), token_account(payer(), 0));
        cluster.accounts.insert(ata(pay_to()).to_string(), None);
        cluster.accounts.insert(pay_to().to_string(), Some(account));
    };
    let token_2022 = |cluster: &mut Cluster| {
        cluster.accounts.insert(ata(pay_to()).to_string(), None);
        cluster.accounts.insert(USDC.to_owned(), Some((TOKEN_2022.to_owned(), vec![0; 82])));
    };
    let no_token = |cluster: &mut Cluster| {
        cluster.accounts.insert(ata(pay_to()).to_string(), None);
        cluster.accounts.insert(USDC.to_owned(), None);
    };
    let frozen = |cluster: &mut Cluster| {
        let mut data = token_account(pay_to(), 0);
        data[108] = 2;
        cluster.accounts.insert(ata(pay_to()).to_string(), Some((TOKEN.to_owned(), data)));
    };
    let cases: [(Break, String); 5] = [
        (no_account, format!(".pay_to: {} has no token account for {USDC}", pay_to())),
        (
            account_for_wallet,
            format!(
                ".pay_to: {} is itself a token account; put the wallet that owns it, {}",
                pay_to(),
                payer()
            ),
        ),
        (
            token_2022,
            format!(".token_program: the token {USDC} belongs to Token-2022; put \"token-2022\""),
        ),
        (no_token, format!(".asset: there is no token {USDC} on this cluster")),
        (frozen, format!(".pay_to: the token account of {} is frozen", pay_to())),
    ];
    for (break_it, expected) in cases {
        let (world, cluster) = cluster();
        let expected = format!("NETWORKS.\"solana:{GENESIS}\"{expected}");
        break_it(&mut cluster.borrow_mut());
        for n in 0..3 {
            assert_eq!(world.buy_now(&payment(n), "a"), Answer::Unavailable, "{expected}");
        }
        assert_eq!(lines_with(&world, &expected), 1, "{expected}\n{:?}", world.log.borrow());
        assert!(cluster.borrow().sent.is_empty());
        let told = health(&world).problems;
        assert!(told.iter().any(|it| it.starts_with(&expected)), "{expected}: {told:?}");
        // A minute later once more; and nothing any more when it is mended.
        world.run_for(61_000);
        cluster.borrow_mut().accounts.clear();
        assert!(!health(&world).problems.iter().any(|it| it.starts_with(&expected)));
    }
}

#[test]
fn a_seller_who_lacks_nothing_takes_no_blame() {
    let (world, cluster) = cluster();
    cluster.borrow_mut().money = 0;
    assert_eq!(world.buy_now(&payment(1), "a"), Answer::Refused(Reason::InsufficientFunds));
    assert_eq!(health(&world).problems, Vec::<String>::new());
    // A wallet that holds nothing else is one all the same.
    cluster.borrow_mut().accounts.insert(pay_to().to_string(), None);
    cluster.borrow_mut().accounts.insert(payer().to_string(), Some((SYSTEM.into(), vec![])));
    assert_eq!(world.buy_now(&payment(2), "a"), Answer::Refused(Reason::InsufficientFunds));
    assert_eq!(world.log.borrow().len(), 0, "{:?}", world.log.borrow());
}

#[test]
fn of_several_tokens_each_is_looked_after() {
    let mint = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
    let second = Seller { mint: key(mint), token_program: TokenProgram::Token2022, ..seller() };
    let ata = associated_token_address(&pay_to(), &key(mint), &key(TOKEN_2022)).unwrap();
    let limits = Limits { batch_max: 1, ..Limits::default() };
    let (world, cluster) = cluster_for(limits, 1, vec![seller(), second]);
    {
        let accounts = &mut cluster.borrow_mut().accounts;
        accounts.insert(mint.to_owned(), Some((TOKEN_2022.to_owned(), vec![0; 82])));
        accounts.insert(ata.to_string(), None);
    }
    let expected = format!(
        "NETWORKS.\"solana:{GENESIS}\".pay_to: {} has no token account for {mint}",
        pay_to()
    );
    let is_told = || health(&world).problems.iter().any(|it| it.starts_with(&expected));
    assert!(is_told());
    // That it can be paid in the other one says nothing of this.
    assert!(world.buy_now(&payment(1), "a").is_delivery());
    assert!(is_told());
    let mut data = token_account(pay_to(), 0);
    data[..32].copy_from_slice(&key(mint).0);
    cluster.borrow_mut().accounts.insert(ata.to_string(), Some((TOKEN_2022.to_owned(), data)));
    world.run_for(61_000);
    assert!(!is_told());
}
