//! The chain as a ledger a child could keep: the contract's rules in a hundred lines, blocks, a pool, and
//! what happens to blocks. `chain/model.rs` holds the same rules against the real bytecode, and
//! `bytecode.rs` these very transitions.

use std::collections::{BTreeMap, BTreeSet};

use warren_payments::calls::{Call, Claim};
use warren_payments::chain::{BlockHash, Outcome};
use warren_payments::channel::ChainFact;
use warren_payments::tx::Seen;
use warren_proto::{Amount, ChannelId, TxHash, UnixTime};

use super::names::{PERIOD_SECS, Who, wei};

/// Between two blocks.
pub(crate) const BLOCK_SECS: u64 = 12;
/// Burnt per gas on a quiet day.
pub(crate) const BASE_FEE: u64 = 10;
/// What the payer has at the beginning, in its pot.
pub(crate) const FORTUNE: u128 = 1_000_000;

/// A channel as the contract keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Book {
    pub(crate) deposit: u128,
    pub(crate) claimed: u128,
    pub(crate) closes_at: Option<u64>,
    pub(crate) closed: bool,
}

/// Everything the contract knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) pots: BTreeMap<Who, u128>,
    pub(crate) books: BTreeMap<ChannelId, Book>,
    nonces: BTreeMap<Who, u64>,
}

/// What a block says of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) channel: ChannelId,
    pub(crate) fact: ChainFact,
}

#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) number: u64,
    pub(crate) hash: BlockHash,
    pub(crate) time: u64,
    pub(crate) events: Vec<Event>,
    /// With each, whether it took effect.
    pub(crate) txs: Vec<(Tx, bool)>,
    pub(crate) state: State,
}

/// A transaction, as its bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tx {
    pub(crate) hash: TxHash,
    pub(crate) who: Who,
    pub(crate) nonce: u64,
    pub(crate) max_fee: u64,
    pub(crate) tip: u64,
    pub(crate) call: usize,
}

/// Why the pool does not take a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    NonceTooLow,
    Underpriced,
}

/// What becomes of the transactions in blocks that are taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// In the new blocks at once.
    Again,
    /// In the pool, but in none of the new blocks.
    Later,
    /// Forgotten by every node.
    Gone,
}

pub(crate) struct Chain {
    pub(crate) blocks: Vec<Block>,
    pool: BTreeMap<(Who, u64), Tx>,
    /// Every call ever made, for a transaction's bytes hold only its place here.
    calls: Vec<(Who, Call)>,
    pub(crate) channel: ChannelId,
    pub(crate) base_fee: u64,
    pub(crate) time: u64,
    /// Consents that the payee signed.
    pub(crate) consents: BTreeSet<(Amount, UnixTime)>,
    history: u64,
}

impl Chain {
    pub(crate) fn new(channel: ChannelId, time: u64) -> Self {
        let state = State {
            pots: BTreeMap::from([(Who::Payer, FORTUNE), (Who::Payee, 0)]),
            books: BTreeMap::new(),
            nonces: BTreeMap::new(),
        };
        let first = Block {
            number: 0,
            hash: hash(0, 0),
            time,
            events: Vec::new(),
            txs: Vec::new(),
            state,
        };
        Self {
            blocks: vec![first],
            pool: BTreeMap::new(),
            calls: Vec::new(),
            channel,
            base_fee: BASE_FEE,
            time,
            consents: BTreeSet::new(),
            history: 0,
        }
    }

    pub(crate) fn newest(&self) -> &Block {
        self.blocks.last().unwrap()
    }

    pub(crate) fn state(&self) -> &State {
        &self.newest().state
    }

    /// The place of a call; the same call has the same, unless it may happen more than once.
    pub(crate) fn place_of(&mut self, who: Who, call: Call) -> usize {
        let again = matches!(call, Call::TopUpFromBalance { .. });
        let known = self.calls.iter().position(|it| *it == (who, call.clone()));
        match known.filter(|_| !again) {
            Some(place) => place,
            None => {
                self.calls.push((who, call));
                self.calls.len() - 1
            }
        }
    }

    pub(crate) fn call(&self, place: usize) -> &Call {
        &self.calls[place].1
    }

