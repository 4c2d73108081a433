//! The end of a paid session: one receipt, signed by both, whoever ended it; and halves otherwise.

use warren_payments::Evidence;

use super::*;
use crate::receipt::{Counters, EXCHANGE, agrees, body, by_channel};

/// What the two ends hold of the receipt.
#[derive(Default)]
pub(super) struct Closings {
    pub(super) consumer: Option<ConsumerClosing>,
    pub(super) provider: Option<ProviderClosing>,
    pub(super) kept: (Option<Receipt>, Option<Receipt>),
    /// A provider that holds less than the consumer says.
    pub(super) short: bool,
}

impl Closings {
    pub(super) fn consumer_hears(&mut self, event: ConsumerEvent, now: UnixTime) {
        let Some(core) = &self.consumer else {
            return;
        };
        let effects = if let ConsumerEvent::Frame(frame) = event {
            core.frame(frame)
        } else {
            core.tick(now)
        };
        for effect in effects {
            match effect {
                ConsumerClosingEffect::Keep(receipt) => self.kept.0 = Some(*receipt),
                ConsumerClosingEffect::Over => self.consumer = None,
            }
        }
    }

    /// What the provider's closing makes of `event`, and its counters. `None` if there is none.
    pub(super) fn provider_hears(
        &mut self,
        event: ProviderEvent,
        now: UnixTime,
    ) -> Option<(Counters, Vec<ProviderClosingEffect>)> {
        let core = self.provider.as_mut()?;
        let effects = if let ProviderEvent::Frame(frame) = event {
            core.frame(frame).into_iter().collect()
        } else {
            core.tick(now)
        };
        Some((core.counters().clone(), effects))
    }
}

impl Room {
    fn evidence(&self) -> Evidence {
        let terms = self.consumer.terms().unwrap();
        let payment = start(terms).payment.unwrap();
        Evidence {
            params: payment.channel,
            voucher: payment.voucher,
            best: vec![],
            value: Amount::from_wei_u64(self.released * UNIT),
            value_before: Amount::ZERO,
        }
    }

    pub(super) fn consumer_attests(&mut self, counters: &Counters) {
        let terms = self.consumer.terms().unwrap();
        let paid_by = by_channel(&self.evidence());
        let body = body(Side::Consumer, terms, counters, paid_by);
        let half = Receipt::new(body).sign(Side::Consumer, &consumer_key());
        self.closing.kept.0 = Some(half.clone());
        self.closing.consumer = Some(ConsumerClosing::waiting(half.clone(), self.now));
        self.to_provider
            .push_back(SessionFrame::Receipt(Box::new(half)));
    }

    pub(super) fn countersign(&mut self, receipt: Receipt, own: &Counters) {
        let terms = self.provider.as_ref().unwrap().terms();
        let mut held = self.evidence();
        if self.closing.short {
            held.value = held.value.saturating_sub(Amount::from_wei_u64(1));
        }
        if agrees(receipt.body(), terms, own, &by_channel(&held)).is_err() {
            return self.provider_half(own);
        }
        let whole = receipt.sign(Side::Provider, &provider_key());
        self.closing.kept.1 = Some(whole.clone());
        self.to_consumer
            .push_back(SessionFrame::Receipt(Box::new(whole)));
    }

