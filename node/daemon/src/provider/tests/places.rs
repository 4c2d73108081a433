//! Places: who gets one, what the market hears of it, and that an exit that is on is heard of at all.

use warren_overlay::offers::OfferQuery;
use warren_proto::{Capacity, Goodbye};
use warren_tunnel::host::forget_flows;

use super::*;

/// An exit with so many places.
async fn bench(guests_max: u32) -> Bench {
    let capacity = Capacity {
        guests_max,
        guests_free: guests_max,
    };
    Bench::with(|it| it.offer.capacity = capacity).await
}

/// Waits until the offer of the exit that `node` knows says so many free places.
async fn hears_free(bench: &mut Bench, node: &Overlay, free: u32) {
    let query = OfferQuery {
        full_too: true,
        ..OfferQuery::default()
    };
    let heard = async {
        loop {
            bench.shell.say_places().await;
            let known = node.offers(query.clone()).await.unwrap();
            let said: Vec<_> = known.iter().map(|it| it.offer.offer().capacity).collect();
            if said.iter().any(|it| it.guests_free == free) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, heard).await.expect("the market hears it");
}

#[test]
fn the_market_hears_that_an_exit_is_full_and_that_it_no_more_is() {
    inside("the_market_hears_that_an_exit_is_full", || async {
        let mut bench = bench(1).await;
        let (looker, ..) = node(9, std::slice::from_ref(&bench.at)).await;
        hears_free(&mut bench, &looker, 1).await;
        let (_guest, _stream, answer) = bench.starts(2, 3, 7).await;
        assert!(matches!(answer, SessionFrame::Ready(_)), "{answer:?}");
        hears_free(&mut bench, &looker, 0).await;
        let session = *bench.exit().guests.keys().next().unwrap();
        let stop = ProviderEvent::Stop(GoodbyeReason::Asked);
        bench.shell.event(session, stop).await;
        hears_free(&mut bench, &looker, 1).await;
    });
}

#[test]
fn an_exit_that_is_on_and_unheard_of_is_published_anew() {
    inside("an_exit_that_is_on_and_unheard_of", || async {
        let mut bench = bench(1).await;
        let overlay = bench.shell.parts.overlay.clone();
        overlay.withdraw_offer().await.unwrap();
        let out = overlay.own_offer().await.unwrap().unwrap();
        assert!(out.offer().is_withdrawal());
        bench.shell.renewed(out);
        bench.shell.advertise().await;
        let out = overlay.own_offer().await.unwrap().unwrap();
        assert_eq!(out.offer().capacity.guests_max, 1);
        assert_eq!(out, bench.exit().offer);
        let asked = request(3, &out, 7);
        let (_guest, mut stream) = bench.asks(2, &asked).await;
        let told = bench.hears(&mut stream).await;
        assert!(matches!(told, SessionFrame::Grant(_)), "{told:?}");
    });
}

#[test]
fn whoever_only_asks_for_a_place_yields_to_a_newcomer() {
    inside("whoever_only_asks_for_a_place", || async {
        let mut bench = bench(2).await;
        let mut waiting = Vec::new();
        for (n, session) in [(2, 3), (4, 5), (6, 7)] {
            let asked = request(session, &bench.exit().offer, session);
            let (guest, mut stream) = bench.asks(n, &asked).await;
            let told = bench.hears(&mut stream).await;
            assert!(matches!(told, SessionFrame::Grant(_)), "{n}: {told:?}");
            waiting.push((guest, stream));
        }
        let (_, first) = &mut waiting[0];
        let told = bench.hears(first).await;
        let SessionFrame::Goodbye(Goodbye { reason, .. }) = told else {
            panic!("{told:?}");
        };
        assert_eq!(reason, GoodbyeReason::Unpaid);
        assert_eq!(bench.exit().guests.len(), 2);
    });
}

#[test]
fn the_kernel_forgets_the_flows_of_a_guest_that_left() {
    inside("the_kernel_forgets_the_flows", || async {
        let mut bench = bench(1).await;
        let (_guest, _stream, answer) = bench.starts(2, 3, 7).await;
        assert!(matches!(answer, SessionFrame::Ready(_)), "{answer:?}");
        let guest = bench.exit().guests.values().next().unwrap();
        let from = guest.machine.terms().consumer_v4;
        // As if the tunnel had carried it: a flow from this address.
        sh(&format!("ip addr add {from}/32 dev lo"));
        let open = || {
            let socket = std::net::UdpSocket::bind((from, 0)).unwrap();
            socket.send_to(b"x", ("192.0.2.9", 443)).unwrap();
        };
        let known = || forget_flows(&BTreeSet::from([from.into()])).unwrap();
        open();
        assert_eq!((known(), known()), (1, 0));
        open();
        let session = *bench.exit().guests.keys().next().unwrap();
        let stop = ProviderEvent::Stop(GoodbyeReason::Asked);
        bench.shell.event(session, stop).await;
        bench.shell.look().await;
        assert_eq!(known(), 0, "forgotten");
    });
}

#[test]
fn a_guest_that_is_kicked_is_told_and_gives_its_place_back() {
    inside("a_guest_that_is_kicked", || async {
        let mut bench = bench(1).await;
        let (_guest, mut stream, answer) = bench.starts(2, 3, 7).await;
        assert!(matches!(answer, SessionFrame::Ready(_)), "{answer:?}");
        let whom = key(2).id().to_string();
        let (session, node) = bench.shell.kick(&whom).await.unwrap();
        assert_eq!((session.as_bytes(), node), (&[3; 16], key(2).id()));
        let told = bench.hears(&mut stream).await;
        assert!(
            matches!(
                told,
                SessionFrame::Goodbye(Goodbye {
                    reason: GoodbyeReason::Asked,
                    ..
                })
            ),
            "{told:?}"
        );
        assert!(bench.exit().guests.is_empty());
        assert_eq!(bench.exit().admission.guests(), 0);
        let again = bench.shell.kick(&whom).await.unwrap_err();
        assert!(again.is(ErrorCode::NoSuchGuest), "{again}");
    });
}

#[test]
fn who_is_not_on_the_list_is_refused_as_banned() {
    inside("who_is_not_on_the_list", || async {
        let mut bench = Bench::with(|it| it.guests.allowed = [key(4).id()].into()).await;
        let asked = request(3, &bench.exit().offer, 7);
        let (_stranger, mut stream) = bench.asks(2, &asked).await;
        let SessionFrame::Refusal(told) = bench.hears(&mut stream).await else {
            panic!("refused");
        };
        assert_eq!(told.reason, warren_proto::RefusalReason::Banned);
        let (_friend, _stream, answer) = bench.starts(4, 5, 8).await;
        assert!(matches!(answer, SessionFrame::Ready(_)), "{answer:?}");
    });
}
