//! Where this exit is known: the endpoints it gives its guests, and every address that may be its router's.
//!
//! Looked up again and again, for a home line's address changes; and never so that a slow name server
//! holds up a task.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::future::join_all;
use ipnet::IpNet;
use tokio::net::lookup_host;
use tokio::time::timeout;
use warren_overlay::{host_of, named_at};
use warren_proto::{Candidate, CandidateKind};

use crate::error::{ErrorCode, Problem};
use crate::provider::Known;

// Our choice.
/// For one name; a resolver that takes longer has none for us.
const PATIENCE: Duration = Duration::from_secs(10);
/// Addresses denied to guests at most: more than any exit has.
const MOST_DENIED: usize = 64;

// Specification.
/// As many as session terms may name.
const MOST_ENDPOINTS: usize = 8;
/// As many as an offer may name.
const MOST_ADDRESSES: usize = 8;

/// Looks up the configured `endpoints` (host:port) and the `external` multiaddrs: guests get addresses,
/// never names.
///
/// A name that has no address now is done without as long as another has one. What it had when it was
/// `denied` last stays so: a name server that fails must not open the router to guests.
///
/// # Errors
/// [`ErrorCode::ConfigBadValue`] if no endpoint has an address.
pub(super) async fn look_up(
    endpoints: &[String],
    (external, listen): (&[String], &[String]),
    denied: &[IpNet],
) -> Result<Known, Problem> {
    let outer_hosts = external.iter().filter_map(|it| host_of(it));
    let outer_hosts: Vec<_> = outer_hosts.map(|host| (host, 0_u16)).collect();
    let (found, outer) = tokio::join!(
        join_all(endpoints.iter().map(|text| addresses(text, text.as_str()))),
        join_all(
            outer_hosts
                .iter()
                .map(|at| addresses(&at.0, (at.0.as_str(), at.1)))
        ),
    );
    let failed: Vec<String> = found
        .iter()
        .chain(&outer)
        .filter_map(|it| it.as_ref().err().cloned())
        .collect();
    let mut candidates: Vec<Candidate> = Vec::new();
    for address in found.iter().flatten().flatten().copied() {
        let kind = CandidateKind::Mapped;
        let candidate = Candidate { kind, address };
        if candidates.len() < MOST_ENDPOINTS && !candidates.contains(&candidate) {
            candidates.push(candidate);
        }
    }
    if candidates.is_empty() {
        let seen = format!("exit.endpoint has no address: {}", failed.join("; "));
        return Err(Problem::new(ErrorCode::ConfigBadValue, seen));
    }
    let all = found.iter().chain(&outer).flatten().flatten();
    let ips = all.map(|it| it.ip().to_canonical());
    let mut deny: Vec<IpNet> = ips
        .filter(|it: &IpAddr| !it.is_unspecified())
        .map(IpNet::from)
        .collect();
    if !failed.is_empty() {
        let seen = failed.join("; ");
        tracing::warn!(seen, "a name of this exit has no address now");
        deny.extend_from_slice(denied);
    }
    deny.sort_unstable();
    deny.dedup();
    deny.truncate(MOST_DENIED);
    let hosts = outer_hosts.iter().zip(&outer);
    let hosts: BTreeMap<&str, &[SocketAddr]> = hosts
        .map(|(host, found)| (host.0.as_str(), found.as_deref().unwrap_or_default()))
        .collect();
    let external: Vec<String> = external
        .iter()
        .flat_map(|it| without_name(it, &hosts))
        .collect();
    Ok(Known {
        addresses: reached_at(&external, &candidates, listen),
        endpoints: candidates,
        deny,
    })
}

/// An external multiaddr with the addresses of its name in its place, as an offer needs it: nobody dials a name
/// that a stranger told. One that starts with an IP address stays as it is.
fn without_name(text: &str, hosts: &BTreeMap<&str, &[SocketAddr]>) -> Vec<String> {
    let host = host_of(text).filter(|it| it.parse::<IpAddr>().is_err());
    let Some(host) = host else {
        return vec![text.to_owned()];
    };
    let found = hosts.get(host.as_str()).copied().unwrap_or_default();
    let ips: BTreeSet<IpAddr> = found.iter().map(|it| it.ip().to_canonical()).collect();
    ips.into_iter()
        .filter_map(|it| named_at(text, it))
        .collect()
}

/// Where other nodes reach this one: as its owner says in `external`, names looked up, else at its `endpoints`, where it
/// `listen`s. Empty if that cannot be told: it listens at no fixed port of that kind of address.
pub(super) fn reached_at(
    external: &[String],
    endpoints: &[Candidate],
    listen: &[String],
) -> Vec<String> {
    if !external.is_empty() {
        return external.iter().take(MOST_ADDRESSES).cloned().collect();
    }
    let hosts = endpoints.iter().map(|it| it.address.ip().to_canonical());
    let hosts: BTreeSet<IpAddr> = hosts.filter(|it| !it.is_unspecified()).collect();
    let mut all = Vec::new();
    for (host, text) in hosts
        .iter()
        .flat_map(|it| listen.iter().map(move |at| (it, at)))
    {
        let parts: Vec<&str> = text.split('/').collect();
        let &["", kind, here, transport, port, ref more @ ..] = parts.as_slice() else {
            continue;
        };
        let same_kind = kind == if host.is_ipv4() { "ip4" } else { "ip6" };
        let local = here.parse().is_ok_and(|it: IpAddr| it.is_loopback());
        if !same_kind || local || port == "0" {
            continue;
        }
        let rest = [&[transport, port], more].concat().join("/");
        all.push(format!("/{kind}/{host}/{rest}"));
    }
    all.truncate(MOST_ADDRESSES);
    all
}

