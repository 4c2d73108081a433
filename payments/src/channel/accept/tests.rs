use super::*;
use crate::channel::fixture::{NOON, lock, terms, voucher, wei, word};

fn facts(deposit: u64) -> Facts {
    Facts {
        deposit: wei(deposit),
        claimed: Amount::ZERO,
        chain_time: NOON.as_secs(),
        standing: Standing::Usable,
    }
}

fn judge(held: &Holdings, voucher: &VerifiedVoucher) -> Result<Holdings, PayErrorCode> {
    accept(held, voucher, &facts(1000), &Rules::default())
}

fn routed(tranche: u64, life_secs: u64) -> Lock {
    Lock {
        expiry: NOON.as_secs() + life_secs,
        ..lock(tranche, 1, 10)
    }
}

/// A voucher with one lock of 100 units at 2 wei, and `k` words of it.
fn holding(k: u32) -> Holdings {
    let held = judge(
        &Holdings::new(terms().id),
        &voucher(1, 50, vec![lock(1, 2, 100)]),
    )
    .unwrap();
    if k == 0 {
        return held;
    }
    held.take_word(&word(1, 100, k), &Rules::default())
        .unwrap()
        .unwrap()
}

#[test]
fn a_first_voucher_is_worth_its_base_and_words_add_to_it() {
    assert_eq!(holding(0).value(0), wei(50));
    assert_eq!(holding(30).value(0), wei(110));
}

#[test]
fn a_voucher_must_be_newer() {
    assert_eq!(
        judge(&holding(0), &voucher(1, 60, vec![])),
        Err(PayErrorCode::StaleSeq)
    );
}

#[test]
fn only_the_confirmed_deposit_covers() {
    let exact = voucher(2, 800, vec![lock(2, 2, 100)]);
    assert!(judge(&holding(0), &exact).is_ok());
    let over = voucher(2, 801, vec![lock(2, 2, 100)]);
    assert_eq!(judge(&holding(0), &over), Err(PayErrorCode::OverCommitted));
    let absurd = Lock {
        unit_price: Amount::MAX,
        ..lock(2, 2, 100)
    };
    assert_eq!(
        judge(&holding(0), &voucher(2, 0, vec![absurd])),
        Err(PayErrorCode::OverCommitted)
    );
}

#[test]
fn nobody_forces_a_payee_off_a_better_voucher() {
    let worse = voucher(2, 109, vec![]);
    assert_eq!(
        judge(&holding(30), &worse),
        Err(PayErrorCode::NotDominating)
    );
    assert!(judge(&holding(30), &voucher(2, 110, vec![])).is_ok());
}

#[test]
fn an_anchor_is_good_once_per_channel() {
    let folded = judge(&holding(30), &voucher(2, 110, vec![])).unwrap();
    let again = voucher(3, 110, vec![lock(1, 2, 100)]);
    assert_eq!(judge(&folded, &again), Err(PayErrorCode::AnchorReused));
    let twice = voucher(3, 110, vec![lock(2, 1, 10), lock(2, 1, 10)]);
    assert_eq!(judge(&folded, &twice), Err(PayErrorCode::AnchorReused));
}

#[test]
fn a_kept_lock_keeps_its_words_and_its_terms() {
    let kept = judge(&holding(30), &voucher(2, 60, vec![lock(1, 2, 100)])).unwrap();
    assert_eq!(kept.value(0), wei(120));
    let cheaper = Lock {
        unit_price: wei(1),
        ..lock(1, 2, 100)
    };
    let changed = judge(&holding(30), &voucher(2, 500, vec![cheaper]));
    assert_eq!(changed, Err(PayErrorCode::NotDominating));
}

#[test]
fn a_lock_may_be_anchored_anew_at_the_word_known() {
    let held = holding(30);
    let rest = Lock {
        anchor: HashLock::from_bytes(*held.lanes[0].word.expose()),
        units: 70,
        ..lock(1, 2, 100)
    };
    let moved = judge(&held, &voucher(2, 110, vec![rest])).unwrap();
    assert_eq!(moved.value(0), wei(110));
    let word = WordFrame {
        k: 1,
        ..word(1, 100, 31)
    };
    let next = moved.take_word(&word, &Rules::default()).unwrap().unwrap();
    assert_eq!(next.value(0), wei(112));
}

