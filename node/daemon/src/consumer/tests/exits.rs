//! Which exits are tried, and in which order.

use super::*;
use crate::consumer::choose::{Answer, Asked};
use crate::session::ConsumerEnd;
use crate::stand::known;

/// Ids and offers cost nothing: five that rank best and answer nobody are no reason to go without a tunnel.
#[test]
fn five_exits_that_answer_nobody_hide_no_sixth_and_are_not_first_the_next_time() {
    inside("five_exits_that_answer_nobody", || async {
        let mut bench = Bench::new().await;
        let shell = &mut bench.shell;
        let now = shell.parts.clock.now();
        let ranked = |n| known(free_offer(n, now).sign(&key(n)).unwrap());
        let found = |plan| Answer {
            plan,
            offers: (11..=16).map(ranked).collect(),
            from: Asked::Index,
        };
        let tried = |shell: &Shell| {
            let live = shell.live.as_ref().expect("somebody is tried");
            live.machine().offer().offer().node
        };
        let (progress, _events) = mpsc::channel(64);
        shell.start(wanted(), Some(progress.clone())).await;
        for n in 11..=15 {
            shell.found(found(1)).await;
            assert_eq!(tried(shell), key(n).id());
            let gone = News::NoStream("nobody is there".to_owned());
            shell.session_news(gone).await;
        }
        shell.found(found(1)).await;
        assert_eq!(tried(shell), key(16).id());

        shell.down(DownRequest::default()).await.unwrap();
        shell.start(wanted(), Some(progress)).await;
        shell.found(found(2)).await;
        assert_eq!(tried(shell), key(16).id());
    });
}

/// Another one may be paid by a channel that is there, and this one in a while.
#[tokio::test]
async fn an_exit_that_cannot_be_paid_ends_no_plan() {
    for was_up in [false, true] {
        let mut bench = Bench::new().await;
        bench.begins();
        let plan = bench.shell.plan.as_mut().unwrap();
        plan.wanted.fallback = Fallback::Any;
        plan.progress = plan.progress.take().filter(|_| !was_up);
        bench.shell.ended(ConsumerEnd::Unfunded).await;
        assert!(bench.shell.plan.is_some(), "given up; was up: {was_up}");
        assert!(bench.shell.live.is_none() && bench.shell.facts.problem.is_none());
    }
}
