//! All channels of this node, and a batch of steps on the way to the disk.

use std::collections::{BTreeMap, BTreeSet};

use warren_proto::{ChannelId, PaymentId, Step, UnixTime};

use super::news::PotBook;
use crate::chain::BlockHash;
use crate::channel::router::{RouteEffect, RouteEvent, RoutedPayment};
use crate::channel::{
    PayeeChannel, PayeeEffect, PayeeEvent, PayerChannel, PayerEffect, PayerEvent, Rules,
};
use crate::codec::{CodecError, Reader, Writer};
use crate::handle::{PaymentsError, Role};
use crate::ledger::{Books, Entry, Posting};
use crate::store::{ChannelStore, Put, ROLLED_BACK, StoreError, Table};
use crate::tx::{Done, bill};

const CURSOR_KEY: &[u8] = b"cursor";
const CURSOR_VERSION: u8 = 1;
const ENTRIES_KEY: &[u8] = b"entries";
const BORN_KEY: &[u8] = b"born";
const BEGUN_KEY: &[u8] = b"begun";
const POT_KEY: &[u8] = b"pot";

/// Up to which block the chain's news are in the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) number: u64,
    pub(super) hash: BlockHash,
}

/// The state of everything, as on disk.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) payers: BTreeMap<ChannelId, PayerChannel>,
    pub(super) payees: BTreeMap<ChannelId, PayeeChannel>,
    pub(super) routes: BTreeMap<PaymentId, RoutedPayment>,
    pub(super) cursor: Option<Cursor>,
    /// The newest block when this store had first heard everything: what the wallet's keys open
    /// later, and this store did not ask for, another machine did.
    pub(super) born: Option<u64>,
    /// The first block that was ever heard; `None` if nobody wrote it down.
    pub(super) begun: Option<u64>,
    /// Movements of the pot that are in the ledger, as far back as history may be rewritten.
    pub(super) pot: PotBook,
    /// What all entries come to.
    pub(super) books: Books,
    next_entry: u64,
}

/// What a step asks for, and of which channel.
pub(super) enum Effect {
    Payer(ChannelId, PayerEffect),
    Payee(ChannelId, PayeeEffect),
    Route(PaymentId, RouteEffect),
}

/// Steps taken together: all of them happen or none.
#[derive(Default)]
pub(super) struct Batch {
    payers: BTreeMap<ChannelId, PayerChannel>,
    payees: BTreeMap<ChannelId, PayeeChannel>,
    /// Channels that paid this node and are over, or were never worth a claim.
    forgotten: Vec<ChannelId>,
    /// `None` forgets the payment.
    routes: BTreeMap<PaymentId, Option<RoutedPayment>>,
    to_save: BTreeSet<(bool, ChannelId)>,
    postings: Vec<Posting>,
    cursor: Option<Cursor>,
    born: Option<u64>,
    begun: Option<u64>,
    pot: Option<PotBook>,
    /// Of bills that are written down with this.
    puts: Vec<Put>,
    effects: Vec<Effect>,
}

impl Book {
    /// The key of an opening that failed, if no other channel has it: what it was given for that opening it
    /// gives to the next one.
    pub(super) fn key_of_failed(&self) -> Option<u32> {
        let keys = |failed| {
            let of = self
                .payers
                .values()
                .filter(move |it| it.has_failed() == failed);
            of.map(PayerChannel::key_index).collect::<BTreeSet<_>>()
        };
        keys(true).difference(&keys(false)).next().copied()
    }

    pub(super) fn load(store: &dyn ChannelStore, rules: Rules) -> Result<Self, PaymentsError> {
        let mut book = Self::default();
        for (_, value) in store.scan(Table::Payer)? {
            let channel = PayerChannel::decode(&value).map_err(record("pay.payer"))?;
            book.payers.insert(channel.terms().id, channel);
        }
        for (_, value) in store.scan(Table::Payee)? {
            let channel = PayeeChannel::decode(&value, rules).map_err(record("pay.payee"))?;
            book.payees.insert(channel.terms().id, channel);
        }
        for (_, value) in store.scan(Table::Route)? {
            let route = RoutedPayment::decode(&value).map_err(record("pay.route"))?;
            book.routes.insert(route.payment(), route);
        }
        for (_, value) in store.scan(Table::Entry)? {
            let entry = Entry::decode(&value).map_err(record("pay.entry"))?;
            book.books.add(&entry.posting);
        }
        if let Some(bytes) = store.get(Table::Meta, CURSOR_KEY)? {
            book.cursor = Some(Cursor::decode(&bytes).map_err(record("pay.meta"))?);
        }
        if let Some(bytes) = store.get(Table::Meta, POT_KEY)? {
            book.pot = PotBook::decode(&bytes).map_err(record("pay.meta"))?;
        }
        book.born = number(store, BORN_KEY)?;
        book.begun = number(store, BEGUN_KEY)?;
        book.next_entry = number(store, ENTRIES_KEY)?.unwrap_or_default();
        Ok(book)
    }

