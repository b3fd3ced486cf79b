//! A Settler's tables, in memory, as texts: what is read is what was written.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use edge402::amount::AtomicAmount;
use edge402::settlement::outbox::SalesAfter;
use edge402::settlement::record::FOREVER;
use edge402::settlement::sales::{SalePlace, lookup_key};
use edge402::settlement::sums::{Sum, SumBy, Sums, SumsQuery};
use edge402::settlement::{Entry, PaymentRecord, Sale, SalesQuery, Store, StoreError};
use edge402::time::UnixSeconds;

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
    spent: RefCell<BTreeMap<u64, u128>>,
    account_spent: RefCell<BTreeMap<(String, u64), u128>>,
    /// Whether the disk fails.
    pub is_broken: Cell<bool>,
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
        *self.payments.borrow_mut() = payments;
        *self.journal.borrow_mut() = journal;
    }

    /// Takes all rows off the disk.
    pub fn take(&self) -> Self {
        Self {
            payments: RefCell::new(self.payments.take()),
            journal: RefCell::new(self.journal.take()),
            names: RefCell::new(self.names.take()),
            sales: RefCell::new(self.sales.take()),
            ..Self::default()
        }
    }

    pub fn payments(&self) -> usize {
        self.payments.borrow().len()
    }

    pub fn names(&self) -> usize {
        self.names.borrow().len()
    }
}

#[derive(Clone)]
pub struct SimStore(pub Rc<Tables>);

impl SimStore {
    /// What is on disk, and nothing else.
    pub fn of_new_life(tables: &Rc<Tables>) -> Self {
        tables.unwritten.take();
        Self(Rc::clone(tables))
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.0.is_broken.get() { Err(StoreError("broken".into())) } else { Ok(()) }
    }
}

fn text(value: &dyn edge402::json::ToJson) -> String {
    edge402::json::to_text(value)
}

impl Store for SimStore {
    fn payment(&self, id: &str) -> Result<Option<PaymentRecord>, StoreError> {
        self.check()?;
        let unwritten = self.0.unwritten.borrow().get(id).cloned();
        let unwritten = unwritten.map(|it| edge402::json::from_text(&it).unwrap());
        Ok(unwritten.or_else(|| self.0.record(id)))
    }

    fn keep_claim(&self, record: PaymentRecord) {
        self.0.unwritten.borrow_mut().insert(record.payment.clone(), text(&record));
    }

    fn write_claims(&self) -> Result<(), StoreError> {
        let claims = self.0.unwritten.take();
        let claims = claims.values().map(|it| edge402::json::from_text(it).unwrap());
        claims.into_iter().try_for_each(|claim| self.put_payment(&claim))
    }

    fn put_payment(&self, record: &PaymentRecord) -> Result<(), StoreError> {
        self.check()?;
        self.0.is_written.set(true);
        self.0.unwritten.borrow_mut().remove(&record.payment);
        self.0.payments.borrow_mut().insert(record.payment.clone(), text(record));
        if let Some(sale) = record.sale() {
            let mut sales = self.0.sales.borrow_mut();
            let known = sales.get(&sale.place());
            let known = known.map(|it| edge402::json::from_text::<Sale>(it).unwrap());
            // What an earlier version has written knows less.
            if sale.way.is_some() || known.is_none_or(|known| known.way.is_none()) {
                sales.insert(sale.place(), text(&sale));
            }
        }
        Ok(())
    }

    fn delete_payment(&self, id: &str) -> Result<(), StoreError> {
        self.check()?;
        self.0.unwritten.borrow_mut().remove(id);
        self.0.payments.borrow_mut().remove(id);
        Ok(())
    }

    fn submit(&self, entry: &Entry, records: &[PaymentRecord]) -> Result<(), StoreError> {
        self.check()?;
        self.0.journal.borrow_mut().insert(entry.id.clone(), text(entry));
        records.iter().try_for_each(|record| self.put_payment(record))
    }

    fn open_entries(&self) -> Result<Vec<Entry>, StoreError> {
        self.check()?;
        Ok(self.0.entries())
    }

    fn close(&self, id: &str, records: &[PaymentRecord]) -> Result<(), StoreError> {
        self.check()?;
        self.0.journal.borrow_mut().remove(id);
        records.iter().try_for_each(|record| self.put_payment(record))
    }

    fn payment_named(&self, identifier: &str) -> Result<Option<String>, StoreError> {
        self.check()?;
        Ok(self.0.names.borrow().get(identifier).cloned())
    }

    fn name_payment(&self, identifier: &str, payment: &str) -> Result<(), StoreError> {
        self.check()?;
        self.0.names.borrow_mut().insert(identifier.into(), payment.into());
        Ok(())
    }

    fn spent_on(&self, day: u64) -> Result<u128, StoreError> {
        self.check()?;
        Ok(self.0.spent.borrow().get(&day).copied().unwrap_or(0))
    }

    fn set_spent_on(&self, day: u64, amount: u128) -> Result<(), StoreError> {
        self.check()?;
        self.0.spent.borrow_mut().insert(day, amount);
        Ok(())
    }

    fn account_spent_on(&self, account: &str, day: u64) -> Result<u128, StoreError> {
        self.check()?;
        Ok(self.0.account_spent.borrow().get(&(account.into(), day)).copied().unwrap_or(0))
    }

