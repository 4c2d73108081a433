//! Datagrams between two real sockets, on every mix of rungs.

use super::sender::{Refusal, refusal};
use super::*;
use crate::engine::{Account, Outbox};

fn open(ceiling: (SendRung, ReceiveRung)) -> TunnelSocket {
    let listen = "[::1]:0".parse().unwrap();
    TunnelSocket::open(listen, None, ceiling, &mut Vec::new()).unwrap()
}

/// Sends datagrams of these sizes from one socket to another; the sizes that arrive.
fn pass(from: &TunnelSocket, to: &TunnelSocket, sizes: &[usize]) -> Vec<usize> {
    let (mut out, drops, mut metered) = (Outbox::new(1 << 20, 512), Drops::default(), 0);
    let there = to.local().unwrap();
    for size in sizes {
        let datagram = vec![4; *size];
        out.room(*size).unwrap()[..*size].copy_from_slice(&datagram);
        out.commit(*size, there.into(), Account::of_slot(0));
    }
    Sender::new(from).flush(&mut out, &drops, |_, inner| metered += inner);
    assert_eq!(
        metered,
        sizes.iter().map(|it| (it - 32) as u64).sum::<u64>()
    );
    assert!(out.items().is_empty() && drops.counts().total() == 0);
    let (mut receiver, mut came) = (Receiver::new(to), Vec::new());
    while came.len() < sizes.len() && receiver.fetch(&drops) {
        for received in receiver.batch(Instant::now()) {
            assert_eq!(Some(received.origin.from.remote), from.local());
            came.extend(received.datagrams().map(<[u8]>::len));
        }
    }
    came
}

#[test]
fn every_mix_of_rungs_passes_datagrams_of_all_sizes_in_order() {
    let mut sizes = vec![1452; 45];
    sizes.extend([700, 1452, 1452, 32, 148, 148, 148, 92, 1452, 9000, 9000, 33]);
    sizes.extend([40; 130]);
    let sends = [SendRung::Segments, SendRung::Many];
    let receives = [ReceiveRung::Merged, ReceiveRung::Many];
    for (send, receive) in sends
        .iter()
        .flat_map(|s| receives.iter().map(move |r| (*s, *r)))
    {
        let (from, to) = (open((send, receive)), open((send, receive)));
        assert_eq!(from.rungs(), (send, receive), "rungs of this kernel");
        assert_eq!(pass(&from, &to, &sizes), sizes, "{send:?} {receive:?}");
    }
}

#[test]
fn a_datagram_larger_than_a_buffer_is_counted_and_nothing_else_is_lost() {
    let ceiling = (SendRung::Many, ReceiveRung::Many);
    let (from, to) = (open(ceiling), open(ceiling));
    let sent = socket2::SockRef::from(&from.socket);
    for size in [100, PLAIN_SLOT + 1, 200] {
        sent.send_to(&vec![4; size], &to.local().unwrap().into())
            .unwrap();
    }
    let (mut receiver, drops) = (Receiver::new(&to), Drops::default());
    assert!(receiver.fetch(&drops));
    let came: Vec<_> = receiver
        .batch(Instant::now())
        .map(|it| it.bytes.len())
        .collect();
    assert_eq!(
        (came, drops.counts().of(DropReason::Oversized)),
        (vec![100, 200], 1)
    );
}

/// Loopback has sixteen million addresses: a host with several needs no namespace.
#[test]
fn an_answer_leaves_from_the_address_that_was_spoken_to() {
    for (listen, rung) in [
        ("0.0.0.0:0", SendRung::Segments),
        ("0.0.0.0:0", SendRung::Many),
        ("[::]:0", SendRung::Segments),
        ("[::]:0", SendRung::Many),
    ] {
        let open = |listen: &str| {
            let ceiling = (rung, ReceiveRung::Many);
            TunnelSocket::open(listen.parse().unwrap(), None, ceiling, &mut Vec::new()).unwrap()
        };
        let (exit, guest) = (open(listen), open("127.0.0.1:0"));
        let port = exit.local().unwrap().port();
        let spoken_to = SocketAddr::from(([127, 7, 7, 7], port));
        let drops = Drops::default();
        let send = |from: &TunnelSocket, to: Endpoint| {
            let mut out = Outbox::new(1 << 16, 8);
            out.push(&[4; 100], to);
            out.push(&[4; 100], to);
            Sender::new(from).flush(&mut out, &drops, |_, _| {});
            assert_eq!(drops.counts().total(), 0);
        };
        let heard_by = |socket: &TunnelSocket| {
            let mut receiver = Receiver::new(socket);
            assert!(receiver.fetch(&drops));
            let batch = receiver.batch(Instant::now());
            batch.map(|it| it.origin.from).last().unwrap()
        };
        send(&guest, spoken_to.into());
        let heard = heard_by(&exit);
        send(&exit, heard);
        assert_eq!(heard_by(&guest).remote, spoken_to, "{listen} {rung:?}");

        // An address that is not ours any more does not silence the exit.
        let lost = Endpoint {
            local: Some(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped()),
            ..heard
        };
        send(&exit, lost);
        assert_eq!(heard_by(&guest).remote.port(), port);
    }
}

#[test]
fn only_what_segments_are_to_blame_for_ends_segmented_sending() {
    let of = |code| refusal(&io::Error::from_raw_os_error(code));
    assert_eq!([of(libc::EIO), of(libc::EOPNOTSUPP)], [Refusal::Always; 2]);
    // EINVAL is what one bad address gets.
    assert_eq!(
        [of(libc::EMSGSIZE), of(libc::EINVAL)],
        [Refusal::ThisPath; 2]
    );
    assert_eq!([of(libc::ENETUNREACH), of(libc::EPERM)], [Refusal::Loss; 2]);
    // Waited for once a flush, not once a run.
    assert_eq!(of(libc::EAGAIN), Refusal::Full);
}
