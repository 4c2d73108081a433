//! The account's machine by itself: what it saves, sends and reports, event by event.

use warren_proto::PayoutAddress;

use super::super::event::Stake;
use super::*;
use crate::chain::{BlockHash, Outcome};

mod doubt;
mod turn;

const RULES: TxRules = TxRules {
    chain_id: 1,
    confirmations: 3,
    bump_after_blocks: 2,
    fee_cap: Amount::from_wei_u64(1000),
    urgent: Duration::from_secs(1200),
};

/// Brings 9000 wei for each gas of a claim.
const RICH: u64 = 50_000 * 9000;

const FEES: Fees = Fees {
    base_fee: Amount::from_wei_u64(100),
    floor: Amount::from_wei_u64(100),
    tip: Amount::from_wei_u64(8),
};

fn job(name: u8) -> Job {
    Job {
        id: JobId([name; 32]),
        to: PayoutAddress::ZERO,
        value: Amount::ZERO,
        data: vec![name],
        stake: None,
    }
}

fn prepared(name: u8, nonce: u64) -> TxEvent {
    TxEvent::Prepared {
        id: JobId([name; 32]),
        gas_limit: 50_000,
        fees: FEES,
        nonce,
        time: None,
    }
}

fn signed(unsigned: &UnsignedTx) -> SignedTx {
    let hash = TxHash::from_bytes(unsigned.signing_hash());
    SignedTx {
        raw: unsigned.signing_hash().to_vec(),
        hash,
    }
}

fn seen(tx: TxHash, block: u64) -> Seen {
    let block_hash = BlockHash::from_bytes([0; 32]);
    Seen {
        tx,
        block,
        block_hash,
        outcome: Outcome::Done,
        gas_used: 1,
        cost: Amount::ZERO,
    }
}

fn head(number: u64, nonce: u64, seen: &[Seen]) -> TxEvent {
    TxEvent::HeadSeen {
        number,
        time: UnixTime::from_secs(12 * number),
        nonce,
        fees: FEES,
        seen: seen.to_vec(),
    }
}

/// Asked, prepared and signed: the manager and the version it sent.
fn flying(name: u8, nonce: u64) -> (TxManager, SignedTx) {
    let manager = TxManager::new(RULES).handle(&head(10, nonce, &[])).next;
    let manager = manager.handle(&TxEvent::Asked(job(name))).next;
    sign(&manager, &prepared(name, nonce))
}

/// Handles an event that asks for a signature, and gives it.
fn sign(manager: &TxManager, event: &TxEvent) -> (TxManager, SignedTx) {
    let step = manager.handle(event);
    let [TxEffect::Sign(unsigned)] = step.effects.as_slice() else {
        panic!("{:?}", step.effects)
    };
    let (unsigned, signed) = (unsigned.clone(), signed(unsigned));
    let step = step.next.handle(&TxEvent::Signed {
        unsigned,
        signed: signed.clone(),
    });
    assert!(step.save, "saved before it is sent");
    assert_eq!(step.effects, [TxEffect::Broadcast(signed.clone())]);
    (step.next, signed)
}

