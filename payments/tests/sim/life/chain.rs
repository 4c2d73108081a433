//! The chain: the contract's books, blocks, a pool of transactions, and what happens to blocks.

use std::collections::{BTreeMap, BTreeSet};

use warren_payments::calls::Call;
use warren_payments::chain::{BlockHash, Outcome};
use warren_payments::tx::Seen;
use warren_proto::{Amount, ChannelId, CloseConsent, TxHash, UnixTime};

use super::contract::{Book, Contract, Event, Line, State};
use super::names::{Who, wei};

/// Between two blocks.
pub(crate) const BLOCK_SECS: u64 = 12;
/// Burnt per gas on a quiet day.
pub(crate) const BASE_FEE: u64 = 10;
/// What the payer has at the beginning, in its pot.
pub(crate) const FORTUNE: u128 = 1_000_000;

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
    pub(crate) contract: Contract,
    /// What payees agreed to close at.
    given: Vec<(ChannelId, Amount, UnixTime)>,
    pub(crate) base_fee: u64,
    pub(crate) time: u64,
    history: u64,
}

impl Chain {
    /// A chain on which `lines` may be opened, by those who have something in their pots.
    pub(crate) fn new(lines: Vec<Line>, pots: BTreeMap<Who, u128>, time: u64) -> Self {
        let state = State {
            pots,
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
            given: Vec::new(),
            contract: Contract {
                lines,
                consents: BTreeSet::new(),
                forgets: false,
            },
            base_fee: BASE_FEE,
            time,
            history: 0,
        }
    }

    pub(crate) fn newest(&self) -> &Block {
        self.blocks.last().unwrap()
    }

    pub(crate) fn state(&self) -> &State {
        &self.newest().state
    }

    /// A payee agreed to close at that sum.
    pub(crate) fn consent(&mut self, channel: ChannelId, sum: Amount, until: UnixTime) {
        self.given.push((channel, sum, until));
        self.agree(channel, sum, until);
    }

    /// The contract would take it as the payee's word.
    pub(crate) fn agree(&mut self, channel: ChannelId, sum: Amount, until: UnixTime) {
        self.contract.consents.insert((channel, sum, until));
    }

    /// Whether the channel was closed by what its payee agreed to behind the back of its own core, which went on
    /// earning.
    pub(crate) fn is_reckless(&self, channel: ChannelId) -> bool {
        let txs = self.blocks.iter().flat_map(|it| &it.txs);
        txs.filter(|(_, done)| *done).any(|(tx, _)| {
            let Call::CoopClose {
                params,
                final_amount,
                not_after,
                ..
            } = self.call(tx.call)
            else {
                return false;
            };
            let mut lines = self.contract.lines.iter();
            let is_it = lines.any(|it| it.terms.params == *params && it.terms.id == channel);
            is_it && !self.given.contains(&(channel, *final_amount, *not_after))
        })
    }

    /// Of the consents that payees gave and that can still be used, the one that gives them least.
    pub(crate) fn least_consent(&self, channel: ChannelId) -> Option<CloseConsent> {
        let given = self.given.iter().copied();
        let live = given.filter(|(id, _, until)| *id == channel && until.as_secs() >= self.time);
        live.min().map(|(_, sum, until)| CloseConsent {
            final_amount: sum,
            not_after: until,
            signature: [0; 64],
        })
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
        let call = (who, &self.calls[place].1);
        let said = self.contract.apply(&mut state, call, block.time + 1);
        said.is_some()
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
        for who in Who::ALL {
            loop {
                let nonce = state.nonces.get(&who).copied().unwrap_or(0);
                let Some(tx) = self.pool.get(&(who, nonce)).copied() else {
                    break;
                };
                if !full || tx.max_fee < self.base_fee {
                    break;
                }
                self.pool.remove(&(who, nonce));
                let call = (who, &self.calls[tx.call].1);
                let said = self.contract.apply(&mut state, call, self.time);
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

    /// Every token is somewhere.
    pub(crate) fn held(&self) -> u128 {
        let state = self.state();
        let open = state.books.values().filter(|it| !it.closed);
        let locked: u128 = open.map(|it| it.deposit - it.claimed).sum();
        locked + state.pots.values().sum::<u128>()
    }

    pub(crate) fn book_of(&self, channel: ChannelId) -> Book {
        let book = self.state().books.get(&channel);
        book.copied().unwrap_or_default()
    }

    /// Of the one channel where there is but one.
    pub(crate) fn book(&self) -> Book {
        self.book_of(self.contract.lines[0].terms.id)
    }
}

fn hash(number: u64, history: u64) -> BlockHash {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes[8..16].copy_from_slice(&history.to_be_bytes());
    BlockHash::from_bytes(bytes)
}
