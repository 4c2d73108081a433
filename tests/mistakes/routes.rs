//! Routers that are none, or lie; and ways that are none.

use crate::devchain::Devchain;
use crate::home::{Home, until};
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
