//! What nobody can say: receipts that come late, and nonces that may be made up.

use super::*;

fn nonces(manager: &TxManager) -> Vec<u64> {
    manager.flights.keys().copied().collect()
}

/// A node that knows the nonce before it has the receipt: a top-up made again would be made twice.
#[test]
fn a_receipt_that_comes_late_makes_nothing_twice() {
    let (manager, sent) = flying(1, 0);
    let mut manager = manager;
    for number in 11..20 {
        let step = manager.handle(&head(number, 1, &[]));
        assert_eq!(step.effects, [], "block {number}");
        manager = step.next;
    }
    let step = manager.handle(&head(20, 1, &[seen(sent.hash, 11)]));
    let report = Report::Confirmed(seen(sent.hash, 11));
    assert_eq!(step.effects, [TxEffect::Report(JobId([1; 32]), report)]);
    assert!(step.next.is_idle());
}

#[test]
fn what_never_gets_a_receipt_is_reported_as_what_may_have_happened_and_holds_nobody_up() {
    let (manager, _) = flying(1, 0);
    let manager = manager.handle(&head(11, 1, &[])).next;
    let step = manager.handle(&TxEvent::Asked(job(2)));
    assert_eq!(step.effects, [TxEffect::Prepare(job(2))]);
    let (mut manager, second) = sign(&step.next, &prepared(2, 1));
    let mut told = Vec::new();
    for number in 12..60 {
        let step = manager.handle(&head(number, 2, &[seen(second.hash, 12)]));
        told.extend(step.effects.into_iter().map(|it| (number, it)));
        manager = step.next;
    }
    let confirmed = Report::Confirmed(seen(second.hash, 12));
    let doubt = TxEffect::Report(JobId([1; 32]), Report::Unsure);
    let done = TxEffect::Report(JobId([2; 32]), confirmed);
    // Blocks of twelve seconds: five minutes.
    assert_eq!(told, [(14, done), (36, doubt)]);
    assert!(manager.is_idle());
}

fn heard(nonces: &[u64]) -> TxEvent {
    TxEvent::Blind {
        time: UnixTime::from_secs(5000),
        fees: FEES,
        nonces: nonces.to_vec(),
    }
}

/// A claim whose nonce one of two endpoints made up.
fn misled() -> (TxManager, [SignedTx; 2]) {
    let manager = TxManager::new(RULES).handle(&head(10, 0, &[])).next;
    let manager = manager.handle(&TxEvent::Asked(claim(1, RICH, None))).next;
    let (manager, low) = sign(&manager, &prepared(1, 0));
    let manager = manager.handle(&heard(&[7, 0])).next;
    let (manager, high) = sign(&manager, &heard(&[7, 0]));
    assert_eq!(nonces(&manager), [0, 7]);
    (manager, [low, high])
}

#[test]
fn a_claim_is_sent_under_the_other_nonce_too_and_is_done_once_either_is_in_a_block() {
    let (manager, [low, high]) = misled();
    // Each is said again from then on, and there is no third.
    let step = manager.handle(&heard(&[7, 0])).next.handle(&heard(&[7, 0]));
    assert_eq!(nonces(&step.next), [0, 7]);
    for (tx, nonce) in [(high, 8), (low, 1)] {
        let landed = [seen(tx.hash, 11)];
        assert_eq!(manager.nonce_after(&landed), Some(nonce));
        let step = manager.handle(&head(11, nonce, &landed));
        let step = step.next.handle(&head(13, nonce, &landed));
        let report = Report::Confirmed(seen(tx.hash, 11));
        assert_eq!(step.effects, [TxEffect::Report(JobId([1; 32]), report)]);
        assert!(step.next.is_idle(), "and never again");
    }
}

#[test]
fn a_transfer_is_never_sent_under_two_nonces() {
    let (manager, sent) = flying(1, 0);
    let step = manager.handle(&heard(&[7, 0])).next.handle(&heard(&[7, 0]));
    assert_eq!(step.effects, [TxEffect::Broadcast(sent)]);
    assert_eq!(nonces(&step.next), [0]);
}

/// While nobody can say what is in a block, one claim must not wait for another to be seen there.
#[test]
fn claims_of_other_channels_go_out_though_none_can_be_seen_in_a_block() {
    let manager = TxManager::new(RULES).handle(&head(10, 0, &[])).next;
    let manager = manager.handle(&TxEvent::Asked(claim(1, RICH, None))).next;
    let (manager, _) = sign(&manager, &prepared(1, 0));
    let second = claim(2, RICH, None);
    let step = manager.handle(&TxEvent::Asked(second.clone()));
    assert_eq!(step.effects, [], "it waits for the next block");
    let step = step.next.handle(&heard(&[]));
    assert_eq!(step.effects, [TxEffect::Prepare(second)]);
    let (manager, _) = sign(&step.next, &prepared(2, 0));
    assert_eq!(nonces(&manager), [0, 1]);
    let step = manager.handle(&TxEvent::Asked(job(3)));
    assert_eq!(step.effects, [], "what may do harm twice waits");
}
