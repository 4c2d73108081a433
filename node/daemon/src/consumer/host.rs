//! The consumer's tunnel and host, raised and lowered in the one safe order.
//!
//! Kill switch, then device, then routes, then names; down in reverse, the kill switch last and
//! only when the user asks.

mod asked;
mod error;
mod names;

use std::net::IpAddr;
use std::path::PathBuf;

use warren_proto::{Offer, SessionTerms};
use warren_tunnel::host::nft;
use warren_tunnel::host::{Carries, ConsumerHost, DnsSpec, LocalAccess, RouteSpec};
use warren_tunnel::{
    ConsumerTunnel, DropCounts, Rungs, TunnelKey, TunnelState, TunnelWarning, Usage,
};

pub(crate) use self::asked::is_of_use;
use self::asked::{blocking, spec};
pub(super) use self::asked::{carries, inner, resolvers};
pub(super) use self::error::LineError;
pub(crate) use self::names::cannot_tell_names;
use crate::error::{ErrorCode, Problem};

/// The consumer's line: kill switch, if wanted, and while a session lasts, tunnel and routes.
#[derive(Debug)]
pub(super) struct Line {
    journal: PathBuf,
    local: LocalAccess,
    host: Option<ConsumerHost>,
    tunnel: Option<ConsumerTunnel>,
    /// What the tunnel was raised with, to be raised again. `None` once it is lowered.
    raised: Option<Raised>,
    /// Carried in this session by devices before this one.
    before: Usage,
    last: Option<Usage>,
    dns: Vec<IpAddr>,
    /// The kill switch was taken away and cannot be made again.
    bare: bool,
    left: Option<Left>,
}

/// Changes of this machine's network that are in the journal and in nobody's hands. `None` if there are none.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// Whether the kill switch is to stand: a dead process's, which could not be taken over yet. Otherwise
    /// the user had it lifted, and something failed.
    wanted: bool,
    /// Whether its table was there when last asked.
    stands: bool,
}

/// What a session's tunnel is made of.
#[derive(Debug, Clone)]
struct Raised {
    carries: Carries,
    terms: SessionTerms,
    key: TunnelKey,
    dns: Vec<IpAddr>,
}

/// What a look at the line found.
#[derive(Debug)]
pub(super) enum Found {
    /// All as it was left.
    Sound,
    /// Somebody took the firewall rules away; they stand again.
    Meddled,
    /// Somebody took rules, routes or resolvers away; these are there again.
    Mended(Vec<String>),
    /// Something of it could not be made again; the tunnel stands, and the next look tries again.
    Unmended(LineError),
    /// A kill switch of a dead process that could not be taken over at first, is.
    Adopted,
    /// Somebody took the firewall rules away, and they cannot be made again; which rules, routes and resolvers can be.
    Bare(LineError, Result<Vec<String>, LineError>),
    /// The tunnel's device was gone; it is there again, with the same session.
    Renewed,
    /// The same, and it cannot be had again.
    Lost(LineError),
}

impl Line {
    pub(super) fn new(journal: PathBuf, local: LocalAccess) -> Self {
        Self {
            journal,
            local,
            host: None,
            tunnel: None,
            raised: None,
            before: Usage::default(),
            last: None,
            dns: Vec::new(),
            bare: false,
            left: None,
        }
    }

    /// Takes over the kill switch of a process that died, if one did: it blocks until the user says otherwise,
    /// whichever daemon made it. Without one, what else that process left is taken back.
    pub(super) async fn adopt(&mut self) -> Result<(), LineError> {
        match ConsumerHost::adopt(&self.journal, &blocking(&self.local)).await {
            Ok(host) => {
                (self.host, self.left) = (host, None);
                Ok(())
            }
            Err(error) => {
                self.leave(true).await;
                Err(error.into())
            }
        }
    }

    /// Where nobody can tell, what is wanted counts as missing, and what was to be lifted as still there.
    async fn leave(&mut self, wanted: bool) {
        let stands = nft::has_table(nft::KILL_SWITCH_TABLE).await;
        let stands = stands.unwrap_or(!wanted);
        self.left = Some(Left { wanted, stands });
    }

