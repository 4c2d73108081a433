//! One endpoint: asked within bounds, and believed only while it is on the pinned chain.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use warren_proto::ChainRef;

use super::health::{Event, Health, Pinned};
use crate::error::Remedy;
use crate::eth::EthNode;
use crate::json::quantity;
use crate::{Chain as _, ChainError, ChainFuture, Endpoint, EndpointState};

/// Questions to one endpoint that may wait for an answer at once; our choice.
const MAX_ASKING: usize = 64;

/// What the endpoints are asked, each in its own task.
pub(super) type Question<T> = Arc<dyn Fn(At) -> ChainFuture<'static, T> + Send + Sync>;

/// Makes a question of a function that asks.
pub(super) fn question<T, F, R>(ask: F) -> Question<T>
where
    F: Fn(At) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T, ChainError>> + Send + 'static,
{
    Arc::new(move |at| Box::pin(ask(at)))
}

/// An endpoint as it was at one block: so that those who are ahead answer as those who are not.
#[derive(Debug, Clone)]
pub(super) struct At {
    node: Arc<dyn EthNode>,
    /// `None`: as it is now.
    block: Option<u64>,
}

impl EthNode for At {
    fn pins(&self) -> ChainRef {
        self.node.pins()
    }

    fn ask(&self, method: &'static str, mut params: Value) -> ChainFuture<'_, Value> {
        let of_state = matches!(
            method,
            "eth_call" | "eth_getBalance" | "eth_getTransactionCount" | "eth_getCode"
        );
        // How many blocks, up to which one, which shares.
        let place = if method == "eth_feeHistory" {
            1
        } else {
            usize::MAX
        };
        let tag = params.as_array_mut().and_then(|it| {
            let last = it.len().checked_sub(1).filter(|_| of_state);
            it.get_mut(last.unwrap_or(place))
        });
        if let (Some(block), Some(tag)) = (self.block, tag)
            && tag == "latest"
        {
            *tag = quantity(block);
        }
        self.node.ask(method, params)
    }
}

/// One endpoint with what is known of it.
#[derive(Debug)]
pub(super) struct Seat {
    name: String,
    node: Arc<dyn EthNode>,
    health: Mutex<Health>,
    slots: Semaphore,
    /// Held by whoever looks at the pins.
    looking: tokio::sync::Mutex<()>,
    begun: Instant,
}

impl Seat {
    pub(super) fn new(name: String, node: Arc<dyn EthNode>) -> Self {
        Self {
            name,
            node,
            health: Mutex::default(),
            slots: Semaphore::new(MAX_ASKING),
            looking: tokio::sync::Mutex::default(),
            begun: Instant::now(),
        }
    }

    pub(super) fn health(&self) -> Health {
        self.health
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn note(&self, event: &Event) {
        let now = self.now();
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        *health = health.handle(event, now);
    }

    pub(super) fn is_resting(&self) -> bool {
        self.health().is_resting(self.now())
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Asks, as of `block`, after a look at the pins where that is due.
    pub(super) async fn ask<T>(
        &self,
        block: Option<u64>,
        question: Question<T>,
    ) -> Result<T, ChainError> {
        let _slot = self.slots.try_acquire().map_err(|_| ChainError::Busy {
            code: 0,
            message: format!("{MAX_ASKING} questions wait already"),
        })?;
        self.admit().await?;
        let asked = Instant::now();
        let answer = question(self.at(block)).await;
        match &answer {
            Err(error) if error.remedy() != Remedy::Final => self.failed(error),
            Ok(_) | Err(_) => self.note(&Event::Answered {
                after: asked.elapsed(),
            }),
        }
        answer
    }

    /// Looks at chain id, code and token now.
    pub(super) async fn look(&self) -> Result<(), ChainError> {
        let _one = self.looking.lock().await;
        let asked = Instant::now();
        self.look_once().await?;
        self.note(&Event::Answered {
            after: asked.elapsed(),
        });
        Ok(())
    }

    /// Lets through whoever is known to be on the pinned chain; finds out first where that is due.
    async fn admit(&self) -> Result<(), ChainError> {
        let health = self.health();
        if !health.is_due() {
            return Ok(());
        }
        if let Pinned::Wrong(error) = &health.pinned
            && health.is_resting(self.now())
        {
            return Err(error.clone());
        }
        let before = health.asked;
        let _one = self.looking.lock().await;
        let health = self.health();
        match (health.is_due(), health.trouble) {
            (false, _) => Ok(()),
            // Somebody looked while this one waited: no queue of looks at an endpoint that is gone.
            (true, Some(detail)) if health.asked != before => {
                Err(ChainError::Unreachable { detail })
            }
            (true, _) => self.look_once().await,
        }
    }

    async fn look_once(&self) -> Result<(), ChainError> {
        match self.at(None).verify_contract().await {
            Ok(()) => {
                self.note(&Event::Fits);
                Ok(())
            }
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }

    fn failed(&self, error: &ChainError) {
        tracing::debug!(endpoint = %self.name, %error, "chain endpoint gave no answer");
        self.note(&Event::Failed {
            error: error.clone(),
            chance: rand::random(),
        });
    }

    fn at(&self, block: Option<u64>) -> At {
        At {
            node: Arc::clone(&self.node),
            block,
        }
    }

    /// What people may know of it; `best` is the highest block that any endpoint told of.
    pub(super) fn report(&self, best: Option<u64>) -> Endpoint {
        let health = self.health();
        let state = match &health.pinned {
            Pinned::Wrong(_) => EndpointState::Wrong,
            Pinned::Unchecked if health.asked == 0 => EndpointState::Unasked,
            Pinned::Unchecked | Pinned::Sound(_) if health.trouble.is_some() => EndpointState::Down,
            Pinned::Unchecked | Pinned::Sound(_) => EndpointState::Up,
        };
        let lag = best
            .zip(health.head)
            .map(|(best, own)| best.saturating_sub(own));
        Endpoint {
            name: self.name.clone(),
            state,
            latency: health.latency,
            head: health.head,
            lag,
            asked: health.asked,
            errors: health.errors,
            overruled: health.overruled,
            resting: health.is_resting(self.now()),
            trouble: health.trouble,
        }
    }
}
