//! Cutting and merging are each other's reverse; what is harmed or out of order is left alone.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of our own")]

use proptest::prelude::*;

use super::*;
use crate::offload::Splitter;

/// One TCP or UDP packet with right checksums.
fn packet(v4: bool, transport: Transport, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = if v4 {
        let mut ip = vec![0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, 0, 0, 0];
        ip[9] = if transport == Transport::Tcp { 6 } else { 17 };
        ip.extend([10, 77, 0, 2, 203, 0, 113, 9]);
        ip
    } else {
        let mut ip = vec![0x60, 0, 0, 0, 0, 0, 0, 64];
        ip[6] = if transport == Transport::Tcp { 6 } else { 17 };
        ip.extend([0xfd; 16]);
        ip.extend([0x20; 16]);
        ip
    };
    packet.extend([0x12, 0x34, 0x01, 0xbb]); // Ports.
    match transport {
        Transport::Tcp => {
            packet.extend(sequence.to_be_bytes());
            packet.extend([0, 0, 0, 9, 0x80, flags, 0x20, 0, 0, 0, 0, 0]);
            packet.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]); // Timestamps.
        }
        Transport::Udp => packet.extend([0; 4]),
    }
    packet.extend(payload);
    let layout = Layout::of(&packet).unwrap();
    let len = packet.len();
    layout.set_lengths(&mut packet, len);
    layout.set_checksum(&mut packet);
    packet
}

/// A flow of packets whose payloads are `sizes` long.
fn flow(v4: bool, transport: Transport, sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut sequence = 0xffff_fff0_u32; // It wraps on the way.
    sizes
        .iter()
        .enumerate()
        .map(|(at, size)| {
            let payload: Vec<u8> = (0..*size).map(|byte| (byte * 7 + at) as u8).collect();
            let packet = packet(v4, transport, sequence, ACK, &payload);
            sequence = sequence.wrapping_add(*size as u32);
            packet
        })
        .collect()
}

fn grouped(packets: &[Vec<u8>]) -> Coalescer {
    let mut coalescer = Coalescer::new(Merge::TcpUdp);
    coalescer.group(packets.len(), |at| &packets[at]);
    coalescer
}

fn sizes(coalescer: &Coalescer) -> Vec<usize> {
    coalescer
        .groups()
        .iter()
        .map(|group| group.members)
        .collect()
}

/// What the kernel would be handed for a group.
fn write(coalescer: &Coalescer, group: &Group, packets: &[Vec<u8>]) -> (VnetHeader, Vec<u8>) {
    if group.members == 1 {
        return (VnetHeader::PLAIN, packets[group.first()].clone());
    }
    let head = group.head(&packets[group.first()]).unwrap();
    let mut bytes = head.bytes[..head.len].to_vec();
    for at in coalescer.members(group) {
        bytes.extend(&packets[at][group.header_len()..]);
    }
    (head.vnet, bytes)
}

/// What the kernel would make of it, by our own splitter.
fn cut(header: &VnetHeader, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let mut splitter = Splitter::new(header, &mut bytes).unwrap();
    std::iter::from_fn(|| splitter.next_segment().map(<[u8]>::to_vec)).collect()
}