    /// Blocks everything that is not ours, unless the user wants no kill switch. Must come before
    /// anything else.
    pub(super) async fn protect(&mut self, kill_switch: bool) -> Result<(), LineError> {
        match &self.host {
            Some(host) if host.has_kill_switch() == kill_switch => return Ok(()),
            Some(_) => self.unprotect().await?,
            None => {}
        }
        self.bare = false;
        self.host = Some(if kill_switch {
            ConsumerHost::protect(&self.journal, &blocking(&self.local)).await?
        } else {
            ConsumerHost::exposed(&self.journal).await?
        });
        self.left = None;
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
        self.lower().await?;
        (self.last, self.before) = (None, Usage::default());
        let carries = carries(offer);
        let terms = terms.clone();
        let raised = Raised {
            carries,
            terms,
            key,
            dns,
        };
        self.lift(raised).await
    }

    /// A tunnel without all of its routes is none: what fails half way is lowered, and stays wanted.
    async fn lift(&mut self, raised: Raised) -> Result<(), LineError> {
        let lifted = self.lift_all(raised.clone()).await;
        if lifted.is_err()
            && let Err(error) = self.lower().await
        {
            tracing::error!(%error, "half a tunnel could not be taken down");
        }
        self.raised = Some(raised);
        lifted
    }

