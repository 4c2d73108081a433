//! One node with the product's own task, in a runtime of its own and in its own time: dropping it is what a
//! power cut is to a process.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use warren_payments::chain::Chain;
use warren_payments::chain::dev::DevChain;
use warren_payments::store::{Fault, MemoryStore};
use warren_payments::{Payments, PaymentsConfig, Rate, SettlePolicy, Wallet};
use warren_proto::Amount;

use crate::shaky::{Moods, Shaky};

/// Blocks after which news counts here.
pub(crate) const CONFIRMATIONS: u64 = 3;
/// How long, in the node's time, an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(400);
/// How often a node asks its chain.
const POLL: Duration = Duration::from_millis(100);

pub(crate) struct Node {
    /// `None` only while it is being replaced.
    running: Option<(Runtime, Payments)>,
    node: Arc<Shaky>,
    pub(crate) wallet: Wallet,
    disk: MemoryStore,
}

fn config() -> PaymentsConfig {
    PaymentsConfig {
        confirmations: CONFIRMATIONS,
        poll: POLL,
        max_head_age: None,
        fresh_keys: false,
        tranche_units: 24,
        bump_after_blocks: 2,
        settle: SettlePolicy {
            worth_factor: 0,
            rate: Rate::Guessed(Amount::ZERO),
            ..SettlePolicy::default()
        },
        ..PaymentsConfig::default()
    }
}

impl Node {
    pub(crate) fn new(chain: &DevChain, wallet: Wallet) -> Self {
        let node = Arc::new(Shaky::new(chain.clone()));
        let mut it = Self {
            running: None,
            node,
            wallet,
            disk: MemoryStore::new(),
        };
        it.start();
        it
    }

    fn start(&mut self) {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let runtime = runtime.unwrap();
        let chain: Arc<dyn Chain> = Arc::<Shaky>::clone(&self.node);
        let disk = Arc::new(self.disk.clone());
        let started = runtime.block_on(async {
            // Its news are for people; nobody listens here.
            Payments::start(chain, disk, self.wallet.clone(), config())
                .unwrap()
                .0
        });
        self.running = Some((runtime, started));
    }

    /// The power goes; what is on disk stays.
    pub(crate) fn restart(&mut self) {
        self.running = None;
        self.disk = self.disk.snapshot();
        self.start();
    }

    /// The disk fails from its n-th write on, until it is well again.
    pub(crate) fn spoil(&self, fault: Option<Fault>) {
        self.disk.inject(fault);
    }

    pub(crate) fn writes(&self) -> u64 {
        self.disk.writes()
    }

    pub(crate) fn mood(&self, moods: Moods) {
        self.node.set(moods);
    }

    /// Asks the task; `None` if it does not answer in time. What it began it goes on with.
    pub(crate) fn ask<T, F: Future<Output = T>>(
        &self,
        question: impl FnOnce(Payments) -> F,
    ) -> Option<T> {
        let (runtime, payments) = self.running.as_ref()?;
        let question = question(payments.clone());
        runtime.block_on(async { tokio::time::timeout(PATIENCE, question).await.ok() })
    }

    /// Lets it live for a few looks at the chain.
    pub(crate) fn live(&self, looks: u32) {
        if let Some((runtime, _)) = &self.running {
            runtime.block_on(async { tokio::time::sleep(POLL * looks).await });
        }
    }
}

/// The answer of a future that does not wait, as none of a chain in this process does.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(it) => it,
        Poll::Pending => panic!("nothing here waits"),
    }
}
