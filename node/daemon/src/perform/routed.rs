//! Sessions that are paid by a route: the consumer's locks and words, and the exit's.

use std::time::Duration;

use warren_payments::channel::PayerRefusal;
use warren_payments::{PaymentsError, RouteOut, TakenLock};
use warren_proto::{
    Amount, ChannelId, LockOffer, LockReady, LockReject, NodeId, NodeKey, PayErrorCode, PaymentId,
    RouteFrame, SessionStart, SessionTerms, UnixTime, WordFrame,
};

use super::found::routers;
use super::lock::{LEAST_UNITS, lock, most_units};
use super::second::{self, Need};
use super::way::{KeptLock, Locked, RouteFunds, RouteWish, RoutedStart, Routers, Standing, Way};
use super::{MoneyNews, Purse, Ways, problem};
use crate::error::{ErrorCode, Problem};
use crate::route::believe;
use crate::session::{LockMade, LockNews, ProviderEvent};

/// A lock that ends sooner is not used for another session; our choice.
const STILL_GOOD: Duration = Duration::from_secs(900);

/// Consumer: pays for `terms` by a route, if that is wished and there is one.
///
/// # Errors
/// [`Problem`] if only a route would do, and none does.
pub(super) async fn fund(
    purse: &Purse,
    key: &NodeKey,
    terms: &SessionTerms,
    ways: &Ways<'_>,
) -> Result<Option<RoutedStart>, Problem> {
    let (funds, now) = (ways.routes, ways.now);
    let named = match &funds.wish {
        RouteWish::Direct => return Ok(None),
        RouteWish::Auto => None,
        RouteWish::Through(text) => Some(text.to_ascii_lowercase()),
    };
    let fits = |it: &(ChannelId, NodeId)| {
        let is_named = named.as_ref();
        it.1 != terms.provider && is_named.is_none_or(|text| it.1.to_string().starts_with(text))
    };
    let routers = routers(purse, ways).await?;
    let mut last = None;
    for (channel, router) in routers.into_iter().filter(fits) {
        let routed = by_way(purse, funds, (channel, router), terms, now).await;
        match routed {
            Ok((way, locked)) => {
                let start = routed_start(key, terms, locked.made.payment);
                return Ok(Some(RoutedStart { start, way, locked }));
            }
            Err(problem) => {
                tracing::info!(router = %router.short(), seen = %problem.seen, "no route");
                last = Some(problem);
            }
        }
    }
    match (named, funds.routers) {
        (None, Routers::One) => Ok(None),
        (None, Routers::Two) => Err(last.unwrap_or_else(no_first)),
        (Some(text), _) => Err(last.unwrap_or_else(|| {
            let seen = format!("no open channel to a router whose id begins with `{text}`");
            Problem::new(ErrorCode::RouterUnusable, seen)
                .with_next(format!("warren channel open --router {text}"))
        })),
    }
}

/// A route over two routers is wished for, and no channel leads to a first one.
pub(crate) fn no_first() -> Problem {
    let seen = "a route over two routers begins with a channel to one, and none is open";
    Problem::new(ErrorCode::RouterUnusable, seen).with_next("warren channel open --router auto")
}

/// What binds a payment to the session: said anew for each lock.
pub(crate) fn routed_start(
    key: &NodeKey,
    terms: &SessionTerms,
    payment: PaymentId,
) -> SessionStart {
    SessionStart {
        session: terms.session,
        signature: terms.sign(key),
        payment: None,
        routed: Some(payment),
    }
}

async fn by_way(
    purse: &Purse,
    funds: &RouteFunds,
    (channel, router): (ChannelId, NodeId),
    terms: &SessionTerms,
    now: UnixTime,
) -> Result<(Way, Locked), Problem> {
    // One that the exit holds needs no router: words go past it.
    let kept = funds.kept.iter().find(|it| {
        let same = it.exit == terms.provider
            && it.way.channel == channel
            && it.way.routers() == funds.routers;
        let left = it.made.units.saturating_sub(it.made.said);
        let lives = it.made.serve_until > now.plus(STILL_GOOD);
        same && it.exit_price == terms.unit_price && left >= LEAST_UNITS && lives
    });
    if let Some(KeptLock { way, made, .. }) = kept.copied() {
        return Ok((way, Locked { offer: None, made }));
    }
    funds.routes.meet(channel).await?;
    let hint = funds.routes.said_by(router).ok_or_else(|| {
        let seen = format!("{} does not route payments", router.short());
        Problem::new(ErrorCode::RouterUnusable, seen)
    })?;
    // A stream may stand longer than what was said when it was opened.
    let hint = if hint.hint().valid_until > now {
        hint
    } else {
        funds.routes.terms_of(router).await?
    };
    let hint = *hint.hint();
    let mut way = Way {
        channel,
        router,
        hint,
        second: None,
        unit_price: terms.unit_price,
    };
    match funds.routers {
        Routers::One => {
            let units = most_units(hint.capacity_log2, terms.unit_price);
            let deal = (terms.unit_price, units);
            way.unit_price = believe((&hint, None), terms.chain, deal, funds.max_fee_ppm)?;
        }
        Routers::Two => {
            let made_for = funds.routes.locks_for(terms.provider, terms.unit_price);
            let need = Need {
                first: &hint,
                terms,
                max_fee_ppm: funds.max_fee_ppm,
                refused: &[],
                before: second::newest(&made_for),
            };
            way = way.over(second::chosen(&funds.routes, &need, now).await?);
        }
    }
    if let Some(made) = held_before(purse, funds, &way, terms, now).await? {
        return Ok((way, Locked { offer: None, made }));
    }
    let how = (&funds.routes, funds.max_fee_ppm);
    funds.payable.demand()?;
    let locked = lock(purse, how, &way, terms, now).await?;
    Ok((way, locked))
}

