//! Blocks, their state, and the two things that happen to them: they are made, and taken back.

use std::collections::{BTreeMap, VecDeque};

use ethers_core::utils::keccak256;
use revm::primitives::Log;
use warren_proto::{Amount, PayoutAddress, TxHash, UnixTime};

use super::engine::{BLOCK_GAS, Frame, Ran, State};
use super::pool::{Fault, Pool, PoolTx};
use super::{Mining, Reorg, TooDeep};
use crate::{BlockHash, Head};

/// Blocks whose state is kept, hence the deepest reorganisation.
pub(super) const KEPT_STATES: usize = 128;

/// The whole chain.
#[derive(Debug)]
pub(super) struct World {
    pub(super) chain_id: u64,
    pub(super) block_secs: u64,
    pub(super) mining: Mining,
    pub(super) base_fee: u64,
    pub(super) tip: u64,
    pub(super) state: State,
    pub(super) pool: Pool,
    pub(super) blocks: Vec<Block>,
    /// The state before each of the newest blocks.
    past: VecDeque<State>,
    index: BTreeMap<TxHash, (usize, usize)>,
    /// What a shell last said the time is; `None` where time moves from block to block.
    clock_secs: Option<u64>,
    /// How far this chain was told to run ahead of that clock.
    ahead_secs: u64,
    /// No block is made earlier than this.
    floor_secs: u64,
    /// Counts reorganisations, so that a block made again has another hash.
    history: u64,
}

/// A block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) head: Head,
    pub(super) base_fee: u64,
    pub(super) gas_used: u64,
    pub(super) txs: Vec<Mined>,
}

/// A transaction in a block.
#[derive(Debug, Clone)]
pub(super) struct Mined {
    pub(super) tx: PoolTx,
    pub(super) success: bool,
    pub(super) gas_used: u64,
    pub(super) gas_price: u128,
    pub(super) created: Option<PayoutAddress>,
    pub(super) logs: Vec<Log>,
    /// Logs of the block before this transaction's.
    pub(super) first_log: u64,
    pub(super) gas_before: u64,
}

impl World {
    /// Starts with one block that holds `state`.
    pub(super) fn new(chain_id: u64, state: State, timestamp: UnixTime) -> Self {
        let head = Head {
            number: 0,
            hash: BlockHash::from_bytes(keccak256(chain_id.to_be_bytes())),
            parent: BlockHash::from_bytes([0; 32]),
            timestamp: UnixTime::from_secs(timestamp.as_secs()),
        };
        Self {
            chain_id,
            block_secs: 1,
            mining: Mining::Auto,
            base_fee: 0,
            tip: 0,
            state,
            pool: Pool::default(),
            blocks: vec![Block {
                head,
                base_fee: 0,
                gas_used: 0,
                txs: Vec::new(),
            }],
            past: VecDeque::new(),
            index: BTreeMap::new(),
            clock_secs: None,
            ahead_secs: 0,
            floor_secs: 0,
            history: 0,
        }
    }

    pub(super) fn head(&self) -> Head {
        self.newest().head
    }

