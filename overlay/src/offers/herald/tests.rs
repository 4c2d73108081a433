use proptest::prelude::*;

use super::*;
use crate::offers::fixture::{HOUR, NOON, after, key, offer, signed};

const NO_JITTER: Duration = Duration::ZERO;

fn announce(offer: &SignedOffer) -> HeraldEvent {
    HeraldEvent::Announce {
        offer: Box::new(offer.clone()),
        jitter: NO_JITTER,
    }
}

/// A herald whose offer is out, said and stored at noon.
fn settled() -> Herald {
    let mut herald = Herald::default();
    for event in [
        announce(&signed(1, 1, NOON)),
        HeraldEvent::Gossiped(true),
        HeraldEvent::Stored(true),
    ] {
        herald = herald.handle(&event, NOON).next;
    }
    herald
}

fn says(herald: &Herald, event: &HeraldEvent, at: UnixTime) -> (Herald, Vec<&'static str>) {
    let step = herald.handle(event, at);
    let name = |it: &HeraldEffect| match it {
        HeraldEffect::Gossip(_) => "gossip",
        HeraldEffect::Store(_) => "store",
        HeraldEffect::Renew(_) => "renew",
    };
    let names = step.effects.iter().map(name).collect();
    (step.next, names)
}

#[test]
fn a_new_offer_is_said_and_stored_at_once() {
    let (_, effects) = says(&Herald::default(), &announce(&signed(1, 1, NOON)), NOON);
    assert_eq!(effects, ["gossip", "store"]);
}

#[test]
fn nothing_more_is_due_until_twenty_minutes_later() {
    let herald = settled();
    for secs in [0, 1, 600, 1199] {
        assert_eq!(
            says(&herald, &HeraldEvent::Tick, after(secs)).1,
            [""; 0],
            "{secs}"
        );
    }
    assert_eq!(says(&herald, &HeraldEvent::Tick, after(1200)).1, ["renew"]);
}

#[test]
fn jitter_takes_off_a_tenth_of_the_wait_at_most() {
    let jitter = HOUR;
    let event = HeraldEvent::Announce {
        offer: Box::new(signed(1, 1, NOON)),
        jitter,
    };
    let herald = Herald::default().handle(&event, NOON).next;
    assert_eq!(says(&herald, &HeraldEvent::Tick, after(1079)).1, [""; 0]);
    assert_eq!(says(&herald, &HeraldEvent::Tick, after(1080)).1, ["renew"]);
}

/// A peer that begins to listen.
fn listener(n: u64) -> HeraldEvent {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    HeraldEvent::NewListener(NodeId::from_bytes(id))
}

/// How often a settled herald says its offer in an hour in which every 2 s one of so many begins to listen.
fn said_in_an_hour_of_listeners(many: u64) -> usize {
    let (mut herald, mut said, mut seq) = (settled(), 0, 1);
    for n in 0..1800 {
        let now = after(60 + 2 * n);
        let step = herald.handle(&listener(n % many), now);
        herald = step.next;
        for effect in step.effects {
            match effect {
                HeraldEffect::Gossip(_) => {
                    said += 1;
                    herald = herald.handle(&HeraldEvent::Gossiped(true), now).next;
                }
                HeraldEffect::Renew(_) => {
                    seq += 1;
                    let step = herald.handle(&announce(&signed(1, seq, now)), now);
                    // Its own doing, and heard by all.
                    herald = step.next.handle(&HeraldEvent::Gossiped(true), now).next;
                }
                HeraldEffect::Store(_) => {}
            }
        }
    }
    assert!(seq > 3, "renewed meanwhile");
    said
}

#[test]
fn strangers_who_come_and_go_make_no_flood_of_it() {
    let (one, all) = (1, u64::MAX);
    assert!(said_in_an_hour_of_listeners(one) <= 4, "once an offer");
    assert!(said_in_an_hour_of_listeners(all) <= 12);
}

#[test]
fn a_newcomer_hears_it_at_once_and_ten_newcomers_hear_it_together() {
    let herald = settled();
    let (herald, effects) = says(&herald, &listener(1), after(60));
    assert_eq!(effects, ["gossip"]);
    let (mut herald, _) = says(&herald, &HeraldEvent::Gossiped(true), after(60));
    for n in 0..10 {
        let (next, effects) = says(&herald, &listener(10 + n), after(61));
        assert_eq!(effects, [""; 0]);
        herald = next;
    }
    assert_eq!(says(&herald, &HeraldEvent::Tick, after(62)).1, ["gossip"]);
}

#[test]
fn with_nobody_to_hear_it_is_kept_for_whoever_comes() {
    let (herald, _) = says(&Herald::default(), &announce(&signed(1, 1, NOON)), NOON);
    let (herald, _) = says(&herald, &HeraldEvent::Gossiped(false), NOON);
    assert_eq!(says(&herald, &HeraldEvent::Tick, after(29)).1, [""; 0]);
    assert_eq!(says(&herald, &listener(1), after(3)).1, ["gossip"]);
    assert_eq!(says(&herald, &HeraldEvent::Tick, after(30)).1, ["gossip"]);
}

