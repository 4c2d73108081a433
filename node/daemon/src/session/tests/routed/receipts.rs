//! The end of a session that a route paid: its receipt, signed by both, and halves otherwise.

use super::*;
use crate::receipt::{Counters, Disagreement, EXCHANGE, Signed, agrees, body, verify};

fn proof(counters: &Counters) -> PaidBy {
    PaidBy::Route(counters.route.clone().expect("a route paid"))
}

impl Route {
    pub(super) fn consumer_attests(&mut self, counters: Counters) {
        let terms = self.consumer.terms().unwrap();
        let body = body(Side::Consumer, terms, &counters, proof(&counters));
        let half = Receipt::new(body).sign(Side::Consumer, &consumer_key());
        self.closing.kept.0 = Some(half.clone());
        self.closing.consumer = Some(ConsumerClosing::waiting(half.clone(), self.now));
        let half = SessionFrame::Receipt(Box::new(half));
        self.to_provider.push_back(half);
    }

    pub(super) fn countersign(&mut self, receipt: Receipt, own: &Counters) {
        let agreed = agrees(receipt.body(), self.provider.terms(), own, &proof(own));
        if agreed.is_err() || verify(&receipt).is_err() {
            return self.provider_half(own);
        }
        let whole = receipt.sign(Side::Provider, &provider_key());
        self.closing.kept.1 = Some(whole.clone());
        let whole = SessionFrame::Receipt(Box::new(whole));
        self.to_consumer.push_back(whole);
    }

    pub(super) fn provider_half(&mut self, own: &Counters) {
        let body = body(Side::Provider, self.provider.terms(), own, proof(own));
        let half = Receipt::new(body).sign(Side::Provider, &provider_key());
        self.closing.kept.1 = Some(half);
    }

    pub(super) fn consumer_closing(&mut self, event: ConsumerEvent) {
        self.closing.consumer_hears(event, self.now);
    }

    pub(super) fn provider_closing(&mut self, event: ProviderEvent) {
        let Some((own, effects)) = self.closing.provider_hears(event, self.now) else {
            return;
        };
        for effect in effects {
            match effect {
                ProviderClosingEffect::Countersign(receipt) => {
                    self.countersign(*receipt, &own);
                    self.closing.provider = None;
                }
                ProviderClosingEffect::TakeVoucher(_) => {}
                ProviderClosingEffect::KeepHalf => self.provider_half(&own),
                ProviderClosingEffect::Over => self.closing.provider = None,
            }
        }
    }

    /// Both keep the very same receipt, both signed it, and a stranger believes it.
    fn whole(&self) -> &RouteProof {
        let (consumer, provider) = &self.closing.kept;
        assert_eq!(consumer, provider);
        let kept = consumer.as_ref().unwrap();
        let verdict = verify(&Receipt::decode(&kept.encode()).unwrap()).unwrap();
        assert_eq!(verdict.signed, Signed::Both);
        assert_eq!(verdict.paid, Amount::from_wei_u64(self.words() * UNIT));
        kept.body().by_route().unwrap()
    }
}

#[test]
fn a_routed_session_that_the_consumer_ends_has_a_receipt_of_both() {
    let mut route = Route::new(true);
    for _ in 0..50 {
        route.pass(ByteCount::MIB);
    }
    route.consumer_hears(ConsumerEvent::Stop);
    route.settle();
    let proof = route.whole();
    let locks: Vec<_> = proof.locks.iter().map(|it| (it.before, it.k)).collect();
    assert_eq!((locks, proof.earlier_units), (vec![(0, 51)], 0));
}

#[test]
fn a_routed_session_that_the_exit_ends_has_a_receipt_of_both() {
    let mut route = Route::new(true);
    for _ in 0..5 {
        route.pass(ByteCount::MIB);
    }
    route.wait(Duration::from_secs(1));
    route.provider_hears(ProviderEvent::Stop(GoodbyeReason::Shutdown));
    route.settle();
    assert_eq!(route.whole().units(), 6);
    let kept = route.closing.kept.0.as_ref().unwrap().body();
    assert_eq!(kept.provider_meter.unwrap().down, 5 * ByteCount::MIB);
}

#[test]
fn every_lock_that_paid_is_in_the_receipt() {
    let mut route = Route::new(true);
    for _ in 0..3 * LOCK_UNITS {
        route.pass(ByteCount::MIB);
    }
    route.consumer_hears(ConsumerEvent::Stop);
    route.settle();
    let words: Vec<_> = route.whole().locks.iter().map(|it| it.k).collect();
    assert_eq!(words, [LOCK_UNITS, LOCK_UNITS, LOCK_UNITS, 1]);
}

#[test]
fn locks_beyond_those_that_fit_are_counted_and_not_shown() {
    let mut route = Route::new(true);
    let locks = u32::try_from(MAX_PROOFS).unwrap() + 3;
    for _ in 0..locks * LOCK_UNITS - 1 {
        route.pass(ByteCount::MIB);
    }
    route.consumer_hears(ConsumerEvent::Stop);
    route.settle();
    let proof = route.whole();
    assert_eq!(proof.locks.len(), MAX_PROOFS);
    assert_eq!(proof.earlier_units, u64::from(3 * LOCK_UNITS));
}

