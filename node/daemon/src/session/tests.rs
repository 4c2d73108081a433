//! Both machines in one room, with a purse between them instead of a chain.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use warren_proto::*;

use super::*;
use receipts::Closings;

mod cover;
mod credit;
mod deals;
mod receipts;
mod routed;
mod silence;
mod streams;

const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);
const UNIT: u64 = 1000;
/// What the credit of two units may grow to.
const MAX_CREDIT: u32 = 4;

fn consumer_key() -> NodeKey {
    NodeKey::from_seed(&[1; 32])
}

fn provider_key() -> NodeKey {
    NodeKey::from_seed(&[2; 32])
}

fn offer() -> SignedOffer {
    Offer {
        node: provider_key().id(),
        seq: 1,
        issued: NOON,
        valid_until: NOON.plus(Duration::from_secs(3600)),
        network: "warren/1".into(),
        region: Region {
            country: CountryCode::new("DE").unwrap(),
            city: String::new(),
        },
        addresses: vec![],
        price: Price {
            per_mib: Amount::from_wei_u64(UNIT),
            per_minute: Amount::ZERO,
        },
        chain: ChainRef {
            chain_id: 1,
            contract: PayoutAddress::ZERO,
            token: PayoutAddress::ZERO,
        },
        payee: PayoutAddress::from_bytes([5; 20]),
        unit_price: Amount::from_wei_u64(UNIT),
        prepay_units: 1,
        credit_units: 2,
        close_window_secs: 3600,
        policy: PolicyId {
            name: "web+dns".into(),
            hash: [0; 32],
        },
        capacity: Capacity {
            guests_max: 2,
            guests_free: 2,
        },
        ipv4: true,
        ipv6: true,
        rootless: false,
        version: "test".into(),
    }
    .sign(&provider_key())
    .unwrap()
}

fn admission() -> Admission {
    let exit = ExitTerms {
        max_credit_units: MAX_CREDIT,
        gateway_v4: Ipv4Addr::new(10, 77, 0, 1),
        gateway_v6: "fd77:7761::1".parse().unwrap(),
        dns: vec![],
        mtu: 1380,
        endpoints: vec![Candidate {
            kind: CandidateKind::Mapped,
            address: "192.0.2.1:41820".parse().unwrap(),
        }],
        min_deposit_units: 10,
    };
    let mut admission = Admission::new(provider_key().id(), exit, SessionLimits::default());
    admission.offered(offer());
    admission
}

fn fresh() -> Fresh {
    Fresh {
        provider_key: TunnelPublicKey::from_bytes([8; 32]),
        payee_nonce: [9; 32],
    }
}

fn wish(max_spend: Option<u64>) -> Wish {
    Wish {
        session: SessionId::from_bytes([3; 16]),
        consumer: consumer_key().id(),
        offer: offer(),
        tunnel_key: TunnelPublicKey::from_bytes([7; 32]),
        deposit: Amount::from_wei_u64(UNIT * 10),
        max_spend: max_spend.map(Amount::from_wei_u64),
    }
}

/// Two machines and the facts a tunnel and a channel would bring in.
struct Room {
    now: UnixTime,
    consumer: ConsumerSession,
    provider: Option<ProviderSession>,
    admission: Admission,
    to_provider: VecDeque<SessionFrame>,
    to_consumer: VecDeque<SessionFrame>,
    released: u64,
    allowed: u64,
    passed: u64,
    pays: bool,
    usable: bool,
    ended: (Option<ConsumerEnd>, Option<ProviderEnd>),
    closing: Closings,
}

impl Room {
    fn new(max_spend: Option<u64>) -> Self {
        let mut room = Self::asked(max_spend);
        room.settle();
        room
    }

    /// Request and Grant have passed; Start lies on the stream.
    fn new_until_start() -> Self {
        let mut room = Self::asked(None);
        let request = room.to_provider.pop_front().unwrap();
        room.deliver(request);
        let grant = room.to_consumer.pop_front().unwrap();
        room.hear_consumer(ConsumerEvent::Frame(grant));
        room
    }

    fn asked(max_spend: Option<u64>) -> Self {
        let (consumer, effects) =
            ConsumerSession::new(wish(max_spend), SessionLimits::default(), NOON);
        let mut room = Self {
            now: NOON,
            consumer,
            provider: None,
            admission: admission(),
            to_provider: VecDeque::new(),
            to_consumer: VecDeque::new(),
            released: 0,
            allowed: 0,
            passed: 0,
            pays: true,
            usable: true,
            ended: (None, None),
            closing: Closings::default(),
        };
        room.consumer_does(effects);
        room
    }

