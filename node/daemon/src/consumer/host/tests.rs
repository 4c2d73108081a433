//! On a real device and a real firewall; there is no exit at the other end.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use tempfile::TempDir;
use warren_proto::{SignedOffer, UnixTime};

use super::*;
use crate::session::{Admission, Fresh, SessionLimits};
use crate::stand::{exit_terms, free_offer, holds, inside, key, request, sh};

const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);

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
    let mut line = Line::new(home.path().join("consumer.journal"));
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