#[test]
fn a_routed_side_that_went_away_leaves_two_halves() {
    let mut route = Route::new(true);
    route.pass(2 * ByteCount::MIB);
    route.provider_hears(ProviderEvent::StreamLost);
    route.wait(Duration::from_secs(8));
    route.consumer_hears(ConsumerEvent::Stop);
    route.to_provider.clear();
    route.wait(Duration::from_secs(31));
    assert_eq!(route.ended.1, Some(ProviderEnd::Vanished));
    let (consumer, provider) = &route.closing.kept;
    for (half, side) in [(consumer, Side::Consumer), (provider, Side::Provider)] {
        let verdict = verify(half.as_ref().unwrap()).unwrap();
        assert_eq!(verdict.signed, Signed::Only(side));
        assert_eq!(verdict.paid, Amount::from_wei_u64(route.words() * UNIT));
    }
    assert!(route.closing.consumer.is_none(), "nobody waits for ever");
}

#[test]
fn a_routed_receipt_that_does_not_come_is_given_up_in_time() {
    let mut route = Route::new(true);
    route.pass(2 * ByteCount::MIB);
    route.provider_hears(ProviderEvent::Stop(GoodbyeReason::Shutdown));
    route.to_consumer.clear(); // The goodbye is lost.
    route.wait(EXCHANGE);
    assert!(route.closing.provider.is_none());
    assert!(route.closing.kept.1.is_some());
}

#[test]
fn a_route_that_paid_nothing_has_no_receipt() {
    let mut route = Route::new(false);
    route.consumer_hears(ConsumerEvent::Stop);
    route.settle();
    assert_eq!(route.closing.kept, (None, None));
}

#[test]
fn words_that_the_exit_never_heard_are_not_in_a_receipt_of_both() {
    let mut route = Route::new(true);
    route.pass(ByteCount::MIB);
    // One more word is said, and lost on the stream.
    let (up, down) = (
        ByteCount::default(),
        ByteCount::from_bytes(route.passed + 1),
    );
    route.consumer_hears(ConsumerEvent::Usage { up, down });
    assert!(matches!(
        route.to_provider.pop_back(),
        Some(SessionFrame::Word(_))
    ));
    route.consumer_hears(ConsumerEvent::Stop);
    route.settle();
    let (consumer, provider) = &route.closing.kept;
    let words = |it: &Option<Receipt>| {
        let receipt = it.as_ref().unwrap();
        assert!(matches!(verify(receipt).unwrap().signed, Signed::Only(_)));
        receipt.body().by_route().unwrap().units()
    };
    assert_eq!(words(consumer), words(provider) + 1);
}

#[test]
fn a_lock_of_two_sessions_is_counted_from_where_the_first_one_left_it() {
    let mut route = Route::new(false);
    let serve_until = route.now.plus(route.serve_for);
    // The exit knows 49 words of it; of a session before, in which 50 were said.
    let held = LockNews::Held {
        ready: lock(payment(1), 0),
        units: 49,
        serve_until,
    };
    route.known.insert(payment(1), 49);
    route.provider_hears(ProviderEvent::Lock(held));
    let known = |k| {
        let word = word(payment(1), k);
        SessionFrame::Word(WordFrame { lane: 0, k, word })
    };
    for k in [49, 52, 51] {
        route.provider_hears(ProviderEvent::Frame(known(k)));
    }
    route.provider_hears(ProviderEvent::StreamLost);
    route.wait(Duration::from_secs(31));
    let own = route.closing.kept.1.clone().unwrap();
    let locks = &own.body().by_route().unwrap().locks;
    assert_eq!((locks[0].before, locks[0].k), (49, 52));
    assert_eq!(verify(&own).unwrap().paid, Amount::from_wei_u64(3 * UNIT));
}

#[test]
fn what_a_provider_does_not_agree_with_of_a_route() {
    use Disagreement as No;
    let mut route = Route::new(true);
    for _ in 0..LOCK_UNITS + 5 {
        route.pass(ByteCount::MIB);
    }
    route.consumer_hears(ConsumerEvent::Stop);
    let said = route.closing.kept.0.as_ref().unwrap().body().clone();
    route.settle();
    let held = said.paid_by.clone();
    let own = Counters {
        own: Meter::default(),
        theirs: None,
        started: route.now,
        ended: route.now,
        route: None,
    };
    let with = |change: fn(&mut RouteProof)| {
        let mut other = said.clone();
        if let PaidBy::Route(it) = &mut other.paid_by {
            change(it);
        }
        other.provider_meter = None;
        agrees(&other, route.provider.terms(), &own, &held)
    };
    assert_eq!(with(|_| {}), Ok(()));
    // Less than was paid is the consumer's to say: words before this session that never came.
    assert_eq!(with(|it| it.locks[0].before = 1), Ok(()));
    let other_locks = |it| matches!(it, Err(No::Locks { .. }));
    assert!(other_locks(with(|it| it.locks[1].k -= 1)));
    assert!(other_locks(with(|it| it.locks[1].k += 1)));
    assert!(other_locks(with(|it| it.locks.swap(0, 1))));
    assert!(other_locks(with(|it| drop(it.locks.pop()))));
    assert!(other_locks(with(|it| it.earlier_units = 1)));
    assert!(other_locks(with(|it| {
        it.locks[0].anchor = HashLock::from_bytes([9; 32]);
    })));
    let stranger = |it: &mut RouteProof| it.consumer_terms = it.provider_terms;
    assert_eq!(with(stranger), Err(No::Terms));
    // A channel where a route paid.
    let by_channel = PaidBy::Channel(ChannelProof {
        channel: start(route.provider.terms()).payment.unwrap().channel,
        value_before: Amount::ZERO,
        value_after: Amount::ZERO,
        voucher: start(route.provider.terms()).payment.unwrap().voucher,
        best: vec![],
    });
    let other = agrees(&said, route.provider.terms(), &own, &by_channel);
    assert_eq!(other, Err(No::Channel));
}
