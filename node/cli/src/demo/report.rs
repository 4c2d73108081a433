//! What a run of the demo measured: `out.json`, schema `warren.demo/v1`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use warren_daemon::api::types::Schema;
use warren_proto::{Amount, ChannelId, NodeId};

use super::capture::Class;

/// Every figure is measured: read from a capture, a server's log, a ledger, or the contract.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this program.
    pub version: String,
    /// Whether every demand that the demo makes on itself was met.
    pub ok: bool,
    /// The demands that were not met, in words.
    pub unmet: Vec<String>,
    /// How many exits the consumer found, by which way.
    pub exits_found: Found,
    /// The exit that was bought from.
    pub exit: Seller,
    /// Agreed price of 1 GiB and of a minute, decimal in tokens.
    pub price_agreed: Agreed,
    /// Bytes of the download that arrived.
    pub bytes_delivered: u64,
    /// Whether they are the bytes that the server has.
    pub sha256_match: bool,
    /// Bits per second of the download.
    pub download_bits_per_second: u64,
    /// Addresses that the server saw the consumer's requests come from.
    pub source_seen_by_server: Vec<IpAddr>,
    /// Whether each of them is the exit's own.
    pub source_is_exit: bool,
    /// Packets on the consumer's line that are neither libp2p, WireGuard nor the chain's RPC.
    pub foreign_packets_on_consumer_uplink: u64,
    /// The first of them, described.
    pub foreign_samples: Vec<String>,
    /// Of them, those to or from a name server.
    pub dns_packets_on_consumer_uplink: u64,
    /// Addresses that the name server was asked from for the download's name.
    pub names_asked_from: Vec<IpAddr>,
    /// Whether each of them is the exit's own.
    pub names_by_exit: bool,
    /// Whether the consumer's `resolv.conf` is again what it was, byte for byte.
    pub resolver_restored: bool,
    /// All packets on that line by class.
    pub packets_on_consumer_uplink: BTreeMap<Class, u64>,
    /// Words that the consumer revealed: what it paid, in words.
    pub words_paid: u64,
    /// What they are worth, by the consumer's own ledger.
    pub paid_wei: Amount,
    /// What the exit was paid by the contract, read back from the chain.
    pub claimed_wei: Amount,
    /// The most that was delivered and not yet paid, in units, as seen at the exit while it served.
    pub delivered_minus_paid_units: u64,
    /// How much that may be.
    pub delivered_minus_paid_bound_units: u64,
    /// Whether the contract's tokens are the sum of its books.
    pub conserved: bool,
    /// The contract's books.
    pub books: Books,
    /// From starting the consumer to its first peer.
    pub join_ms: u64,
    /// From starting the consumer to its first offer.
    pub first_offer_ms: u64,
    /// From `up` to a tunnel that carries traffic, with a channel to be opened on chain.
    pub up_ms: u64,
    /// The same with the channel there already: no transaction.
    pub up_warm_ms: u64,
    /// Transactions that the consumer sent during the second `up`, by its ledger.
    pub up_warm_transactions: u64,
    /// What was paid by a route, through an exit that is a router too.
    pub routed: Routed,
    /// Processes, namespaces, devices, rules, routes and files that remained after the end.
    pub left_behind: Vec<String>,
    /// How long all of it took.
    pub total_ms: u64,
}

/// Bytes that the demo must deliver at least.
const LEAST_BYTES: u64 = 64 << 20;

