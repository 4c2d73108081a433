//! Signs, saves and sends one account's calls: the shell around [`TxManager`].
//!
//! One task per account; handles to it are cheap to clone.

mod task;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use warren_proto::PayoutAddress;

use super::event::Stake;
use super::manager::{TxManager, TxRules};
use super::outcome::StartError;
use crate::calls::Call;
use crate::chain::Chain;
use crate::store::{ChannelStore, Table};
use crate::wallet::WalletKey;
use task::Task;

pub use super::outcome::{Done, TxError};

/// Calls that may wait for the task at once.
const INBOX: usize = 64;

/// How an account's transactions are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmitterConfig {
    /// When to be content and when to pay more.
    pub rules: TxRules,
    /// How often the chain is asked for a new block.
    pub poll: Duration,
    /// How long the newest block may be the same before what is on its way is said again, and pays more.
    pub max_silence: Duration,
}

/// A handle to one account's task. The task ends with the last handle.
#[derive(Clone)]
pub struct Submitter {
    account: PayoutAddress,
    inbox: mpsc::Sender<Order>,
}

struct Order {
    call: Call,
    /// The same call again is the same job.
    once: bool,
    stake: Option<Stake>,
    answer: oneshot::Sender<Result<Done, TxError>>,
}

type Waiter = (&'static str, oneshot::Sender<Result<Done, TxError>>);

impl Submitter {
    /// Starts the task and resumes what was on its way before a restart.
    ///
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] if what was on its way cannot be read.
    pub fn start(
        chain: Arc<dyn Chain>,
        store: Arc<dyn ChannelStore>,
        key: WalletKey,
        config: SubmitterConfig,
    ) -> Result<Self, StartError> {
        Self::start_telling(chain, store, key, config, None)
    }

    /// The same; `told` hears of every transaction that is confirmed, whether it took effect or not.
    ///
    /// # Errors
    /// [`StartError`] if what was on its way cannot be read.
    pub fn start_telling(
        chain: Arc<dyn Chain>,
        store: Arc<dyn ChannelStore>,
        key: WalletKey,
        config: SubmitterConfig,
        told: Option<mpsc::Sender<Done>>,
    ) -> Result<Self, StartError> {
        let account = key.address();
        let manager = TxManager::restored(config.rules, account, &store.scan(Table::Tx)?)?;
        let (inbox, orders) = mpsc::channel(INBOX);
        let waiters = BTreeMap::new();
        // Sent before a restart, maybe.
        let taken = manager.watched().collect();
        let task = Task {
            chain,
            store,
            key,
            config,
            manager,
            waiters,
            told,
            tries: 0,
            taken,
            refusal: None,
            newest: None,
        };
        tokio::spawn(task.run(orders));
        Ok(Self { account, inbox })
    }

    /// The account that pays.
    #[must_use]
    pub const fn account(&self) -> PayoutAddress {
        self.account
    }

    /// Whether the task has ended, as it does when the store fails: nothing may be sent then. A new
    /// one goes on with what is on disk.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Makes a call and waits until it is confirmed.
    ///
    /// A call that can only work once (open, claim, close) is merged with the same call already
    /// on its way. Dropping the future does not take the call back.
    ///
    /// # Errors
    /// [`TxError`]; after [`TxError::Stopped`] the call may still happen.
    pub async fn submit(&self, call: Call) -> Result<Done, TxError> {
        let once = call.works_once();
        self.order(call, once, None).await
    }

    /// The same for a call that is lost if it comes too late; asked for again, its stake is what was
    /// said last.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn submit_at_stake(&self, call: Call, stake: Stake) -> Result<Done, TxError> {
        let once = call.works_once();
        self.order(call, once, Some(stake)).await
    }

    /// The same, merged with the very same call already on its way: for one that funds a key that
    /// is funded once.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn submit_once(&self, call: Call) -> Result<Done, TxError> {
        self.order(call, true, None).await
    }

    async fn order(&self, call: Call, once: bool, stake: Option<Stake>) -> Result<Done, TxError> {
        let name = call.name();
        let (answer, result) = oneshot::channel();
        let order = Order {
            call,
            once,
            stake,
            answer,
        };
        self.inbox
            .send(order)
            .await
            .map_err(|_| TxError::Stopped { call: name })?;
        result.await.unwrap_or(Err(TxError::Stopped { call: name }))
    }
}

impl fmt::Debug for Submitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Submitter({})", self.account)
    }
}
