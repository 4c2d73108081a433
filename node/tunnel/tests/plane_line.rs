//! What a line may do to the datagrams of a tunnel, and who listens to it: nothing is carried twice or changed,
//! nobody roams who proves nothing, and no key seals more than it may.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

#[path = "plane_engine/pair.rs"]
mod pair;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use pair::{GUEST_V4, Pair, away, datagrams, home, outbox, packet, to_guest, to_server};
use proptest::prelude::*;
use warren_tunnel::{DEFAULT_HANDSHAKE_LIMIT, DropReason, Gate, KeyLimits};

/// Who listens on the line: sees every datagram, knows no key.
#[derive(Debug, Default)]
struct Eavesdropper {
    seen: BTreeSet<(u32, u64)>,
    keys: BTreeSet<u32>,
}

impl Eavesdropper {
    /// Every data message has a number of its own under its key, below the limit.
    fn look(&mut self, datagram: &[u8], limits: KeyLimits) {
        if datagram[0] != 4 {
            return;
        }
        let key = u32::from_le_bytes(datagram[4..8].try_into().unwrap());
        let counter = u64::from_le_bytes(datagram[8..16].try_into().unwrap());
        assert!(counter < limits.reject_after, "{counter} under key {key:x}");
        assert!(self.seen.insert((key, counter)), "a number was used twice");
        self.keys.insert(key);
    }
}

/// A line that takes `steps` to carry a datagram each way.
struct Line {
    pair: Pair,
    limits: KeyLimits,
    steps: usize,
    there: VecDeque<(usize, Vec<u8>)>,
    back: VecDeque<(usize, Vec<u8>)>,
    now: usize,
    eavesdropper: Eavesdropper,
    came: [usize; 2],
}

impl Line {
    fn new(limits: KeyLimits, steps: usize) -> Self {
        let pair = Pair::with_keys(GUEST_V4, DEFAULT_HANDSHAKE_LIMIT, limits);
        pair.shake_hands();
        pair.exit.set_gate(pair.guest, Gate::Open).unwrap();
        Self {
            pair,
            limits,
            steps,
            there: VecDeque::new(),
            back: VecDeque::new(),
            now: 0,
            eavesdropper: Eavesdropper::default(),
            came: [0; 2],
        }
    }

    fn put(&mut self, sealed: Vec<Vec<u8>>, up: bool) {
        for datagram in sealed {
            self.eavesdropper.look(&datagram, self.limits);
            let line = if up { &mut self.there } else { &mut self.back };
            line.push_back((self.now + self.steps, datagram));
        }
    }

    /// One step: a packet each way, unless `quiet`, and whatever has arrived.
    fn step(&mut self, quiet: bool) {
        self.now += 1;
        if self.now.is_multiple_of(50) {
            // Else its clock stands still, and of two keys the newer is not known.
            let mut out = outbox();
            self.pair.consumer.tick_now(&mut out);
            self.put(datagrams(&out), true);
            let mut out = outbox();
            self.pair.exit.tick_at(Instant::now(), &mut out);
            self.put(datagrams(&out), false);
        }
        if !quiet {
            let sealed = self.pair.up(&to_server(50));
            self.put(sealed, true);
            let sealed = self.pair.down(&to_guest(50));
            self.put(sealed, false);
        }
        let arrived = |line: &mut VecDeque<(usize, Vec<u8>)>, now: usize| {
            let due = line.front().is_some_and(|it| it.0 <= now);
            due.then(|| line.pop_front().unwrap().1)
        };
        while let Some(datagram) = arrived(&mut self.there, self.now) {
            let (inner, answers) = self.pair.to_exit(&datagram);
            self.came[0] += inner.len();
            self.put(answers, false);
        }
        while let Some(datagram) = arrived(&mut self.back, self.now) {
            let (inner, answers) = self.pair.to_consumer(&datagram);
            self.came[1] += inner.len();
            self.put(answers, true);
        }
    }
}

