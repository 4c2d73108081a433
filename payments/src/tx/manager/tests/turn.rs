//! Calls that cannot pay for their gas: they are not sent, and what was sent before stands in nobody's way.

use super::*;

const ACCOUNT: PayoutAddress = PayoutAddress::ZERO;

/// Gas has become so dear that nothing under the usual cap gets into a block.
const DEAR: u64 = 5000;

fn prepared_at(name: u8, nonce: u64, base_fee: u64) -> TxEvent {
    let base_fee = Amount::from_wei_u64(base_fee);
    TxEvent::Prepared {
        id: JobId([name; 32]),
        gas_limit: 50_000,
        fees: Fees {
            base_fee,
            floor: base_fee,
            ..FEES
        },
        nonce,
        time: None,
    }
}

/// It brings up to 9000 wei for each gas, and time is short.
fn rich(name: u8) -> Job {
    claim(name, 50_000 * 9000, Some(12 * 20))
}

/// Call 1 was sent at a fair price, then gas became dear; what could be done about that was done.
fn jammed() -> (TxManager, SignedTx) {
    let (mut manager, first) = flying(1, 0);
    for number in 11..14 {
        manager = manager.handle(&market(number, DEAR)).next;
    }
    (manager, first)
}

/// The same, and claim 2 has overtaken it.
fn overtaken() -> (TxManager, [SignedTx; 2]) {
    let (manager, first) = jammed();
    let step = manager.handle(&TxEvent::Asked(rich(2)));
    assert_eq!(step.effects, [TxEffect::Prepare(rich(2))]);
    let (manager, second) = sign(&step.next, &prepared_at(2, 0, DEAR));
    assert_eq!(manager.flights.keys().copied().collect::<Vec<_>>(), [0]);
    (manager, [first, second])
}

fn in_block(manager: &TxManager, tx: &SignedTx) -> TxStep {
    let seen = [seen(tx.hash, 15)];
    let manager = manager.handle(&head(15, 1, &seen)).next;
    manager.handle(&head(17, 1, &seen))
}

fn confirmed(name: u8, tx: &SignedTx) -> TxEffect {
    let report = Report::Confirmed(seen(tx.hash, 15));
    TxEffect::Report(JobId([name; 32]), report)
}

#[test]
fn what_cannot_pay_for_a_block_is_not_sent_and_holds_nobody_up() {
    let manager = TxManager::new(RULES).handle(&head(10, 0, &[])).next;
    let poor = claim(1, 50_000 * 70, Some(0));
    let manager = manager.handle(&TxEvent::Asked(poor)).next;
    let manager = manager.handle(&TxEvent::Asked(job(2))).next;
    let step = manager.handle(&prepared(1, 0));
    let report = Report::TooDear {
        floor: FEES.floor,
        cap: Amount::from_wei_u64(70),
    };
    let told = TxEffect::Report(JobId([1; 32]), report);
    assert_eq!(step.effects, [told, TxEffect::Prepare(job(2))]);
    assert!(step.next.flights.is_empty());
}

/// Asked for while gas costs more than what can wait may pay.
fn too_dear(name: u8) -> TxStep {
    let manager = TxManager::new(RULES).handle(&market(10, DEAR)).next;
    let manager = manager.handle(&TxEvent::Asked(job(name))).next;
    manager.handle(&prepared_at(name, 0, DEAR))
}

#[test]
fn what_can_wait_takes_no_nonce_while_gas_is_too_dear_and_lets_all_others_pass() {
    let step = too_dear(1);
    assert_eq!(step.effects, [], "neither sent nor given up");
    assert!(step.next.flights.is_empty());
    assert!(!step.next.is_idle(), "it is looked at again");
    let manager = step.next;
    assert_eq!(
        manager.handle(&TxEvent::Asked(job(1))).next,
        manager,
        "once"
    );
    // A claim pays what gas costs, not what a place in the line costs.
    let step = manager.handle(&TxEvent::Asked(rich(2)));
    assert_eq!(step.effects, [TxEffect::Prepare(rich(2))]);
    let (manager, _) = sign(&step.next, &prepared_at(2, 0, DEAR));
    assert!(manager.flights[&0].before.is_empty());
}

