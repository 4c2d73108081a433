//! What every party runs on: a process that can end at any effect, a disk, a clock, a node of the chain,
//! and the product's transaction manager over them.

use std::collections::BTreeSet;

use warren_payments::calls::Call;
use warren_payments::chain::{BlockHash, Outcome};
use warren_payments::ledger::{Entry, Posting};
use warren_payments::store::{ChannelStore as _, MemoryStore, Put, Table};
use warren_payments::tx::{
    Job, JobId, Report, SendFailure, SignedTx, TxEffect, TxEvent, TxManager, UnsignedTx,
};
use warren_proto::{Amount, ChannelId, PayoutAddress, Step, TxHash, UnixTime};

pub(crate) use super::breach::Breach;
use super::chain::{Chain, NotTaken, Tx};
use super::endpoints::Liar;
use super::names::{TX_RULES, Who, fees, secs};

/// The process has ended. Nothing after this happens in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Died;

pub(crate) type Act<T> = Result<T, Died>;

/// Where in its effects a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fuse {
    /// The effect's number in this party's life.
    pub(crate) at: u64,
    pub(crate) when: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    After,
}

/// Up to which block the chain's news are in the records.
pub(crate) type Cursor = (u64, BlockHash);

pub(crate) struct Host {
    pub(crate) who: Who,
    account: PayoutAddress,
    pub(crate) disk: MemoryStore,
    pub(crate) skew_secs: i64,
    /// Blocks its node is behind, and for how many looks yet.
    pub(crate) lag: (usize, u8),
    /// The one of its endpoints that lies or lags; `None` while none does.
    pub(crate) liar: Option<Liar>,
    /// Questions that its node does not answer.
    pub(crate) deaf: u8,
    /// Whether a node that does not answer has heard nevertheless.
    pub(crate) swallows: bool,
    pub(super) head_secs: u64,
    pub(crate) cursor: Option<Cursor>,
    /// Closings whose blocks may still be taken back.
    pub(crate) young: BTreeSet<ChannelId>,
    txs: TxManager,
    waiting: BTreeSet<JobId>,
    /// Calls that somebody waited for and that will not happen.
    pub(crate) failed: Vec<Call>,
    unprepared: Option<Job>,
    pub(crate) fuse: Option<Fuse>,
    pub(crate) effects: u64,
    pub(crate) breach: Option<Breach>,
    /// A rule seen broken by the order of effects alone.
    pub(crate) complaint: Option<String>,
}

impl Host {
    pub(crate) fn new(who: Who, breach: Option<Breach>) -> Self {
        Self {
            who,
            account: who.address(),
            disk: MemoryStore::new(),
            skew_secs: 0,
            lag: (0, 0),
            liar: None,
            deaf: 0,
            swallows: false,
            head_secs: 0,
            cursor: None,
            young: BTreeSet::new(),
            txs: TxManager::new(TX_RULES),
            waiting: BTreeSet::new(),
            failed: Vec::new(),
            unprepared: None,
            fuse: None,
            effects: 0,
            breach,
            complaint: None,
        }
    }

    /// An effect: the process may end right before or right after it.
    pub(crate) fn pass<T>(&mut self, effect: impl FnOnce(&mut Self) -> T) -> Act<T> {
        let number = self.effects;
        self.effects += 1;
        match self.fuse.filter(|it| it.at == number).map(|it| it.when) {
            None => Ok(effect(self)),
            Some(When::Before) => Err(Died),
            Some(When::After) => {
                let _done = effect(self);
                Err(Died)
            }
        }
    }

    pub(crate) fn write(&mut self, puts: Vec<Put>) -> Act<()> {
        self.pass(|it| it.disk.put(puts).unwrap())
    }

    /// One batch, synced: what changed, its entries in the ledger, numbered from `number`, and the cursor.
    /// Answers the number of the next entry.
    pub(crate) fn commit(
        &mut self,
        mut puts: Vec<Put>,
        (mut number, postings, at): (u64, Vec<Posting>, UnixTime),
        cursor: Option<Cursor>,
    ) -> Act<u64> {
        for posting in postings {
            let entry = Entry {
                number,
                at,
                posting,
            };
            puts.push(Put::new(Table::Entry, number.to_be_bytes(), entry.encode()));
            number += 1;
        }
        let moved = cursor.filter(|it| Some(*it) != self.cursor);
        if let Some(cursor) = moved.map(cursor_put) {
            if self.breach == Some(Breach::CursorApart) {
                self.write(vec![cursor])?;
            } else {
                puts.push(cursor);
            }
        }
        if !puts.is_empty() {
            self.write(puts)?;
        }
        self.cursor = cursor.or(self.cursor);
        Ok(number)
    }

