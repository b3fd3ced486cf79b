//! A Settler's store, over the tables of a simulated disk.

use std::collections::BTreeMap;
use std::rc::Rc;

use edge402::amount::AtomicAmount;
use edge402::settlement::journal::{AT_FACILITATOR, names_at_facilitator, names_beginning_with};
use edge402::settlement::outbox::SalesAfter;
use edge402::settlement::record::FOREVER;
use edge402::settlement::sales::lookup_key;
use edge402::settlement::sums::{Sum, SumBy, Sums, SumsQuery};
use edge402::settlement::{Entry, PaymentRecord, Sale, SalesQuery, Store, StoreError};
use edge402::time::UnixSeconds;

use super::{FORGOTTEN, Tables};

#[derive(Clone)]
pub struct SimStore(pub Rc<Tables>);

impl SimStore {
    /// What is on disk, and nothing else.
    pub fn of_new_life(tables: &Rc<Tables>) -> Self {
        tables.die();
        Self(Rc::clone(tables))
    }

    /// Before something is written: what was kept is written before it.
    fn write(&self) -> Result<(), StoreError> {
        self.flush()?;
        self.0.is_written.set(!self.0.keeps.get() || self.0.is_written.get());
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.check()?;
        if !self.0.keeps.get() {
            self.0.on_disk.take();
        }
        Ok(())
    }

    /// The records in which this text is.
    fn records(&self, with: &str) -> Result<Vec<PaymentRecord>, StoreError> {
        self.check()?;
        let payments = self.0.payments.borrow();
        let found = payments.values().filter(|text| text.contains(with));
        Ok(found.map(|text| edge402::json::from_text(text).unwrap()).collect())
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.0.is_broken.get() { Err(StoreError("broken".into())) } else { Ok(()) }
    }

    /// What fails writes nothing.
    fn check_sales(&self, records: &[PaymentRecord]) -> Result<(), StoreError> {
        let fails = self.0.refuses_sales.get() && records.iter().any(|it| it.sale().is_some());
        if fails { Err(StoreError("full".into())) } else { Ok(()) }
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

    fn keep<T>(&self, write: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.0.on_disk.borrow_mut().get_or_insert_with(|| Box::new(self.0.copy()));
        self.0.keeps.set(true);
        let written = write();
        self.0.keeps.set(false);
        written
    }

    fn as_one<T>(&self, write: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let former = self.0.copy();
        let written = write();
        if written.is_err() {
            self.0.go_back_to(&former);
        }
        written
    }

    fn write_kept(&self) -> Result<(), StoreError> {
        let flushed = if self.has_kept() { self.flush() } else { Ok(()) };
        let claims = self.0.unwritten.take();
        let written = claims.into_iter().map(|(id, text)| {
            let written = self.put_payment(&edge402::json::from_text(&text).unwrap());
            if written.is_err() {
                self.0.unwritten.borrow_mut().insert(id, text);
            }
            written
        });
        written.fold(flushed, Result::and)
    }

    fn has_kept(&self) -> bool {
        self.0.on_disk.borrow().is_some()
    }

    fn put_payment(&self, record: &PaymentRecord) -> Result<(), StoreError> {
        self.write()?;
        self.check_sales(std::slice::from_ref(record))?;
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
        self.write()?;
        if self.0.keeps_payments.get() {
            return Err(StoreError("kept".into()));
        }
        self.0.unwritten.borrow_mut().remove(id);
        self.0.payments.borrow_mut().remove(id);
        Ok(())
    }

    fn submit(&self, entry: &Entry, records: &[PaymentRecord]) -> Result<(), StoreError> {
        self.write()?;
        self.check_sales(records)?;
        self.0.journal.borrow_mut().insert(entry.id.clone(), text(entry));
        records.iter().try_for_each(|record| self.put_payment(record))
    }

    fn open_entries(&self) -> Result<Vec<Entry>, StoreError> {
        self.check()?;
        let mut entries = self.0.entries();
        entries.retain(|entry| !entry.id.starts_with(AT_FACILITATOR));
        self.0.note_read(entries.len());
        Ok(entries)
    }

    fn at_facilitator(
        &self,
        after: &str,
        most: u32,
    ) -> Result<Vec<(String, Option<Entry>)>, StoreError> {
        self.check()?;
        let (from, to) = names_at_facilitator();
        let journal = self.0.journal.borrow();
        let rows = journal.range(from..to).filter(|(id, _)| id.as_str() > after);
        let entry = |(id, text): (&String, &String)| {
            (id.clone(), Some(edge402::json::from_text(text).unwrap()))
        };
        let rows: Vec<_> = rows.take(most as usize).map(entry).collect();
        self.0.note_read(rows.len());
        Ok(rows)
    }

    fn count_at_facilitator(&self, names: &str, most: u32) -> Result<u32, StoreError> {
        self.check()?;
        let (from, to) = names_beginning_with(names);
        let count = self.0.journal.borrow().range(from..to).take(most as usize).count();
        Ok(u32::try_from(count).unwrap())
    }

    fn open_entry(&self, id: &str) -> Result<Option<Entry>, StoreError> {
        self.check()?;
        let journal = self.0.journal.borrow();
        let entry = journal.get(id).map(|text| edge402::json::from_text(text).unwrap());
        self.0.note_read(usize::from(entry.is_some()));
        Ok(entry)
    }

    fn close(&self, id: &str, records: &[PaymentRecord]) -> Result<(), StoreError> {
        self.write()?;
        self.check_sales(records)?;
        self.0.journal.borrow_mut().remove(id);
        records.iter().try_for_each(|record| self.put_payment(record))
    }

    fn payment_named(&self, identifier: &str) -> Result<Option<String>, StoreError> {
        self.check()?;
        Ok(self.0.names.borrow().get(identifier).cloned())
    }

    fn name_payment(&self, identifier: &str, payment: &str) -> Result<(), StoreError> {
        self.write()?;
        self.0.names.borrow_mut().insert(identifier.into(), payment.into());
        Ok(())
    }

    fn spent_on(&self, day: u64) -> Result<u128, StoreError> {
        self.check()?;
        Ok(self.0.spent.borrow().get(&day).copied().unwrap_or(0))
    }

    fn set_spent_on(&self, day: u64, amount: u128) -> Result<(), StoreError> {
        self.write()?;
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
        self.write()?;
        self.0.account_spent.borrow_mut().insert((account.into(), day), amount);
        Ok(())
    }

    fn waiting(&self, most: u32) -> Result<Vec<PaymentRecord>, StoreError> {
        let mut records = self.records("")?;
        records.retain(|record| record.keep_until() == FOREVER);
        records.truncate(most as usize);
        Ok(records)
    }

    fn unsettled(&self) -> Result<Vec<PaymentRecord>, StoreError> {
        let mut records = self.records("\"metered\":{")?;
        self.0.note_read(records.len());
        records.retain(|record| record.unsettled().is_some());
        Ok(records)
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
        self.flush()?;
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
        self.flush()?;
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
        self.flush()?;
        self.0.payments.borrow_mut().retain(|_, text| {
            edge402::json::from_text::<PaymentRecord>(text).unwrap().keep_until() >= now
        });
        let payments = self.0.payments.borrow();
        self.0.names.borrow_mut().retain(|_, payment| payments.contains_key(payment));
        Ok(())
    }
}
