//! Streams that break, and what is said again on the next one; what one side says of its books.

use super::*;

/// The stream breaks for both, and a new one takes its place.
fn comes_again(room: &mut Room) {
    room.hear_consumer(ConsumerEvent::StreamLost);
    room.hear_provider(ProviderEvent::StreamLost);
    room.hear_provider(ProviderEvent::Resumed);
    room.settle();
}

#[test]
fn a_broken_stream_resumes_under_the_same_deal() {
    let mut room = Room::new(None);
    room.pass(2 * ByteCount::MIB);
    room.hear_consumer(ConsumerEvent::StreamLost);
    room.hear_provider(ProviderEvent::StreamLost);
    assert_eq!(room.consumer.phase(), ConsumerPhase::Stalled);
    room.hear_provider(ProviderEvent::Resumed);
    room.settle();
    room.wait(Duration::from_secs(1));
    assert_eq!(room.consumer.phase(), ConsumerPhase::Active);
}

#[test]
fn a_start_that_was_lost_is_said_again() {
    let mut room = Room::new_until_start();
    assert_eq!(room.consumer.phase(), ConsumerPhase::Starting);
    room.to_provider.clear(); // The stream takes Start with it.
    comes_again(&mut room);
    assert_eq!(room.consumer.phase(), ConsumerPhase::Active);
    assert_eq!(room.ended, (None, None));
}

#[test]
fn a_ready_that_was_lost_is_said_again() {
    let mut room = Room::new_until_start();
    let start = room.to_provider.pop_front().unwrap();
    room.deliver(start);
    room.to_consumer.clear(); // The stream takes Ready with it.
    comes_again(&mut room);
    assert_eq!(room.consumer.phase(), ConsumerPhase::Active);
}

#[test]
fn what_the_exit_acknowledges_is_compared_with_the_books() {
    let mut room = Room::new(None);
    let ack = VoucherAck {
        channel: ChannelId::from_bytes([6; 32]),
        seq: 3,
        value_now: Amount::from_wei_u64(UNIT),
        covered: Amount::from_wei_u64(9 * UNIT),
    };
    let frame = ConsumerEvent::Frame(SessionFrame::VoucherAck(ack));
    let effects = room.consumer.handle(frame, room.now);
    assert_eq!(effects, vec![ConsumerEffect::Reconcile(ack)]);
}

#[test]
fn a_refused_payment_names_the_channel_it_is_about() {
    let mut room = Room::new(None);
    let refused = ProviderEvent::PaymentRefused(PayErrorCode::WordGap);
    let now = room.now;
    let provider = room.provider.as_mut().unwrap();
    let terms = provider.terms().clone();
    let channel = start(&terms).payment.unwrap().channel.id(&terms.chain);
    let effects = provider.handle(refused, now);
    let named = matches!(
        effects.as_slice(),
        [ProviderEffect::Send(SessionFrame::PayError { channel: it, .. })] if *it == channel
    );
    assert!(named, "{effects:?}");
}

/// As far as a grant whose channel is still being opened.
fn opening() -> Room {
    let mut room = Room::asked(None);
    let request = room.to_provider.pop_front().unwrap();
    room.deliver(request);
    let grant = room.to_consumer.pop_front().unwrap();
    let effects = room.consumer.handle(ConsumerEvent::Frame(grant), NOON);
    let funds = |it: &ConsumerEffect| matches!(it, ConsumerEffect::Fund(_));
    assert!(effects.iter().any(funds), "{effects:?}");
    room
}

#[test]
fn a_stream_that_breaks_while_the_channel_opens_ends_nothing() {
    let mut room = opening();
    comes_again(&mut room);
    assert_eq!(room.consumer.phase(), ConsumerPhase::Funding);
    let start = Box::new(start(&room.consumer.terms().unwrap().clone()));
    room.hear_consumer(ConsumerEvent::Funded { start });
    room.settle();
    assert_eq!(room.consumer.phase(), ConsumerPhase::Active);
    assert_eq!(room.ended, (None, None));
}

#[test]
fn an_exit_that_takes_each_stream_and_hangs_up_is_not_waited_for_any_longer() {
    let mut room = opening();
    for _ in 0..SessionLimits::default().resume.as_secs() {
        assert_eq!(room.ended.0, None);
        let effects = room.consumer.handle(ConsumerEvent::StreamLost, room.now);
        assert_eq!(effects, [ConsumerEffect::Reopen]);
        room.hear_consumer(ConsumerEvent::StreamBack);
        room.to_provider.clear();
        room.wait(Duration::from_secs(1));
    }
    let end = ConsumerEnd::TimedOut(ConsumerPhase::Funding);
    assert_eq!(room.ended.0, Some(end));
}

#[test]
fn an_exit_that_does_not_come_back_while_the_channel_opens_is_waited_for_as_long_as_it_would_wait()
{
    let mut room = opening();
    let effects = room.consumer.handle(ConsumerEvent::StreamLost, NOON);
    assert_eq!(effects, [ConsumerEffect::Reopen]);
    let resume = SessionLimits::default().resume;
    for _ in 1..resume.as_secs() {
        room.wait(Duration::from_secs(1));
    }
    assert_eq!(room.ended.0, None);
    room.wait(Duration::from_secs(1));
    let end = ConsumerEnd::TimedOut(ConsumerPhase::Funding);
    assert_eq!(room.ended.0, Some(end));
}
