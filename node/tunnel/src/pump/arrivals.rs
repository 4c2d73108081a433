//! What came from the line and is not opened yet.
//!
//! As long as several guests speak, what there is is fetched at once and kept here, for they take turns: else the
//! socket, which is one queue for all, would drop whoever comes when it is full. What one alone sends is opened where it
//! was fetched, and so is what nobody in particular sent: a handshake waits for no guest's turn, nor does noise.

use std::time::Instant;

use super::turns::{MOST_LOST, Speakers, Turns};
use crate::engine::{Origin, Received};
use crate::meter::{DropReason, Drops};
use crate::socket::Receiver;

// Our choice.
/// Bytes handed out before the socket is looked at again.
const OPEN_BYTES: usize = 240_000;

/// What is known of bytes that wait: who sent them, and how long each datagram is.
#[derive(Debug, Clone, Copy)]
struct Arrived {
    origin: Origin,
    segment: usize,
}

/// Who spoke, and what waits.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    speakers: Speakers,
    turns: Turns<Arrived>,
    /// Who sent each of what was fetched last.
    batch: Vec<Option<u32>>,
    /// What the receiver holds came then, and need not wait.
    direct: Option<Instant>,
}

impl Arrivals {
    /// Whether there is nothing to hand out.
    pub(super) fn is_empty(&self) -> bool {
        self.direct.is_none() && self.turns.is_empty()
    }

    /// Fetches what one speaker sent, or all there is of several; `whose` tells them apart by a datagram, and what is
    /// nobody's is opened at once.
    pub(super) fn fetch(
        &mut self,
        receiver: &mut Receiver<'_>,
        drops: &Drops,
        whose: impl Fn(&[u8]) -> Option<u32>,
        mut open: impl FnMut(Received<'_>),
    ) {
        // Of what does not wait there is a bound for each round, or those that do would wait for ever.
        let mut passed = 0;
        while passed < MOST_LOST && receiver.fetch(drops) {
            let now = Instant::now();
            self.batch.clear();
            for received in receiver.batch(now) {
                let whose = whose(received.bytes);
                self.batch.push(whose);
                if let Some(whose) = whose {
                    self.speakers.hear(whose, now);
                }
            }
            if self.turns.is_empty() && !self.speakers.are_several(now) {
                self.direct = Some(now);
                return;
            }
            for (whose, received) in self.batch.iter().zip(receiver.batch(now)) {
                let Some(whose) = *whose else {
                    open(received);
                    passed += 1;
                    continue;
                };
                let arrived = Arrived {
                    origin: received.origin,
                    segment: received.segment,
                };
                if !self.turns.keep(whose, received.bytes, arrived) {
                    drops.add(DropReason::Overflow, received.datagrams().count() as u64);
                    passed += 1;
                }
            }
            if !receiver.is_full() {
                return;
            }
        }
    }

    /// Hands out what came, or the next turns of it.
    pub(super) fn hand_out(&mut self, receiver: &Receiver<'_>, mut open: impl FnMut(Received<'_>)) {
        if let Some(at) = self.direct.take() {
            return receiver.batch(at).for_each(open);
        }
        let mut opened = 0;
        while opened < OPEN_BYTES && !self.turns.is_empty() {
            opened += self.turns.turn(|arrived, bytes| {
                open(Received {
                    origin: arrived.origin,
                    bytes,
                    segment: arrived.segment,
                });
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;
    use crate::socket::TunnelSocket;
    use crate::spec::{ReceiveRung, SendRung};

    /// Whose datagrams are nobody's.
    const STRANGER: u8 = 9;

    /// The exit's socket, and one that sends to it; a datagram's first byte says whose it is.
    fn ends() -> (TunnelSocket, UdpSocket) {
        let rungs = (SendRung::Segments, ReceiveRung::Merged);
        let localhost = (Ipv4Addr::LOCALHOST, 0);
        let exit = TunnelSocket::open(localhost.into(), None, rungs, &mut Vec::new()).unwrap();
        let guest = UdpSocket::bind(localhost).unwrap();
        guest.connect(exit.local().unwrap()).unwrap();
        (exit, guest)
    }

    fn whose(datagram: &[u8]) -> Option<u32> {
        let whose = datagram[0];
        (whose != STRANGER).then_some(whose.into())
    }

    fn send(guest: &UdpSocket, whose: u8, count: usize) {
        for _ in 0..count {
            guest.send(&[whose; 1400]).unwrap();
        }
    }

    /// Who is opened until nothing waits.
    fn handed_out(exit: &TunnelSocket, arrivals: &mut Arrivals, most: usize) -> Vec<u8> {
        let (mut receiver, drops) = (Receiver::new(exit), Drops::default());
        let mut order = Vec::new();
        let mut open = |received: Received<'_>| {
            assert!(received.bytes.iter().all(|it| *it == received.bytes[0]));
            order.extend(received.datagrams().map(|it| it[0]));
        };
        for _ in 0..most {
            arrivals.fetch(&mut receiver, &drops, whose, &mut open);
            arrivals.hand_out(&receiver, &mut open);
        }
        assert!(arrivals.is_empty());
        assert_eq!(drops.counts().total(), 0);
        order
    }

    #[test]
    fn who_comes_last_to_the_socket_waits_for_one_turn_of_the_other() {
        let ((exit, guest), mut arrivals) = (ends(), Arrivals::default());
        send(&guest, 1, 1);
        send(&guest, 2, 1);
        assert_eq!(handed_out(&exit, &mut arrivals, 2), [1, 2]);
        send(&guest, 1, 100);
        send(&guest, 2, 1);
        let order = handed_out(&exit, &mut arrivals, 3);
        assert_eq!(order.len(), 101);
        let second = order.iter().position(|it| *it == 2).unwrap();
        assert!((1..50).contains(&second), "after {second}");
    }

    #[test]
    fn a_strangers_handshake_waits_for_no_guests_turn_and_its_noise_does_not_end() {
        let ((exit, guest), mut arrivals) = (ends(), Arrivals::default());
        send(&guest, 1, 1);
        send(&guest, 2, 1);
        handed_out(&exit, &mut arrivals, 2);
        send(&guest, 1, 60);
        send(&guest, 2, 60);
        send(&guest, STRANGER, 2 * MOST_LOST);
        let (mut receiver, drops) = (Receiver::new(&exit), Drops::default());
        let mut strangers = 0;
        let before = |received: Received<'_>| strangers += received.datagrams().count();
        arrivals.fetch(&mut receiver, &drops, whose, before);
        assert!(
            (MOST_LOST..2 * MOST_LOST).contains(&strangers),
            "{strangers}"
        );
        let order = handed_out(&exit, &mut arrivals, 3);
        assert_eq!(order.len() + strangers, 120 + 2 * MOST_LOST);
    }

    #[test]
    fn what_one_alone_sends_is_opened_where_it_was_fetched() {
        let ((exit, guest), mut arrivals) = (ends(), Arrivals::default());
        send(&guest, 1, 5);
        let (mut receiver, drops) = (Receiver::new(&exit), Drops::default());
        let early = |_: Received<'_>| {
            panic!("it waits for nobody, and is not opened before it is asked for")
        };
        arrivals.fetch(&mut receiver, &drops, whose, early);
        assert!(arrivals.turns.is_empty());
        let mut opened = 0;
        arrivals.hand_out(&receiver, |received| opened += received.datagrams().count());
        assert_eq!(opened, 5);
    }
}