    /// Whether a call would work on top of block `at`.
    pub(crate) fn would_do(&self, at: usize, who: Who, place: usize) -> bool {
        let block = &self.blocks[at];
        let mut state = block.state.clone();
        self.apply(&mut state, who, &self.calls[place].1, block.time + 1)
            .is_some()
    }

    pub(crate) fn nonce(&self, at: usize, who: Who) -> u64 {
        self.blocks[at].state.nonces.get(&who).copied().unwrap_or(0)
    }

    pub(crate) fn submit(&mut self, tx: Tx) -> Result<(), NotTaken> {
        if tx.nonce < self.nonce(self.blocks.len() - 1, tx.who) {
            return Err(NotTaken::NonceTooLow);
        }
        let more = |new: u64, old: u64| new >= old + old.div_ceil(10);
        match self.pool.get(&(tx.who, tx.nonce)) {
            Some(old) if old.hash == tx.hash => return Ok(()),
            Some(old) if !(more(tx.max_fee, old.max_fee) && more(tx.tip, old.tip)) => {
                return Err(NotTaken::Underpriced);
            }
            Some(_) | None => {}
        }
        self.pool.insert((tx.who, tx.nonce), tx);
        Ok(())
    }

    /// Forgets one waiting transaction.
    pub(crate) fn forget(&mut self, which: usize) {
        let waiting = self.pool.len().max(1);
        if let Some(key) = self.pool.keys().nth(which % waiting).copied() {
            self.pool.remove(&key);
        }
    }

    /// The transaction in a block up to `at`.
    pub(crate) fn seen(&self, at: usize, hash: TxHash) -> Option<Seen> {
        self.blocks[..=at].iter().rev().find_map(|block| {
            let (_, done) = block.txs.iter().find(|(it, _)| it.hash == hash)?;
            Some(Seen {
                tx: hash,
                block: block.number,
                block_hash: block.hash,
                outcome: if *done {
                    Outcome::Done
                } else {
                    Outcome::Reverted
                },
                gas_used: 100_000,
                cost: wei(100_000),
            })
        })
    }

    /// Makes a block so many seconds after the last.
    pub(crate) fn mine(&mut self, secs: u64) {
        self.time += secs;
        self.make(true);
    }

    fn make(&mut self, full: bool) {
        let mut state = self.state().clone();
        let (mut txs, mut events) = (Vec::new(), Vec::new());
        for who in [Who::Payer, Who::Payee] {
            loop {
                let nonce = state.nonces.get(&who).copied().unwrap_or(0);
                let Some(tx) = self.pool.get(&(who, nonce)).copied() else {
                    break;
                };
                if !full || tx.max_fee < self.base_fee {
                    break;
                }
                self.pool.remove(&(who, nonce));
                let said = self.apply(&mut state, who, &self.calls[tx.call].1, self.time);
                txs.push((tx, said.is_some()));
                events.extend(said.into_iter().flatten());
                state.nonces.insert(who, nonce + 1);
            }
        }
        self.pool
            .retain(|(who, nonce), _| *nonce >= state.nonces.get(who).copied().unwrap_or(0));
        let number = self.newest().number + 1;
        self.blocks.push(Block {
            number,
            hash: hash(number, self.history),
            time: self.time,
            events,
            txs,
            state,
        });
    }

    /// Replaces the newest blocks by as many and one more.
    pub(crate) fn reorg(&mut self, depth: usize, fate: Fate) {
        let depth = depth.min(self.blocks.len() - 1);
        self.history += 1;
        let gone = self.blocks.split_off(self.blocks.len() - depth);
        if fate != Fate::Gone {
            for (tx, _) in gone.iter().flat_map(|it| &it.txs) {
                // What has been replaced meanwhile is lost, as in a real reorganisation.
                let _lost = self.submit(*tx);
            }
        }
        let now = self.time;
        for block in &gone {
            self.time = block.time;
            self.make(fate != Fate::Later);
        }
        self.time = now;
        self.mine(1);
    }

