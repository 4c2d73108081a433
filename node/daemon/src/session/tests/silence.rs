//! What a consumer owes for time in which it heard nothing: a machine that slept pays for no dream.

use super::*;

const NIGHT: Duration = Duration::from_secs(8 * 3600);

/// A session that is paid by the minute, one word each, and has been up for a moment.
fn by_the_minute() -> Room {
    let mut room = Room::asked(None);
    let unit = Amount::from_wei_u64(UNIT);
    let mut offer = offer().offer().clone();
    offer.price.per_minute = unit;
    let offer = offer.sign(&provider_key()).unwrap();
    room.admission.offered(offer.clone());
    room.to_provider.clear();
    let wish = Wish {
        offer,
        ..wish(None)
    };
    let (consumer, effects) = ConsumerSession::new(wish, SessionLimits::default(), NOON);
    room.consumer = consumer;
    room.consumer_does(effects);
    room.settle();
    assert_eq!(room.consumer.phase(), ConsumerPhase::Active);
    room
}

/// What is released at most for a minute, the seconds until the exit counts as silent, and the word ahead.
const LITTLE: u64 = 1 + 1;

#[test]
fn a_consumer_that_slept_does_not_pay_for_the_night() {
    for wakes_to in ["usage", "tick", "meter", "stop"] {
        let mut room = by_the_minute();
        room.wait(Duration::from_secs(1));
        room.now = room.now.plus(NIGHT);
        let (up, down) = (ByteCount::default(), ByteCount::default());
        let usage = ConsumerEvent::Usage { up, down };
        match wakes_to {
            "usage" => room.hear_consumer(usage.clone()),
            "tick" => room.hear_consumer(ConsumerEvent::Tick),
            // What the exit had sent before both fell asleep is read on waking.
            "meter" => {
                let meter = Meter::default();
                room.hear_consumer(ConsumerEvent::Frame(SessionFrame::Meter(meter)));
            }
            _ => room.hear_consumer(ConsumerEvent::Stop),
        }
        room.hear_consumer(usage);
        room.hear_consumer(ConsumerEvent::Tick);
        assert!(room.released <= LITTLE, "{wakes_to}: {}", room.released);
        let served = room.consumer.served(room.now);
        let most = Duration::from_secs(1) + SessionLimits::default().stall;
        assert!(served <= most, "{wakes_to}: {served:?}");
        let end = room.ended.0.clone();
        assert!(end.is_some(), "{wakes_to}: the exit is long gone");
    }
}

#[test]
fn time_that_the_exit_was_heard_in_is_paid_in_full() {
    let mut room = by_the_minute();
    for _ in 0..180 {
        room.wait(Duration::from_secs(1));
    }
    assert_eq!(room.consumer.phase(), ConsumerPhase::Active);
    assert_eq!(room.consumer.served(room.now), Duration::from_secs(180));
    assert_eq!(room.released, 3 + 1);
}

#[test]
fn a_tunnel_that_nothing_comes_back_through_is_stalled_then_given_up_and_not_paid_for() {
    let mut room = by_the_minute();
    for _ in 0..30 {
        room.wait(Duration::from_secs(1));
    }
    let phases = (1..=60).map(|secs| {
        // The exit's frames come all the while, by another way.
        room.wait(Duration::from_secs(1));
        let unanswered = Some(Duration::from_secs(secs));
        room.hear_consumer(ConsumerEvent::Tunnel { unanswered });
        room.hear_consumer(ConsumerEvent::Tick);
        room.consumer.phase()
    });
    let phases: Vec<_> = phases.collect();
    assert_eq!(phases[13], ConsumerPhase::Active);
    assert_eq!(
        (phases[15], phases[27]),
        (ConsumerPhase::Stalled, ConsumerPhase::Stalled)
    );
    assert_eq!(room.ended.0, Some(ConsumerEnd::ExitLost));
    // The other side hears of it: a new word of its meter would not wake anybody here.
    assert!(room.ended.1.is_some(), "{:?}", room.ended.1);
    let served = room.consumer.served(room.now);
    assert!(served <= Duration::from_secs(30 + 15 + 1), "{served:?}");
    assert!(room.released <= LITTLE, "{}", room.released);
}

#[test]
fn a_tunnel_that_is_answered_again_goes_on() {
    let mut room = by_the_minute();
    let unanswered = Some(SessionLimits::default().unanswered);
    room.hear_consumer(ConsumerEvent::Tunnel { unanswered });
    room.hear_consumer(ConsumerEvent::Tick);
    assert_eq!(room.consumer.phase(), ConsumerPhase::Stalled);
    room.hear_consumer(ConsumerEvent::Tunnel { unanswered: None });
    room.wait(Duration::from_secs(2));
    assert_eq!(room.consumer.phase(), ConsumerPhase::Active);
}
