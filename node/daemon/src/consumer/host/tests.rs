//! On a real device and a real firewall; there is no exit at the other end.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use tempfile::TempDir;
use warren_proto::{SignedOffer, UnixTime};

use super::*;
use crate::session::{Admission, Fresh, SessionLimits};
use crate::stand::{exit_terms, free_offer, holds, inside, key, request, sh};

const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);

impl Line {
    /// Its last session is over, and carried this.
    pub(in crate::consumer) const fn has_carried(&mut self, usage: Usage) {
        self.last = Some(usage);
    }
}

fn granted() -> (SignedOffer, SessionTerms) {
    let offer = free_offer(1, NOON).sign(&key(1)).unwrap();
    let mut admission = Admission::new(key(1).id(), exit_terms(), SessionLimits::default());
    admission.offered(offer.clone());
    let fresh = Fresh {
        provider_key: TunnelKey::generate().public(),
        payee_nonce: [9; 32],
    };
    let asked = request(3, &offer, 7);
    let terms = admission.decide(&asked, key(2).id(), fresh, NOON);
    (offer, terms.unwrap())
}

/// A line with a kill switch and a tunnel.
async fn up(home: &TempDir) -> Line {
    let mut line = Line::new(home.path().join("consumer.journal"), Default::default());
    line.protect(true).await.unwrap();
    let (offer, terms) = granted();
    let key = TunnelKey::generate();
    line.raise(offer.offer(), &terms, key, Vec::new())
        .await
        .unwrap();
    line
}