#[test]
fn new_keys_are_made_under_load_without_losing_a_packet() {
    // As far as the line is long, old keys must serve on while new ones are on their way.
    for steps in [0, 1, 20, 90] {
        let limits = KeyLimits {
            rekey_after: 250,
            reject_after: 500,
        };
        let mut line = Line::new(limits, steps);
        // No more new keys than a consumer takes in one second.
        (0..800).for_each(|_| line.step(false));
        (0..4 * steps + 4).for_each(|_| line.step(true));
        let drops = (
            line.pair.exit.drop_counts(),
            line.pair.consumer.drop_counts(),
        );
        assert_eq!(line.came, [800, 800], "{steps} steps: {drops:?}");
        assert_eq!(
            (drops.0.total(), drops.1.total()),
            (0, 0),
            "{steps}: {drops:?}"
        );
        // Two directions have two keys each time.
        let renewed = line.eavesdropper.keys.len();
        assert!((6..=16).contains(&renewed), "{renewed} keys, {steps} steps");
        let (consumer, exit) = (
            line.pair.consumer.usage(),
            line.pair.exit.usage(line.pair.guest),
        );
        assert_eq!(consumer, exit.unwrap());
    }
}

#[test]
fn a_key_that_is_spent_seals_nothing_more_until_there_is_another() {
    let limits = KeyLimits {
        rekey_after: 5,
        reject_after: 10,
    };
    let mut line = Line::new(limits, 0);
    let mut handshakes = Vec::new();
    for _ in 0..100 {
        for datagram in line.pair.up(&to_server(10)) {
            line.eavesdropper.look(&datagram, limits);
            if datagram[0] == 1 {
                handshakes.push(datagram); // Lost on the line, as far as it knows.
            }
        }
    }
    assert_eq!(line.eavesdropper.keys.len(), 1);
    assert!(line.eavesdropper.seen.len() < 10);
    assert_eq!(handshakes.len(), 1, "asked for once; repeated by the clock");
    let refused = line
        .pair
        .consumer
        .drop_counts()
        .of(DropReason::NotConnected);
    assert!(refused >= 90, "{refused}");

    let answer = line.pair.to_exit(&handshakes[0]).1;
    line.pair.to_consumer(&answer[0]);
    let sealed = line.pair.up(&to_server(10));
    assert_eq!(line.pair.to_exit(&sealed[0]).0, [to_server(10)]);
}

#[test]
fn a_message_above_the_limit_is_not_taken_whoever_sealed_it() {
    // The consumer knows no limit, so it goes on; its exit does not.
    let limits = KeyLimits {
        rekey_after: 1 << 40,
        reject_after: 20,
    };
    let careless = Pair::careless(limits);
    careless.shake_hands();
    careless.exit.set_gate(careless.guest, Gate::Open).unwrap();
    let came: usize = (0..50)
        .map(|_| careless.to_exit(&careless.up(&to_server(1))[0]).0.len())
        .sum();
    assert_eq!(came, 19, "number 0 was the handshake's keepalive");
    assert_eq!(careless.exit.drop_counts().of(DropReason::Forged), 31);
}

#[test]
fn a_thousand_datagrams_may_overtake_one_and_older_ones_are_refused() {
    let pair = Pair::connected();
    let sealed: Vec<_> = (0..1200)
        .map(|at| pair.up(&to_server(at % 90)).remove(0))
        .collect();
    for datagram in &sealed[1..1001] {
        assert_eq!(pair.to_exit(datagram).0.len(), 1);
    }
    assert_eq!(pair.to_exit(&sealed[0]).0.len(), 1, "late");
    for datagram in &sealed[1002..] {
        assert_eq!(pair.to_exit(datagram).0.len(), 1);
    }
    assert_eq!(pair.to_exit(&sealed[1001]).0.len(), 1, "not yet too late");
    for datagram in &sealed {
        assert!(pair.to_exit(datagram).0.is_empty(), "a second time");
    }
    assert_eq!(pair.exit.drop_counts().of(DropReason::Replayed), 1200);
    assert_eq!(pair.consumer.usage(), pair.exit.usage(pair.guest).unwrap());

    let late = pair.up(&to_server(1)).remove(0);
    for _ in 0..1100 {
        pair.to_exit(&pair.up(&to_server(1))[0]);
    }
    assert!(
        pair.to_exit(&late).0.is_empty(),
        "too late to tell whether it is new"
    );
}

