//! A member of the group, who may ask the daemon and may not read how it is configured.

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::home::program;

/// Somebody without any rights.
const NOBODY: &str = "65534";
/// In a mount namespace: its own /etc with a configuration of that mode, its own /run with the socket.
const SCENE: &str = "\
mount -t tmpfs scene /run
cp -a /etc /run/etc
mkdir -p /run/etc/warren /run/warren
chmod 755 /run/etc/warren
install -m \"$4\" /dev/null /run/etc/warren/config.toml
mount --bind /run/etc /etc
mount --bind \"$1\" /run/warren
cd /
exec env -i HOME=/nowhere setpriv --reuid \"$3\" --regid \"$3\" --clear-groups \"$2\" status
";

#[test]
fn who_may_not_read_the_systems_configuration_asks_the_systems_daemon() {
    asks_the_systems_daemon("600");
}

#[test]
fn who_may_read_it_asks_the_systems_daemon_too() {
    asks_the_systems_daemon("644");
}

fn asks_the_systems_daemon(mode: &str) {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: needs root for a mount namespace");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (sockets, copy) = (folder.path().join("run"), folder.path().join("warren"));
    fs::create_dir(&sockets).expect("a folder");
    fs::copy(program(), &copy).expect("a program that anybody may run");
    let socket = sockets.join("warren.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    for (path, mode) in [
        (folder.path(), 0o755),
        (&sockets, 0o755),
        (&copy, 0o755),
        (&socket, 0o666),
    ] {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    }
    let (said, asked) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody who asks");
        let mut first = [0; 14];
        stream.read_exact(&mut first).expect("a question");
        said.send(first).expect("a test that waits");
    });
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-ec", SCENE, "scene"])
        .args([sockets.as_os_str(), copy.as_os_str()])
        .args([NOBODY, mode])
        .output()
        .expect("unshare");
    let told = String::from_utf8_lossy(&output.stderr);
    // The question came before the program ended, or never will.
    let first = asked.recv_timeout(crate::home::STEP);
    assert_eq!(first.ok().as_ref(), Some(b"GET /v1/status"), "{told}");
}
