//! Rates are kept, turns are equal, order stays, and nothing grows without bound.

use proptest::prelude::*;

use super::*;

const PACKET: usize = 1400;

fn rate(bytes: u64) -> Option<NonZeroU64> {
    NonZeroU64::new(bytes)
}

fn each(bytes: u64) -> Shape {
    Shape {
        guest: rate(bytes),
        line: None,
    }
}

/// A direction whose thread wakes when it is told to, and up to `late` later.
struct World {
    shaper: Shaper,
    start: Instant,
    now: Instant,
    late: Duration,
    /// Guest, bytes, and when it was given.
    given: Vec<(u64, usize, Duration)>,
}

impl World {
    fn new(shape: Shape, late: Duration) -> Self {
        let (mut shaper, start) = (Shaper::new(), Instant::now());
        shaper.set_shape(shape, start);
        Self {
            shaper,
            start,
            now: start,
            late,
            given: Vec::new(),
        }
    }

    fn offer(&mut self, guest: u64, len: usize) -> Offered {
        let offered = self.shaper.offer(GuestId(guest), &vec![0; len], self.now);
        if offered == Offered::Pass {
            self.given.push((guest, len, self.now - self.start));
        }
        offered
    }

    /// Lets the time pass until `then`; `refill` is called whenever the thread is awake.
    fn run_until(&mut self, then: Duration, mut refill: impl FnMut(&mut Self)) {
        while self.now - self.start < then {
            let (now, start) = (self.now, self.start);
            let given = &mut self.given;
            self.shaper.give(now, |guest, packet| {
                given.push((guest.0, packet.len(), now - start));
                Given::Carried
            });
            refill(self);
            let next = self.shaper.next(self.now).unwrap_or(self.now);
            // Who does not sleep does not wake late.
            let late = if next > self.now {
                self.late
            } else {
                Duration::ZERO
            };
            self.now = next.max(self.now + Duration::from_micros(50)) + late;
        }
    }

    fn bytes_of(&self, guest: u64) -> usize {
        let mine = self.given.iter().filter(|it| it.0 == guest);
        mine.map(|it| it.1).sum()
    }
}

/// A sender that always has more.
fn greedy(guests: &[u64]) -> impl FnMut(&mut World) + use<'_> {
    move |world| {
        for guest in guests {
            while world.offer(*guest, PACKET) != Offered::Full {}
        }
    }
}

#[test]
fn a_rate_is_kept_within_two_in_a_hundred_however_late_the_thread_wakes() {
    for kbit in [64, 1000, 10_000, 100_000, 1_000_000] {
        for late in [0, 1, 5, 15] {
            let bytes = kbit * 125;
            if bytes * late > 1_000_000_000 {
                continue; // More than a whole queue.
            }
            let mut world = World::new(each(bytes), Duration::from_millis(late));
            // Long enough that one packet is no more than a hundredth.
            let time = Duration::from_secs(if kbit < 1000 { 30 } else { 3 });
            world.run_until(time, greedy(&[1]));
            let wanted = bytes as f64 * time.as_secs_f64();
            let off = world.bytes_of(1) as f64 / wanted - 1.0;
            assert!(
                off.abs() < 0.02,
                "{kbit} kbit/s, {late} ms late: {off:+.4} off"
            );
        }
    }
}

#[test]
fn no_second_carries_more_than_the_rate_and_a_burst() {
    let mut world = World::new(each(125_000), Duration::from_millis(1));
    world.now += Duration::from_secs(60); // Silence saves nothing up but one burst.
    world.start = world.now;
    world.run_until(Duration::from_secs(3), greedy(&[1]));
    let second = |from: u64| {
        let within = from * 1000..(from + 1) * 1000;
        let mine = world.given.iter();
        let mine = mine.filter(|it| within.contains(&u64::try_from(it.2.as_millis()).unwrap()));
        mine.map(|it| it.1).sum::<usize>()
    };
    for from in 0..3 {
        let most = 125_000 + 2500 + 2 * PACKET;
        assert!(second(from) <= most, "{} in second {from}", second(from));
    }
}