/// The addresses of one name, looked up on a thread of its own.
async fn addresses(
    text: &str,
    host: impl tokio::net::ToSocketAddrs,
) -> Result<Vec<SocketAddr>, String> {
    match timeout(PATIENCE, lookup_host(host)).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(format!("{text}: {error}")),
        Err(_) => Err(format!("{text}: no answer within {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|it| (*it).to_owned()).collect()
    }

    #[tokio::test]
    async fn an_exit_is_reached_at_its_endpoints_unless_its_owner_says_where() {
        let endpoints = texts(&["203.0.113.7:41820", "[2001:db8::7]:41820"]);
        let listen = texts(&[
            "/ip4/0.0.0.0/udp/4077/quic-v1",
            "/ip4/0.0.0.0/tcp/4077",
            "/ip6/::/udp/4078/quic-v1",
            "/ip4/127.0.0.1/tcp/4079",
            "/ip6/::/tcp/0",
        ]);
        let known = look_up(&endpoints, (&[], &listen), &[]).await.unwrap();
        let built = [
            "/ip4/203.0.113.7/udp/4077/quic-v1",
            "/ip4/203.0.113.7/tcp/4077",
            "/ip6/2001:db8::7/udp/4078/quic-v1",
        ];
        assert_eq!(known.addresses, built);
        let external = texts(&["/ip4/203.0.113.8/tcp/4077"]);
        let known = look_up(&endpoints[..1], (&external, &listen), &[]).await;
        assert_eq!(known.unwrap().addresses, external);
        let external = texts(&["/dns4/nobody.invalid/tcp/4077"]);
        let known = look_up(&endpoints, (&external, &listen), &[]).await;
        assert_eq!(
            known.unwrap().addresses,
            built,
            "a name that stands for nothing now"
        );
    }

    #[tokio::test]
    async fn every_address_an_exit_is_known_by_is_denied_to_its_guests() {
        let endpoints = texts(&["203.0.113.7:41820", "[2001:db8::7]:41820"]);
        let external = texts(&[
            "/ip4/203.0.113.8/udp/4077/quic-v1",
            "/ip6/2001:db8::7/tcp/4077",
            "/memory/1",
        ]);
        let known = look_up(&endpoints, (&external, &[]), &[]).await.unwrap();
        let said: Vec<_> = known.endpoints.iter().map(|it| it.address).collect();
        assert_eq!(
            said,
            ["203.0.113.7:41820", "[2001:db8::7]:41820"].map(|it| it.parse().unwrap())
        );
        let deny = ["203.0.113.7/32", "203.0.113.8/32", "2001:db8::7/128"];
        assert_eq!(known.deny, deny.map(|it| it.parse().unwrap()));
    }

    #[tokio::test]
    async fn an_exit_with_a_name_says_the_addresses_behind_it() {
        let endpoints = texts(&["203.0.113.7:41820"]);
        let external = texts(&[
            "/dns4/localhost/udp/4077/quic-v1",
            "/ip6/2001:db8::7/tcp/4077",
            "/dns4/nobody.invalid/tcp/4077",
        ]);
        let known = look_up(&endpoints, (&external, &[]), &[]).await.unwrap();
        assert_eq!(
            known.addresses,
            texts(&[
                "/ip4/127.0.0.1/udp/4077/quic-v1",
                "/ip6/2001:db8::7/tcp/4077"
            ])
        );
    }

    #[test]
    fn a_name_stands_for_the_addresses_of_its_family() {
        let found = ["203.0.113.7:0", "[2001:db8::7]:0"].map(|it| it.parse().unwrap());
        let hosts = BTreeMap::from([("exit.example", &found[..])]);
        let of = |kind| without_name(&format!("/{kind}/exit.example/tcp/1"), &hosts);
        let (four, six) = ("/ip4/203.0.113.7/tcp/1", "/ip6/2001:db8::7/tcp/1");
        assert_eq!(of("dns"), [four, six]);
        assert_eq!(of("dns4"), [four]);
        assert_eq!(of("dns6"), [six]);
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_done_without_and_what_it_had_stays_denied() {
        let endpoints = texts(&["203.0.113.7:41820", "nobody.invalid:41820"]);
        let before: Vec<IpNet> = vec!["203.0.113.99/32".parse().unwrap()];
        let known = look_up(&endpoints, (&[], &[]), &before).await.unwrap();
        assert_eq!(known.endpoints.len(), 1);
        let deny = ["203.0.113.7/32", "203.0.113.99/32"];
        assert_eq!(known.deny, deny.map(|it| it.parse().unwrap()));
        let none = look_up(&texts(&["nobody.invalid:1"]), (&[], &[]), &before).await;
        assert!(none.unwrap_err().is(ErrorCode::ConfigBadValue));
    }
}
