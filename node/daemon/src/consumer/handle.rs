//! The way to the consumer's loop.

use tokio::sync::{mpsc, oneshot};
use warren_proto::ChannelId;

use super::host::Line;
use super::{ConsumerFacts, ConsumerParts, INBOX, Order, Shell, Wanted};
use crate::api::types::{DownRequest, UpEvent};
use crate::error::{ErrorCode, Problem};

/// The way to the loop.
#[derive(Clone)]
pub(crate) struct Consumer {
    orders: mpsc::Sender<Order>,
}

impl Consumer {
    /// Starts the loop; it ends when the last handle is dropped, and leaves the kill switch as it
    /// is: only `down` or `recover` lifts it.
    pub(crate) fn start(parts: ConsumerParts) -> Self {
        let (orders, inbox) = mpsc::channel(INBOX);
        let (heard_by, heard) = mpsc::channel(64);
        let line = Line::new(parts.journal.clone());
        let shell = Shell {
            parts,
            line,
            live: None,
            leaving: Default::default(),
            plan: None,
            plans: 0,
            kept: Vec::new(),
            heard_by,
            heard,
            facts: Default::default(),
            watch: Default::default(),
        };
        tokio::spawn(shell.run(inbox));
        Self { orders }
    }

    pub(crate) async fn up(&self, wanted: Wanted) -> Result<mpsc::Receiver<UpEvent>, Problem> {
        let (progress, events) = mpsc::channel(64);
        self.send(Order::Up {
            wanted: Box::new(wanted),
            progress,
        })
        .await?;
        Ok(events)
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
