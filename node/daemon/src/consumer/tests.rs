//! The loop, driven by hand: it talks to an exit on real streams, and has no tunnel.

#![allow(clippy::unwrap_used, reason = "tests")]

use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use warren_overlay::{OverlayEvent, SessionStream};
use warren_payments::{RouteAsk, RouterPolicy};
use warren_proto::{
    ByteCount, ChannelId, Grant, Meter, SessionFrame, SessionId, SessionRequest, SessionTerms,
    SignedOffer, TunnelPublicKey,
};
use warren_tunnel::Usage;

use super::live::News;
use super::*;
use crate::config::RouterSection;
use crate::metrics::Metric;
use crate::perform::tests::{Pair, purse_of, router, units};
use crate::perform::{Locked, Way};
use crate::route::{LockFor, RouteParts};
use crate::session::{Admission, Fresh, LockMade};
use crate::stand::{PATIENCE, exit_terms, free_offer, inside, key, node};

mod cover;
mod exits;
mod tidings;

const EXIT: u8 = 1;
const CONSUMER: u8 = 2;

/// A consumer's loop, and an exit that gives all away.
struct Bench {
    shell: Shell,
    offer: SignedOffer,
    events: mpsc::Receiver<OverlayEvent>,
    _exit: Overlay,
    _home: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (exit, events, at) = node(EXIT, &[]).await;
        let (overlay, ..) = node(CONSUMER, &[at]).await;
        let clock = Arc::new(Clock::start());
        let offer = free_offer(EXIT, clock.now()).sign(&key(EXIT)).unwrap();
        let parts = ConsumerParts {
            overlay,
            control: tokio::runtime::Handle::current(),
            purse: None,
            scribe: None,
            routes: Routes::none().0,
            key: key(CONSUMER),
            clock,
            limits: SessionLimits::default(),
            token: Token {
                symbol: "WRN".to_owned(),
                decimals: 18,
            },
            metrics: Arc::new(Metrics::default()),
            events: Events::start(Arc::new(Clock::start())),
        };
        let (heard_by, heard) = mpsc::channel(64);
        let shell = Shell {
            parts,
            line: Line::new(home.path().join("consumer.journal"), Default::default()),
            live: None,
            leaving: VecDeque::new(),
            plan: None,
            plans: 0,
            failed: Failed::default(),
            kept: Vec::new(),
            heard_by,
            heard,
            facts: ConsumerFacts::default(),
            watch: Watch::default(),
        };
        Self {
            shell,
            offer,
            events,
            _exit: exit,
            _home: home,
        }
    }

    /// Begins a session with the exit, which was found already.
    fn begins(&mut self) {
        self.begins_with(Amount::ZERO);
    }

    /// The same, with so much to deposit and to spend.
    fn begins_with(&mut self, money: Amount) {
        let (progress, _) = mpsc::channel(64);
        let now = self.shell.parts.clock.now();
        let wanted = Wanted {
            max_spend: money,
            deposit: money,
            ..wanted()
        };
        self.shell.plan = Some(Plan::new(1, wanted, Some(progress), now, false));
        let bid = live::wish(
            &self.shell.parts,
            self.offer.clone(),
            self.shell.plan.as_ref(),
        );
        let (live, effects) = Live::new(bid, &self.shell.parts, self.shell.heard_by.clone());
        self.shell.live = Some(live);
        assert!(!effects.is_empty(), "a request");
        for effect in effects {
            if let crate::session::ConsumerEffect::Send(frame) = effect {
                self.shell.send(frame);
            }
        }
    }

    /// Runs the loop until `done`.
    async fn runs<T>(
        &mut self,
        mut done: impl AsyncFnMut(&mut mpsc::Receiver<OverlayEvent>) -> T,
    ) -> T {
        let Self { shell, events, .. } = self;
        let done = done(events);
        tokio::pin!(done);
        let runs = async {
            loop {
                tokio::select! {
                    Some(heard) = shell.heard.recv() => shell.hear(heard).await,
                    () = sleep(TICK) => shell.tick().await,
                    it = &mut done => break it,
                }
            }
        };
        timeout(PATIENCE, runs).await.expect("it never comes")
    }

    /// The next stream that the exit is opened, and what is asked for on it.
    async fn opened(&mut self) -> (SessionStream, SessionRequest) {
        let came = async |events: &mut mpsc::Receiver<OverlayEvent>| loop {
            if let Some(OverlayEvent::InboundSession { mut stream, .. }) = events.recv().await {
                let first = stream.recv().await.unwrap().unwrap();
                let SessionFrame::Request(request) = first else {
                    panic!("{first:?}");
                };
                break (stream, request);
            }
        };
        self.runs(came).await
    }

    /// Runs the loop until the exit hears the next frame of this stream.
    async fn says(&mut self, stream: &mut SessionStream) -> SessionFrame {
        self.runs(async |_| stream.recv().await.unwrap().unwrap())
            .await
    }

    fn grant(&self, request: &SessionRequest) -> SessionFrame {
        let (limits, now) = (SessionLimits::default(), self.shell.parts.clock.now());
        let mut admission = Admission::new(key(EXIT).id(), exit_terms(), limits);
        admission.offered(self.offer.clone());
        let fresh = Fresh {
            provider_key: TunnelPublicKey::from_bytes([8; 32]),
            payee_nonce: [9; 32],
        };
        let terms: SessionTerms = admission
            .decide(request, key(CONSUMER).id(), fresh, now)
            .unwrap();
        let signature = terms.sign(&key(EXIT));
        SessionFrame::Grant(Box::new(Grant { terms, signature }))
    }

    fn is_cut(&self) -> bool {
        let live = self.shell.live.as_ref();
        live.and_then(|it| it.talk.as_ref())
            .is_some_and(talk::Talk::is_cut)
    }
}

