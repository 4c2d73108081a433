//! One history, or none: what the judge lets through.

use proptest::prelude::*;

use super::*;

const OWNER: NodeId = NodeId::from_bytes([7; 32]);

/// Heads 1..=`n` of a store that got one record per batch.
fn history(n: u64) -> Vec<Head> {
    let mut heads = vec![Head::first(OWNER)];
    for number in 0..n {
        let last = *heads.last().unwrap();
        let mut content = last.content;
        content.add("t", &number.to_be_bytes(), b"v");
        heads.push(last.next([u8::try_from(number % 256).unwrap(); 32], content));
    }
    heads.remove(0);
    heads
}

fn evidence(heads: &[Head], confirmed: Option<Head>) -> Evidence {
    Evidence {
        heads: heads.iter().copied().map(Some).collect(),
        mirror: confirmed.map(MirrorEvidence::Confirmed),
        content: heads.last().map_or(ContentSum::default(), |it| it.content),
    }
}

#[test]
fn a_store_that_stopped_between_the_two_writes_opens() {
    let heads = history(5);
    assert_eq!(
        judge(&evidence(&heads, Some(heads[4])), OWNER),
        Ok(heads[4])
    );
    assert_eq!(
        judge(&evidence(&heads, Some(heads[3])), OWNER),
        Ok(heads[4])
    );
    assert_eq!(
        judge(&evidence(&heads[..1], Some(Head::first(OWNER))), OWNER),
        Ok(heads[0])
    );
}

#[test]
fn an_older_copy_does_not_open() {
    let heads = history(5);
    let fault = judge(&evidence(&heads[..3], Some(heads[4])), OWNER).unwrap_err();
    assert_eq!(
        fault,
        ChainFault::Older {
            found: 3,
            confirmed: 5
        }
    );
    let emptied = judge(&evidence(&[], Some(heads[4])), OWNER).unwrap_err();
    assert_eq!(
        emptied,
        ChainFault::Older {
            found: 0,
            confirmed: 5
        }
    );
}

#[test]
fn another_history_of_the_same_length_does_not_open() {
    let heads = history(5);
    let mut other = heads.clone();
    other[4].batch = [9; 32];
    let fault = judge(&evidence(&other, Some(heads[4])), OWNER).unwrap_err();
    assert_eq!(fault, ChainFault::Forked { number: 5 });
    let fault = judge(
        &evidence(
            &heads,
            Some(Head {
                batch: [9; 32],
                ..heads[3]
            }),
        ),
        OWNER,
    )
    .unwrap_err();
    assert_eq!(fault, ChainFault::BrokenLink { number: 5 });
}

#[test]
fn records_that_changed_behind_its_back_are_found() {
    let heads = history(3);
    let mut seen = evidence(&heads, Some(heads[2]));
    seen.content.remove("t", &1_u64.to_be_bytes(), b"v");
    seen.content.add("t", &1_u64.to_be_bytes(), b"w");
    let fault = judge(&seen, OWNER).unwrap_err();
    assert_eq!(
        fault,
        ChainFault::WrongContent {
            number: 3,
            expected: 3,
            found: 3
        }
    );
}

#[test]
fn a_store_without_its_mirror_or_of_another_node_does_not_open() {
    let heads = history(2);
    assert_eq!(
        judge(&evidence(&heads, None), OWNER),
        Err(ChainFault::NoMirror { found: 2 })
    );
    let stranger = NodeId::from_bytes([8; 32]);
    let fault = judge(&evidence(&heads, Some(heads[1])), stranger).unwrap_err();
    assert_eq!(fault, ChainFault::Foreign { owner: OWNER });
    assert!(judge(&Evidence::default(), OWNER).is_ok(), "a new one does");
}

proptest! {
    #[test]
    fn a_head_with_one_bit_flipped_is_no_head(bit in 0..Head::ENCODED * 8) {
        let mut bytes = history(3)[2].encode();
        prop_assert_eq!(bytes.len(), Head::ENCODED);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(Head::decode(&bytes), None);
    }

    #[test]
    fn a_sum_forgets_what_was_taken_away(records in proptest::collection::vec(any::<(u8, u8)>(), 0..20), order in any::<u64>()) {
        let mut sum = ContentSum::default();
        for (key, value) in &records {
            sum.add("t", &[*key], &[*value]);
        }
        let mut shuffled = records.clone();
        let places = shuffled.len().max(1);
        shuffled.rotate_left(usize::try_from(order % places as u64).unwrap());
        for (key, value) in &shuffled {
            sum.remove("t", &[*key], &[*value]);
        }
        prop_assert_eq!(sum, ContentSum::default());
    }
}
