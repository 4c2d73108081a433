//! Sessions that a route pays for: both machines, with a router between them that is one flag.

use super::*;

mod again;
mod held;
mod receipts;

/// Words of each lock.
const LOCK_UNITS: u32 = 200;

/// Two machines, and a router that passes locks on or does not.
struct Route {
    now: UnixTime,
    consumer: ConsumerSession,
    provider: ProviderSession,
    to_provider: VecDeque<SessionFrame>,
    to_consumer: VecDeque<SessionFrame>,
    locks_made: u8,
    known: std::collections::BTreeMap<PaymentId, u32>,
    allowed: u64,
    passed: u64,
    router_lives: bool,
    /// Further routers that may be tried.
    others: u32,
    /// So many locks are rejected by one that is busy.
    busy: u32,
    /// The next words cannot be said; whether none of that lock ever can.
    unsaid: Option<bool>,
    hold_fee: Amount,
    serve_for: Duration,
    dropped: Vec<PaymentId>,
    folds: Vec<(PaymentId, bool)>,
    connected: bool,
    ended: (Option<ConsumerEnd>, Option<ProviderEnd>),
    closing: Closings,
}

fn payment(number: u8) -> PaymentId {
    PaymentId::from_bytes([number; 16])
}

/// Word `k` of a payment's lock; the anchor is word 0.
fn word(payment: PaymentId, k: u32) -> Preimage {
    let last = Preimage::from_bytes([payment.as_bytes()[0]; 32]);
    last.advance(LOCK_UNITS - k)
}

fn lock(payment: PaymentId, lane: u32) -> LockReady {
    LockReady {
        payment,
        anchor: HashLock::from_bytes(*word(payment, 0).expose()),
        channel: ChannelId::from_bytes([2; 32]),
        seq: 1,
        lane,
    }
}

impl Route {
    fn new(router_lives: bool) -> Self {
        Self::with(None, |it| it.router_lives = router_lives)
    }

    fn with(max_spend: Option<u64>, change: impl FnOnce(&mut Self)) -> Self {
        let (consumer, mut asked) =
            ConsumerSession::new(wish(max_spend), SessionLimits::default(), NOON);
        let Some(ConsumerEffect::Send(SessionFrame::Request(request))) = asked.pop() else {
            panic!("a request comes last")
        };
        let mut admission = admission();
        let terms = admission.decide(&request, consumer_key().id(), fresh(), NOON);
        let terms = terms.unwrap();
        let signature = terms.sign(&provider_key());
        let (limits, credit) = (SessionLimits::default(), admission.credit(&terms));
        let (provider, effects) = ProviderSession::new(terms, signature, credit, limits, NOON);
        let mut route = Self {
            now: NOON,
            consumer,
            provider,
            to_provider: VecDeque::new(),
            to_consumer: VecDeque::new(),
            locks_made: 0,
            known: Default::default(),
            allowed: 0,
            passed: 0,
            router_lives: true,
            others: 0,
            busy: 0,
            unsaid: None,
            hold_fee: Amount::ZERO,
            serve_for: Duration::from_secs(3600),
            dropped: Vec::new(),
            folds: Vec::new(),
            connected: false,
            ended: (None, None),
            closing: Closings::default(),
        };
        change(&mut route);
        route.provider_does(effects);
        route.settle();
        route
    }

    fn consumer_hears(&mut self, event: ConsumerEvent) {
        if self.ended.0.is_some() {
            return self.consumer_closing(event);
        }
        let effects = self.consumer.handle(event, self.now);
        for effect in effects {
            match effect {
                ConsumerEffect::Send(frame) => self.to_provider.push_back(frame),
                ConsumerEffect::Fund(_) => self.make_lock(),
                ConsumerEffect::Connect(_) => {
                    self.connected = true;
                    self.consumer_hears(ConsumerEvent::TunnelUp);
                }
                ConsumerEffect::Route(order) => self.order(order),
                ConsumerEffect::Ended(end) => self.ended.0 = Some(end),
                ConsumerEffect::Attest(counters) => self.consumer_attests(*counters),
                ConsumerEffect::Finish => panic!("no last voucher in a routed session"),
                ConsumerEffect::Release { .. }
                | ConsumerEffect::TopUp
                | ConsumerEffect::Resync
                | ConsumerEffect::Reconcile(_)
                | ConsumerEffect::Reopen
                | ConsumerEffect::Disconnect
                | ConsumerEffect::Report(_) => {}
            }
        }
    }

