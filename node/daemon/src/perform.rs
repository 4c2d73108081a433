//! Where sessions meet money: the one place that turns session effects into payments.
//!
//! The role loops bring overlay and tunnel together; this file brings in payments. Nothing else
//! in the node names all three.

mod asking;
mod found;
mod lock;
mod openings;
mod routed;
mod second;
#[cfg(test)]
pub(crate) mod tests;
mod way;

use std::time::Duration;

use warren_overlay::Overlay;
use warren_payments::SessionAuth;
use warren_payments::channel::PayerRefusal;
use warren_payments::{Accepted, ChainTrouble, ChannelView, Payments, PaymentsError, Phase, Role};
use warren_proto::{
    Amount, ChannelId, NodeKey, PayErrorCode, PayoutAddress, SessionFrame, SessionStart,
    SessionTerms, StartPayment, UnixTime, Voucher, VoucherAck, WordFrame,
};

use crate::error::{ErrorCode, Problem};
use crate::session::ProviderEvent;
use crate::store::{self, Headroom};

pub(crate) use asking::{answer_payer, ask_payee, say};
pub(crate) use found::{hear_chain, payees, see};
pub(crate) use lock::next_lock;
pub(crate) use openings::{Openings, Payable, ToPay, can_open, check_funds, covers, open};
pub(crate) use routed::{Unsaid, no_first, offered, routed_start};
pub(crate) use second::none as no_second;
pub(crate) use way::{
    KeptLock, Locked, RouteFunds, RouteWish, RoutedStart, Routers, Standing, Way,
};

/// How long a payee waits for the deposit of a started session to be confirmed.
const DEPOSIT_WAIT: Duration = Duration::from_secs(280);

/// The node's money, as sessions use it.
#[derive(Clone, Debug)]
pub(crate) struct Purse {
    payments: Payments,
    headroom: Headroom,
}

/// What a payee's session learns from one payment message.
#[derive(Debug)]
pub(crate) struct MoneyNews {
    pub frames: Vec<SessionFrame>,
    pub event: ProviderEvent,
}

impl Purse {
    pub(crate) const fn new(payments: Payments, headroom: Headroom) -> Self {
        Self { payments, headroom }
    }

    pub(crate) const fn payments(&self) -> &Payments {
        &self.payments
    }

    /// Has `units` words released in this session; the frames to send, in order.
    pub(crate) async fn release(
        &self,
        channel: ChannelId,
        units: u64,
    ) -> Result<Vec<SessionFrame>, Problem> {
        let frames = self
            .payments
            .release(channel, units)
            .await
            .map_err(|it| problem(&it))?;
        Ok(frames.into_iter().map(SessionFrame::from).collect())
    }

    /// The voucher in force and the words it needs again, for a stream that is new.
    pub(crate) async fn resync(&self, channel: ChannelId) -> Result<Vec<SessionFrame>, Problem> {
        let frames = self
            .payments
            .repeat(channel)
            .await
            .map_err(|it| problem(&it))?;
        Ok(frames.into_iter().map(SessionFrame::from).collect())
    }

    /// Compares the books with what the payee says it holds; the frames to send for it.
    pub(crate) async fn payee_saw(&self, ack: VoucherAck) -> Result<Vec<SessionFrame>, Problem> {
        let frames = self.payments.payee_saw(ack).await;
        let frames = frames.map_err(|it| problem(&it))?;
        Ok(frames.into_iter().map(SessionFrame::from).collect())
    }

    /// Folds what was released into a plain total.
    pub(crate) async fn finish(&self, channel: ChannelId) -> Result<Option<SessionFrame>, Problem> {
        match self.payments.finish(channel).await {
            Ok(voucher) => Ok(Some(SessionFrame::Voucher(voucher))),
            Err(error) => Err(problem(&error)),
        }
    }

    pub(crate) async fn take_voucher(&self, voucher: Voucher) -> MoneyNews {
        let taken = self.payments.accept_voucher(voucher).await;
        let ack = |it: &Accepted| vec![SessionFrame::VoucherAck(it.ack)];
        MoneyNews {
            frames: taken.as_ref().map(ack).unwrap_or_default(),
            event: told(taken),
        }
    }

    pub(crate) async fn take_word(&self, channel: ChannelId, word: WordFrame) -> MoneyNews {
        let taken = self.payments.accept_word(channel, word).await;
        MoneyNews {
            frames: Vec::new(),
            event: told(taken),
        }
    }

    /// Makes the words of a session that is over durable; claiming follows the settle policy.
    pub(crate) async fn session_ended(&self, channel: ChannelId) {
        if let Err(error) = self.payments.held(channel).await {
            tracing::warn!(channel = %channel.short(), %error, "channel of an ended session");
        }
    }
}

