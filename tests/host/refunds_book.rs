//! What is kept of refunds, in memory, and a chain that says what a test wants.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use edge402::amount::AtomicAmount;
use edge402::desk::refunds::{
    Book, Look, Refund, Reservation, State, Told, look_again, read_note, tell,
};
use edge402::json::{from_text, to_text};
use edge402::protocol::ChainId;
use edge402::settlement::{Sale, StoreError};
use edge402::time::UnixSeconds;
use serde_json::json;

pub const NOW: u64 = 1_800_000_000;
pub const PAYER: &str = "0x1111111111111111111111111111111111111111";
pub const TOKEN: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";

pub fn evm() -> ChainId {
    "eip155:84532".parse().unwrap()
}

pub fn hash(digit: char) -> String {
    format!("0x{}", String::from(digit).repeat(64))
}

pub fn sale() -> Sale {
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

pub fn told(payment: &str, transaction: char) -> Refund {
    let body = json!({
        "network": "eip155:84532", "time": NOW - 100, "payment": payment, "transaction": hash(transaction),
    });
    let asked = read_note(body.to_string().as_bytes()).unwrap();
    asked.refund(sale(), "12345678", UnixSeconds(NOW)).unwrap()
}

pub const fn received(amount: u128) -> Look {
    Look::Received { amount: AtomicAmount(amount), time: UnixSeconds(NOW) }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..1_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
    panic!("it waits for ever");
}

/// What is kept, and a chain that says what a test wants.
pub struct Pages {
    pub now: Cell<u64>,
    pub rows: RefCell<Vec<Refund>>,
    pub reserved: RefCell<Vec<Reservation>>,
    pub says: RefCell<Vec<(String, Look)>>,
    pub looks: Cell<usize>,
    pub log: RefCell<Vec<String>>,
}

impl Pages {
    pub fn new() -> Self {
        Self {
            now: Cell::new(NOW),
            rows: RefCell::default(),
            reserved: RefCell::default(),
            says: RefCell::default(),
            looks: Cell::new(0),
            log: RefCell::default(),
        }
    }

    pub fn say(&self, transaction: char, look: Look) {
        self.says.borrow_mut().insert(0, (hash(transaction), look));
    }

    pub fn tell(&self, refund: Refund) -> Told {
        block_on(tell(self, refund, None)).unwrap()
    }

    /// Lets so much time go by, and the alarm ring.
    pub fn wait(&self, seconds: u64) {
        let end = self.now.get() + seconds;
        loop {
            let next = block_on(look_again(self)).unwrap();
            match next.map(|pause| self.now.get() + pause).filter(|at| *at <= end) {
                Some(at) => self.now.set(at),
                None => break self.now.set(end),
            }
        }
        block_on(look_again(self)).unwrap();
    }

    /// How the transactions stand, by their digits.
    pub fn states(&self) -> Vec<(char, State)> {
        let rows = self.rows.borrow();
        let digit = |it: &Refund| it.transaction.chars().last().unwrap();
        let mut states: Vec<_> = rows.iter().map(|it| (digit(it), it.state())).collect();
        states.sort_by_key(|(digit, _)| *digit);
        states
    }

    pub fn noted(&self) -> Vec<(String, u128)> {
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

    fn open(&self) -> Result<Vec<Refund>, StoreError> {
        let rows = self.rows.borrow();
        Ok(rows.iter().filter(|it| it.state() == State::Open).cloned().collect())
    }

    fn due(&self, limit: usize) -> Result<Vec<Refund>, StoreError> {
        let rows = self.rows.borrow();
        let mut due: Vec<_> = rows.iter().filter(|it| it.look_at().is_some()).cloned().collect();
        due.sort_by_key(Refund::look_at);
        due.truncate(limit);
        Ok(due)
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

    fn reservations(&self) -> Result<Vec<Reservation>, StoreError> {
        let reserved = self.reserved.borrow();
        Ok(reserved.iter().map(|it| from_text(&to_text(it)).unwrap()).collect())
    }

    fn put_reservation(&self, reservation: &Reservation) -> Result<(), StoreError> {
        self.remove_reservation(&reservation.payment)?;
        self.reserved.borrow_mut().push(reservation.clone());
        Ok(())
    }

    fn remove_reservation(&self, payment: &str) -> Result<(), StoreError> {
        self.reserved.borrow_mut().retain(|it| it.payment != payment);
        Ok(())
    }

    async fn look(&self, refund: &Refund) -> Look {
        self.looks.set(self.looks.get() + 1);
        // Whoever else asks comes in between.
        let mut has_waited = false;
        poll_fn(|_| {
            if std::mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let says = self.says.borrow();
        let said = says.iter().find(|(transaction, _)| *transaction == refund.transaction);
        said.map_or(Look::Absent, |(_, look)| look.clone())
    }

    fn log(&self, line: &str) {
        self.log.borrow_mut().push(line.to_owned());
    }
}
