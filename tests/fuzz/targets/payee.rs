//! The payee's core under any events in any order, with its power gone at any moment.

use std::time::Duration;

use warren_payments::channel::event::{ChainAction, PayeeEffect, PayeeEvent};
use warren_payments::channel::{ChainFact, PayeeChannel, RoutedNews, Rules};
use warren_payments::voucher::worth;
use warren_proto::{Amount, UnixTime, WordFrame};

use super::script::{DAWN, Script, anchor, terms, wei};

struct Life {
    core: PayeeChannel,
    disk: Vec<u8>,
    now: UnixTime,
    /// The most that was ever confirmed as deposited.
    covered: Amount,
    /// Acknowledged, and when: after that moment a lock may have expired.
    acked: (Amount, UnixTime),
}

/// I7: what is held never falls. I4: what was acknowledged is on disk. A claim is worth what is held.
pub(crate) fn live(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let core = PayeeChannel::watch(terms(), Rules::default());
    let now = UnixTime::from_secs(DAWN);
    let mut life = Life {
        disk: core.encode(),
        core,
        now,
        covered: Amount::ZERO,
        acked: (Amount::ZERO, now),
    };
    while !script.is_over() {
        match script.below(16) {
            14 => {
                life.now = life
                    .now
                    .plus(Duration::from_secs(30 * u64::from(script.byte())))
            }
            15 => life.crash(),
            kind => {
                let event = event(kind, &mut script, life.now);
                life.take(&event);
            }
        }
    }
}

fn event(kind: u8, script: &mut Script<'_>, now: UnixTime) -> PayeeEvent {
    match kind {
        0 => PayeeEvent::Chain(ChainFact::Deposit(script.money())),
        1 => PayeeEvent::Chain(ChainFact::Claimed(script.money())),
        2 => PayeeEvent::Chain(match script.below(4) {
            0 => ChainFact::Closed,
            1 => ChainFact::NotClosing,
            _ => ChainFact::Closing {
                closes_at: now.as_secs() + 60 * u64::from(script.byte()),
            },
        }),
        3 => PayeeEvent::Stale(script.is_set()),
        4 => PayeeEvent::RunBegins {
            unit_price: wei(u64::from(script.below(4))),
        },
        5 | 6 => PayeeEvent::Voucher(script.voucher(now)),
        7 | 8 => PayeeEvent::Word(script.frame()),
        9 => PayeeEvent::Routed(RoutedNews::Lock {
            voucher: script.voucher(now),
            payment: script.payment(),
            anchor: anchor(script.below(4), 0),
            unit_price: wei(u64::from(script.below(3))),
        }),
        10 => PayeeEvent::Routed(RoutedNews::Word {
            payment: script.payment(),
            k: u32::from(script.byte()),
            word: script.word(),
            via: script.via(),
        }),
        11 => PayeeEvent::ClaimAsked,
        12 => PayeeEvent::ConsentAsked {
            not_after: now.plus(Duration::from_secs(60 * u64::from(script.byte()))),
        },
        _ => match script.below(3) {
            0 => PayeeEvent::CloseAsked,
            1 => PayeeEvent::ClaimFailed,
            _ => PayeeEvent::Restarted,
        },
    }
}

impl Life {
    fn take(&mut self, event: &PayeeEvent) {
        if let PayeeEvent::Chain(ChainFact::Deposit(it)) = event {
            self.covered = self.covered.max(*it);
        }
        let held = self.core.value(self.now);
        let step = self.core.handle(event, self.now);
        self.core = step.next;
        if step.save {
            self.disk = self.core.encode();
        }
        let value = self.core.value(self.now);
        assert!(value >= held, "I7: {event:?} makes {held} into {value}");
        assert!(
            value <= self.covered,
            "{value} held, {} deposited",
            self.covered
        );
        for effect in step.effects {
            self.see(&effect);
        }
        let again = PayeeChannel::decode(&self.core.encode(), Rules::default()).unwrap();
        assert_eq!(again.encode(), self.core.encode());
    }

    fn see(&mut self, effect: &PayeeEffect) {
        match effect {
            PayeeEffect::Credit(it) => {
                let on_disk = self.on_disk().value(self.now);
                let told = it.ack.value_now;
                assert!(told <= on_disk, "P3, P4: {told} told, {on_disk} on disk");
                self.acked = (told, self.now);
            }
            PayeeEffect::Submit(ChainAction::Claim(claim)) => {
                let words: Vec<_> = claim
                    .reveals
                    .iter()
                    .map(|it| WordFrame {
                        lane: u32::from(it.index),
                        k: it.k,
                        word: it.word.clone(),
                    })
                    .collect();
                let found = worth(&claim.voucher, &words).unwrap();
                assert_eq!(found, self.core.value(self.now), "the claim is another");
            }
            PayeeEffect::Consent { final_amount, .. } => {
                assert!(*final_amount >= self.core.value(self.now), "a gift");
            }
            PayeeEffect::RoutedCredit(_)
            | PayeeEffect::Refuse(_)
            | PayeeEffect::Stop(_)
            | PayeeEffect::Submit(_)
            | PayeeEffect::Book(_) => {}
        }
    }

    fn on_disk(&self) -> PayeeChannel {
        PayeeChannel::decode(&self.disk, Rules::default()).unwrap()
    }

    fn crash(&mut self) {
        self.core = self.on_disk();
        let (told, when) = self.acked;
        let held = self.core.value(when);
        assert!(held >= told, "I4: {told} acknowledged, {held} left");
    }
}