    pub(super) fn provider_half(&mut self, own: &Counters) {
        let terms = self.provider.as_ref().unwrap().terms();
        let body = body(Side::Provider, terms, own, by_channel(&self.evidence()));
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

    /// Both keep the very same receipt, and both signed it.
    fn assert_whole(&self) {
        let (consumer, provider) = &self.closing.kept;
        assert_eq!(consumer, provider);
        let kept = consumer.as_ref().unwrap();
        assert!(kept.is_signed_by(Side::Consumer) && kept.is_signed_by(Side::Provider));
        assert_eq!(
            kept.body().by_channel().unwrap().value_after.wei(),
            u128::from(self.released * UNIT)
        );
        assert!(self.closing.consumer.is_none() && self.closing.provider.is_none());
    }

    fn assert_halves(&self) {
        let (consumer, provider) = &self.closing.kept;
        let consumer = consumer.as_ref().unwrap();
        assert!(consumer.is_signed_by(Side::Consumer));
        assert!(consumer.signature(Side::Provider).is_none());
        let provider = provider.as_ref().unwrap();
        assert!(provider.is_signed_by(Side::Provider));
        assert!(provider.signature(Side::Consumer).is_none());
    }
}

#[test]
fn a_consumer_that_ends_the_session_gets_the_providers_signature() {
    let mut room = Room::new(None);
    room.pass(5 * ByteCount::MIB);
    room.hear_consumer(ConsumerEvent::Stop);
    assert!(room.ended.0.is_some(), "the consumer does not wait for it");
    room.settle();
    room.assert_whole();
    let body = room.closing.kept.0.as_ref().unwrap().body().clone();
    // Of the five, the gate let through what one word and the credit of two cover.
    assert_eq!(body.consumer_meter.unwrap().down, 3 * ByteCount::MIB);
    assert_eq!(body.consumer_meter.unwrap().due_units, 3);
}

#[test]
fn what_the_other_side_says_cannot_spoil_a_receipt() {
    let counted = |mib: u64, due_units| Meter {
        up: 0,
        down: mib * ByteCount::MIB,
        millis: 0,
        due_units,
    };
    // As it was; a number of words that the bytes do not come to; far less than it paid itself for.
    for (told, is_taken) in [
        (counted(20, 20), true),
        (counted(1, 9), false),
        (counted(0, u64::MAX), false),
        (counted(0, 0), false),
    ] {
        let expected = is_taken.then_some(told);
        let with = |frame_to: fn(&mut Room, SessionFrame)| {
            let mut room = Room::new(None);
            (0..20).for_each(|_| room.pass(ByteCount::MIB));
            frame_to(&mut room, SessionFrame::Meter(told));
            room
        };
        let mut room = with(|room, frame| room.hear_consumer(ConsumerEvent::Frame(frame)));
        room.hear_consumer(ConsumerEvent::Stop);
        room.settle();
        room.assert_whole();
        let half = room.closing.kept.0.as_ref().unwrap().body();
        assert_eq!(half.provider_meter, expected, "{told:?}");

        let mut room = with(|room, frame| room.hear_provider(ProviderEvent::Frame(frame)));
        room.hear_provider(ProviderEvent::StreamLost);
        room.wait(Duration::from_secs(31));
        let half = room.closing.kept.1.as_ref().unwrap().body();
        assert_eq!(half.consumer_meter, expected, "{told:?}");
    }
}

#[test]
fn a_provider_that_ends_the_session_waits_for_the_consumers_receipt() {
    let mut room = Room::new(None);
    room.pass(2 * ByteCount::MIB);
    room.wait(Duration::from_secs(1)); // A meter goes out.
    room.hear_provider(ProviderEvent::Stop(GoodbyeReason::Shutdown));
    assert!(room.closing.provider.is_some(), "in Closing");
    room.settle();
    room.assert_whole();
    let body = room.closing.kept.0.as_ref().unwrap().body().clone();
    assert_eq!(body.provider_meter.unwrap().down, 2 * ByteCount::MIB);
}

#[test]
fn a_side_that_went_away_leaves_two_halves() {
    let mut room = Room::new(None);
    room.pass(2 * ByteCount::MIB);
    room.hear_provider(ProviderEvent::StreamLost);
    room.wait(Duration::from_secs(8));
    room.hear_consumer(ConsumerEvent::Stop);
    room.to_provider.clear();
    room.wait(Duration::from_secs(31));
    assert_eq!(room.ended.1, Some(ProviderEnd::Vanished));
    room.assert_halves();
    assert!(room.closing.consumer.is_none(), "nobody waits for ever");
}

#[test]
fn a_receipt_that_does_not_come_is_given_up_in_time() {
    let mut room = Room::new(None);
    room.pass(2 * ByteCount::MIB);
    room.hear_provider(ProviderEvent::Stop(GoodbyeReason::Shutdown));
    room.to_consumer.clear(); // The goodbye is lost.
    room.wait(EXCHANGE);
    assert!(room.closing.provider.is_none());
    assert!(room.closing.kept.1.is_some());
}

#[test]
fn a_receipt_over_more_than_is_held_is_not_signed() {
    let mut room = Room::new(None);
    room.closing.short = true;
    room.pass(2 * ByteCount::MIB);
    room.hear_consumer(ConsumerEvent::Stop);
    room.settle();
    room.assert_halves();
}

#[test]
fn a_session_in_which_nothing_was_paid_has_no_receipt() {
    let mut room = Room::new_until_start();
    room.hear_consumer(ConsumerEvent::Stop);
    room.settle();
    assert_eq!(room.closing.kept, (None, None));
}

#[test]
fn what_a_provider_does_not_agree_with() {
    use crate::receipt::Disagreement as No;
    let mut room = Room::new(None);
    room.pass(2 * ByteCount::MIB);
    room.wait(Duration::from_secs(1));
    let terms = room.provider.as_ref().unwrap().terms().clone();
    room.hear_consumer(ConsumerEvent::Stop);
    let said = room.closing.kept.0.as_ref().unwrap().body().clone();
    let own = Counters {
        own: said.provider_meter.unwrap(),
        theirs: None,
        started: room.now,
        ended: room.now,
        route: None,
    };
    let held = by_channel(&room.evidence());
    let says = |change: fn(&mut ReceiptBody)| {
        let mut said = said.clone();
        change(&mut said);
        agrees(&said, &terms, &own, &held)
    };
    assert_eq!(says(|_| {}), Ok(()));
    assert_eq!(says(|it| it.unit_price = Amount::ZERO), Err(No::Terms));
    assert_eq!(
        says(|it| it.terms = TermsHash::from_bytes([0; 32])),
        Err(No::Terms)
    );
    let says_of = |change: fn(&mut ChannelProof)| {
        let mut said = said.clone();
        if let PaidBy::Channel(it) = &mut said.paid_by {
            change(it);
        }
        agrees(&said, &terms, &own, &held)
    };
    assert_eq!(says_of(|it| it.channel.salt = 77), Err(No::Channel));
    assert!(matches!(
        says_of(|it| it.value_after = Amount::MAX),
        Err(No::Value { .. })
    ));
    let more = |it: &mut ReceiptBody| {
        it.provider_meter = it.provider_meter.map(|meter| Meter {
            down: meter.down + 1,
            ..meter
        });
    };
    assert_eq!(says(more), Err(No::Meter));
    assert!(matches!(
        says(|it| it.ended = UnixTime::from_secs(1)),
        Err(No::Times { .. })
    ));
}
