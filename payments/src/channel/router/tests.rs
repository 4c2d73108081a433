//! The machine of one routed payment, and what it lets in.

use proptest::prelude::*;
use warren_proto::{Amount, HashLock, LockOffer, NodeId};

use super::model::parts::{
    DEPOSIT, PAYMENT, PRICE, offer, payee, payer, rules as payee_rules, terms, up_lock, voucher_of,
    word,
};
use super::model::world::{START, TICK, secs};
use super::*;
use crate::channel::event::PayerEvent;
use crate::channel::routed::{RoutedLock, RoutedOrder};
use crate::channel::{PayeeChannel, PayerChannel};
use crate::codec::CodecError;

fn wei(amount: u64) -> Amount {
    Amount::from_wei_u64(amount)
}

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

const fn noon() -> UnixTime {
    UnixTime::from_secs(START)
}

fn strict(policy: RouterPolicy) -> RouterRules {
    RouterRules::new(policy)
}

fn free() -> RouterPolicy {
    RouterPolicy {
        fee_ppm: 0,
        ..RouterPolicy::default()
    }
}

struct Bench {
    up: PayeeChannel,
    down: PayerChannel,
    offer: LockOffer,
}

impl Bench {
    fn new() -> Self {
        let mut consumer = payer(terms(1, 24 * TICK));
        let lock = up_lock(1);
        let order = RoutedOrder::Lock(RoutedLock {
            payment: PAYMENT,
            lock,
            own: Some(consumer.next_tranche()),
            hold_fee: wei(5),
        });
        let step = consumer.handle(&PayerEvent::Routed(order), noon());
        consumer = step.next;
        Self {
            up: payee(terms(1, 24 * TICK), payee_rules()),
            down: payer(terms(2, 24 * TICK)),
            offer: offer(lock, voucher_of(&consumer, &step.effects).unwrap()),
        }
    }

    fn admit(&self, policy: RouterPolicy) -> Result<Step, RouteRefusal> {
        let admission = Admission {
            offer: &self.offer,
            up: &self.up,
            down: &self.down,
            in_flight: (0, Amount::ZERO),
            claim_cost: Amount::ZERO,
        };
        admit(&admission, &strict(policy), noon())
    }
}

fn admitted() -> Step {
    Bench::new().admit(free()).unwrap()
}

fn live() -> RoutedPayment {
    let held = admitted().next;
    let signed = held.handle(&RouteEvent::Signed, noon()).next;
    signed.handle(&RouteEvent::Ready, noon()).next
}

fn shown(k: u32) -> RouteEvent {
    RouteEvent::Fulfilled(Fulfill {
        payment: PAYMENT,
        anchor: HashLock::from_bytes(*word(0).expose()),
        k,
        word: word(k),
        last: false,
    })
}

fn looked(heard_until: u64, up_folded: Option<u32>) -> RouteEvent {
    RouteEvent::Looked(RouteView {
        heard_until: at(heard_until),
        up_folded,
        up_claimed: false,
    })
}

fn kinds(step: &Step) -> Vec<&'static str> {
    let kind = |it: &RouteEffect| match it {
        RouteEffect::LockOnward { .. } => "lock",
        RouteEffect::Learn { .. } => "learn",
        RouteEffect::Fold { .. } => "fold",
        RouteEffect::AskFold(_) => "ask",
        RouteEffect::TellReady => "ready",
        RouteEffect::Reject(_) => "reject",
        RouteEffect::Refuse(_) => "refuse",
    };
    step.effects.iter().map(kind).collect()
}

#[test]
fn p5_a_lock_is_on_disk_before_anything_is_signed_onward() {
    let step = admitted();
    assert!(step.save);
    assert_eq!(step.next.stage(), Stage::InDurable);
    assert_eq!(kinds(&step), ["lock"]);
    let signed = step.next.handle(&RouteEvent::Signed, noon());
    assert!(signed.save);
    assert_eq!(signed.next.stage(), Stage::OutSigned);
}

