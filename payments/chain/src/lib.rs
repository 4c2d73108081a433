//! What Warren asks of a blockchain, and nothing more: one trait, for one node or several.
//!
//! ```text
//!              trait Chain ◀── EthClient (typed answers over raw JSON-RPC)
//!                                ▲                       ▲
//!        DevChain: revm in this process        RpcChain: any EVM node over HTTP
//!                                               several of them: Quorum, a Chain too
//! ```
//!
//! Both run the same client code above the `eth_` methods and the same contract bytes below
//! them, so what holds on the one holds on the other.
//!
//! Invariant: nothing here signs anything and nothing here remembers money.

#![forbid(unsafe_code)]

pub mod calls;
pub mod dev;
mod endpoint;
pub mod error;
pub mod eth;
pub mod quorum;
pub mod rpc;
pub mod serve;
pub mod tx;

pub(crate) mod abi;
mod event;
mod interest;
mod json;
mod revert;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use warren_proto::{Amount, ChainRef, ChannelId, PayoutAddress, TxHash, UnixTime};

pub use endpoint::{Endpoint, EndpointState, Endpoints, shown_url};
pub use error::{ChainError, Revert};
pub use event::{ChainEvent, EventKind};
pub use interest::Interest;

/// Words that are taken of one endpoint's hearsay: each costs its hearer up to 1024 hashes. Our choice.
pub const MAX_WORDS_TOLD: usize = 64;

/// A boxed answer of the chain, so that [`Chain`] can be used as `dyn Chain`.
pub type ChainFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ChainError>> + Send + 'a>>;

/// A chain on which the payment contract lives.
///
/// Answers are what the node says *now*: a reorganisation may take them back. Whoever acts on
/// money counts confirmations.
pub trait Chain: Send + Sync + fmt::Debug {
    /// Returns which chain, contract and token this is pinned to.
    fn chain_ref(&self) -> ChainRef;

    /// Checks chain id, the contract's code and its token against the pins.
    ///
    /// # Errors
    /// [`ChainError::Mismatch`] if the node is on another chain or the code is not ours.
    fn verify_contract(&self) -> ChainFuture<'_, ()>;

    /// Returns the newest block.
    fn head(&self) -> ChainFuture<'_, Head>;

    /// Returns the block of this number; `None` when the chain is not that long.
    fn block(&self, number: u64) -> ChainFuture<'_, Option<Head>>;

    /// Returns a channel's state; `None` when it was never opened.
    fn channel(&self, id: ChannelId) -> ChainFuture<'_, Option<ChannelState>>;

    /// Returns what `owner` holds in the contract's pot.
    fn balance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount>;

    /// Returns where `owner`'s pot may go; `None` while that is free.
    fn beneficiary(&self, owner: PayoutAddress) -> ChainFuture<'_, Option<PayoutAddress>>;

    /// Returns how many decimals the token says that it has; `None` if it does not say.
    fn token_decimals(&self) -> ChainFuture<'_, Option<u8>>;

    /// Returns what `owner` holds of the token, outside the contract.
    fn token_balance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount>;

    /// Returns what the contract may take of `owner`'s tokens; capped at [`Amount::MAX`].
    fn allowance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount>;

    /// Returns what `owner` has to pay gas with; capped at [`Amount::MAX`].
    fn native_balance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount>;

    /// Returns the contract's events in blocks `from..=to`, ordered by block and index.
    ///
    /// Logs of any other contract are dropped even if the node sends them.
    fn events(&self, from: u64, to: u64) -> ChainFuture<'_, Vec<ChainEvent>>;

