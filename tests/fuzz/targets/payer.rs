//! The payer's core under any events in any order, with its power gone at any moment.

use std::collections::BTreeMap;
use std::time::Duration;

use warren_payments::PayerChannel;
use warren_payments::channel::event::{PayerEffect, PayerEvent, VoucherDraft};
use warren_payments::channel::{ChainFact, RoutedLock, RoutedOrder, Shown};
use warren_proto::{Amount, CloseConsent, UnixTime, VoucherAck};

use super::script::{DAWN, Script, anchor, signed, terms, wei};

struct Life {
    core: PayerChannel,
    disk: Vec<u8>,
    now: UnixTime,
    /// The most that was ever confirmed as deposited.
    covered: Amount,
    signed: BTreeMap<u64, VoucherDraft>,
    /// What can be claimed by the vouchers sent and the words said under them, routes aside.
    out: Amount,
}

/// P1: a number is signed once. Nothing is promised twice, and never more than was deposited.
pub(crate) fn live(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let step = PayerChannel::open(terms(), u32::from(script.byte() & 1), wei(500), 24);
    let mut life = Life {
        disk: step.next.encode(),
        core: step.next,
        now: UnixTime::from_secs(DAWN),
        covered: Amount::ZERO,
        signed: BTreeMap::new(),
        out: Amount::ZERO,
    };
    while !script.is_over() {
        match script.below(16) {
            14 => {
                life.now = life
                    .now
                    .plus(Duration::from_secs(30 * u64::from(script.byte())))
            }
            15 => {
                life.core = PayerChannel::decode(&life.disk).unwrap();
                life.take(&PayerEvent::Restarted);
            }
            kind => {
                let event = life.event(kind, &mut script);
                life.take(&event);
            }
        }
    }
}

fn order(script: &mut Script<'_>, core: &PayerChannel, now: UnixTime) -> RoutedOrder {
    let payment = script.payment();
    match script.below(8) {
        0 | 1 => RoutedOrder::Lock(RoutedLock {
            payment,
            lock: script.lock(now),
            own: match script.below(3) {
                0 => None,
                1 => Some(core.next_tranche()),
                _ => Some(u64::from(script.byte())),
            },
            hold_fee: wei(u64::from(script.below(9))),
        }),
        2 => RoutedOrder::Ready {
            payment,
            anchor: anchor(script.below(4), u32::from(script.below(9))),
        },
        3 => RoutedOrder::Dropped(payment),
        4 => RoutedOrder::Dead(payment),
        5 => RoutedOrder::Release {
            payment,
            units: u32::from(script.byte()),
        },
        6 => RoutedOrder::Heard {
            payment,
            k: u32::from(script.byte()),
        },
        _ => RoutedOrder::Fold {
            payment,
            k: u32::from(script.byte()),
            word: script.word(),
            proof: script.proof(),
        },
    }
}

impl Life {
    fn event(&self, kind: u8, script: &mut Script<'_>) -> PayerEvent {
        let channel = terms().id;
        match kind {
            0 => PayerEvent::Chain(ChainFact::Deposit(script.money())),
            1 => PayerEvent::Chain(ChainFact::Claimed(script.money().min(self.most()))),
            2 => PayerEvent::Chain(match script.below(8) {
                0 => ChainFact::Closed,
                1..4 => ChainFact::NotClosing,
                _ => ChainFact::Closing {
                    closes_at: self.now.as_secs() + 60 * u64::from(script.byte()),
                },
            }),
            3 => PayerEvent::LockAsked {
                unit_price: wei(u64::from(script.below(4))),
            },
            4 | 5 => PayerEvent::ReleaseAsked {
                units: u64::from(script.byte()),
            },
            6..=8 => PayerEvent::Routed(order(script, &self.core, self.now)),
            9 => PayerEvent::PayeeSaw(VoucherAck {
                channel,
                seq: u64::from(script.byte()),
                value_now: script.money(),
                covered: script.money(),
            }),
            10 => self.shown(script),
            11 => PayerEvent::TopUpAsked {
                amount: script.money(),
            },
            12 => PayerEvent::CloseAsked(script.is_set().then(|| CloseConsent {
                final_amount: script.money(),
                not_after: self.now,
                signature: [0; 64],
            })),
            _ => match script.below(6) {
                0 => PayerEvent::FinalAsked,
                1 => PayerEvent::RepeatAsked,
                2 if script.is_set() => PayerEvent::Tick,
                2 => PayerEvent::HeardUntil(self.now),
                3 => PayerEvent::ActionFailed,
                4 => PayerEvent::Swept,
                _ => PayerEvent::Restarted,
            },
        }
    }

