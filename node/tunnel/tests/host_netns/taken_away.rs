//! Rules, routes, names and journals that somebody takes away; journals that cannot be written.

use std::fs;

use warren_tunnel::host::{ConsumerHost, HostError, KillSwitchSpec, RouteSpec, recover, sweep};

use crate::guard::exposed;
use crate::holder::{Holder, Stage};
use crate::kill_switch::{journal, protected};
use crate::lab::{ConsumerLab, Namespace, assert_same, can_run, sh};
use crate::recover::{OLD, file_dns};

const THEIRS: &str = "# of a lease\nnameserver 192.0.2.99\n";

/// Rules and routes, as text.
fn ways(of: &Namespace) -> String {
    [
        "ip rule",
        "ip -6 rule",
        "ip route show table all",
        "ip -6 route show table all",
    ]
    .map(|line| of.sh(line))
    .concat()
}

/// What a network service that starts anew does to the rules of others.
fn flush(of: &Namespace) {
    for ip in ["ip", "ip -6"] {
        of.sh(&format!("{ip} rule flush; {ip} route flush table 7761"));
        of.sh(&format!("{ip} rule add pref 32766 lookup main"));
    }
    of.sh("ip rule add pref 32767 lookup default");
}

#[test]
fn rules_routes_and_names_that_others_take_away_are_there_again() {
    if !can_run("rules_routes_and_names_that_others_take_away_are_there_again") {
        return;
    }
    for blocks in [true, false] {
        let (lab, (folder, path)) = (ConsumerLab::new(), journal());
        let consumer = &lab.consumer;
        let file = folder.path().join("resolv.conf");
        fs::write(&file, OLD).unwrap();
        let mut host = if blocks {
            protected(&lab, &path)
        } else {
            exposed(&lab, &path)
        };
        consumer.block_on(|| async {
            host.route(&RouteSpec::default()).await.unwrap();
            host.dns(&file_dns(&file)).await.unwrap();
        });
        let (before, ours) = (ways(consumer), fs::read_to_string(&file).unwrap());
        let none: Vec<String> = Vec::new();
        assert_eq!(consumer.block_on(|| host.mend()).unwrap(), none);
        assert_same(&ways(consumer), &before, "a look changes nothing");

        flush(consumer);
        fs::write(&file, THEIRS).unwrap();
        let mended = consumer.block_on(|| host.mend()).unwrap();
        assert!(mended.len() > 10, "{mended:?}");
        assert_same(&ways(consumer), &before, "after others");
        assert_eq!(fs::read_to_string(&file).unwrap(), ours);
        assert_eq!(consumer.block_on(|| host.mend()).unwrap(), none);

        // What they wrote last is what comes back, and not what was there long ago.
        assert!(consumer.block_on(|| host.undo()).unwrap().is_clean());
        assert_eq!(fs::read_to_string(&file).unwrap(), THEIRS);
        assert!(!path.exists());
    }
}

#[test]
fn what_a_dead_process_without_a_kill_switch_left_is_taken_back_by_the_next() {
    if !can_run("what_a_dead_process_without_a_kill_switch_left_is_taken_back_by_the_next") {
        return;
    }
    let (lab, (folder, path)) = (ConsumerLab::new(), journal());
    let file = folder.path().join("resolv.conf");
    fs::write(&file, OLD).unwrap();
    let before = lab.consumer.snapshot();
    let mut host = exposed(&lab, &path);
    lab.consumer.block_on(|| async {
        host.route(&RouteSpec::default()).await.unwrap();
        host.dns(&file_dns(&file)).await.unwrap();
    });
    drop(host); // Undoes nothing: as if it had died.
    assert_ne!(lab.consumer.snapshot(), before);
    let spec = KillSwitchSpec::default();
    let adopted = lab.consumer.block_on(|| ConsumerHost::adopt(&path, &spec));
    assert!(adopted.unwrap().is_none());
    assert_same(&lab.consumer.snapshot(), &before, "after the next began");
    assert_eq!(fs::read_to_string(&file).unwrap(), OLD);
    assert!(!path.exists());
}

