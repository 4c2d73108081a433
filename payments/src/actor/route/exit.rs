//! The exit: holds locks on words that a consumer says, and asks whoever pays it to fold them.

use warren_proto::{
    Amount, ChannelId, Fulfill, LockOffer, LockReady, PayErrorCode, PaymentId, RouteFrame,
    WordFrame,
};

use super::super::Task;
use crate::channel::{PayeeChannel, PayeeEvent, RoutedAccepted, RoutedNews, Via};
use crate::handle::{PaymentsError, RouteOut, TakenLock};

impl Task {
    /// The exit: a lock on words that a consumer will say.
    pub(super) fn take_lock(
        &mut self,
        offer: LockOffer,
        unit_price: Amount,
        lane: u32,
    ) -> Result<TakenLock, PaymentsError> {
        let (payment, anchor) = (offer.payment, offer.lock.anchor);
        let verified = self.verified(offer.voucher)?;
        let channel = verified.get().channel;
        if self.is_known_elsewhere(&payment, channel) {
            let code = PayErrorCode::AnchorReused;
            return Err(PaymentsError::NotTaken { channel, code });
        }
        let news = RoutedNews::Lock {
            voucher: verified,
            payment,
            anchor,
            unit_price,
        };
        let outcome = self.earn(channel, &PayeeEvent::Routed(news))?;
        outcome.accepted(channel)?;
        let internal = PaymentsError::NotTaken {
            channel,
            code: PayErrorCode::Internal,
        };
        self.held_lock(payment, unit_price, lane).ok_or(internal)
    }

    /// The exit: a lock that it holds, as it was told; `None` once it is in no voucher any more. None either
    /// for one whose words are worth less than `unit_price`, or belong to somebody further on.
    pub(super) fn held_lock(
        &self,
        payment: PaymentId,
        unit_price: Amount,
        lane: u32,
    ) -> Option<TakenLock> {
        let pays = |it: &&PayeeChannel| {
            let price = it.routed_price(&payment);
            price.is_some_and(|it| it >= unit_price) && !self.is_onward(&payment, it.terms().id)
        };
        let payee = self.book.payees.values().find(pays)?;
        let ready = LockReady {
            payment,
            anchor: payee.routed_anchor(&payment)?,
            channel: payee.terms().id,
            seq: payee.voucher()?.seq,
            lane,
        };
        let paid = payee.routed(&payment)?;
        Some(TakenLock {
            ready,
            serve_until: paid.serve_until,
            units: paid.units,
        })
    }

    pub(super) fn take_routed_word(
        &mut self,
        ready: &LockReady,
        word: WordFrame,
    ) -> Result<RoutedAccepted, PaymentsError> {
        let news = RoutedNews::Word {
            payment: ready.payment,
            k: word.k,
            word: word.word,
            via: Via::Consumer,
        };
        self.earn(ready.channel, &PayeeEvent::Routed(news))?
            .routed_accepted(ready.channel)
    }

    /// The exit: its best word, for the router to fold; `None` if it has none beyond the last fold.
    pub(super) fn fulfill(
        &self,
        ready: &LockReady,
        last: bool,
    ) -> Result<Option<RouteOut>, PaymentsError> {
        let channel = ready.channel;
        let payee = self.book.payees.get(&channel);
        let payee = payee.ok_or(PaymentsError::UnknownChannel { channel })?;
        Ok(shown(payee, ready.payment, last))
    }

    /// The best word of each lock that has one beyond its last fold, whoever's session it paid. A router's
    /// are among them: it learned each word before it paid for it, and its question may be lost.
    pub(super) fn unfolded(&self, channel: ChannelId) -> Vec<RouteOut> {
        let Some(payee) = self.book.payees.get(&channel) else {
            return Vec::new();
        };
        let payments = payee.routed_unfolded();
        payments.filter_map(|it| shown(payee, it, false)).collect()
    }

    /// Whether this node routes that payment onward, by the lock that `channel` has for it.
    fn is_onward(&self, payment: &PaymentId, channel: ChannelId) -> bool {
        let route = self.book.routes.get(payment);
        route.is_some_and(|it| it.up() == channel)
    }

    /// Whether another channel has a lock under the same name, or this node routes one.
    fn is_known_elsewhere(&self, payment: &PaymentId, channel: ChannelId) -> bool {
        let mut payees = self.book.payees.values();
        let other = |it: &PayeeChannel| it.terms().id != channel && it.routed(payment).is_some();
        self.book.routes.contains_key(payment) || payees.any(other)
    }
}

fn shown(payee: &PayeeChannel, payment: PaymentId, last: bool) -> Option<RouteOut> {
    let channel = payee.terms().id;
    let folded = payee.routed_folded(&payment);
    let best = payee
        .routed_word(&payment)
        .zip(payee.routed_anchor(&payment));
    let news = best.filter(|((k, _), _)| folded.is_some_and(|it| it < *k));
    news.map(|((k, word), anchor)| RouteOut {
        channel,
        frame: RouteFrame::Fulfill(Fulfill {
            payment,
            anchor,
            k,
            word,
            last,
        }),
    })
}