    /// An older copy of the store: what was promised or paid since is unknown, and channels that were opened since
    /// are no other machine's.
    pub(super) fn distrust(&mut self, store: &dyn ChannelStore) -> Result<(), PaymentsError> {
        if store.get(Table::Meta, ROLLED_BACK)?.is_none() {
            return Ok(());
        }
        let payers = std::mem::take(&mut self.payers).into_iter();
        self.payers = payers.map(|(id, it)| (id, it.rolled_back())).collect();
        let payees = std::mem::take(&mut self.payees).into_iter();
        self.payees = payees.map(|(id, it)| (id, it.restored())).collect();
        self.born = None;
        let gone = [ROLLED_BACK, BORN_KEY].map(|key| Put {
            table: Table::Meta,
            key: key.to_vec(),
            value: None,
        });
        let payers = self.payers.iter();
        let payers =
            payers.map(|(id, it)| Put::new(Table::Payer, id.as_bytes().as_slice(), it.encode()));
        let payees = self.payees.iter();
        let payees =
            payees.map(|(id, it)| Put::new(Table::Payee, id.as_bytes().as_slice(), it.encode()));
        Ok(store.put(payers.chain(payees).chain(gone).collect())?)
    }

    /// Saves `batch`, then makes it the state; on an error the old state stands.
    pub(super) fn commit(
        &mut self,
        batch: Batch,
        store: &dyn ChannelStore,
        now: UnixTime,
    ) -> Result<Vec<Effect>, StoreError> {
        let mut puts = batch.puts;
        for (is_payer, id) in &batch.to_save {
            let (table, value) = if *is_payer {
                (Table::Payer, batch.payers.get(id).map(PayerChannel::encode))
            } else {
                (Table::Payee, batch.payees.get(id).map(PayeeChannel::encode))
            };
            puts.extend(value.map(|it| Put::new(table, id.as_bytes().as_slice(), it)));
        }
        puts.extend(batch.forgotten.iter().map(|id| Put {
            table: Table::Payee,
            key: id.as_bytes().to_vec(),
            value: None,
        }));
        puts.extend(batch.routes.iter().map(|(id, route)| Put {
            table: Table::Route,
            key: id.as_bytes().to_vec(),
            value: route.as_ref().map(RoutedPayment::encode),
        }));
        let mut number = self.next_entry;
        for posting in &batch.postings {
            let entry = Entry {
                number,
                at: now,
                posting: *posting,
            };
            puts.push(Put::new(Table::Entry, number.to_be_bytes(), entry.encode()));
            number = number.saturating_add(1);
        }
        puts.extend(
            batch
                .cursor
                .map(|it| Put::new(Table::Meta, CURSOR_KEY, it.encode())),
        );
        let pot = batch.pot.as_ref().map(PotBook::encode);
        puts.extend(pot.map(|it| Put::new(Table::Meta, POT_KEY, it)));
        puts.extend(batch.born.map(|it| put_number(BORN_KEY, it)));
        puts.extend(batch.begun.map(|it| put_number(BEGUN_KEY, it)));
        if number != self.next_entry {
            puts.push(put_number(ENTRIES_KEY, number));
        }
        if !puts.is_empty() {
            store.put(puts)?;
        }
        self.next_entry = number;
        batch.postings.iter().for_each(|it| self.books.add(it));
        self.cursor = batch.cursor.or(self.cursor);
        self.born = self.born.or(batch.born);
        self.begun = batch.begun.or(self.begun);
        if let Some(pot) = batch.pot {
            self.pot = pot;
        }
        self.payers.extend(batch.payers);
        self.payees.extend(batch.payees);
        for id in batch.forgotten {
            self.payees.remove(&id);
        }
        for (id, route) in batch.routes {
            match route {
                Some(route) => drop(self.routes.insert(id, route)),
                None => drop(self.routes.remove(&id)),
            }
        }
        Ok(batch.effects)
    }
}

impl Batch {
    /// The channel as this batch would leave it.
    pub(super) fn payer<'a>(&'a self, book: &'a Book, id: ChannelId) -> Option<&'a PayerChannel> {
        self.payers.get(&id).or_else(|| book.payers.get(&id))
    }

    /// The channel as this batch would leave it.
    pub(super) fn payee<'a>(&'a self, book: &'a Book, id: ChannelId) -> Option<&'a PayeeChannel> {
        self.payees.get(&id).or_else(|| book.payees.get(&id))
    }

    /// Handles an event in the payer's role.
    pub(super) fn pay(
        &mut self,
        book: &Book,
        id: ChannelId,
        event: &PayerEvent,
        now: UnixTime,
    ) -> Result<(), PaymentsError> {
        let unknown = PaymentsError::UnknownChannel { channel: id };
        let step = self.payer(book, id).ok_or(unknown)?.handle(event, now);
        self.take_payer(step);
        Ok(())
    }

    /// Handles an event in the payee's role.
    pub(super) fn earn(
        &mut self,
        book: &Book,
        id: ChannelId,
        event: &PayeeEvent,
        now: UnixTime,
    ) -> Result<(), PaymentsError> {
        let unknown = PaymentsError::UnknownChannel { channel: id };
        let step = self.payee(book, id).ok_or(unknown)?.handle(event, now);
        self.take_payee(step);
        Ok(())
    }

