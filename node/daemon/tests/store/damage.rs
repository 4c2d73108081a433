//! Damage is refused, or it harmed nothing: never a silent step back.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use warren_daemon::lockfile::HomeLock;
use warren_daemon::store::chain::ChainFault;
use warren_daemon::store::{Store, StoreError, StoreSpec};
use warren_proto::{NodeId, UnixTime};

use crate::fixture::{assert_whole, copy, files_of, home_with, open, spec, write_next};

const BATCHES: u64 = 60;

/// Opens a copy of `home` after `damage`; it must be refused, or hold every batch. Says which.
fn opens_whole(home: &Path, damage: impl FnOnce(&Path)) -> bool {
    let copied = tempfile::tempdir().unwrap();
    copy(home, copied.path());
    damage(copied.path());
    match open(copied.path()) {
        Ok(store) => {
            assert_eq!(assert_whole(&store), BATCHES, "it opened, but rolled back");
            true
        }
        Err(error) => {
            assert_ne!(error.problem().next, "");
            false
        }
    }
}

#[test]
fn one_flipped_byte_anywhere_is_refused_or_harmless() {
    let home = home_with(BATCHES);
    let files = files_of(home.path());
    let (mut refused, mut harmless) = (0, 0);
    for round in 0_u64..150 {
        let file = &files[usize::try_from(round).unwrap() % files.len()];
        let name = file.strip_prefix(home.path()).unwrap();
        let size = file.metadata().unwrap().len();
        // Places all over the file, another bit each time; no two rounds alike.
        let at = round.wrapping_mul(2_654_435_761) % size;
        let whole = opens_whole(home.path(), |copied| {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(copied.join(name))
                .unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ (1 << (round % 8))], at)
                .unwrap();
        });
        if whole { harmless += 1 } else { refused += 1 }
    }
    assert!(
        refused > 0 && harmless > 0,
        "refused {refused}, harmless {harmless}"
    );
}

#[test]
fn a_log_that_was_cut_is_refused_or_harmless() {
    let home = home_with(BATCHES);
    let is_log = |it: &&std::path::PathBuf| it.extension().is_some_and(|it| it == "log");
    let files = files_of(home.path());
    let log = files
        .iter()
        .filter(is_log)
        .max_by_key(|it| it.metadata().unwrap().len())
        .unwrap();
    let name = log.strip_prefix(home.path()).unwrap();
    let size = log.metadata().unwrap().len();
    let mut refused = 0;
    for cut in 1..40 {
        let left = size - size * cut / 40;
        let whole = opens_whole(home.path(), |copied| {
            OpenOptions::new()
                .write(true)
                .open(copied.join(name))
                .unwrap()
                .set_len(left)
                .unwrap();
        });
        refused += u64::from(!whole);
    }
    assert!(refused > 30, "only {refused} of 39 cuts were refused");
}

#[test]
fn an_older_copy_of_the_store_is_refused_until_its_owner_accepts_it() {
    let home = home_with(30);
    let older = tempfile::tempdir().unwrap();
    copy(&home.path().join("db"), older.path());
    write_next(&open(home.path()).unwrap()).unwrap();
    write_next(&open(home.path()).unwrap()).unwrap();
    fs::remove_dir_all(home.path().join("db")).unwrap();
    copy(older.path(), &home.path().join("db"));
    let error = open(home.path()).unwrap_err();
    let older = ChainFault::Older {
        found: 30,
        confirmed: 32,
    };
    assert!(
        matches!(&error, StoreError::Unverified { fault, .. } if *fault == older),
        "{error}"
    );
    assert_eq!(error.problem().code, "W1301");

    let lock = HomeLock::take(home.path(), UnixTime::from_secs(1)).unwrap();
    let accepted = Store::accept_as_found(&spec(home.path()), &lock).unwrap();
    assert_eq!(
        (accepted.found, accepted.confirmed, accepted.goes_on_with),
        (30, Some(32), 33)
    );
    let store = Store::open(spec(home.path()), lock).unwrap();
    assert_eq!(store.batches(), 33);
    write_next(&store).unwrap();
}

#[test]
fn a_store_that_vanished_is_not_replaced_by_an_empty_one() {
    let home = home_with(9);
    fs::rename(home.path().join("db"), home.path().join("elsewhere")).unwrap();
    let error = open(home.path()).unwrap_err();
    assert_eq!(error.problem().code, "W1301", "{error}");
    assert!(!home.path().join("db").exists());
    fs::rename(home.path().join("elsewhere"), home.path().join("db")).unwrap();
    fs::remove_file(home.path().join("db.head")).unwrap();
    let error = open(home.path()).unwrap_err();
    assert_eq!(error.problem().code, "W1302", "{error}");
}

#[test]
fn a_store_of_another_node_is_refused() {
    let home = home_with(9);
    let lock = HomeLock::take(home.path(), UnixTime::from_secs(1)).unwrap();
    let spec = StoreSpec {
        owner: NodeId::from_bytes([8; 32]),
        ..spec(home.path())
    };
    let error = Store::open(spec, lock).unwrap_err();
    assert_eq!(error.problem().code, "W1305", "{error}");
}