impl Report {
    /// Holds the figures against what the demo demands of itself; says which demands are not met.
    pub fn judge(&mut self, exits: u32) {
        let all = Found {
            dht: exits,
            gossip: exits,
        };
        let demands = [
            (
                self.exits_found == all,
                "every exit found by DHT and by gossip",
            ),
            (
                self.bytes_delivered >= LEAST_BYTES,
                "at least 64 MiB delivered",
            ),
            (self.sha256_match, "the bytes that the server has"),
            (
                self.source_is_exit,
                "the server sees the exit's address only",
            ),
            (
                self.foreign_packets_on_consumer_uplink == 0,
                "no foreign packet on the uplink",
            ),
            (
                self.dns_packets_on_consumer_uplink == 0,
                "no name asked for beside the tunnel",
            ),
            (self.names_by_exit, "names asked for by the exit only"),
            (
                self.resolver_restored,
                "the consumer's resolver as it was before",
            ),
            (self.words_paid > 0, "words paid"),
            (
                self.paid_wei == self.claimed_wei,
                "paid and claimed are equal",
            ),
            (
                self.delivered_minus_paid_units <= self.delivered_minus_paid_bound_units,
                "never more delivered unpaid than the bound",
            ),
            (
                self.delivered_minus_paid_bound_units > 0,
                "the exit was asked for it while it served",
            ),
            (self.conserved, "the contract's books balance"),
            (
                self.up_warm_transactions == 0,
                "no transaction for the second `up`",
            ),
            (
                self.routed.exits.len() == 2 && self.routed.exits.iter().all(RoutedExit::is_paid),
                "two exits paid by a route, each to what it held",
            ),
            (
                self.routed.router_claimed_wei == self.routed.router_owed_wei,
                "the router paid for each word that it paid for, and its fee",
            ),
            (
                self.routed.channels_opened == 1 && self.routed.conserved,
                "one channel for all of it, and the books balance",
            ),
            (self.left_behind.is_empty(), "nothing left behind"),
        ];
        let unmet = demands
            .iter()
            .filter(|(met, _)| !met)
            .map(|(_, text)| (*text).to_owned());
        self.unmet.extend(unmet);
        self.ok = self.unmet.is_empty();
        env!("CARGO_PKG_VERSION").clone_into(&mut self.version);
    }
}

impl Schema for Report {
    const SCHEMA: &'static str = "warren.demo/v1";
}

/// What was paid by a route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routed {
    /// The router's place in the world.
    pub router: String,
    /// Its part of each word, in millionths.
    pub fee_ppm: u32,
    /// Channels that the consumer opened for it.
    pub channels_opened: u32,
    /// The exits that were paid, in their order.
    pub exits: Vec<RoutedExit>,
    /// What the exits' words are worth on the consumer's channel.
    pub router_owed_wei: Amount,
    /// What the router was paid by the contract for them.
    pub router_claimed_wei: Amount,
    /// Whether the contract's tokens are the sum of its books, after all of it.
    pub conserved: bool,
}

/// One exit that was paid by a route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutedExit {
    /// Its place in the world.
    pub name: String,
    /// Bytes of the download that arrived.
    pub bytes_delivered: u64,
    /// From `up` to a tunnel that carries traffic, with the router's channel to be opened on chain.
    pub up_ms: u64,
    /// Whether it was killed (SIGKILL) in the middle.
    pub killed: bool,
    /// Words that it held.
    pub words: u64,
    /// What they are worth, by its own books.
    pub held_wei: Amount,
    /// What it was paid by the contract, read back from the chain.
    pub claimed_wei: Amount,
}

impl RoutedExit {
    fn is_paid(&self) -> bool {
        self.words > 0 && self.held_wei == self.claimed_wei && self.bytes_delivered > 0
    }
}

/// How many exits were found, by which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// In the DHT.
    pub dht: u32,
    /// By gossip.
    pub gossip: u32,
}

/// The exit that was bought from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seller {
    /// Its node. `None` before anything was bought.
    pub node: Option<NodeId>,
    /// Where it says it is.
    pub country: String,
    /// Its place in the world.
    pub name: String,
}

/// A price as agreed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// Per GiB.
    pub per_gib: String,
    /// Per minute.
    pub per_minute: String,
    /// The token.
    pub unit: String,
}

/// The contract's books, read from the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// Tokens that the contract holds, by the token's own count.
    pub contract_tokens: Amount,
    /// Sum of what channels still lock.
    pub locked_in_channels: Amount,
    /// Sum of what accounts have free in the contract.
    pub free_in_contract: Amount,
    /// Claimed so far, by channel.
    pub claimed: BTreeMap<ChannelId, Amount>,
    /// The newest block that was read.
    pub block: u64,
}

impl Books {
    /// Whether nothing was made or lost.
    #[must_use]
    pub fn conserved(&self) -> bool {
        self.locked_in_channels.checked_add(self.free_in_contract) == Ok(self.contract_tokens)
    }
}

impl Schema for Books {
    const SCHEMA: &'static str = "warren.demo-books/v1";
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn a_bound_that_nobody_looked_at_is_not_kept() {
        let unmet = |bound| {
            let mut report = Report {
                delivered_minus_paid_bound_units: bound,
                ..Report::default()
            };
            report.judge(3);
            let is_it = |it: &String| it.contains("asked for it while");
            report.unmet.iter().any(is_it)
        };
        assert!(unmet(0) && !unmet(8));
    }
}
