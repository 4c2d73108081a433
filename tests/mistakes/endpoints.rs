//! Several endpoints of one chain, of which one dies, lags, lies, or is another chain: what is said, and that nothing is
//! lost. No secret of an address is ever said.

use serde_json::{Value, json};

use crate::chain::{funded, is_well};
use crate::devchain::{Devchain, Manner, Pins, SECRET, Wire};
use crate::home::{Daemon, Home, until};
use crate::payer::{knows_its_channel, opens_on_chain};

/// A chain with so many wires more, and the pins of a node that asks them all.
fn ways<const N: usize>() -> (Devchain, [Wire; N], Pins) {
    let chain = Devchain::start();
    let wires = std::array::from_fn(|_| chain.wire());
    let pins = Pins {
        others: wires.iter().map(|it: &Wire| it.url.clone()).collect(),
        ..chain.pins.clone()
    };
    (chain, wires, pins)
}

/// What the status says of the endpoint at this place.
fn endpoint(home: &Home, place: usize) -> Value {
    home.status()["chain"]["endpoints"][place].clone()
}

/// Waits until the status warns of this and of nothing else.
fn warns(home: &Home, code: &str) {
    until("the warning", || {
        let warnings = home.warnings();
        if warnings == [code] {
            Ok(())
        } else {
            Err(format!("{warnings:?}"))
        }
    });
    assert_eq!(home.status()["chain"]["fresh"], false);
}

fn no_secret(home: &Home, daemon: &Daemon<'_>) {
    for verb in [
        &["status"][..],
        &["config", "show"],
        &["config", "explain", "chain.rpc_url"],
    ] {
        for told in [home.run(verb), home.ask(verb)] {
            assert!(!format!("{told:?}").contains(SECRET), "{told:?}");
        }
    }
    assert!(!daemon.printed().contains(SECRET), "{}", daemon.printed());
}

#[test]
fn one_of_two_endpoints_that_dies_stops_new_money_and_nothing_else() {
    let (_chain, [wire], pins) = ways();
    let home = Home::bare().with_wallet(&pins);
    let daemon = funded(&home, "5");
    let before = home.books();
    for manner in [Manner::Dead, Manner::Babble, Manner::Nonsense] {
        wire.becomes(manner);
        for verb in [&["wallet", "show"][..], &["fund"]] {
            let problem = home.refused(verb, 6, "W5111");
            assert!(!problem.to_string().contains(SECRET), "{problem}");
        }
        warns(&home, "W5111");
        assert_eq!(endpoint(&home, 0)["state"], "up");
        assert_eq!(endpoint(&home, 1)["state"], "down");
        home.ask(&["channel", "ls"]).data();
        home.ask(&["ledger"]).data();
    }
    no_secret(&home, &daemon);
    wire.becomes(Manner::Honest);
    is_well(&home);
    assert_eq!(home.books(), before);
    daemon.stop();
}

#[test]
fn two_endpoints_that_tell_of_different_sums_are_both_not_believed() {
    let (_chain, [wire], pins) = ways();
    let home = Home::bare().with_wallet(&pins);
    let daemon = funded(&home, "5");
    let before = home.books();
    wire.becomes(Manner::Flattering);
    for verb in [&["wallet", "show"][..], &["fund"]] {
        home.refused(verb, 1, "W5112");
    }
    home.ask(&["channel", "ls"]).data();
    no_secret(&home, &daemon);
    wire.becomes(Manner::Honest);
    is_well(&home);
    assert_eq!(home.books(), before);
    daemon.stop();
}

#[test]
fn a_deposit_that_one_of_two_endpoints_invents_does_not_count() {
    let (chain, [wire], pins) = ways();
    let home = Home::bare().with_wallet(&pins);
    let daemon = home.start();
    is_well(&home);
    wire.becomes(Manner::Inventing);
    opens_on_chain(&home, &chain.pins);
    warns(&home, "W5112");
    assert_eq!(home.ask(&["channel", "ls"]).data()["channels"], json!([]));
    wire.becomes(Manner::Honest);
    knows_its_channel(&home);
    is_well(&home);
    daemon.stop();
}