    fn hear_consumer(&mut self, event: ConsumerEvent) {
        if self.ended.0.is_some() {
            return self.consumer_closing(event);
        }
        let effects = self.consumer.handle(event, self.now);
        self.consumer_does(effects);
    }

    fn hear_provider(&mut self, event: ProviderEvent) {
        if self.ended.1.is_some() {
            return self.provider_closing(event);
        }
        let Some(mut provider) = self.provider.take() else {
            return;
        };
        let effects = provider.handle(event, self.now);
        self.provider = Some(provider);
        self.provider_does(effects);
    }

    fn consumer_does(&mut self, effects: Vec<ConsumerEffect>) {
        for effect in effects {
            match effect {
                ConsumerEffect::Send(frame) => self.to_provider.push_back(frame),
                ConsumerEffect::Fund(terms) => {
                    let start = Box::new(start(&terms));
                    self.hear_consumer(ConsumerEvent::Funded { start });
                }
                ConsumerEffect::Connect(_) => self.hear_consumer(ConsumerEvent::TunnelUp),
                ConsumerEffect::Release { units } if self.pays => {
                    self.released = units;
                    let value = Amount::from_wei_u64(units * UNIT);
                    self.hear_provider(ProviderEvent::Paid { value });
                }
                ConsumerEffect::Ended(end) => self.ended.0 = Some(end),
                ConsumerEffect::Attest(counters) => self.consumer_attests(&counters),
                ConsumerEffect::Release { .. }
                | ConsumerEffect::TopUp
                | ConsumerEffect::Resync
                | ConsumerEffect::Reconcile(_)
                | ConsumerEffect::Reopen
                | ConsumerEffect::Finish
                | ConsumerEffect::Route(_)
                | ConsumerEffect::Disconnect
                | ConsumerEffect::Report(_) => {}
            }
        }
    }

    fn provider_does(&mut self, effects: Vec<ProviderEffect>) {
        for effect in effects {
            match effect {
                ProviderEffect::Send(frame) => self.to_consumer.push_back(frame),
                ProviderEffect::TakePayment(_) => {
                    let usable = self.usable;
                    let value = Amount::ZERO;
                    self.hear_provider(ProviderEvent::PaymentTaken { value, usable });
                }
                ProviderEffect::Allow(bytes) => self.allowed = bytes.bytes(),
                ProviderEffect::Ended(end) => self.ended.1 = Some(end),
                ProviderEffect::Countersign { receipt, own } => self.countersign(*receipt, &own),
                ProviderEffect::AwaitReceipt(own) => {
                    self.closing.provider = Some(ProviderClosing::waiting(*own, self.now));
                }
                ProviderEffect::Attest(own) => self.provider_half(&own),
                ProviderEffect::TakeVoucher(_)
                | ProviderEffect::TakeWord(_)
                | ProviderEffect::Lock(_)
                | ProviderEffect::AddGuest(_)
                | ProviderEffect::RemoveGuest => {}
            }
        }
    }

    /// Delivers frames until nobody has anything to say.
    fn settle(&mut self) {
        loop {
            if let Some(frame) = self.to_provider.pop_front() {
                self.deliver(frame);
            } else if let Some(frame) = self.to_consumer.pop_front() {
                self.hear_consumer(ConsumerEvent::Frame(frame));
            } else {
                return;
            }
        }
    }

    fn deliver(&mut self, frame: SessionFrame) {
        let frame = SessionFrame::decode(&frame.encode()).unwrap();
        match (frame, &self.provider) {
            (SessionFrame::Request(request), None) => {
                let consumer = consumer_key().id();
                match self.admission.decide(&request, consumer, fresh(), self.now) {
                    Ok(terms) => {
                        let signature = terms.sign(&provider_key());
                        let limits = SessionLimits::default();
                        let credit = self.admission.credit(&terms);
                        let (it, effects) =
                            ProviderSession::new(terms, signature, credit, limits, self.now);
                        self.provider = Some(it);
                        self.provider_does(effects);
                    }
                    Err(refusal) => self.to_consumer.push_back(SessionFrame::Refusal(refusal)),
                }
            }
            (frame, _) => self.hear_provider(ProviderEvent::Frame(frame)),
        }
    }

