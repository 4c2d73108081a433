//! A node of a route: the channels it has an end of, the payments it routes, and the shell around them.
//!
//! The order is the product's (`actor/book.rs`): one batch holds all that an event changes, the ledger's
//! entries and the cursor; only when it is on disk does anything leave.

use std::collections::{BTreeMap, BTreeSet};

use warren_payments::channel::event::{PayeeEffect, PayeeEvent, PayerEffect, PayerEvent};
use warren_payments::channel::router::{RouteEffect, RouteEvent, RoutedPayment};
use warren_payments::channel::{PayeeChannel, PayerChannel, RoutedOrder, Rules};
use warren_payments::ledger::{Balances, Entry, Posting};
use warren_payments::store::{ChannelStore as _, Put, Table};
use warren_proto::{ChannelId, PaymentId, Step, UnixTime};

use super::super::chain::Chain;
use super::super::host::{Act, Breach, Cursor, Host};
use super::super::names::{Who, secs};
use super::paper;

/// Looks without an answer after which the view of the chain is stale.
pub(crate) const STALE_LOOKS: u8 = 4;

pub(crate) enum Effect {
    Payer(ChannelId, PayerEffect),
    Payee(ChannelId, PayeeEffect),
    Route(PaymentId, RouteEffect),
}

/// Steps taken together: all of them happen or none.
#[derive(Default)]
pub(crate) struct Batch {
    payers: BTreeMap<ChannelId, PayerChannel>,
    payees: BTreeMap<ChannelId, PayeeChannel>,
    /// `None` forgets the payment.
    routes: BTreeMap<PaymentId, Option<RoutedPayment>>,
    save: BTreeSet<(bool, ChannelId)>,
    postings: Vec<Posting>,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) effects: Vec<Effect>,
}

pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) payers: BTreeMap<ChannelId, PayerChannel>,
    pub(crate) payees: BTreeMap<ChannelId, PayeeChannel>,
    pub(crate) routes: BTreeMap<PaymentId, RoutedPayment>,
    pub(crate) heard_until: UnixTime,
    pub(crate) blind_looks: u8,
    /// Actions that its disk will need; meanwhile it does nothing.
    pub(crate) slow: u8,
    entries: u64,
}

impl Node {
    pub(crate) fn new(who: Who, breach: Option<Breach>) -> Self {
        let mut it = Self {
            host: Host::new(who, breach),
            payers: BTreeMap::new(),
            payees: BTreeMap::new(),
            routes: BTreeMap::new(),
            heard_until: UnixTime::default(),
            blind_looks: 0,
            slow: 0,
            entries: 0,
        };
        it.watch();
        it
    }

    /// The channels that pay this node, which it has from the chain.
    fn watch(&mut self) {
        let lines = paper::lines();
        let ours = lines.iter().filter(|it| it.payee == self.host.who);
        for line in ours {
            let fresh = || PayeeChannel::watch(line.terms, Rules::default());
            self.payees.entry(line.terms.id).or_insert_with(fresh);
        }
    }

    pub(crate) fn now(&self, chain: &Chain) -> UnixTime {
        self.host.now(chain)
    }

    pub(crate) fn pay(
        &self,
        batch: &mut Batch,
        (id, event): (ChannelId, &PayerEvent),
        now: UnixTime,
    ) {
        let Some(channel) = batch.payers.get(&id).or_else(|| self.payers.get(&id)) else {
            return;
        };
        let now = match event {
            PayerEvent::Routed(RoutedOrder::Fold { payment, .. }) => self.fold_time(payment, now),
            _ => now,
        };
        batch.take_payer(channel.handle(event, now));
    }

    pub(crate) fn earn(
        &self,
        batch: &mut Batch,
        (id, event): (ChannelId, &PayeeEvent),
        now: UnixTime,
    ) {
        if let Some(channel) = batch.payees.get(&id).or_else(|| self.payees.get(&id)) {
            batch.take_payee(channel.handle(event, now));
        }
    }

    pub(crate) fn route(
        &self,
        batch: &mut Batch,
        (id, event): (PaymentId, &RouteEvent),
        now: UnixTime,
    ) {
        let known = batch.routes.get(&id).cloned();
        if let Some(route) = known.unwrap_or_else(|| self.routes.get(&id).cloned()) {
            batch.take_route(route.handle(event, self.fold_time(&id, now)));
        }
    }

