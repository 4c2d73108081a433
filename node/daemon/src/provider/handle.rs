//! The way to the provider's loop.

use tokio::sync::{mpsc, oneshot};
use warren_proto::{NodeId, SessionId};

use super::{Enable, INBOX, Known, Order, ProviderFacts, ProviderParts, Shell};
use crate::error::{ErrorCode, Problem};

/// The way to the loop.
#[derive(Clone)]
pub(crate) struct Provider {
    orders: mpsc::Sender<Order>,
}

impl Provider {
    /// Starts the loop; nothing is shared before an `Enable`.
    pub(crate) fn start(parts: ProviderParts) -> Self {
        let (orders, inbox) = mpsc::channel(INBOX);
        tokio::spawn(Shell::new(parts).run(inbox));
        Self { orders }
    }

    pub(crate) async fn enable(&self, what: Enable) -> Result<(), Problem> {
        self.ask(|reply| Order::Enable {
            what: Box::new(what),
            reply,
        })
        .await?
    }

    pub(crate) async fn disable(&self) -> Result<(), Problem> {
        self.ask(|reply| Order::Disable { reply }).await?
    }

    /// Ends the session of the guest that `whom` names: which that was.
    pub(crate) async fn kick(&self, whom: String) -> Result<(SessionId, NodeId), Problem> {
        self.ask(|reply| Order::Kick { whom, reply }).await?
    }

    pub(crate) async fn view(&self) -> Result<Box<ProviderFacts>, Problem> {
        self.ask(|reply| Order::View { reply }).await
    }

    /// What this exit is known by from now on.
    pub(crate) async fn known_by(&self, known: Known) {
        self.tell(Order::Known(Box::new(known))).await;
    }

    pub(crate) async fn tell(&self, order: Order) {
        // The loop outlives every sender but the last; there is nobody left to tell then.
        let _ = self.orders.send(order).await;
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        self.orders
            .send(order(reply))
            .await
            .map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())
    }
}

fn stopped() -> Problem {
    Problem::new(
        ErrorCode::ShuttingDown,
        "the exit's part of the node has ended",
    )
}
