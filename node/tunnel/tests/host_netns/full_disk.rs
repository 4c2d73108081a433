//! A full disk: nothing new is changed, and everything is taken back all the same.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use warren_tunnel::host::{ConsumerHost, HostError, Journal, RouteSpec, recover};

use crate::kill_switch::spec;
use crate::lab::{ConsumerLab, assert_same, can_run, sh};
use crate::recover::{OLD, file_dns};

const PAGE: u64 = 4096;

/// A file system in memory, small enough to be filled.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        sh(&format!("mount -t tmpfs -o size=256k warren-test {at}"));
        Self { folder }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("undo.jsonl")
    }

    fn resolv_conf(&self) -> PathBuf {
        self.folder.path().join("resolv.conf")
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }

    /// Leaves no byte, not even `slack` bytes in the journal's last page.
    fn fill(&self, slack: u64) {
        let length = fs::metadata(self.journal()).unwrap().len();
        let rest = length.next_multiple_of(PAGE) - length;
        let empty_lines = vec![b'\n'; usize::try_from(rest - slack).unwrap()];
        let mut journal = OpenOptions::new()
            .append(true)
            .open(self.journal())
            .unwrap();
        journal.write_all(&empty_lines).unwrap();
        let mut filler = File::create(self.filler()).unwrap();
        while filler.write_all(&[0; 512]).is_ok() {}
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder.path()).status();
    }
}

/// Kill switch, routes and name servers, with the journal on `disk`.
async fn all(disk: &Disk) -> ConsumerHost {
    fs::write(disk.resolv_conf(), OLD).unwrap();
    let mut host = ConsumerHost::protect(&disk.journal(), &spec())
        .await
        .unwrap();
    host.route(&RouteSpec::default()).await.unwrap();
    host.dns(&file_dns(&disk.resolv_conf())).await.unwrap();
    host
}

fn assert_given_back(lab: &ConsumerLab, disk: &Disk, before: &str, when: &str) {
    assert_same(&lab.consumer.snapshot(), before, when);
    assert_eq!(fs::read_to_string(disk.resolv_conf()).unwrap(), OLD);
    assert!(!Path::exists(&disk.journal()), "nothing is pending: {when}");
}

#[test]
fn a_full_disk_locks_nobody_out() {
    if !can_run("a_full_disk_locks_nobody_out") {
        return;
    }
    let lab = ConsumerLab::new();
    let before = lab.consumer.snapshot();
    for slack in [0, 1, 30] {
        let disk = Disk::mount();
        let report = lab.consumer.block_on(|| async {
            let host = all(&disk).await;
            disk.fill(slack);
            host.undo().await
        });
        let report = report.unwrap();
        assert!(report.is_clean() && report.unwritten.is_some(), "{report}");
        assert_given_back(&lab, &disk, &before, "by its own process");
    }
}

#[test]
fn a_full_disk_does_not_keep_a_recovery_from_its_work() {
    if !can_run("a_full_disk_does_not_keep_a_recovery_from_its_work") {
        return;
    }
    let lab = ConsumerLab::new();
    let before = lab.consumer.snapshot();
    let disk = Disk::mount();
    lab.consumer.block_on(|| async { drop(all(&disk).await) });
    // It died in the middle of a line, too.
    let mut journal = OpenOptions::new()
        .append(true)
        .open(disk.journal())
        .unwrap();
    journal.write_all(b"{\"seq\":99,\"fa").unwrap();
    disk.fill(0);
    let path = disk.journal();
    let report = lab.consumer.block_on(|| recover(&path)).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_given_back(&lab, &disk, &before, "by a recovery");
}

#[test]
fn what_is_owed_on_a_full_disk_is_written_before_the_next_change() {
    if !can_run("what_is_owed_on_a_full_disk_is_written_before_the_next_change") {
        return;
    }
    let lab = ConsumerLab::new();
    let before = lab.consumer.snapshot();
    let disk = Disk::mount();
    lab.consumer.block_on(|| async {
        let mut host = all(&disk).await;
        disk.fill(30);
        let report = host.release().await.unwrap();
        assert!(
            report.unwritten.is_some() && host.has_kill_switch(),
            "{report}"
        );
        let refused = host.route(&RouteSpec::default()).await;
        assert!(
            matches!(refused, Err(HostError::File { .. })),
            "{refused:?}"
        );
        fs::remove_file(disk.filler()).unwrap();
        host.route(&RouteSpec::default()).await.unwrap();
        let pending = host.changes().len();
        drop(host);
        let journal = Journal::open(&disk.journal()).unwrap();
        assert_eq!(journal.pending().len(), pending, "nothing is undone twice");
    });
    let path = disk.journal();
    let report = lab.consumer.block_on(|| recover(&path)).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_given_back(&lab, &disk, &before, "by a recovery");
}

#[test]
fn a_line_that_was_cut_by_a_full_disk_does_not_swallow_the_next() {
    if !can_run("a_line_that_was_cut_by_a_full_disk_does_not_swallow_the_next") {
        return;
    }
    let lab = ConsumerLab::new();
    let before = lab.consumer.snapshot();
    let disk = Disk::mount();
    fs::write(disk.resolv_conf(), OLD).unwrap();
    lab.consumer.block_on(|| async {
        let mut host = ConsumerHost::protect(&disk.journal(), &spec())
            .await
            .unwrap();
        disk.fill(30); // The beginning of the next line fits.
        let refused = host.route(&RouteSpec::default()).await;
        assert!(
            matches!(refused, Err(HostError::File { .. })),
            "no change without its line: {refused:?}"
        );
        fs::remove_file(disk.filler()).unwrap();
        host.route(&RouteSpec::default()).await.unwrap();
        // It dies here; what it noted after the disk had room again must count.
    });
    let path = disk.journal();
    let report = lab.consumer.block_on(|| recover(&path)).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.unreadable_lines.len(), 1, "{report}");
    assert_given_back(&lab, &disk, &before, "by a recovery");
}