#[test]
fn a_failed_store_is_tried_ever_more_rarely() {
    let (mut herald, _) = says(&Herald::default(), &announce(&signed(1, 1, NOON)), NOON);
    let (mut at, mut waits) = (NOON, Vec::new());
    for _ in 0..8 {
        herald = says(&herald, &HeraldEvent::Stored(false), at).0;
        let from = at;
        loop {
            at = at.plus(Duration::from_secs(1));
            let (next, effects) = says(&herald, &HeraldEvent::Tick, at);
            herald = next;
            if effects.contains(&"store") {
                break;
            }
        }
        waits.push(at.since(from).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
}

#[test]
fn new_routes_are_worth_a_new_store_once_in_a_while() {
    let herald = settled();
    let (herald, effects) = says(&herald, &HeraldEvent::RoutesGrew, after(10));
    assert_eq!(effects, [""; 0]);
    assert_eq!(says(&herald, &HeraldEvent::Tick, after(300)).1, ["store"]);
}

#[test]
fn a_withdrawal_is_said_but_not_renewed_and_dies() {
    let mut draft = offer(1, 2, NOON);
    (draft.capacity.guests_max, draft.capacity.guests_free) = (0, 0);
    let (herald, effects) = says(&settled(), &announce(&draft.sign(&key(1)).unwrap()), NOON);
    assert_eq!(effects, ["gossip", "store"]);
    assert_eq!(says(&herald, &HeraldEvent::Tick, after(3599)).1, [""; 0]);
    let (herald, effects) = says(&herald, &HeraldEvent::Tick, after(3600));
    assert_eq!((herald.offer(), effects), (None, vec![]));
}

#[test]
fn an_offer_that_died_unrenewed_is_renewed_and_said_no_more() {
    // The machine slept, or its clock was set.
    let (herald, effects) = says(&settled(), &HeraldEvent::Tick, after(2 * 3600));
    assert_eq!(effects, ["renew"]);
    // Signing failed: asked again, and until then a dead offer is not said.
    let again = after(2 * 3600 + 60);
    assert_eq!(says(&herald, &listener(1), again).1, ["renew"]);
    let (herald, effects) = says(&herald, &announce(&signed(1, 2, again)), again);
    assert_eq!(effects, ["gossip", "store"]);
    assert!(herald.offer().is_some_and(|it| it.offer().seq == 2));
}

#[test]
fn an_offer_that_a_clock_set_back_left_in_the_future_is_renewed() {
    let before = |secs| UnixTime::from_secs(NOON.as_secs() - secs);
    let herald = settled();
    assert_eq!(says(&herald, &HeraldEvent::Tick, before(1)).1, [""; 0]);
    let (herald, effects) = says(&herald, &HeraldEvent::Tick, before(7200));
    assert_eq!(effects, ["renew"]);
    assert_eq!(says(&herald, &HeraldEvent::Tick, before(7199)).1, [""; 0]);
}

#[test]
fn a_very_short_offer_is_not_renewed_in_the_moment_it_is_announced() {
    let mut draft = offer(1, 1, NOON);
    draft.valid_until = NOON.plus(Duration::from_millis(2));
    let brief = announce(&draft.sign(&key(1)).unwrap());
    let (_, effects) = says(&Herald::default(), &brief, NOON);
    assert_eq!(effects, ["gossip", "store"]);
}

proptest! {
    /// Whatever happens, a living offer that is not withdrawn is renewed before it dies.
    #[test]
    fn an_offer_is_renewed_before_it_dies(events in proptest::collection::vec((0u8..6, 0u64..40), 0..120)) {
        let (mut herald, mut now, mut seq) = (Herald::default(), NOON, 1);
        herald = herald.handle(&announce(&signed(1, seq, now)), now).next;
        for (what, wait) in events {
            now = now.plus(Duration::from_secs(wait));
            let event = match what {
                0 => listener(seq),
                1 => HeraldEvent::Gossiped(true),
                2 => HeraldEvent::Gossiped(false),
                3 => HeraldEvent::Stored(false),
                4 => HeraldEvent::RoutesGrew,
                _ => HeraldEvent::Tick,
            };
            let step = herald.handle(&event, now);
            herald = step.next;
            if step.effects.iter().any(|it| matches!(it, HeraldEffect::Renew(_))) {
                seq += 1;
                herald = herald.handle(&announce(&signed(1, seq, now)), now).next;
            }
            let left = herald.offer().map(|it| it.offer().valid_until.since(now));
            prop_assert!(left.is_some_and(|left| left > HOUR / 2), "{left:?}");
        }
    }
}