#[test]
fn without_a_journal_what_bears_our_names_is_taken_away() {
    if !can_run("without_a_journal_what_bears_our_names_is_taken_away") {
        return;
    }
    let (lab, (folder, path)) = (ConsumerLab::new(), journal());
    let file = folder.path().join("resolv.conf");
    let before = (ways(&lab.consumer), String::new());
    let nothing = lab.consumer.block_on(|| sweep(&file)).unwrap();
    assert_eq!(nothing.changes, []);
    for blocks in [true, false] {
        let mut host = if blocks {
            protected(&lab, &path)
        } else {
            exposed(&lab, &path)
        };
        lab.consumer
            .block_on(|| async { host.route(&RouteSpec::default()).await.unwrap() });
        drop(host);
        fs::remove_file(&path).unwrap();
        let report = lab.consumer.block_on(|| recover(&path)).unwrap();
        assert_eq!(report.changes, [], "the journal is gone");
        let report = lab.consumer.block_on(|| sweep(&file)).unwrap();
        assert!(report.is_clean() && report.undone() > 10, "{report}");
        let now = (ways(&lab.consumer), lab.consumer.sh("nft list ruleset"));
        assert_same(&now.0, &before.0, "after a sweep");
        assert_eq!(now.1, before.1);
    }
    // Names of ours without a journal are said, not guessed.
    fs::write(&file, OLD).unwrap();
    let mut host = protected(&lab, &path);
    lab.consumer
        .block_on(|| async { host.dns(&file_dns(&file)).await.unwrap() });
    drop(host);
    fs::remove_file(&path).unwrap();
    let report = lab.consumer.block_on(|| sweep(&file)).unwrap();
    assert!(!report.is_clean(), "{report}");
    assert!(report.to_string().contains("write your own"), "{report}");
}

#[test]
fn a_living_daemon_of_another_home_keeps_what_it_made() {
    if !can_run("a_living_daemon_of_another_home_keeps_what_it_made") {
        return;
    }
    let (lab, (folder, other)) = (ConsumerLab::new(), journal());
    let consumer = &lab.consumer;
    let (file, theirs) = (folder.path().join("resolv.conf"), folder.path().join("its"));
    fs::create_dir(&theirs).unwrap();
    fs::write(theirs.join("resolv.conf"), OLD).unwrap();
    let all = || format!("{}{}", ways(consumer), consumer.sh("nft list ruleset"));
    let before = all();
    // One of ours died, and was forgotten; then a daemon of another home began.
    drop(protected(&lab, &other));
    consumer.sh("nft delete table inet warren");
    let mut holder = Holder::spawn(consumer, &theirs, Stage::All, None);
    holder.wait_ready();
    let made = all();
    for what in [
        consumer.block_on(|| sweep(&file)),
        consumer.block_on(|| recover(&other)),
    ] {
        let seen = what.unwrap_err().to_string();
        assert!(seen.contains("(process "), "{seen}");
        assert_same(&all(), &made, "after a refusal");
    }
    let spec = KillSwitchSpec::default();
    let begun = consumer.block_on(|| ConsumerHost::adopt(&other, &spec));
    assert!(
        matches!(begun, Err(HostError::ConsumerBeside { .. })),
        "{begun:?}"
    );
    assert_same(&all(), &made, "after another one tried to begin");
    // What a dead one left goes.
    holder.kill_nine();
    assert!(consumer.block_on(|| recover(&other)).unwrap().is_clean());
    let report = consumer.block_on(|| sweep(&file)).unwrap();
    assert!(report.is_clean() && report.undone() > 10, "{report}");
    assert_same(&all(), &before, "after a sweep");

    // An exit is told by its device.
    let exit = Namespace::new("x");
    exit.sh("nft add table inet warren_exit; ip tuntap add dev warren-exit mode tun");
    let refused = exit.block_on(|| sweep(&file));
    let seen = refused.unwrap_err().to_string();
    assert!(seen.contains("(device warren-exit)"), "{seen}");
    exit.sh("nft list table inet warren_exit; ip link del warren-exit");
    assert_eq!(exit.block_on(|| sweep(&file)).unwrap().undone(), 1);
}

/// A file system in memory; unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        sh(&format!("mount -t tmpfs -o size=256k warren-test {at}"));
        Self(folder)
    }

    fn remount(&self, how: &str) {
        sh(&format!(
            "mount -o remount,{how} {}",
            self.0.path().display()
        ));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg(self.0.path())
            .status();
    }
}

#[test]
fn a_disk_that_is_read_only_by_now_keeps_nobody_locked_out() {
    if !can_run("a_disk_that_is_read_only_by_now_keeps_nobody_locked_out") {
        return;
    }
    let lab = ConsumerLab::new();
    let before = lab.consumer.snapshot();
    let disk = Disk::mount();
    let path = disk.0.path().join("undo.jsonl");
    let mut host = protected(&lab, &path);
    lab.consumer
        .block_on(|| async { host.route(&RouteSpec::default()).await.unwrap() });
    drop(host); // A file that is open for writing keeps a disk from it.
    disk.remount("ro");
    // The next daemon blocks again, whatever it can write.
    let spec = KillSwitchSpec::default();
    lab.consumer.sh("nft flush ruleset");
    let next = lab.consumer.block_on(|| ConsumerHost::adopt(&path, &spec));
    assert!(next.unwrap().is_some());
    lab.consumer.sh("nft list table inet warren");
    let report = lab.consumer.block_on(|| recover(&path)).unwrap();
    assert!(report.is_clean() && report.undone() > 0, "{report}");
    assert!(report.unwritten.is_some(), "{report}");
    assert_same(&lab.consumer.snapshot(), &before, "after undo");
}