#[test]
fn a_guest_below_its_rate_never_waits() {
    let mut world = World::new(each(1_000_000), Duration::ZERO);
    for _ in 0..1000 {
        assert_eq!(world.offer(1, 900), Offered::Pass);
        world.now += Duration::from_millis(1);
    }
    assert_eq!(world.shaper.counts(), (0, 0));
}

#[test]
fn guests_that_wait_for_the_line_get_equal_shares_whatever_they_send() {
    let shape = Shape {
        guest: None,
        line: rate(2_000_000),
    };
    let mut world = World::new(shape, Duration::from_millis(1));
    world.run_until(Duration::from_secs(4), |world| {
        for (guest, len) in [(1, 1400), (2, 100), (3, 9000)] {
            while world.offer(guest, len) != Offered::Full {}
        }
    });
    let shares = [1, 2, 3].map(|guest| world.bytes_of(guest) as f64);
    let sum: f64 = shares.iter().sum();
    assert!((sum / 8_000_000.0 - 1.0).abs() < 0.02, "{sum}");
    for share in shares {
        assert!((share / sum * 3.0 - 1.0).abs() < 0.02, "{shares:?}");
    }
}

/// The line is full all the time; whoever sends little waits for one packet of each of the others.
#[test]
fn a_light_guest_waits_for_one_turn_of_the_heavy_ones_and_not_for_their_queues() {
    let bytes = 1_250_000; // 10 Mbit/s: a full packet takes 1.12 ms.
    let shape = Shape {
        guest: None,
        line: rate(bytes),
    };
    let mut world = World::new(shape, Duration::ZERO);
    let (mut asked, mut waits) = (Duration::ZERO, Vec::new());
    let heavy = [1, 2];
    world.run_until(Duration::from_secs(5), |world| {
        greedy(&heavy)(world);
        let now = world.now - world.start;
        let answered = world.given.iter().rfind(|it| it.0 == 9);
        if let Some((_, _, at)) = answered.filter(|it| it.2 >= asked) {
            waits.push(*at - asked);
            asked = now + Duration::from_millis(37);
        }
        if now >= asked
            && world
                .shaper
                .lanes
                .get(&GuestId(9))
                .is_none_or(|it| it.queue.is_empty())
        {
            asked = now;
            world.offer(9, 84);
        }
    });
    assert!(waits.len() > 50, "{}", waits.len());
    // Two turns of up to three packets each, and one packet is under way: seven of 1.12 ms. The
    // queues of the heavy ones are 52 ms each.
    let worst = waits.iter().max().unwrap();
    assert!(*worst < Duration::from_millis(8), "{worst:?}");
    assert!(
        world.shaper.counts().1 > 0,
        "the heavy ones' queues are full"
    );
}

#[test]
fn what_waits_is_bounded_for_each_and_for_all() {
    let mut world = World::new(each(1000), Duration::ZERO);
    let mut held = 0;
    for guest in 0..3000 {
        loop {
            match world.offer(guest, PACKET) {
                Offered::Pass => {}
                Offered::Held => held += PACKET,
                Offered::Full => break,
            }
        }
        assert!(world.shaper.lanes[&GuestId(guest)].queue.bytes() <= 64 << 10);
    }
    assert_eq!(held, world.shaper.held);
    assert!(held <= MOST_HELD && held > MOST_HELD - PACKET, "{held}");
    assert_eq!(world.shaper.counts().1, 3000);
}

#[test]
fn what_waits_for_a_guest_that_is_gone_is_forgotten() {
    let mut world = World::new(each(1000), Duration::ZERO);
    for guest in [1, 2] {
        while world.offer(guest, PACKET) != Offered::Full {}
    }
    world.shaper.forget(GuestId(1));
    assert_eq!(
        world.shaper.held,
        world.shaper.lanes[&GuestId(2)].queue.bytes()
    );
    assert_eq!(world.shaper.ring, [GuestId(2)]);
    world.shaper.forget(GuestId(2));
    assert_eq!((world.shaper.held, world.shaper.next(world.now)), (0, None));
}

