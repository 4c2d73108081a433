//! The daemon: not there, there twice, told to do what it cannot.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use crate::home::{Home, until};

#[test]
fn without_a_daemon_a_verb_ends_with_three_and_names_the_daemon() {
    let home = Home::bare();
    for verb in [
        &["status"][..],
        &["up"],
        &["fund"],
        &["channel", "ls"],
        &["down"],
    ] {
        let problem = home.refused(verb, 3, "W1103");
        assert_eq!(problem["next"], "warren daemon");
    }
}

/// A daemon that was killed leaves its socket behind: that is nobody too, and no hindrance.
#[test]
fn a_killed_daemons_socket_is_nobody_and_the_next_daemon_takes_it() {
    let home = Home::bare();
    let daemon = home.start();
    let node = home.status()["node"].clone();
    drop(daemon); // Killed.
    assert!(home.file("warren.sock").exists());
    home.refused(&["status"], 3, "W1103");
    let daemon = home.start();
    assert_eq!(home.status()["node"], node);
    daemon.stop();
}

#[test]
fn a_second_daemon_on_the_same_home_ends_with_nine_and_harms_nothing() {
    let home = Home::bare();
    let daemon = home.start();
    let node = home.status()["node"].clone();
    let problem = home.refused(&["daemon"], 9, "W1104");
    let holder = fs::read_to_string(home.file("lock")).unwrap();
    assert!(
        problem["seen"].as_str().unwrap().contains(holder.trim()),
        "{problem}"
    );
    assert_eq!(home.status()["node"], node);
    daemon.stop();
}

/// As whoever upgrades pastes it: the home is free once the verb has answered.
#[test]
fn the_next_daemon_may_begin_as_soon_as_this_one_was_ended() {
    let home = Home::bare();
    let first = home.start();
    // Somebody watches it, whom it does not leave without a moment to hear the end.
    let mut watcher = UnixStream::connect(home.file("warren.sock")).unwrap();
    let ask = b"GET /v1/events HTTP/1.1\r\nhost: warren\r\n\r\n";
    watcher.write_all(ask).unwrap();
    watcher.read_exact(&mut [0; 12]).unwrap();
    home.ask(&["down", "--daemon"]).data();
    // Ends at once if the home is still the other one's.
    home.start().stop();
    drop((first, watcher));
}

/// It waits for the word before it lets the network begin.
#[test]
fn a_service_manager_is_told_when_the_daemon_is_there_and_when_it_goes() {
    let home = Home::bare();
    let path = home.file("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let said = || {
        let mut word = [0; 64];
        let len = manager.recv(&mut word).unwrap();
        String::from_utf8_lossy(&word[..len]).into_owned()
    };
    let daemon = home.launch_as_service(&path);
    assert_eq!(said(), "READY=1\n");
    home.ask(&["status"]).data();
    daemon.stop();
    assert_eq!(said(), "STOPPING=1\n");
}

/// Without a kill switch traffic goes on beside the tunnel: it is not said to be blocked.
#[test]
fn what_a_broken_session_means_is_said_with_and_without_a_kill_switch() {
    let said = Home::bare().run(&["help", "W4105"]);
    let both = ["With the kill switch", "in the clear"];
    assert!(both.iter().all(|it| said.out.contains(it)), "{}", said.out);
}

/// What to type is what ends a daemon: `warren down` alone takes down a tunnel.
#[test]
fn what_is_said_of_a_home_in_use_ends_the_daemon_that_uses_it() {
    let home = Home::bare();
    let daemon = home.start();
    let problem = home.refused(&["daemon"], 9, "W1104");
    let next = problem["next"].as_str().unwrap();
    assert!(next.starts_with("warren down --daemon"), "{problem}");
    daemon.stop();
}

#[test]
fn nothing_that_matches_ends_with_five_and_changes_nothing() {
    let home = Home::bare();
    let daemon = home.start();
    let before = home.status();
    home.refused(&["exits", "--country", "AQ"], 5, "W4101");
    home.refused(&["help", "fly"], 5, "W1502");
    let after = home.status();
    assert_eq!(before["store"]["batches"], after["store"]["batches"]);
    assert!(after["consumer"].is_null(), "{after}");
    daemon.stop();
}

#[test]
fn what_is_not_up_cannot_be_taken_down() {
    let home = Home::bare();
    let daemon = home.start();
    home.refused(&["down"], 9, "W4107");
    home.refused(&["exit", "disable"], 9, "W4108");
    home.refused(&["up", "--max-price", "much"], 2, "W1501");
    home.refused(&["up", "--country", "Atlantis"], 2, "W1501");
    home.refused(&["ledger", "--since", "yesterday"], 2, "W1501");
    daemon.stop();
}

#[test]
fn up_that_would_end_the_login_it_is_typed_in_ends_with_nine() {
    let home = Home::bare();
    let daemon = home.start();
    let login = "198.51.100.9 50312 192.0.2.2 2222";
    let up = |more: &[&str]| home.ask_by_ssh(login, &[&["up", "--timeout", "1"], more].concat());
    let problem = up(&[]).problem(9, "W2115");
    let seen = problem["seen"].as_str().unwrap();
    assert!(seen.contains("198.51.100.9 to port 2222"), "{problem}");
    // What it says next is what the test's own user lacks.
    up(&["--end-ssh"]).problem(4, "W2102");
    daemon.stop();
    home.configure("[consumer]\ninbound_tcp = \"2222\"");
    let daemon = home.start();
    up(&[]).problem(4, "W2102");
    daemon.stop();
    home.configure("[consumer]\ninbound_tcp = \"60000\"");
    home.refused(&["config", "validate"], 10, "W1004");
}