    fn newest(&self) -> &Block {
        #[expect(
            clippy::expect_used,
            reason = "made with one block, and a reorg keeps that one"
        )]
        self.blocks.last().expect("a first block")
    }

    /// Takes a signed transaction and, if so set, makes a block with it.
    pub(super) fn submit(&mut self, raw: &[u8]) -> Result<TxHash, Fault> {
        let tx = PoolTx::decode(raw, self.chain_id)?;
        if self.find(tx.hash).is_some() {
            return Err(Fault::node("already known"));
        }
        let hash = self.pool.take(tx, &self.state)?;
        if self.mining == Mining::Auto {
            self.mine();
        }
        Ok(hash)
    }

    /// The moment the next block would have.
    pub(super) fn next_secs(&self) -> u64 {
        let last = self.head().timestamp.as_secs();
        let next = match self.clock_secs {
            Some(now) => now.saturating_add(self.ahead_secs).max(last),
            None => last.saturating_add(self.block_secs.max(1)),
        };
        next.max(self.floor_secs)
    }

    /// From now on blocks are made at the clock's time; it never goes back.
    pub(super) fn set_clock(&mut self, now: UnixTime) {
        self.clock_secs = self.clock_secs.max(Some(now.as_secs()));
    }

    /// Runs that much further ahead.
    pub(super) fn leap(&mut self, secs: u64) {
        self.set_floor(self.next_secs().saturating_add(secs));
        self.ahead_secs = self.ahead_secs.saturating_add(secs);
    }

    pub(super) fn set_floor(&mut self, secs: u64) {
        self.floor_secs = self.floor_secs.max(secs);
    }

    /// The next block as a call would see it.
    pub(super) fn next_frame(&self) -> Frame {
        Frame {
            chain_id: self.chain_id,
            number: self.head().number.saturating_add(1),
            timestamp_secs: self.next_secs(),
            base_fee: self.base_fee,
        }
    }

    /// Makes a block of what waits and can pay.
    pub(super) fn mine(&mut self) -> Head {
        let frame = self.next_frame();
        self.mine_in(frame)
    }

    /// Makes a block at `secs`, or at the last block's time if that is later.
    pub(super) fn mine_at(&mut self, secs: u64) -> Head {
        let earliest = self.head().timestamp.as_secs();
        let frame = Frame {
            timestamp_secs: secs.max(earliest),
            ..self.next_frame()
        };
        self.mine_in(frame)
    }

    fn mine_in(&mut self, frame: Frame) -> Head {
        if self.past.len() == KEPT_STATES {
            self.past.pop_front();
        }
        self.past.push_back(self.state.clone());
        let (mut txs, mut gas_used, mut log_count) = (Vec::<Mined>::new(), 0_u64, 0_u64);
        loop {
            let gas_left = BLOCK_GAS.saturating_sub(gas_used);
            let Some(tx) = self.pool.next(&self.state, frame.base_fee, gas_left) else {
                break;
            };
            // A transaction that became impossible is dropped, as on a real node.
            let Ok(ran) = self.state.execute(&frame, &tx.run) else {
                continue;
            };
            let mined = Mined::new(tx, ran, &frame, log_count, gas_used);
            gas_used = gas_used.saturating_add(mined.gas_used);
            log_count = log_count.saturating_add(mined.logs.len() as u64);
            txs.push(mined);
        }
        self.pool.sweep(&self.state);
        let head = self.sign_off(&frame, &txs);
        for (place, mined) in txs.iter().enumerate() {
            self.index.insert(mined.tx.hash, (self.blocks.len(), place));
        }
        self.blocks.push(Block {
            head,
            base_fee: frame.base_fee,
            gas_used,
            txs,
        });
        head
    }

    fn sign_off(&self, frame: &Frame, txs: &[Mined]) -> Head {
        let parent = self.head().hash;
        let mut content = parent.as_bytes().to_vec();
        for number in [
            frame.number,
            frame.timestamp_secs,
            frame.base_fee,
            self.history,
        ] {
            content.extend(number.to_be_bytes());
        }
        for mined in txs {
            content.extend(mined.tx.hash.as_bytes());
        }
        Head {
            number: frame.number,
            hash: BlockHash::from_bytes(keccak256(content)),
            parent,
            timestamp: UnixTime::from_secs(frame.timestamp_secs),
        }
    }

    /// Takes back the newest `depth` blocks and makes one more than that in their place.
    pub(super) fn reorg(&mut self, depth: usize, fate: Reorg) -> Result<Head, TooDeep> {
        if depth > self.past.len() {
            return Err(TooDeep {
                depth,
                kept: self.past.len(),
            });
        }
        let replaced = self
            .blocks
            .split_off(self.blocks.len().saturating_sub(depth));
        for _ in &replaced {
            if let Some(state) = self.past.pop_back() {
                self.state = state;
            }
        }
        self.history = self.history.saturating_add(1);
        for mined in replaced.iter().flat_map(|it| &it.txs) {
            self.index.remove(&mined.tx.hash);
            if fate == Reorg::Keep {
                // One that no longer fits is lost, as in a real reorganisation.
                let _lost = self.pool.take(mined.tx.clone(), &self.state);
            }
        }
        for block in &replaced {
            self.mine_at(block.head.timestamp.as_secs());
        }
        Ok(self.mine())
    }

    /// Finds a transaction in a block.
    pub(super) fn find(&self, hash: TxHash) -> Option<(&Block, &Mined, usize)> {
        let (block, place) = self.index.get(&hash)?;
        let block = self.blocks.get(*block)?;
        Some((block, block.txs.get(*place)?, *place))
    }

    /// The state after block `number`, if it is still kept.
    pub(super) fn state_after(&self, number: u64) -> Option<&State> {
        let behind = usize::try_from(self.head().number.checked_sub(number)?).ok()?;
        match behind.checked_sub(1) {
            None => Some(&self.state),
            Some(_) => self.past.get(self.past.len().checked_sub(behind)?),
        }
    }

    pub(super) fn set_base_fee(&mut self, fee: Amount) {
        self.base_fee = u64::try_from(fee.wei()).unwrap_or(u64::MAX);
    }
}

impl Mined {
    fn new(tx: PoolTx, ran: Ran, frame: &Frame, first_log: u64, gas_before: u64) -> Self {
        let tip = tx.effective_tip(frame.base_fee).unwrap_or_default();
        Self {
            gas_price: tip.saturating_add(u128::from(frame.base_fee)),
            success: ran.success,
            gas_used: ran.gas_used,
            created: ran.created,
            logs: ran.logs,
            tx,
            first_log,
            gas_before,
        }
    }
}
