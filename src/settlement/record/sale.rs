//! What the ledger says of a payment.

use super::super::delivery::DeliveryState;
use super::super::sales::{Sale, SaleNote, way_of};
use super::{PaymentRecord, SettleRequest, State};

impl PaymentRecord {
    /// The sale that the record is of, if it is settled.
    pub fn sale(&self) -> Option<Sale> {
        let State::Settled(settlement) = &self.state else { return None };
        let note = self.sale.as_deref();
        let sold = note.and_then(|note| note.sold.as_ref());
        let is_delivered = matches!(self.delivery.state, DeliveryState::Delivered { .. });
        let is_elsewhere = note.is_some_and(|note| note.client.is_some());
        Some(Sale {
            time: settlement.settled_at,
            route: sold.and_then(|sold| sold.route.clone()),
            path: sold.and_then(|sold| sold.path.clone()),
            method: sold.and_then(|sold| sold.method.clone()),
            amount: settlement.amount,
            asset: note.map(|note| note.asset.clone()),
            network: note.map(|note| note.network),
            payer: settlement.payer.clone(),
            transaction: settlement.transaction.clone(),
            payment: self.payment.clone(),
            way: note.map(|note| way_of(note.client.as_deref())),
            x402_version: sold.map(|sold| sold.version),
            fee: note.and_then(|note| note.fee).map(|fee| fee.to_string()),
            delivered: (!is_elsewhere).then_some(is_delivered),
            redeliveries: self.delivery.again,
        })
    }
}

impl SettleRequest {
    /// What the ledger says of it once it is settled. `fee`: what was spent on
    /// it, in wei or lamports, if that is known.
    pub fn sale_note(&self, fee: Option<u128>) -> Box<SaleNote> {
        Box::new(SaleNote {
            sold: self.sold.clone(),
            asset: self.terms.asset(),
            network: self.network,
            client: self.account.clone(),
            fee,
        })
    }
}