    /// The time that R3 is kept by; a router that breaks it does not see a lock expire.
    fn fold_time(&self, payment: &PaymentId, now: UnixTime) -> UnixTime {
        let route = self.routes.get(payment);
        match route.filter(|_| self.host.breach == Some(Breach::FoldsLate)) {
            Some(it) => now.min(secs(it.down_lock().expiry - 1)),
            None => now,
        }
    }

    /// One batch, synced; then it is the state.
    pub(crate) fn commit(&mut self, batch: Batch, at: UnixTime) -> Act<Vec<Effect>> {
        let mut puts = Vec::new();
        for (is_payer, id) in &batch.save {
            let (table, value) = if *is_payer {
                (Table::Payer, batch.payers[id].encode())
            } else {
                (Table::Payee, batch.payees[id].encode())
            };
            puts.push(Put::new(table, id.as_bytes().to_vec(), value));
        }
        puts.extend(batch.routes.iter().map(|(id, route)| Put {
            table: Table::Route,
            key: id.as_bytes().to_vec(),
            value: route.as_ref().map(RoutedPayment::encode),
        }));
        let entries = (self.entries, batch.postings, at);
        self.entries = self.host.commit(puts, entries, batch.cursor)?;
        self.payers.extend(batch.payers);
        self.payees.extend(batch.payees);
        for (id, route) in batch.routes {
            match route {
                Some(it) => drop(self.routes.insert(id, it)),
                None => drop(self.routes.remove(&id)),
            }
        }
        Ok(batch.effects)
    }

    /// Forgets what is not on disk.
    pub(crate) fn reload(&mut self) {
        let disk = &self.host.disk;
        let rows = |table| disk.scan(table).unwrap().into_iter().map(|(_, it)| it);
        let payers = rows(Table::Payer).map(|it| PayerChannel::decode(&it).unwrap());
        self.payers = payers.map(|it| (it.terms().id, it)).collect();
        let payees = rows(Table::Payee).map(|it| PayeeChannel::decode(&it, Rules::default()));
        let payees = payees.map(|it| it.unwrap());
        self.payees = payees.map(|it| (it.terms().id, it)).collect();
        let routes = rows(Table::Route).map(|it| RoutedPayment::decode(&it).unwrap());
        self.routes = routes.map(|it| (it.payment(), it)).collect();
        self.entries = rows(Table::Entry).count() as u64;
        (self.slow, self.heard_until) = (0, UnixTime::default());
        self.watch();
    }

    /// The ledger, added up.
    pub(crate) fn balances(&self) -> Balances {
        let entries = self.host.disk.scan(Table::Entry).unwrap();
        let entries: Vec<_> = entries
            .iter()
            .map(|(_, it)| Entry::decode(it).unwrap())
            .collect();
        Balances::of(entries.iter().map(|it| &it.posting))
    }
}

impl Batch {
    pub(crate) fn take_payer(&mut self, step: Step<PayerChannel, PayerEffect>) {
        let id = step.next.terms().id;
        if step.save {
            self.save.insert((true, id));
        }
        self.payers.insert(id, step.next);
        for effect in step.effects {
            match effect {
                PayerEffect::Book(it) => self.postings.push(it),
                it => self.effects.push(Effect::Payer(id, it)),
            }
        }
    }

    pub(crate) fn take_payee(&mut self, step: Step<PayeeChannel, PayeeEffect>) {
        let id = step.next.terms().id;
        if step.save {
            self.save.insert((false, id));
        }
        self.payees.insert(id, step.next);
        for effect in step.effects {
            match effect {
                PayeeEffect::Book(it) => self.postings.push(it),
                it => self.effects.push(Effect::Payee(id, it)),
            }
        }
    }

    pub(crate) fn take_route(&mut self, step: Step<RoutedPayment, RouteEffect>) {
        let id = step.next.payment();
        if step.save {
            self.routes.insert(id, Some(step.next));
        }
        let effects = step.effects.into_iter();
        self.effects.extend(effects.map(|it| Effect::Route(id, it)));
    }

    pub(crate) fn forget_route(&mut self, id: PaymentId) {
        self.routes.insert(id, None);
    }
}
