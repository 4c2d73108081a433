//! Guests that a route pays for: locks from routers, and words of them.

use warren_proto::{LockOffer, LockReady, PayErrorCode, PaymentId, SessionId};

use super::Shell;
use crate::perform::Purse;
use crate::route::OfferedLock;
use crate::session::{LockNews, LockOrder, ProviderEvent};

impl Shell {
    /// A router offers a lock: it is taken if one of the sessions here has named its payment.
    pub(super) async fn lock_offered(&mut self, offered: OfferedLock) {
        let OfferedLock { offer, reply } = offered;
        let taken = self.take_lock(*offer).await;
        if let Err(code) = &taken {
            tracing::info!(%code, "a lock of a route is not taken");
        }
        let _ = reply.send(taken); // The router's stream may have ended.
    }

    async fn take_lock(&mut self, offer: LockOffer) -> Result<LockReady, PayErrorCode> {
        let purse = self.parts.purse.clone().ok_or(PayErrorCode::Internal)?;
        let guests = self.guests().ok_or(PayErrorCode::NoRoute)?;
        let mut guests = guests.iter();
        let named =
            guests.find_map(|(id, it)| it.machine.awaits_lock(&offer.payment).map(|it| (*id, it)));
        let (session, (lane, unit_price)) = named.ok_or(PayErrorCode::NoRoute)?;
        if self.is_taken(&offer.payment) {
            return Err(PayErrorCode::AnchorReused);
        }
        if !self.parts.headroom.takes_liabilities() {
            return Err(PayErrorCode::NoCapacity);
        }
        let taken = purse.take_lock(offer, unit_price, lane).await?;
        self.lock_held(session, taken).await;
        Ok(taken.ready)
    }

    /// Whether one of the sessions here is paid by it.
    fn is_taken(&self, payment: &PaymentId) -> bool {
        let mut guests = self.guests().into_iter().flatten();
        guests.any(|(_, guest)| guest.machine.holds_lock(payment))
    }

    async fn lock_held(&mut self, session: SessionId, taken: warren_payments::TakenLock) {
        let exit = self.exit.as_mut();
        if let Some(guest) = exit.and_then(|it| it.guests.get_mut(&session)) {
            guest.channel = Some(taken.ready.channel);
        }
        let news = LockNews::Held {
            ready: taken.ready,
            units: taken.units,
            serve_until: taken.serve_until,
        };
        Box::pin(self.event(session, ProviderEvent::Lock(news))).await;
    }

    pub(super) async fn perform_lock(&mut self, session: SessionId, order: LockOrder) {
        let Some(purse) = self.parts.purse.clone() else {
            return;
        };
        match order {
            // Whoever names a payment that another session is paid by waits for nothing.
            LockOrder::Find { payment, .. } if self.is_taken(&payment) => {
                tracing::warn!(session = %session.short(), "a payment of another session is named");
            }
            LockOrder::Find { payment, lane } => {
                let guest = self.guests().and_then(|it| it.get(&session));
                let Some(guest) = guest else { return };
                let unit_price = guest.machine.terms().unit_price;
                let held = purse.held_lock((payment, lane), unit_price);
                if let Some(taken) = held.await {
                    self.lock_held(session, taken).await;
                }
            }
            LockOrder::TakeWord { ready, word } => {
                let heard = purse.take_routed_word(ready, word).await;
                self.money(session, heard).await;
            }
            LockOrder::Fold { ready, last } => self.fold(&purse, ready, last).await,
        }
    }

    async fn fold(&self, purse: &Purse, ready: LockReady, last: bool) {
        if let Some(out) = purse.fold(ready, last).await {
            self.parts.routes.tell(out);
        }
    }
}
