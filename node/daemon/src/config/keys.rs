//! Every key there is: name, kind, default, meaning. The one place to add one.
//!
//! Sans-IO.

mod kind;

pub use kind::{Key, Kind};
use kind::{count, key};

/// Every key, by section.
pub const KEYS: &[Key] = &[
    key(
        "node.home",
        Kind::Text,
        "",
        "Folder of what the node must not forget; empty: /var/lib/warren for root, else ~/.local/state/warren.",
    ),
    key(
        "node.network",
        Kind::Text,
        "warren/1",
        "Network it belongs to; nodes of other networks are strangers.",
    ),
    key(
        "node.log",
        Kind::Text,
        "info",
        "What it logs, as a filter: info, debug, or warren_overlay=debug,info.",
    ),
    key(
        "overlay.listen",
        Kind::Texts,
        "/ip4/0.0.0.0/udp/4077/quic-v1,/ip4/0.0.0.0/tcp/4077,/ip6/::/udp/4077/quic-v1,/ip6/::/tcp/4077",
        "Multiaddresses it listens on for other nodes.",
    ),
    key(
        "overlay.external",
        Kind::Texts,
        "",
        "Multiaddresses at which others reach it; empty: as they see it.",
    ),
    key(
        "overlay.bootstrap",
        Kind::Texts,
        "",
        "Multiaddresses of first peers, each ending with /p2p/ and the peer's id.",
    ),
    key(
        "overlay.serve_dht",
        Kind::Switch,
        "false",
        "Whether it keeps records for others; only for nodes that strangers can dial.",
    ),
    key(
        "overlay.allow_private",
        Kind::Switch,
        "false",
        "Whether private and loopback addresses count; only for labs on one machine.",
    ),
    key(
        "chain.rpc_url",
        Kind::Texts,
        "",
        "JSON-RPC endpoints of the chain, of different operators where there are several; empty: the node neither pays nor is paid.",
    ),
    key(
        "chain.quorum",
        count(0, 16),
        "0",
        "Endpoints that must say the same before money counts; 0: two, where there are two.",
    ),
    key(
        "chain.chain_id",
        count(0, u64::MAX),
        "0",
        "EIP-155 id of the chain, pinned.",
    ),
    key(
        "chain.contract",
        Kind::Address,
        "",
        "Address of the ChainLock contract, pinned.",
    ),
    key(
        "chain.token",
        Kind::Address,
        "",
        "Address of the token that pays, pinned.",
    ),
    key(
        "chain.token_symbol",
        Kind::Text,
        "WRN",
        "How the token is called on the screen.",
    ),
    key(
        "chain.token_decimals",
        count(0, super::token::MAX_DECIMALS as u64),
        "18",
        "Digits of the token after the point.",
    ),
    key(
        "chain.confirmations",
        count(0, 1000),
        "2",
        "Blocks on top before money is believed.",
    ),
    key(
        "chain.coin_price",
        Kind::Money,
        "0",
        "What one coin for gas is worth in tokens, so that a claim never costs more gas than it brings; 0: unknown, only the usual cap holds.",
    ),
    key(
        "chain.poll_millis",
        count(50, 600_000),
        "2000",
        "Milliseconds between questions for news of the chain.",
    ),
    key(
        "chain.first_block",
        count(0, u64::MAX),
        "0",
        "Block in which the contract was made: where a restored wallet looks from; 0: the last 50 000 blocks.",
    ),
    key(
        "wallet.file",
        Kind::Text,
        "",
        "The wallet's encrypted file; empty: wallet.age in the home.",
    ),
    key(
        "wallet.passphrase_file",
        Kind::Text,
        "",
        "File with the wallet's passphrase, readable by its owner only; empty: no wallet is opened.",
    ),
    key(
        "wallet.fresh_keys",
        Kind::Switch,
        "true",
        "Whether each channel is paid from a key of its own; costs two more transactions per channel.",
    ),
    key(
        "wallet.beneficiary",
        Kind::Address,
        "",
        "Account to which `warren withdraw` pays unless told otherwise; empty: the wallet's own.",
    ),
    key(
        "exit.enabled",
        Kind::Switch,
        "false",
        "Whether to serve guests from the start; works only with the consent that `warren exit enable` stores.",
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
        "What guests pay per GiB of inner traffic, both directions together.",
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
        "What one word is worth; 0: the price of 1 MiB.",
    ),
    key(
        "exit.prepay_units",
        count(1, 1024),
        "1",
        "Words that a guest pays ahead: the most it can lose.",
    ),
    key(
        "exit.credit_units",
        count(1, 1024),
        "8",
        "Words served unpaid: the most this exit can lose to one guest.",
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
        "Resolvers that guests are given, at most 4, each within their reach; empty: those of this machine that are.",
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
        "consumer.max_spend",
        Kind::Money,
        "0.05",
        "The most that one session may cost.",
    ),
    key(
        "consumer.deposit",
        Kind::Money,
        "0.05",
        "What a new channel is opened with; what is left can be used again or taken back.",
    ),
    key(
        "consumer.max_price_per_gib",
        Kind::Money,
        "0",
        "The highest price per GiB; 0: any.",
    ),
    key(
        "consumer.kill_switch",
        Kind::Switch,
        "true",
        "Whether nothing may leave outside the tunnel while one is up or coming up.",
    ),
    key(
        "consumer.fallback",
        Kind::OneOf(&["country", "any", "none"]),
        "country",
        "What to do when the exit dies: next best in its country, anywhere, or stay blocked.",
    ),
    key(
        "consumer.dns",
        Kind::Texts,
        "",
        "Resolvers to use in the tunnel; empty: those that the exit grants.",
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

/// Finds a key by its name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|it| it.name == name)
}

/// The known key that is written most like `name`.
pub(super) fn nearest(name: &str) -> &'static str {
    let best = KEYS.iter().min_by_key(|it| {
        let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        // The whole name counts; the last part alone breaks ties, for keys in the wrong section.
        (edits(name, it.name), edits(&last(name), &last(it.name)))
    });
    best.map_or("", |it| it.name)
}

/// Levenshtein's distance: how many letters to insert, drop or change.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in to.chars().enumerate() {
            let change = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
