//! Keeps the exit on for as long as its owner wants it, and known by where it is.
//!
//! At boot there may be no route and no names yet; later its device may be deleted, or its line get
//! another address. What failed is tried again, less and less often; what is known is looked up anew.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{Mutex as Gate, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::{Node, known, lasting};
use crate::api::types::ExitEnableRequest;
use crate::error::{ErrorCode, Problem};
use crate::events::News;
use crate::provider::{Known, Order, is_on};

// Our choice.
/// Between two looks at whether the exit is on.
const LOOK: Duration = Duration::from_secs(1);
/// Looks until the first try again, and at most.
const PAUSES: (u32, u32) = (2, 60);
/// Looks between two look-ups of the exit's own names: dynamic names live about so long.
const KNOWN: u32 = 60;

/// What is wanted of the exit, and how that goes.
#[derive(Debug)]
pub(crate) struct Keeping {
    /// `None` while the owner wants no exit.
    wish: watch::Sender<Option<ExitEnableRequest>>,
    /// Why it is not on though wanted. `None` if it is, or is not wanted.
    trouble: Mutex<Option<Problem>>,
    /// The addresses denied to guests last.
    denied: Mutex<Vec<IpNet>>,
    /// Whoever turns the exit on or off holds this: one at a time.
    gate: Gate<()>,
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            wish: watch::channel(None).0,
            trouble: Mutex::default(),
            denied: Mutex::default(),
            gate: Gate::default(),
        }
    }
}

impl Keeping {
    pub(super) fn trouble(&self) -> Option<Problem> {
        held(&self.trouble).clone()
    }

    /// Says whether that is news.
    fn set_trouble(&self, trouble: Option<Problem>) -> bool {
        std::mem::replace(&mut *held(&self.trouble), trouble.clone()) != trouble
    }
}

