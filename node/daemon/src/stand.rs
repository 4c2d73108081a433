//! What the tests of the shells stand on: a network namespace of their own, a free exit's offer and terms, streams.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::process::Command;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use warren_overlay::offers::RankedOffer;
use warren_overlay::{Overlay, OverlayConfig, OverlayEvent, SessionReceiver, SessionSender};
use warren_overlay::{SessionStream, host_of};
use warren_proto::*;
use warren_tunnel::policy::ExitPolicy;

use crate::session::ExitTerms;

/// Nothing here takes so long, on a busy machine either.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `work` on a thread of its own, in a network namespace of its own that has an uplink to nowhere. The
/// namespace goes with the thread. Says aloud when that needs rights which are not there.
pub(crate) fn inside<F: Future<Output = ()>>(
    test: &str,
    work: impl FnOnce() -> F + Send + 'static,
) {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED {test}: needs root for a network namespace");
        return;
    }
    let thread = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        // No address comes to life some time later: what is compared is what the test does.
        sh("[ ! -e /proc/sys/net/ipv6 ] || sysctl -qw net.ipv6.conf.default.accept_dad=0");
        sh("ip link set lo up; ip link add eth0 type veth peer name far0");
        sh("ip link set far0 addrgenmode none up");
        sh("ip addr add 192.0.2.2/24 dev eth0; ip link set eth0 up");
        sh("ip route add default via 192.0.2.1");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a shell line where the calling thread is; fails the test if it fails.
pub(crate) fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a shell line succeeds where the calling thread is.
pub(crate) fn holds(line: &str) -> bool {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    output.status.success()
}

pub(crate) fn key(n: u8) -> NodeKey {
    NodeKey::from_seed(&[n; 32])
}

/// An offer as the index hands it out that heard it by every way but a snapshot.
pub(crate) fn known(offer: SignedOffer) -> RankedOffer {
    RankedOffer {
        offer,
        rtt: None,
        by_dht: true,
        by_gossip: true,
        by_snapshot: false,
        points: 0,
        score_reasons: vec![],
    }
}

/// What node `n` gives away for nothing.
pub(crate) fn free_offer(n: u8, now: UnixTime) -> Offer {
    let nowhere = PayoutAddress::ZERO;
    Offer {
        node: key(n).id(),
        seq: now.as_millis(),
        issued: now,
        valid_until: now.plus(Duration::from_secs(3600)),
        network: "warren/1".to_owned(),
        region: Region {
            country: CountryCode::new("DE").unwrap(),
            city: String::new(),
        },
        addresses: Vec::new(),
        price: Price::default(),
        chain: ChainRef {
            chain_id: 0,
            contract: nowhere,
            token: nowhere,
        },
        payee: nowhere,
        unit_price: Amount::ZERO,
        prepay_units: 1,
        credit_units: 2,
        close_window_secs: 3600,
        policy: ExitPolicy::default().id(),
        capacity: Capacity {
            guests_max: 4,
            guests_free: 4,
        },
        ipv4: true,
        ipv6: true,
        rootless: false,
        version: "test".to_owned(),
    }
}

pub(crate) fn endpoint(text: &str) -> Candidate {
    Candidate {
        kind: CandidateKind::Mapped,
        address: text.parse().unwrap(),
    }
}

pub(crate) fn exit_terms() -> ExitTerms {
    ExitTerms {
        gateway_v4: "10.77.0.1".parse().unwrap(),
        gateway_v6: "fd77:7761::1".parse().unwrap(),
        dns: Vec::new(),
        mtu: 1420,
        endpoints: vec![endpoint("192.0.2.2:41820")],
        min_deposit_units: 1,
        max_credit_units: 4,
    }
}

pub(crate) fn request(session: u8, offer: &SignedOffer, tunnel_key: u8) -> SessionRequest {
    SessionRequest {
        session: SessionId::from_bytes([session; 16]),
        offer: offer.hash(),
        price: offer.offer().price,
        tunnel_key: TunnelPublicKey::from_bytes([tunnel_key; 32]),
        chain: offer.offer().chain,
        resume: false,
    }
}

/// Node `n` on loopback.
pub(crate) async fn node(
    n: u8,
    bootstrap: &[String],
) -> (Overlay, mpsc::Receiver<OverlayEvent>, String) {
    let config = OverlayConfig {
        listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
        bootstrap: bootstrap.to_vec(),
        allow_private: true,
        ..OverlayConfig::default()
    };
    let (overlay, events) = Overlay::start(config, key(n)).unwrap();
    let looked = async {
        loop {
            let all = overlay.listen_addresses().await.unwrap();
            let here = |it: &String| host_of(it).as_deref() == Some("127.0.0.1");
            if let Some(at) = all.into_iter().find(here) {
                break at;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let at = timeout(PATIENCE, looked).await.unwrap();
    (overlay, events, at)
}

/// A stream from `from` to the node whose `events` these are, on which `first` was said: our end, and theirs,
/// which has heard it.
pub(crate) async fn stream(
    from: &Overlay,
    (to, events): (NodeId, &mut mpsc::Receiver<OverlayEvent>),
    first: SessionFrame,
) -> (SessionStream, (SessionSender, SessionReceiver)) {
    let mut ours = from.open_session(to).await.unwrap();
    ours.send(first).await.unwrap();
    let came = async {
        loop {
            if let Some(OverlayEvent::InboundSession { stream, .. }) = events.recv().await {
                break stream;
            }
        }
    };
    let mut theirs = timeout(PATIENCE, came).await.unwrap();
    timeout(PATIENCE, theirs.recv()).await.unwrap().unwrap();
    (ours, theirs.split())
}