#[test]
fn a_lock_with_expiry_is_dropped_only_by_time() {
    let held = judge(
        &Holdings::new(terms().id),
        &voucher(1, 0, vec![routed(1, 5000)]),
    )
    .unwrap();
    let without = voucher(2, 5, vec![]);
    assert_eq!(judge(&held, &without), Err(PayErrorCode::NotDominating));
    let rules = Rules::default();
    let later = Facts {
        chain_time: NOON.as_secs() + 5000,
        ..facts(1000)
    };
    assert!(accept(&held, &without, &later, &rules).is_ok());
}

#[test]
fn a_lock_must_live_long_enough_and_not_too_long() {
    let held = Holdings::new(terms().id);
    let with = |life| judge(&held, &voucher(1, 0, vec![routed(1, life)]));
    assert_eq!(with(3599), Err(PayErrorCode::ExpiryTooSoon));
    assert!(with(3600).is_ok() && with(14_400).is_ok());
    assert_eq!(with(14_401), Err(PayErrorCode::ExpiryTooFar));
}

#[test]
fn an_expired_lock_is_worth_nothing() {
    let held = judge(
        &Holdings::new(terms().id),
        &voucher(1, 0, vec![routed(1, 3600)]),
    )
    .unwrap();
    let held = held
        .take_word(&word(1, 10, 4), &Rules::default())
        .unwrap()
        .unwrap();
    assert_eq!(held.value(NOON.as_secs() + 3599), wei(4));
    assert_eq!(held.value(NOON.as_secs() + 3600), wei(0));
}

#[test]
fn limits_bound_the_work_of_a_payee_and_of_the_chain() {
    let held = Holdings::new(terms().id);
    let many = (1..=17).map(|it| lock(it, 1, 1)).collect();
    assert_eq!(
        judge(&held, &voucher(1, 0, many)),
        Err(PayErrorCode::TooManyLocks)
    );
    let long = Lock {
        units: 1025,
        unit_price: wei(1),
        ..lock(1, 1, 1)
    };
    let rules = Rules::default();
    let rich = facts(10_000);
    let judged = accept(&held, &voucher(1, 0, vec![long]), &rich, &rules);
    assert_eq!(judged, Err(PayErrorCode::TooManyLocks));
    let none = Lock {
        units: 0,
        ..lock(1, 1, 1)
    };
    assert_eq!(
        judge(&held, &voucher(1, 0, vec![none])),
        Err(PayErrorCode::TooManyLocks)
    );
    let dear = Rules {
        min_unit_price: wei(3),
        ..rules
    };
    let cheap = voucher(1, 0, vec![lock(1, 2, 1)]);
    assert_eq!(
        accept(&held, &cheap, &rich, &dear),
        Err(PayErrorCode::UnitTooSmall)
    );
}

/// However long a channel is used, it goes on: the oldest anchor makes room, and a folded lock's rest takes none.
#[test]
fn a_channel_outlives_the_anchors_that_are_remembered() {
    let rules = Rules {
        max_anchors: 2,
        ..Rules::default()
    };
    let mut held = holding(30);
    for seq in 2..6 {
        let known = held.lanes[0].word.clone();
        let folded = Lock {
            anchor: HashLock::from_bytes(*known.expose()),
            units: held.lanes[0].lock.units - held.lanes[0].known,
            ..held.lanes[0].lock
        };
        let base = held.value(NOON.as_secs());
        let next = voucher(seq, u64::try_from(base.wei()).unwrap(), vec![folded]);
        held = accept(&held, &next, &facts(10_000), &rules).unwrap();
        let k = 100 - held.lanes[0].lock.units + 1;
        let frame = WordFrame {
            k: 1,
            ..word(1, 100, k)
        };
        held = held.take_word(&frame, &rules).unwrap().unwrap();
    }
    let base = held.value(NOON.as_secs());
    let tranche = |seq, number| {
        let base = u64::try_from(base.wei()).unwrap();
        voucher(seq, base, vec![lock(number, 1, 1)])
    };
    for number in 7..12 {
        held = accept(&held, &tranche(number, number), &facts(10_000), &rules).unwrap();
    }
    let lately = accept(&held, &tranche(12, 10), &facts(10_000), &rules);
    assert_eq!(lately, Err(PayErrorCode::AnchorReused));
    assert_eq!(held.seen.len(), 2);
}