    fn make_lock(&mut self) {
        self.locks_made += 1;
        let payment = payment(self.locks_made);
        let terms = self.consumer.terms().unwrap();
        let start = Box::new(SessionStart {
            session: terms.session,
            signature: terms.sign(&consumer_key()),
            payment: None,
            routed: Some(payment),
        });
        let lock = LockMade {
            payment,
            units: LOCK_UNITS,
            said: 0,
            unit_price: Amount::from_wei_u64(UNIT + UNIT / 100),
            serve_until: self.now.plus(self.serve_for),
            hold_fee: self.hold_fee,
        };
        self.consumer_hears(ConsumerEvent::Route(RouteNews::Made { start, lock }));
    }

    fn order(&mut self, order: RouteOrder) {
        match order {
            RouteOrder::Next => self.make_lock(),
            RouteOrder::Offer(payment) if self.busy > 0 => {
                self.busy -= 1;
                let (payment, code) = (Some(payment), PayErrorCode::Busy);
                self.consumer_hears(ConsumerEvent::Route(RouteNews::Failed { payment, code }));
            }
            RouteOrder::Offer(payment) if self.router_lives => {
                let (lane, price) = self.provider.awaits_lock(&payment).expect("it was named");
                assert_eq!(price, Amount::from_wei_u64(UNIT));
                let ready = lock(payment, lane);
                let serve_until = self.now.plus(self.serve_for);
                self.provider_hears(ProviderEvent::Lock(LockNews::Held {
                    ready,
                    units: 0,
                    serve_until,
                }));
            }
            RouteOrder::Offer(_) | RouteOrder::Heard { .. } => {}
            RouteOrder::Confirm(ready) => {
                self.consumer_hears(ConsumerEvent::Route(RouteNews::Usable(ready)));
            }
            RouteOrder::Release { ready, units } => {
                assert!(units <= LOCK_UNITS, "a lock has no more words");
                if let Some(dead) = self.unsaid.take() {
                    let payment = ready.payment;
                    let unsaid = RouteNews::Unsaid { payment, dead };
                    return self.consumer_hears(ConsumerEvent::Route(unsaid));
                }
                let (lane, k, payment) = (ready.lane, units, ready.payment);
                let word = word(payment, k);
                let word = WordFrame { lane, k, word };
                self.to_provider.push_back(SessionFrame::Word(word.clone()));
                self.consumer_hears(ConsumerEvent::Route(RouteNews::Said { payment, word }));
            }
            RouteOrder::Drop(payment) => self.dropped.push(payment),
            RouteOrder::Late(payment) => {
                self.dropped.push(payment);
                let news = if self.others > 0 {
                    self.others -= 1;
                    RouteNews::Gone(payment)
                } else {
                    let (payment, code) = (Some(payment), PayErrorCode::NoRoute);
                    RouteNews::Failed { payment, code }
                };
                self.consumer_hears(ConsumerEvent::Route(news));
            }
        }
    }

    fn provider_hears(&mut self, event: ProviderEvent) {
        if self.ended.1.is_some() {
            return self.provider_closing(event);
        }
        let effects = self.provider.handle(event, self.now);
        self.provider_does(effects);
    }

    fn provider_does(&mut self, effects: Vec<ProviderEffect>) {
        for effect in effects {
            match effect {
                ProviderEffect::Send(frame) => self.to_consumer.push_back(frame),
                ProviderEffect::Lock(LockOrder::Find { .. }) => {} // Nothing was held before.
                ProviderEffect::Lock(LockOrder::TakeWord { ready, word }) => {
                    let payment = ready.payment;
                    assert!(ready.anchor.opens_with(&word.word, word.k));
                    let known = self.known.entry(payment).or_default();
                    *known = word.k.max(*known);
                    let units = *known;
                    self.provider_hears(ProviderEvent::Lock(LockNews::Paid {
                        payment,
                        units,
                        word,
                    }));
                }
                ProviderEffect::Lock(LockOrder::Fold { ready, last }) => {
                    self.folds.push((ready.payment, last));
                }
                ProviderEffect::Allow(bytes) => self.allowed = bytes.bytes(),
                ProviderEffect::Ended(end) => self.ended.1 = Some(end),
                ProviderEffect::Countersign { receipt, own } => self.countersign(*receipt, &own),
                ProviderEffect::AwaitReceipt(own) => {
                    self.closing.provider = Some(ProviderClosing::waiting(*own, self.now));
                }
                ProviderEffect::Attest(own) => self.provider_half(&own),
                ProviderEffect::TakePayment(_)
                | ProviderEffect::TakeVoucher(_)
                | ProviderEffect::TakeWord(_) => panic!("no channel of the consumer's own"),
                ProviderEffect::AddGuest(_) | ProviderEffect::RemoveGuest => {}
            }
        }
    }

    fn settle(&mut self) {
        loop {
            if let Some(frame) = self.to_provider.pop_front() {
                let frame = SessionFrame::decode(&frame.encode()).unwrap();
                self.provider_hears(ProviderEvent::Frame(frame));
            } else if let Some(frame) = self.to_consumer.pop_front() {
                self.consumer_hears(ConsumerEvent::Frame(frame));
            } else {
                return;
            }
        }
    }

