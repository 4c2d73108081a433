//! A daemon that is not root: file capabilities, and what its child `nft` inherits.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use warren_tunnel::host::{
    Capability, ConsumerHost, DnsSpec, DnsWay, Finding, HostError, RouteSpec, adopt_control_uid,
    check_consumer, check_names, held_capabilities, raise_ambient,
};

use crate::kill_switch::spec;
use crate::lab::{ConsumerLab, can_run, sh};
use crate::probe::NOBODY;

const FOLDER: &str = "WARREN_TEST_UNPRIVILEGED_FOLDER";

/// Runs `body` below as nobody, by a copy of this program that bears `capabilities`.
fn run_as_nobody(lab: &ConsumerLab, capabilities: &str, body: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let program = folder.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    if !capabilities.is_empty() {
        sh(&format!("setcap {capabilities} {}", program.display()));
    }
    let mut command = Command::new(&program);
    command.args([
        "--exact",
        body,
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    command
        .env(FOLDER, folder.path())
        .current_dir(folder.path())
        .uid(NOBODY)
        .gid(NOBODY);
    lab.consumer.run(|| command.output().unwrap())
}

#[test]
fn a_daemon_with_file_capabilities_protects_routes_and_undoes() {
    if !can_run("a_daemon_with_file_capabilities_protects_routes_and_undoes") {
        return;
    }
    let lab = ConsumerLab::new();
    let before = lab.consumer.snapshot();
    let output = run_as_nobody(
        &lab,
        "cap_net_admin,cap_setuid+ep",
        "unprivileged::protect_and_undo",
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    crate::lab::assert_same(&lab.consumer.snapshot(), &before, "after undo by nobody");
}

#[test]
fn a_daemon_without_capabilities_is_told_what_is_missing() {
    if !can_run("a_daemon_without_capabilities_is_told_what_is_missing") {
        return;
    }
    let lab = ConsumerLab::new();
    let output = run_as_nobody(&lab, "", "unprivileged::find_what_is_missing");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "the body of a process that another test starts as nobody"]
fn protect_and_undo() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    assert!(!nix::unistd::geteuid().is_root());
    assert_eq!(
        held_capabilities().unwrap(),
        [Capability::NetAdmin, Capability::SetUid]
    );
    assert!(raise_ambient(Capability::NetAdmin).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let journal = Path::new(&folder).join("undo.jsonl");
        let mut host = ConsumerHost::protect(&journal, &spec()).await.unwrap();
        host.route(&RouteSpec::default()).await.unwrap();
        // A file of root's is beyond these capabilities, which is known before it is tried.
        let theirs = DnsSpec {
            way: DnsWay::File,
            ..DnsSpec::default()
        };
        let found = check_names(&theirs).await;
        let is_found =
            matches!(&found, Some(Finding::ResolvConf { path, .. }) if *path == theirs.resolv_conf);
        assert!(is_found, "{found:?}");
        let refused = host.dns(&theirs).await;
        assert!(
            matches!(refused, Err(HostError::File { .. })),
            "{refused:?}"
        );
        let own = DnsSpec {
            resolv_conf: Path::new(&folder).join("resolv.conf"),
            ..theirs
        };
        assert_eq!(check_names(&own).await, None);
        host.dns(&own).await.unwrap();
        let report = host.undo().await.unwrap();
        assert!(report.is_clean() && report.undone() > 10, "{report}");
    });
    adopt_control_uid().unwrap();
}

#[test]
#[ignore = "the body of a process that another test starts as nobody"]
fn find_what_is_missing() {
    if std::env::var_os(FOLDER).is_none() {
        return;
    }
    assert!(!raise_ambient(Capability::NetAdmin).unwrap());
    assert!(adopt_control_uid().is_err());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let findings = runtime.block_on(check_consumer());
    for name in ["CAP_NET_ADMIN", "CAP_SETUID"] {
        let missing = Finding::CapabilityMissing {
            capability: name.to_owned(),
        };
        assert!(findings.contains(&missing), "{findings:?}");
    }
}
