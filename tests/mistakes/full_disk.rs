//! The disk fills up under a running daemon.

use serde_json::Value;

use crate::devchain::Devchain;
use crate::disk::Disk;
use crate::home::{Home, until};
use crate::payer::opens_a_channel;
use crate::seller::Seller;

const MIB: u64 = 1 << 20;

fn batches(home: &Home) -> u64 {
    home.status()["store"]["batches"].as_u64().unwrap()
}

fn takes(home: &Home) -> Value {
    home.status()["store"]["takes_liabilities"].clone()
}

#[test]
fn a_full_disk_stops_what_is_new_and_loses_nothing() {
    let Some(disk) = Disk::mount(256) else { return };
    let chain = Devchain::start();
    let seller = Seller::start(&chain.pins);
    let home = Home::on(disk).with_wallet(&chain.pins);
    home.told_of(&chain.pins, &seller.addresses());
    let daemon = home.start();
    home.ask(&["fund", "--faucet", "5"]).data();
    until("money and an offer", || {
        let wallet = home.ask(&["wallet", "show"]).data();
        let told = home.ask(&["exits", "--refresh"]);
        if wallet["tokens"]["value"] == "5" && told.exit == 0 {
            Ok(())
        } else {
            Err(format!("{wallet} {}", told.err))
        }
    });
    opens_a_channel(&home, &chain.pins);
    let (before, begun) = (home.books(), batches(&home));
    assert_eq!(takes(&home), true);

    // Below the floor: nothing new, everything else.
    home.disk().fill_up_to(40 * MIB);
    assert_eq!(takes(&home), false);
    assert_eq!(home.warnings(), ["W1304"]);
    let problem = home.refused(&["up"], 1, "W1304");
    assert!(
        problem["next"].as_str().unwrap().contains("df -h"),
        "{problem}"
    );
    home.refused(&["exit", "enable", "--yes"], 1, "W1304");
    assert_eq!(home.books(), before);

    // Full: it answers, and what is under way goes on.
    home.disk().fill_up_to(0);
    home.refused(&["up"], 1, "W1304");
    assert_eq!(home.books(), before);
    daemon.stop();

    // Opening again needs space: the ballast is thrown off for it.
    home.disk().fill_up_to(0);
    let daemon = home.start();
    assert!(!home.file("db.ballast").exists());
    assert_eq!(home.warnings(), ["W1304"]);
    assert_eq!(home.books(), before);
    let seen = batches(&home);
    until("batches in what the ballast left", || {
        let now = batches(&home);
        if now > seen {
            Ok(())
        } else {
            Err(now.to_string())
        }
    });
    daemon.stop();

    // Full again, with nothing left to throw off: better not to run than to forget.
    home.disk().fill_up_to(0);
    home.refused(&["daemon"], 1, "W1304");

    // Space again: nothing was lost, and new things are taken on.
    home.disk().empty();
    let daemon = home.start();
    assert_eq!(home.books(), before);
    assert!(batches(&home) > begun);
    assert!(home.file("db.ballast").exists());
    assert_eq!(takes(&home), true);
    home.refused(&["up"], 4, "W2102");
    daemon.stop();
}

/// Space that comes back under a running daemon is noticed without a restart.
#[test]
fn space_that_comes_back_is_taken_up_again() {
    let Some(disk) = Disk::mount(192) else { return };
    let chain = Devchain::start();
    let home = Home::on(disk).with_wallet(&chain.pins);
    let daemon = home.start();
    home.disk().fill_up_to(0);
    assert_eq!(takes(&home), false);
    home.disk().empty();
    assert_eq!(takes(&home), true);
    let seen = batches(&home);
    until("batches again", || {
        let now = batches(&home);
        if now > seen {
            Ok(())
        } else {
            Err(format!("{now}: {}", daemon.printed()))
        }
    });
    assert_eq!(home.warnings(), Vec::<String>::new());
    daemon.stop();
}