#[test]
fn every_rule_is_asked_before_a_lock_is_taken() {
    let refused = |change: fn(&mut Bench), policy: RouterPolicy| {
        let mut bench = Bench::new();
        change(&mut bench);
        bench.admit(policy).unwrap_err()
    };
    let min_expiry = secs(3);
    let close = |it: &mut Bench| it.offer.onward[0].expiry += 1;
    assert_eq!(
        refused(close, free()),
        RouteRefusal::HopGap {
            min_expiry: min_expiry + 1
        }
    );
    let nowhere = |it: &mut Bench| it.offer.onward.clear();
    assert_eq!(refused(nowhere, free()), RouteRefusal::NoHop);
    let short_window = |it: &mut Bench| it.up = payee(terms(1, 3 * TICK - 1), payee_rules());
    assert_eq!(refused(short_window, free()), RouteRefusal::CloseWindow);
    let as_is = |_: &mut Bench| {};
    let least = wei(11);
    assert_eq!(
        refused(as_is, RouterPolicy::default()),
        RouteRefusal::Fee { least }
    );
    let asked = wei(6);
    let dear = RouterPolicy {
        hold_fee: asked,
        ..free()
    };
    assert_eq!(refused(as_is, dear), RouteRefusal::HoldFee { asked });
    let full = RouterPolicy { slots: 0, ..free() };
    assert_eq!(refused(as_is, full), RouteRefusal::Slots);
    let most = wei(29);
    let small = RouterPolicy {
        max_in_flight: most,
        ..free()
    };
    assert_eq!(refused(as_is, small), RouteRefusal::Value { most });
    let least = wei(31);
    let coarse = RouterPolicy {
        min_tranche: least,
        ..free()
    };
    assert_eq!(refused(as_is, coarse), RouteRefusal::Tranche { least });
    let dry = |it: &mut Bench| it.offer.onward[0].unit_price = wei(34);
    let most = DEPOSIT;
    let policy = RouterPolicy {
        fee_ppm: 0,
        ..free()
    };
    let raised = |it: &mut Bench| {
        it.offer.onward[0].unit_price = wei(34);
        it.offer.lock.unit_price = wei(34);
    };
    assert!(matches!(refused(dry, policy), RouteRefusal::Fee { .. }));
    assert_eq!(refused(raised, policy), RouteRefusal::Value { most });
}

#[test]
fn p6_a_word_is_on_disk_and_upstream_before_it_is_paid_for() {
    let step = live().handle(&shown(2), noon());
    assert!(step.save);
    assert_eq!(step.next.units(), 2);
    assert_eq!(kinds(&step), ["learn", "fold", "ask"]);
}

#[test]
fn p6_a_word_that_was_missed_is_paid_and_asked_for_once_more_and_no_more() {
    let known = live().handle(&shown(2), noon()).next;
    let step = known.handle(&shown(2), noon());
    assert!(!step.save);
    assert_eq!(kinds(&step), ["fold", "ask"]);
    assert_eq!(step.next, known);
}

#[test]
fn r3_a_word_that_comes_too_late_is_kept_and_not_paid_for() {
    let step = live().handle(&shown(2), at(secs(2)));
    assert!(step.save);
    assert_eq!(kinds(&step), ["learn", "refuse", "ask"]);
    assert_eq!(step.next.units(), 2);
}

#[test]
fn a_word_that_opens_nothing_changes_nothing() {
    let mut bad = shown(2);
    if let RouteEvent::Fulfilled(it) = &mut bad {
        it.word = word(3);
    }
    let step = live().handle(&bad, noon());
    assert_eq!(kinds(&step), ["refuse"]);
    assert_eq!(step.next, live());
    let beyond = RouteEvent::Fulfilled(Fulfill {
        payment: PAYMENT,
        anchor: HashLock::from_bytes(*word(0).expose()),
        k: 4,
        word: word(3),
        last: false,
    });
    assert_eq!(kinds(&live().handle(&beyond, noon())), ["refuse"]);
}