#[test]
fn a_datagram_cut_short_or_with_one_bit_changed_is_carried_by_neither_end() {
    let mut pair = Pair::connected();
    for to_exit in [true, false] {
        let sealed = if to_exit {
            pair.up(&to_server(60)).remove(0)
        } else {
            pair.down(&to_guest(60)).remove(0)
        };
        pair.from = away();
        let take = |datagram: &[u8]| {
            if to_exit {
                pair.to_exit(datagram)
            } else {
                pair.to_consumer(datagram)
            }
        };
        for len in 0..sealed.len() {
            let (inner, answers) = take(&sealed[..len]);
            assert!(inner.is_empty() && answers.is_empty(), "{len} bytes");
        }
        for bit in 0..sealed.len() * 8 {
            let mut harmed = sealed.clone();
            harmed[bit / 8] ^= 1 << (bit % 8);
            let (inner, answers) = take(&harmed);
            assert!(inner.is_empty() && answers.is_empty(), "bit {bit}");
        }
        assert!(
            !to_exit || pair.endpoint() == Some(home()),
            "nobody roams by it"
        );
        assert_eq!(take(&sealed).0.len(), 1, "and the right one still counts");
        pair.from = home();
    }
    assert_eq!(pair.consumer.usage(), pair.exit.usage(pair.guest).unwrap());
}

/// Both ends move again and again while packets are under way both ways.
#[test]
fn either_end_may_move_under_load() {
    let mut pair = Pair::connected();
    let place = |at: u16| SocketAddr::from(([192, 0, 2, 1 + at.to_le_bytes()[0] % 250], 1000 + at));
    for at in 0..500 {
        let sealed: Vec<_> = (0..4).map(|_| pair.up(&to_server(100)).remove(0)).collect();
        pair.from = place(at);
        // Out of order, too: the last to arrive says where the consumer is.
        for datagram in sealed.iter().rev() {
            assert_eq!(pair.to_exit(datagram).0.len(), 1);
        }
        assert_eq!(pair.endpoint(), Some(place(at)));
        let mut out = outbox();
        pair.exit.seal_packet(&to_guest(100), &mut out);
        assert_eq!(out.items()[0].to.remote, place(at));
        pair.exit.sent_all(&out);
        let exit = SocketAddr::from(([198, 51, 100, 9], 2000 + at));
        assert_eq!(pair.to_consumer_from(exit, &datagrams(&out)[0]).0.len(), 1);
        let mut out = outbox();
        pair.consumer.seal_packet(&to_server(1), &mut out);
        assert_eq!(out.items()[0].to.remote, exit, "the consumer follows");
        pair.consumer.sent_all(&out);
        pair.to_exit(&datagrams(&out)[0]);
    }
    assert_eq!(pair.consumer.usage(), pair.exit.usage(pair.guest).unwrap());
    assert_eq!(
        pair.exit.drop_counts().total() + pair.consumer.drop_counts().total(),
        0
    );
}