    fn pass(&mut self, bytes: u64) {
        self.passed = (self.passed + bytes).min(self.allowed);
        let (up, down) = (ByteCount::default(), ByteCount::from_bytes(self.passed));
        self.provider_hears(ProviderEvent::Usage { up, down });
        self.consumer_hears(ConsumerEvent::Usage { up, down });
        self.settle();
    }

    fn wait(&mut self, span: Duration) {
        self.now = self.now.plus(span);
        self.provider_hears(ProviderEvent::Tick);
        self.consumer_hears(ConsumerEvent::Tick);
        self.settle();
    }

    fn words(&self) -> u64 {
        self.known.values().map(|it| u64::from(*it)).sum()
    }
}

#[test]
fn a_route_pays_from_the_first_word_to_the_last_fold() {
    let mut route = Route::new(true);
    assert_eq!(route.consumer.phase(), ConsumerPhase::Active);
    assert_eq!(route.words(), 1, "one word ahead");
    for _ in 0..100 {
        route.pass(ByteCount::MIB / 2);
    }
    assert_eq!(route.passed, 50 * ByteCount::MIB);
    assert_eq!(route.words(), 51);
    assert_eq!(route.provider.paid_units(), 51);
    route.consumer_hears(ConsumerEvent::Stop);
    route.settle();
    assert_eq!(route.ended.0, Some(ConsumerEnd::Asked));
    assert_eq!(route.folds, [(payment(1), true)]);
}

#[test]
fn words_go_on_from_one_lock_to_the_next_without_a_pause() {
    let mut route = Route::new(true);
    for _ in 0..u64::from(3 * LOCK_UNITS) {
        route.pass(ByteCount::MIB);
    }
    assert_eq!(route.passed, u64::from(3 * LOCK_UNITS) * ByteCount::MIB);
    assert_eq!(route.words(), u64::from(3 * LOCK_UNITS) + 1);
    assert_eq!(route.provider.paid_units(), route.words());
    assert!(route.locks_made >= 4);
}

#[test]
fn a_lock_near_its_end_is_left_for_the_next_one() {
    let mut route = Route::new(true);
    route.pass(ByteCount::MIB);
    // R5 is two minutes and a half away: no word of the old lock any more.
    for _ in 0..route.serve_for.as_secs() - 90 {
        route.wait(Duration::from_secs(1));
    }
    assert_eq!((route.locks_made, &route.ended), (2, &(None, None)));
    for _ in 0..4 {
        route.pass(ByteCount::MIB);
    }
    assert!(route.known[&payment(2)] > 0);
    assert!(route.known[&payment(1)] <= 3);
}

#[test]
fn a_router_that_dies_in_the_middle_is_missed_only_when_words_run_out() {
    let mut route = Route::new(true);
    route.pass(ByteCount::MIB);
    route.router_lives = false;
    let served = |route: &mut Route, secs: u32| {
        for _ in 0..secs {
            route.wait(Duration::from_secs(1));
            route.pass(ByteCount::MIB);
        }
    };
    served(&mut route, LOCK_UNITS - 10);
    assert_eq!(route.ended.0, None, "the lock that is held has words left");
    // Three tries, half a minute each, and then nothing is left.
    served(&mut route, 30);
    assert_eq!(
        route.ended.0,
        Some(ConsumerEnd::PaymentRefused(PayErrorCode::NoCapacity))
    );
    assert_eq!(
        route.words(),
        u64::from(LOCK_UNITS),
        "the lock was used up first"
    );
    let unpaid = route.passed.div_ceil(ByteCount::MIB) - route.words();
    assert!(
        unpaid <= u64::from(MAX_CREDIT) + route.words() / PAID_PER_LOST,
        "credit, and no more: {unpaid}"
    );
}

#[test]
fn a_lock_that_no_session_named_is_nobodys() {
    let route = Route::new(true);
    assert_eq!(route.provider.awaits_lock(&payment(9)), None);
    assert_eq!(
        route.provider.awaits_lock(&payment(1)),
        None,
        "held already"
    );
}

#[test]
fn a_session_paid_by_a_channel_is_not_made_a_routed_one() {
    let mut room = Room::new(None);
    let terms = room.consumer.terms().unwrap().clone();
    let start = SessionStart {
        session: terms.session,
        signature: terms.sign(&consumer_key()),
        payment: None,
        routed: Some(payment(1)),
    };
    room.deliver(SessionFrame::Start(Box::new(start)));
    assert_eq!(
        room.provider.as_ref().unwrap().awaits_lock(&payment(1)),
        None
    );
}