#[test]
fn a_public_word_is_found_in_its_place_and_written_down_whatever_the_time() {
    let known = live().handle(&shown(1), noon()).next;
    let step = known.handle(&RouteEvent::Revealed(word(3)), at(secs(9)));
    assert!(step.save);
    assert_eq!(step.next.units(), 3);
    assert_eq!(kinds(&step), ["learn", "fold", "ask"]);
    for old in [word(0), word(1), Preimage::from_bytes([1; 32])] {
        let step = known.handle(&RouteEvent::Revealed(old), noon());
        assert_eq!(step, Step::stay(&known));
    }
}

#[test]
fn a_word_that_one_endpoint_tells_of_is_good_upstream_and_is_not_paid_for_late() {
    let known = live().handle(&shown(1), noon()).next;
    let told = RouteEvent::Heard(word(3));
    let early = known.handle(&told, noon());
    assert_eq!(kinds(&early), ["learn", "fold", "ask"]);
    let step = known.handle(&told, at(secs(9)));
    assert!(step.save);
    assert_eq!(step.next.units(), 3);
    assert_eq!(kinds(&step), ["learn", "ask"]);
    let old = RouteEvent::Heard(word(1));
    assert_eq!(known.handle(&old, noon()), Step::stay(&known));
}

#[test]
fn r6_an_offer_without_an_answer_is_given_up_but_the_lock_is_held() {
    let signed = admitted().next.handle(&RouteEvent::Signed, noon()).next;
    let soon = signed.handle(&looked(START, Some(0)), at(START + 29));
    assert_eq!(soon, Step::stay(&signed));
    let step = signed.handle(&looked(START, Some(0)), at(START + 30));
    assert_eq!(step.next.stage(), Stage::OutRejected);
    let [RouteEffect::Reject(rejected)] = step.effects.as_slice() else {
        panic!("told upstream")
    };
    assert!(rejected.held);
    // A late word is as good as any.
    let late = step.next.handle(&shown(1), at(START + 60));
    assert_eq!(kinds(&late), ["learn", "fold", "ask"]);
}

#[test]
fn only_the_chains_time_ends_a_lock() {
    let early = live().handle(&looked(secs(2) - 1, Some(0)), at(secs(9)));
    assert_eq!(early.next.stage(), Stage::Live);
    let step = live().handle(&looked(secs(2), Some(0)), at(secs(2)));
    assert_eq!(step.next.stage(), Stage::InReleased);
    assert!(step.save);
}

#[test]
fn a_paid_word_is_waited_for_until_upstream_has_paid_it_too() {
    let known = live().handle(&shown(2), noon()).next;
    let out = known.handle(&looked(secs(2), Some(0)), at(secs(2))).next;
    assert_eq!(out.stage(), Stage::OutExpired);
    let part = out.handle(&looked(secs(2), Some(1)), at(secs(2))).next;
    assert_eq!(part.stage(), Stage::OutExpired);
    let folded = out.handle(&looked(secs(2), Some(2)), at(secs(2))).next;
    assert_eq!(folded.stage(), Stage::InFolded);
    let claimed = RouteEvent::Looked(RouteView {
        heard_until: at(secs(2)),
        up_folded: Some(0),
        up_claimed: true,
    });
    let claimed = out.handle(&claimed, at(secs(2))).next;
    assert_eq!(claimed.stage(), Stage::InClaimed);
}

/// A lock that is used up has left both vouchers, and its neighbour may have another in its place.
#[test]
fn what_is_paid_to_the_last_word_takes_no_place() {
    let units = up_lock(1).units;
    let most = live().handle(&shown(units - 1), noon()).next;
    let waits = most.handle(&looked(START, None), noon()).next;
    assert!(!waits.is_over(), "a word may still come");
    let all = most.handle(&shown(units), noon()).next;
    let not_up = all.handle(&looked(START, Some(units - 1)), noon()).next;
    assert!(!not_up.is_over(), "not paid upstream");
    let step = all.handle(&looked(START, None), noon());
    assert_eq!(step.next.stage(), Stage::InFolded);
    assert!(step.save);
}

