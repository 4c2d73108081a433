//! Towers, both ways: this node claims for peers that are away, and asks peers to claim for it.
//!
//! A shell. [`warren_payments::tower`] decides; here its messages travel on streams of their own.

mod seek;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use warren_overlay::{Overlay, SessionReceiver, SessionSender};
use warren_payments::Payments;
use warren_payments::tower::{
    Holding, PickerRules, TowerNumbers, TowerPicker, TowerService, TowerView,
};
use warren_proto::{ChannelId, NodeId, SessionFrame, TowerAnswer, TowerPut, TowerVerdict};

use crate::error::Problem;
use crate::perform::problem;

// Our choices.
/// A channel that grows slowly is told anew after so long.
pub(crate) const RENEW: Duration = Duration::from_secs(600);
/// How long a put is kept: the longest close window. It is renewed at half.
pub(crate) const KEEP: Duration = Duration::from_secs(30 * 24 * 3600);
/// For one message, each way.
const PATIENCE: Duration = Duration::from_secs(10);
/// Puts on one stream: all channels that one owner may have here.
const MAX_PUTS: usize = 64;

/// The node's towers; cheap to clone.
#[derive(Clone)]
pub(crate) struct Towers {
    /// `None` unless this node is a tower.
    service: Option<TowerService>,
    /// `None` without money.
    own: Option<Own>,
}

/// This node as a payee.
#[derive(Clone)]
struct Own {
    overlay: Overlay,
    payments: Payments,
    wanted: usize,
    picker: Arc<Mutex<TowerPicker>>,
}

impl Own {
    fn picker(&self) -> MutexGuard<'_, TowerPicker> {
        self.picker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Towers {
    /// A node without money: neither a tower nor in need of one.
    pub(crate) const fn none() -> Self {
        Self {
            service: None,
            own: None,
        }
    }

    pub(crate) fn new(
        overlay: Overlay,
        payments: Payments,
        service: Option<TowerService>,
        rules: PickerRules,
    ) -> Self {
        let own = Own {
            overlay,
            payments,
            wanted: rules.towers,
            picker: Arc::new(Mutex::new(TowerPicker::new(rules))),
        };
        Self {
            service,
            own: Some(own),
        }
    }

    /// Answers the puts of a stream, the first of which has come, until it ends or falls silent.
    pub(crate) async fn serve(
        &self,
        peer: NodeId,
        first: TowerPut,
        (mut sender, mut receiver): (SessionSender, SessionReceiver),
    ) {
        let mut put = first;
        for _ in 0..MAX_PUTS {
            let answer = match &self.service {
                Some(service) => service.put(peer, put).await,
                None => TowerAnswer {
                    locator: put.locator,
                    verdict: TowerVerdict::NoTower,
                    number: 0,
                },
            };
            if sender
                .send(SessionFrame::TowerAnswer(answer))
                .await
                .is_err()
            {
                return;
            }
            let next = tokio::time::timeout(PATIENCE, receiver.recv()).await;
            let Ok(Ok(Some(SessionFrame::TowerPut(next)))) = next else {
                break;
            };
            put = *next;
        }
        // The peer may be gone; closing then has a deadline of its own.
        let _ = sender.close().await;
    }

    /// What this node keeps for others; `None` if it is no tower.
    pub(crate) async fn work(&self) -> Result<Option<Box<TowerView>>, Problem> {
        match &self.service {
            Some(service) => Ok(Some(service.view().await.map_err(|it| problem(&it))?)),
            None => Ok(None),
        }
    }

    pub(crate) fn numbers(&self) -> TowerNumbers {
        let service = self.service.as_ref();
        service.map(TowerService::numbers).unwrap_or_default()
    }

    /// How many towers are wanted for each channel.
    pub(crate) fn wanted(&self) -> usize {
        self.own.as_ref().map_or(0, |it| it.wanted)
    }

    /// What others keep for this node.
    pub(crate) fn held(&self) -> Vec<((ChannelId, NodeId), Holding)> {
        let Some(own) = &self.own else {
            return Vec::new();
        };
        let picker = own.picker();
        picker.held().map(|(key, it)| (*key, *it)).collect()
    }

    pub(crate) fn holding(&self) -> usize {
        let own = self.own.as_ref();
        own.map_or(0, |it| it.picker().held().count())
    }
}
