//! Super-packets by the book: a slow second way to cut them, and the law that cutting undoes merging.
//!
//! What a test or a fuzzer gives are bytes; they are read as one read of a device, or as a list of
//! packets of a few flows, each with something odd about it.
#![allow(
    clippy::unwrap_used,
    reason = "a model that cannot go on has found something"
)]

use warren_tunnel::offload::{cut, merge};

const VNET: usize = 10;
const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const CWR: u8 = 0x80;

/// Holds what the bytes say to the laws.
pub(crate) fn check(bytes: &[u8]) {
    match bytes.split_first() {
        Some((kind, read)) if kind % 2 == 0 => any_read(read),
        Some((_, list)) => {
            flows(list);
        }
        None => {}
    }
}

/// One read of a device, whatever it says: what is cut is what the book cuts.
fn any_read(read: &[u8]) {
    let Some(packets) = cut(read) else { return };
    let (vnet, packet) = read.split_at(VNET);
    assert_eq!(packets, by_the_book(vnet, packet));
}

/// Packets of a few flows: every one is in one write; what the kernel makes of the writes are the
/// same packets, those of each flow in their order; and no harmed packet is vouched for. Returns
/// how many packets and writes there were.
pub(crate) fn flows(list: &[u8]) -> (usize, usize) {
    let packets = packets(list);
    let writes = merge(
        &packets
            .iter()
            .map(|it| it.bytes.clone())
            .collect::<Vec<_>>(),
    );
    let mut order: Vec<usize> = Vec::new();
    for write in &writes {
        let (vnet, bytes) = write.bytes.split_at(VNET);
        let back = by_the_book(vnet, bytes);
        assert_eq!(Some(&back), cut(&write.bytes).as_ref());
        assert_eq!(back.len(), write.members.len());
        for (came, at) in back.iter().zip(&write.members) {
            let went = &packets[*at];
            assert_eq!(
                without_id(came, went),
                without_id(&went.bytes, went),
                "packet {at}"
            );
            assert!(
                write.members.len() == 1 || went.sound,
                "{at} is harmed and vouched for"
            );
        }
        order.extend(&write.members);
    }
    for flow in 0..FLOWS {
        let of = |at: &&usize| packets[**at].flow == Some(flow);
        assert!(
            order.iter().filter(of).is_sorted(),
            "flow {flow}: {order:?}"
        );
    }
    let count = order.len();
    order.sort_unstable();
    order.dedup();
    assert_eq!((order.len(), count), (packets.len(), packets.len()));
    (packets.len(), writes.len())
}

/// Only of a packet that no router may cut is the id of no meaning.
fn without_id(bytes: &[u8], went: &Packet) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if went.bytes[0] >> 4 == 4 && went.bytes[6] & 0x40 != 0 {
        bytes[4..6].fill(0);
        bytes[10..12].fill(0);
    }
    bytes
}

/// What a kernel makes of one write, or a card of one read.
fn by_the_book(vnet: &[u8], packet: &[u8]) -> Vec<Vec<u8>> {
    let field = |at: usize| usize::from(u16::from_ne_bytes([vnet[at], vnet[at + 1]]));
    if vnet[1] & 0x7f == 0 {
        let mut packet = packet.to_vec();
        if vnet[0] & 1 != 0 {
            let (start, offset) = (field(6), field(8));
            let sum = !sum(&packet[start..]);
            let sum = if sum == 0 { 0xffff } else { sum };
            packet[start + offset..][..2].copy_from_slice(&sum.to_be_bytes());
        }
        return vec![packet];
    }
    let v4 = packet[0] >> 4 == 4;
    let ip = if v4 {
        usize::from(packet[0] & 15) * 4
    } else {
        40
    };
    let tcp = packet[if v4 { 9 } else { 6 }] == TCP;
    let head = ip
        + if tcp {
            usize::from(packet[ip + 12] >> 4) * 4
        } else {
            8
        };
    let (head, payload) = packet.split_at(head);
    let mut pieces: Vec<&[u8]> = payload.chunks(field(4)).collect();
    if pieces.is_empty() {
        pieces.push(&[]);
    }
    let (last, mut at) = (pieces.len() - 1, 0_u32);
    let mut packets = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        let mut packet = [head, piece].concat();
        if v4 {
            let id = u16::from_be_bytes([head[4], head[5]]);
            let id = id.wrapping_add(u16::try_from(number % 0x1_0000).unwrap());
            packet[4..6].copy_from_slice(&id.to_be_bytes());
        }
        if tcp {
            let sequence = u32::from_be_bytes(head[ip + 4..ip + 8].try_into().unwrap());
            packet[ip + 4..ip + 8].copy_from_slice(&sequence.wrapping_add(at).to_be_bytes());
            if number != last {
                packet[ip + 13] &= !(FIN | PSH);
            }
            if number != 0 {
                packet[ip + 13] &= !CWR;
            }
        }
        finish(&mut packet, v4, ip, tcp);
        at = at.wrapping_add(u32::try_from(piece.len()).unwrap());
        packets.push(packet);
    }
    packets
}

