use std::net::SocketAddr;

use expect_test::expect_file;

use super::*;
use crate::policy::{ExitPolicy, Preset};

#[test]
fn the_kill_switch_reads_as_it_should() {
    let endpoints: Vec<SocketAddr> = ["203.0.113.9:41820", "[2001:db8::9]:41820"]
        .map(|it| it.parse().unwrap())
        .into();
    let script = kill_switch_script(&KillSwitchSpec {
        endpoints,
        ..Default::default()
    });
    expect_file!["snapshots/kill_switch.nft"].assert_eq(&script);
}

#[test]
fn new_endpoints_replace_the_old_ones() {
    let script = endpoints_script(&["203.0.113.9:41820".parse().unwrap()]);
    assert_eq!(
        script,
        "flush set inet warren endpoint4\n\
         add element inet warren endpoint4 { 203.0.113.9 . 41820 }\n\
         flush set inet warren endpoint6\n"
    );
}

#[test]
fn the_exit_reads_as_it_should() {
    let spec = ExitNatSpec {
        uplinks: vec!["eth0".to_owned()],
        also_deny: vec!["203.0.113.1/32".parse().unwrap()],
        ..ExitNatSpec::default()
    };
    let around = ExitSurroundings {
        own: vec![
            "192.168.1.0/24".parse().unwrap(),
            "2001:db8:1::/64".parse().unwrap(),
        ],
        opened_v4: vec!["eth0".to_owned()],
        opened_v6: true,
    };
    expect_file!["snapshots/exit.nft"].assert_eq(&exit_script(&spec, &around));
}

#[test]
fn a_box_that_forwarded_before_gets_no_guard() {
    let spec = ExitNatSpec {
        uplinks: vec!["eth0".to_owned()],
        ..ExitNatSpec::default()
    };
    let script = exit_script(&spec, &ExitSurroundings::default());
    assert!(!script.contains("meta nfproto"), "{script}");
}

#[test]
fn a_lab_reaches_documentation_networks_it_is_in() {
    let own: Vec<IpNet> = vec![
        "198.51.100.0/24".parse().unwrap(),
        "192.168.1.0/24".parse().unwrap(),
    ];
    let around = ExitSurroundings {
        own,
        ..ExitSurroundings::default()
    };
    let script = |policy| {
        exit_script(
            &ExitNatSpec {
                policy,
                ..Default::default()
            },
            &around,
        )
    };
    let policy = ExitPolicy::preset(Preset::All);
    assert!(script(policy.clone()).contains("{ 192.168.1.0/24, 198.51.100.0/24 }"));
    assert!(script(policy.allow_documentation()).contains("{ 192.168.1.0/24 }"));
}

#[test]
fn a_name_cannot_break_out_of_its_quotes() {
    for name in [
        "",
        "a\" accept #",
        "eth0\n",
        "0123456789abcdef",
        "..",
        "a b",
        "é",
    ] {
        assert!(check_device(name).is_err(), "{name:?}");
    }
    for name in ["warren0", "eth0.100", "br-lan", "wlp2s0", "tun_1"] {
        check_device(name).unwrap();
    }
}
