//! An exit whose port nobody finds: it is told so.

use super::*;

#[test]
fn an_exit_that_three_guests_did_not_find_is_told_so() {
    inside("an_exit_that_three_guests_did_not_find", || async {
        let mut bench = Bench::on().await;
        for (n, session) in [(2, 3), (4, 5), (6, 7)] {
            assert!(bench.shell.facts().on.unwrap().unreached.is_none());
            let (_guest, _stream, answer) = bench.starts(n, session, session).await;
            assert!(matches!(answer, SessionFrame::Ready(_)), "{answer:?}");
            let exit = bench.shell.exit.as_mut().unwrap();
            let (id, guest) = exit.guests.iter_mut().next().unwrap();
            // As if it had tried for a minute.
            let began = guest.began.unwrap().as_millis() - 60_000;
            guest.began = Some(warren_proto::UnixTime::from_millis(began));
            let (id, stop) = (*id, ProviderEvent::Stop(GoodbyeReason::Asked));
            bench.shell.event(id, stop).await;
        }
        let told = bench.shell.facts().on.unwrap().unreached.unwrap();
        assert!(told.is(ErrorCode::ExitUnreached) && told.seen.contains("3 guests"));
        assert_eq!(bench.count(Metric::ExitUnshaken), 3);
    });
}
