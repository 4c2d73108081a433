//! A full disk: nothing new is taken on, what was taken on can still be settled.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use warren_daemon::lockfile::HomeLock;
use warren_daemon::store::{Limits, Store, StoreError, StoreSpec, Write, tables};
use warren_proto::UnixTime;

use crate::fixture::spec;

const MIB: u64 = 1 << 20;

/// A small file system of its own; gone when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, said aloud, where this test may not mount.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m", "warren-test"])
            .arg(folder.path())
            .status();
        if !mounted.is_ok_and(|it| it.success()) {
            eprintln!("SKIPPED: a full disk needs the right to mount a tmpfs (root)");
            return None;
        }
        Some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes every byte that is left.
    fn fill(&self, name: &str) {
        let mut file = File::create(self.path().join(name)).unwrap();
        let mut size = 1 << 20;
        while size > 0 {
            if file.write_all(&vec![1; size]).is_err() {
                size /= 2;
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn open(home: &Path) -> Result<Store, StoreError> {
    let limits = Limits {
        ballast_bytes: 24 * MIB,
        floor_bytes: 4 * MIB,
    };
    let lock = HomeLock::take(home, UnixTime::from_secs(1)).unwrap();
    Store::open(
        StoreSpec {
            limits,
            ..spec(home)
        },
        lock,
    )
}

/// A claim's worth of writing, but large, so that the engine's own reserves end soon.
fn claim(store: &Store, number: u64) -> Result<(), StoreError> {
    store.put(&[Write::put(
        tables::SESSION,
        number.to_be_bytes(),
        vec![7; 64 << 10],
    )])
}

#[test]
fn claims_go_on_at_zero_bytes_free_and_liabilities_do_not() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let store = open(disk.path()).unwrap();
    claim(&store, 0).unwrap();
    assert!(store.headroom().takes_liabilities());
    disk.fill("full");
    assert_eq!(store.headroom().free_bytes().unwrap(), 0);
    assert!(!store.headroom().takes_liabilities());
    for number in 1..=96 {
        claim(&store, number).unwrap(); // 6 MiB: more than the engine had put aside.
    }
    assert!(
        !store.headroom().is_aboard(),
        "only the ballast can have made room"
    );
    assert_eq!(store.scan(tables::SESSION).unwrap().len(), 97);
    drop(store);

    fs::remove_file(disk.path().join("full")).unwrap();
    let store = open(disk.path()).unwrap();
    assert_eq!(store.scan(tables::SESSION).unwrap().len(), 97);
    assert!(
        store.headroom().takes_liabilities(),
        "there is room again, and the ballast is back"
    );
}

#[test]
fn a_store_opens_on_a_full_disk_by_throwing_off_its_ballast() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let store = open(disk.path()).unwrap();
    for number in 0..20 {
        claim(&store, number).unwrap();
    }
    drop(store);
    disk.fill("full");
    let store = open(disk.path()).unwrap();
    assert_eq!(store.scan(tables::SESSION).unwrap().len(), 20);
    assert!(!store.headroom().takes_liabilities());
    drop(store);

    disk.fill("fuller");
    let error = open(disk.path()).unwrap_err();
    assert_eq!(
        error.problem().code,
        "W1304",
        "without any reserve it says so: {error}"
    );
}
