//! A router's core under any events in any order, with its power gone at any moment.

use std::time::Duration;

use warren_payments::channel::event::{PayeeEvent, PayerEvent};
use warren_payments::channel::router::{
    Admission, RouteEffect, RouteEvent, RouteView, RoutedPayment, RouterPolicy, RouterRules, Stage,
    admit,
};
use warren_payments::channel::{ChainFact, PayeeChannel, PayerChannel, Proof, Rules};
use warren_proto::{Amount, Fulfill, Hop, Lock, LockOffer, NodeId, PayErrorCode, UnixTime};

use super::script::{DAWN, Script, UNITS, anchor, signed, terms, wei, word};

/// When the exit's lock expires, and the consumer's.
const DOWN: u64 = DAWN + 5400;
const UP: u64 = DOWN + 3600;

/// A payment that keeps every rule, as a router takes it.
pub(crate) fn admitted() -> Option<RoutedPayment> {
    let now = UnixTime::from_secs(DAWN);
    let deposit = ChainFact::Deposit(wei(1000));
    let up = PayeeChannel::watch(terms(), Rules::default());
    let up = up.handle(&PayeeEvent::Chain(deposit), now).next;
    let down = PayerChannel::open(terms(), 0, wei(1000), 24).next;
    let down = down.handle(&PayerEvent::Chain(deposit), now).next;
    let lock = Lock {
        anchor: anchor(0, 0),
        unit_price: wei(3),
        units: UNITS,
        expiry: UP,
    };
    let offer = LockOffer {
        payment: warren_proto::PaymentId::from_bytes([1; 16]),
        voucher: signed(1, wei(0), vec![lock]).get().clone(),
        lock,
        onward: vec![Hop {
            node: NodeId::from_bytes([3; 32]),
            unit_price: wei(2),
            expiry: DOWN,
        }],
        hold_fee: Amount::ZERO,
        sealed: None,
    };
    let admission = Admission {
        offer: &offer,
        up: &up,
        down: &down,
        in_flight: (0, Amount::ZERO),
        claim_cost: Amount::ZERO,
    };
    let rules = RouterRules::new(RouterPolicy::default());
    admit(&admission, &rules, now).ok().map(|it| it.next)
}

fn event(script: &mut Script<'_>, best: u32) -> RouteEvent {
    match script.below(9) {
        0 => RouteEvent::Signed,
        1 => RouteEvent::NotSigned(PayErrorCode::NoCapacity),
        2 => RouteEvent::Ready,
        3 => RouteEvent::Rejected(PayErrorCode::NoRoute),
        4 => {
            let k = u32::from(script.byte()) % (UNITS + 2);
            let fits = script.is_set() && k <= UNITS;
            RouteEvent::Fulfilled(Fulfill {
                payment: script.payment(),
                anchor: anchor(0, 0),
                k,
                word: if fits { word(0, k) } else { script.word() },
                last: script.is_set(),
            })
        }
        5 => RouteEvent::Revealed(script.word()),
        6 | 7 => RouteEvent::Looked(RouteView {
            heard_until: UnixTime::from_secs(DAWN + 60 * u64::from(script.byte())),
            up_folded: script.is_set().then(|| u32::from(script.byte()).min(best)),
            up_claimed: script.is_set(),
        }),
        _ => RouteEvent::Restarted,
    }
}

/// P6: what is paid for is on disk here first, and told upstream first. R3: nothing told is paid for late.
pub(crate) fn live(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut core = admitted().expect("the offer keeps every rule");
    let (mut disk, mut now) = (core.encode(), UnixTime::from_secs(DAWN));
    while !script.is_over() {
        match script.below(12) {
            10 => now = now.plus(Duration::from_secs(60 * u64::from(script.byte()))),
            11 => core = RoutedPayment::decode(&disk).unwrap(),
            _ => {
                let event = event(&mut script, core.units());
                let step = core.handle(&event, now);
                if step.save {
                    disk = step.next.encode();
                }
                judge(&core, &step.next, (&event, now));
                let saved = RoutedPayment::decode(&disk).unwrap();
                assert_eq!(saved.encode(), disk);
                effects(&step.effects, &saved, now);
                core = step.next;
            }
        }
    }
}

fn judge(old: &RoutedPayment, new: &RoutedPayment, (event, now): (&RouteEvent, UnixTime)) {
    assert!(new.units() >= old.units(), "a word is forgotten");
    let before = matches!(old.stage(), Stage::InDurable);
    let ends = new.is_over() && !old.is_over();
    let heard = match event {
        RouteEvent::Looked(it) => it.heard_until.as_secs(),
        _ => now.as_secs().min(DAWN), // Nothing but a look says how far the chain is heard.
    };
    let late = heard >= DOWN || old.stage() == Stage::OutExpired;
    assert!(!ends || before || late, "let go of early: {event:?}");
    if ends && !before && new.stage() == Stage::InReleased && heard < UP {
        assert_eq!(new.units(), 0, "a word is given away");
    }
}

fn effects(effects: &[RouteEffect], saved: &RoutedPayment, now: UnixTime) {
    let mut learned = 0;
    for effect in effects {
        match effect {
            RouteEffect::Learn { k, word } => {
                assert_eq!(word.advance(*k).expose(), anchor(0, 0).as_bytes());
                assert!(*k <= saved.units(), "P6: {k} is not on disk");
                learned = *k;
            }
            RouteEffect::Fold { k, word, proof } => {
                assert_eq!(word.advance(*k).expose(), anchor(0, 0).as_bytes());
                assert!(*k <= saved.units(), "P6: {k} is not on disk");
                assert!(learned == 0 || learned == *k, "P6: another word");
                let in_time = now < UnixTime::from_secs(DOWN);
                assert!(in_time || *proof == Proof::OnChain, "R3");
            }
            RouteEffect::LockOnward { .. } => panic!("locked twice"),
            RouteEffect::AskFold(it) => assert!(it.k <= saved.units()),
            RouteEffect::TellReady | RouteEffect::Reject(_) | RouteEffect::Refuse(_) => {}
        }
    }
}