    /// Returns those of the same events that `whom` wants.
    ///
    /// For whoever must not be made deaf by blocks full of the events of others.
    fn events_of(
        &self,
        from: u64,
        to: u64,
        mut whom: Interest,
    ) -> ChainFuture<'_, Vec<ChainEvent>> {
        let all = self.events(from, to);
        Box::pin(async move { Ok(whom.keep(all.await?)) })
    }

    /// Returns how many transactions of `owner` are in blocks: its next nonce.
    fn nonce(&self, owner: PayoutAddress) -> ChainFuture<'_, u64>;

    /// Hands a signed transaction to the node's pool.
    ///
    /// Handing in one the node already has is not an error.
    fn submit_raw(&self, raw: Vec<u8>) -> ChainFuture<'_, TxHash>;

    /// Returns what became of a transaction; `None` while it is in no block.
    fn receipt(&self, tx: TxHash) -> ChainFuture<'_, Option<Receipt>>;

    /// Returns what a transaction asked of the contract, as calldata; `None` if it is unknown or went elsewhere.
    ///
    /// For the books alone: it says where money came from that went into a channel.
    fn calldata(&self, tx: TxHash) -> ChainFuture<'_, Option<Vec<u8>>>;

    /// Executes a call against the newest block without keeping its effects.
    ///
    /// # Errors
    /// [`ChainError::Reverted`] with the contract's own reason.
    fn call(&self, request: CallRequest) -> ChainFuture<'_, Vec<u8>>;

    /// Returns the gas a call would use.
    ///
    /// # Errors
    /// [`ChainError::Reverted`] with the contract's own reason.
    fn estimate(&self, request: CallRequest) -> ChainFuture<'_, u64>;

    /// Returns what gas costs at the moment.
    fn fees(&self) -> ChainFuture<'_, Fees>;

    /// Returns what gas costs as far as anybody says; agreed or not.
    ///
    /// For weighing, and for calls that are lost if they wait until the endpoints agree.
    fn fees_heard(&self) -> ChainFuture<'_, Fees> {
        self.fees()
    }

    /// Returns what any endpoint tells that `whom` wants of blocks from `from` on, agreed or not.
    ///
    /// For being careful, and for what proves itself: some of it may be lies. Of each endpoint no more than
    /// [`MAX_WORDS_TOLD`] words are taken.
    fn hearsay(&self, from: u64, whom: Interest) -> ChainFuture<'_, Vec<ChainEvent>> {
        Box::pin(async move {
            let to = self.head().await?.number;
            if from > to {
                return Ok(Vec::new());
            }
            self.events_of(from, to, whom).await
        })
    }

    /// Returns every closing that any endpoint tells of in blocks from `from` on, agreed or not.
    ///
    /// For being careful only: some of them may be lies.
    fn closings_heard(&self, from: u64) -> ChainFuture<'_, Vec<ChainEvent>> {
        Box::pin(async move {
            let events = self.hearsay(from, Interest::closings()).await?;
            let is_closing = |it: &ChainEvent| matches!(it.kind, EventKind::Closing { .. });
            Ok(events.into_iter().filter(is_closing).collect())
        })
    }

    /// Returns a nonce of `owner` that may be a lie, agreed or not.
    ///
    /// For calls only that do no harm if they are made twice or never.
    fn nonce_heard(&self, owner: PayoutAddress) -> ChainFuture<'_, u64> {
        self.nonce(owner)
    }

    /// Returns every nonce of `owner` that any endpoint tells of: all but one may be lies.
    ///
    /// For calls only that do no harm if they are made twice or never.
    fn nonces_heard(&self, owner: PayoutAddress) -> ChainFuture<'_, Vec<u64>> {
        Box::pin(async move { Ok(vec![self.nonce(owner).await?]) })
    }

    /// Returns what is known of the endpoints behind this; `None` where that is not counted.
    fn endpoints(&self) -> Option<Endpoints> {
        None
    }
}

/// One block, as far as payments care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its height.
    pub number: u64,
    /// Its hash: another hash at the same number is another history.
    pub hash: BlockHash,
    /// Its hash's predecessor.
    pub parent: BlockHash,
    /// The chain's clock, to the second. Every deadline on chain is measured with it.
    pub timestamp: UnixTime,
}

/// The hash of a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockHash([u8; 32]);

impl BlockHash {
    /// Wraps the 32 bytes of a block hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockHash({self})")
    }
}

/// A channel as the contract stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelState {
    /// All that was ever locked in it.
    pub deposit: Amount,
    /// What the payee has claimed so far; never above `deposit`, never falling.
    pub claimed: Amount,
    /// When the payer may take the rest; `None` while nobody asked to close.
    pub closes_at: Option<UnixTime>,
    /// Whether it can still be claimed on.
    pub status: ChannelStatus,
}

/// Whether a channel lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelStatus {
    /// It takes claims (also while it is closing).
    Open,
    /// It is over for ever; its id never opens again.
    Closed,
}

/// A call to simulate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRequest {
    /// Who calls.
    pub from: PayoutAddress,
    /// Which contract.
    pub to: PayoutAddress,
    /// The native money sent along.
    pub value: Amount,
    /// The calldata.
    pub data: Vec<u8>,
}

/// What became of a transaction that is in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction.
    pub tx: TxHash,
    /// The block's height.
    pub block: u64,
    /// The block's hash: when it changes, the receipt is void.
    pub block_hash: BlockHash,
    /// Whether the call took effect.
    pub outcome: Outcome,
    /// Gas paid for.
    pub gas_used: u64,
    /// Paid per gas.
    pub gas_price: Amount,
    /// The payment contract's events in it.
    pub events: Vec<ChainEvent>,
}

/// Whether a transaction in a block took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Done,
    /// It was undone and paid for: see the call's [`Revert`] by simulating it.
    Reverted,
}

/// What gas costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fees {
    /// Burnt per gas in the next block.
    pub base_fee: Amount,
    /// Surely burnt per gas in the next block: `base_fee`, unless the endpoints do not agree on it. Then the
    /// least that any of them says; zero if too few say anything.
    pub floor: Amount,
    /// Per gas to the block's maker, to be taken soon.
    pub tip: Amount,
}
