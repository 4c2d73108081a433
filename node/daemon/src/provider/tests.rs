//! On a real device, a real firewall and real streams. What it must not do: open the house, or hold up guests.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;
use warren_overlay::OverlayEvent;
use warren_proto::{SessionFrame, SessionRequest, SessionStart};
use warren_tunnel::{DEFAULT_HANDSHAKE_LIMIT, Gate, Offload, TunnelKey};

use super::watch::{MOST_BARE, gate};
use super::*;
use crate::lockfile::HomeLock;
use crate::metrics::Metric;
use crate::stand::{
    PATIENCE, endpoint, exit_terms, free_offer, holds, inside, key, node, request, sh, stream,
};
use crate::store::{Store, StoreSpec};

mod dropped;
mod places;
mod silent;
mod unreached;

const EXIT: u8 = 1;

/// An exit that is on, gives all away, and is driven by hand.
struct Bench {
    shell: Shell,
    events: mpsc::Receiver<OverlayEvent>,
    at: String,
    _home: TempDir,
    _store: Store,
}

impl Bench {
    async fn on() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Enable)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(Clock::start());
        let now = clock.now();
        let lock = HomeLock::take(home.path(), now).unwrap();
        let store = Store::open(StoreSpec::new(home.path(), key(EXIT).id()), lock).unwrap();
        let (overlay, events, at) = node(EXIT, &[]).await;
        let (routes, locks) = Routes::none();
        let parts = ProviderParts {
            overlay,
            control: tokio::runtime::Handle::current(),
            purse: None,
            scribe: None,
            towers: Towers::none(),
            routes,
            locks,
            key: key(EXIT),
            clock,
            limits: SessionLimits::default(),
            headroom: store.headroom().clone(),
            journal: home.path().join("exit.journal"),
            metrics: Arc::new(Metrics::default()),
            events: Events::start(Arc::new(Clock::start())),
        };
        let shell = Shell::new(parts);
        let mut bench = Self {
            shell,
            events,
            at,
            _home: home,
            _store: store,
        };
        let mut what = enable(now);
        change(&mut what);
        Box::pin(bench.shell.enable(what)).await.unwrap();
        bench
    }

    fn exit(&self) -> &Exit {
        self.shell.exit.as_ref().unwrap()
    }

    fn count(&self, metric: Metric) -> u128 {
        self.shell.parts.metrics.get(metric)
    }

    /// Node `n` asks for a session; how it hears what it is told.
    async fn asks(&mut self, n: u8, asked: &SessionRequest) -> (Overlay, SessionStream) {
        let (guest, ..) = node(n, std::slice::from_ref(&self.at)).await;
        let to = (key(EXIT).id(), &mut self.events);
        let first = SessionFrame::Request(asked.clone());
        let (ours, (sender, receiver)) = stream(&guest, to, first).await;
        let (peer, asked) = (key(n).id(), asked.clone());
        self.shell.asked(peer, asked, sender, receiver).await;
        (guest, ours)
    }

    /// Runs the exit until its guest hears something that is no meter.
    async fn hears(&mut self, guest: &mut SessionStream) -> SessionFrame {
        let heard = async {
            loop {
                tokio::select! {
                    Some(news) = self.shell.heard.recv() => self.shell.hear(news).await,
                    frame = guest.recv() => {
                        let frame = frame.unwrap().unwrap();
                        if !matches!(frame, SessionFrame::Meter(_)) {
                            break frame;
                        }
                    },
                }
            }
        };
        timeout(PATIENCE, heard).await.unwrap()
    }

    /// Node `n` becomes a guest, as far as a Start.
    async fn starts(
        &mut self,
        n: u8,
        session: u8,
        tunnel_key: u8,
    ) -> (Overlay, SessionStream, SessionFrame) {
        let asked = request(session, &self.exit().offer, tunnel_key);
        self.begins(n, &asked).await
    }

    /// The same with a request of its own.
    async fn begins(
        &mut self,
        n: u8,
        asked: &SessionRequest,
    ) -> (Overlay, SessionStream, SessionFrame) {
        let (guest, mut stream) = self.asks(n, asked).await;
        let SessionFrame::Grant(grant) = self.hears(&mut stream).await else {
            panic!("granted");
        };
        let start = SessionStart {
            session: grant.terms.session,
            signature: grant.terms.sign(&key(n)),
            payment: None,
            routed: None,
        };
        stream
            .send(SessionFrame::Start(Box::new(start)))
            .await
            .unwrap();
        let answer = self.hears(&mut stream).await;
        (guest, stream, answer)
    }
}

