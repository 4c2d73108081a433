//! A core and its shell: plans what events make of the core, saves the plan, then lets its effects out.
//!
//! Sans-IO. The disk that it saves to is memory.
//!
//! The order is the product's (`actor/book.rs`): one batch holds the record, the ledger's entries and the
//! cursor; only when it is on disk does anything leave.

use warren_payments::channel::event::{PayeeEffect, PayeeEvent, PayerEffect, PayerEvent};
use warren_payments::channel::{ChainFact, PayeeChannel, PayerChannel, Rules};
use warren_payments::ledger::{Balances, Entry, Posting};
use warren_payments::store::{ChannelStore as _, Put, Table};
use warren_proto::{Step, UnixTime};

use super::host::{Act, Breach, Cursor, Host};
use super::names::terms;

/// A sans-IO core that this shell can run. A router's would be a third.
pub(crate) trait Core: Clone {
    type Event;
    type Effect: Clone;
    const TABLE: Table;

    fn handle(&self, event: &Self::Event, now: UnixTime) -> Step<Self, Self::Effect>;
    fn record(&self) -> Vec<u8>;
    fn read(record: &[u8]) -> Self;
    fn told(fact: ChainFact) -> Self::Event;
    /// What belongs in the batch instead of among the effects.
    fn posting(effect: &Self::Effect) -> Option<Posting>;
    /// Whether all this event brings is a word.
    fn is_word(event: &Self::Event) -> bool;
}

impl Core for PayerChannel {
    type Event = PayerEvent;
    type Effect = PayerEffect;
    const TABLE: Table = Table::Payer;

    fn handle(&self, event: &PayerEvent, now: UnixTime) -> Step<Self, PayerEffect> {
        Self::handle(self, event, now)
    }
    fn record(&self) -> Vec<u8> {
        self.encode()
    }
    fn read(record: &[u8]) -> Self {
        Self::decode(record).unwrap()
    }
    fn told(fact: ChainFact) -> PayerEvent {
        PayerEvent::Chain(fact)
    }
    fn posting(effect: &PayerEffect) -> Option<Posting> {
        if let PayerEffect::Book(it) = effect {
            Some(*it)
        } else {
            None
        }
    }
    fn is_word(_: &PayerEvent) -> bool {
        false
    }
}

impl Core for PayeeChannel {
    type Event = PayeeEvent;
    type Effect = PayeeEffect;
    const TABLE: Table = Table::Payee;

    fn handle(&self, event: &PayeeEvent, now: UnixTime) -> Step<Self, PayeeEffect> {
        Self::handle(self, event, now)
    }
    fn record(&self) -> Vec<u8> {
        self.encode()
    }
    fn read(record: &[u8]) -> Self {
        Self::decode(record, Rules::default()).unwrap()
    }
    fn told(fact: ChainFact) -> PayeeEvent {
        PayeeEvent::Chain(fact)
    }
    fn posting(effect: &PayeeEffect) -> Option<Posting> {
        if let PayeeEffect::Book(it) = effect {
            Some(*it)
        } else {
            None
        }
    }
    fn is_word(event: &PayeeEvent) -> bool {
        matches!(event, PayeeEvent::Word(_))
    }
}

/// What events make of a core, not yet on disk.
pub(crate) struct Plan<C: Core> {
    next: C,
    save: bool,
    postings: Vec<Posting>,
    pub(crate) effects: Vec<C::Effect>,
    cursor: Option<Cursor>,
    at: UnixTime,
}

pub(crate) struct Desk<C: Core> {
    pub(crate) host: Host,
    pub(crate) core: C,
    /// Waits for a slow disk; meanwhile this party does nothing.
    pub(crate) stalled: Option<Plan<C>>,
    /// Actions that the disk will need for the next write.
    pub(crate) slow: u8,
    entries: u64,
}

impl<C: Core> Desk<C> {
    pub(crate) fn new(host: Host, core: C) -> Self {
        Self {
            host,
            core,
            stalled: None,
            slow: 0,
            entries: 0,
        }
    }

    /// Whether it can do something now.
    pub(crate) fn is_free(&self) -> bool {
        self.stalled.is_none()
    }

    pub(crate) fn plan(
        &self,
        events: &[C::Event],
        cursor: Option<Cursor>,
        at: UnixTime,
    ) -> Plan<C> {
        let mut plan = Plan {
            next: self.core.clone(),
            save: false,
            postings: Vec::new(),
            effects: Vec::new(),
            cursor,
            at,
        };
        for event in events {
            let step = plan.next.handle(event, at);
            let forgets = self.host.breach == Some(Breach::ForgetsWords) && C::is_word(event);
            plan.save |= step.save && !forgets;
            plan.next = step.next;
            for effect in step.effects {
                match C::posting(&effect) {
                    Some(posting) => plan.postings.push(posting),
                    None => plan.effects.push(effect),
                }
            }
        }
        plan
    }

    /// A plan for a core that does not come from an event.
    pub(crate) fn plan_of(&self, step: Step<C, C::Effect>, at: UnixTime) -> Plan<C> {
        Plan {
            next: step.next,
            save: step.save,
            postings: Vec::new(),
            effects: step.effects,
            cursor: None,
            at,
        }
    }

    /// One batch, synced; then it is the state.
    pub(crate) fn save(&mut self, plan: Plan<C>) -> Act<()> {
        let mut puts = Vec::new();
        if plan.save {
            let key = terms().id.as_bytes().to_vec();
            puts.push(Put::new(C::TABLE, key, plan.next.record()));
        }
        let entries = (self.entries, plan.postings, plan.at);
        let number = self.host.commit(puts, entries, plan.cursor)?;
        (self.core, self.entries) = (plan.next, number);
        Ok(())
    }

    /// What the disk says; `None` if nothing was ever saved.
    pub(crate) fn on_disk(&self) -> Option<C> {
        let records = self.host.disk.scan(C::TABLE).unwrap();
        records.first().map(|(_, record)| C::read(record))
    }

    /// Forgets what is not on disk.
    pub(crate) fn reload(&mut self, fresh: C) {
        (self.stalled, self.slow) = (None, 0);
        self.core = self.on_disk().unwrap_or(fresh);
        self.entries = self.host.disk.scan(Table::Entry).unwrap().len() as u64;
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