    /// Chain time brought forward by a clock that may be wrong.
    pub(crate) fn now(&self, chain: &Chain) -> UnixTime {
        let clock = chain.time.saturating_add_signed(self.skew_secs);
        secs(clock.max(self.head_secs))
    }

    /// The newest block that this party's node shows; `None` if the node does not answer.
    pub(super) fn sight(&mut self, chain: &Chain) -> Option<usize> {
        if self.deaf > 0 {
            self.deaf -= 1;
            return None;
        }
        let behind = if self.lag.1 > 0 { self.lag.0 } else { 0 };
        self.believed_head(chain, chain.blocks.len().saturating_sub(1 + behind))
    }

    /// Has a call made; its failure comes back in [`Self::failed`].
    pub(crate) fn submit(&mut self, call: Call, chain: &mut Chain) -> Act<()> {
        let data = u32::try_from(chain.place_of(self.who, call))
            .unwrap()
            .to_be_bytes();
        let mut id = [0; 32];
        id[..4].copy_from_slice(&data);
        let job = Job {
            id: JobId(id),
            to: self.account,
            value: Amount::ZERO,
            data: data.to_vec(),
            stake: None,
        };
        self.waiting.insert(job.id);
        self.tx(&TxEvent::Asked(job), chain)
    }

    /// Asks the chain about everything on its way.
    pub(crate) fn watch(&mut self, chain: &mut Chain) -> Act<()> {
        if let Some(job) = self.unprepared.take()
            && let Some(event) = self.prepare(job, chain)
        {
            self.tx(&event, chain)?;
        }
        if self.txs.is_idle() {
            return Ok(());
        }
        let Some(at) = self.sight(chain) else {
            return Ok(());
        };
        let watched = self.txs.watched();
        let seen = watched.filter_map(|it| self.believed_seen(chain, at, it));
        let seen = seen.collect();
        let Some(nonce) = self.believed_nonce(chain.nonce(at, self.who)) else {
            return Ok(());
        };
        let event = TxEvent::HeadSeen {
            number: chain.blocks[at].number,
            time: secs(chain.blocks[at].time),
            nonce,
            fees: fees(chain.base_fee),
            seen,
        };
        self.tx(&event, chain)
    }

    /// Whether a call is on its way and somebody waits for it.
    pub(crate) fn is_waiting(&self, call: &Call, chain: &mut Chain) -> bool {
        let data = u32::try_from(chain.place_of(self.who, call.clone())).unwrap();
        let mut id = [0; 32];
        id[..4].copy_from_slice(&data.to_be_bytes());
        self.waiting.contains(&JobId(id))
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.txs.is_idle() && self.unprepared.is_none()
    }

    fn tx(&mut self, event: &TxEvent, chain: &mut Chain) -> Act<()> {
        let step = self.txs.handle(event);
        self.take(step, chain)
    }

    /// As the product's submitter: saved, then performed, then what came of it.
    fn take(&mut self, step: Step<TxManager, TxEffect>, chain: &mut Chain) -> Act<()> {
        let puts = self.txs.puts(&step.next, self.account);
        let save = step.save.then_some(puts);
        self.txs = step.next;
        if self.breach == Some(Breach::SendsFirst) {
            self.perform(step.effects, chain)?;
            return save.map_or(Ok(()), |it| self.write(it));
        }
        if let Some(puts) = save {
            self.write(puts)?;
        }
        self.perform(step.effects, chain)
    }

    fn perform(&mut self, effects: Vec<TxEffect>, chain: &mut Chain) -> Act<()> {
        for effect in effects {
            let event = match effect {
                TxEffect::Prepare(job) => self.prepare(job, chain),
                TxEffect::Sign(unsigned) => Some(self.sign(unsigned)),
                TxEffect::Broadcast(signed) => self.broadcast(&signed, chain)?,
                TxEffect::Report(id, report) => {
                    self.report(id, report, chain);
                    None
                }
            };
            if let Some(event) = event {
                self.tx(&event, chain)?;
            }
        }
        Ok(())
    }

