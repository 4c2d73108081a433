use proptest::prelude::*;

use super::*;
use crate::host::{Family, NftTable, RouteChange, RuleChange, Selector, Sysctl, Target};

fn changes() -> Vec<Change> {
    let rule = |priority, selector, target| {
        Change::Rule(RuleChange {
            family: Family::V6,
            priority,
            selector,
            target,
        })
    };
    vec![
        Change::NftTable(NftTable {
            name: "warren".to_owned(),
            script: String::new(),
        }),
        Change::Route(RouteChange {
            family: Family::V4,
            device: Some("warren0".to_owned()),
        }),
        rule(7761, Selector::Mark(0x7761), Target::Main),
        rule(
            7763,
            Selector::To("fd77:7761::/64".parse().unwrap()),
            Target::Tunnel,
        ),
        Change::Sysctl(Sysctl {
            key: "net/ipv4/ip_forward".to_owned(),
            before: "0".to_owned(),
            after: "1".to_owned(),
            all: None,
        }),
    ]
}

/// Writes all changes into a journal and returns its bytes.
fn written(path: &Path) -> Vec<u8> {
    let mut journal = Journal::open(path).unwrap();
    for change in &changes() {
        journal.record(change).unwrap();
    }
    drop(journal);
    std::fs::read(path).unwrap()
}

fn pending(path: &Path) -> (Vec<Change>, usize) {
    let journal = Journal::open(path).unwrap();
    let changes = journal
        .pending()
        .iter()
        .map(|it| it.change.clone())
        .collect();
    (changes, journal.unreadable_lines().len())
}

#[test]
fn what_was_recorded_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/undo.jsonl");
    written(&path);
    assert_eq!(pending(&path), (changes(), 0));
}

#[test]
fn what_was_undone_is_not_pending_and_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("undo.jsonl");
    written(&path);
    let mut journal = Journal::open(&path).unwrap();
    journal.forget(5).unwrap();
    journal.forget(2).unwrap();
    assert_eq!(journal.record(&changes()[0]).unwrap(), 6);
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    let numbers: Vec<u64> = journal.pending().iter().map(|it| it.seq).collect();
    assert_eq!(numbers, [1, 3, 4, 6]);
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("undo.jsonl");
    let held = Journal::open(&path).unwrap();
    assert!(matches!(
        Journal::open(&path),
        Err(HostError::JournalBusy { .. })
    ));
    held.close().unwrap();
    assert!(!path.exists(), "nothing pending: no file");
}

#[test]
fn a_journal_cut_anywhere_keeps_every_whole_line_and_can_be_written_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("undo.jsonl");
    let whole = written(&path);
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let lines = whole[..length]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        let (found, unreadable) = pending(&path);
        // A line that lacks only its newline is whole.
        assert!(
            found.len() == lines || found.len() == lines + 1,
            "cut at {length}"
        );
        assert_eq!(found[..], changes()[..found.len()], "cut at {length}");
        assert!(unreadable <= 1);
        let mut journal = Journal::open(&path).unwrap();
        journal.record(&changes()[0]).unwrap();
        drop(journal);
        assert_eq!(pending(&path).0.len(), found.len() + 1, "cut at {length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever bytes are spoilt, a change that was never recorded is never undone.
    #[test]
    fn a_spoilt_journal_never_invents_a_change(
        spoils in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("undo.jsonl");
        let mut bytes = written(&path);
        for (at, byte) in spoils {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        std::fs::write(&path, bytes).unwrap();
        for change in pending(&path).0 {
            prop_assert!(changes().contains(&change), "{change}");
        }
    }
}