#[test]
fn a_second_call_waits_until_the_first_is_in_a_block() {
    let (manager, first) = flying(1, 7);
    let step = manager.handle(&TxEvent::Asked(job(2)));
    assert_eq!(step.effects, []);
    let step = step.next.handle(&head(11, 8, &[seen(first.hash, 11)]));
    assert_eq!(step.effects, [TxEffect::Prepare(job(2))]);
    // The node's count may lag: the nonce comes after our own all the same.
    let (manager, _) = sign(&step.next, &prepared(2, 7));
    assert_eq!(manager.flights.keys().copied().collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn it_is_reported_when_deep_enough_and_then_forgotten() {
    let (manager, tx) = flying(1, 0);
    let early = manager.handle(&head(12, 1, &[seen(tx.hash, 11)]));
    assert_eq!(early.effects, []);
    let done = early.next.handle(&head(13, 1, &[seen(tx.hash, 11)]));
    let report = Report::Confirmed(seen(tx.hash, 11));
    assert_eq!(done.effects, [TxEffect::Report(JobId([1; 32]), report)]);
    assert!(done.save && done.next.is_idle());
}

#[test]
fn a_late_one_pays_an_eighth_more_and_any_version_counts() {
    let (manager, first) = flying(1, 0);
    assert_eq!(
        manager.handle(&head(11, 0, &[])).effects,
        [],
        "one block is no delay"
    );
    let (manager, second) = sign(&manager, &head(12, 0, &[]));
    assert_ne!(first.hash, second.hash);
    assert_eq!(manager.watched().count(), 2);
    let done = manager.handle(&head(15, 1, &[seen(first.hash, 13)]));
    let report = Report::Confirmed(seen(first.hash, 13));
    assert_eq!(done.effects, [TxEffect::Report(JobId([1; 32]), report)]);
}

#[test]
fn at_the_cap_it_is_said_again_instead() {
    let (mut manager, _) = flying(1, 0);
    let mut number = 10;
    let last = loop {
        number += 2;
        let step = manager.handle(&head(number, 0, &[]));
        match step.effects.as_slice() {
            [TxEffect::Sign(unsigned)] => {
                assert!(unsigned.max_fee <= RULES.fee_cap);
                let event = TxEvent::Signed {
                    unsigned: unsigned.clone(),
                    signed: signed(unsigned),
                };
                manager = step.next.handle(&event).next;
            }
            [TxEffect::Broadcast(last)] => break last.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(manager.flights[&0].versions.last(), Some(&last));
}

#[test]
fn a_block_taken_back_starts_the_wait_anew() {
    let (manager, tx) = flying(1, 0);
    let manager = manager.handle(&head(12, 1, &[seen(tx.hash, 11)])).next;
    let step = manager.handle(&head(13, 0, &[]));
    assert!(
        matches!(step.effects.as_slice(), [TxEffect::Sign(_)]),
        "late by now: pays more"
    );
    assert!(step.next.flights[&0].seen.is_none());
}

#[test]
fn a_stranger_on_the_nonce_sends_it_to_the_end_of_the_line_once() {
    let manager = TxManager::new(RULES).handle(&head(10, 0, &[])).next;
    let asked = TxEvent::Asked(claim(1, RICH, None));
    let (manager, _) = sign(&manager.handle(&asked).next, &prepared(1, 0));
    let mut manager = manager.handle(&head(11, 1, &[])).next;
    for number in 12..13 {
        let step = manager.handle(&head(number, 1, &[]));
        assert_eq!(step.effects, [], "the stranger may yet be taken back");
        manager = step.next;
    }
    let step = manager.handle(&head(13, 1, &[]));
    assert!(step.save);
    assert_eq!(step.effects, [TxEffect::Prepare(claim(1, RICH, None))]);
    let (manager, _) = sign(&step.next, &prepared(1, 1));
    assert_eq!(manager.flights.keys().copied().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_refused_call_makes_room_for_the_next() {
    let manager = TxManager::new(RULES).handle(&TxEvent::Asked(job(1))).next;
    let manager = manager.handle(&TxEvent::Asked(job(2))).next;
    let step = manager.handle(&TxEvent::Refused { id: JobId([1; 32]) });
    assert_eq!(step.effects, [TxEffect::Prepare(job(2))]);
}

#[test]
fn what_no_node_takes_is_given_up_only_if_it_is_in_no_pool() {
    let (manager, first) = flying(1, 0);
    let failed = |tx| TxEvent::SendFailed {
        tx,
        why: SendFailure::Final,
    };
    let step = manager.handle(&failed(first.hash));
    assert_eq!(
        step.effects,
        [TxEffect::Report(JobId([1; 32]), Report::Rejected)]
    );
    assert!(step.next.is_idle());
    let (manager, second) = sign(&manager, &head(12, 0, &[]));
    let step = manager.handle(&failed(second.hash));
    assert_eq!((step.effects, step.next), (vec![], manager));
}

#[test]
fn too_little_is_raised_at_once() {
    let (manager, tx) = flying(1, 0);
    let event = TxEvent::SendFailed {
        tx: tx.hash,
        why: SendFailure::Underpriced,
    };
    sign(&manager, &event);
}

#[test]
fn the_queue_is_bounded_and_knows_what_it_holds() {
    let mut manager = TxManager::new(RULES).handle(&TxEvent::Asked(job(0))).next;
    for number in 0..MAX_QUEUE {
        let mut it = job(0);
        it.id.0[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
        manager = manager.handle(&TxEvent::Asked(it)).next;
    }
    assert_eq!(
        manager.handle(&TxEvent::Asked(job(0))).effects,
        [],
        "asked for before"
    );
    let step = manager.handle(&TxEvent::Asked(job(9)));
    assert_eq!(
        step.effects,
        [TxEffect::Report(JobId([9; 32]), Report::QueueFull)]
    );
}

#[test]
fn after_a_restart_the_newest_version_is_sent_again() {
    let (manager, _) = flying(1, 0);
    let (manager, second) = sign(&manager, &head(12, 0, &[]));
    assert_eq!(manager.resume().effects, [TxEffect::Broadcast(second)]);
}

/// A claim that brings `worth` wei of coin for its 50 000 gas.
fn claim(name: u8, worth: u64, deadline: Option<u64>) -> Job {
    let stake = Stake {
        worth: Some(Amount::from_wei_u64(worth)),
        deadline: deadline.map(UnixTime::from_secs),
    };
    Job {
        stake: Some(stake),
        ..job(name)
    }
}

fn market(number: u64, base_fee: u64) -> TxEvent {
    TxEvent::HeadSeen {
        number,
        time: UnixTime::from_secs(12 * number),
        nonce: 0,
        fees: Fees {
            base_fee: Amount::from_wei_u64(base_fee),
            floor: Amount::from_wei_u64(base_fee),
            ..FEES
        },
        seen: Vec::new(),
    }
}

/// The most per gas that the claim in flight ever offers while gas costs `base_fee` for many blocks.
fn dearest(job: Job, base_fee: u64, blocks: u64) -> u64 {
    let mut manager = TxManager::new(RULES).handle(&head(10, 0, &[])).next;
    let mut most = 0;
    let mut todo = vec![TxEvent::Asked(job.clone()), prepared(1, 0)];
    todo.extend((11..11 + blocks).map(|it| market(it, base_fee)));
    for event in todo {
        let mut step = manager.handle(&event);
        while let Some(TxEffect::Sign(unsigned)) = step.effects.first().cloned() {
            most = most.max(u64::try_from(unsigned.max_fee.wei()).unwrap());
            let signed = signed(&unsigned);
            step = step.next.handle(&TxEvent::Signed { unsigned, signed });
        }
        manager = step.next;
    }
    most
}

#[test]
fn a_claim_never_offers_more_for_gas_than_it_brings() {
    let poor = claim(1, 50_000 * 300, None);
    let offered = dearest(poor, 5000, 60);
    assert!((260..=300).contains(&offered), "{offered}");
    let poor = claim(1, 50_000 * 300, Some(0));
    let offered = dearest(poor, 5000, 60);
    assert!(
        (260..=300).contains(&offered),
        "not at its deadline either: {offered}"
    );
}

#[test]
fn a_claim_passes_the_usual_cap_only_when_time_is_short() {
    let rich = |deadline| claim(1, 50_000 * 9000, deadline);
    let usual = RULES.fee_cap.wei();
    assert!(u128::from(dearest(rich(None), 4000, 60)) <= usual);
    let late = dearest(rich(Some(12 * 40 + 1200)), 4000, 60);
    assert!((4000..=9000).contains(&late), "{late}");
    let early = dearest(rich(Some(12 * 40 + 1200)), 4000, 20);
    assert!(u128::from(early) <= usual, "there was time: {early}");
}

#[test]
fn a_claim_asked_for_again_takes_the_new_deadline_to_disk() {
    let mut manager = TxManager::new(RULES).handle(&head(10, 0, &[])).next;
    manager = manager.handle(&TxEvent::Asked(claim(1, RICH, None))).next;
    let (manager, _) = sign(&manager, &prepared(1, 0));
    let again = manager.handle(&TxEvent::Asked(claim(1, RICH, Some(77))));
    assert!(again.save && again.effects.is_empty());
    assert_eq!(again.next.flights[&0].job, claim(1, RICH, Some(77)));
    let same = again.next.handle(&TxEvent::Asked(claim(1, RICH, Some(77))));
    assert!(!same.save);
}

#[test]
fn what_has_a_deadline_goes_before_what_has_none() {
    let (manager, first) = flying(1, 0);
    let manager = manager.handle(&TxEvent::Asked(job(2))).next;
    let manager = manager.handle(&TxEvent::Asked(claim(3, 9, Some(77)))).next;
    let step = manager.handle(&head(11, 1, &[seen(first.hash, 11)]));
    assert_eq!(step.effects, [TxEffect::Prepare(claim(3, 9, Some(77)))]);
}

fn blind(times: u64) -> Vec<TxEvent> {
    let blind = TxEvent::Blind {
        time: UnixTime::from_secs(5000),
        fees: FEES,
        nonces: Vec::new(),
    };
    vec![blind; usize::try_from(times).unwrap()]
}

#[test]
fn while_the_endpoints_disagree_a_claim_pays_more_and_the_rest_is_only_said_again() {
    let mut manager = TxManager::new(RULES).handle(&head(10, 0, &[])).next;
    manager = manager
        .handle(&TxEvent::Asked(claim(1, 50_000_000, Some(9000))))
        .next;
    let (manager, _) = sign(&manager, &prepared(1, 0));
    let [first, second] = blind(2).try_into().unwrap();
    let step = manager.handle(&first);
    assert_eq!(step.effects, [], "once is no delay");
    let step = step.next.handle(&second);
    assert!(matches!(step.effects.as_slice(), [TxEffect::Sign(it)] if it.nonce == 0));
    let (manager, sent) = flying(2, 0);
    let step = manager.handle(&first).next.handle(&second);
    assert_eq!(step.effects, [TxEffect::Broadcast(sent)]);
}

#[test]
fn a_claim_with_a_made_up_nonce_is_made_again_with_the_true_one() {
    let mut manager = TxManager::new(RULES).handle(&head(10, 4, &[])).next;
    manager = manager.handle(&TxEvent::Asked(claim(1, RICH, None))).next;
    let (manager, _) = sign(&manager, &prepared(1, 1_000_000));
    let step = manager.handle(&head(11, 4, &[]));
    assert!(step.save);
    assert_eq!(step.effects, [TxEffect::Prepare(claim(1, RICH, None))]);
    let (manager, _) = sign(&step.next, &prepared(1, 4));
    assert_eq!(manager.flights.keys().copied().collect::<Vec<_>>(), [4]);
}

#[test]
fn a_transfer_is_never_signed_twice_because_a_nonce_seems_too_high() {
    let (manager, _) = flying(1, 9);
    let step = manager.handle(&head(11, 4, &[]));
    assert_eq!(step.next.flights.len(), 1);
    assert_eq!(step.effects, []);
}
