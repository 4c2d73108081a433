//! Laws of the acceptance predicate over vouchers of any shape: several locks, expiry, cheats.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::channel::fixture::{NOON, lock, terms, voucher, wei, words};

const DEPOSIT: u64 = 2_000;

/// What a payer may try next.
#[derive(Debug, Clone)]
enum Try {
    /// A voucher: how much the base grows, which locks are kept, which are new (tranche, units,
    /// seconds of life; 0 = for ever).
    Voucher {
        more: i64,
        keep: u16,
        fresh: Vec<(u64, u32, u64)>,
    },
    /// The rest of lock `lane`, anchored at the word known.
    Anew { lane: usize },
    /// A word of lock `lane`, `steps` further.
    Word { lane: usize, steps: u32 },
    /// The chain's time goes on.
    Wait { secs: u64 },
}

fn attempt() -> impl Strategy<Value = Try> {
    let life = prop_oneof![Just(0), 3000..8000_u64];
    let fresh = prop::collection::vec((1..30_u64, 1..60_u32, life), 0..3);
    prop_oneof![
        3 => (-50..200_i64, any::<u16>(), fresh)
            .prop_map(|(more, keep, fresh)| Try::Voucher { more, keep, fresh }),
        1 => (0..4_usize).prop_map(|lane| Try::Anew { lane }),
        4 => (0..4_usize, 1..70_u32).prop_map(|(lane, steps)| Try::Word { lane, steps }),
        1 => (1..4000_u64).prop_map(|secs| Try::Wait { secs }),
    ]
}

struct Payee {
    held: Holdings,
    chain_time: u64,
    seq: u64,
    /// Which chain a lane's words come from: tranche, units of the whole chain, units dropped.
    origin: std::collections::BTreeMap<HashLock, (u64, u32, u32)>,
}

impl Payee {
    fn new() -> Self {
        let held = Holdings::new(terms().id);
        Self {
            held,
            chain_time: NOON.as_secs(),
            seq: 0,
            origin: Default::default(),
        }
    }

    fn base(&self) -> u64 {
        let base = self
            .held
            .voucher
            .as_ref()
            .map_or(Amount::ZERO, |it| it.get().base);
        u64::try_from(base.wei()).unwrap()
    }

    fn offer(&mut self, base: u64, locks: Vec<Lock>) {
        self.seq += 1;
        let standing = Standing::Usable;
        let facts = Facts {
            deposit: wei(DEPOSIT),
            claimed: Amount::ZERO,
            chain_time: self.chain_time,
            standing,
        };
        let rules = Rules::default();
        if let Ok(next) = accept(&self.held, &voucher(self.seq, base, locks), &facts, &rules) {
            self.held = next;
        }
    }

    fn attempt(&mut self, attempt: &Try) {
        match attempt {
            Try::Voucher { more, keep, fresh } => {
                let lanes = self.held.lanes.iter().enumerate();
                let kept = lanes.filter(|(at, _)| keep >> (at % 16) & 1 == 1);
                let mut locks: Vec<Lock> = kept.map(|(_, it)| it.lock).collect();
                for (tranche, units, life) in fresh {
                    let expiry = if *life == 0 {
                        0
                    } else {
                        self.chain_time + life
                    };
                    let lock = Lock {
                        expiry,
                        ..lock(*tranche, 3, *units)
                    };
                    self.origin.insert(lock.anchor, (*tranche, *units, 0));
                    locks.push(lock);
                }
                let base = self.base().saturating_add_signed(*more);
                self.offer(base, locks);
            }
            Try::Anew { lane } => {
                let Some(it) = self.held.lanes.get(*lane).cloned() else {
                    return;
                };
                let anchor = HashLock::from_bytes(*it.word.expose());
                let rest = Lock {
                    anchor,
                    units: it.lock.units - it.known,
                    ..it.lock
                };
                let (tranche, units, dropped) = self.origin[&it.lock.anchor];
                self.origin
                    .insert(anchor, (tranche, units, dropped + it.known));
                let mut locks: Vec<_> = self.held.lanes.iter().map(|it| it.lock).collect();
                locks[*lane] = rest;
                let folded = u64::try_from(it.lock.unit_price.wei()).unwrap() * u64::from(it.known);
                self.offer(self.base() + folded, locks);
            }
            Try::Word { lane, steps } => {
                let Some(it) = self.held.lanes.get(*lane) else {
                    return;
                };
                let (tranche, units, dropped) = self.origin[&it.lock.anchor];
                let k = it.known + steps;
                let chain = words(tranche, units);
                let word = chain.word(k + dropped).cloned();
                let Some(word) = word else { return };
                let lane = u32::try_from(*lane).unwrap();
                let taken = self
                    .held
                    .take_word(&WordFrame { lane, k, word }, &Rules::default());
                if *steps > 64 {
                    assert_eq!(taken, Err(PayErrorCode::WordGap));
                } else {
                    self.held = taken.unwrap().unwrap();
                }
            }
            Try::Wait { secs } => self.chain_time += secs,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// However a payer tries, what is held never loses value while no lock expires (I7), is
    /// always covered, and never counts one anchor twice.
    #[test]
    fn nobody_takes_a_payee_anything(attempts in prop::collection::vec(attempt(), 1..40)) {
        let mut payee = Payee::new();
        for it in &attempts {
            let before = payee.held.value(payee.chain_time);
            payee.attempt(it);
            let held = &payee.held;
            if !matches!(it, Try::Wait { .. }) {
                prop_assert!(held.value(payee.chain_time) >= before, "{it:?}");
            }
            let locks: Vec<_> = held.lanes.iter().map(|it| it.lock).collect();
            let most = locks_max(&locks).unwrap().wei() + u128::from(payee.base());
            prop_assert!(most <= u128::from(DEPOSIT));
            prop_assert!(locks.len() <= MAX_LOCKS);
            let anchors: BTreeSet<_> = locks.iter().map(|it| it.anchor).collect();
            prop_assert_eq!(anchors.len(), locks.len());
            for lane in &held.lanes {
                prop_assert!(lane.lock.anchor.opens_with(&lane.word, lane.known));
            }
        }
    }
}