    /// Handles an event of a payment that this node routes; one it does not know is no concern.
    pub(super) fn route(&mut self, book: &Book, id: PaymentId, event: &RouteEvent, now: UnixTime) {
        let known = self
            .routes
            .get(&id)
            .map_or_else(|| book.routes.get(&id), Option::as_ref);
        if let Some(step) = known.map(|it| it.handle(event, now)) {
            self.take_route(step);
        }
    }

    /// What a step changes is always saved: a routed payment has no state beside its record.
    pub(super) fn take_route(&mut self, step: Step<RoutedPayment, RouteEffect>) {
        let id = step.next.payment();
        let effects = step.effects.into_iter();
        self.effects.extend(effects.map(|it| Effect::Route(id, it)));
        if step.save {
            self.routes.insert(id, Some(step.next));
        }
    }

    /// Forgets a payment that is over.
    pub(super) fn forget_route(&mut self, id: PaymentId) {
        self.routes.insert(id, None);
    }

    pub(super) fn take_payer(&mut self, step: Step<PayerChannel, PayerEffect>) {
        let id = step.next.terms().id;
        if step.save {
            self.to_save.insert((true, id));
        }
        for effect in step.effects {
            match effect {
                PayerEffect::Book(posting) => self.postings.push(posting),
                effect @ (PayerEffect::SendVoucher(_)
                | PayerEffect::SendWord { .. }
                | PayerEffect::SendRoutedWord { .. }
                | PayerEffect::TopUpNeeded { .. }
                | PayerEffect::RunningLow
                | PayerEffect::Refuse(_)
                | PayerEffect::Stranger
                | PayerEffect::Submit(_)) => self.effects.push(Effect::Payer(id, effect)),
            }
        }
        self.payers.insert(id, step.next);
    }

    pub(super) fn forget_payee(&mut self, id: ChannelId) {
        self.forgotten.push(id);
    }

    pub(super) fn take_payee(&mut self, step: Step<PayeeChannel, PayeeEffect>) {
        let id = step.next.terms().id;
        if step.save {
            self.to_save.insert((false, id));
        }
        for effect in step.effects {
            match effect {
                PayeeEffect::Book(posting) => self.postings.push(posting),
                effect @ (PayeeEffect::Credit(_)
                | PayeeEffect::RoutedCredit(_)
                | PayeeEffect::Refuse(_)
                | PayeeEffect::Stop(_)
                | PayeeEffect::Submit(_)
                | PayeeEffect::Consent { .. }) => self.effects.push(Effect::Payee(id, effect)),
            }
        }
        self.payees.insert(id, step.next);
    }

    pub(super) fn post(&mut self, posting: Posting) {
        self.postings.push(posting);
    }

    /// Writes down what a transaction cost; its bill goes.
    pub(super) fn pay_bill(&mut self, done: &Done) {
        self.post(Posting::gas(done.cost).by(done.tx));
        self.puts.push(bill::paid(done.tx));
    }

    pub(super) fn move_cursor(&mut self, cursor: Cursor) {
        self.cursor = Some(cursor);
    }

    pub(super) fn move_pot(&mut self, pot: PotBook) {
        self.pot = Some(pot);
    }

    pub(super) fn is_born(&mut self, block: u64) {
        self.born = Some(block);
    }

    pub(super) fn begins(&mut self, block: u64) {
        self.begun = Some(block);
    }

    /// Channels this batch touches, by role.
    pub(super) fn touched(&self) -> Vec<(Role, ChannelId)> {
        let payers = self.payers.keys().map(|it| (Role::Payer, *it));
        payers
            .chain(self.payees.keys().map(|it| (Role::Payee, *it)))
            .collect()
    }
}

impl Cursor {
    fn encode(self) -> Vec<u8> {
        let mut out = Writer::new(CURSOR_VERSION);
        out.u64(self.number).bytes(self.hash.as_bytes());
        out.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut read = Reader::new(bytes, CURSOR_VERSION)?;
        let cursor = Self {
            number: read.u64()?,
            hash: BlockHash::from_bytes(read.array()?),
        };
        read.finish()?;
        Ok(cursor)
    }
}

fn record(table: &'static str) -> impl Fn(CodecError) -> PaymentsError {
    move |source| PaymentsError::Record { table, source }
}

fn number(store: &dyn ChannelStore, key: &[u8]) -> Result<Option<u64>, PaymentsError> {
    let read = |bytes: Vec<u8>| Reader::new(&bytes, CURSOR_VERSION)?.u64();
    let bytes = store.get(Table::Meta, key)?;
    bytes.map(read).transpose().map_err(record("pay.meta"))
}

fn put_number(key: &[u8], number: u64) -> Put {
    let mut out = Writer::new(CURSOR_VERSION);
    out.u64(number);
    Put::new(Table::Meta, key, out.finish())
}