/// Sets lengths and checksums.
fn finish(packet: &mut [u8], v4: bool, ip: usize, tcp: bool) {
    let len = |it: usize| u16::try_from(it).unwrap().to_be_bytes();
    let whole = packet.len();
    if v4 {
        packet[2..4].copy_from_slice(&len(whole));
        packet[10..12].fill(0);
        let sum = !sum(&packet[..ip]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        packet[4..6].copy_from_slice(&len(whole - 40));
    }
    if !tcp {
        packet[ip + 4..ip + 6].copy_from_slice(&len(whole - ip));
    }
    let at = ip + if tcp { 16 } else { 6 };
    packet[at..at + 2].fill(0);
    let mut sum = !sum(&[pseudo(packet, v4, ip, tcp), packet[ip..].to_vec()].concat());
    if !tcp && sum == 0 {
        sum = 0xffff;
    }
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn pseudo(packet: &[u8], v4: bool, ip: usize, tcp: bool) -> Vec<u8> {
    let addresses = if v4 { &packet[12..20] } else { &packet[8..40] };
    let len = u32::try_from(packet.len() - ip).unwrap().to_be_bytes();
    [addresses, &len, &[0, 0, 0, if tcp { TCP } else { UDP }]].concat()
}

/// RFC 1071, as it is written.
fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

/// A packet that arrived.
struct Packet {
    bytes: Vec<u8>,
    /// `None` for one whose flow cannot be read.
    flow: Option<usize>,
    /// Its checksums hold.
    sound: bool,
}

const FLOWS: usize = 6;
/// Bytes of the list for one packet.
const EACH: usize = 6;

/// Reads a list of packets.
fn packets(list: &[u8]) -> Vec<Packet> {
    let mut sequences = [0xffff_f000_u32; FLOWS]; // They wrap on the way.
    let mut ids = [0xfff0_u16; FLOWS];
    let each = list.chunks_exact(EACH).take(300);
    each.map(|it| packet(it, &mut sequences, &mut ids))
        .collect()
}

fn packet(said: &[u8], sequences: &mut [u32; FLOWS], ids: &mut [u16; FLOWS]) -> Packet {
    let flow = usize::from(said[0]) % FLOWS;
    let (v4, tcp, options) = [
        (true, true, false),
        (false, true, false),
        (true, false, false),
        (false, false, false),
        (true, true, true),
        (true, false, true),
    ][flow];
    // Flow 4 has TCP options; flows 4 and 5 may be cut by routers.
    let (cuttable, options) = (options, options && tcp && said[3] & 0x40 == 0);
    let sizes = [0, 1, 2, 100, 100, 100, 536, 1380];
    let size = sizes[usize::from(said[1]) % sizes.len()] + usize::from(said[2] % 3 == 2);
    let odd = said[4] % 32;
    if odd == 1 {
        sequences[flow] = sequences[flow].wrapping_add(7); // One was lost.
    }
    let mut bytes = if v4 {
        let mut ip = vec![
            0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 0, 0, 0, 10, 77, 0, 2, 203, 0, 113, 9,
        ];
        ip[9] = if tcp { TCP } else { UDP };
        ip[4..6].copy_from_slice(&ids[flow].to_be_bytes());
        if cuttable {
            ip[6] = 0;
        }
        ip
    } else {
        let mut ip = vec![0x60, 0, 0, 0, 0, 0, if tcp { TCP } else { UDP }, 64];
        ip.extend([0xfd; 16]);
        ip.extend([0x20; 16]);
        ip
    };
    let ip = bytes.len();
    ids[flow] = ids[flow].wrapping_add(if odd == 2 { 9 } else { 1 });
    bytes.extend([0x12, u8::try_from(flow).unwrap(), 0x01, 0xbb]);
    if tcp {
        bytes.extend(sequences[flow].to_be_bytes());
        let flags = [ACK, ACK, ACK, ACK, ACK | PSH, ACK | FIN, ACK | CWR, 0x02];
        let flags = flags[usize::from(said[3]) % flags.len()];
        bytes.extend([
            0,
            0,
            0,
            9,
            if options { 0x80 } else { 0x50 },
            flags,
            0x20,
            0,
            0,
            0,
            0,
            0,
        ]);
        if options {
            bytes.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, said[5] % 2]);
        }
        sequences[flow] = sequences[flow].wrapping_add(u32::try_from(size).unwrap());
    } else {
        bytes.extend([0; 4]);
    }
    bytes.extend((0..size).map(|at| u8::try_from(at % 251).unwrap() ^ said[5]));
    match odd {
        3 if v4 => bytes[8] = 63,
        4 if v4 => bytes[1] = 3, // Congestion was met on the way.
        4 => bytes[1] = 0x30,
        _ => {}
    }
    finish(&mut bytes, v4, ip, tcp);
    let mut packet = Packet {
        bytes,
        flow: Some(flow),
        sound: true,
    };
    spoil(&mut packet, odd, (v4, ip, tcp));
    packet
}

/// Something that went wrong on the way, or at the sender.
fn spoil(packet: &mut Packet, odd: u8, (v4, ip, tcp): (bool, usize, bool)) {
    let bytes = &mut packet.bytes;
    let last = bytes.len() - 1;
    let none = bytes.len();
    match odd {
        5 => bytes[last] ^= 0x41,
        // "None" is not vouched for.
        6 if !tcp => bytes[ip + 6..ip + 8].fill(0),
        7 if v4 => bytes[10] ^= 1,
        8 => bytes.truncate(last),
        9 => bytes.resize(none + 3, 0),
        // A fragment: its ports, if it has any, are nobody's business.
        10 if v4 => {
            bytes[6] = 0x20;
            bytes[10..12].fill(0);
            let sum = !sum(&bytes[..ip]);
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        _ => return,
    }
    packet.sound = false;
    if matches!(odd, 8..=10) {
        packet.flow = None;
    }
}