    /// The user wants `bytes`; the gate lets through what is allowed.
    fn pass(&mut self, bytes: u64) {
        self.passed = (self.passed + bytes).min(self.allowed);
        let (up, down) = (ByteCount::default(), ByteCount::from_bytes(self.passed));
        self.hear_provider(ProviderEvent::Usage { up, down });
        self.hear_consumer(ConsumerEvent::Usage { up, down });
        self.settle();
    }

    fn wait(&mut self, span: Duration) {
        self.now = self.now.plus(span);
        self.hear_provider(ProviderEvent::Tick);
        self.hear_consumer(ConsumerEvent::Tick);
        self.settle();
    }
}

fn start(terms: &SessionTerms) -> SessionStart {
    let channel = ChannelParams {
        payer: PayoutAddress::from_bytes([4; 20]),
        payee: terms.payee,
        period_secs: terms.close_window_secs,
        salt: 1,
    };
    let voucher = Voucher {
        channel: channel.id(&terms.chain),
        seq: 1,
        base: Amount::ZERO,
        locks: vec![],
        signature: [0; 64],
    };
    SessionStart {
        session: terms.session,
        signature: terms.sign(&consumer_key()),
        payment: Some(StartPayment {
            channel,
            auth: [0; 64],
            voucher,
        }),
        routed: None,
    }
}

#[test]
fn a_session_runs_from_request_to_goodbye() {
    let mut room = Room::new(None);
    assert_eq!(room.consumer.phase(), ConsumerPhase::Active);
    assert_eq!(room.released, 1, "one word ahead");
    for _ in 0..640 {
        room.pass(ByteCount::MIB / 10);
    }
    assert_eq!(room.passed, 64 * (ByteCount::MIB / 10) * 10);
    assert_eq!(room.released, 65);
    room.hear_consumer(ConsumerEvent::Stop);
    room.settle();
    assert_eq!(room.ended.0, Some(ConsumerEnd::Asked));
    assert_eq!(
        room.ended.1,
        Some(ProviderEnd::Goodbye(GoodbyeReason::Asked))
    );
}

#[test]
fn a_consumer_that_stops_paying_gets_the_credit_and_no_more() {
    let mut room = Room::new(None);
    room.pays = false;
    room.pass(1000 * ByteCount::MIB);
    // One word was paid, two are credit.
    assert_eq!(room.passed, 3 * ByteCount::MIB);
    assert_eq!(
        room.provider.as_ref().unwrap().phase(),
        ProviderPhase::Paused
    );
    room.wait(Duration::from_secs(3));
    assert_eq!(room.passed, 3 * ByteCount::MIB);
    for _ in 0..8 {
        room.wait(Duration::from_secs(3));
    }
    assert_eq!(room.ended.1, Some(ProviderEnd::Unpaid));
}

#[test]
fn an_exit_that_stops_serving_is_paid_the_prepaid_word_and_no_more() {
    let mut room = Room::new(None);
    room.pass(5 * ByteCount::MIB);
    let paid = room.released;
    for _ in 0..100 {
        room.wait(Duration::from_millis(900));
    }
    assert_eq!(room.released, paid);
    assert!(paid <= room.passed / ByteCount::MIB + 1);
}

#[test]
fn a_silent_exit_is_stalled_and_then_given_up() {
    let mut room = Room::new(None);
    room.provider = None;
    room.wait(Duration::from_secs(5));
    assert_eq!(room.consumer.phase(), ConsumerPhase::Stalled);
    room.wait(Duration::from_secs(5));
    assert_eq!(room.ended.0, Some(ConsumerEnd::ExitLost));
    assert!(room.ended.0.as_ref().unwrap().try_next());
}

#[test]
fn nobody_comes_back_and_the_provider_forgets() {
    let mut room = Room::new(None);
    room.hear_provider(ProviderEvent::StreamLost);
    room.wait(Duration::from_secs(31));
    assert_eq!(room.ended.1, Some(ProviderEnd::Vanished));
}

#[test]
fn a_spending_cap_ends_the_session_before_it_is_passed() {
    let mut room = Room::new(Some(4 * UNIT));
    for _ in 0..100 {
        room.pass(ByteCount::MIB / 2);
    }
    assert_eq!(room.ended.0, Some(ConsumerEnd::CapReached));
    assert_eq!(room.released, 4);
}
