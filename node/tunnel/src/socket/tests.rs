//! Datagrams between two real sockets, on every mix of rungs.

use super::*;

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
        out.commit(*size, there, Account::of_slot(0));
    }
    Sender::new(from).flush(&mut out, &drops, |_, inner| metered += inner);
    assert_eq!(
        metered,
        sizes.iter().map(|it| (it - 32) as u64).sum::<u64>()
    );
    assert!(out.items().is_empty() && drops.counts().total() == 0);
    let (mut receiver, mut came) = (Receiver::new(to), Vec::new());
    while came.len() < sizes.len() && receiver.fetch() {
        for received in receiver.batch(Instant::now(), &drops) {
            assert_eq!(Some(received.origin.from), from.local());
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
    assert!(receiver.fetch());
    let came: Vec<_> = receiver
        .batch(Instant::now(), &drops)
        .map(|it| it.bytes.len())
        .collect();
    assert_eq!(
        (came, drops.counts().of(DropReason::Oversized)),
        (vec![100, 200], 1)
    );
}

#[test]
fn only_what_segments_are_to_blame_for_ends_segmented_sending() {
    let of = |code| refusal(&io::Error::from_raw_os_error(code));
    assert_eq!([of(libc::EIO), of(libc::EINVAL)], [Refusal::Always; 2]);
    assert_eq!(of(libc::EMSGSIZE), Refusal::ThisPath);
    assert_eq!(
        [of(libc::ENETUNREACH), of(libc::EAGAIN), of(libc::EPERM)],
        [Refusal::Loss; 3]
    );
}
