//! The way to the consumer's loop.

use std::path::Path;

use tokio::sync::{mpsc, oneshot};
use warren_proto::ChannelId;
use warren_tunnel::host::LocalAccess;

use super::host::Line;
use super::watch::Watch;
use super::{ConsumerFacts, ConsumerParts, INBOX, Order, Shell, Wanted};
use crate::api::types::{DownRequest, UpEvent};
use crate::error::{ErrorCode, Problem};

/// What the daemon before this one left blocked; made before all else, for a start may fail.
pub(crate) struct Adopted {
    line: Line,
    /// `None` if it went well.
    trouble: Option<Problem>,
}

impl Adopted {
    /// What the one before this one blocked stays blocked, and is this one's to lift. Dropping it lifts nothing.
    pub(crate) async fn of(journal: &Path, local: &LocalAccess) -> Self {
        let mut line = Line::new(journal.to_owned(), local.clone());
        let trouble = line.adopt().await.err().map(|error| {
            tracing::error!(%error, "a dead daemon's marks on the network could not be taken over");
            error.problem()
        });
        if line.is_protected() {
            tracing::warn!("blocked since a daemon before this one: `warren down` lifts it");
        }
        Self { line, trouble }
    }
}

/// The way to the loop.
#[derive(Clone)]
pub(crate) struct Consumer {
    orders: mpsc::Sender<Order>,
}

impl Consumer {
    /// Starts the loop; it ends when the last handle is dropped, and leaves the kill switch as it
    /// is: only `down` or `recover` lifts it.
    pub(crate) fn start(parts: ConsumerParts, adopted: Adopted) -> Self {
        let (orders, inbox) = mpsc::channel(INBOX);
        let (heard_by, heard) = mpsc::channel(64);
        let shell = Shell {
            parts,
            line: adopted.line,
            live: None,
            leaving: Default::default(),
            plan: None,
            plans: 0,
            failed: Default::default(),
            kept: Vec::new(),
            heard_by,
            heard,
            facts: Default::default(),
            watch: Watch::begun_with(adopted.trouble),
        };
        tokio::spawn(shell.run(inbox));
        Self { orders }
    }

    pub(crate) async fn up(&self, wanted: Wanted) -> Result<mpsc::Receiver<UpEvent>, Problem> {
        let (progress, events) = mpsc::channel(64);
        self.send(Order::Up {
            wanted: Box::new(wanted),
            progress: Some(progress),
        })
        .await?;
        Ok(events)
    }

    /// A tunnel is wanted, whoever waits for it: it is looked for until it is up, and again when it is lost. Meanwhile
    /// all is blocked, if a kill switch is wanted.
    pub(crate) async fn keep_up(&self, wanted: Wanted) -> Result<(), Problem> {
        let wanted = Box::new(wanted);
        let progress = None;
        self.send(Order::Up { wanted, progress }).await
    }

    pub(crate) async fn down(&self, request: DownRequest) -> Result<Box<ConsumerFacts>, Problem> {
        let (reply, answer) = oneshot::channel();
        self.send(Order::Down { request, reply }).await?;
        answer.await.map_err(|_| stopped())?
    }

    pub(crate) async fn view(&self) -> Result<Box<ConsumerFacts>, Problem> {
        let (reply, answer) = oneshot::channel();
        self.send(Order::View { reply }).await?;
        answer.await.map_err(|_| stopped())
    }

    /// The purse released `words` less than it was asked for.
    pub(crate) async fn short(&self, channel: ChannelId, words: u64) {
        let _ = self.send(Order::Short { channel, words }).await;
    }

    async fn send(&self, order: Order) -> Result<(), Problem> {
        self.orders.send(order).await.map_err(|_| stopped())
    }
}

fn stopped() -> Problem {
    Problem::new(
        ErrorCode::ShuttingDown,
        "the consumer's part of the node has ended",
    )
}