#[test]
fn a_rate_that_is_lifted_lets_pass_what_waited() {
    let mut world = World::new(each(1000), Duration::ZERO);
    while world.offer(1, PACKET) != Offered::Full {}
    world.shaper.set_shape(Shape::default(), world.now);
    assert!(!world.shaper.is_idle());
    assert!(world.shaper.next(world.now).is_some());
    let mut came = 0;
    world.shaper.give(world.now, |_, _| {
        came += 1;
        Given::Carried
    });
    assert_eq!(came, (64 << 10) / PACKET);
    assert!(world.shaper.is_idle());
    assert_eq!(world.offer(1, PACKET), Offered::Pass);
}

#[test]
fn guests_that_came_and_went_leave_nothing_behind() {
    let mut world = World::new(each(1_000_000), Duration::ZERO);
    for guest in 0..100_000 {
        world.offer(guest, 100);
        world.now += Duration::from_millis(1);
    }
    assert!(world.shaper.lanes.len() <= MOST_LANES);
}

proptest! {
    /// Whatever is offered, whenever the thread wakes and however little room it has: every packet
    /// passes, waits or is dropped, once; and each guest's packets keep their order.
    #[test]
    fn nothing_is_lost_doubled_or_overtaken(
        guest_rate in 0_u64..20_000, line_rate in 0_u64..40_000,
        steps in proptest::collection::vec((0_u64..4, 1_usize..4000, 0_u64..200, 0_usize..6), 1..300),
    ) {
        let shape = Shape { guest: rate(guest_rate), line: rate(line_rate) };
        let (mut shaper, mut now) = (Shaper::new(), Instant::now());
        shaper.set_shape(shape, now);
        let (mut came, mut dropped): ([Vec<u32>; 4], usize) = (Default::default(), 0);
        let (mut sent, mut count) = ([0_u32; 4], 0);
        for (guest, len, millis, room) in steps {
            let at = usize::try_from(guest).unwrap();
            let mut packet = vec![0; len.max(4)];
            packet[..4].copy_from_slice(&sent[at].to_le_bytes());
            sent[at] += 1;
            count += 1;
            match shaper.offer(GuestId(guest), &packet, now) {
                Offered::Pass => came[at].push(sent[at] - 1),
                Offered::Held => {}
                Offered::Full => dropped += 1,
            }
            now += Duration::from_millis(millis);
            let mut room = room;
            shaper.give(now, |guest, packet| {
                if room == 0 { return Given::NoRoom; }
                room -= 1;
                let number = u32::from_le_bytes(packet[..4].try_into().unwrap());
                came[usize::try_from(guest.0).unwrap()].push(number);
                Given::Carried
            });
            let waiting: usize = shaper.lanes.values().map(|it| it.queue.bytes()).sum();
            prop_assert_eq!(waiting, shaper.held);
        }
        for _ in 0..100_000 {
            let Some(next) = shaper.next(now) else { break };
            now = now.max(next);
            shaper.give(now, |guest, packet| {
                let number = u32::from_le_bytes(packet[..4].try_into().unwrap());
                came[usize::try_from(guest.0).unwrap()].push(number);
                Given::Carried
            });
        }
        prop_assert!(shaper.ring.is_empty());
        prop_assert_eq!(came.iter().map(Vec::len).sum::<usize>() + dropped, count);
        prop_assert!(came.iter().all(|it| it.is_sorted()));
    }
}

#[test]
fn what_is_dropped_when_its_turn_comes_costs_nobody_any_of_the_line() {
    let (mut shaper, start) = (Shaper::new(), Instant::now());
    let line = NonZeroU64::new(1000);
    shaper.set_shape(Shape { guest: None, line }, start);
    assert_eq!(shaper.offer(GuestId(1), &[1; 1000], start), Offered::Pass);
    for (guest, len) in [(1, 1000), (1, 1000), (2, 900)] {
        let offered = shaper.offer(GuestId(guest), &vec![0; len], start);
        assert_eq!(offered, Offered::Held);
    }
    let (now, mut came) = (start + Duration::from_secs(1), Vec::new());
    shaper.give(now, |guest, packet| {
        came.push((guest.0, packet.len()));
        if guest == GuestId(1) {
            Given::Dropped
        } else {
            Given::Carried
        }
    });
    assert_eq!(came, [(1, 1000), (1, 1000), (2, 900)]);
    assert!(shaper.next(now).is_none() && shaper.held == 0);
}
