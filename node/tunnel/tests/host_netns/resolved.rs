//! Names by systemd-resolved: the real one, with a bus of its own, in namespaces of its own.
//!
//! Needs `systemd-resolved`, `resolvectl` in `PATH` and `dbus-daemon`. To leave the machine's own
//! names as they are, the package may be unpacked into a folder that `WARREN_TEST_RESOLVED_ROOT`
//! names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use warren_tunnel::host::{Change, ConsumerHost, DnsSpec, Journal, RouteSpec, recover};

use crate::capture::Capture;
use crate::kill_switch::{journal, spec};
use crate::lab::{ConsumerLab, can_run, net, sh};
use crate::probe::send_marked;

const TEST: &str = "names_go_through_resolved_where_it_answers";
const USER: &str = "systemd-resolve:x:993:993::/:/usr/sbin/nologin\n";

/// The programs of the package, or `None` after saying aloud what is missing.
fn package() -> Option<PathBuf> {
    let root = std::env::var_os("WARREN_TEST_RESOLVED_ROOT").map_or("/".into(), PathBuf::from);
    for needed in [
        root.join("lib/systemd/systemd-resolved"),
        "/usr/bin/dbus-daemon".into(),
    ] {
        if !needed.exists() {
            println!("SKIPPED {TEST}: needs {}", needed.display());
            return None;
        }
    }
    if Command::new("resolvectl")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!("SKIPPED {TEST}: needs resolvectl in PATH");
        return None;
    }
    Some(root)
}

/// A bus and a resolved that only this thread and its children see.
struct Room {
    bus: Child,
    resolved: Child,
}

impl Room {
    fn enter(root: &Path, folder: &Path) -> Self {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        sh("mount --make-rprivate / && mount -t tmpfs tmpfs /run");
        sh("mkdir -p /run/dbus /run/systemd/resolve && chown 993:993 /run/systemd/resolve");
        for (file, line) in [("passwd", USER), ("group", "systemd-resolve:x:993:\n")] {
            let kept = fs::read_to_string(format!("/etc/{file}")).unwrap();
            fs::write(folder.join(file), kept + line).unwrap();
        }
        fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.53\n").unwrap();
        for file in ["passwd", "group", "resolv.conf"] {
            sh(&format!(
                "mount --bind {}/{file} /etc/{file}",
                folder.display()
            ));
        }
        let rules = r#"<busconfig><type>system</type><auth>EXTERNAL</auth>
            <listen>unix:path=/run/dbus/system_bus_socket</listen>
            <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
            <allow receive_sender="*"/></policy></busconfig>"#;
        fs::write(folder.join("bus.conf"), rules).unwrap();
        let config = format!("--config-file={}/bus.conf", folder.display());
        let bus = Command::new("dbus-daemon")
            .args([&config, "--nofork"])
            .spawn()
            .unwrap();
        wait_for(|| Path::new("/run/dbus/system_bus_socket").exists());
        let mut resolved = Command::new(root.join("lib/systemd/systemd-resolved"));
        let resolved = resolved.stderr(Stdio::null()).spawn().unwrap();
        wait_for(|| {
            let mut ask = Command::new("resolvectl");
            ask.arg("dns").stdout(Stdio::null()).stderr(Stdio::null());
            ask.status().unwrap().success()
        });
        Self { bus, resolved }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        for child in [&mut self.resolved, &mut self.bus] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn wait_for(ready: impl Fn() -> bool) {
    assert!(
        (0..2000).any(|_| ready() || {
            std::thread::yield_now();
            false
        }),
        "never ready"
    );
}

#[test]
fn names_go_through_resolved_where_it_answers() {
    if !can_run(TEST) {
        return;
    }
    let Some(root) = package() else { return };
    let lab = ConsumerLab::new();
    let (folder, undo) = journal();
    let (mut router, mut tunnel) = (Capture::start(&lab.router), Capture::start(&lab.far_end));
    lab.consumer.run(|| {
        let _room = Room::enter(&root, folder.path());
        let resolvectl = |words: &str| sh(&format!("resolvectl --no-pager {words}"));
        let before = resolvectl("dns") + &resolvectl("domain");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut host = ConsumerHost::protect(&undo, &spec()).await.unwrap();
            host.route(&RouteSpec::default()).await.unwrap();
            host.dns(&DnsSpec::default()).await.unwrap();
        });
        let chosen = Journal::open(&undo)
            .unwrap()
            .pending()
            .last()
            .unwrap()
            .change
            .clone();
        assert!(matches!(chosen, Change::Resolved(_)), "{chosen}");
        assert!(resolvectl("dns warren0").contains("10.77.0.1"));
        assert!(resolvectl("domain warren0").contains("~."));
        assert_eq!(
            fs::read_to_string("/etc/resolv.conf").unwrap(),
            "nameserver 127.0.0.53\n"
        );

        let mut ask = Command::new("timeout");
        ask.args(["2", "resolvectl", "query", "example.org"]);
        ask.stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        let report = runtime.block_on(recover(&undo)).unwrap();
        assert!(report.is_clean(), "{report}");
        assert_eq!(resolvectl("dns") + &resolvectl("domain"), before);
    });
    let asked = tunnel.until(|it| it.port == 53);
    assert!(
        asked
            .iter()
            .any(|it| it.destination.to_string() == "10.77.0.1"),
        "{asked:#?}"
    );
    send_marked(&lab.consumer, net::SERVER4);
    let seen = router.until(|it| it.port == crate::probe::ENDPOINT_PORT);
    assert!(!seen.iter().any(|it| it.port == 53), "{seen:#?}");
}
