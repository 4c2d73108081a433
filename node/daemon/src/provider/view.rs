//! What the provider loop shows.

use warren_proto::{Amount, ByteCount, ChannelId, NodeId, Offer, OfferHash, SessionId, UnixTime};

use warren_tunnel::{DropCounts, Rungs, ShapeCounts, TunnelWarning};

use super::Shell;
use super::reach::unreached;
use crate::error::Problem;
use crate::metrics::{Metric, TunnelEnd};
use crate::session::{ProviderPhase, due_units};

/// The exit as it stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProviderFacts {
    /// `None` while this node is no exit.
    pub on: Option<ExitFacts>,
    /// Sessions ended since the daemon started.
    pub served: u64,
    /// What is wrong with it, or ended the last one. `None` while all is well.
    pub trouble: Option<Problem>,
}

/// A running exit.
#[derive(Debug, Clone)]
pub(crate) struct ExitFacts {
    pub since: UnixTime,
    pub offer: Offer,
    pub offer_hash: OfferHash,
    pub endpoints: Vec<String>,
    pub shaped: ShapeCounts,
    pub rungs: Rungs,
    pub lacks: Vec<TunnelWarning>,
    pub dropped: DropCounts,
    /// Why no guest's packet passes though it is on. `None` if they pass.
    pub hindered: Option<Problem>,
    /// What the last sessions say against its port. `None` if nothing.
    pub unreached: Option<Problem>,
    pub guests: Vec<GuestFacts>,
}

/// One guest.
#[derive(Debug, Clone)]
pub(crate) struct GuestFacts {
    pub session: SessionId,
    pub node: NodeId,
    pub phase: ProviderPhase,
    pub since: UnixTime,
    pub used: (ByteCount, ByteCount),
    pub due: Amount,
    pub paid: Amount,
    pub at_risk: Amount,
    pub channel: Option<ChannelId>,
}

impl Shell {
    /// The numbers of the tunnel begin anew with each exit, as counters may.
    pub(super) fn tell_metrics(&self) {
        let on = self.exit.as_ref();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let metrics = &self.parts.metrics;
        metrics.set(Metric::ExitEnabled, u64::from(on.is_some()));
        metrics.set(Metric::Guests, count(on.map_or(0, |it| it.guests.len())));
        let guests = on.into_iter().flat_map(|it| it.guests.values());
        let paused = guests.filter(|it| it.machine.phase() == ProviderPhase::Paused);
        metrics.set(Metric::GuestsPaused, count(paused.count()));
        let Some(exit) = on else { return };
        metrics.set_dropped(TunnelEnd::Exit, exit.tunnel.drop_counts());
        let (shaped, handshakes) = (exit.tunnel.shape_counts(), exit.tunnel.handshake_counts());
        for (metric, value) in [
            (Metric::ExitDelayed, shaped.delayed),
            (Metric::ExitAboveRate, shaped.dropped),
            (Metric::ExitHandshakes, handshakes.computed),
            (Metric::ExitCookies, handshakes.cookies),
        ] {
            self.parts.metrics.set(metric, value);
        }
    }

    pub(super) fn facts(&self) -> ProviderFacts {
        let now = self.parts.clock.now();
        let on = self.exit.as_ref().map(|exit| ExitFacts {
            since: exit.since,
            offer: exit.offer.offer().clone(),
            offer_hash: exit.offer.hash(),
            endpoints: exit
                .what
                .terms
                .endpoints
                .iter()
                .map(|it| it.address.to_string())
                .collect(),
            shaped: exit.tunnel.shape_counts(),
            rungs: exit.tunnel.rungs(),
            lacks: exit.tunnel.warnings().to_vec(),
            dropped: exit.tunnel.drop_counts(),
            hindered: exit
                .hindered
                .clone()
                .or_else(|| exit.shut.then(|| self.trouble.clone()).flatten()),
            unreached: unreached(exit),
            guests: exit
                .guests
                .iter()
                .map(|(session, guest)| {
                    let machine = &guest.machine;
                    let (terms, used) = (machine.terms(), machine.used());
                    let units = due_units(terms, used.0.plus(used.1), machine.served(now));
                    let due = terms.unit_price.checked_mul(units.unwrap_or(0));
                    let at_risk = terms.unit_price.checked_mul(machine.credit_units());
                    GuestFacts {
                        session: *session,
                        node: guest.peer,
                        phase: machine.phase(),
                        since: guest.since,
                        used,
                        due: due.unwrap_or(Amount::MAX),
                        paid: machine.paid(),
                        at_risk: at_risk.unwrap_or(Amount::MAX),
                        channel: guest.channel,
                    }
                })
                .collect(),
        });
        let hindered = self.exit.as_ref().and_then(|it| it.hindered.clone());
        ProviderFacts {
            on,
            served: self.served,
            trouble: hindered.or_else(|| self.trouble.clone()),
        }
    }
}
