//! The keys of what the node does: for others, for its user, and the door at which it is told.
//!
//! Sans-IO.

use super::{Key, Kind, count, key};

/// A Tbit/s.
const MOST_KBIT: u64 = 1_000_000_000;

/// By section.
pub(super) const ROLES: [Key; 50] = [
    key(
        "exit.enabled",
        Kind::Switch,
        "false",
        "Whether to serve guests from the start; works only with the consent that `warren exit enable` stores, and not after `warren exit disable`.",
    ),
    key(
        "exit.country",
        Kind::Text,
        "",
        "Country it says it is in, two letters.",
    ),
    key(
        "exit.city",
        Kind::Text,
        "",
        "City or other hint, at most 48 bytes.",
    ),
    key(
        "exit.price_per_gib",
        Kind::Money,
        "0.002",
        "What guests pay per GiB of inner traffic, both directions together; 0, and nothing per minute: a free exit, which needs neither chain nor wallet and serves guests with any chain or none.",
    ),
    key(
        "exit.price_per_minute",
        Kind::Money,
        "0",
        "What guests pay per minute served.",
    ),
    key(
        "exit.unit_price",
        Kind::Money,
        "0",
        "What one word is worth; 0: the price of 1 MiB, or of a minute where only time is asked for.",
    ),
    key(
        "exit.prepay_units",
        count(1, 1024),
        "1",
        "Words that a guest pays ahead: the most it can lose. With one more they may be worth 128 MiB at most.",
    ),
    key(
        "exit.credit_units",
        count(1, 1024),
        "8",
        "Words served unpaid at first; each 16 that a guest has paid add one.",
    ),
    key(
        "exit.max_credit_units",
        count(1, 4096),
        "256",
        "Words served unpaid at most: what this exit can lose to a guest that has paid 16 times that.",
    ),
    key(
        "exit.close_window_secs",
        count(3600, 30 * 86_400),
        "86400",
        "Seconds between a guest's wish to close a channel and the end, at least; the time to claim.",
    ),
    key(
        "exit.policy",
        Kind::OneOf(&["web+dns", "all-but-mail", "all"]),
        "web+dns",
        "What guests may reach; private and local addresses never.",
    ),
    key(
        "exit.guests_max",
        count(1, 4096),
        "8",
        "Guests at the same time, at most.",
    ),
    key(
        "exit.guests_allowed",
        Kind::Texts,
        "",
        "Node ids, whole, of the only guests that are served, such as friends of a free exit, at most 1024; empty: everybody.",
    ),
    key(
        "exit.guests_banned",
        Kind::Texts,
        "",
        "Node ids, whole, of guests that are not served, at most 1024; a node can make itself another id.",
    ),
    key(
        "exit.guest_rate_kbit",
        count(0, MOST_KBIT),
        "0",
        "What one guest gets at most, each way, in kbit/s; what is above waits a little; 0: no limit.",
    ),
    key(
        "exit.line_rate_kbit",
        count(0, MOST_KBIT),
        "0",
        "What all guests together get, each way, in kbit/s, in turns; a little below the slower way of the line; 0: no limit.",
    ),
    key(
        "exit.endpoint",
        Kind::Texts,
        "",
        "Public host:port of the WireGuard port, best first: IPv4 and IPv6 where the line has both, at most 8.",
    ),
    key(
        "exit.listen_port",
        count(1, 65_535),
        "41820",
        "UDP port of WireGuard.",
    ),
    key(
        "exit.uplink",
        Kind::Text,
        "",
        "Device towards the internet; empty: that of the default route.",
    ),
    key(
        "exit.inner_v4",
        Kind::Text,
        "10.77.0.0/16",
        "Inner IPv4 net of the guests.",
    ),
    key(
        "exit.inner_v6",
        Kind::Text,
        "fd77:7761::/64",
        "Inner IPv6 net of the guests.",
    ),
    key(
        "exit.dns",
        Kind::Texts,
        "",
        "Resolvers that guests are given, at most 4, each within their reach; empty: those of this machine that are, and no exit begins if none is.",
    ),
    key(
        "exit.allow_documentation",
        Kind::Switch,
        "false",
        "Whether guests may reach the documentation ranges; only for labs.",
    ),
    key(
        "exit.towers",
        Kind::Count { min: 0, max: 8 },
        "0",
        "How many peers are asked to claim for this exit should it be away when a channel closes; 0: none.",
    ),
    key(
        "exit.tower_step",
        Kind::Money,
        "0.001",
        "They are told anew when a channel is worth so much more, or ten minutes later.",
    ),
    key(
        "tower.enabled",
        Kind::Switch,
        "false",
        "Whether to claim for peers that ask for it and are away, at this node's gas.",
    ),
    key(
        "tower.min_gain",
        Kind::Money,
        "0.001",
        "A claim that brings its payee less is not made.",
    ),
    key(
        "router.enabled",
        Kind::Switch,
        "false",
        "Whether to route payments of others: to lock its own money onward to exits, and be paid by the same words.",
    ),
    key(
        "router.fee_ppm",
        count(0, 1_000_000),
        "10000",
        "Its part of each word, in millionths of what the exit gets.",
    ),
    key(
        "router.hold_fee",
        Kind::Money,
        "0",
        "What it asks for each lock, whether or not words come.",
    ),
    key(
        "router.deposit",
        Kind::Money,
        "0.05",
        "What a channel to an exit, or to another router, is opened with, or deepened by.",
    ),
    key(
        "router.budget",
        Kind::Money,
        "0.5",
        "The most that may lie in its channels to exits and other routers.",
    ),
    key(
        "router.max_channels",
        count(1, 1024),
        "16",
        "Channels to exits and other routers at most; each costs gas to open.",
    ),
    key(
        "router.slots",
        count(1, 15),
        "8",
        "Locks of one neighbour at a time: each binds money for hours.",
    ),
    key(
        "router.max_in_flight",
        Kind::Money,
        "0",
        "What the locks of one neighbour may come to; 0: as much as its channel covers.",
    ),
    key(
        "router.min_lock",
        Kind::Money,
        "0",
        "A lock is worth this at least, and the gas of four claims in any case.",
    ),
    key(
        "consumer.max_spend",
        Kind::Money,
        "0.05",
        "The most that one `up` may cost, with all sessions, top-ups and hold fees that come of it; 0: free exits only.",
    ),
    key(
        "consumer.deposit",
        Kind::Money,
        "0.05",
        "What a new channel is opened with; exits that ask for more are passed over. What is left can be used again or taken back.",
    ),
    key(
        "consumer.max_price_per_gib",
        Kind::Money,
        "0",
        "The highest price per GiB, a price per minute counted as 36 MiB share it; 0: any.",
    ),
    key(
        "consumer.kill_switch",
        Kind::Switch,
        "true",
        "Whether nothing may leave outside the tunnel while one is up or coming up, nor after one that broke, until `warren down`.",
    ),
    key(
        "consumer.auto_up",
        Kind::Switch,
        "false",
        "Whether a tunnel is wanted whenever the daemon begins, as by `warren up` alone: until one is up all is blocked, and `warren down` ends it until the next start.",
    ),
    key(
        "consumer.allow_lan",
        Kind::Switch,
        "false",
        "Whether private networks that this machine is in stay reachable beside the tunnel, and reach it; names are not asked there.",
    ),
    key(
        "consumer.inbound_tcp",
        Kind::Texts,
        "",
        "TCP ports of this machine, below 32768, whose services go on answering whoever asks from outside the tunnel, such as 22.",
    ),
    key(
        "consumer.fallback",
        Kind::OneOf(&["country", "any", "none"]),
        "country",
        "What to do when the exit dies: next best in its country, anywhere, or stay blocked; one that was named is only tried again.",
    ),
    key(
        "consumer.dns",
        Kind::Texts,
        "",
        "Resolvers to use in the tunnel; empty: those that the exit grants.",
    ),
    key(
        "consumer.route",
        Kind::Text,
        "auto",
        "How exits are paid: auto, by a route where there is no channel to the exit and one to a router; direct; or a router's node id.",
    ),
    key(
        "consumer.routers",
        count(1, 2),
        "1",
        "Routers of a route. With 2 a route over two pays, or there is an error: no single router is paid by you and pays the exit.",
    ),
    key(
        "consumer.max_route_fee_ppm",
        count(0, 1_000_000),
        "50000",
        "The most that a route may cost, hold fee included, in millionths of what the exit gets.",
    ),
    key(
        "api.socket",
        Kind::Text,
        "",
        "Unix socket of the local API; empty: /run/warren/warren.sock for the default home of root, else warren.sock in the home.",
    ),
    key(
        "api.group",
        Kind::Text,
        "warren",
        "Group of this machine whose members may use the API; need not exist.",
    ),
];
