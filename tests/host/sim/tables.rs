//! A Settler's tables, in memory, as texts: what is read is what was written.

mod store;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use edge402::settlement::sales::SalePlace;
use edge402::settlement::{Entry, PaymentRecord};

pub use store::SimStore;

/// For how long sales are kept, in seconds: longer than one speaks for its payer.
pub const KEEP: u64 = 8 * 86_400;

/// How many are forgotten at once: fewer than the Worker's thousand.
const FORGOTTEN: usize = 3;

#[derive(Default)]
pub struct Tables {
    payments: RefCell<BTreeMap<String, String>>,
    journal: RefCell<BTreeMap<String, String>>,
    names: RefCell<BTreeMap<String, String>>,
    sales: RefCell<BTreeMap<SalePlace, String>>,
    /// The last payment of which the sale was entered, and whether it was the last.
    entered: RefCell<(String, bool)>,
    /// Claims that are not on disk yet, and die with the Settler.
    unwritten: RefCell<BTreeMap<String, String>>,
    /// What is on disk, while more counts than that.
    on_disk: RefCell<Option<Box<Tables>>>,
    /// Whether what is written now is kept.
    keeps: Cell<bool>,
    spent: RefCell<BTreeMap<u64, u128>>,
    account_spent: RefCell<BTreeMap<(String, u64), u128>>,
    /// Whether the disk fails.
    pub is_broken: Cell<bool>,
    /// Whether it takes everything but that a payment is deleted.
    pub keeps_payments: Cell<bool>,
    /// Whether it takes no rows of sales.
    pub refuses_sales: Cell<bool>,
    /// Whether something was written that no message has waited for yet.
    pub is_written: Cell<bool>,
    /// How long a message to a node waits for what was written before it, and how
    /// long KV takes to answer, in milliseconds.
    pub disk_ms: Cell<u64>,
    pub kv_ms: Cell<u64>,
    /// How often there are sales to be folded into the sums.
    pub folds: Cell<u32>,
    /// For how much longer than [`KEEP`] sales are kept, in seconds.
    pub kept_longer: Cell<u64>,
    /// How many rows of what is open were read, of the journal and of the payments.
    pub rows_read: Cell<usize>,
}

impl Tables {
    pub fn record(&self, payment: &str) -> Option<PaymentRecord> {
        self.payments.borrow().get(payment).map(|text| edge402::json::from_text(text).unwrap())
    }

    pub fn entries(&self) -> Vec<Entry> {
        let journal = self.journal.borrow();
        let mut entries: Vec<Entry> =
            journal.values().map(|text| edge402::json::from_text(text).unwrap()).collect();
        entries.sort_by_key(|entry| entry.written_at);
        entries
    }

    /// All that was spent for an account.
    pub fn account_spent(&self, account: &str) -> u128 {
        let spent = self.account_spent.borrow();
        spent.iter().filter(|((name, _), _)| name == account).map(|(_, spent)| spent).sum()
    }

    /// Has a facilitator's client have made all sales so far.
    pub fn give_sales_to_a_client(&self) {
        for sale in self.sales.borrow_mut().values_mut() {
            *sale = sale.replace("\"way\":\"gate\"", "\"way\":\"facilitator/acme\"");
        }
    }

    /// Puts rows on disk, as another release has left them.
    pub fn load(&self, [payments, journal]: [BTreeMap<String, String>; 2]) {
        self.on_disk.take();
        *self.payments.borrow_mut() = payments;
        *self.journal.borrow_mut() = journal;
    }

    /// Has as many payments more open as there are names, each as this one is.
    pub fn open_more(&self, payment: &str, names: impl Iterator<Item = String>) {
        let (mut payments, mut journal) = (self.payments.borrow_mut(), self.journal.borrow_mut());
        let entry = format!("remote/{payment}");
        let (record, row) = (payments[payment].clone(), journal[&entry].clone());
        for name in names {
            journal.insert(format!("remote/{name}"), row.replace(payment, &name));
            payments.insert(name.clone(), record.replace(payment, &name));
        }
    }

    /// Takes all rows off the disk.
    pub fn take(&self) -> Self {
        self.on_disk.take();
        Self {
            payments: RefCell::new(self.payments.take()),
            journal: RefCell::new(self.journal.take()),
            names: RefCell::new(self.names.take()),
            sales: RefCell::new(self.sales.take()),
            ..Self::default()
        }
    }

    /// The same rows.
    fn copy(&self) -> Self {
        Self {
            payments: self.payments.clone(),
            journal: self.journal.clone(),
            names: self.names.clone(),
            sales: self.sales.clone(),
            spent: self.spent.clone(),
            account_spent: self.account_spent.clone(),
            ..Self::default()
        }
    }

    /// Forgets what counts beyond what is on disk.
    pub fn die(&self) {
        self.unwritten.take();
        if let Some(on_disk) = self.on_disk.take() {
            self.go_back_to(&on_disk);
        }
    }

    /// Has the rows that there were.
    fn go_back_to(&self, former: &Self) {
        self.payments.swap(&former.payments);
        self.journal.swap(&former.journal);
        self.names.swap(&former.names);
        self.sales.swap(&former.sales);
        self.spent.swap(&former.spent);
        self.account_spent.swap(&former.account_spent);
    }

    /// Whether more counts than what is on disk.
    pub fn is_ahead(&self) -> bool {
        self.on_disk.borrow().is_some()
    }

    /// Rows of what is open were read.
    fn note_read(&self, rows: usize) {
        self.rows_read.set(self.rows_read.get() + rows);
    }

    pub fn payments(&self) -> usize {
        self.payments.borrow().len()
    }

    pub fn sales(&self) -> usize {
        self.sales.borrow().len()
    }

    pub fn names(&self) -> usize {
        self.names.borrow().len()
    }
}