fn wanted() -> Wanted {
    Wanted {
        query: OfferQuery::default(),
        named: None,
        max_spend: Amount::ZERO,
        deposit: Amount::ZERO,
        fallback: Fallback::None,
        search: Duration::from_secs(5),
        dns: Vec::new(),
        kill_switch: false,
        route: RouteWish::Direct,
        routers: Routers::One,
        max_route_fee_ppm: 0,
    }
}

fn meter(up: u64) -> SessionFrame {
    SessionFrame::Meter(Meter {
        up,
        ..Meter::default()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exit_that_does_not_read_costs_its_stream_and_holds_up_nothing() {
    let mut bench = Bench::new().await;
    bench.begins();
    let (mut first, request) = bench.opened().await;
    assert!(!request.resume);
    let grant = bench.grant(&request);
    first.send(grant.clone()).await.unwrap();
    let start = bench.says(&mut first).await;
    assert!(matches!(start, SessionFrame::Start(_)), "{start:?}");

    // From here on it reads nothing. Whatever is to be said to it is queued, up to a bound.
    let mut queued = 0;
    while !bench.is_cut() && queued < 1_000_000 {
        bench.shell.send(meter(queued));
        queued += 1;
        tokio::task::yield_now().await;
    }
    assert!(bench.is_cut(), "no bound");
    let (reply, answer) = oneshot::channel();
    bench.shell.obey(Order::View { reply }).await;
    assert!(answer.await.is_ok());

    // It still speaks, so nothing else would tell that this stream is of no use.
    first.send(meter(1)).await.unwrap();
    let (mut second, request) = bench.opened().await;
    assert!(request.resume);
    second.send(grant).await.unwrap();
    assert_eq!(bench.says(&mut second).await, start, "said again");
    drop(first);
}

#[test]
fn what_a_session_carried_is_counted_once() {
    inside("what_a_session_carried_is_counted_once", || async {
        let mut bench = Bench::new().await;
        bench.shell.line.has_carried(Usage {
            up: ByteCount::from_bytes(5),
            down: ByteCount::from_bytes(7),
        });
        let count = |bench: &Bench| {
            let metrics = &bench.shell.parts.metrics;
            let of = |it| metrics.get(it);
            (of(Metric::ConsumerUpBytes), of(Metric::ConsumerDownBytes))
        };
        bench.shell.tell_metrics();
        assert_eq!(count(&bench), (5, 7));
        // The session is over, and this `up` finds nobody.
        let (progress, _events) = mpsc::channel(64);
        bench.shell.start(wanted(), Some(progress)).await;
        bench.shell.tell_metrics();
        assert_eq!(count(&bench), (5, 7));
    });
}

#[tokio::test]
async fn an_alarm_ends_when_what_it_told_of_is_found_again() {
    use host::{Found, LineError};
    let mut bench = Bench::new().await;
    bench.shell.finds(Found::Meddled).await;
    let before = bench.shell.watch.trouble().unwrap();
    let error = LineError::Died("no answer".to_owned());
    bench.shell.finds(Found::Bare(error, Ok(Vec::new()))).await;
    let bare = bench.shell.watch.trouble().unwrap();
    assert!(bare.seen.contains("GONE"), "{bare}");
    bench.shell.finds(Found::Sound).await;
    // What did happen since the last `up` is told on.
    assert_eq!(bench.shell.watch.trouble(), Some(before));

    // What was made again beside it is told once it stands, and what could not be, with it.
    let error = || LineError::Died("no answer".to_owned());
    let rule = vec!["rule 7770".to_owned()];
    bench.shell.finds(Found::Bare(error(), Ok(rule))).await;
    assert!(bench.shell.watch.trouble().unwrap().seen.contains("GONE"));
    let other = LineError::Died("no rule".to_owned());
    bench.shell.finds(Found::Bare(error(), Err(other))).await;
    let bare = bench.shell.watch.trouble().unwrap();
    assert!(
        bare.seen.contains("GONE") && bare.seen.contains("no rule"),
        "{bare}"
    );
    bench.shell.finds(Found::Sound).await;
    assert!(
        bench
            .shell
            .watch
            .trouble()
            .unwrap()
            .seen
            .contains("rule 7770")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exit_that_was_reached_again_is_not_told_of_as_unreachable() {
    use crate::session::{ConsumerEnd, ConsumerPhase};
    let mut bench = Bench::new().await;
    bench.begins();
    let (first, request) = bench.opened().await;
    assert!(!request.resume);
    let unreachable = Problem::new(ErrorCode::NodeUnreachable, "no route to host");
    bench.shell.live.as_mut().unwrap().problem = Some(unreachable.clone());
    let end = ConsumerEnd::TimedOut(ConsumerPhase::Connecting);
    assert_eq!(bench.shell.cause(&end), Some(unreachable));
    let grant = bench.grant(&request);
    let mut first = first;
    first.send(grant).await.unwrap();
    bench.says(&mut first).await;
    drop(first);
    let (_second, request) = bench.opened().await;
    assert!(request.resume);
    assert_eq!(bench.shell.cause(&end), None);
}

/// A lock that comes once its session is over: the next one with that exit must not take its second router for one that
/// does its work.
#[tokio::test]
async fn a_lock_that_comes_too_late_is_given_up_and_forgotten() {
    let mut bench = Bench::new().await;
    let pair = Pair::new().await;
    let (purse, (_home, store)) = purse_of(&pair.router);
    let parts = &mut bench.shell.parts;
    let (routes, _locks) = Routes::start(RouteParts {
        overlay: parts.overlay.clone(),
        control: parts.control.clone(),
        purse: purse.clone(),
        key: key(CONSUMER),
        clock: Arc::clone(&parts.clock),
        store: Arc::new(store),
        router: RouterSection {
            enabled: false,
            policy: RouterPolicy::default(),
            deposit: Amount::ZERO,
            budget: Amount::ZERO,
            max_channels: 0,
        },
    })
    .unwrap();
    (parts.purse, parts.routes) = (Some(purse), routes.clone());
    let (exit, price) = (key(EXIT).id(), units(1));
    let serve_until = parts.clock.now().plus(Duration::from_secs(3600));
    let ask = RouteAsk {
        channel: pair.channel,
        unit_price: price,
        units: 100,
        expiry: pair.chain.tip().timestamp.as_secs() + 7200,
        onward: Vec::new(),
        hold_fee: Amount::ZERO,
    };
    let offer = pair.router.offer_lock(ask).await.unwrap();
    let (payment, second) = (offer.payment, Some(key(3).id()));
    let lock = LockFor {
        exit,
        exit_price: price,
        serve_until,
        second,
    };
    routes.made_lock(payment, lock).await;
    assert_eq!(routes.locks_for(exit, price).len(), 1);

    let made = LockMade {
        payment,
        units: 100,
        said: 0,
        unit_price: price,
        serve_until,
        hold_fee: Amount::ZERO,
    };
    let offer = Some(Box::new(offer));
    let way = way_by(pair.channel, price);
    let news = News::Locked(Box::new(Ok((way, Locked { offer, made }))));
    let over = SessionId::from_bytes([9; 16]);
    bench.shell.leaving_news(over, news);
    let forgotten = async {
        while !routes.locks_for(exit, price).is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, forgotten)
        .await
        .expect("it is never forgotten");
}

fn way_by(channel: ChannelId, unit_price: Amount) -> Way {
    let hint = router(4);
    Way {
        channel,
        router: hint.node,
        hint,
        second: None,
        unit_price,
    }
}
