//! A chain that is another one, that is not there, that dies, stalls or lies.

use crate::devchain::{Devchain, Manner, Pins, nobody};
use crate::home::{Daemon, Home, until};

/// Nothing of the money can be asked, everything else can.
fn lives_without_its_chain(home: &Home) {
    for verb in [
        &["wallet", "show"][..],
        &["fund"],
        &["fund", "--faucet", "1"],
    ] {
        let problem = home.refused(verb, 6, "W5104");
        assert_eq!(problem["next"], "warren config explain chain.rpc_url");
    }
    let status = home.status();
    assert_eq!(status["chain"]["fresh"], false, "{status}");
    assert_eq!(home.warnings(), ["W5104"]);
    home.ask(&["channel", "ls"]).data();
    home.ask(&["ledger"]).data();
}

pub(crate) fn is_well(home: &Home) {
    until("the chain to be fresh", || {
        let status = home.status();
        let is_fresh =
            status["chain"]["fresh"] == true && status["warnings"] == serde_json::json!([]);
        if is_fresh {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
}

pub(crate) fn funded<'a>(home: &'a Home, tokens: &str) -> Daemon<'a> {
    let daemon = home.start();
    home.ask(&["fund", "--faucet", tokens]).data();
    until("the money", || {
        let wallet = home.ask(&["wallet", "show"]).data();
        if wallet["tokens"]["base_units"] == "0" {
            Err(wallet.to_string())
        } else {
            Ok(())
        }
    });
    daemon
}

/// A node with money goes through `trouble` with its chain: all is well once the chain is honest
/// again, and nothing is lost.
fn comes_through(trouble: impl FnOnce(&Devchain, &Home)) {
    let chain = Devchain::start();
    let home = Home::bare().with_wallet(&chain.pins);
    let daemon = funded(&home, "5");
    let before = home.books();
    trouble(&chain, &home);
    chain.becomes(Manner::Honest);
    is_well(&home);
    assert_eq!(home.books(), before);
    daemon.stop();
}

#[test]
fn another_chain_id_or_contract_is_refused_before_anything_is_asked_of_it() {
    let chain = Devchain::start();
    let good = chain.pins.clone();
    let other_id = Pins {
        chain_id: 1,
        ..good.clone()
    };
    let no_code = Pins {
        contract: "0x00000000000000000000000000000000000000aa".to_owned(),
        ..good.clone()
    };
    let other_code = Pins {
        contract: good.token.clone(),
        ..good.clone()
    };
    let other_token = Pins {
        token: good.contract.clone(),
        ..good.clone()
    };
    let home = Home::bare().with_wallet(&good);
    for (pins, key, seen) in [
        (&other_id, "chain.chain_id", "chain id is 7761, expected 1"),
        (
            &no_code,
            "chain.contract",
            "nothing at 0x00000000000000000000000000000000000000aa",
        ),
        (&other_code, "chain.contract", "contract code is keccak"),
        (&other_token, "chain.token", "token is "),
    ] {
        home.told_of(pins, &[]);
        let problem = home.refused(&["daemon"], 10, "W5105");
        assert!(
            problem["seen"].as_str().unwrap().contains(seen),
            "{problem}"
        );
        assert_eq!(problem["next"], format!("warren config explain {key}"));
    }
    home.told_of(&good, &[]);
    let section = good.section();
    let passphrase = home.path().join("passphrase");
    home.configure(&format!(
        "{section}token_decimals = 6\n[wallet]\npassphrase_file = {passphrase:?}\n"
    ));
    let problem = home.refused(&["daemon"], 10, "W5105");
    let seen = problem["seen"].as_str().unwrap();
    assert!(seen.contains("decimals is 18, expected 6"), "{seen}");
    assert_eq!(
        problem["next"],
        "warren config explain chain.token_decimals"
    );
    home.told_of(&good, &[]);
    let daemon = home.start();
    is_well(&home);
    daemon.stop();
}

#[test]
fn a_chain_that_nobody_serves_is_a_warning_until_somebody_does() {
    let chain = Devchain::start();
    let url = nobody();
    let home = Home::bare().with_wallet(&Pins {
        url,
        ..chain.pins.clone()
    });
    let daemon = home.start();
    lives_without_its_chain(&home);
    daemon.stop();
    home.told_of(&chain.pins, &[]);
    let daemon = home.start();
    is_well(&home);
    daemon.stop();
}

#[test]
fn a_chain_that_dies_while_the_daemon_runs_is_told_and_taken_back() {
    comes_through(|chain, home| {
        chain.becomes(Manner::Dead);
        lives_without_its_chain(home);
    });
}

#[test]
fn a_chain_that_stalls_holds_up_nothing_but_questions_about_money() {
    comes_through(|chain, home| {
        chain.becomes(Manner::Silent);
        assert_eq!(home.warnings(), ["W5104"]);
        home.ask(&["channel", "ls"]).data();
        home.refused(&["wallet", "show"], 6, "W5104");
    });
}

/// Somebody who asks a daemon that has yet to hear of its chain waits for it, and is not told that there is none.
#[test]
fn a_daemon_that_begins_while_its_chain_stalls_is_there_to_be_asked() {
    let chain = Devchain::start();
    let home = Home::bare().with_wallet(&chain.pins);
    chain.becomes(Manner::Silent);
    let daemon = home.launch();
    until("the chain to be asked", || match chain.unanswered() {
        0 => Err("nobody asks".to_owned()),
        _ => Ok(()),
    });
    assert_eq!(home.warnings(), ["W5104"]);
    chain.becomes(Manner::Honest);
    is_well(&home);
    daemon.stop();
}

#[test]
fn a_chain_that_lies_is_not_believed() {
    comes_through(|chain, home| {
        for manner in [Manner::Babble, Manner::Nonsense] {
            chain.becomes(manner);
            lives_without_its_chain(home);
        }
    });
}

/// A node that did not answer at the start and then turns out to be on another chain.
#[test]
fn a_chain_that_comes_late_and_is_another_one_gets_no_trust() {
    let chain = Devchain::start();
    let home = Home::bare().with_wallet(&chain.pins);
    chain.becomes(Manner::Dead);
    let daemon = home.start();
    assert_eq!(home.warnings(), ["W5104"]);
    chain.becomes(Manner::OtherChain);
    until("the other chain to be noticed", || {
        let warnings = home.warnings();
        if warnings == ["W5105"] {
            Ok(())
        } else {
            Err(format!("{warnings:?}"))
        }
    });
    assert_eq!(home.status()["chain"]["fresh"], false);
    chain.becomes(Manner::Honest);
    is_well(&home);
    daemon.stop();
}
