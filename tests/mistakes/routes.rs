//! Routers that are none, or lie; and ways that are none.

use crate::devchain::Devchain;
use crate::home::{Home, until};
use crate::money::gets_two_tokens;
use crate::router::{Manner, Router};

#[test]
fn a_router_that_is_none_or_lies_is_opened_no_channel_to() {
    let chain = Devchain::start();
    for (manner, exit, code) in [
        (Manner::Modest, 1, "W5113"),
        (Manner::Borrowed, 8, "W5114"),
        (Manner::Forged, 8, "W5114"),
        (Manner::Foreign, 1, "W5113"),
    ] {
        let router = Router::start(chain.pins.chain_ref(), manner);
        let home = Home::bare().with_wallet(&chain.pins);
        home.told_of(&chain.pins, &router.addresses());
        let daemon = home.start();
        until("the router", || {
            let peers = home.ask(&["net", "peers"]).data();
            match peers["peers"].as_array() {
                Some(list) if !list.is_empty() => Ok(()),
                _ => Err(peers.to_string()),
            }
        });
        let before = home.books();
        let node = router.node().to_string();
        let open = ["channel", "open", "--router", &node, "--amount", "1"];
        let problem = home.refused(&open, exit, code);
        assert!(problem["next"].is_string(), "{manner:?}: {problem}");
        // By the beginning of its id, too; and nobody begins like this.
        home.refused(&["channel", "open", "--router", &node[..8]], exit, code);
        home.refused(&["channel", "open", "--router", "ffffffff"], 5, "W1502");
        assert_eq!(home.books(), before, "{manner:?}");
        let channels = home.ask(&["channel", "ls"]).data();
        assert_eq!(channels["channels"], serde_json::json!([]), "{manner:?}");
        let routes = home.ask(&["channel", "routes"]).data();
        assert_eq!(routes["neighbours"], serde_json::json!([]), "{manner:?}");
        daemon.stop();
    }
}

#[test]
fn a_way_that_is_none_is_said_to_be_none() {
    let chain = Devchain::start();
    let home = Home::bare().with_wallet(&chain.pins);
    let daemon = home.start();
    for way in ["no-way", "12", ""] {
        home.refused(&["up", "--route", way], 2, "W1501");
    }
    daemon.stop();
}

#[test]
fn two_routers_that_cannot_be_had_are_not_replaced_by_one() {
    let chain = Devchain::start();
    let router = Router::start(chain.pins.chain_ref(), Manner::Sound);
    let home = Home::bare().with_wallet(&chain.pins);
    home.told_of(&chain.pins, &router.addresses());
    let daemon = home.start();
    let two = ["up", "--routers", "2"];
    // No channel to a first one.
    let problem = home.refused(&two, 1, "W5113");
    assert_eq!(problem["next"], "warren channel open --router auto");
    gets_two_tokens(&home);
    let node = router.node().to_string();
    until("the router to be found", || {
        let found = home.ask(&["channel", "routers"]).data();
        match found["routers"].as_array() {
            Some(list) if list.iter().any(|it| it["node"] == *node) => Ok(()),
            _ => Err(found.to_string()),
        }
    });
    let open = ["channel", "open", "--router", &node, "--deposit", "1"];
    home.ask(&open).data();
    // The only router there is would be the first.
    let before = home.ask(&["channel", "ls"]).data();
    let problem = home.refused(&two, 5, "W5120");
    let next = problem["next"].as_str().expect("a next step");
    assert!(next.contains("--routers 1"), "{problem}");
    // By one, the next thing that is missing is the right to the firewall.
    home.refused(&["up", "--routers", "1"], 4, "W2102");
    assert_eq!(home.ask(&["channel", "ls"]).data(), before);
    home.refused(&["up", "--routers", "2", "--route", "direct"], 2, "W1501");
    daemon.stop();
}
