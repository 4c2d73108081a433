//! The consumer's tunnel and host, raised and lowered in the one safe order.
//!
//! Kill switch, then device, then routes, then names; down in reverse, the kill switch last and
//! only when the user asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use warren_proto::{Offer, SessionTerms};
use warren_tunnel::host::{
    Carries, ConsumerHost, DEVICE, DnsSpec, HostError, KillSwitchSpec, MARK, RouteSpec,
};
use warren_tunnel::{
    ConsumerTunnel, Offload, TunnelError, TunnelKey, TunnelSpec, TunnelState, Usage,
};

use crate::error::{Problem, machine};

/// WireGuard's usual interval against NAT timeouts.
const KEEPALIVE: Duration = Duration::from_secs(25);

/// What may go wrong on this machine while a tunnel is raised.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    /// Firewall, routes or names.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Device or socket.
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
}

impl LineError {
    /// What went wrong, as its user sees it.
    pub(super) fn problem(&self) -> Problem {
        match self {
            Self::Host(error) => Problem::of_host(error),
            Self::Tunnel(error) => machine::tunnel(error),
        }
    }
}

/// The consumer's line: kill switch, if wanted, and while a session lasts, tunnel and routes.
#[derive(Debug)]
pub(super) struct Line {
    journal: PathBuf,
    host: Option<ConsumerHost>,
    tunnel: Option<ConsumerTunnel>,
    last: Option<Usage>,
    dns: Vec<IpAddr>,
}

impl Line {
    pub(super) const fn new(journal: PathBuf) -> Self {
        Self {
            journal,
            host: None,
            tunnel: None,
            last: None,
            dns: Vec::new(),
        }
    }

    /// Blocks everything that is not ours, unless the user wants no kill switch. Must come before
    /// anything else.
    pub(super) async fn protect(&mut self, kill_switch: bool) -> Result<(), LineError> {
        match &self.host {
            Some(host) if host.has_kill_switch() == kill_switch => return Ok(()),
            Some(_) => self.unprotect().await?,
            None => {}
        }
        self.host = Some(if kill_switch {
            ConsumerHost::protect(&self.journal, &KillSwitchSpec::default()).await?
        } else {
            ConsumerHost::exposed(&self.journal).await?
        });
        Ok(())
    }

    /// Raises device and routes for granted terms of `offer`; what it does not carry is blocked.
    pub(super) async fn raise(
        &mut self,
        offer: &Offer,
        terms: &SessionTerms,
        key: TunnelKey,
        dns: Vec<IpAddr>,
    ) -> Result<(), LineError> {
        let carries = carries(offer);
        let endpoints: Vec<_> = terms.endpoints.iter().map(|it| it.address).collect();
        self.lower().await?;
        if let Some(host) = &mut self.host {
            host.allow_endpoints(&endpoints).await?;
        }
        self.last = None;
        let tunnel = ConsumerTunnel::up(spec(terms, key, endpoints, carries))?;
        tunnel.measure(match carries {
            Carries::V6 => terms.gateway_v6.into(),
            Carries::V4 | Carries::Both => terms.gateway_v4.into(),
        });
        self.tunnel = Some(tunnel);
        if let Some(host) = &mut self.host {
            host.route(&RouteSpec {
                carries,
                ..RouteSpec::default()
            })
            .await?;
            if !dns.is_empty() {
                host.dns(&DnsSpec {
                    servers: dns.clone(),
                    ..DnsSpec::default()
                })
                .await?;
                self.dns = dns;
            }
        }
        Ok(())
    }

    /// Takes tunnel and routes down; the kill switch, where there is one, stays.
    pub(super) async fn lower(&mut self) -> Result<(), LineError> {
        self.dns.clear();
        if let Some(host) = &mut self.host {
            host.release().await?;
        }
        if let Some(tunnel) = self.tunnel.take() {
            self.last = Some(tunnel.down());
        }
        Ok(())
    }

    /// Lifts the kill switch too.
    pub(super) async fn unprotect(&mut self) -> Result<(), LineError> {
        self.lower().await?;
        if let Some(host) = self.host.take() {
            host.undo().await?;
        }
        Ok(())
    }

    /// Takes the tunnel down and leaves the kill switch, or its absence, as it is: with none,
    /// nothing is kept.
    pub(super) async fn rest(&mut self) -> Result<(), LineError> {
        if self.is_protected() {
            self.lower().await
        } else {
            self.unprotect().await
        }
    }

    /// Whether the kill switch is up.
    pub(super) fn is_protected(&self) -> bool {
        self.host
            .as_ref()
            .is_some_and(ConsumerHost::has_kill_switch)
    }

    /// The resolvers that programs are told now; empty where nothing was changed.
    pub(super) fn dns(&self) -> &[IpAddr] {
        &self.dns
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.tunnel
            .as_ref()
            .map(ConsumerTunnel::usage)
            .or(self.last)
    }

    pub(super) fn state(&self) -> Option<TunnelState> {
        self.tunnel.as_ref().map(ConsumerTunnel::state)
    }
}

/// What the exit says it carries. One that carries nothing at all is asked for IPv4 in vain.
pub(super) const fn carries(offer: &Offer) -> Carries {
    match (offer.ipv4, offer.ipv6) {
        (true, true) => Carries::Both,
        (false, true) => Carries::V6,
        (true, false) | (false, false) => Carries::V4,
    }
}

/// The addresses of this side inside the tunnel: none of a kind that the exit does not carry, so
/// that programs do not even try.
pub(super) fn inner(
    terms: &SessionTerms,
    carries: Carries,
) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
    (
        (carries != Carries::V6).then_some(terms.consumer_v4),
        (carries != Carries::V4).then_some(terms.consumer_v6),
    )
}

/// Which resolvers to tell programs: the user's own, else those granted.
///
/// Only such as the tunnel leads to: this machine's own would ask beside it, and those of a kind of
/// IP that the exit does not carry would never answer.
pub(super) fn resolvers(own: &[IpAddr], terms: &SessionTerms, carries: Carries) -> Vec<IpAddr> {
    let asked = if own.is_empty() { &terms.dns } else { own };
    let reached = |it: &&IpAddr| {
        let here = it.is_loopback() || it.is_unspecified() || it.is_multicast();
        let other = if it.is_ipv4() {
            Carries::V6
        } else {
            Carries::V4
        };
        !here && carries != other
    };
    asked.iter().filter(reached).copied().collect()
}

fn spec(
    terms: &SessionTerms,
    private_key: TunnelKey,
    endpoints: Vec<SocketAddr>,
    carries: Carries,
) -> TunnelSpec {
    let (local_v4, local_v6) = inner(terms, carries);
    TunnelSpec {
        device: DEVICE.to_owned(),
        private_key,
        peer_key: terms.provider_key,
        endpoints,
        port: 0,
        local_v4,
        local_v6,
        mtu: terms.mtu,
        keepalive: Some(KEEPALIVE),
        mark: Some(MARK),
        offload: Offload::Auto,
    }
}
