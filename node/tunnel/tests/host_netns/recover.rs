//! Undo: whatever happened in between, the host is as it was.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use warren_tunnel::host::{
    Change, ConsumerHost, DnsSpec, DnsWay, Journal, Outcome, RouteSpec, Sysctl, recover,
};

use crate::holder::{Holder, Stage};
use crate::kill_switch::{journal, spec};
use crate::lab::{ConsumerLab, Namespace, assert_same, can_run, sh};

pub(crate) const OLD: &str = "# kept by hand\nsearch example.org\nnameserver 192.0.2.53\n";

pub(crate) fn file_dns(path: &Path) -> DnsSpec {
    let servers: Vec<IpAddr> = vec![
        "10.77.0.1".parse().unwrap(),
        "fd77:7761::1".parse().unwrap(),
    ];
    DnsSpec {
        servers,
        way: DnsWay::File,
        resolv_conf: path.into(),
        ..DnsSpec::default()
    }
}

#[test]
fn a_process_killed_while_writing_any_journal_line_leaves_nothing_behind() {
    if !can_run("a_process_killed_while_writing_any_journal_line_leaves_nothing_behind") {
        return;
    }
    let lab = ConsumerLab::new();
    let (folder, path) = journal();
    let resolv_conf = folder.path().join("resolv.conf");
    fs::write(&resolv_conf, OLD).unwrap();
    let before = lab.consumer.snapshot();

    let (mut limit, mut killed) = (0, 0);
    // Every line is longer than 100 bytes: no line is left out, some are torn, some untouched.
    while Holder::spawn(&lab.consumer, folder.path(), Stage::All, Some(limit)).was_killed() {
        let written = fs::metadata(&path).map_or(0, |it| it.len());
        assert_eq!(written, limit, "it died in the middle of a write");
        let report = lab.consumer.block_on(|| recover(&path)).unwrap();
        assert!(report.is_clean(), "{report}");
        assert!(report.unreadable_lines.len() <= 1, "{report}");
        assert_same(
            &lab.consumer.snapshot(),
            &before,
            &format!("killed at byte {limit}"),
        );
        assert_eq!(fs::read_to_string(&resolv_conf).unwrap(), OLD);
        (limit, killed) = (limit + 97, killed + 1);
    }
    assert!(killed > 20, "only {killed} crashes");
    lab.consumer.block_on(|| recover(&path)).unwrap();
    assert_same(&lab.consumer.snapshot(), &before, "after undo");
    assert_eq!(fs::read_to_string(&resolv_conf).unwrap(), OLD);
    println!("{killed} crashes, up to byte {limit} of the journal");
}

#[test]
fn recorded_but_never_made_is_already_gone() {
    if !can_run("recorded_but_never_made_is_already_gone") {
        return;
    }
    let lab = ConsumerLab::new();
    let (_folder, path) = journal();
    let before = lab.consumer.snapshot();
    // Make everything once to learn the changes, then only record them.
    let changes: Vec<Change> = lab.consumer.block_on(|| async {
        let mut host = ConsumerHost::protect(&path, &spec()).await.unwrap();
        host.route(&RouteSpec::default()).await.unwrap();
        drop(host);
        let changes = Journal::open(&path)
            .unwrap()
            .pending()
            .iter()
            .map(|it| it.change.clone())
            .collect();
        recover(&path).await.unwrap();
        changes
    });
    assert!(changes.len() > 10);
    let mut journal = Journal::open(&path).unwrap();
    for change in &changes {
        journal.record(change).unwrap();
    }
    drop(journal);
    let report = lab.consumer.block_on(|| recover(&path)).unwrap();
    assert!(
        report
            .changes
            .iter()
            .all(|it| it.outcome == Outcome::AlreadyGone),
        "{report}"
    );
    assert_eq!(report.changes.len(), changes.len());
    assert_same(&lab.consumer.snapshot(), &before, "after undo");
    assert!(!path.exists(), "an empty journal is removed");
}

#[test]
fn a_failed_route_is_undone_by_release_and_the_kill_switch_stays() {
    if !can_run("a_failed_route_is_undone_by_release_and_the_kill_switch_stays") {
        return;
    }
    let lab = ConsumerLab::new();
    let (_folder, path) = journal();
    let before = lab.consumer.snapshot();
    lab.consumer.block_on(|| async {
        let mut host = ConsumerHost::protect(&path, &spec()).await.unwrap();
        let absent = RouteSpec {
            device: "warren9".to_owned(),
            ..RouteSpec::default()
        };
        assert!(host.route(&absent).await.is_err());
        assert!(host.release().await.unwrap().is_clean());
        assert_eq!(host.changes(), ["firewall table inet warren"]);
        host.route(&RouteSpec::default()).await.unwrap();
        assert!(host.undo().await.unwrap().is_clean());
    });
    assert_same(&lab.consumer.snapshot(), &before, "after undo");
}

