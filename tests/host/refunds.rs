//! Refunds: what is noted is what a chain shows, once, and never more than was paid.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;

use edge402::desk::refunds::{
    Book, Given, Look, Refund, Shown, Told, answer_to, forget, look, look_again, read_forget,
    read_note, read_place, tell,
};
use edge402::json::{from_text, to_text, to_value};
use edge402::payment::refund::{canonical_transaction, signed_transaction};
use edge402::protocol::ChainId;
use edge402::rpc::{ChainCheck, Expected, Nodes, PostAnswer, Transport, TransportError};
use edge402::settlement::{Sale, StoreError};
use edge402::time::UnixSeconds;
use futures::executor::block_on;
use futures::future::join;
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;
const PAYER: &str = "0x1111111111111111111111111111111111111111";
const SHOP: &str = "0x2222222222222222222222222222222222222222";
const TOKEN: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";

fn evm() -> ChainId {
    "eip155:84532".parse().unwrap()
}

fn hash(digit: char) -> String {
    format!("0x{}", String::from(digit).repeat(64))
}

fn sale() -> Sale {
    from_text(
        &json!({
            "time": NOW - 100, "route": "/a/*", "path": "/a/1", "method": "GET", "amount": "10000", "asset": TOKEN,
            "network": "eip155:84532", "payer": PAYER, "transaction": hash('a'), "payment": "a payment",
            "way": "gate", "x402_version": 2, "fee": "1", "delivered": true, "redeliveries": 0,
        })
        .to_string(),
    )
    .unwrap()
}

fn told(payment: &str, transaction: char) -> Refund {
    let body = json!({
        "network": "eip155:84532", "time": NOW - 100, "payment": payment, "transaction": hash(transaction),
    });
    let asked = read_note(body.to_string().as_bytes()).unwrap();
    asked.refund(sale(), "12345678", UnixSeconds(NOW)).unwrap()
}

const fn received(amount: u128) -> Look {
    Look::Received { amount: edge402::amount::AtomicAmount(amount), time: Some(UnixSeconds(NOW)) }
}

/// What is kept, and a chain that says what a test wants.
struct Pages {
    now: Cell<u64>,
    rows: RefCell<Vec<Refund>>,
    says: RefCell<Vec<(String, Look)>>,
    looks: Cell<usize>,
    log: RefCell<Vec<String>>,
}

impl Pages {
    fn new() -> Self {
        Self {
            now: Cell::new(NOW),
            rows: RefCell::default(),
            says: RefCell::default(),
            looks: Cell::new(0),
            log: RefCell::default(),
        }
    }

    fn say(&self, transaction: char, look: Look) {
        self.says.borrow_mut().insert(0, (hash(transaction), look));
    }

    fn tell(&self, refund: Refund) -> Told {
        block_on(tell(self, refund)).unwrap()
    }

    fn noted(&self) -> Vec<(String, u128)> {
        let rows = self.rows.borrow();
        let noted = rows.iter().filter_map(|it| Some((it.payment.clone(), it.amount?.0)));
        noted.collect()
    }
}

impl Book for Pages {
    fn now(&self) -> UnixSeconds {
        UnixSeconds(self.now.get())
    }

    fn find(&self, network: ChainId, transaction: &str) -> Result<Option<Refund>, StoreError> {
        let rows = self.rows.borrow();
        let it = rows.iter().find(|it| it.network == network && it.transaction == transaction);
        Ok(it.cloned())
    }

    fn of_payments(&self, payments: &[String]) -> Result<Vec<Refund>, StoreError> {
        let rows = self.rows.borrow();
        Ok(rows.iter().filter(|it| payments.contains(&it.payment)).cloned().collect())
    }

    fn unconfirmed(&self) -> Result<Vec<Refund>, StoreError> {
        let rows = self.rows.borrow();
        let mut open: Vec<_> = rows.iter().filter(|it| it.amount.is_none()).cloned().collect();
        open.sort_by_key(|it| it.looked_at);
        Ok(open)
    }

    fn put(&self, refund: &Refund) -> Result<(), StoreError> {
        self.remove(refund)?;
        // As it is read from the disk again.
        self.rows.borrow_mut().push(from_text(&to_text(refund)).unwrap());
        Ok(())
    }

    fn remove(&self, refund: &Refund) -> Result<(), StoreError> {
        self.rows.borrow_mut().retain(|it| it.transaction != refund.transaction);
        Ok(())
    }

    async fn look(&self, refund: &Refund) -> Look {
        self.looks.set(self.looks.get() + 1);
        // Whoever else asks comes in between.
        futures::pending_once().await;
        let says = self.says.borrow();
        let said = says.iter().find(|(transaction, _)| *transaction == refund.transaction);
        said.map_or(Look::Nothing, |(_, look)| *look)
    }

    fn log(&self, line: &str) {
        self.log.borrow_mut().push(line.to_owned());
    }
}

fn why(told: &Told) -> &str {
    match told {
        Told::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}