fn told(taken: Result<Accepted, PayErrorCode>) -> ProviderEvent {
    match taken {
        Ok(accepted) => ProviderEvent::Paid {
            // Not what the channel could be claimed for: words that a route pays for somebody else raise that.
            value: accepted.paid,
        },
        Err(code) => ProviderEvent::PaymentRefused(code),
    }
}

/// How a consumer's session is paid.
#[derive(Debug)]
pub(crate) enum Funded {
    /// By a channel to the exit; `None` in a free session.
    Direct(Box<SessionStart>, Option<ChannelId>),
    /// By a route.
    Routed(Box<RoutedStart>),
}

/// What a session can be paid by, and who hears what comes of it meanwhile.
pub(crate) struct Ways<'a> {
    pub(crate) overlay: &'a Overlay,
    pub(crate) routes: &'a RouteFunds,
    pub(crate) now: UnixTime,
    pub(crate) tell: &'a (dyn Fn(String) + Send + Sync),
}

/// Consumer: finds a channel that can pay for `terms`, or a route, or opens a channel; and makes the
/// first voucher or lock.
///
/// What an earlier store has opened is found on the chain, and its payee asked for its state, first.
pub(crate) async fn fund(
    purse: Option<&Purse>,
    key: &NodeKey,
    terms: &SessionTerms,
    deposit: Amount,
    ways: &Ways<'_>,
) -> Result<Funded, Problem> {
    let signature = terms.sign(key);
    if terms.price == warren_proto::Price::default() {
        let start = SessionStart {
            session: terms.session,
            signature,
            payment: None,
            routed: None,
        };
        return Ok(Funded::Direct(Box::new(start), None));
    }
    let purse = purse.ok_or_else(|| {
        Problem::new(
            ErrorCode::WalletMissing,
            "a paid exit needs a wallet and a chain",
        )
    })?;
    found::hear_chain(purse).await?;
    let channel = match (&ways.routes.wish, ways.routes.routers) {
        (RouteWish::Direct, _) | (RouteWish::Auto, Routers::One) => {
            direct(purse, ways, terms).await?
        }
        (RouteWish::Auto, Routers::Two) | (RouteWish::Through(_), _) => None,
    };
    if channel.is_none()
        && let Some(routed) = routed::fund(purse, key, terms, ways).await?
    {
        return Ok(Funded::Routed(Box::new(routed)));
    }
    let id = match &channel {
        Some(view) => view.id,
        None => {
            ways.routes.payable.demand()?;
            let opens = open_wanted(purse, ways, terms, deposit);
            ways.routes.openings.once(opens).await?
        }
    };
    let payments = purse.payments();
    payments.wait_usable(id).await.map_err(|it| problem(&it))?;
    // By now another session may pay with it, by words that a new lock would replace.
    ways.routes.payable.demand()?;
    let voucher = payments
        .prepare_lock(id, terms.unit_price)
        .await
        .map_err(|it| problem(&it))?;
    let auth = SessionAuth {
        channel: id,
        payee_nonce: terms.payee_nonce,
        payee: terms.provider,
        not_after: terms.valid_until,
    };
    let auth = payments.sign_auth(auth).await.map_err(|it| problem(&it))?;
    let views = payments.channels().await.map_err(|it| problem(&it))?;
    let params = views
        .iter()
        .find(|view| view.id == id)
        .map(|view| view.params);
    let params = params.ok_or_else(|| problem(&PaymentsError::UnknownChannel { channel: id }))?;
    let payment = Some(StartPayment {
        channel: params,
        auth,
        voucher,
    });
    let start = SessionStart {
        session: terms.session,
        signature,
        payment,
        routed: None,
    };
    Ok(Funded::Direct(Box::new(start), Some(id)))
}

/// An open channel to this exit, known or found.
async fn direct(
    purse: &Purse,
    ways: &Ways<'_>,
    terms: &SessionTerms,
) -> Result<Option<ChannelView>, Problem> {
    if let Some(warm) = warm_channel(purse, terms).await? {
        return Ok(Some(warm));
    }
    found::ask_exit(purse, ways, terms).await?;
    warm_channel(purse, terms).await
}

/// An open channel to this payee with enough left: no transaction, no wait.
async fn warm_channel(purse: &Purse, terms: &SessionTerms) -> Result<Option<ChannelView>, Problem> {
    let views = purse.payments().channels().await;
    let views = views.map_err(|it| problem(&it))?;
    let (window, least) = (terms.close_window_secs, terms.min_deposit);
    let fits = |it: &ChannelView| is_warm(it, terms.payee, window, least);
    Ok(views.into_iter().find(fits))
}

/// Whether a session with `payee` can be paid from it: an opening that failed stays in the books, and
/// must not be waited for again and again.
fn is_warm(view: &ChannelView, payee: PayoutAddress, window_secs: u32, least: Amount) -> bool {
    let left = view.deposit.saturating_sub(view.value);
    view.role == Role::Payer
        && view.usable
        && view.params.payee == payee
        && view.params.period_secs >= window_secs
        && (view.phase == Phase::Opening || left >= least)
}