fn enable(now: warren_proto::UnixTime) -> Enable {
    let private_key = TunnelKey::generate();
    Enable {
        offer: free_offer(EXIT, now),
        terms: exit_terms(),
        tunnel_key: private_key.public(),
        tunnel: ExitSpec {
            device: "warren-exit".to_owned(),
            listen: "[::]:0".parse().unwrap(),
            private_key,
            mtu: 1420,
            gateway_v4: "10.77.0.1/16".parse().unwrap(),
            gateway_v6: "fd77:7761::1/64".parse().unwrap(),
            mark: None,
            handshake_limit: DEFAULT_HANDSHAKE_LIMIT,
            offload: Offload::Auto,
        },
        shape: Shape::default(),
        nat: ExitNatSpec::default(),
        guests: GuestList::default(),
    }
}

/// Another program that owns the table of our name: nobody else can change or remove it.
struct Squatter(Child);

impl Squatter {
    fn sit() -> Self {
        let mut child = Command::new("nft")
            .arg("-i")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.as_mut().unwrap();
        writeln!(stdin, "add table inet warren_exit {{ flags owner; }}").unwrap();
        stdin.flush().unwrap();
        let sits = (0..2000).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            holds("nft list table inet warren_exit")
        });
        assert!(sits);
        Self(child)
    }
}

impl Drop for Squatter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn without_the_deny_table_no_guest_passes_and_with_it_all_do_again() {
    inside("without_the_deny_table", || async {
        let mut bench = Bench::on().await;
        let (_guest, _stream, answer) = bench.starts(2, 3, 7).await;
        assert!(matches!(answer, SessionFrame::Ready(_)), "{answer:?}");
        bench.shell.look().await;
        assert!(bench.shell.trouble.is_none() && !bench.exit().shut);

        sh("nft flush ruleset");
        bench.shell.look().await;
        assert!(holds(
            "nft list table inet warren_exit | grep -q denied_address"
        ));
        assert!(!bench.exit().shut);
        let trouble = bench.shell.trouble.clone().unwrap();
        assert!(trouble.is(ErrorCode::FirewallMeddled), "{trouble}");
        assert_eq!(bench.count(Metric::FirewallMeddled), 1);

        // It cannot be made again: guests stay shut out, also such as come now.
        sh("nft flush ruleset");
        let squatter = Squatter::sit();
        for _ in 0..2 {
            bench.shell.look().await;
            assert!(bench.exit().shut);
        }
        let (_other, _its_stream, answer) = bench.starts(4, 5, 8).await;
        assert!(matches!(answer, SessionFrame::Ready(_)), "{answer:?}");
        let exit = bench.exit();
        for guest in exit.guests.values() {
            assert!(guest.tunnel.is_some() && guest.allowed.bytes() > 0);
            assert_eq!(gate(exit, guest.allowed), Gate::Paused);
        }
        assert_eq!(bench.count(Metric::FirewallMeddled), 2);

        drop(squatter);
        bench.shell.look().await;
        assert!(!bench.exit().shut);
        assert!(holds(
            "nft list table inet warren_exit | grep -q denied_address"
        ));
        bench.shell.disable().await.unwrap();
        assert!(!holds("nft list table inet warren_exit"));
    });
}

#[test]
fn a_deny_table_that_is_found_again_leaves_no_alarm_and_no_count() {
    inside("a_deny_table_that_is_found_again", || async {
        let mut bench = Bench::on().await;
        // As it is after looks that could not ask the kernel.
        for _ in 0..2 * MOST_BARE {
            let exit = bench.shell.exit.as_mut().unwrap();
            (exit.shut, exit.bare) = (true, exit.bare + 1);
            let seen = "the deny table is gone and no guest passes";
            bench.shell.trouble = Some(Problem::new(ErrorCode::FirewallMeddled, seen));
            bench.shell.look().await;
            assert!(!bench.exit().shut);
            assert_eq!((bench.exit().bare, bench.shell.trouble.clone()), (0, None));
        }
    });
}

#[test]
fn an_exit_whose_deny_table_cannot_be_made_again_ends_and_tells_its_guests() {
    inside("an_exit_whose_deny_table", || async {
        let mut bench = Bench::on().await;
        let (_guest, mut stream, _) = bench.starts(2, 3, 7).await;
        sh("nft flush ruleset");
        let _squatter = Squatter::sit();
        for _ in 1..MOST_BARE {
            bench.shell.look().await;
            assert!(bench.exit().shut);
        }
        bench.shell.look().await;
        assert!(bench.shell.exit.is_none());
        let trouble = bench.shell.trouble.clone().unwrap();
        assert!(trouble.is(ErrorCode::FirewallMeddled), "{trouble}");
        assert!(trouble.seen.contains("the exit ended"), "{trouble}");
        let told = bench.hears(&mut stream).await;
        assert!(matches!(told, SessionFrame::Goodbye(_)), "{told:?}");
    });
}

