//! A store with numbered records, and the ways to look at it from outside.

use std::fs;
use std::path::{Path, PathBuf};

use warren_daemon::lockfile::HomeLock;
use warren_daemon::store::{Limits, Store, StoreError, StoreSpec, Write, tables};
use warren_proto::{NodeId, UnixTime};

pub(crate) const OWNER: NodeId = NodeId::from_bytes([7; 32]);
const COUNTER: &[u8] = b"counter";

pub(crate) fn spec(home: &Path) -> StoreSpec {
    let limits = Limits {
        ballast_bytes: 64 << 10,
        floor_bytes: 1 << 20,
    };
    StoreSpec {
        limits,
        ..StoreSpec::new(home, OWNER)
    }
}

pub(crate) fn open(home: &Path) -> Result<Store, StoreError> {
    let lock = HomeLock::take(home, UnixTime::from_secs(1)).expect("the home is free");
    Store::open(spec(home), lock)
}

/// What record `number` holds: sizes differ, so that batches end at odd places.
fn value(number: u64) -> Vec<u8> {
    let length = usize::try_from(number * 37 % 900).unwrap();
    [
        number.to_be_bytes().to_vec(),
        vec![u8::try_from(number % 251).unwrap(); length],
    ]
    .concat()
}

/// One batch: the next record, the counter, and an old record deleted.
pub(crate) fn write_next(store: &Store) -> Result<u64, StoreError> {
    let number = counter(store) + 1;
    let mut batch = vec![
        Write::put(tables::SESSION, number.to_be_bytes(), value(number)),
        Write::put(tables::NODE, COUNTER, number.to_be_bytes()),
    ];
    if let Some(old) = gone(number) {
        batch.push(Write::delete(tables::SESSION, old.to_be_bytes()));
    }
    store.put(&batch).map(|()| number)
}

/// Every fifth batch deletes the record of three batches before.
fn gone(number: u64) -> Option<u64> {
    number
        .is_multiple_of(5)
        .then(|| number.checked_sub(3))
        .flatten()
}

pub(crate) fn counter(store: &Store) -> u64 {
    let bytes = store.get(tables::NODE, COUNTER).unwrap();
    bytes.map_or(0, |it| u64::from_be_bytes(it.try_into().unwrap()))
}

/// Everything that batches 1 to the counter leave is there, and nothing else. Gives the counter.
pub(crate) fn assert_whole(store: &Store) -> u64 {
    let last = assert_records(store);
    assert_eq!(store.batches(), last);
    last
}

/// The same for a store that others write in too.
pub(crate) fn assert_records(store: &Store) -> u64 {
    let last = counter(store);
    let deleted: Vec<u64> = (1..=last).filter_map(gone).collect();
    let expected: Vec<_> = (1..=last)
        .filter(|it| !deleted.contains(it))
        .map(|it| (it.to_be_bytes().to_vec(), value(it)))
        .collect();
    assert_eq!(store.scan(tables::SESSION).unwrap(), expected);
    last
}

/// A home with `batches` batches, part of them in the engine's tables and part in its log.
pub(crate) fn home_with(batches: u64) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let fill = |upto| {
        let store = open(home.path()).unwrap();
        while counter(&store) < upto {
            write_next(&store).unwrap();
        }
    };
    fill(batches / 3);
    fill(batches * 2 / 3); // Opening again moved the first third into a table.
    fill(batches);
    home
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_name() == "db.ballast" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The files that hold the store, by name, without lock and log files that hold no record.
pub(crate) fn files_of(home: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(home.join("db"))
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    files.retain(|it| {
        let name = it.file_name().unwrap().to_string_lossy().into_owned();
        !name.starts_with("LOG") && name != "LOCK" && it.metadata().unwrap().len() > 0
    });
    files.push(home.join("db.head"));
    files.sort();
    files
}