/// Opens a channel to this exit, if its session is still to be paid and none came about meanwhile: routers are
/// waited for, and another session may have had one opened.
async fn open_wanted(
    purse: &Purse,
    ways: &Ways<'_>,
    terms: &SessionTerms,
    deposit: Amount,
) -> Result<ChannelId, Problem> {
    openings::can_open(purse, deposit).await?;
    let warm = warm_channel(purse, terms).await?;
    ways.routes.payable.demand()?;
    if let Some(warm) = warm {
        return Ok(warm.id);
    }
    let period = Duration::from_secs(terms.close_window_secs.into());
    let payments = purse.payments();
    let opened = payments.open_channel(terms.payee, deposit, period).await;
    opened.map_err(|it| problem(&it))
}

/// Provider: checks the payer's authorisation, waits for the deposit, takes the first voucher.
///
/// The acknowledgement goes out before the session's Ready, so a payer that forgot words in a crash
/// hears what it paid before it pays more.
pub(crate) async fn take_payment(
    purse: Option<&Purse>,
    terms: &SessionTerms,
    start: &SessionStart,
) -> MoneyNews {
    let just = |event| MoneyNews {
        frames: Vec::new(),
        event,
    };
    let Some(payment) = &start.payment else {
        return just(ProviderEvent::PaymentTaken {
            value: Amount::ZERO,
            usable: true,
        });
    };
    let Some(purse) = purse else {
        return just(ProviderEvent::PaymentRefused(PayErrorCode::Internal));
    };
    match take_first(purse.payments(), terms, payment).await {
        Ok((value, ack)) => MoneyNews {
            frames: vec![SessionFrame::VoucherAck(ack)],
            event: ProviderEvent::PaymentTaken {
                value,
                usable: true,
            },
        },
        Err(code) => just(ProviderEvent::PaymentRefused(code)),
    }
}

async fn take_first(
    payments: &Payments,
    terms: &SessionTerms,
    payment: &StartPayment,
) -> Result<(Amount, VoucherAck), PayErrorCode> {
    let channel = payment.voucher.channel;
    let auth = SessionAuth {
        channel,
        payee_nonce: terms.payee_nonce,
        payee: terms.provider,
        not_after: terms.valid_until,
    };
    let refused = |it: PaymentsError| it.code();
    payments
        .watch(payment.channel, auth, payment.auth)
        .await
        .map_err(refused)?;
    let usable = tokio::time::timeout(DEPOSIT_WAIT, payments.wait_usable(channel)).await;
    usable
        .map_err(|_| PayErrorCode::NotConfirmed)?
        .map_err(refused)?;
    begin(payments, terms.unit_price, payment.voucher.clone()).await
}

/// What the channel's payer had paid for this session when it began, and what is held now.
async fn begin(
    payments: &Payments,
    unit_price: Amount,
    voucher: Voucher,
) -> Result<(Amount, VoucherAck), PayErrorCode> {
    let begun = payments.begin_session(voucher.channel, unit_price);
    let before = begun.await.map_err(|it| it.code())?;
    let taken = payments.accept_voucher(voucher).await?;
    Ok((before.paid, taken.ack))
}

/// Tells a payment mishap in the user's words.
pub(crate) fn problem(error: &PaymentsError) -> Problem {
    let code = match error {
        PaymentsError::UnknownChannel { .. } => ErrorCode::NotFound,
        PaymentsError::Refused {
            refusal: PayerRefusal::Shared,
            ..
        } => ErrorCode::WalletShared,
        PaymentsError::Refused { .. } => ErrorCode::ChannelUnusable,
        PaymentsError::NotTaken { .. } => ErrorCode::PaymentRefused,
        PaymentsError::Transaction { .. } | PaymentsError::Undone { .. } => {
            ErrorCode::TransactionFailed
        }
        PaymentsError::GasTooDear { .. } => ErrorCode::GasTooDear,
        PaymentsError::Unfunded { .. } => ErrorCode::NoFunds,
        PaymentsError::WalletShared { .. } => ErrorCode::WalletShared,
        PaymentsError::Wallet(_) => ErrorCode::Internal,
        PaymentsError::Chain { trouble, .. } => match trouble {
            ChainTrouble::Silent => ErrorCode::ChainUnreachable,
            ChainTrouble::TooFew => ErrorCode::ChainNoQuorum,
            ChainTrouble::Disputed => ErrorCode::ChainDisputed,
        },
        PaymentsError::Store(error) => store::code_of(&error.reason),
        PaymentsError::Record { .. } => ErrorCode::StoreBroken,
        PaymentsError::Stopped => ErrorCode::ShuttingDown,
    };
    Problem::new(code, error)
}
