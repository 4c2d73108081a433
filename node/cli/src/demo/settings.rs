//! The configuration files of the make-believe internet's nodes.

use std::net::IpAddr;
use std::path::PathBuf;

use warren_daemon::api::types::Status;
use warren_proto::ChainRef;

use super::plan::{Asks, Line, OVERLAY_PORT, Site, TUNNEL_PORT};

/// The file in a node's home that opens its wallet.
pub const PASSPHRASE_FILE: &str = "passphrase";
/// Words that a guest pays ahead.
pub const PREPAY_UNITS: u32 = 1;
/// Words that an exit serves unpaid.
pub const CREDIT_UNITS: u32 = 8;
/// What that may grow to.
pub const MAX_CREDIT_UNITS: u32 = 256;

/// A router's part of each word, in millionths.
pub const FEE_PPM: u32 = 10_000;
/// A node that routes, too: what it deposits for each exit, and for all.
const ROUTER: &str = "deposit = \"0.2\"\nbudget = \"0.8\"\n";

/// The network's name: nodes of another network are strangers.
const NETWORK: &str = "warren/demo";

/// What a newcomer is told.
#[derive(Debug, Clone)]
pub struct Way {
    /// The chain, its contract and its token.
    pub pins: ChainRef,
    /// The chain's URL.
    pub rpc: String,
    /// The bootstrap node's addresses: the only ones that anybody knows at first.
    pub bootstrap: Vec<String>,
    /// The name servers that an exit gives its guests.
    pub dns: Vec<IpAddr>,
    /// Where the nodes of this world have their homes.
    pub dir: PathBuf,
}

/// Where others dial the node at `site`, best first.
#[must_use]
pub fn dial_addresses(site: &Site) -> Vec<String> {
    let (v4, v6) = (site.public_v4(), site.host_v6());
    vec![
        format!("/ip4/{v4}/udp/{OVERLAY_PORT}/quic-v1"),
        format!("/ip6/{v6}/udp/{OVERLAY_PORT}/quic-v1"),
        format!("/ip4/{v4}/tcp/{OVERLAY_PORT}"),
    ]
}

/// The libp2p name of a node.
///
/// Specification: base58 of the identity multihash of the protobuf of its ed25519 key (libp2p, peer-ids).
#[must_use]
pub fn peer_id(status: &Status) -> String {
    let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
    bytes.extend(status.node.as_bytes());
    base58(&bytes)
}

fn base58(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut digits: Vec<u8> = Vec::new(); // Least significant first.
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = u8::try_from(carry % 58).unwrap_or_default(); // Below 58.
            carry /= 58;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 58).unwrap_or_default());
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|it| **it == 0).map(|_| '1');
    let rest = digits
        .iter()
        .rev()
        .map(|it| char::from(LETTERS[usize::from(*it)]));
    zeros.chain(rest).collect()
}

/// A node that only introduces others: no chain, no wallet, no exit.
#[must_use]
pub fn bootstrap(site: &Site) -> String {
    overlay(site, &[])
}

/// A node that sells.
#[must_use]
pub fn exit(site: &Site, way: &Way) -> String {
    let asks = site.asks.as_ref();
    let of = |pick: fn(&Asks) -> &String| asks.map(pick).cloned().unwrap_or_default();
    format!(
        "{}{}[exit]\ncountry = \"{}\"\ncity = \"{}\"\nprice_per_gib = \"{}\"\nprice_per_minute = \"{}\"\n\
         prepay_units = {PREPAY_UNITS}\ncredit_units = {CREDIT_UNITS}\nmax_credit_units = {MAX_CREDIT_UNITS}\nendpoint = [\"{}:{TUNNEL_PORT}\", \"[{}]:{TUNNEL_PORT}\"]\n\
         dns = {:?}\nuplink = \"eth0\"\nallow_documentation = true\n{}",
        overlay(site, &way.bootstrap),
        money(site, way),
        of(|it| &it.country),
        of(|it| &it.city),
        of(|it| &it.per_gib),
        of(|it| &it.per_minute),
        site.public_v4(),
        site.host_v6(),
        way.dns.iter().map(ToString::to_string).collect::<Vec<_>>(),
        router(asks),
    )
}

fn router(asks: Option<&Asks>) -> String {
    if asks.is_none_or(|it| !it.routes) {
        return String::new();
    }
    format!("\n[router]\nenabled = true\nfee_ppm = {FEE_PPM}\n{ROUTER}")
}

/// A node that buys.
#[must_use]
pub fn consumer(site: &Site, way: &Way) -> String {
    format!(
        "{}{}[consumer]\ndeposit = \"2\"\nmax_spend = \"2\"\nfallback = \"any\"\n",
        overlay(site, &way.bootstrap),
        money(site, way)
    )
}

fn overlay(site: &Site, bootstrap: &[String]) -> String {
    // Only who can be dialled keeps records for others and says where it is.
    let reachable = site.line != Line::Home;
    let external = if reachable {
        dial_addresses(site)
    } else {
        Vec::new()
    };
    format!(
        "[node]\nnetwork = \"{NETWORK}\"\nlog = \"info\"\n\n\
         [overlay]\nexternal = {external:?}\nbootstrap = {bootstrap:?}\nserve_dht = {reachable}\n\
         # The make-believe internet is made of documentation addresses, which are no public ones.\n\
         allow_private = true\n\n"
    )
}

fn money(site: &Site, way: &Way) -> String {
    let ChainRef {
        chain_id,
        contract,
        token,
    } = way.pins;
    let passphrase = way.dir.join(&site.name).join(PASSPHRASE_FILE);
    format!(
        "[chain]\nrpc_url = \"{}\"\nchain_id = {chain_id}\ncontract = \"{contract}\"\ntoken = \"{token}\"\n\
         confirmations = 1\npoll_millis = 250\n\n[wallet]\npassphrase_file = {passphrase:?}\n\n",
        way.rpc
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base58_agrees_with_known_pairs() {
        // The test vectors of the Bitcoin project's base58 description.
        assert_eq!(base58(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        assert_eq!(base58(&[0, 0, 0x28, 0x7f, 0xb4, 0xcd]), "11233QC4");
        assert_eq!(base58(b""), "");
    }
}
