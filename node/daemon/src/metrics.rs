//! Every number the node tells a monitor: one table, no labels by peer, base units.
//!
//! A metric is added by one line of the table below. What a tunnel did not carry stands beside it, with its reason as
//! the label, and so does what the overlay counts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use warren_tunnel::{DropCounts, DropReason};

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only up, from zero at each start; what the ledger says, from its first entry.
    Counter,
    /// Up and down.
    Gauge,
}

impl MetricKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

macro_rules! metrics {
    ($($variant:ident $kind:ident $name:literal $help:literal;)*) => {
        /// Every metric of the node.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric {
            $(#[doc = $help] $variant,)*
        }

        impl Metric {
            /// All of them, in the order they are told.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it counts, in one sentence.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }

            /// How it moves.
            #[must_use]
            pub const fn kind(self) -> MetricKind {
                match self { $(Self::$variant => MetricKind::$kind,)* }
            }
        }
    };
}

metrics! {
    StartTime Gauge "warren_start_time_seconds" "When the daemon started, seconds since the epoch.";
    Peers Gauge "warren_overlay_peers" "Connected peers.";
    Offers Gauge "warren_overlay_offers" "Valid offers known.";
    RoutingTable Gauge "warren_overlay_routing_table_nodes" "Nodes in the routing table of the DHT.";
    GossipMesh Gauge "warren_overlay_gossip_mesh_nodes" "Nodes in the gossip mesh.";
    RecordsHeld Gauge "warren_overlay_held_records" "Records and entries of the DHT held for others.";
    OffersPublished Counter "warren_overlay_offers_published_total" "Own offers signed and published.";
    OffersRefused Counter "warren_overlay_offers_refused_total" "Offers of others that were malformed, forged or stale.";
    SessionsAsked Counter "warren_sessions_asked_total" "Sessions that consumers asked this exit for.";
    SessionsRefused Counter "warren_sessions_refused_total" "Of those, refused.";
    SessionsServed Counter "warren_sessions_served_total" "Of those, served to the end.";
    ExitUnshaken Counter "warren_sessions_without_handshake_total" "Of those asked for, given a place in the tunnel and ended without a handshake.";
    Guests Gauge "warren_guests" "Guests served now.";
    GuestsPaused Gauge "warren_guests_paused" "Of those, paused until they pay.";
    ExitEnabled Gauge "warren_exit_enabled" "1 while this node is an exit.";
    ExitUpBytes Counter "warren_exit_up_bytes_total" "Inner bytes from guests.";
    ExitDownBytes Counter "warren_exit_down_bytes_total" "Inner bytes to guests.";
    ExitDelayed Counter "warren_exit_delayed_packets_total" "Packets of guests that waited because of a rate.";
    ExitAboveRate Counter "warren_exit_above_rate_packets_total" "Packets of guests above a rate that were dropped: too many waited.";
    ExitHandshakes Counter "warren_exit_handshakes_total" "Handshakes that the exit's tunnel computed.";
    ExitCookies Counter "warren_exit_cookies_total" "Handshakes answered with a cookie, for there were too many.";
    ConsumerUp Gauge "warren_consumer_up" "1 while a bought tunnel carries traffic.";
    ConsumerStalls Counter "warren_consumer_stalls_total" "How often the bought tunnel stalled.";
    ConsumerUpBytes Counter "warren_consumer_up_bytes_total" "Inner bytes to exits.";
    ConsumerDownBytes Counter "warren_consumer_down_bytes_total" "Inner bytes from exits.";
    KillSwitch Gauge "warren_kill_switch_on" "1 while nothing may leave outside the tunnel.";
    FirewallMeddled Counter "warren_firewall_meddled_total" "How often another program took this node's firewall rules away.";
    TunnelsLost Counter "warren_tunnels_lost_total" "How often a tunnel's device was gone and made anew.";
    Paid Counter "warren_paid_base_units_total" "Paid to exits since the ledger began, in the token's base units.";
    Earned Counter "warren_earned_base_units_total" "Paid by guests since the ledger began, in the token's base units.";
    Claimable Gauge "warren_claimable_base_units" "Earned and not yet claimed, in the token's base units.";
    ChannelsOpen Gauge "warren_channels_open" "Channels open on either side.";
    Claims Counter "warren_claims_total" "Claims that reached the chain.";
    TransactionsFailed Counter "warren_transactions_failed_total" "Transactions that the chain refused or reverted.";
    Receipts Gauge "warren_receipts" "Receipts of paid sessions kept.";
    TowerPuts Gauge "warren_tower_puts" "Claims kept for peers, should they be away.";
    TowerClaims Counter "warren_tower_claims_total" "Of those, made.";
    TowerRefused Counter "warren_tower_refused_total" "Puts of peers that were refused.";
    TowersHolding Gauge "warren_towers_holding" "Claims that peers hold for this node.";
    RouteStreams Gauge "warren_route_streams" "Streams to neighbours of routes that stand.";
    RoutesLive Gauge "warren_route_payments" "Payments that this node routes and that are not over.";
    RouteOffers Counter "warren_route_offers_total" "Locks that neighbours asked this node to lock onward.";
    RouteRefused Counter "warren_route_refused_total" "Of those, refused.";
    RouteFramesDropped Counter "warren_route_frames_dropped_total" "Frames for neighbours that found no stream.";
    ChainHead Gauge "warren_chain_head_block" "Newest block seen.";
    ChainEndpoints Gauge "warren_chain_endpoints" "Chain endpoints that are configured.";
    ChainEndpointsUp Gauge "warren_chain_endpoints_up" "Of those, answering and on the pinned chain.";
    ChainQuorum Gauge "warren_chain_quorum" "1 while enough endpoints are up to agree.";
    ChainErrors Counter "warren_chain_endpoint_errors_total" "Questions to chain endpoints without an answer.";
    ChainOverruled Counter "warren_chain_endpoint_overruled_total" "Answers of a chain endpoint that enough others contradicted.";
    ChainFresh Gauge "warren_chain_fresh" "1 while the chain's news are recent enough for money.";
    StoreBatches Counter "warren_store_batches_total" "Batches written and synced.";
    StoreFailures Counter "warren_store_failures_total" "Batches that could not be written.";
    DiskFree Gauge "warren_disk_free_bytes" "Free on the file system of the home.";
    TakesLiabilities Gauge "warren_store_takes_liabilities" "0 while the disk is too full for new channels and guests.";
}

