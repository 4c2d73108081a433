//! An exit whose port nobody finds: it is told so, until somebody does.

use warren_tunnel::{ConsumerTunnel, TunnelSpec};

use super::*;

/// Three guests come, wait for a minute, and leave without a handshake.
async fn missed_by_three(bench: &mut Bench) {
    for (n, session) in [(2, 3), (4, 5), (6, 7)] {
        assert!(bench.shell.facts().on.unwrap().unreached.is_none());
        let (_guest, _stream, answer) = bench.starts(n, session, session).await;
        assert!(matches!(answer, SessionFrame::Ready(_)), "{answer:?}");
        let exit = bench.shell.exit.as_mut().unwrap();
        let (id, guest) = exit.guests.iter_mut().next().unwrap();
        let began = guest.began.unwrap().as_millis() - 60_000;
        guest.began = Some(warren_proto::UnixTime::from_millis(began));
        let (id, stop) = (*id, ProviderEvent::Stop(GoodbyeReason::Asked));
        bench.shell.event(id, stop).await;
    }
}

#[test]
fn an_exit_that_three_guests_did_not_find_is_told_so() {
    inside("an_exit_that_three_guests_did_not_find", || async {
        let mut bench = Bench::on().await;
        missed_by_three(&mut bench).await;
        let told = bench.shell.facts().on.unwrap().unreached.unwrap();
        assert!(told.is(ErrorCode::ExitUnreached) && told.seen.contains("3 guests"));
        assert_eq!(bench.count(Metric::ExitUnshaken), 3);
    });
}

#[test]
fn the_first_guest_that_shakes_hands_ends_the_warning() {
    inside("the_first_guest_that_shakes_hands", || async {
        let mut bench = Bench::on().await;
        missed_by_three(&mut bench).await;
        let private_key = TunnelKey::generate();
        let mut asked = request(9, &bench.exit().offer, 9);
        asked.tunnel_key = private_key.public();
        let (_guest, _stream, answer) = bench.begins(8, &asked).await;
        assert!(matches!(answer, SessionFrame::Ready(_)), "{answer:?}");
        let exit = bench.exit();
        let port = exit.tunnel.port().unwrap();
        let terms = exit.guests.values().next().unwrap().machine.terms().clone();
        let tunnel = ConsumerTunnel::up(TunnelSpec {
            device: "warren0".to_owned(),
            private_key,
            peer_key: exit.what.tunnel_key,
            endpoints: vec![([127, 0, 0, 1], port).into()],
            port: 0,
            local_v4: Some(terms.consumer_v4),
            local_v6: Some(terms.consumer_v6),
            mtu: 1420,
            keepalive: None,
            mark: None,
            offload: Offload::Off,
        })
        .unwrap();
        let found = async {
            while bench.shell.facts().on.unwrap().unreached.is_some() {
                bench.shell.tick().await;
                tokio::time::sleep(TICK).await;
            }
        };
        timeout(PATIENCE, found).await.expect("it is found");
        drop(tunnel);
        let end = ProviderEvent::Stop(GoodbyeReason::Asked);
        bench.shell.event(asked.session, end).await;
        assert_eq!(bench.count(Metric::ExitUnshaken), 3, "this one shook hands");
    });
}