/// What is in there is replaced as a whole, so a poisoned lock holds something good.
fn held<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// Turns the exit on for its owner, and keeps it so once that worked.
    pub(super) async fn begin_exit(&self, request: &ExitEnableRequest) -> Result<(), Problem> {
        let _alone = self.keeping.gate.lock().await;
        // Consent is on file once it is on; to type it once is enough.
        let kept = ExitEnableRequest {
            policy_hash: None,
            phrase: None,
            ..request.clone()
        };
        if self.is_on().await {
            // As asked for: a restart, or the configuration, was quicker.
            let is_it = self.keeping.wish.borrow().as_ref() == Some(&kept);
            return if is_it { Ok(()) } else { Err(is_on()) };
        }
        self.try_exit(request).await?;
        if let Err(error) = lasting::on(&self.config.node.home, &kept) {
            tracing::error!(%error, "the exit is on, and will not be after a restart");
        }
        self.keeping.wish.send_replace(Some(kept));
        Ok(())
    }

    async fn try_exit(&self, request: &ExitEnableRequest) -> Result<(), Problem> {
        if *self.ending.borrow() {
            return Err(Problem::new(ErrorCode::ShuttingDown, "the node ends"));
        }
        self.become_exit(request).await?;
        self.keeping.set_trouble(None);
        Ok(())
    }

    /// Turns the exit off for its owner, for the time after a restart too.
    pub(super) async fn give_up_exit(&self) -> Result<(), Problem> {
        // Whoever turns it on is waited for: it would want it again.
        let _alone = self.keeping.gate.lock().await;
        lasting::off(&self.config.node.home, self.config.exit.enabled)
            .map_err(|error| Problem::new(ErrorCode::HomeUnusable, error))?;
        self.end_alone().await
    }

    /// Turns the exit off, or ends the tries to turn it on.
    pub(super) async fn end_exit(&self) -> Result<(), Problem> {
        let _alone = self.keeping.gate.lock().await;
        self.end_alone().await
    }

    async fn end_alone(&self) -> Result<(), Problem> {
        let wanted = self.keeping.wish.send_replace(None).is_some();
        self.keeping.set_trouble(None);
        match self.provider.disable().await {
            Err(problem) if wanted && problem.is(ErrorCode::ExitOff) => Ok(()),
            ended => ended,
        }
    }

    /// Keeps the exit until the node ends; begins with it where the configuration says so.
    pub(super) async fn keep_exit(self: Arc<Self>) {
        let mut ending = self.ending.subscribe();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut pause, mut wait, mut since_known) = (PAUSES.0, 0_u32, 0_u32);
        loop {
            tokio::select! {
                _ = ending.wait_for(|it| *it) => return,
                _ = looks.tick() => {}
            }
            let wish = self.keeping.wish.borrow().clone();
            let Some(request) = wish else {
                (pause, wait) = (PAUSES.0, 0);
                continue;
            };
            if self.is_on().await {
                (pause, wait) = (PAUSES.0, 0);
                since_known = since_known.saturating_add(1);
                if since_known >= KNOWN {
                    since_known = 0;
                    self.know_again().await;
                }
                continue;
            }
            if wait > 0 {
                wait -= 1;
                continue;
            }
            if !self.try_wanted(&request).await {
                wait = pause;
                pause = pause.saturating_mul(2).min(PAUSES.1);
            }
        }
    }

    /// Whether the exit is on. One that is on is heard of: else it is told to say so.
    async fn is_on(&self) -> bool {
        let Ok(Some(on)) = self.provider.view().await.map(|it| it.on) else {
            return false;
        };
        match self.overlay.own_offer().await {
            Ok(Some(out)) if out.offer().is_withdrawal() => {
                self.provider.tell(Order::Unheard).await;
            }
            Ok(Some(out)) if out.hash() != on.offer_hash => {
                self.provider.tell(Order::Renewed(Box::new(out))).await;
            }
            Ok(None) => self.provider.tell(Order::Unheard).await,
            Ok(Some(_)) | Err(_) => {}
        }
        true
    }

    /// Whether the exit is on now, or wanted no more.
    async fn try_wanted(&self, request: &ExitEnableRequest) -> bool {
        let _alone = self.keeping.gate.lock().await;
        // Whoever was waited for may have given it up, or turned it on, as wished now.
        let is_wished = self.keeping.wish.borrow().as_ref() == Some(request);
        if !is_wished || self.is_on().await {
            return true;
        }
        match self.try_exit(request).await {
            Ok(()) => {
                tracing::info!("the exit is on, as wanted");
                true
            }
            Err(problem) => {
                let (code, seen) = (problem.code.clone(), problem.seen.clone());
                let news = News::warning(&problem);
                if self.keeping.set_trouble(Some(problem)) {
                    self.events.tell(news);
                    tracing::error!(code, seen, "the exit is not on; tried again");
                }
                false
            }
        }
    }

    async fn know_again(&self) {
        match self.known_now().await {
            Ok(known) => self.provider.known_by(known).await,
            Err(problem) => tracing::warn!(seen = %problem.seen, "this exit stays known as before"),
        }
    }

    /// Where this exit is known now.
    pub(super) async fn known_now(&self) -> Result<Known, Problem> {
        let (endpoints, overlay) = (&self.config.exit.endpoints, &self.config.overlay);
        let outer = (&overlay.external[..], &overlay.listen[..]);
        let before = held(&self.keeping.denied).clone();
        let known = known::look_up(endpoints, outer, &before).await?;
        held(&self.keeping.denied).clone_from(&known.deny);
        Ok(known)
    }

    /// Wants the exit from the start, as its owner said last, or as configured.
    pub(super) fn want_exit(&self) {
        let configured = self.config.exit.enabled;
        let wanted = lasting::wanted(&self.config.node.home, configured);
        if configured && wanted.is_none() {
            tracing::warn!("no exit though exit.enabled is true: `warren exit disable` was said");
        }
        self.keeping.wish.send_replace(wanted);
    }
}
