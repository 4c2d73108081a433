//! A channel that is used up: topped up in time, or the end with its own name; never counted as paid beyond.

use super::*;

/// A session whose channel reaches `words` far, with `mib` passed that were paid as far as it did.
fn reaching(words: u64, mib: u64) -> (Room, Vec<ConsumerEffect>) {
    let mut room = Room::new(None);
    let mut said = room
        .consumer
        .handle(ConsumerEvent::Covers { words }, room.now);
    let usage = ConsumerEvent::Usage {
        up: ByteCount::default(),
        down: ByteCount::from_bytes(mib * ByteCount::MIB),
    };
    said.extend(room.consumer.handle(usage, room.now));
    (room, said)
}

fn released(effects: &[ConsumerEffect]) -> Option<u64> {
    let mut most = None;
    for it in effects {
        if let ConsumerEffect::Release { units } = it {
            most = most.max(Some(*units));
        }
    }
    most
}

fn ends(effects: &[ConsumerEffect]) -> bool {
    effects.contains(&ConsumerEffect::Ended(ConsumerEnd::ChannelUsedUp))
}

#[test]
fn little_left_asks_for_a_top_up_once_and_the_session_goes_on_with_it() {
    let (mut room, said) = reaching(1000, 100);
    assert!(!said.contains(&ConsumerEffect::TopUp), "{said:?}");
    let (mut low, said) = reaching(1000, 900);
    assert!(said.contains(&ConsumerEffect::TopUp));
    assert_eq!(released(&said), Some(901));
    let again = low.consumer.handle(ConsumerEvent::Tick, low.now);
    assert_eq!(again, vec![]);
    // Due beyond what is covered: waited for, as long as a top-up may come.
    let usage = ConsumerEvent::Usage {
        up: ByteCount::default(),
        down: ByteCount::from_bytes(1100 * ByteCount::MIB),
    };
    let said = low.consumer.handle(usage.clone(), low.now);
    assert_eq!((released(&said), ends(&said)), (Some(1000), false));
    assert_eq!(low.consumer.released(), 1000, "no more is shown as paid");
    let said = low
        .consumer
        .handle(ConsumerEvent::Covers { words: 3000 }, low.now);
    assert_eq!(released(&said), Some(1101));
    // An exit whose chain is a block behind refuses at first, and is told again.
    let id = ChannelId::from_bytes([6; 32]);
    for code in [PayErrorCode::OverCommitted, PayErrorCode::WordGap] {
        let channel = id;
        let detail = String::new();
        let refused = SessionFrame::PayError {
            channel,
            code,
            detail,
        };
        let said = low.consumer.handle(ConsumerEvent::Frame(refused), low.now);
        assert_eq!(said, vec![]);
    }
    let later = low.now.plus(Duration::from_secs(1));
    let said = low.consumer.handle(ConsumerEvent::Tick, later);
    assert_eq!(said, vec![ConsumerEffect::Resync]);
    room.hear_consumer(usage);
}

#[test]
fn a_channel_that_is_used_up_ends_the_session_by_that_name() {
    let (mut room, said) = reaching(70, 60);
    assert!(said.contains(&ConsumerEffect::TopUp));
    let said = room.consumer.handle(ConsumerEvent::NotToppedUp, room.now);
    assert!(!ends(&said), "what is left is used first");
    let usage = ConsumerEvent::Usage {
        up: ByteCount::default(),
        down: ByteCount::from_bytes(71 * ByteCount::MIB),
    };
    let said = room.consumer.handle(usage, room.now);
    assert_eq!((released(&said), ends(&said)), (Some(70), true));
    assert!(!ConsumerEnd::ChannelUsedUp.try_next());
}

