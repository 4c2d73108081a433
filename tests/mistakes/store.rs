//! A store that is not what was written: a flipped byte, an older copy, a missing folder; and going on with it.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::devchain::Devchain;
use crate::home::{Home, until};
use crate::payer::opens_a_channel;

/// A stopped node whose store has a channel and some batches.
fn stopped(chain: &Devchain) -> Home {
    let home = Home::bare().with_wallet(&chain.pins);
    let daemon = home.start();
    opens_a_channel(&home, &chain.pins);
    until("some batches", || match batches(&home) {
        it @ 20.. => Ok(it),
        it => Err(it.to_string()),
    });
    daemon.stop();
    home
}

fn batches(home: &Home) -> u64 {
    home.status()["store"]["batches"].as_u64().unwrap()
}

/// The daemon starts, and the channel that was paid into is there: on disk, or told by the chain again.
fn has_its_channel(home: &Home) {
    let daemon = home.start();
    until("the channel", || {
        let told = home.ask(&["channel", "ls"]).data();
        let channel = &told["channels"][0];
        if channel["state"] == "open" && channel["deposit"]["value"] == "3" {
            Ok(())
        } else {
            Err(told.to_string())
        }
    });
    daemon.stop();
}

fn node_of(home: &Home) -> String {
    let shown = fs::read_to_string(home.file("daemon.log")).unwrap();
    let at = shown.find("node=").expect("the log names the node") + 5;
    shown[at..at + 8].to_owned()
}

fn files(home: &Home, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.file("db")).unwrap();
    let paths = entries.map(|it| it.unwrap().path());
    paths
        .filter(|it| it.to_string_lossy().contains(ending))
        .collect()
}

fn flip(file: &PathBuf) -> Vec<u8> {
    let whole = fs::read(file).unwrap();
    let mut bent = whole.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 1;
    fs::write(file, bent).unwrap();
    whole
}

#[test]
fn one_flipped_byte_is_noticed_and_mended_by_putting_it_back() {
    let chain = Devchain::start();
    let home = stopped(&chain);
    for ending in [".log", "MANIFEST", "CURRENT"] {
        let file = files(&home, ending).pop().unwrap();
        let whole = flip(&file);
        let problem = home.refused(&["daemon"], 1, "W1302");
        assert!(
            problem["next"]
                .as_str()
                .unwrap()
                .contains("warren recover --store"),
            "{problem}"
        );
        fs::write(&file, whole).unwrap();
    }
    has_its_channel(&home);
}

#[test]
fn going_on_with_a_damaged_store_needs_the_owners_word_and_keeps_the_rest() {
    let chain = Devchain::start();
    let home = stopped(&chain);
    let node = node_of(&home);
    flip(&files(&home, ".log").pop().unwrap());
    let damaged = fs::read(files(&home, ".log").pop().unwrap()).unwrap();

    let problem = home.refused(&["recover", "--store"], 11, "W1403");
    assert!(
        problem["seen"].as_str().unwrap().contains("may lose words"),
        "{problem}"
    );
    let path = home.path().display();
    let with_word = format!("warren --home {path} recover --store --accept {node}");
    assert_eq!(problem["next"], with_word.as_str());
    home.refused(&["recover", "--store", "--accept", "yes"], 11, "W1403");
    assert_eq!(
        fs::read(files(&home, ".log").pop().unwrap()).unwrap(),
        damaged,
        "not touched yet"
    );
    home.refused(&["daemon"], 1, "W1302");

    let accepted = home.ask(&["recover", "--store", "--accept", &node]).data();
    let number = |key: &str| accepted[key].as_u64().unwrap();
    assert!(
        0 < number("found") && number("found") < number("confirmed"),
        "{accepted}"
    );
    assert_eq!(number("goes_on_with"), number("confirmed") + 1);
    let copy = PathBuf::from(accepted["copy"].as_str().unwrap());
    assert!(copy.join("db.head").exists() && copy.join("db").is_dir());

    let daemon = home.start();
    assert_eq!(home.status()["node"].as_str().unwrap()[..8], node);
    daemon.stop();
    has_its_channel(&home);
    let again: Value = home.ask(&["recover", "--store"]).data();
    assert_eq!(again["sound"], true, "{again}");
}

#[test]
fn what_the_engine_cannot_open_at_all_is_saved_record_by_record() {
    let chain = Devchain::start();
    let home = stopped(&chain);
    let node = node_of(&home);
    flip(&files(&home, "MANIFEST").pop().unwrap());
    home.refused(&["recover", "--store"], 11, "W1403");
    home.ask(&["recover", "--store", "--accept", &node]).data();
    has_its_channel(&home);
}

#[test]
fn an_older_copy_of_the_store_is_refused_until_its_owner_accepts_it() {
    let chain = Devchain::start();
    let home = stopped(&chain);
    let node = node_of(&home);
    fs::create_dir(home.file("older")).unwrap();
    for file in files(&home, "") {
        fs::copy(&file, home.file("older").join(file.file_name().unwrap())).unwrap();
    }
    let daemon = home.start();
    let seen = batches(&home);
    until("more batches", || {
        if batches(&home) > seen + 5 {
            Ok(())
        } else {
            Err(String::new())
        }
    });
    daemon.stop();
    fs::remove_dir_all(home.file("db")).unwrap();
    fs::rename(home.file("older"), home.file("db")).unwrap();
    home.refused(&["daemon"], 1, "W1301");
    home.refused(&["recover", "--store"], 11, "W1403");
    let accepted = home.ask(&["recover", "--store", "--accept", &node]).data();
    assert!(
        accepted["found"].as_u64() < accepted["confirmed"].as_u64(),
        "{accepted}"
    );
    has_its_channel(&home);
}

#[test]
fn a_store_that_is_gone_is_not_replaced_in_silence() {
    let chain = Devchain::start();
    let home = stopped(&chain);
    fs::rename(home.file("db"), home.file("elsewhere")).unwrap();
    home.refused(&["daemon"], 1, "W1301");
    assert!(!home.file("db").exists());
    fs::rename(home.file("elsewhere"), home.file("db")).unwrap();
    has_its_channel(&home);
}

#[test]
fn a_running_daemons_store_is_not_touched() {
    let chain = Devchain::start();
    let home = Home::bare().with_wallet(&chain.pins);
    let daemon = home.start();
    home.refused(&["recover", "--store", "--accept", "12345678"], 9, "W1104");
    assert_eq!(home.warnings(), Vec::<String>::new());
    daemon.stop();
    let nowhere = Home::bare();
    home.refused(
        &[
            "--home",
            nowhere.path().to_str().unwrap(),
            "recover",
            "--store",
        ],
        5,
        "W1502",
    );
    assert!(!nowhere.file("db").exists() && !nowhere.file("node.key").exists());
}

#[test]
fn another_nodes_key_does_not_open_this_store() {
    let chain = Devchain::start();
    let home = stopped(&chain);
    let other = Home::bare();
    other.start().stop();
    let key = fs::read(home.file("node.key")).unwrap();
    fs::write(
        home.file("node.key"),
        fs::read(other.file("node.key")).unwrap(),
    )
    .unwrap();
    home.refused(&["daemon"], 9, "W1305");
    home.refused(&["recover", "--store"], 9, "W1305");
    fs::write(home.file("node.key"), key).unwrap();
    has_its_channel(&home);
}
