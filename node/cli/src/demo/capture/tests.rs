use super::*;

fn frame(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame
}

fn v4(from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
    packet.extend(from);
    packet.extend(to);
    packet.extend(payload);
    frame(0x0800, &packet)
}

fn udp(ports: (u16, u16), body: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(ports.0.to_be_bytes());
    datagram.extend(ports.1.to_be_bytes());
    datagram.extend([0; 4]);
    datagram.extend(body);
    datagram
}

fn class_of(frame: &[u8]) -> Class {
    classify(&Packet::read(frame), &Plan::demo())
}

const DATA: [u8; 4] = [4, 0, 0, 0];

#[test]
fn what_belongs_to_the_tunnel_is_told_from_what_leaks() {
    let plan = Plan::demo();
    let own = plan.consumer.host_v4().octets();
    let exit = plan.exits[0].public_v4().octets();
    let chain = plan.chain.public_v4().octets();
    let web = plan.web.public_v4().octets();
    assert_eq!(
        class_of(&v4(own, exit, 17, &udp((5, TUNNEL_PORT), &DATA))),
        Class::Wireguard
    );
    assert_eq!(
        class_of(&v4(exit, own, 17, &udp((OVERLAY_PORT, 9), b"q"))),
        Class::Libp2p
    );
    assert_eq!(
        class_of(&v4(own, chain, 6, &udp((9, CHAIN_PORT), b""))),
        Class::ChainRpc
    );
    assert_eq!(
        class_of(&v4(own, web, 6, &udp((9, 80), b""))),
        Class::Foreign
    );
    assert_eq!(class_of(&frame(0x0806, &[])), Class::Neighbour);
}

#[test]
fn the_right_port_at_the_wrong_place_is_foreign() {
    let plan = Plan::demo();
    let own = plan.consumer.host_v4().octets();
    let exit = plan.exits[0].public_v4().octets();
    let web = plan.web.public_v4().octets();
    assert_eq!(
        class_of(&v4(own, web, 17, &udp((5, TUNNEL_PORT), &DATA))),
        Class::Foreign
    );
    assert_eq!(
        class_of(&v4(own, exit, 17, &udp((5, TUNNEL_PORT), b"GET "))),
        Class::Foreign
    );
    assert_eq!(
        class_of(&v4(own, exit, 6, &udp((5, CHAIN_PORT), b""))),
        Class::Foreign
    );
    assert_eq!(
        class_of(&v4(own, web, 17, &udp((OVERLAY_PORT, 53), b"dns"))),
        Class::Foreign
    );
}

#[test]
fn an_answer_that_a_port_is_closed_is_of_the_kind_of_what_it_quotes() {
    let plan = Plan::demo();
    let own = plan.consumer.host_v4().octets();
    let exit = plan.exits[0].public_v4().octets();
    let web = plan.web.public_v4().octets();
    let unreachable = |from: [u8; 4], ports| {
        let quoted = v4(from, own, 17, &udp(ports, &DATA));
        let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
        message.extend(&quoted[14..]);
        class_of(&v4(own, from, 1, &message))
    };
    assert_eq!(unreachable(exit, (TUNNEL_PORT, 5)), Class::Wireguard);
    assert_eq!(unreachable(web, (80, 5)), Class::Foreign);
    assert_eq!(
        class_of(&v4(own, exit, 1, &[8, 0, 0, 0])),
        Class::Foreign,
        "a ping"
    );
}

#[test]
fn what_is_cut_short_is_foreign_and_breaks_nothing() {
    let plan = Plan::demo();
    let whole = v4(
        plan.consumer.host_v4().octets(),
        plan.exits[0].public_v4().octets(),
        17,
        &udp((5, OVERLAY_PORT), b""),
    );
    for length in 0..38 {
        assert_eq!(class_of(&whole[..length]), Class::Foreign, "{length} bytes");
    }
    assert_eq!(class_of(&whole[..38]), Class::Libp2p);
}

#[test]
fn a_capture_is_counted_and_its_torn_end_left_out() {
    let plan = Plan::demo();
    let leak = v4(
        plan.consumer.host_v4().octets(),
        [198, 51, 100, 9],
        17,
        &udp((1, 53), b""),
    );
    let mut pcap = vec![0xd4, 0xc3, 0xb2, 0xa1];
    pcap.extend([0; 16]);
    pcap.extend(1_u32.to_le_bytes());
    for frame in [leak.as_slice(), &leak, &leak] {
        pcap.extend([0; 8]);
        pcap.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
        pcap.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
        pcap.extend(frame);
    }
    pcap.pop();
    let summary = summarize(&pcap, &plan).expect("a capture");
    assert_eq!((summary.foreign, summary.foreign_sent), (2, 2));
    assert_eq!(summary.names, 2);
    assert_eq!(summary.samples.len(), 2);
    assert!(summary.samples[0].starts_with("udp 192.168.25.2 1 -> 198.51.100.9 53"));
    assert_eq!(summarize(b"nothing", &plan), None);
}

#[test]
fn tcpdumps_own_counts_are_read() {
    let said =
        "tcpdump: 12 packets captured, 1 packet received by filter, 0 packets dropped by kernel";
    let read = counts(said).unwrap();
    assert_eq!((read.captured, read.received), (12, 1));
    for other in [
        "tcpdump: listening on eth0, link-type EN10MB",
        "0 packets dropped by kernel",
        "",
    ] {
        assert_eq!(counts(other), None);
    }
}
