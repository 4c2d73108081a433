//! How a session is paid: a channel or a route is found for it, words are released, vouchers compared.

use warren_proto::{SessionTerms, VoucherAck};

use super::Shell;
use super::live::{Heard, News};
use crate::perform::{Funded, RouteFunds, Ways};
use crate::session::ConsumerEnd;

impl Shell {
    pub(super) fn fund(&mut self, terms: SessionTerms) {
        let (Some(live), Some(plan)) = (&self.live, &self.plan) else {
            return;
        };
        let (session, heard_by) = (live.id(), live.heard_by.clone());
        let deposit = plan.wanted.deposit.max(terms.min_deposit);
        let (purse, key) = (self.parts.purse.clone(), self.parts.key.clone());
        let routes = RouteFunds {
            routes: self.parts.routes.clone(),
            wish: plan.wanted.route.clone(),
            max_fee_ppm: plan.wanted.max_route_fee_ppm,
            kept: self.kept.clone(),
        };
        let (now, overlay) = (self.parts.clock.now(), self.parts.overlay.clone());
        tokio::spawn(async move {
            let tell = |text| {
                let news = News::Told(text);
                // A full inbox loses a line for people, no more.
                let _ = heard_by.try_send(Heard::Session { session, news });
            };
            let ways = Ways {
                overlay: &overlay,
                routes: &routes,
                now,
                tell: &tell,
            };
            let funded = crate::perform::fund(purse.as_ref(), &key, &terms, deposit, &ways).await;
            let news = match funded {
                Ok(Funded::Direct(start, channel)) => News::Funded { start, channel },
                Ok(Funded::Routed(routed)) => News::Routed(routed),
                Err(problem) => News::Unfunded(problem),
            };
            let _ = heard_by.send(Heard::Session { session, news }).await;
        });
    }

    pub(super) async fn release(&mut self, units: u64) {
        let (Some(live), Some(purse)) = (&self.live, &self.parts.purse) else {
            return;
        };
        let Some(channel) = live.channel else { return };
        match purse.release(channel, units).await {
            Ok(frames) => {
                for frame in frames {
                    self.send(frame).await;
                }
            }
            Err(problem) => {
                // Nothing was promised; the provider pauses and both sides say so.
                tracing::warn!(seen = %problem.seen, "words cannot be released");
                if let Some(live) = &mut self.live {
                    live.problem = Some(problem);
                }
            }
        }
    }

    pub(super) async fn resync(&mut self) {
        let (Some(live), Some(purse)) = (&self.live, &self.parts.purse) else {
            return;
        };
        if live.route.is_some() {
            return self.say_words_again().await;
        }
        let Some(channel) = live.channel else { return };
        match purse.resync(channel).await {
            Ok(frames) => {
                for frame in frames {
                    self.send(frame).await;
                }
            }
            Err(problem) => tracing::warn!(seen = %problem.seen, "payments cannot be said again"),
        }
    }

    /// An exit speaks for the channel of this session only.
    pub(super) async fn reconcile(&mut self, ack: VoucherAck) {
        let (Some(live), Some(purse)) = (&self.live, &self.parts.purse) else {
            return;
        };
        if live.channel != Some(ack.channel) {
            return;
        }
        match purse.payee_saw(ack).await {
            Ok(frames) => {
                for frame in frames {
                    self.send(frame).await;
                }
            }
            // What it claims beyond what was released it cannot prove, on chain neither.
            Err(problem) => tracing::warn!(seen = %problem.seen, "the exit's books differ"),
        }
    }

    /// The exit refused what the channel pays: it is asked to show what it holds, for it may hold what another
    /// machine with this wallet has signed. The next start knows.
    pub(super) fn look_into(&self, end: &ConsumerEnd) {
        let ConsumerEnd::PaymentRefused(_) = end else {
            return;
        };
        let (Some(live), Some(purse)) = (&self.live, self.parts.purse.clone()) else {
            return;
        };
        let Some(channel) = live.channel.filter(|_| live.route.is_none()) else {
            return;
        };
        let (node, overlay) = (
            live.machine().offer().offer().node,
            self.parts.overlay.clone(),
        );
        tokio::spawn(async move {
            if let Err(problem) = crate::perform::see(&overlay, &purse, (channel, node)).await {
                tracing::info!(seen = %problem.seen, "the exit does not say why it refused");
            }
        });
    }

    pub(super) async fn finish(&mut self) {
        let (Some(live), Some(purse)) = (&self.live, &self.parts.purse) else {
            return;
        };
        let Some(channel) = live.channel else { return };
        match purse.finish(channel).await {
            Ok(Some(frame)) => self.send(frame).await,
            Ok(None) => {}
            Err(problem) => tracing::warn!(seen = %problem.seen, "no last voucher"),
        }
    }
}
