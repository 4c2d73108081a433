use super::*;
use crate::Revert;

const DEAD: ChainError = ChainError::NoGasMoney;

fn unreachable() -> ChainError {
    ChainError::Unreachable {
        detail: "gone".into(),
    }
}

fn ballot(wanted: usize, of: usize, voices: &[Result<u8, ChainError>]) -> Ballot<u8> {
    let mut ballot = Ballot::new("a number", wanted, of);
    for (place, voice) in voices.iter().enumerate() {
        ballot.hear(place, voice.clone());
    }
    ballot
}

fn decided(ballot: &Ballot<u8>, pending: usize) -> (Result<u8, ChainError>, Vec<Place>) {
    match ballot.verdict(pending) {
        Verdict::Decided { answer, overruled } => (answer, overruled),
        Verdict::Open => panic!("open: {ballot:?}"),
    }
}

#[test]
fn two_of_three_overrule_the_third() {
    for order in [[7, 7, 9], [7, 9, 7], [9, 7, 7]] {
        let ballot = ballot(2, 3, &order.map(Ok));
        let (answer, overruled) = decided(&ballot, 0);
        assert_eq!(answer, Ok(7));
        assert_eq!(overruled.len(), 1);
        assert_eq!(order[overruled[0]], 9);
    }
}

#[test]
fn one_alone_is_never_believed_where_two_must_agree() {
    let voices = [Ok(7), Err(unreachable())];
    let (answer, overruled) = decided(&ballot(2, 2, &voices), 0);
    assert!(
        matches!(&answer, Err(ChainError::NoQuorum { answered: 1, of: 2, wanted: 2, detail, .. })
            if detail == "endpoint 2: chain node unreachable: gone"),
        "{answer:?}"
    );
    assert!(overruled.is_empty());
}

#[test]
fn two_that_contradict_each_other_are_both_not_believed() {
    let (answer, overruled) = decided(&ballot(2, 2, &[Ok(7), Ok(9)]), 0);
    let disputed = ChainError::Disputed {
        what: "a number",
        answered: 2,
        wanted: 2,
    };
    assert_eq!(answer, Err(disputed));
    assert!(overruled.is_empty(), "nobody knows who lied");
}

#[test]
fn two_camps_of_equal_strength_are_both_not_believed() {
    let voices = [Ok(7), Ok(9), Ok(7), Ok(9)];
    let (answer, _) = decided(&ballot(2, 4, &voices), 0);
    assert!(matches!(answer, Err(ChainError::Disputed { .. })));
}

#[test]
fn nobody_waits_for_one_who_can_change_nothing() {
    assert_eq!(decided(&ballot(2, 3, &[Ok(7), Ok(7)]), 1).0, Ok(7));
    let camp = ballot(2, 4, &[Ok(7), Ok(7)]);
    assert_eq!(camp.verdict(2), Verdict::Open, "two more could say 9");
    let hopeless = ballot(2, 2, &[Err(unreachable())]);
    assert!(decided(&hopeless, 1).0.is_err());
}

#[test]
fn the_contracts_refusal_is_an_answer_and_an_endpoints_own_is_none() {
    let no = ChainError::Reverted(Revert::NotOpen);
    let voices = [Err(no.clone()), Ok(7), Err(no.clone())];
    assert_eq!(decided(&ballot(2, 3, &voices), 0), (Err(no), vec![1]));
    let voices = [Err(DEAD), Err(DEAD), Ok(7)];
    assert!(matches!(
        decided(&ballot(2, 3, &voices), 0).0,
        Err(ChainError::NoQuorum { answered: 1, .. })
    ));
}

#[test]
fn one_endpoint_alone_speaks_for_itself() {
    assert_eq!(decided(&ballot(1, 1, &[Ok(7)]), 0).0, Ok(7));
    assert_eq!(
        decided(&ballot(1, 1, &[Err(unreachable())]), 0).0,
        Err(unreachable())
    );
}

#[test]
fn an_endpoint_has_one_voice() {
    let mut ballot = ballot(2, 2, &[Ok(7)]);
    ballot.hear(0, Ok(7));
    assert!(decided(&ballot, 0).0.is_err());
}

#[test]
fn another_chain_is_said_only_if_nobody_has_a_better_excuse() {
    let other = ChainError::Mismatch {
        what: "chain id",
        expected: "1".into(),
        found: "2".into(),
    };
    let voices = [Err(other.clone()), Err(unreachable())];
    assert_eq!(decided(&ballot(2, 2, &voices), 0).0, Err(unreachable()));
    let voices = [Err(other.clone()), Err(other.clone())];
    assert_eq!(decided(&ballot(2, 2, &voices), 0).0, Err(other));
}

proptest::proptest! {
    /// With fewer liars than must agree, and whatever order and silence, no lie is ever believed.
    #[test]
    fn fewer_liars_than_a_quorum_are_never_believed(
        lies in proptest::collection::vec(1_u8..4, 0..2),
        honest in 0_usize..4,
        silent in 0_usize..3,
        turn in 0_usize..8,
    ) {
        let mut voices: Vec<Result<u8, ChainError>> = lies.iter().map(|it| Ok(*it)).collect();
        voices.extend(std::iter::repeat_n(Ok(0), honest));
        voices.extend(std::iter::repeat_n(Err(unreachable()), silent));
        if voices.is_empty() {
            return Ok(());
        }
        let turn = turn % voices.len();
        voices.rotate_left(turn);
        let of = voices.len();
        for heard in 0..=of {
            let ballot = ballot(2, of, &voices[..heard]);
            if let Verdict::Decided { answer: Ok(it), .. } = ballot.verdict(of - heard) {
                proptest::prop_assert_eq!(it, 0);
            }
        }
        if honest >= 2 {
            proptest::prop_assert_eq!(decided(&ballot(2, of, &voices), 0).0, Ok(0));
        }
    }
}
