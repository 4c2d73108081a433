use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::prelude::*;

use super::*;

/// The special-purpose registries (RFC 6890 and successors) as published, not as we merged them.
const SPECIAL: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.8/32",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

fn every_preset() -> impl Strategy<Value = ExitPolicy> {
    prop::sample::select(vec![Preset::WebAndDns, Preset::AllButMail, Preset::All])
        .prop_map(ExitPolicy::preset)
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|it| IpAddr::V4(Ipv4Addr::from(it))),
        any::<u128>().prop_map(|it| IpAddr::V6(Ipv6Addr::from(it))),
        // Global unicast is an eighth of all: most of the interesting borders are in it.
        any::<u128>().prop_map(|it| IpAddr::V6(Ipv6Addr::from((it >> 3) | (1 << 125)))),
    ]
}

fn inside(net: IpNet, host: u128) -> IpAddr {
    match net {
        IpNet::V4(it) => {
            let mask = u32::from(it.hostmask());
            IpAddr::V4(Ipv4Addr::from(
                u32::from(it.network()) | (u32::try_from(host >> 96).unwrap() & mask),
            ))
        }
        IpNet::V6(it) => {
            let mask = u128::from(it.hostmask());
            IpAddr::V6(Ipv6Addr::from(u128::from(it.network()) | (host & mask)))
        }
    }
}

proptest! {
    /// No address of any special block passes, whatever the preset and the port.
    #[test]
    fn nothing_special_is_reached(
        policy in every_preset(),
        block in prop::sample::select(SPECIAL),
        host in any::<u128>(),
        port in any::<u16>(),
    ) {
        let address = inside(block.parse().unwrap(), host);
        for transport in [Transport::Tcp, Transport::Udp, Transport::Echo, Transport::Other(47)] {
            prop_assert!(!policy.allows(address, transport, port), "{address} in {block}");
        }
    }

    /// An address is refused exactly if one of the published blocks holds it; the one exception
    /// upwards is what lies outside global unicast, and one cloud's metadata address.
    #[test]
    fn the_rest_of_the_internet_is_reached(policy in every_preset(), address in any_address()) {
        let special = SPECIAL.iter().any(|it| it.parse::<IpNet>().unwrap().contains(&address));
        let protocol_block: Ipv6Net = "2001::/23".parse().unwrap();
        let beyond = match address {
            IpAddr::V4(it) => it == Ipv4Addr::new(168, 63, 129, 16),
            IpAddr::V6(it) => it.segments()[0] >> 13 != 1 || protocol_block.contains(&it),
        };
        prop_assert_eq!(policy.allows_address(address), !special && !beyond);
    }

    /// A v4 address hidden in a v6 one is refused even if the v4 address itself passes.
    #[test]
    fn v4_inside_v6_is_not_a_way_round(policy in every_preset(), v4 in any::<u32>()) {
        let v4 = Ipv4Addr::from(v4);
        let [a, b, c, d] = v4.octets().map(u16::from);
        let (high, low) = (a << 8 | b, c << 8 | d);
        for hidden in [
            v4.to_ipv6_mapped(),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, 0x4136, 0xe378, 0, 0, !high, !low),
        ] {
            prop_assert!(!policy.allows_address(IpAddr::V6(hidden)), "{hidden}");
        }
    }

    /// Narrowing only takes away, and takes away what it says.
    #[test]
    fn narrowing_never_widens(
        policy in every_preset(),
        net in any::<u32>(),
        length in 1_u8..=32,
        address in any_address(),
        port in any::<u16>(),
    ) {
        let net = Ipv4Net::new(Ipv4Addr::from(net), length).unwrap();
        let mut narrowed = policy.clone();
        narrowed.deny(&net.to_string()).unwrap();
        for transport in [Transport::Tcp, Transport::Udp] {
            let (before, after) =
                (policy.allows(address, transport, port), narrowed.allows(address, transport, port));
            prop_assert!(before || !after);
            if let IpAddr::V4(it) = address {
                prop_assert!(!net.contains(&it) || !after);
            }
        }
        prop_assert_ne!(policy.id(), narrowed.id());
    }

    /// Whatever is written, it is in force or an error: nothing is skipped.
    #[test]
    fn an_entry_is_in_force_or_an_error(entry in "[a-z0-9./:-]{0,20}") {
        let mut policy = ExitPolicy::preset(Preset::All);
        let before = policy.clone();
        match policy.deny(&entry) {
            Ok(()) => prop_assert_ne!(policy, before),
            Err(_) => prop_assert_eq!(policy, before),
        }
    }
}

#[test]
fn mail_and_file_sharing_are_never_carried() {
    let server: IpAddr = "93.184.216.34".parse().unwrap();
    for preset in [Preset::WebAndDns, Preset::AllButMail, Preset::All] {
        let policy = ExitPolicy::preset(preset);
        for port in [25, 135, 137, 138, 139, 445, 11211] {
            assert!(
                !policy.allows(server, Transport::Tcp, port),
                "{preset:?} tcp/{port}"
            );
        }
        for port in [137, 138, 445, 1900, 5353, 11211] {
            assert!(
                !policy.allows(server, Transport::Udp, port),
                "{preset:?} udp/{port}"
            );
        }
        assert!(policy.allows(server, Transport::Tcp, 443));
        assert!(policy.allows(server, Transport::Udp, 443));
        assert!(policy.allows(server, Transport::Echo, 0));
        assert!(!policy.allows(server, Transport::Other(47), 0));
    }
}

#[test]
fn presets_differ_where_their_names_say() {
    let server: IpAddr = "93.184.216.34".parse().unwrap();
    let carried = |preset, port| ExitPolicy::preset(preset).allows(server, Transport::Tcp, port);
    assert!(!carried(Preset::WebAndDns, 22));
    assert!(carried(Preset::AllButMail, 22) && carried(Preset::All, 22));
    assert!(!carried(Preset::AllButMail, 587) && carried(Preset::All, 587));
    assert_eq!("web+dns".parse(), Ok(Preset::WebAndDns));
    assert!("everything".parse::<Preset>().is_err());
}

#[test]
fn documentation_blocks_are_the_internet_of_labs_only() {
    let lab: IpAddr = "203.0.113.7".parse().unwrap();
    let lab6: IpAddr = "2001:db8::7".parse().unwrap();
    let policy = ExitPolicy::default();
    assert!(!policy.allows_address(lab) && !policy.allows_address(lab6));
    let policy = policy.allow_documentation();
    assert!(policy.allows_address(lab) && policy.allows_address(lab6));
    assert!(!policy.allows_address("10.0.0.1".parse().unwrap()));
}

#[test]
fn unreadable_entries_are_errors() {
    let mut policy = ExitPolicy::default();
    for entry in [
        "",
        "10.0.0.0/33",
        "tcp/0x19",
        "tcp/9-3",
        "sctp/80",
        "example.org",
        "tcp/70000",
    ] {
        assert!(policy.deny(entry).is_err(), "{entry:?}");
    }
    assert_eq!(policy, ExitPolicy::default());
    policy.deny("udp/1000-2000").unwrap();
    policy.deny("198.51.100.9").unwrap();
    assert_eq!(policy.name(), "web+dns-narrowed");
}
