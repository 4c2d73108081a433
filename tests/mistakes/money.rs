//! No money, or no way to it.

use std::fs;

use crate::devchain::Devchain;
use crate::home::{Home, until};
use crate::seller::Seller;

/// A chain, an exit, and a node with an empty wallet that was told of both.
fn market() -> (Devchain, Seller, Home) {
    let chain = Devchain::start();
    let seller = Seller::start(&chain.pins);
    let home = Home::bare().with_wallet(&chain.pins);
    home.told_of(&chain.pins, &seller.addresses());
    (chain, seller, home)
}

fn knows_an_exit(home: &Home) {
    until("an offer", || {
        let told = home.ask(&["exits", "--refresh"]);
        if told.exit == 0 {
            Ok(())
        } else {
            Err(told.err)
        }
    });
}

#[test]
fn an_empty_wallet_buys_nothing_and_says_what_is_missing() {
    let (_chain, _seller, home) = market();
    let daemon = home.start();
    knows_an_exit(&home);
    let before = home.books();
    // Money is looked at before anything of this machine is touched: the firewall was not even asked for.
    let problem = home.refused(&["up"], 7, "W5101");
    assert_eq!(problem["next"], "warren fund");
    assert!(
        problem["seen"]
            .as_str()
            .unwrap()
            .contains("the wallet has 0 WRN"),
        "{problem}"
    );
    // `fund` is the remedy: it must work with nothing in the wallet.
    let fund = home.ask(&["fund"]).data();
    assert_eq!(fund["tokens"]["base_units"], "0");
    home.refused(&["channel", "claim"], 5, "W5108");
    home.refused(&["channel", "show", "0xab"], 5, "W1502");
    home.refused(&["channel", "close", "0xab"], 5, "W1502");
    assert_eq!(home.books(), before);
    assert_eq!(
        home.ask(&["channel", "ls"]).data()["channels"],
        serde_json::json!([])
    );
    daemon.stop();
}

#[test]
fn an_exit_is_shown_by_its_name_and_what_is_none_is_refused() {
    let (_chain, _seller, home) = market();
    let daemon = home.start();
    knows_an_exit(&home);
    let listed = home.ask(&["exits"]).data();
    let row = &listed["exits"][0];
    let node = row["node"].as_str().unwrap();
    let shown = home.ask(&["exits", "show", &node[..8]]).data();
    assert_eq!(shown["exit"]["node"], row["node"]);
    assert_eq!((&shown["place"], &shown["choice"]), (&1.into(), &1.into()));
    assert_eq!(shown["left_out"], serde_json::json!([]));
    let reasons = shown["exit"]["reasons"].as_array().unwrap();
    let points = |it: &serde_json::Value| it["points"].as_u64().unwrap();
    let sum: u64 = reasons.iter().map(points).sum();
    assert_eq!(sum, points(&shown["exit"]), "{shown}");
    let first = (&reasons[0]["by"], &reasons[0]["text"]);
    let words = "0.002048 WRN for a GiB with its share of the minutes";
    assert_eq!(first, (&"price".into(), &words.into()));
    home.refused(&["exits", "show", "ffffffff"], 5, "W4101");
    home.refused(&["exits", "show", "exit1"], 2, "W1501");
    daemon.stop();
}

pub(crate) fn gets_two_tokens(home: &Home) {
    home.ask(&["fund", "--faucet", "2"]).data();
    until("the money", || {
        let wallet = home.ask(&["wallet", "show"]).data();
        if wallet["tokens"]["value"] == "2" {
            Ok(())
        } else {
            Err(wallet.to_string())
        }
    });
}

#[test]
fn a_wallet_with_too_little_for_the_deposit_asked_for_is_told_both_sums() {
    let (_chain, _seller, home) = market();
    let daemon = home.start();
    knows_an_exit(&home);
    gets_two_tokens(&home);
    let before = home.books();
    let problem = home.refused(&["up", "--deposit", "3"], 7, "W5101");
    let seen = problem["seen"].as_str().unwrap();
    assert!(seen.contains("3 WRN") && seen.contains("2 WRN"), "{seen}");
    // With enough, the next thing that is missing is said: the right to the firewall.
    home.refused(&["up", "--deposit", "1"], 4, "W2102");
    assert_eq!(home.books(), before);
    daemon.stop();
}

#[test]
fn a_node_without_a_chain_is_told_which_key_names_one() {
    let home = Home::bare();
    let daemon = home.start();
    for verb in [
        &["wallet", "show"][..],
        &["channel", "ls"],
        &["earn"],
        &["fund"],
    ] {
        let problem = home.refused(verb, 10, "W1005");
        assert_eq!(problem["next"], "warren config explain chain.rpc_url");
    }
    daemon.stop();
}

