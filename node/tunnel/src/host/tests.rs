use std::path::Path;

use super::*;

/// The daemon runs these on a runtime of many threads.
#[test]
fn what_the_daemon_awaits_may_move_between_threads() {
    fn may_move<T: Send>(_: T) {}
    let path = Path::new("undo.jsonl");
    may_move(recover(path));
    may_move(check_consumer());
    may_move(check_exit(&ExitNatSpec::default()));
    may_move(ExitHost::enable(path, ExitNatSpec::default()));
    may_move(async {
        let mut host = ConsumerHost::protect(path, &KillSwitchSpec::default()).await?;
        host.allow_endpoints(&[]).await?;
        host.route(&RouteSpec::default()).await?;
        host.dns(&DnsSpec::default()).await?;
        host.release().await?;
        host.undo().await
    });
    may_move(async {
        let mut host = ExitHost::enable(path, ExitNatSpec::default()).await?;
        host.refresh().await?;
        host.undo().await
    });
}

#[test]
fn a_report_reads_line_by_line() {
    let line = |change: &str, outcome| UndoneChange {
        change: change.to_owned(),
        outcome,
    };
    let mut report = RecoverReport {
        changes: vec![
            line("name servers in /etc/resolv.conf", Outcome::ChangedByOthers),
            line("firewall table inet warren", Outcome::Undone),
        ],
        unreadable_lines: vec![3],
        unwritten: Some("disk full".to_owned()),
    };
    assert!(report.is_clean());
    report.changes.push(line(
        "IPv4 rule 7761",
        Outcome::Failed("no right".to_owned()),
    ));
    assert!(!report.is_clean());
    expect_test::expect![[r#"
        name servers in /etc/resolv.conf: changed by others, left alone
        firewall table inet warren: undone
        IPv4 rule 7761: failed: no right
        journal line 3: unreadable, skipped
        journal: disk full; what is undone is undone all the same
    "#]]
    .assert_eq(&report.to_string());
    assert_eq!(
        serde_json::to_value(&report.changes[2]).unwrap(),
        serde_json::json!({"change": "IPv4 rule 7761", "outcome": "failed", "reason": "no right"})
    );
}

#[test]
fn the_name_servers_of_a_resolv_conf_are_read_in_their_order() {
    let text = "# a comment\nsearch example\nnameserver 192.0.2.53\n  nameserver\t2001:db8::53 # two\n\
                nameserver fe80::1%eth0\nnameserver\nnameservers 192.0.2.1\noptions edns0\n";
    let wanted: Vec<std::net::IpAddr> = vec![
        "192.0.2.53".parse().unwrap(),
        "2001:db8::53".parse().unwrap(),
    ];
    assert_eq!(super::dns::name_servers(text), wanted);
    assert!(super::dns::name_servers("").is_empty());
}