/// A router that is away for a moment, or a wallet that is filled a minute later.
#[test]
fn a_top_up_that_failed_is_tried_again_and_one_of_somebody_else_counts() {
    for event in [ConsumerEvent::TopUpFailed, ConsumerEvent::NotToppedUp] {
        let is_final = matches!(event, ConsumerEvent::NotToppedUp);
        let (mut room, _) = reaching(70, 60);
        assert_eq!(room.consumer.handle(event, room.now), vec![]);
        passes(&mut room, 59);
        let said = room.consumer.handle(usage(61), room.now);
        assert!(!said.contains(&ConsumerEffect::TopUp), "{said:?}");
        passes(&mut room, 1);
        let said = room.consumer.handle(usage(62), room.now);
        assert_ne!(said.contains(&ConsumerEffect::TopUp), is_final);

        let (mut deeper, _) = reaching(70, 60);
        deeper
            .consumer
            .handle(ConsumerEvent::NotToppedUp, deeper.now);
        let grown = ConsumerEvent::Covers { words: 3000 };
        deeper.consumer.handle(grown, deeper.now);
        let said = deeper.consumer.handle(usage(100), deeper.now);
        assert_eq!((released(&said), ends(&said)), (Some(101), false));
    }
}

#[test]
fn a_dry_channel_whose_top_up_failed_ends_nothing_while_the_exit_waits() {
    let (mut room, _) = reaching(70, 60);
    room.consumer.handle(ConsumerEvent::TopUpFailed, room.now);
    let said = room.consumer.handle(usage(75), room.now);
    assert_eq!((released(&said), ends(&said)), (Some(70), false));
    passes(&mut room, 8);
    let said = room.consumer.handle(usage(75), room.now);
    assert_eq!(said, vec![ConsumerEffect::TopUp], "well before it leaves");
}

/// Time passes, and the exit serves.
fn passes(room: &mut Room, secs: u64) {
    for _ in 0..secs {
        room.now = room.now.plus(Duration::from_secs(1));
        let meter = ConsumerEvent::Frame(SessionFrame::Meter(Meter::default()));
        room.consumer.handle(meter, room.now);
    }
}

fn usage(mib: u64) -> ConsumerEvent {
    ConsumerEvent::Usage {
        up: ByteCount::default(),
        down: ByteCount::from_bytes(mib * ByteCount::MIB),
    }
}

#[test]
fn an_exit_that_stops_for_want_of_words_is_not_taken_for_one_that_is_lost() {
    for (allowed, end) in [
        (true, ConsumerEnd::Unfunded),
        (false, ConsumerEnd::ChannelUsedUp),
    ] {
        let (mut room, _) = reaching(70, 68);
        if !allowed {
            room.consumer.handle(ConsumerEvent::NotToppedUp, room.now);
        }
        room.consumer.handle(usage(70), room.now);
        let session = room.consumer.id();
        let reason = GoodbyeReason::Unpaid;
        let goodbye = SessionFrame::Goodbye(Goodbye { session, reason });
        let said = room
            .consumer
            .handle(ConsumerEvent::Frame(goodbye), room.now);
        assert!(said.contains(&ConsumerEffect::Ended(end)), "{said:?}");
    }
}

#[test]
fn words_that_could_not_be_saved_are_not_paid_and_are_asked_for_again_in_a_while() {
    let (mut room, said) = reaching(1000, 100);
    assert_eq!(released(&said), Some(101));
    let said = room.consumer.handle(ConsumerEvent::Unreleased, room.now);
    assert_eq!((said, room.consumer.released()), (vec![], 1));
    let said = room.consumer.handle(ConsumerEvent::Tick, room.now);
    assert_eq!(released(&said), None, "not at once");
    let later = room.now.plus(Duration::from_secs(1));
    let said = room.consumer.handle(usage(100), later);
    assert_eq!(released(&said), Some(101));
    assert_eq!(room.consumer.released(), 101);
}

#[test]
fn what_the_purse_did_not_release_is_not_paid() {
    let mut room = Room::new(None);
    room.pass(10 * ByteCount::MIB);
    let before = room.consumer.released();
    let short = ConsumerEvent::Short { words: 3 };
    let said = room.consumer.handle(short, room.now);
    assert_eq!(room.consumer.released(), before - 3);
    assert!(said.contains(&ConsumerEffect::TopUp), "{said:?}");
}