/// Which end of a tunnel did not carry a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelEnd {
    /// The exit that this node is.
    Exit,
    /// The tunnel that this node bought.
    Consumer,
}

impl TunnelEnd {
    /// Both, with the metric of each.
    const ALL: [(Self, &'static str); 2] = [
        (Self::Exit, "warren_exit_dropped_packets_total"),
        (Self::Consumer, "warren_consumer_dropped_packets_total"),
    ];
}

/// The counters of the overlay, by reason: its names are fixed texts of the program, so they are few.
const OVERLAY_EVENTS: &str = "warren_overlay_events_total";

/// The numbers themselves.
#[derive(Debug)]
pub struct Metrics {
    /// Wide enough for money: 2^64 base units are 18 tokens of 18 decimals.
    values: Vec<Mutex<u128>>,
    dropped: [Mutex<DropCounts>; 2],
    overlay: Mutex<BTreeMap<String, u64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            values: Metric::ALL.iter().map(|_| Mutex::default()).collect(),
            dropped: Default::default(),
            overlay: Mutex::default(),
        }
    }
}

impl Metrics {
    /// A number is replaced as a whole, so one whose lock is poisoned is good.
    fn at(&self, metric: Metric) -> Option<MutexGuard<'_, u128>> {
        let value = self.values.get(metric as usize)?;
        Some(value.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts `by` more.
    pub fn add(&self, metric: Metric, by: u64) {
        if let Some(mut value) = self.at(metric) {
            *value = value.saturating_add(by.into());
        }
    }

    /// Says how it is now.
    pub fn set(&self, metric: Metric, to: u64) {
        self.set_sum(metric, to.into());
    }

    /// The same of money, in base units.
    pub fn set_sum(&self, metric: Metric, to: u128) {
        if let Some(mut value) = self.at(metric) {
            *value = to;
        }
    }

    /// Says what the tunnel that is up did not carry so far.
    pub fn set_dropped(&self, by: TunnelEnd, counts: DropCounts) {
        *self.dropped_by(by) = counts;
    }

    /// Says what the overlay counted since the start, by reason.
    pub fn set_overlay(&self, counters: BTreeMap<String, u64>) {
        *self.overlay.lock().unwrap_or_else(PoisonError::into_inner) = counters;
    }

    fn dropped_by(&self, end: TunnelEnd) -> MutexGuard<'_, DropCounts> {
        let [exit, consumer] = &self.dropped;
        let counts = match end {
            TunnelEnd::Exit => exit,
            TunnelEnd::Consumer => consumer,
        };
        counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is now.
    #[must_use]
    pub fn get(&self, metric: Metric) -> u128 {
        self.at(metric).map_or(0, |it| *it)
    }

    /// Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for metric in Metric::ALL.iter().copied() {
            let (name, kind) = (metric.name(), metric.kind().word());
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {name} {}", metric.help());
            let _ = writeln!(text, "# TYPE {name} {kind}\n{name} {}", self.get(metric));
        }
        for (end, name) in TunnelEnd::ALL {
            let counts = *self.dropped_by(end);
            let _ = writeln!(text, "# HELP {name} Packets and datagrams not carried.");
            let _ = writeln!(text, "# TYPE {name} counter");
            for reason in DropReason::ALL {
                let (label, count) = (reason.name(), counts.of(reason));
                let _ = writeln!(text, "{name}{{reason=\"{label}\"}} {count}");
            }
        }
        let help = "What the overlay refused, dropped, gave up on or did, by reason.";
        let _ = writeln!(text, "# HELP {OVERLAY_EVENTS} {help}");
        let _ = writeln!(text, "# TYPE {OVERLAY_EVENTS} counter");
        let counters = self.overlay.lock().unwrap_or_else(PoisonError::into_inner);
        for (reason, count) in counters.iter() {
            let _ = writeln!(text, "{OVERLAY_EVENTS}{{reason=\"{reason}\"}} {count}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_rules_of_the_format() {
        let names: BTreeSet<_> = Metric::ALL.iter().map(|it| it.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        for metric in Metric::ALL {
            let name = metric.name();
            assert!(
                name.starts_with("warren_")
                    && name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()),
                "{name}"
            );
            assert_eq!(
                name.ends_with("_total"),
                metric.kind() == MetricKind::Counter,
                "{name}"
            );
            assert!(metric.help().ends_with('.'), "{name}");
        }
    }

    /// All Rust text under `folder` but this file's and that of tests.
    fn text_of(folder: &std::path::Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                text_of(&path, text);
            } else if name.ends_with(".rs") && !["metrics.rs", "tests.rs"].contains(&&*name) {
                text.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn every_number_is_told_somewhere() {
        let mut text = String::new();
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        text_of(&source, &mut text);
        let named = |it: &&Metric| {
            let name = format!("Metric::{it:?}");
            let after = |at: usize| text.as_bytes().get(at + name.len());
            let mut found = text.match_indices(&name);
            found.any(|(at, _)| after(at).is_none_or(|it| !it.is_ascii_alphanumeric()))
        };
        let untold: Vec<_> = Metric::ALL.iter().filter(|it| !named(it)).collect();
        assert!(untold.is_empty(), "{untold:?} are never set");
    }

    #[test]
    fn what_the_overlay_counts_is_told_by_reason() {
        let metrics = Metrics::default();
        assert!(metrics.render().ends_with("overlay_events_total counter\n"));
        metrics.set_overlay([("offer.refused".to_owned(), 3)].into());
        let line = "\nwarren_overlay_events_total{reason=\"offer.refused\"} 3\n";
        assert!(metrics.render().ends_with(line));
    }

    #[test]
    fn a_number_is_told_as_it_is() {
        let metrics = Metrics::default();
        metrics.add(Metric::Paid, 5);
        metrics.add(Metric::Paid, u64::MAX);
        metrics.set_sum(Metric::Earned, 1 << 65);
        metrics.set(Metric::Guests, 2);
        let text = metrics.render();
        assert!(
            text.contains("\n# TYPE warren_guests gauge\nwarren_guests 2\n"),
            "{text}"
        );
        assert!(
            text.contains("\nwarren_paid_base_units_total 18446744073709551620\n"),
            "{text}"
        );
        assert!(
            text.contains("\nwarren_earned_base_units_total 36893488147419103232\n"),
            "{text}"
        );
        let dropped = text.lines().filter(|it| it.contains("_dropped_packets_"));
        assert_eq!(dropped.count(), 2 * (2 + DropReason::ALL.len()));
        assert!(text.contains("\nwarren_exit_dropped_packets_total{reason=\"forged\"} 0\n"));
    }
}