#[test]
fn what_waits_for_cheaper_gas_goes_in_its_order_when_that_comes() {
    let mut manager = too_dear(1).next.handle(&TxEvent::Asked(job(2))).next;
    manager = manager.handle(&prepared_at(2, 0, DEAR)).next;
    assert_eq!(manager.handle(&market(11, DEAR)).effects, []);
    manager = manager.handle(&TxEvent::Asked(rich(3))).next;
    let step = manager.handle(&TxEvent::Refused { id: rich(3).id });
    assert_eq!(step.effects, [], "still too dear");
    let step = step.next.handle(&market(12, 100));
    assert_eq!(step.effects, [TxEffect::Prepare(job(1))]);
    let (manager, first) = sign(&step.next, &prepared(1, 0));
    let step = manager.handle(&head(13, 1, &[seen(first.hash, 13)]));
    assert_eq!(step.effects, [TxEffect::Prepare(job(2))]);
}

#[test]
fn after_a_minute_whoever_asked_is_told_that_gas_is_too_dear() {
    let mut manager = too_dear(1).next;
    for number in 11..16 {
        let step = manager.handle(&market(number, DEAR));
        assert_eq!(step.effects, [], "block {number}");
        manager = step.next;
    }
    let step = manager.handle(&market(16, DEAR));
    let report = Report::TooDear {
        floor: Amount::from_wei_u64(DEAR),
        cap: RULES.fee_cap,
    };
    assert_eq!(step.effects, [TxEffect::Report(JobId([1; 32]), report)]);
    assert!(step.next.is_idle());
}

#[test]
fn what_may_or_may_not_be_enough_is_sent() {
    let manager = TxManager::new(RULES).handle(&head(10, 0, &[])).next;
    let manager = manager
        .handle(&TxEvent::Asked(claim(1, 50_000 * 70, None)))
        .next;
    let event = TxEvent::Prepared {
        id: JobId([1; 32]),
        gas_limit: 50_000,
        fees: Fees {
            floor: Amount::from_wei_u64(70),
            ..FEES
        },
        nonce: 0,
        time: None,
    };
    sign(&manager, &event);
}

#[test]
fn a_claim_overtakes_what_no_block_takes_and_pays_for_the_place() {
    let (manager, [_, second]) = overtaken();
    let flight = &manager.flights[&0];
    assert!(flight.price.max_fee >= Amount::from_wei_u64(DEAR));
    assert_eq!(flight.versions.last(), Some(&second));
    let step = in_block(&manager, &second);
    let again = TxEffect::Prepare(job(1));
    assert_eq!(step.effects, [confirmed(2, &second), again], "its turn");
}

#[test]
fn if_a_block_takes_the_old_one_after_all_the_claim_is_made_again() {
    let (manager, [first, _]) = overtaken();
    let step = in_block(&manager, &first);
    let again = TxEffect::Prepare(rich(2));
    assert_eq!(step.effects, [confirmed(1, &first), again]);
    // And should a stranger have taken the nonce, it is too; what was overtaken may have happened.
    let mut manager = manager;
    for number in 15..18 {
        manager = manager.handle(&head(number, 1, &[])).next;
    }
    assert_eq!(manager.preparing, Some(rich(2)));
    assert_eq!(manager.queue, []);
    let step = manager.handle(&head(40, 1, &[]));
    let doubt = TxEffect::Report(JobId([1; 32]), Report::Unsure);
    assert_eq!(step.effects, [doubt]);
    assert!(step.next.flights.is_empty());
}

#[test]
fn nothing_is_asked_for_twice_while_it_waits_behind_another() {
    let (manager, _) = overtaken();
    let step = manager.handle(&TxEvent::Asked(job(1)));
    assert_eq!((step.effects, step.next), (vec![], manager));
}

