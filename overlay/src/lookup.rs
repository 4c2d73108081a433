//! Finds the addresses behind the name of a bootstrap node.

use std::collections::BTreeSet;
use std::time::Duration;

use libp2p::{Multiaddr, PeerId};
use tokio::net::lookup_host;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::address;
use crate::command::Command;
use crate::counters::Counters;

// Our choice.
/// A name server gets so long.
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);
/// Addresses taken of one name.
const MAX_ADDRESSES: usize = 8;

/// Looks a name up, and hands what it stands for to the actor. Whoever answers there must still
/// prove to be `peer`, so a lying name server can only keep us from it.
pub(crate) async fn look_up(
    peer: PeerId,
    named: Multiaddr,
    actor: mpsc::WeakSender<Command>,
    counters: Counters,
) {
    let Some(name) = address::name(&named) else {
        return;
    };
    // The port is in the rest of the multiaddr; the resolver wants one and does not look at it.
    let Ok(Ok(found)) = timeout(LOOKUP_LIMIT, lookup_host((name.as_str(), 0))).await else {
        tracing::warn!(name, "the name of a bootstrap node was not found");
        counters.count("bootstrap", "name_not_found");
        return;
    };
    let addresses: BTreeSet<Multiaddr> = found
        .filter_map(|it| address::resolved(&named, it.ip()))
        .take(MAX_ADDRESSES)
        .collect();
    if let Some(actor) = actor.upgrade() {
        // The actor may be gone; then nobody needs to know.
        let _ = actor
            .send(Command::Resolved {
                peer,
                addresses: addresses.into_iter().collect(),
            })
            .await;
    }
}