#[test]
fn an_endpoint_that_lies_alone_among_three_is_overruled() {
    let (chain, [liar, other], pins) = ways();
    let home = Home::bare().with_wallet(&pins);
    let daemon = home.start();
    liar.becomes(Manner::Inventing);
    opens_on_chain(&home, &chain.pins);
    knows_its_channel(&home);
    is_well(&home);
    until("the liar to be overruled", || {
        let liar = endpoint(&home, 1);
        if liar["overruled"].as_u64() > Some(0) {
            Ok(())
        } else {
            Err(liar.to_string())
        }
    });
    assert_eq!(endpoint(&home, 0)["overruled"], 0);
    // With the third one dead, a liar and an honest one are no quorum.
    liar.becomes(Manner::Flattering);
    let before = home.ask(&["wallet", "show"]).data();
    other.becomes(Manner::Dead);
    until("the contradiction", || {
        let told = home.ask(&["wallet", "show"]);
        if told.exit == 1 {
            Ok(())
        } else {
            Err(format!("{told:?}"))
        }
    });
    home.refused(&["wallet", "show"], 1, "W5112");
    liar.becomes(Manner::Honest);
    is_well(&home);
    assert_eq!(home.ask(&["wallet", "show"]).data(), before);
    daemon.stop();
}

#[test]
fn an_endpoint_that_lags_holds_back_two_and_not_three() {
    let (chain, [late], pins) = ways();
    let home = Home::bare().with_wallet(&pins);
    let daemon = home.start();
    is_well(&home);
    let newest = chain.tip();
    late.becomes(Manner::Behind(newest));
    opens_on_chain(&home, &chain.pins);
    until("the lag to be seen", || {
        let late = endpoint(&home, 1);
        if late["lag_blocks"].as_u64() > Some(0) {
            Ok(())
        } else {
            Err(late.to_string())
        }
    });
    let status = home.status();
    assert!(
        status["chain"]["head_block"].as_u64() <= Some(newest),
        "{status}"
    );
    assert_eq!(home.ask(&["channel", "ls"]).data()["channels"], json!([]));
    daemon.stop();
    let third = chain.wire();
    let mut three = pins.clone();
    three.others.push(third.url.clone());
    home.told_of(&three, &[]);
    let daemon = home.start();
    knows_its_channel(&home);
    is_well(&home);
    assert_eq!(endpoint(&home, 1)["state"], "up");
    daemon.stop();
}

#[test]
fn an_endpoint_of_another_chain_has_no_voice_and_two_of_them_stop_the_start() {
    let (chain, [wire], pins) = ways();
    let home = Home::bare().with_wallet(&pins);
    for manner in [Manner::OtherChain, Manner::OtherCode] {
        wire.becomes(manner);
        let daemon = home.start();
        warns(&home, "W5111");
        assert_eq!(endpoint(&home, 1)["state"], "wrong");
        home.refused(&["wallet", "show"], 6, "W5111");
        no_secret(&home, &daemon);
        daemon.stop();
        chain.becomes(manner);
        home.refused(&["daemon"], 10, "W5105");
        chain.becomes(Manner::Honest);
    }
    wire.becomes(Manner::Honest);
    let daemon = home.start();
    is_well(&home);
    daemon.stop();
}

#[test]
fn a_list_of_endpoints_that_cannot_be_is_refused_without_its_secrets() {
    let (_chain, [], pins) = ways();
    let home = Home::bare();
    home.passphrase("correct horse");
    let url = format!("http://user:{SECRET}@127.0.0.1:1/{SECRET}");
    for (urls, quorum) in [
        (json!([url, url]), 0),
        (json!([url, "http://127.0.0.1:2"]), 3),
        (json!([format!("ws://user:{SECRET}@127.0.0.1:1")]), 0),
        (json!(format!("{url},http://127.0.0.1:2")), 0),
    ] {
        let (id, contract, token) = (pins.chain_id, &pins.contract, &pins.token);
        home.configure(&format!(
            "[chain]\nrpc_url = {urls}\nquorum = {quorum}\nchain_id = {id}\ncontract = \"{contract}\"\ntoken = \"{token}\"\n"
        ));
        let problem = home.refused(&["config", "validate"], 10, "W1004");
        assert!(!problem.to_string().contains(SECRET), "{problem}");
    }
}
