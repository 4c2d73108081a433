//! What happens in this node, told to whoever listens: each thing once, in order, under a number of its own.
//!
//! Telling never waits. A listener that is slow misses the oldest of what waits for it, and sees by the numbers that it did.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use warren_proto::{ChannelId, NodeId, SessionId};

use crate::api::types::{NodeEvent, NodeEventKind, Timestamp};
use crate::clock::Clock;
use crate::error::Problem;

// Our choices.
/// Events kept for listeners that are slow.
const KEPT: usize = 256;
/// Events on their way to one of them.
const ON_THE_WAY: usize = 64;

/// What happened, before it has a number and a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    kind: NodeEventKind,
    text: String,
    node: Option<NodeId>,
    session: Option<SessionId>,
    channel: Option<ChannelId>,
}

impl News {
    /// Something of this kind, in words for people.
    pub(crate) fn of(kind: NodeEventKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            node: None,
            session: None,
            channel: None,
        }
    }

    /// Something that wants looking at, with its code.
    pub(crate) fn warning(problem: &Problem) -> Self {
        Self::of(NodeEventKind::Warning, problem.to_string())
    }

    /// Whom it is about.
    pub(crate) fn node(self, node: NodeId) -> Self {
        let node = Some(node);
        Self { node, ..self }
    }

    /// Which session.
    pub(crate) fn session(self, session: SessionId) -> Self {
        let session = Some(session);
        Self { session, ..self }
    }

    /// Which channel, if there is one.
    pub(crate) fn channel(self, channel: Option<ChannelId>) -> Self {
        Self { channel, ..self }
    }
}

/// The way to all listeners.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    clock: Arc<Clock>,
    told: Arc<Mutex<Told>>,
}

#[derive(Debug)]
struct Told {
    /// The number of the last one.
    last: u64,
    /// `None` once there is nothing more to tell.
    outbox: Option<broadcast::Sender<NodeEvent>>,
}

impl Events {
    pub(crate) fn start(clock: Arc<Clock>) -> Self {
        let (outbox, _) = broadcast::channel(KEPT);
        let told = Told {
            last: 0,
            outbox: Some(outbox),
        };
        Self {
            clock,
            told: Arc::new(Mutex::new(told)),
        }
    }

    /// Tells it to whoever listens now; that may be nobody.
    pub(crate) fn tell(&self, news: News) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // Numbered and sent under one lock, or two of them could pass each other.
        let id = told.last.saturating_add(1);
        let Some(outbox) = &told.outbox else { return };
        let event = NodeEvent {
            id,
            at: Timestamp(self.clock.now()),
            kind: news.kind,
            text: news.text,
            node: news.node,
            session: news.session,
            channel: news.channel,
        };
        let _ = outbox.send(event); // Nobody listening is fine.
        told.last = id;
    }

    /// All that is told from now on, until [`Self::end`].
    pub(crate) fn follow(&self) -> mpsc::Receiver<NodeEvent> {
        let (sender, reader) = mpsc::channel(ON_THE_WAY);
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut source) = told.outbox.as_ref().map(broadcast::Sender::subscribe) else {
            return reader;
        };
        tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    event = source.recv() => event,
                    () = sender.closed() => return,
                };
                match event {
                    Ok(event) => {
                        if sender.send(event).await.is_err() {
                            return;
                        }
                    }
                    // What was missed is told by the gap in the numbers.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
        reader
    }

    /// Nothing more happens: every listener hears what was told, and then the end.
    pub(crate) fn end(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.outbox = None;
    }
}