#[test]
fn a_channel_that_may_not_be_used_takes_nothing() {
    let good = voucher(1, 1, vec![]);
    let cases = [
        (Standing::Unconfirmed, PayErrorCode::NotConfirmed),
        (Standing::Closing, PayErrorCode::Closing),
        (Standing::Stale, PayErrorCode::ChainStale),
    ];
    for (standing, code) in cases {
        let facts = Facts {
            standing,
            ..facts(1000)
        };
        let judged = accept(&Holdings::new(terms().id), &good, &facts, &Rules::default());
        assert_eq!(judged, Err(code));
    }
}

#[test]
fn words_are_checked_and_old_ones_ignored() {
    let (held, rules) = (holding(30), Rules::default());
    let take = |frame: &WordFrame| held.take_word(frame, &rules);
    assert_eq!(take(&word(1, 100, 30)), Ok(None));
    assert_eq!(take(&word(1, 100, 7)), Ok(None));
    assert_eq!(take(&word(1, 100, 95)), Err(PayErrorCode::WordGap));
    assert!(matches!(take(&word(1, 100, 94)), Ok(Some(_))));
    assert_eq!(
        take(&WordFrame {
            k: 32,
            ..word(1, 100, 31)
        }),
        Err(PayErrorCode::BadWord)
    );
    assert_eq!(take(&word(2, 100, 31)), Err(PayErrorCode::BadWord));
    assert_eq!(
        take(&WordFrame {
            lane: 1,
            ..word(1, 100, 31)
        }),
        Err(PayErrorCode::BadWord)
    );
    assert_eq!(
        take(&WordFrame {
            k: 101,
            ..word(1, 100, 100)
        }),
        Err(PayErrorCode::BadWord)
    );
}

/// Sixteen locks with all words known, and a voucher of their rests: each word is hashed once and no more, and
/// not at all if the sums say already that nothing comes of it.
#[test]
fn a_voucher_costs_no_more_hashes_than_words_are_known() {
    const UNITS: u32 = 1024;
    let tranches: Vec<u64> = (1..=16).collect();
    let facts = facts(1_000_000);
    let rules = Rules {
        max_word_gap: UNITS,
        ..Rules::default()
    };
    let locks = tranches.iter().map(|it| lock(*it, 1, UNITS)).collect();
    let empty = Holdings::new(terms().id);
    let mut held = accept(&empty, &voucher(1, 0, locks), &facts, &rules).unwrap();
    for (lane, tranche) in (0..).zip(&tranches) {
        let frame = WordFrame {
            lane,
            ..word(*tranche, UNITS, UNITS)
        };
        held = held.take_word(&frame, &rules).unwrap().unwrap();
    }
    // Each is anchored at its first word, and the base has those.
    let rest = |tranche: u64| Lock {
        anchor: HashLock::from_bytes(*word(tranche, UNITS, 1).word.expose()),
        units: UNITS - 1,
        ..lock(tranche, 1, UNITS)
    };
    let mut of_rests: Vec<_> = tranches.iter().map(|it| rest(*it)).collect();
    let hashes = |base: u64, locks: Vec<Lock>| {
        let before = rests::HASHES.get();
        let judged = accept(&held, &voucher(2, base, locks), &facts, &rules);
        (judged.map(|it| it.value(0)), rests::HASHES.get() - before)
    };
    let words = 16 * UNITS;
    let (judged, spent) = hashes(16, of_rests.clone());
    assert_eq!(judged, Ok(wei(u64::from(words))));
    assert!(spent <= words, "{spent}");
    let (judged, spent) = hashes(15, of_rests.clone());
    assert_eq!(judged, Err(PayErrorCode::NotDominating));
    assert_eq!(spent, 0, "no hash makes up for a wei");
    // One that is no rest of any, though it looks like one.
    of_rests[15].anchor = HashLock::from_bytes([5; 32]);
    let (judged, spent) = hashes(16, of_rests);
    assert_eq!(judged, Err(PayErrorCode::NotDominating));
    assert!(spent <= words, "{spent}");
}