/// No right to the network is no fault of the network: the remedy is a right, not `recover`.
#[test]
fn without_the_right_to_the_firewall_up_ends_with_four() {
    let home = Home::bare();
    let daemon = home.start();
    let problem = home.refused(&["up", "--timeout", "1"], 4, "W2102");
    assert!(
        problem["next"].as_str().unwrap().contains("sudo"),
        "{problem}"
    );
    assert!(home.status()["consumer"].is_null());
    daemon.stop();
}

#[test]
fn a_port_in_use_is_named_and_the_home_stays_usable() {
    let home = Home::bare();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let listen = format!("[overlay]\nlisten = [\"/ip4/127.0.0.1/udp/{port}/quic-v1\"]\n");
    home.config_text(&listen);
    let problem = home.refused(&["daemon"], 1, "W3103");
    assert!(
        problem["seen"]
            .as_str()
            .unwrap()
            .contains(&port.to_string()),
        "{problem}"
    );
    drop(taken);
    home.start().stop();
}

#[test]
fn a_key_file_that_others_can_read_is_refused_until_it_is_closed() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::bare();
    home.start().stop();
    let key = home.file("node.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let problem = home.refused(&["daemon"], 4, "W1201");
    assert!(
        problem["next"].as_str().unwrap().starts_with("chmod 600 "),
        "{problem}"
    );
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    home.start().stop();
}

#[test]
fn a_home_that_cannot_be_one_ends_with_four() {
    let home = Home::bare();
    fs::write(home.file("file"), "").unwrap();
    let inside = home.path().join("file").join("home");
    let inside = inside.to_str().unwrap();
    home.refused(&["--home", inside, "daemon"], 4, "W1101");
    // Not even root makes a folder there.
    home.refused(&["--home", "/proc/nowhere", "daemon"], 4, "W1101");
}

#[test]
fn a_terminal_that_is_closed_ends_the_daemon_in_good_order() {
    let home = Home::bare();
    home.start().hang_up();
}

/// One scrape, as a monitor makes it.
fn scrape(home: &Home) -> String {
    let mut socket = UnixStream::connect(home.file("warren.sock")).expect("a daemon");
    let asked = "GET /metrics HTTP/1.1\r\nHost: warren\r\nConnection: close\r\n\r\n";
    socket.write_all(asked.as_bytes()).expect("asked");
    let mut text = String::new();
    socket.read_to_string(&mut text).expect("answered");
    text
}

#[test]
fn a_monitor_is_told_of_peers_and_of_the_disk() {
    let (far, near) = (Home::bare(), Home::bare());
    let far_daemon = far.start();
    let listen = far.status()["overlay"]["listen"][0].clone();
    near.configure(&format!("bootstrap = [{listen}]"));
    let daemon = near.start();
    until("a peer to be told of", || {
        let text = scrape(&near);
        let told = |line: &str| text.lines().any(|it| it == line);
        let all = ["warren_overlay_peers 1", "warren_store_takes_liabilities 1"];
        let rest = told("warren_overlay_offers 0") && told("warren_store_failures_total 0");
        if rest && all.iter().all(|it| told(it)) {
            Ok(())
        } else {
            Err(text)
        }
    });
    daemon.stop();
    far_daemon.stop();
}

#[test]
fn what_an_exit_lacks_is_named_by_its_check() {
    let home = Home::bare();
    home.configure("[exit]\nprice_per_gib = \"0.002\"\n");
    let daemon = home.start();
    let said = home.ask(&["exit", "check"]).out;
    for lack in [
        "exit.endpoint is not set",
        "exit.country is not set",
        "chain.rpc_url is not set",
    ] {
        assert!(said.contains(lack), "{lack}: {said}");
    }
    daemon.stop();

    home.configure(
        "[exit]\nprice_per_gib = \"0\"\ncountry = \"DE\"\nendpoint = [\"192.0.2.7:41820\"]\n",
    );
    let daemon = home.start();
    let said = home.ask(&["exit", "check"]).out;
    assert!(said.contains("overlay.external is not set"), "{said}");
    assert!(
        said.contains("\"ready\":false") || said.contains("\"ready\": false"),
        "{said}"
    );
    daemon.stop();
}

#[test]
fn what_a_node_is_fit_for_is_one_line_and_a_number() {
    let home = Home::bare();
    home.refused(&["status", "--check", "live"], 3, "W1103");
    let daemon = home.start();
    for (what, exit, line) in [
        ("live", 0, "live: yes\n"),
        ("ready", 12, "ready: no: no peer is connected\n"),
        ("exit", 12, "exit: no: this node is no exit now\n"),
        ("tunnel", 12, "tunnel: no: no tunnel is up\n"),
    ] {
        let told = home.run(&["status", "--check", what]);
        assert_eq!((told.exit, told.out.as_str()), (exit, line), "{told:?}");
        let told = home.ask(&["status", "--check", what]);
        assert_eq!(told.exit, exit, "{told:?}");
        let healthy = format!("\"healthy\":{}", exit == 0);
        assert!(told.out.contains(&healthy), "{told:?}");
    }
    daemon.stop();
}