#[test]
fn a_node_without_a_wallet_says_so_and_how_to_make_one() {
    let chain = Devchain::start();
    let home = Home::bare();
    home.passphrase("correct horse");
    home.told_of(&chain.pins, &[]);
    let daemon = home.start();
    for verb in [
        &["wallet", "show"][..],
        &["fund"],
        &["channel", "ls"],
        &["ledger"],
    ] {
        let problem = home.refused(verb, 1, "W1204");
        assert_eq!(problem["next"], "warren wallet new");
    }
    assert_eq!(home.warnings(), ["W1204"]);
    daemon.stop();
}

#[test]
fn a_wrong_passphrase_opens_nothing_and_spoils_nothing() {
    let chain = Devchain::start();
    let home = Home::bare().with_wallet(&chain.pins);
    let daemon = home.start();
    let before = home.books();
    daemon.stop();
    let sealed = fs::read(home.file("wallet.age")).unwrap();
    home.passphrase("wrong horse");
    for verb in [&["daemon"][..], &["wallet", "backup"]] {
        let problem = home.refused(verb, 4, "W1205");
        assert!(!problem.to_string().contains("horse"), "{problem}");
    }
    fs::remove_file(home.file("passphrase")).unwrap();
    home.refused(&["daemon"], 4, "W1205");
    assert_eq!(fs::read(home.file("wallet.age")).unwrap(), sealed);
    home.passphrase("correct horse");
    let daemon = home.start();
    assert_eq!(home.books(), before);
    daemon.stop();
}

#[test]
fn a_damaged_wallet_file_is_refused_and_never_replaced() {
    let chain = Devchain::start();
    let home = Home::bare().with_wallet(&chain.pins);
    let sealed = fs::read(home.file("wallet.age")).unwrap();
    fs::write(home.file("wallet.age"), &sealed[..sealed.len() / 2]).unwrap();
    for verb in [&["daemon"][..], &["wallet", "backup"]] {
        home.refused(verb, 1, "W1202");
    }
    home.refused(&["wallet", "new", "--work-factor", "4"], 9, "W1203");
    assert_eq!(
        fs::read(home.file("wallet.age")).unwrap(),
        sealed[..sealed.len() / 2]
    );
    fs::write(home.file("wallet.age"), sealed).unwrap();
    home.start().stop();
}

/// What cannot be undone is said before, and done only when the address was said twice.
#[test]
fn a_beneficiary_is_fixed_once_with_consent_and_then_money_goes_nowhere_else() {
    let chain = Devchain::start();
    let home = Home::bare().with_wallet(&chain.pins);
    let daemon = home.start();
    gets_two_tokens(&home);
    let (safe, thief) = (
        &format!("0x{}", "5a".repeat(20)),
        &format!("0x{}", "66".repeat(20)),
    );
    let before = home.books();
    home.refused(&["wallet", "payout"], 5, "W5118");
    let shown = home.ask(&["wallet", "beneficiary"]).data();
    assert!(shown["beneficiary"].is_null());

    let asked = home
        .ask(&["wallet", "beneficiary", safe, "--dry-run"])
        .data();
    let text = asked["text"].as_str().unwrap();
    assert!(
        text.contains("cannot undo") && text.contains(safe.as_str()),
        "{text}"
    );
    let fee = |key: &str| {
        asked[key]["base_units"]
            .as_str()
            .unwrap()
            .parse::<u128>()
            .unwrap()
    };
    assert!(fee("fee") > 0 && fee("fee") < fee("fee_at_most"));
    assert!(asked["transaction"].is_null());
    let problem = home.refused(&["wallet", "beneficiary", safe], 11, "W1404");
    assert!(problem["seen"].as_str().unwrap().contains("cannot undo"));
    home.refused(
        &["wallet", "beneficiary", safe, "--yes-i-consent", thief],
        11,
        "W1404",
    );
    let nowhere = format!("0x{}", "00".repeat(20));
    let twice = [
        "wallet",
        "beneficiary",
        &nowhere,
        "--yes-i-consent",
        &nowhere,
    ];
    home.refused(&twice, 2, "W1501");
    assert_eq!(home.books(), before, "nothing was done so far");

    let fixed = home
        .ask(&["wallet", "beneficiary", safe, "--yes-i-consent", safe])
        .data();
    assert!(fixed["transaction"].is_string());
    let wallet = home.ask(&["wallet", "show"]).data();
    assert_eq!(wallet["beneficiary"].as_str(), Some(safe.as_str()));
    let again = home
        .ask(&["wallet", "beneficiary", safe, "--yes-i-consent", safe])
        .data();
    assert!(again["transaction"].is_null(), "it is so already");
    home.refused(
        &["wallet", "beneficiary", thief, "--yes-i-consent", thief],
        9,
        "W5117",
    );
    home.refused(&["wallet", "payout"], 7, "W5101");
    home.refused(&["withdraw", "--to", thief, "1"], 7, "W5101");
    daemon.stop();
}