#[test]
fn an_exit_without_its_device_ends_says_so_and_can_begin_anew() {
    inside("an_exit_without_its_device", || async {
        let mut bench = Bench::on().await;
        let (_guest, mut stream, _) = bench.starts(2, 3, 7).await;
        sh("ip link del warren-exit");
        let noticed = async {
            while bench.shell.exit.is_some() {
                bench.shell.look().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, noticed).await.unwrap();
        let trouble = bench.shell.trouble.clone().unwrap();
        assert!(trouble.is(ErrorCode::TunnelLost), "{trouble}");
        assert_eq!(bench.count(Metric::TunnelsLost), 1);
        assert!(!holds("nft list table inet warren_exit"), "given back");
        let told = bench.hears(&mut stream).await;
        assert!(matches!(told, SessionFrame::Goodbye(_)), "{told:?}");

        let now = bench.shell.parts.clock.now();
        bench.shell.enable(enable(now)).await.unwrap();
        assert!(bench.shell.trouble.is_none());
        bench.shell.look().await;
        assert!(holds("ip link show warren-exit") && bench.shell.exit.is_some());
    });
}

#[test]
fn an_exit_that_moved_tells_new_guests_and_denies_its_new_addresses() {
    inside("an_exit_that_moved", || async {
        let mut bench = Bench::on().await;
        let known = |endpoints: &[&str], deny: &[&str]| Known {
            addresses: vec!["/ip4/5.9.0.7/tcp/4077".to_owned()],
            endpoints: endpoints.iter().map(|it| endpoint(it)).collect(),
            deny: deny.iter().map(|it| it.parse().unwrap()).collect(),
        };
        let moved = known(
            &["5.9.0.7:41820", "[2a0e:77::7]:41820"],
            &["2a0e:77::7/128", "5.9.0.7/32"],
        );
        bench.shell.known_by(moved.clone()).await;
        for (set, address) in [("own4", "5.9.0.7"), ("own6", "2a0e:77::7")] {
            let line = format!("nft list set inet warren_exit {set} | grep -q {address}");
            assert!(holds(&line), "{set}");
        }
        let asked = request(3, &bench.exit().offer, 7);
        let (_guest, mut stream) = bench.asks(2, &asked).await;
        let SessionFrame::Grant(grant) = bench.hears(&mut stream).await else {
            panic!("granted");
        };
        assert_eq!(grant.terms.endpoints, moved.endpoints);
        assert_eq!(bench.exit().offer.offer().addresses, moved.addresses);
        bench.shell.look().await;
        assert!(
            bench.shell.trouble.is_none(),
            "its own change is no meddling"
        );
    });
}

#[test]
fn networks_this_machine_comes_into_are_denied_soon() {
    inside("networks_this_machine_comes_into", || async {
        let mut bench = Bench::on().await;
        sh("ip addr add 2a0e:77:1::2/64 dev eth0 nodad");
        for _ in 0..5 {
            bench.shell.look().await;
        }
        let line = "nft list set inet warren_exit own6 | grep -q 2a0e:77:1::/64";
        assert!(holds(line));
    });
}

#[test]
fn nobody_takes_a_guests_place_by_the_name_of_its_session() {
    inside("nobody_takes_a_guests_place", || async {
        let mut bench = Bench::on().await;
        let (_guest, _stream, answer) = bench.starts(2, 3, 7).await;
        assert!(matches!(answer, SessionFrame::Ready(_)), "{answer:?}");
        let asked = request(3, &bench.exit().offer, 8);
        let (_thief, mut its_stream) = bench.asks(4, &asked).await;
        let told = bench.hears(&mut its_stream).await;
        assert!(matches!(told, SessionFrame::Refusal(_)), "{told:?}");
        let guests: Vec<_> = bench.exit().guests.values().map(|it| it.peer).collect();
        assert_eq!(guests, [key(2).id()]);
        assert_eq!(bench.exit().admission.guests(), 1);
    });
}

#[test]
fn who_gets_no_place_in_the_tunnel_is_not_told_to_shake_hands() {
    inside("who_gets_no_place_in_the_tunnel", || async {
        let mut bench = Bench::on().await;
        let (_guest, _stream, answer) = bench.starts(2, 3, 7).await;
        assert!(matches!(answer, SessionFrame::Ready(_)), "{answer:?}");
        // The key of the guest before it.
        let (_other, _its_stream, answer) = bench.starts(4, 5, 7).await;
        assert!(matches!(answer, SessionFrame::Goodbye(_)), "{answer:?}");
        assert_eq!(bench.exit().guests.len(), 1);
        assert_eq!(bench.exit().admission.guests(), 1);
    });
}
