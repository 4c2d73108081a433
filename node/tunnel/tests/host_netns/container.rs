//! As in a container: `/proc/sys` is read-only, and what was set at its start must do.

use nix::sched::{CloneFlags, unshare};
use warren_tunnel::host::{
    Carries, ConsumerHost, ExitHost, Finding, HostError, RouteSpec, check_exit, recover,
};

use crate::exit_lab::{ExitLab, WEB4, WebServer};
use crate::kill_switch::{journal, spec};
use crate::lab::{ConsumerLab, Namespace, assert_same, can_run, sh};

/// Runs async `work` inside, where kernel settings can be read and not written.
fn block_on_read_only<T: Send, F: Future<Output = T>>(
    namespace: &Namespace,
    work: impl FnOnce() -> F + Send,
) -> T {
    namespace.run(|| {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        sh("mount --make-rprivate / && mount --bind /proc/sys /proc/sys");
        sh("mount -o remount,bind,ro /proc/sys");
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(work())
    })
}

#[test]
fn a_consumer_in_a_container_is_protected_and_routed() {
    if !can_run("a_consumer_in_a_container_is_protected_and_routed") {
        return;
    }
    let lab = ConsumerLab::new();
    let (_folder, path) = journal();
    let before = lab.consumer.snapshot();
    block_on_read_only(&lab.consumer, || async {
        let mut host = ConsumerHost::protect(&path, &spec()).await.unwrap();
        host.route(&RouteSpec::default()).await.unwrap();
    });
    let report = block_on_read_only(&lab.consumer, || recover(&path)).unwrap();
    assert!(report.is_clean() && report.undone() > 10, "{report}");
    assert_same(&lab.consumer.snapshot(), &before, "after recover");
}

#[test]
fn an_exit_in_a_container_needs_forwarding_set_at_its_start() {
    if !can_run("an_exit_in_a_container_needs_forwarding_set_at_its_start") {
        return;
    }
    let lab = ExitLab::new();
    let (_folder, path) = journal();
    let web = WebServer::start(&lab.router);
    let spec = ExitLab::spec();
    let findings = block_on_read_only(&lab.exit, || check_exit(&spec));
    let stuck = |it: &Finding| matches!(it, Finding::SysctlReadOnly { key, .. } if key == "net/ipv4/ip_forward");
    assert!(findings.iter().any(stuck), "{findings:?}");
    let refused = block_on_read_only(&lab.exit, || ExitHost::enable(&path, ExitLab::spec()));
    assert!(
        matches!(refused, Err(HostError::Sysctl { .. })),
        "{refused:?}"
    );

    lab.exit.sh("sysctl -qw net.ipv4.ip_forward=1");
    let host = block_on_read_only(&lab.exit, || ExitHost::enable(&path, ExitLab::spec())).unwrap();
    assert_eq!(
        host.carries(),
        Carries::V4,
        "IPv6 cannot be forwarded from here"
    );
    assert_eq!(lab.fetch(&web, WEB4).ip().to_string(), "192.168.50.2");
    assert!(
        block_on_read_only(&lab.exit, || host.undo())
            .unwrap()
            .is_clean()
    );
}
