//! A tower's core under any puts and any news.

use std::time::Duration;

use warren_payments::Evidence;
use warren_payments::tower::{
    Closing, Job, NONCE_BYTES, Tower, TowerEvent, TowerRules, TowerStep, put,
};
use warren_payments::voucher::worth;
use warren_proto::{
    Amount, ChannelId, Locator, NodeId, TowerDeadline, TowerPut, TowerVerdict, UnixTime, WordFrame,
};

use super::script::{DAWN, Script, signed, terms, wei, word};

/// So few that a script meets every bound.
const RULES: TowerRules = TowerRules {
    per_owner: 2,
    total: 4,
    keep: Duration::from_secs(40_000),
    burst: 6,
    pace: Duration::from_secs(60),
    claims_of_owner: 3,
    claims: 5,
    patience: Duration::from_secs(600),
    closings: 3,
};

fn channel(which: u8) -> ChannelId {
    if which == 0 {
        terms().id
    } else {
        ChannelId::from_bytes([which; 32])
    }
}

fn a_put(script: &mut Script<'_>, now: UnixTime) -> TowerPut {
    let (which, number) = (script.below(3), u64::from(script.below(6)));
    let until = now.as_secs() + 256 * u64::from(script.byte());
    if which == 0 && script.is_set() {
        return sealed(script, number, until);
    }
    let named = channel(script.below(3));
    TowerPut {
        locator: Locator::of(&channel(which)),
        number,
        until,
        sealed: vec![script.byte(); usize::from(script.byte())],
        deadline: script.is_set().then(|| TowerDeadline {
            channel: named,
            act_at: now.as_secs() + 60 * u64::from(script.byte()),
        }),
    }
}

fn a_closing(script: &mut Script<'_>, now: UnixTime) -> Closing {
    Closing {
        channel: channel(script.below(6)),
        closes_at: now.as_secs() + 60 * u64::from(script.byte()),
    }
}

/// What a payee leaves, of a true voucher.
fn sealed(script: &mut Script<'_>, number: u64, until: u64) -> TowerPut {
    let mut lock = script.lock(UnixTime::from_secs(DAWN));
    lock.anchor = super::script::anchor(1, 0);
    let k = u32::from(script.below(8)) + 1;
    lock.units = 40;
    let voucher = signed(number, wei(number * 10), vec![lock]).get().clone();
    let best = vec![WordFrame {
        lane: 0,
        k,
        word: word(1, k),
    }];
    let evidence = Evidence {
        params: terms().params,
        voucher,
        best,
        value: Amount::ZERO,
        value_before: Amount::ZERO,
    };
    put(&terms().id, &evidence, (number, until), [7; NONCE_BYTES]).unwrap()
}

/// Bounded in every direction, older puts replace no newer ones, and each claim is proved.
pub(crate) fn live(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut tower = Tower::new(terms().chain, RULES);
    let mut now = UnixTime::from_secs(DAWN);
    let mut jobs: Vec<Job> = Vec::new();
    while !script.is_over() {
        let event = match script.below(12) {
            0..=3 => TowerEvent::Put {
                owner: NodeId::from_bytes([script.below(4); 32]),
                put: Box::new(a_put(&mut script, now)),
            },
            4 => TowerEvent::Closing(a_closing(&mut script, now)),
            10 => TowerEvent::Feared(a_closing(&mut script, now)),
            11 => TowerEvent::Agreed,
            5 => TowerEvent::Closed(channel(script.below(3))),
            6 => {
                now = now.plus(Duration::from_secs(60 * u64::from(script.byte())));
                TowerEvent::Tick
            }
            _ => match jobs.pop() {
                None => TowerEvent::Tick,
                Some(Job { key, number, .. }) => match script.below(4) {
                    0 => TowerEvent::Idle { key, number },
                    1 => TowerEvent::Settled { key, number },
                    2 => TowerEvent::Undone { key },
                    _ => TowerEvent::Failed { key },
                },
            },
        };
        let is_tick = matches!(event, TowerEvent::Tick);
        let held = number_of(&tower, &event);
        let step = tower.handle(event.clone(), now);
        answer(&step, &event, held);
        for change in step.changes {
            tower.apply(change);
        }
        for job in step.jobs {
            let twice = jobs.iter().any(|it| it.key == job.key);
            assert!(!twice, "two claims of one put at once");
            prove(&job);
            jobs.push(job);
        }
        bounds(&tower, is_tick.then_some(now));
    }
}

fn number_of(tower: &Tower, event: &TowerEvent) -> u64 {
    let TowerEvent::Put { owner, put } = event else {
        return 0;
    };
    let mut puts = tower.puts();
    let held = puts.find(|(key, _)| key.owner == *owner && key.locator == put.locator);
    held.map_or(0, |(_, it)| it.number)
}

fn answer(step: &TowerStep, event: &TowerEvent, held: u64) {
    if let (TowerEvent::Put { put, .. }, Some(told)) = (event, step.answer) {
        let kept = told.verdict == TowerVerdict::Kept;
        assert!(!kept || put.number > held, "an older put replaces a newer");
        assert_eq!(kept, !step.changes.is_empty());
    }
}

fn prove(job: &Job) {
    let words: Vec<_> = job
        .claim
        .reveals
        .iter()
        .map(|it| WordFrame {
            lane: u32::from(it.index),
            k: it.k,
            word: it.word.clone(),
        })
        .collect();
    assert_eq!(worth(&job.claim.voucher, &words), Ok(job.value));
    assert_eq!(job.claim.params, terms().params);
}

fn bounds(tower: &Tower, ticked: Option<UnixTime>) {
    assert!(tower.count() <= RULES.total);
    for (key, it) in tower.puts() {
        let of_owner = tower.puts().filter(|(it, _)| it.owner == key.owner);
        assert!(of_owner.count() <= RULES.per_owner);
        let over = ticked.is_some_and(|now| it.until <= now.as_secs());
        // A tick stops where it has begun claims enough; the next goes on.
        assert!(!over || tower.count() > 16, "kept past its end");
    }
}