    /// What `call` does to the contract's books; `None` if the contract undoes it.
    fn apply(&self, state: &mut State, who: Who, call: &Call, now: u64) -> Option<Vec<Event>> {
        let channel = self.channel;
        let say = |fact| Event { channel, fact };
        let old = state.books.get(&channel).copied();
        let open = old.filter(|it| !it.closed);
        let (book, said) = match call {
            Call::OpenFromBalance { amount, .. } if old.is_none() => {
                take(state, Who::Payer, amount.wei())?;
                let book = Book {
                    deposit: amount.wei(),
                    ..Book::default()
                };
                (book, vec![say(ChainFact::Deposit(*amount))])
            }
            Call::TopUpFromBalance { amount, .. } => {
                let it = open.filter(|it| it.closes_at.is_none())?;
                take(state, Who::Payer, amount.wei())?;
                let deposit = it.deposit + amount.wei();
                (
                    Book { deposit, ..it },
                    vec![say(ChainFact::Deposit(money(deposit)))],
                )
            }
            Call::Claim(claim) => {
                let it = open?;
                let claimed = it.deposit.min(worth(claim, now)?);
                let more = claimed.checked_sub(it.claimed).filter(|it| *it > 0)?;
                give(state, Who::Payee, more);
                (
                    Book { claimed, ..it },
                    vec![say(ChainFact::Claimed(money(claimed)))],
                )
            }
            Call::CoopClose {
                final_amount,
                not_after,
                ..
            } => {
                let signed = self.consents.contains(&(*final_amount, *not_after));
                let it = open.filter(|_| signed && now <= not_after.as_secs())?;
                let claimed = final_amount.wei().min(it.deposit).max(it.claimed);
                return Some(close(state, channel, it, claimed));
            }
            Call::CloseByPayee { .. } if who == Who::Payee => {
                let it = open?;
                return Some(close(state, channel, it, it.claimed));
            }
            Call::StartClose { .. } => {
                let it = open.filter(|it| it.closes_at.is_none())?;
                let closes_at = now + u64::from(PERIOD_SECS);
                let book = Book {
                    closes_at: Some(closes_at),
                    ..it
                };
                (book, vec![say(ChainFact::Closing { closes_at })])
            }
            Call::FinishClose { .. } => {
                let it = open.filter(|it| it.closes_at.is_some_and(|at| now >= at))?;
                return Some(close(state, channel, it, it.claimed));
            }
            _ => return None,
        };
        state.books.insert(channel, book);
        Some(said)
    }

    /// Every token is somewhere.
    pub(crate) fn held(&self) -> u128 {
        let state = self.state();
        let open = state.books.values().filter(|it| !it.closed);
        let locked: u128 = open.map(|it| it.deposit - it.claimed).sum();
        locked + state.pots.values().sum::<u128>()
    }

    pub(crate) fn book(&self) -> Book {
        self.state()
            .books
            .get(&self.channel)
            .copied()
            .unwrap_or_default()
    }
}

fn close(state: &mut State, channel: ChannelId, it: Book, claimed: u128) -> Vec<Event> {
    give(state, Who::Payee, claimed - it.claimed);
    give(state, Who::Payer, it.deposit - claimed);
    let book = Book {
        claimed,
        closed: true,
        ..it
    };
    state.books.insert(channel, book);
    let facts = [ChainFact::Claimed(money(claimed)), ChainFact::Closed];
    facts.map(|fact| Event { channel, fact }).to_vec()
}

fn give(state: &mut State, who: Who, more: u128) {
    *state.pots.entry(who).or_default() += more;
}

fn take(state: &mut State, who: Who, less: u128) -> Option<()> {
    let pot = state.pots.entry(who).or_default();
    *pot = pot.checked_sub(less).filter(|_| less > 0)?;
    Some(())
}

/// What the contract makes of a claim: each word must open its lock, in time and in order.
fn worth(claim: &Claim, now: u64) -> Option<u128> {
    let (mut sum, mut least) = (claim.voucher.base.wei(), 0);
    for reveal in &claim.reveals {
        let lock = claim.voucher.locks.get(usize::from(reveal.index))?;
        let in_time = lock.expiry == 0 || now < lock.expiry;
        let fits = reveal.k <= lock.units && lock.anchor.opens_with(&reveal.word, reveal.k);
        if reveal.index < least || !in_time || !fits {
            return None;
        }
        least = reveal.index + 1;
        sum += lock.unit_price.wei() * u128::from(reveal.k);
    }
    Some(sum)
}

fn money(wei: u128) -> Amount {
    Amount::from_wei(wei).unwrap()
}

fn hash(number: u64, history: u64) -> BlockHash {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes[8..16].copy_from_slice(&history.to_be_bytes());
    BlockHash::from_bytes(bytes)
}