#[test]
fn a_word_shown_when_both_locks_are_over_takes_no_place_for_ever() {
    let (over, both_over) = (secs(2), secs(3));
    let ended = live().handle(&looked(over, Some(0)), at(over)).next;
    assert_eq!(ended.stage(), Stage::InReleased);
    let late = ended.handle(&shown(2), at(both_over));
    assert_eq!(kinds(&late), ["learn", "refuse", "ask"]);
    let late = late.next;
    assert!(!late.is_over(), "it may have been claimed upstream");
    let looked_again = late.handle(&looked(both_over, Some(0)), at(both_over));
    assert_eq!(looked_again.next.stage(), Stage::InReleased);
    assert!(looked_again.save);
}

#[test]
fn that_the_exit_is_ready_is_told_upstream_once() {
    let signed = admitted().next.handle(&RouteEvent::Signed, noon()).next;
    let ready = signed.handle(&RouteEvent::Ready, noon());
    assert!(ready.save);
    assert_eq!(kinds(&ready), ["ready"]);
    assert_eq!(
        kinds(&ready.next.handle(&RouteEvent::Ready, noon())),
        [""; 0]
    );
}

#[test]
fn p9_a_restart_does_again_what_may_not_have_been_done() {
    let cut = admitted().next.handle(&RouteEvent::Restarted, noon()).next;
    assert_eq!(cut.stage(), Stage::InReleased, "nothing was signed");
    let known = live().handle(&shown(2), noon()).next;
    let step = known.handle(&RouteEvent::Restarted, noon());
    assert_eq!(kinds(&step), ["learn", "fold"]);
    let late = known.handle(&RouteEvent::Restarted, at(secs(2)));
    assert_eq!(kinds(&late), ["learn"]);
}

#[test]
fn this_nodes_own_refusal_is_told_and_ends_it() {
    let code = PayErrorCode::NoCapacity;
    let step = admitted().next.handle(&RouteEvent::NotSigned(code), noon());
    assert_eq!(step.next.stage(), Stage::InReleased);
    assert_eq!(kinds(&step), ["reject"]);
    let [RouteEffect::Reject(it)] = step.effects.as_slice() else {
        panic!("told upstream")
    };
    assert_eq!(it.code, code);
}

#[test]
fn a_record_is_the_payment() {
    let known = live().handle(&shown(2), noon()).next;
    for payment in [admitted().next, live(), known] {
        let bytes = payment.encode();
        assert_eq!(RoutedPayment::decode(&bytes), Ok(payment));
        for cut in 0..bytes.len() {
            assert!(RoutedPayment::decode(&bytes[..cut]).is_err());
        }
    }
    let wrong = RoutedPayment::decode(&[9]);
    assert!(matches!(wrong, Err(CodecError::Version { found: 9, .. })));
}

#[test]
fn a_rejection_says_from_when_on_a_lock_would_be_taken_and_no_sum() {
    let offer = Bench::new().offer;
    assert_eq!(offer.onward[0].node, NodeId::from_bytes([3; 32]));
    assert_eq!(PRICE, offer.onward[0].unit_price);
    let most = wei(9);
    let rejected = rejection(&offer, &RouteRefusal::Value { most });
    assert_eq!((rejected.max_amount, rejected.held), (wei(0), false));
    let min_expiry = 77;
    let rejected = rejection(&offer, &RouteRefusal::HopGap { min_expiry });
    assert_eq!(rejected.min_expiry, 77);
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _any = RoutedPayment::decode(&bytes);
        let _any = RoutedPayment::decode(&[vec![1], bytes].concat());
    }
}