/// A lock of before a restart. What may have been said of it counts as said: a word that the exit never
/// heard is given away with the first one that it does, at most 15 of them (see `RESERVE_UNITS` in
/// warren-payments).
async fn held_before(
    purse: &Purse,
    funds: &RouteFunds,
    way: &Way,
    terms: &SessionTerms,
    now: UnixTime,
) -> Result<Option<LockMade>, Problem> {
    let mut made_for = funds.routes.locks_for(terms.provider, terms.unit_price);
    made_for.retain(|(_, it)| it.second.is_some() == way.second.is_some());
    if made_for.is_empty() {
        return Ok(None);
    }
    let own = purse.payments().own_locks(way.channel).await;
    let own = own.map_err(|it| problem(&it))?;
    let made = own.iter().filter_map(|it| {
        let (_, lock) = made_for
            .iter()
            .find(|(payment, _)| *payment == it.payment)?;
        Some(LockMade {
            payment: it.payment,
            units: it.units,
            said: it.fresh_from?,
            unit_price: it.lock.unit_price,
            serve_until: lock.serve_until,
            hold_fee: Amount::ZERO, // It is paid.
        })
    });
    let good = |it: &LockMade| {
        let left = it.units.saturating_sub(it.said);
        left >= LEAST_UNITS && it.serve_until > now.plus(STILL_GOOD)
    };
    let made = made.filter(good);
    Ok(made.max_by_key(|it| it.units.saturating_sub(it.said)))
}

/// Why words of a lock were not said.
#[derive(Debug)]
pub(crate) struct Unsaid {
    pub(crate) problem: Problem,
    /// No word of it ever will be.
    pub(crate) dead: bool,
}

/// Whether that is so because the lock is rejected, or over.
const fn is_dead(error: &PaymentsError) -> bool {
    matches!(
        error,
        PaymentsError::Refused {
            refusal: PayerRefusal::NotReady { .. }
                | PayerRefusal::LockExpired { .. }
                | PayerRefusal::UnknownPayment { .. },
            ..
        }
    )
}

/// The frame that offers a lock to the router.
pub(crate) fn offered(channel: ChannelId, offer: Box<LockOffer>) -> RouteOut {
    let frame = RouteFrame::Offer(offer);
    RouteOut { channel, frame }
}

impl Purse {
    /// The lock was never offered, or nobody answered for it: no word of it is said.
    ///
    /// Answers what to tell the router.
    pub(crate) async fn give_up_lock(
        &self,
        channel: ChannelId,
        payment: PaymentId,
        standing: Standing,
    ) -> Vec<RouteOut> {
        let held = standing == Standing::Offered;
        let frame = RouteFrame::Reject(LockReject::of(payment, PayErrorCode::NoRoute, held));
        let taken = self.payments.route_frame(channel, frame).await;
        taken.unwrap_or_else(|error| {
            tracing::debug!(%error, "a lock is given up");
            Vec::new()
        })
    }

    /// Says words of one lock: `units` in all.
    pub(crate) async fn release_routed(
        &self,
        channel: ChannelId,
        ready: LockReady,
        units: u32,
    ) -> Result<Vec<WordFrame>, Unsaid> {
        let words = self.payments.release_routed(channel, ready, units).await;
        words.map_err(|error| Unsaid {
            problem: problem(&error),
            dead: is_dead(&error),
        })
    }

    /// Exit: a lock that one of its sessions has named.
    pub(crate) async fn take_lock(
        &self,
        offer: LockOffer,
        unit_price: Amount,
        lane: u32,
    ) -> Result<TakenLock, PayErrorCode> {
        let taken = self.payments.take_lock(offer, unit_price, lane).await;
        taken.map_err(|it| it.code())
    }

    /// Exit: a lock that it took before (its payment, its number now), and whose words are worth so much.
    pub(crate) async fn held_lock(&self, it: (PaymentId, u32), least: Amount) -> Option<TakenLock> {
        let held = self.payments.held_lock(it.0, least, it.1).await;
        held.ok().flatten()
    }

    /// Exit: a consumer's word.
    pub(crate) async fn take_routed_word(&self, ready: LockReady, word: WordFrame) -> MoneyNews {
        let taken = self.payments.accept_routed_word(ready, word.clone()).await;
        let event = match taken {
            Ok(it) => ProviderEvent::Lock(LockNews::Paid {
                payment: it.payment,
                units: it.units,
                word,
            }),
            Err(error) => ProviderEvent::PaymentRefused(error.code()),
        };
        MoneyNews {
            frames: Vec::new(),
            event,
        }
    }

    /// Exit: what it asks the router to fold, if there is anything.
    pub(crate) async fn fold(&self, ready: LockReady, last: bool) -> Option<RouteOut> {
        let asked = self.payments.fulfill(ready, last).await;
        asked.unwrap_or_else(|error| {
            tracing::warn!(%error, "a lock cannot be folded now");
            None
        })
    }

    /// Whether the disk has room for new liabilities.
    pub(crate) fn takes_liabilities(&self) -> bool {
        self.headroom.takes_liabilities()
    }
}
