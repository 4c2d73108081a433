//! How a session is paid: a channel or a route is found for it, words are released, vouchers compared.

use std::time::Duration;

use warren_proto::{Amount, ChannelId, SessionTerms, VoucherAck};

use super::Shell;
use super::live::{Heard, News};
use crate::error::{ErrorCode, Problem};
use crate::perform::{self, Funded, Payable, Purse, RouteFunds, Ways};
use crate::session::{ConsumerEnd, ConsumerEvent};

/// Between two looks whether a top-up is confirmed.
const CONFIRMED: Duration = Duration::from_secs(1);
/// For so long it is waited for; what is confirmed later serves the next session.
const TOP_UP_LOOKS: u32 = 300;

/// What the channel that pays alone still holds.
struct Left {
    channel: ChannelId,
    /// Of a word.
    price: Amount,
    deposit: Amount,
    /// Not paid yet.
    left: Amount,
}

impl Shell {
    pub(super) fn fund(&mut self, terms: SessionTerms) {
        let (Some(live), Some(plan)) = (&self.live, &self.plan) else {
            return;
        };
        let (session, heard_by) = (live.id(), live.heard_by.clone());
        let deposit = plan.wanted.deposit; // What is granted asks for no more.
        let (purse, key) = (self.parts.purse.clone(), self.parts.key.clone());
        let routes = RouteFunds {
            routes: self.parts.routes.clone(),
            wish: plan.wanted.route.clone(),
            routers: plan.wanted.routers,
            max_fee_ppm: plan.wanted.max_route_fee_ppm,
            kept: self.kept.clone(),
            openings: plan.openings.clone(),
            payable: live.to_pay.payable(),
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
            let funded = perform::fund(purse.as_ref(), &key, &terms, deposit, &ways).await;
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
                if let Some(live) = &mut self.live {
                    live.unreleased = None;
                }
                for frame in frames {
                    self.send(frame);
                }
            }
            Err(problem) => {
                // Nothing was promised, nor counts as paid; the provider pauses and both sides say so.
                tracing::warn!(seen = %problem.seen, "words cannot be released");
                if let Some(live) = &mut self.live {
                    live.unreleased = Some(problem);
                }
                Box::pin(self.event(ConsumerEvent::Unreleased)).await;
            }
        }
    }

    /// `None` where a route pays, or nothing is paid.
    async fn left(&self) -> Option<Left> {
        let (live, purse) = (self.live.as_ref()?, self.parts.purse.as_ref()?);
        if live.route.is_some() {
            return None;
        }
        let (channel, price) = (live.channel?, live.machine().word_price()?);
        let views = purse.payments().channels().await.ok()?;
        let view = views.iter().find(|it| it.id == channel)?;
        Some(Left {
            channel,
            price,
            deposit: view.deposit,
            left: view.deposit.saturating_sub(view.value),
        })
    }

    /// Tells the machine how far the channel reaches.
    pub(super) async fn count_cover(&mut self) {
        if let Some(left) = self.left().await {
            self.covers(&left).await;
        }
    }

    /// The same once somebody else topped the channel up: a person, or what was ordered long ago.
    pub(super) async fn look_at_cover(&mut self) {
        if self.live.as_ref().is_none_or(|live| live.tops_up) {
            return;
        }
        let counted = self.live.as_ref().map(|it| it.deposit).unwrap_or_default();
        if let Some(left) = self.left().await.filter(|it| it.deposit > counted) {
            self.covers(&left).await;
        }
    }

    async fn covers(&mut self, it: &Left) {
        let Some(live) = &mut self.live else { return };
        (live.deposit, live.no_top_up) = (it.deposit, None);
        let words = it.left.wei().checked_div(it.price.wei());
        let words = u64::try_from(words.unwrap_or(u128::MAX)).unwrap_or(u64::MAX);
        let words = live.machine().released().saturating_add(words);
        Box::pin(self.event(ConsumerEvent::Covers { words })).await;
    }

    /// The purse could not release all that was asked for.
    pub(super) async fn short(&mut self, channel: ChannelId, words: u64) {
        let paying = |it: &super::Live| it.channel == Some(channel) && it.route.is_none();
        if self.live.as_ref().is_some_and(paying) {
            self.event(ConsumerEvent::Short { words }).await;
        }
    }

    /// Deposits more, as long as all that this `up` may cost covers it.
    pub(super) async fn top_up(&mut self) {
        let (Some(it), Some(plan), Some(live)) = (self.left().await, &self.plan, &mut self.live)
        else {
            return self.no_top_up(None).await;
        };
        let cap = plan.may_spend();
        let (channel, price) = (it.channel, it.price);
        let paid = price.checked_mul(live.machine().released());
        let promised = paid.unwrap_or(Amount::MAX).checked_add(it.left);
        let room = cap.saturating_sub(promised.unwrap_or(Amount::MAX));
        let amount = room.min(plan.wanted.deposit);
        let Some(purse) = self.parts.purse.clone().filter(|_| amount >= price) else {
            return self.no_top_up(None).await;
        };
        let (session, heard_by) = (live.id(), live.heard_by.clone());
        let payable = live.to_pay.payable();
        live.tops_up = true;
        tracing::info!(channel = %channel.short(), %amount, "little is left: topped up");
        tokio::spawn(async move {
            let done = deepen(&purse, channel, amount, &payable).await;
            let news = News::ToppedUp(done);
            let _ = heard_by.send(Heard::Session { session, news }).await;
        });
    }

    pub(super) async fn topped_up(&mut self, done: Result<(), Problem>) {
        if let Some(live) = &mut self.live {
            live.tops_up = false;
        }
        match done {
            Ok(()) => self.count_cover().await,
            Err(problem) => self.no_top_up(Some(problem)).await,
        }
    }

    /// `why`: it failed. `None`: the user allows none.
    async fn no_top_up(&mut self, why: Option<Problem>) {
        let event = if why.is_some() {
            ConsumerEvent::TopUpFailed
        } else {
            ConsumerEvent::NotToppedUp
        };
        if let (Some(live), Some(why)) = (&mut self.live, why) {
            tracing::warn!(seen = %why.seen, "no top-up");
            let seen = format!(
                "the channel is used up, and no top-up could be had: {}",
                why.seen
            );
            live.no_top_up = Some(Problem { seen, ..why });
        }
        Box::pin(self.event(event)).await;
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
                    self.send(frame);
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
                    self.send(frame);
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
            Ok(Some(frame)) => self.send(frame),
            Ok(None) => {}
            Err(problem) => tracing::warn!(seen = %problem.seen, "no last voucher"),
        }
    }
}

/// Tops a channel up and waits until it can be paid with.
async fn deepen(
    purse: &Purse,
    channel: ChannelId,
    amount: Amount,
    payable: &Payable,
) -> Result<(), Problem> {
    let deposit = || async {
        let views = purse.payments().channels().await;
        let views = views.map_err(|it| perform::problem(&it))?;
        let found = views.iter().find(|it| it.id == channel);
        Ok::<_, Problem>(found.map(|it| it.deposit).unwrap_or_default())
    };
    perform::check_funds(purse, amount).await?;
    let before = deposit().await?;
    payable.demand()?;
    let topped_up = purse.payments().top_up(channel, amount).await;
    topped_up.map_err(|it| perform::problem(&it))?;
    for _ in 0..TOP_UP_LOOKS {
        if deposit().await? > before {
            return Ok(());
        }
        tokio::time::sleep(CONFIRMED).await;
    }
    let seen = "the deposit is not confirmed after 300 s";
    Err(Problem::new(ErrorCode::ChannelUnusable, seen))
}