/// IPv4 ids are counted up by whoever cuts; nothing else may differ.
fn without_id(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet[0] >> 4 == 4 {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

#[test]
fn a_flow_becomes_one_write_until_a_short_packet_ends_it() {
    for v4 in [true, false] {
        for transport in [Transport::Tcp, Transport::Udp] {
            let packets = flow(v4, transport, &[1000, 1000, 1000, 400, 1000, 1000]);
            assert_eq!(sizes(&grouped(&packets)), [4, 2], "{transport:?}");
        }
    }
}

#[test]
fn what_is_merged_is_cut_into_the_same_packets() {
    for v4 in [true, false] {
        for transport in [Transport::Tcp, Transport::Udp] {
            let packets = flow(v4, transport, &[999, 999, 999, 1]);
            let coalescer = grouped(&packets);
            let (header, bytes) = write(&coalescer, &coalescer.groups()[0], &packets);
            let back = cut(&header, &bytes);
            let wanted: Vec<_> = packets.iter().map(|it| without_id(it)).collect();
            assert_eq!(
                back.iter().map(|it| without_id(it)).collect::<Vec<_>>(),
                wanted
            );
        }
    }
}

#[test]
fn a_harmed_packet_stays_alone() {
    for at in 0..3 {
        let mut packets = flow(true, Transport::Tcp, &[500, 500, 500]);
        *packets[at].last_mut().unwrap() ^= 1;
        let coalescer = grouped(&packets);
        for group in coalescer.groups() {
            let alone = group.members == 1;
            assert!(
                alone || coalescer.members(group).all(|member| member != at),
                "{at}"
            );
        }
        assert_eq!(sizes(&coalescer).iter().sum::<usize>(), 3);
    }
}

#[test]
fn a_gap_or_another_acknowledgement_starts_anew() {
    let whole = flow(true, Transport::Tcp, &[500, 500, 500]);
    let gap = [whole[0].clone(), whole[2].clone()];
    assert_eq!(sizes(&grouped(&gap)), [1, 1]);
    let mut other = whole.clone();
    other[1][20 + 11] = 10;
    Layout::of(&other[1]).unwrap().set_checksum(&mut other[1]);
    assert_eq!(sizes(&grouped(&other)), [1, 1, 1]);
}

#[test]
fn a_pushed_packet_ends_its_group_and_keeps_its_flag() {
    let mut packets = flow(true, Transport::Tcp, &[500, 500, 500]);
    packets[1][20 + 13] |= PSH;
    Layout::of(&packets[1])
        .unwrap()
        .set_checksum(&mut packets[1]);
    let coalescer = grouped(&packets);
    assert_eq!(sizes(&coalescer), [2, 1]);
    let (_, bytes) = write(&coalescer, &coalescer.groups()[0], &packets);
    assert_eq!(bytes[20 + 13], ACK | PSH);
}

#[test]
fn bare_acknowledgements_and_other_flags_pass_alone_and_in_order() {
    let mut packets = flow(true, Transport::Tcp, &[500, 500]);
    packets.insert(1, packet(true, Transport::Tcp, 1, ACK, b""));
    packets.push(packet(true, Transport::Tcp, 1, 0x11, b"")); // FIN.
    assert_eq!(sizes(&grouped(&packets)), [1, 1, 1, 1]);
}

#[test]
fn interleaved_flows_are_kept_apart() {
    let one = flow(true, Transport::Tcp, &[500, 500]);
    let other = flow(false, Transport::Udp, &[300, 300]);
    let packets = [
        one[0].clone(),
        other[0].clone(),
        one[1].clone(),
        other[1].clone(),
    ];
    let coalescer = grouped(&packets);
    assert_eq!(sizes(&coalescer), [2, 2]);
    assert_eq!(
        coalescer
            .members(&coalescer.groups()[1])
            .collect::<Vec<_>>(),
        [1, 3]
    );
}

#[test]
fn a_udp_packet_without_checksum_stays_alone() {
    let mut packets = flow(true, Transport::Udp, &[300, 300]);
    for packet in &mut packets {
        packet[26..28].fill(0);
    }
    assert_eq!(sizes(&grouped(&packets)), [1, 1]);
}

#[test]
fn a_group_never_outgrows_an_ip_packet() {
    let packets = flow(true, Transport::Tcp, &[1400; 100]);
    let coalescer = grouped(&packets);
    assert!(
        coalescer
            .groups()
            .iter()
            .all(|group| group.bytes <= MOST_BYTES)
    );
    assert!(coalescer.groups().len() >= 3);
    let packets = flow(true, Transport::Udp, &[10; 100]);
    assert_eq!(
        sizes(&grouped(&packets)),
        [MOST_DATAGRAMS, 100 - MOST_DATAGRAMS]
    );
}

proptest! {
    /// Whatever arrives, every packet is in one group, groups keep each flow's order, and what
    /// the kernel cuts from a group is what arrived.
    #[test]
    fn nothing_is_lost_doubled_or_changed(
        seeds in proptest::collection::vec((0_usize..4, 0_usize..4, any::<bool>()), 0..60),
    ) {
        let lengths = [0, 1, 700, 1300];
        let mut sequences = [0_u32; 4];
        let packets: Vec<Vec<u8>> = seeds.iter().map(|&(flow, length, harm)| {
            let payload = vec![flow as u8; lengths[length]];
            let kind = if flow < 2 { Transport::Tcp } else { Transport::Udp };
            let mut bytes = packet(flow % 2 == 0, kind, sequences[flow], ACK, &payload);
            sequences[flow] = sequences[flow].wrapping_add(payload.len() as u32);
            if harm { let at = bytes.len() / 2; bytes[at] ^= 0x40; }
            bytes
        }).collect();
        let coalescer = grouped(&packets);
        let mut seen = vec![0; packets.len()];
        for group in coalescer.groups() {
            let members: Vec<_> = coalescer.members(group).collect();
            prop_assert!(members.is_sorted());
            for at in &members { seen[*at] += 1; }
            let (header, bytes) = write(&coalescer, group, &packets);
            if group.members > 1 {
                let back: Vec<_> = cut(&header, &bytes).iter().map(|it| without_id(it)).collect();
                let wanted: Vec<_> = members.iter().map(|at| without_id(&packets[*at])).collect();
                prop_assert_eq!(back, wanted);
            }
        }
        prop_assert!(seen.iter().all(|times| *times == 1));
    }

    /// Whatever the kernel's header and packet say, the splitter neither panics nor runs on.
    #[test]
    fn the_splitter_takes_anything(
        header in any::<[u8; 10]>(), kind in 0_usize..4, version in 4_u8..7,
        body in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        let mut bytes = header;
        bytes[1] = [0, 1, 4, 5][kind];
        let mut packet = body;
        if let Some(first) = packet.first_mut() { *first = (version << 4) | 5; }
        let most = packet.len() + 2;
        if let Some(header) = VnetHeader::decode(&bytes)
            && let Some(mut splitter) = Splitter::new(&header, &mut packet)
        {
            let mut count = 0;
            while splitter.next_segment().is_some() { count += 1; }
            prop_assert!(count <= most);
        }
    }

    /// Whatever arrives, grouping neither panics nor loses a packet.
    #[test]
    fn the_coalescer_takes_anything(
        packets in proptest::collection::vec(
            (any::<bool>(), 0_usize..3, proptest::collection::vec(any::<u8>(), 0..120)), 0..20),
    ) {
        let packets: Vec<Vec<u8>> = packets.into_iter().map(|(v4, protocol, mut bytes)| {
            if let Some(first) = bytes.first_mut() { *first = if v4 { 0x45 } else { 0x60 }; }
            let at = if v4 { 9 } else { 6 };
            if let Some(field) = bytes.get_mut(at) { *field = [6, 17, 1][protocol]; }
            bytes
        }).collect();
        prop_assert_eq!(sizes(&grouped(&packets)).iter().sum::<usize>(), packets.len());
    }
}