    async fn lift_all(&mut self, raised: Raised) -> Result<(), LineError> {
        let Raised {
            carries,
            terms,
            key,
            dns,
        } = raised;
        let endpoints: Vec<_> = terms.endpoints.iter().map(|it| it.address).collect();
        if let Some(host) = &mut self.host {
            host.allow_endpoints(&endpoints).await?;
        }
        let spec = spec(&terms, key, endpoints, carries);
        let tunnel = aside(move || ConsumerTunnel::up(spec)).await??;
        tunnel.measure(match carries {
            Carries::V6 => terms.gateway_v6.into(),
            Carries::V4 | Carries::Both => terms.gateway_v4.into(),
        });
        self.tunnel = Some(tunnel);
        if let Some(host) = &mut self.host {
            host.route(&RouteSpec {
                carries,
                local: self.local.clone(),
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

    /// Looks whether kill switch, routes, names and device still stand, and makes again what does not; to be
    /// called each second. The kill switch comes first: nothing may leave while the tunnel is renewed.
    pub(super) async fn look(&mut self) -> Found {
        let mut found = Found::Sound;
        if self.left.is_some_and(|it| it.wanted) {
            match self.adopt().await {
                Ok(()) => found = Found::Adopted,
                Err(error) => tracing::debug!(%error, "still not taken over"),
            }
        }
        if let Some(host) = &mut self.host
            && !host.stands().await
        {
            match host.restore().await {
                Ok(()) => found = Found::Meddled,
                Err(error) => {
                    self.bare = true;
                    // Without a kill switch these are all that keeps anything inside.
                    let mended = host.mend().await;
                    return Found::Bare(error.into(), mended.map_err(LineError::from));
                }
            }
        }
        self.bare = false;
        let dead = self.tunnel.as_ref().is_some_and(|it| !it.is_healthy());
        // Without a tunnel but raised: an earlier renewal failed half way.
        let half = self.tunnel.is_none() && self.raised.is_some();
        let Some(raised) = self.raised.clone().filter(|_| dead || half) else {
            let mended = self.mended().await;
            return mended.map_or_else(Found::Unmended, |it| it.unwrap_or(found));
        };
        match self.renew(raised).await {
            Ok(()) => Found::Renewed,
            Err(error) => Found::Lost(error),
        }
    }

    /// Lets the tunnel's packets through to where it follows its exit, and makes again what others took away of
    /// rules, routes and names. `None` if that is nothing.
    async fn mended(&mut self) -> Result<Option<Found>, LineError> {
        let Some(host) = &mut self.host else {
            return Ok(None);
        };
        let place = self.tunnel.as_ref().and_then(|it| it.state().endpoint);
        let followed = match place {
            Some(place) => host.follow(place).await,
            None => Ok(false),
        };
        if let (Some(place), Ok(true)) = (place, &followed) {
            tracing::info!(%place, "the exit is somewhere else; the kill switch lets the tunnel follow");
        }
        // Routes and names are made again also where it could not be let follow.
        let mended = host.mend().await?;
        if mended.is_empty() {
            return Ok(followed.map(|_| None)?);
        }
        Ok(Some(Found::Mended(mended)))
    }

    async fn renew(&mut self, raised: Raised) -> Result<(), LineError> {
        let lowered = self.lower().await;
        self.raised = Some(raised.clone());
        lowered?;
        self.before = self.last.unwrap_or_default();
        self.lift(raised).await
    }

    /// Takes tunnel and routes down; the kill switch, where there is one, stays.
    pub(super) async fn lower(&mut self) -> Result<(), LineError> {
        self.raised = None;
        if let Some(host) = &mut self.host {
            host.release().await?;
        }
        self.dns.clear();
        self.end_tunnel().await
    }

    async fn end_tunnel(&mut self) -> Result<(), LineError> {
        if let Some(tunnel) = self.tunnel.take() {
            let carried = aside(move || tunnel.down()).await?;
            self.last = Some(sum(self.before, carried));
        }
        Ok(())
    }

    /// Lifts the kill switch too, whatever else cannot be done.
    pub(super) async fn unprotect(&mut self) -> Result<(), LineError> {
        if let Err(error) = self.lower().await {
            tracing::warn!(%error, "the line was not lowered in order");
        }
        self.dns.clear();
        if self.left.is_some() {
            self.host = Some(ConsumerHost::exposed(&self.journal).await?);
            self.left = None;
        }
        let left = match self.host.take() {
            Some(host) => host
                .undo()
                .await
                .map(|it| (!it.is_clean()).then(|| it.to_string())),
            None => Ok(None),
        };
        if !matches!(left, Ok(None)) {
            // Still in the journal, and still this one's to take back when asked again.
            self.leave(false).await;
        }
        self.end_tunnel().await?;
        match left? {
            Some(left) => Err(LineError::Left(left)),
            None => Ok(()),
        }
    }

    /// Takes the tunnel down and leaves the kill switch, or its absence, as it is: with none,
    /// nothing is kept.
    pub(super) async fn rest(&mut self) -> Result<(), LineError> {
        if self.has_kill_switch() {
            self.lower().await
        } else {
            self.unprotect().await
        }
    }

    /// Whether there is a kill switch, as far as it is ours to say.
    pub(super) fn has_kill_switch(&self) -> bool {
        let host = self.host.as_ref();
        self.left.is_some() || host.is_some_and(ConsumerHost::has_kill_switch)
    }

    /// Whether the kill switch is up, and nobody was seen to have taken it away for good.
    pub(super) fn is_protected(&self) -> bool {
        match self.left {
            Some(left) => left.stands,
            None => self.has_kill_switch() && !self.bare,
        }
    }

    /// The resolvers that programs are told now; empty where nothing was changed.
    pub(super) fn dns(&self) -> &[IpAddr] {
        &self.dns
    }

    /// What a user of a tunnel without resolvers should know. `None` while there is no tunnel, or it has some.
    pub(super) fn nameless(&self) -> Option<Problem> {
        let seen = "the exit grants no resolver that its tunnel leads to, and consumer.dns is not set: programs go on \
                    asking this machine's own, and where the tunnel does not lead there, no name is found";
        let nameless = self.tunnel.is_some() && self.dns.is_empty();
        nameless.then(|| Problem::new(ErrorCode::NoResolver, seen))
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        let now = self.tunnel.as_ref().map(ConsumerTunnel::usage);
        now.map(|it| sum(self.before, it)).or(self.last)
    }

    /// How packets pass, and what the tunnel does without. `None` while there is none.
    pub(super) fn equipment(&self) -> Option<(Rungs, Vec<TunnelWarning>)> {
        let tunnel = self.tunnel.as_ref()?;
        Some((tunnel.rungs(), tunnel.warnings().to_vec()))
    }

    /// What the tunnel did not carry: nothing, while there is none.
    pub(super) fn dropped(&self) -> DropCounts {
        let counts = self.tunnel.as_ref().map(ConsumerTunnel::drop_counts);
        counts.unwrap_or_default()
    }

    pub(super) fn state(&self) -> Option<TunnelState> {
        self.tunnel.as_ref().map(ConsumerTunnel::state)
    }
}

/// Runs what waits for threads or the kernel where that holds up no other task.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LineError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| LineError::Died(error.to_string()))
}

fn sum(before: Usage, now: Usage) -> Usage {
    Usage {
        up: before.up.plus(now.up),
        down: before.down.plus(now.down),
    }
}

#[cfg(test)]
mod tests;