    /// The most that any voucher so far can come to.
    fn most(&self) -> Amount {
        let worth = |it: &VoucherDraft| {
            let lock = it.lock.iter().map(|it| (it.unit_price, it.units));
            let locks = lock.chain(it.routed.iter().map(|it| (it.unit_price, it.units)));
            let words = locks.map(|(price, units)| price.wei() * u128::from(units));
            Amount::from_wei(it.base.wei() + words.sum::<u128>()).unwrap()
        };
        self.signed.values().map(worth).max().unwrap_or_default()
    }

    /// A voucher that was signed, with what can be proved of it: the shell checks that (`Evidence`).
    fn shown(&self, script: &mut Script<'_>) -> PayerEvent {
        let which = usize::from(script.byte()) % self.signed.len().max(1);
        let draft = self.signed.values().nth(which);
        let plain = draft.filter(|it| it.lock.is_none() && it.routed.is_empty());
        let worth = plain.map_or(Amount::ZERO, |it| it.base);
        PayerEvent::Shown(Shown {
            voucher: plain.map(|it| signed(it.seq, it.base, Vec::new())),
            worth,
            direct: worth,
        })
    }

    fn take(&mut self, event: &PayerEvent) {
        if let PayerEvent::Chain(ChainFact::Deposit(it)) = event {
            self.covered = self.covered.max(*it);
        }
        let step = self.core.handle(event, self.now);
        self.core = step.next;
        if step.save {
            self.disk = self.core.encode();
        }
        for effect in step.effects {
            match effect {
                PayerEffect::SendVoucher(draft) => self.send(draft),
                PayerEffect::SendWord { tranche, units, k } => self.say(tranche, (units, k)),
                PayerEffect::SendRoutedWord { units, k, .. } => assert!(k <= units),
                PayerEffect::Stranger => panic!("a voucher of its own is a stranger's"),
                PayerEffect::TopUpNeeded { .. }
                | PayerEffect::RunningLow
                | PayerEffect::Refuse(_)
                | PayerEffect::Submit(_)
                | PayerEffect::Book(_) => {}
            }
        }
        let again = PayerChannel::decode(&self.core.encode()).unwrap();
        assert_eq!(again.encode(), self.core.encode());
    }

    fn send(&mut self, draft: VoucherDraft) {
        let on_disk = PayerChannel::decode(&self.disk).unwrap();
        assert_eq!(on_disk.draft().as_ref(), Some(&draft), "P1");
        let own = draft
            .lock
            .map_or(0, |it| it.unit_price.wei() * u128::from(it.units));
        let routed = draft.routed.iter();
        let routed: u128 = routed
            .map(|it| it.unit_price.wei() * u128::from(it.units))
            .sum();
        let most = draft.base.wei() + own + routed;
        let covered = self.covered.max(self.core.claimed());
        assert!(
            most <= covered.wei(),
            "{most} promised, {covered} deposited"
        );
        self.out = self.out.max(draft.base);
        if let Some(old) = self.signed.insert(draft.seq, draft.clone()) {
            assert_eq!(old, draft, "P1: two vouchers of one number");
        }
    }

    fn say(&mut self, tranche: u64, (units, k): (u32, u32)) {
        assert!(k <= units);
        let drafts = self.signed.values();
        let mut drafts = drafts.filter_map(|it| Some((it.base, it.lock?)));
        let brought = drafts.find(|(_, lock)| lock.tranche == tranche);
        let (base, lock) = brought.expect("a word of a lock that nobody signed");
        let paid = lock.unit_price.checked_mul(u64::from(k)).unwrap();
        self.out = self.out.max(base.checked_add(paid).unwrap());
        // Whatever a crash makes it forget, it does not spend it again.
        let disk = PayerChannel::decode(&self.disk).unwrap();
        let after = disk.handle(&PayerEvent::Restarted, self.now).next;
        let free = after.spendable().wei() + self.out.wei();
        assert!(
            free <= self.covered.wei(),
            "I3: {free} free or said, {} deposited",
            self.covered
        );
    }
}