    fn prepare(&mut self, job: Job, chain: &Chain) -> Option<TxEvent> {
        let Some(at) = self.sight(chain) else {
            self.unprepared = Some(job);
            return None;
        };
        let id = job.id;
        if !chain.would_do(at, self.who, place(&job.data)) {
            if self.waiting.remove(&id) {
                self.failed.push(chain.call(place(&job.data)).clone());
            }
            return Some(TxEvent::Refused { id });
        }
        Some(TxEvent::Prepared {
            id,
            gas_limit: 100_000,
            fees: fees(chain.base_fee),
            nonce: chain.nonce(at, self.who),
            time: None,
        })
    }

    fn sign(&self, unsigned: UnsignedTx) -> TxEvent {
        let short = |it: Amount| u64::try_from(it.wei()).unwrap();
        let mut raw = vec![self.who as u8];
        raw.extend(unsigned.nonce.to_be_bytes());
        raw.extend(short(unsigned.max_fee).to_be_bytes());
        raw.extend(short(unsigned.tip).to_be_bytes());
        raw.extend(&unsigned.data);
        let mut hash = [0; 32];
        hash[..raw.len()].copy_from_slice(&raw);
        let hash = TxHash::from_bytes(hash);
        let signed = SignedTx { raw, hash };
        TxEvent::Signed { unsigned, signed }
    }

    fn broadcast(&mut self, signed: &SignedTx, chain: &mut Chain) -> Act<Option<TxEvent>> {
        let saved = self.disk.scan(Table::Tx).unwrap();
        let holds = |it: &[u8]| it.windows(signed.raw.len()).any(|it| it == signed.raw);
        if !saved.iter().any(|(_, record)| holds(record)) {
            self.complaint = Some("P7: a transaction is sent that is not on disk".to_owned());
        }
        let field = |at: usize| u64::from_be_bytes(signed.raw[at..at + 8].try_into().unwrap());
        let tx = Tx {
            hash: signed.hash,
            who: self.who,
            nonce: field(1),
            max_fee: field(9),
            tip: field(17),
            call: place(&signed.raw[25..]),
        };
        let taken = self.pass(|it| match it.sight(chain) {
            Some(_) => chain.submit(tx).map_err(|why| match why {
                NotTaken::NonceTooLow => SendFailure::NonceTooLow,
                NotTaken::Underpriced => SendFailure::Underpriced,
            }),
            None => {
                if it.swallows {
                    let _whatever = chain.submit(tx);
                }
                Err(SendFailure::Retry)
            }
        })?;
        let tx = signed.hash;
        Ok(taken.err().map(|why| TxEvent::SendFailed { tx, why }))
    }

    fn report(&mut self, id: JobId, report: Report, chain: &Chain) {
        let done = match report {
            Report::Confirmed(seen) => seen.outcome == Outcome::Done,
            Report::Rejected | Report::Unsure | Report::TooDear { .. } | Report::QueueFull => false,
        };
        if self.waiting.remove(&id) && !done {
            self.failed.push(chain.call(place(&id.0[..4])).clone());
        }
    }

    /// Forgets all that is not on disk, and goes on with what is.
    pub(crate) fn restart(&mut self, chain: &mut Chain) -> Act<()> {
        self.fuse = None;
        self.disk = self.disk.snapshot();
        self.waiting.clear();
        self.failed.clear();
        self.unprepared = None;
        self.young.clear();
        self.head_secs = 0;
        let records = self.disk.scan(Table::Tx).unwrap();
        self.txs = TxManager::restored(TX_RULES, self.account, &records).unwrap();
        self.cursor = read_cursor(&self.disk);
        if self.breach == Some(Breach::NoRescan) {
            self.cursor = Some((chain.newest().number, chain.newest().hash));
        }
        let step = self.txs.resume();
        self.take(step, chain)
    }
}

/// The cursor as a record.
pub(crate) fn cursor_put((number, hash): Cursor) -> Put {
    let bytes = [number.to_be_bytes().as_slice(), hash.as_bytes()].concat();
    Put::new(Table::Meta, b"cursor".as_slice(), bytes)
}

fn read_cursor(disk: &MemoryStore) -> Option<Cursor> {
    let bytes = disk.get(Table::Meta, b"cursor").unwrap()?;
    let (number, hash) = bytes.split_first_chunk::<8>()?;
    Some((
        u64::from_be_bytes(*number),
        BlockHash::from_bytes(hash.try_into().ok()?),
    ))
}

fn place(data: &[u8]) -> usize {
    u32::from_be_bytes(data[..4].try_into().unwrap()) as usize
}