/// While an exit answers a handshake it may not send; what comes for the guest then waits.
#[test]
fn packets_for_a_guest_wait_for_its_first_word() {
    let pair = Pair::strangers(GUEST_V4, DEFAULT_HANDSHAKE_LIMIT);
    pair.exit.set_gate(pair.guest, Gate::Open).unwrap();
    let mut out = outbox();
    pair.consumer.connect(&mut out);
    let response = pair.to_exit(&datagrams(&out)[0]).1;
    let (mut sealed, mut asked) = (Vec::new(), 0);
    for at in 0..100 {
        for datagram in pair.down(&to_guest(at)) {
            // It asks for a session itself, since it has none.
            asked += usize::from(datagram[0] == 1);
        }
    }
    assert!(asked <= 1, "{asked} handshakes");
    let keepalive = pair.to_consumer(&response[0]).1;
    sealed.extend(pair.to_exit(&keepalive[0]).1);
    let came: Vec<_> = sealed
        .iter()
        .flat_map(|it| pair.to_consumer(it).0)
        .collect();
    let wanted: Vec<_> = (0..16).map(to_guest).collect();
    assert_eq!(came, wanted, "the first of them, in order");
    assert_eq!(pair.exit.drop_counts().of(DropReason::NotConnected), 84);
    assert_eq!(pair.consumer.usage(), pair.exit.usage(pair.guest).unwrap());
}

#[test]
fn a_packet_of_any_size_is_sealed_or_refused_and_never_a_panic() {
    let pair = Pair::connected();
    for size in (0..65_500).step_by(997).chain([8980, 8981, 65_515]) {
        let inner = packet(GUEST_V4.into(), pair::SERVER_V4.into(), size);
        for sealed in pair.up(&inner) {
            assert_eq!(pair.to_exit(&sealed).0, std::slice::from_ref(&inner));
        }
    }
}

/// What the line does with a datagram.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Arrives,
    Lost,
    Twice,
    /// After so many others.
    Late(usize),
    Harmed(usize),
    Cut(usize),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Arrives),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Twice),
        1 => (1_usize..40).prop_map(Fate::Late),
        1 => any::<usize>().prop_map(Fate::Harmed),
        1 => any::<usize>().prop_map(Fate::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the line does: every packet comes out unchanged, at most once, and if its datagram
    /// arrived, it came out; both meters say what was.
    #[test]
    fn what_comes_out_is_what_went_in_at_most_once(
        fates in proptest::collection::vec((fate(), 0_usize..1400), 1..200), up in any::<bool>(),
    ) {
        let pair = Pair::connected();
        let (mut line, mut wanted) = (Vec::new(), Vec::new());
        for (at, (fate, size)) in fates.into_iter().enumerate() {
            let mut inner = if up { to_server(size) } else { to_guest(size) };
            inner[4..6].copy_from_slice(&u16::try_from(at).unwrap().to_be_bytes());
            let sealed = if up { pair.up(&inner) } else { pair.down(&inner) }.remove(0);
            match fate {
                Fate::Arrives => line.push((at, sealed)),
                Fate::Lost => continue,
                Fate::Twice => line.extend([(at, sealed.clone()), (at + 3, sealed)]),
                Fate::Late(by) => line.push((at + by, sealed)),
                Fate::Harmed(bit) => {
                    let (mut harmed, bit) = (sealed.clone(), bit % (sealed.len() * 8));
                    harmed[bit / 8] ^= 1 << (bit % 8);
                    line.push((at, harmed));
                    continue;
                }
                Fate::Cut(len) => {
                    line.push((at, sealed[..len % sealed.len()].to_vec()));
                    continue;
                }
            }
            wanted.push(inner);
        }
        line.sort_by_key(|it| it.0);
        let mut came = Vec::new();
        for (_, datagram) in &line {
            let (inner, answers) = if up { pair.to_exit(datagram) } else { pair.to_consumer(datagram) };
            prop_assert!(answers.is_empty());
            came.extend(inner);
        }
        came.sort();
        wanted.sort();
        prop_assert_eq!(&came, &wanted);
        let bytes: usize = came.iter().map(Vec::len).sum();
        let (consumer, exit) = (pair.consumer.usage(), pair.exit.usage(pair.guest).unwrap());
        prop_assert_eq!(if up { exit.up } else { consumer.down }.bytes(), bytes as u64);
    }
}