/// Looks until the packet threads have noticed what became of their device.
async fn noticed(line: &mut Line) -> Found {
    for _ in 0..2000 {
        let found = line.look().await;
        if !matches!(found, Found::Sound) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing was noticed");
}

#[test]
fn a_kill_switch_that_was_flushed_stands_again_after_a_look() {
    inside("a_kill_switch_that_was_flushed", || async {
        let home = tempfile::tempdir().unwrap();
        let mut line = up(&home).await;
        assert!(matches!(line.look().await, Found::Sound));
        sh("nft flush ruleset");
        assert!(matches!(line.look().await, Found::Meddled));
        assert!(line.is_protected() && holds("nft list table inet warren"));
        assert!(matches!(line.look().await, Found::Sound));
        // Between two tunnels too.
        line.lower().await.unwrap();
        sh("nft flush ruleset");
        assert!(matches!(line.look().await, Found::Meddled));
        line.unprotect().await.unwrap();
        assert!(!holds("nft list table inet warren"));
    });
}

#[test]
fn a_second_daemon_on_this_machine_changes_nothing_of_the_first() {
    inside("a_second_daemon_on_this_machine", || async {
        let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let journal = other.path().join("consumer.journal");
        let mut second = Line::new(journal.clone(), Default::default());
        let refused = async |second: &mut Line, seen: &str| {
            let before = sh("nft list ruleset; ip rule; ip route show table all; ip link");
            for kill_switch in [true, false] {
                let error = second.protect(kill_switch).await.unwrap_err();
                let problem = error.problem();
                let is_told = problem.is(ErrorCode::OneRole) && problem.seen.contains(seen);
                assert!(is_told, "{problem}");
                assert!(
                    second.unprotect().await.is_ok(),
                    "as after any failed start"
                );
            }
            let after = sh("nft list ruleset; ip rule; ip route show table all; ip link");
            assert_eq!(after, before);
            assert!(!journal.exists());
        };
        let mut line = up(&home).await;
        refused(&mut second, "table inet warren").await;
        // Somebody else flushed the firewall: the device is still there.
        sh("nft flush ruleset");
        refused(&mut second, "device warren0").await;
        // Blocked on purpose.
        line.rest().await.unwrap();
        refused(&mut second, "table inet warren").await;
        line.protect(false).await.unwrap();
        refused(&mut second, "table inet warren_guard").await;

        line.unprotect().await.unwrap();
        second.protect(true).await.unwrap();
        second.unprotect().await.unwrap();
    });
}

#[test]
fn a_deleted_device_is_there_again_and_what_was_carried_still_counts() {
    inside("a_deleted_device", || async {
        let home = tempfile::tempdir().unwrap();
        let mut line = up(&home).await;
        // What an earlier device of this session carried.
        line.before = Usage {
            up: warren_proto::ByteCount::from_bytes(500),
            down: warren_proto::ByteCount::from_bytes(700),
        };
        let carried = line.usage();
        sh("ip link del warren0");
        let found = noticed(&mut line).await;
        assert!(matches!(found, Found::Renewed), "{found:?}");
        assert!(holds(
            "ip route show table 7761 | grep -q 'default dev warren0'"
        ));
        assert_eq!(line.usage(), carried);
        assert!(matches!(line.look().await, Found::Sound));

        // Somebody else's device has the name: it cannot be had again, and is said so, and nothing leaves.
        sh("ip link del warren0; ip link add warren0 type veth peer name far1");
        for _ in 0..2 {
            let found = noticed(&mut line).await;
            assert!(
                matches!(found, Found::Lost(LineError::Tunnel(_))),
                "{found:?}"
            );
            assert!(line.is_protected() && holds("nft list table inet warren"));
        }
        sh("ip link del warren0");
        let found = noticed(&mut line).await;
        assert!(matches!(found, Found::Renewed), "{found:?}");
        line.unprotect().await.unwrap();
        assert!(!holds("ip link show warren0") && !holds("nft list table inet warren"));
    });
}

#[test]
fn rules_that_others_take_away_are_there_again_after_a_look() {
    inside("rules_that_others_take_away", || async {
        let home = tempfile::tempdir().unwrap();
        let mut line = up(&home).await;
        let rules = sh("ip rule; ip -6 rule; ip route show table 7761");
        sh(
            "ip rule flush; ip rule add pref 32766 lookup main; ip rule add pref 32767 lookup default",
        );
        sh("ip -6 rule flush; ip -6 rule add pref 32766 lookup main; ip route flush table 7761");
        let found = line.look().await;
        assert!(matches!(found, Found::Mended(_)), "{found:?}");
        assert_eq!(sh("ip rule; ip -6 rule; ip route show table 7761"), rules);
        assert!(matches!(line.look().await, Found::Sound));
        line.unprotect().await.unwrap();
    });
}

#[test]
fn a_route_that_cannot_be_had_just_now_does_not_end_the_session() {
    inside("a_route_that_cannot_be_had_just_now", || async {
        let home = tempfile::tempdir().unwrap();
        let mut line = up(&home).await;
        let switch = "net.ipv6.conf.warren0.disable_ipv6";
        for (off, on) in [
            (
                "ip link set warren0 down".to_owned(),
                "ip link set warren0 up".to_owned(),
            ),
            (
                format!("sysctl -qw {switch}=1"),
                format!("sysctl -qw {switch}=0"),
            ),
        ] {
            sh(&off);
            for _ in 0..4 {
                let found = line.look().await;
                assert!(!matches!(found, Found::Lost(_)), "{off}: {found:?}");
            }
            sh(&on);
            let back = || {
                holds("ip route show table 7761 | grep -q 'default dev warren0'")
                    && holds("ip -6 route show table 7761 | grep -q 'default dev warren0'")
                    && holds("ip -6 addr show dev warren0 | grep -q 'inet6 fd77:7761:'")
            };
            for _ in 0..2000 {
                line.look().await;
                if back() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(back(), "after {on}");
        }
        line.unprotect().await.unwrap();
    });
}

#[test]
fn the_tunnel_is_let_through_to_where_it_follows_its_exit() {
    inside("the_tunnel_is_let_through", || async {
        let home = tempfile::tempdir().unwrap();
        let mut line = up(&home).await;
        let elsewhere = "198.51.100.9:41821".parse().unwrap();
        line.tunnel.as_ref().unwrap().set_endpoint(elsewhere);
        assert!(matches!(line.look().await, Found::Sound));
        let allowed = sh("nft list set inet warren endpoint4");
        for place in ["198.51.100.9 . 41821", "192.0.2.2 . 41820"] {
            assert!(allowed.contains(place), "{allowed}");
        }
        line.unprotect().await.unwrap();
    });
}

#[test]
fn resolvers_of_this_machine_itself_are_told_to_nobody() {
    let own = |texts: &[&str]| {
        let parsed: Vec<IpAddr> = texts.iter().map(|it| it.parse().unwrap()).collect();
        asked::tells_names(&parsed)
    };
    assert!(own(&[]) && own(&["192.0.2.53"]) && own(&["127.0.0.1", "192.0.2.53"]));
    assert!(!own(&["127.0.0.1", "::1"]));
}

#[test]
fn a_tunnel_without_resolvers_is_said_to_be_one() {
    inside("a_tunnel_without_resolvers", || async {
        let home = tempfile::tempdir().unwrap();
        let mut line = up(&home).await;
        let nameless = line.nameless().unwrap();
        assert!(nameless.seen.contains("consumer.dns"), "{nameless}");
        line.lower().await.unwrap();
        assert!(line.nameless().is_none());
        line.unprotect().await.unwrap();
    });
}

/// `nft` refuses while this thread's view of the disk has another program in its place.
fn without_nft(on: bool) {
    sh(if on {
        "mount --bind /bin/false $(readlink -f $(command -v nft))"
    } else {
        "umount $(readlink -f $(command -v nft))"
    });
}

#[test]
fn a_down_that_fails_half_way_still_says_what_is_blocked_and_can_be_had_again() {
    inside("a_down_that_fails_half_way", || async {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        sh("mount --make-rprivate /");
        let home = tempfile::tempdir().unwrap();
        let mut line = up(&home).await;
        without_nft(true);
        assert!(line.unprotect().await.is_err());
        without_nft(false);
        assert!(holds("nft list table inet warren"));
        assert!(line.has_kill_switch() && line.is_protected());
        line.unprotect().await.unwrap();
        assert!(!holds("nft list table inet warren") && !line.is_protected());
    });
}

#[test]
fn a_kill_switch_that_cannot_be_taken_over_is_not_said_to_stand_and_is_tried_again() {
    inside("a_kill_switch_that_cannot_be_taken_over", || async {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        sh("mount --make-rprivate /");
        let home = tempfile::tempdir().unwrap();
        let journal = home.path().join("consumer.journal");
        drop(up(&home).await); // Dies with all as it is.
        sh("nft delete table inet warren");
        let mut line = Line::new(journal, Default::default());
        without_nft(true);
        assert!(line.adopt().await.is_err());
        assert!(line.has_kill_switch() && !line.is_protected());
        assert!(matches!(line.look().await, Found::Sound));
        without_nft(false);
        assert!(matches!(line.look().await, Found::Adopted));
        assert!(line.is_protected() && holds("nft list table inet warren"));
        line.unprotect().await.unwrap();
    });
}

#[test]
fn rules_are_there_again_also_while_the_firewall_cannot_be() {
    inside("rules_are_there_again_also_while", || async {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        sh("mount --make-rprivate /");
        let home = tempfile::tempdir().unwrap();
        let mut line = up(&home).await;
        let rules = sh("ip rule");
        sh("nft flush ruleset; ip rule del pref 7770");
        without_nft(true);
        let found = line.look().await;
        let mended = matches!(&found, Found::Bare(_, Ok(what)) if what.len() == 1);
        assert!(mended, "{found:?}");
        assert_eq!(sh("ip rule"), rules);
        assert!(!line.is_protected());
        without_nft(false);
        assert!(matches!(line.look().await, Found::Meddled));
        line.unprotect().await.unwrap();
    });
}

#[test]
fn a_daemon_that_cannot_start_blocks_what_the_one_before_it_blocked() {
    inside("a_daemon_that_cannot_start", || async {
        let home = tempfile::tempdir().unwrap();
        drop(up(&home).await);
        sh("nft delete table inet warren"); // As after the machine was off.
        std::fs::write(crate::identity::key_path(home.path()), "no key").unwrap();
        let node = ("node.home".to_owned(), home.path().display().to_string());
        let config = crate::config::Config::load(&crate::config::Sources {
            file: None,
            env: Vec::new(),
            flags: vec![node],
        });
        let ended = crate::run(config.unwrap()).await;
        assert!(ended.is_err(), "{ended:?}");
        assert!(holds("nft list table inet warren"));
    });
}