    fn set_account_spent_on(
        &self,
        account: &str,
        day: u64,
        amount: u128,
    ) -> Result<(), StoreError> {
        self.check()?;
        self.0.account_spent.borrow_mut().insert((account.into(), day), amount);
        Ok(())
    }

    fn waiting(&self, most: u32) -> Result<Vec<PaymentRecord>, StoreError> {
        let mut records = self.unsettled()?;
        records.truncate(most as usize);
        Ok(records)
    }

    fn unsettled(&self) -> Result<Vec<PaymentRecord>, StoreError> {
        self.check()?;
        let payments = self.0.payments.borrow();
        let records =
            payments.values().map(|text| edge402::json::from_text::<PaymentRecord>(text).unwrap());
        Ok(records.filter(|record| record.keep_until() == FOREVER).collect())
    }

    fn sales(&self, query: &SalesQuery) -> Result<Vec<Sale>, StoreError> {
        self.check()?;
        let key = |text: &Option<String>| text.as_deref().map(lookup_key);
        let is_asked_for = |sale: &Sale| {
            query.from.is_none_or(|from| sale.time >= from)
                && query.to.is_none_or(|to| sale.time < to)
                && (query.route.is_none() || sale.route == query.route)
                && key(&query.payer).is_none_or(|it| it == lookup_key(&sale.payer))
                && key(&query.transaction).is_none_or(|it| it == lookup_key(&sale.transaction))
                && query.before.as_ref().is_none_or(|before| sale.place() < *before)
        };
        let sales = self.0.sales.borrow();
        let newest = sales.values().rev().map(|it| edge402::json::from_text::<Sale>(it).unwrap());
        Ok(newest.filter(is_asked_for).take(query.limit as usize).collect())
    }

    fn sales_after(&self, asked: &SalesAfter) -> Result<Vec<Sale>, StoreError> {
        self.check()?;
        let sales = self.0.sales.borrow();
        let found =
            sales.iter().filter(|(place, _)| **place > asked.after && place.time < asked.before);
        let found = found.map(|(_, it)| edge402::json::from_text::<Sale>(it).unwrap());
        Ok(found.take(asked.limit as usize).collect())
    }

    fn enter_old_sales(&self, most: u32) -> Result<bool, StoreError> {
        self.check()?;
        let (place, is_done) = self.0.entered.borrow().clone();
        if is_done {
            return Ok(false);
        }
        let texts: Vec<_> = {
            let payments = self.0.payments.borrow();
            let later = payments.iter().filter(|(id, _)| **id > place);
            later.take(most as usize).map(|(id, text)| (id.clone(), text.clone())).collect()
        };
        let is_last = texts.len() < most as usize;
        for (_, text) in &texts {
            let record: PaymentRecord = edge402::json::from_text(text).unwrap();
            if record.sale().is_some() {
                self.put_payment(&record)?;
            }
        }
        let place = texts.last().map_or(place, |(id, _)| id.clone());
        *self.0.entered.borrow_mut() = (place, is_last);
        Ok(!is_last)
    }

    fn fold_sales(&self, _: UnixSeconds, _: u32) -> Result<bool, StoreError> {
        self.check()?;
        let left = self.0.folds.get();
        self.0.folds.set(left.saturating_sub(1));
        Ok(left > 0)
    }

    fn sums(&self, query: &SumsQuery) -> Result<Sums, StoreError> {
        self.check()?;
        let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
        for text in self.0.sales.borrow().values() {
            let sale: Sale = edge402::json::from_text(text).unwrap();
            let day = sale.time.day();
            if !(query.from..=query.to).contains(&day) {
                continue;
            }
            let key = match query.by {
                SumBy::Day => Some(day.to_string()),
                SumBy::Route => sale.route,
                SumBy::Network => None,
                SumBy::Payer => Some(sale.payer),
            };
            let sum = sums.entry((key.clone(), sale.asset.clone())).or_insert(Sum {
                key,
                asset: sale.asset,
                count: 0,
                amount: AtomicAmount(0),
                fee: AtomicAmount(0),
            });
            sum.count += 1;
            sum.amount.0 += sale.amount.0;
            sum.fee.0 += sale.fee.map_or(0, |fee| fee.parse().unwrap());
        }
        Ok(Sums { sums: sums.into_values().collect(), ..Sums::default() })
    }

    fn forget_sales(&self, before: UnixSeconds) -> Result<Option<UnixSeconds>, StoreError> {
        self.check()?;
        let mut sales = self.0.sales.borrow_mut();
        for _ in 0..FORGOTTEN {
            match sales.first_entry() {
                Some(oldest) if oldest.key().time < before => drop(oldest.remove()),
                _ => break,
            }
        }
        Ok(sales.keys().next().map(|place| place.time))
    }

    fn forget_until(&self, now: UnixSeconds) -> Result<(), StoreError> {
        self.check()?;
        self.0.payments.borrow_mut().retain(|_, text| {
            edge402::json::from_text::<PaymentRecord>(text).unwrap().keep_until() >= now
        });
        let payments = self.0.payments.borrow();
        self.0.names.borrow_mut().retain(|_, payment| payments.contains_key(payment));
        Ok(())
    }
}