#[test]
fn what_others_changed_since_is_left_alone() {
    if !can_run("what_others_changed_since_is_left_alone") {
        return;
    }
    let space = Namespace::new("s");
    let (_folder, path) = journal();
    let key = "net/ipv4/conf/lo/rp_filter".to_owned();
    let setting = Change::Sysctl(Sysctl {
        key,
        before: "0".to_owned(),
        after: "2".to_owned(),
        all: None,
    });
    let mut journal = Journal::open(&path).unwrap();
    journal.record(&setting).unwrap();
    drop(journal);
    space.block_on(|| setting.apply()).unwrap();
    space.sh("sysctl -qw net.ipv4.conf.lo.rp_filter=1");
    let report = space.block_on(|| recover(&path)).unwrap();
    assert_eq!(report.changes[0].outcome, Outcome::ChangedByOthers);
    assert_eq!(space.sh("sysctl -n net.ipv4.conf.lo.rp_filter"), "1\n");
}

/// Sets names on the file that `prepare` makes, undoes it, and compares what `look` shows.
fn resolv_conf_round_trip(name: &str, prepare: impl Fn(&Path), look: impl Fn(&Path) -> String) {
    if !can_run(name) {
        return;
    }
    let space = Namespace::new("s");
    let (folder, path) = journal();
    let file = folder.path().join("resolv.conf");
    prepare(&file);
    let before = look(&file);
    space.block_on(|| async {
        let mut host = ConsumerHost::protect(&path, &spec()).await.unwrap();
        host.dns(&file_dns(&file)).await.unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.contains("nameserver 10.77.0.1\nnameserver fd77:7761::1\n"),
            "{text}"
        );
        assert!(!text.contains("192.0.2.53"), "{text}");
        let report = host.undo().await.unwrap();
        assert_eq!(report.undone(), 2, "{report}");
    });
    assert_eq!(look(&file), before);
}

#[test]
fn a_plain_resolv_conf_comes_back_with_its_permissions() {
    let look = |file: &Path| sh(&format!("stat -c '%F %a' {0}; cat {0}", file.display()));
    resolv_conf_round_trip(
        "a_plain_resolv_conf_comes_back_with_its_permissions",
        |file| {
            fs::write(file, OLD).unwrap();
            sh(&format!("chmod 600 {}", file.display()));
        },
        look,
    );
}

#[test]
fn a_linked_resolv_conf_stays_a_link_and_its_target_is_untouched() {
    let look = |file: &Path| sh(&format!("readlink {0}; cat {0}", file.display()));
    resolv_conf_round_trip(
        "a_linked_resolv_conf_stays_a_link_and_its_target_is_untouched",
        |file| {
            fs::write(file.with_file_name("stub.conf"), OLD).unwrap();
            std::os::unix::fs::symlink("stub.conf", file).unwrap();
        },
        look,
    );
}

#[test]
fn an_absent_resolv_conf_is_absent_again() {
    let look = |file: &Path| file.exists().to_string();
    resolv_conf_round_trip("an_absent_resolv_conf_is_absent_again", |_| {}, look);
}

#[test]
fn a_mounted_resolv_conf_is_written_in_place() {
    if !can_run("a_mounted_resolv_conf_is_written_in_place") {
        return;
    }
    let space = Namespace::new("s");
    let (folder, path) = journal();
    let (file, source) = (
        folder.path().join("resolv.conf"),
        folder.path().join("mounted"),
    );
    fs::write(&source, OLD).unwrap();
    fs::write(&file, "").unwrap();
    // A container's file is a mount of its own; here in a mount namespace of this thread only.
    space.run(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        sh("mount --make-rprivate /");
        sh(&format!(
            "mount --bind {} {}",
            source.display(),
            file.display()
        ));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut host = ConsumerHost::protect(&path, &spec()).await.unwrap();
            host.dns(&file_dns(&file)).await.unwrap();
            assert!(
                fs::read_to_string(&source)
                    .unwrap()
                    .contains("nameserver 10.77.0.1")
            );
            assert!(host.undo().await.unwrap().is_clean());
        });
        assert_eq!(fs::read_to_string(&file).unwrap(), OLD);
    });
    assert_eq!(fs::read_to_string(&source).unwrap(), OLD);
}
