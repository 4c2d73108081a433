//! Every key there is: name, kind, default, meaning. The one place to add one.
//!
//! Sans-IO.

mod kind;
mod roles;
mod search;

pub use kind::{Key, Kind};
use kind::{count, key};
use roles::ROLES;
pub(super) use search::{find, nearest};

/// Every key, by section.
pub const KEYS: &[Key] = &joined();

const fn joined() -> [Key; NODE.len() + ROLES.len()] {
    let mut all = [NODE[0]; NODE.len() + ROLES.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < NODE.len() {
            NODE[at]
        } else {
            ROLES[at - NODE.len()]
        };
        at += 1;
    }
    all
}

/// What the node is, whatever it does.
const NODE: [Key; 25] = [
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
        "Multiaddresses at which others reach it; empty: an exit is reached at exit.endpoint's addresses, where it listens.",
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
        "Whether private addresses count, and loopback ones unless it listens everywhere and joins at none; only for labs.",
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
        "Blocks that money must be deep to be believed, its own among them.",
    ),
    key(
        "chain.coin_price",
        Kind::Money,
        "0",
        "What one coin for gas is worth in tokens, so that a claim never costs more gas than it brings; 0: unknown, only the usual cap holds.",
    ),
    key(
        "chain.claim_factor",
        count(0, 1_000_000),
        "20",
        "An exit claims by itself once that brings so many times its gas; 0: only when told to, or when it is the last chance.",
    ),
    key(
        "chain.fee_cap_gwei",
        count(1, 1_000_000),
        "500",
        "The most that a unit of gas may cost, unless a deadline is near and more is at stake.",
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
        "Block in which the contract was made: where a restored wallet looks from, also if it is set later; 0: the last 50 000 blocks.",
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
];
