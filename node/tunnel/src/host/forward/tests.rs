use serde_json::json;

use super::*;

fn chain(family: &str, table: &str, name: &str, policy: &str) -> Value {
    json!({"chain": {"family": family, "table": table, "name": name, "hook": "forward", "policy": policy}})
}

fn spec() -> ExitNatSpec {
    ExitNatSpec {
        uplinks: vec!["eth0".to_owned()],
        ..ExitNatSpec::default()
    }
}

fn device(key: &str, name: &str) -> Value {
    json!({"match": {"op": "==", "left": {"meta": {"key": key}}, "right": name}})
}

fn state(states: &[&str]) -> Value {
    json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": states}})
}

/// Whether chain `FORWARD` lets guests' packets pass, whose rules these are, with the chains it leads to.
fn passes(rules: &[(&str, Vec<Value>)]) -> bool {
    let rule =
        |(chain, parts): &(&str, Vec<Value>)| json!({"rule": {"chain": chain, "expr": parts}});
    let table = json!({"nftables": rules.iter().map(rule).collect::<Vec<_>>()});
    lets_pass(&table, &json!({"name": "FORWARD"}), &spec())
}

fn both_ways(chain: &'static str, verdict: &Value) -> Vec<(&'static str, Vec<Value>)> {
    vec![
        (
            chain,
            vec![device("iifname", "warren-exit"), verdict.clone()],
        ),
        (
            chain,
            vec![device("oifname", "warren-exit"), verdict.clone()],
        ),
    ]
}

#[test]
fn a_dropping_forward_chain_of_others_is_found_and_ours_is_not() {
    let listing = json!({"nftables": [
        {"metainfo": {"version": "1"}},
        chain("inet", "warren", "forward", "drop"),
        chain("inet", "filter", "forward", "accept"),
        chain("bridge", "filter", "forward", "drop"),
        chain("inet", "mine", "forward", "drop"),
        chain("ip", "filter", "FORWARD", "drop"),
        chain("ip6", "filter", "FORWARD", "drop"),
        {"chain": {"family": "ip", "table": "filter", "name": "DOCKER-USER"}},
        {"chain": {"family": "ip6", "table": "filter", "name": "ufw6-user-forward"}},
    ]});
    let found = dropping(&listing, Carries::Both);
    let remedies: Vec<String> = found
        .iter()
        .map(|it| remedy(&listing, it, "warren-exit"))
        .collect();
    assert_eq!(
        remedies,
        [
            "`nft insert rule inet mine forward iifname warren-exit accept; nft insert rule inet mine forward oifname warren-exit accept`",
            "`iptables -I DOCKER-USER -i warren-exit -j ACCEPT; iptables -I DOCKER-USER -o warren-exit -j ACCEPT`",
            "`ufw route allow in on warren-exit; ufw route allow out on warren-exit`",
        ]
    );
    // What is not carried is dropped by nobody.
    let families = |carries| {
        let found = dropping(&listing, carries);
        found
            .iter()
            .map(|it| word(it, "family").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(families(Carries::V4), ["inet", "ip"]);
    assert_eq!(families(Carries::V6), ["inet", "ip6"]);
}

#[test]
fn what_docker_sets_passes_with_both_lines_and_not_with_one() {
    let to = |name: &str| vec![json!({"counter": {}}), json!({"jump": {"target": name}})];
    let accept = json!({"accept": null});
    let xt = |name: &str| json!({"xt": {"type": "match", "name": name}});
    let docker = |first: &[(&'static str, Vec<Value>)]| {
        let mut rules = vec![
            ("FORWARD", to("DOCKER-USER")),
            ("FORWARD", to("DOCKER-FORWARD")),
        ];
        rules.extend(first.iter().cloned());
        rules.extend([
            ("DOCKER-USER", vec![json!({"return": null})]),
            (
                "DOCKER-FORWARD",
                vec![
                    device("oifname", "docker0"),
                    xt("conntrack"),
                    accept.clone(),
                ],
            ),
            (
                "DOCKER-FORWARD",
                vec![device("iifname", "docker0"), accept.clone()],
            ),
            (
                "DOCKER-FORWARD",
                vec![device("oifname", "docker0"), json!({"drop": null})],
            ),
        ]);
        passes(&rules)
    };
    let [from, to] = both_ways("DOCKER-USER", &accept).try_into().unwrap();
    assert!(!docker(&[]));
    assert!(!docker(std::slice::from_ref(&from)));
    assert!(!docker(std::slice::from_ref(&to)));
    assert!(docker(&[from.clone(), to.clone()]));
    // Somebody's answers pass anyhow, as with ufw.
    let answers = ("DOCKER-USER", vec![xt("conntrack"), accept.clone()]);
    assert!(docker(&[answers.clone(), from.clone()]));
    assert!(!docker(&[answers]));
    // A drop before them is one.
    let drop = ("DOCKER-USER", vec![json!({"drop": null})]);
    assert!(!docker(&[drop, from, to]));
}

#[test]
fn what_owners_write_by_hand_is_read() {
    let accept = json!({"accept": null});
    let is =
        |left: Value, right: Value| json!({"match": {"op": "==", "left": left, "right": right}});
    let states = json!({"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [
        ["invalid", {"drop": null}], ["established", {"accept": null}], ["related", {"accept": null}]]}}});
    let answers = ("FORWARD", vec![states]);
    let answers_too = (
        "FORWARD",
        vec![state(&["established", "related"]), accept.clone()],
    );
    let iif = json!({"meta": {"key": "iifname"}});
    let source = json!({"payload": {"protocol": "ip", "field": "saddr"}});
    let net = |text: &str, len: u8| json!({"prefix": {"addr": text, "len": len}});
    for (fits, test) in [
        (true, is(iif.clone(), json!("warren*"))),
        (
            true,
            is(iif.clone(), json!({"set": ["eth5", "warren-exit"]})),
        ),
        (true, is(iif.clone(), json!("@inside"))),
        (false, is(iif.clone(), json!("eth5"))),
        (true, is(source.clone(), net("10.0.0.0", 8))),
        (false, is(source.clone(), net("10.78.0.0", 16))),
        (
            true,
            json!({"match": {"op": "!=", "left": iif, "right": "eth0"}}),
        ),
        (true, device("oifname", "eth0")),
        (false, device("oifname", "docker0")),
        (
            false,
            is(json!({"meta": {"key": "l4proto"}}), json!("icmp")),
        ),
        (false, is(json!({"meta": {"key": "mark"}}), json!(1))),
        (false, json!({"limit": {"rate": 5, "per": "second"}})),
        (false, state(&["established"])),
        (true, state(&["established", "new"])),
    ] {
        let rule = ("FORWARD", vec![test.clone(), accept.clone()]);
        for answers in [&answers, &answers_too] {
            assert_eq!(passes(&[answers.clone(), rule.clone()]), fits, "{test}");
        }
        assert!(!passes(&[("OTHER", rule.1)]), "{test}: nobody leads there");
    }
    assert!(!passes(&[answers]));
    let by_device = json!({"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": [
        ["eth0", {"jump": {"target": "in"}}], ["warren-exit", {"goto": {"target": "out"}}]]}}});
    let rules = [
        ("FORWARD", vec![by_device]),
        ("in", vec![device("oifname", "warren-exit"), accept.clone()]),
        ("out", vec![accept.clone()]),
    ];
    assert!(passes(&rules));
    assert!(!passes(&rules[..2]));
    // Chains that lead to each other lead nowhere.
    let round = json!({"jump": {"target": "FORWARD"}});
    assert!(!passes(&both_ways("FORWARD", &round)));
}