#[test]
fn a_restart_remembers_both() {
    let (manager, [first, second]) = overtaken();
    let puts = TxManager::new(RULES).puts(&manager, ACCOUNT);
    let rows: Vec<_> = puts
        .into_iter()
        .map(|it| (it.key, it.value.unwrap()))
        .collect();
    let read = TxManager::restored(RULES, ACCOUNT, &rows).unwrap();
    let hashes: Vec<_> = read.watched().collect();
    assert_eq!(hashes, [first.hash, second.hash]);
    let step = read.resume();
    assert_eq!(step.effects, [TxEffect::Broadcast(second.clone())]);
    let step = in_block(&step.next, &second);
    let again = TxEffect::Prepare(job(1));
    assert_eq!(step.effects, [confirmed(2, &second), again]);
}

#[test]
fn a_claim_that_no_node_takes_gives_the_place_back() {
    let (manager, [first, second]) = overtaken();
    let failed = TxEvent::SendFailed {
        tx: second.hash,
        why: SendFailure::Final,
    };
    let step = manager.handle(&failed);
    let report = TxEffect::Report(JobId([2; 32]), Report::Rejected);
    assert_eq!(step.effects, [report]);
    assert!(step.save);
    let flight = &step.next.flights[&0];
    assert_eq!((&flight.job, &flight.versions), (&job(1), &vec![first]));
}

#[test]
fn only_what_does_no_harm_twice_overtakes_and_only_what_cannot_pay_is_overtaken() {
    let (manager, _) = jammed();
    assert_eq!(manager.handle(&TxEvent::Asked(job(2))).effects, []);
    let (manager, _) = flying(1, 0);
    let manager = manager.handle(&head(11, 0, &[])).next;
    assert_eq!(manager.handle(&TxEvent::Asked(rich(2))).effects, []);
    // One that cannot pay either is told so, and the next in line is asked.
    let (manager, _) = jammed();
    let poor = claim(2, 50_000 * 70, Some(0));
    let step = manager.handle(&TxEvent::Asked(poor)).next;
    let step = step.handle(&TxEvent::Asked(rich(3))).next;
    let step = step.handle(&prepared_at(2, 0, DEAR));
    let report = Report::TooDear {
        floor: Amount::from_wei_u64(DEAR),
        cap: Amount::from_wei_u64(70),
    };
    let told = TxEffect::Report(JobId([2; 32]), report);
    assert_eq!(step.effects, [told, TxEffect::Prepare(rich(3))]);
}

#[test]
fn a_claim_in_line_moves_forward_when_it_gets_a_deadline() {
    let (manager, first) = flying(1, 0);
    let manager = manager.handle(&TxEvent::Asked(job(2))).next;
    let calm = claim(3, 9_000_000_000, None);
    let manager = manager.handle(&TxEvent::Asked(calm)).next;
    let urgent = claim(3, 9_000_000_000, Some(77));
    let manager = manager.handle(&TxEvent::Asked(urgent.clone())).next;
    let step = manager.handle(&head(11, 1, &[seen(first.hash, 11)]));
    assert_eq!(step.effects, [TxEffect::Prepare(urgent)]);
}

/// A claim for another payee, near its deadline; nobody knows what it is worth to this account.
fn for_another(name: u8) -> Job {
    let stake = Stake {
        worth: None,
        deadline: Some(UnixTime::from_secs(12 * 20)),
    };
    Job {
        stake: Some(stake),
        ..job(name)
    }
}

#[test]
fn a_claim_for_another_goes_first_but_pays_no_more_than_usual_even_at_its_deadline() {
    let offered = u128::from(dearest(for_another(1), DEAR, 60));
    let usual = RULES.fee_cap.wei();
    assert!((usual * 8 / 9..=usual).contains(&offered), "{offered}");

    let (manager, first) = flying(1, 0);
    let manager = manager.handle(&TxEvent::Asked(job(2))).next;
    let manager = manager.handle(&TxEvent::Asked(for_another(3))).next;
    let step = manager.handle(&head(11, 1, &[seen(first.hash, 11)]));
    assert_eq!(step.effects, [TxEffect::Prepare(for_another(3))]);
    // Above the cap it is not sent, and is in nobody's way.
    let step = step.next.handle(&prepared_at(3, 1, DEAR));
    let report = Report::TooDear {
        floor: Amount::from_wei_u64(DEAR),
        cap: RULES.fee_cap,
    };
    let told = TxEffect::Report(JobId([3; 32]), report);
    assert_eq!(step.effects, [told, TxEffect::Prepare(job(2))]);
}
