//! What an exit stands on, looked at each second: its device, its deny table, the networks it is in, the
//! addresses it is known by.
//!
//! Forwarding outlives the deny table: whoever flushes the firewall would open the owner's network to
//! guests. So without the table no guest's packet passes, until it stands again.

use std::time::Duration;

use ipnet::IpNet;
use tokio::task::spawn_blocking;
use warren_proto::Candidate;
use warren_tunnel::Gate;
use warren_tunnel::host::{Carries, forget_flows};

use super::{Exit, Shell};
use crate::error::{ErrorCode, Problem};
use crate::metrics::Metric;
use crate::session::Reach;

/// Between two looks at device and table; the table's costs one question to the kernel.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// So many looks between two at the networks, which costs a listing of the routes.
const NETWORKS: u64 = 5;

/// So many looks in a row without a deny table end the exit: its guests are shut out, and pay by the minute.
pub(super) const MOST_BARE: u32 = 10;

/// Where an exit is known, as looked up last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its WireGuard endpoints, for guests to come.
    pub endpoints: Vec<Candidate>,
    /// Where nodes reach it, for its offer.
    pub addresses: Vec<String>,
    /// All addresses it is known by. They may be its router's, which answers them from inside with its
    /// own pages: no guest reaches them.
    pub deny: Vec<IpNet>,
}

impl Shell {
    pub(super) async fn look(&mut self) {
        let before = self.trouble.clone();
        self.look_around().await;
        match self.trouble.clone() {
            Some(now) if before.as_ref() != Some(&now) => self.warn_of(&now),
            None if before.is_some() => self.tell_of_exit("what the exit stands on is whole again"),
            Some(_) | None => {}
        }
    }

    async fn look_around(&mut self) {
        self.looks = self.looks.wrapping_add(1);
        self.forget_left().await;
        let Some(exit) = &mut self.exit else { return };
        if !exit.tunnel.is_healthy() {
            let device = exit.what.tunnel.device.clone();
            return self.device_is_lost(&device).await;
        }
        if !exit.host.stands().await {
            return self.make_table_again().await;
        }
        if exit.shut {
            // Whoever put it back, or could not be asked for it: nothing is to be told of any more.
            tracing::warn!("the deny table stands; guests pass again");
            exit.bare = 0;
            open(exit);
            self.trouble = None;
        }
        if self.looks.is_multiple_of(NETWORKS) {
            match exit.host.refresh().await {
                Ok(false) => {}
                Ok(true) => self.moved().await,
                Err(error) => tracing::warn!(%error, "the networks of this machine cannot be read"),
            }
            self.look_beside().await;
        }
    }

    /// Docker or another firewall may begin after the exit: its gateway still answers, and nothing else comes through.
    async fn look_beside(&mut self) {
        let Some(exit) = &mut self.exit else { return };
        let found = match exit.host.in_the_way().await {
            Ok(found) => found.first().map(Problem::of_finding),
            // What was found before may still be so.
            Err(error) => {
                return tracing::warn!(%error, "what stands in the way of guests cannot be read");
            }
        };
        if found == exit.hindered {
            return;
        }
        match &found {
            Some(problem) => tracing::error!(seen = %problem.seen, "guests' packets do not pass"),
            None => tracing::info!("guests' packets pass again"),
        }
        exit.hindered.clone_from(&found);
        match &found {
            Some(problem) => self.warn_of(problem),
            None => self.tell_of_exit("guests' packets pass again"),
        }
    }

    /// This machine is in other networks now, or leads out another way: which may carry something else.
    async fn moved(&mut self) {
        let Some(exit) = &self.exit else { return };
        let uplinks = exit.host.uplinks();
        tracing::info!(
            ?uplinks,
            "this machine is in other networks; denied to guests"
        );
        self.tell_of_exit("this machine is in other networks; they are denied to guests");
        let kinds = kinds(exit.host.carries());
        let offer = exit.offer.offer();
        if (offer.ipv4, offer.ipv6) != kinds {
            self.publish(|it| (it.ipv4, it.ipv6) = kinds).await;
        }
    }

    /// Guests are shut out first: from now until the table stands nothing is denied by it.
    async fn make_table_again(&mut self) {
        let Some(exit) = &mut self.exit else { return };
        if !exit.shut {
            shut(exit);
            exit.meddled = exit.meddled.saturating_add(1);
            self.parts.metrics.add(Metric::FirewallMeddled, 1);
            tracing::error!("the deny table was taken away; guests are shut out until it stands");
        }
        let seen = match exit.host.restore().await {
            Ok(()) => {
                exit.bare = 0;
                open(exit);
                format!(
                    "the exit's deny table was taken away {} times; it stands again",
                    exit.meddled
                )
            }
            Err(error) => {
                exit.bare = exit.bare.saturating_add(1);
                if exit.bare >= MOST_BARE {
                    tracing::error!(%error, "the deny table cannot be made again; the exit ends");
                    if let Err(error) = self.disable().await {
                        tracing::warn!(seen = %error.seen, "the exit was not taken down in full");
                    }
                    format!("the deny table could not be made again, so the exit ended: {error}")
                } else {
                    format!("the deny table is gone and no guest passes: {error}; tried again")
                }
            }
        };
        self.trouble = Some(Problem::new(ErrorCode::FirewallMeddled, seen));
    }

    /// Without its device an exit serves nobody: its guests are told to go elsewhere, and its keeper
    /// makes it anew.
    async fn device_is_lost(&mut self, device: &str) {
        tracing::error!(
            device,
            "the exit's tunnel device is gone; the exit is made anew"
        );
        self.parts.metrics.add(Metric::TunnelsLost, 1);
        if let Err(error) = self.disable().await {
            tracing::warn!(seen = %error.seen, "the exit was not taken down in full");
        }
        let seen = format!("{device} was deleted, or a packet thread died");
        self.trouble = Some(Problem::new(ErrorCode::TunnelLost, seen));
    }

    /// The kernel forgets the flows of guests that left, all of a second at once: whoever gets their
    /// addresses gets none of what they had open.
    async fn forget_left(&mut self) {
        let Some(exit) = &mut self.exit else { return };
        if exit.left.is_empty() {
            return;
        }
        let left = std::mem::take(&mut exit.left);
        let (addresses, again) = (left.len(), left.clone());
        let failed = match spawn_blocking(move || forget_flows(&left)).await {
            Ok(Ok(flows)) => {
                exit.unforgotten = false;
                return tracing::debug!(addresses, flows, "flows of guests that left forgotten");
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        // Once: a kernel without connection tracking never will.
        if !std::mem::replace(&mut exit.unforgotten, true) {
            tracing::warn!(failed, "flows of guests that left may live on; tried again");
        }
        exit.left.extend(again); // At most all inner addresses.
    }

    pub(super) async fn known_by(&mut self, known: Known) {
        let Some(exit) = &mut self.exit else { return };
        let before = &exit.what.terms.endpoints;
        let same = known.endpoints.len() == before.len()
            && known.endpoints.iter().all(|it| before.contains(it));
        if !same {
            tracing::info!(endpoints = ?known.endpoints, "this exit is reached elsewhere now");
            exit.what.terms.endpoints.clone_from(&known.endpoints);
            exit.admission.moved(known.endpoints);
            exit.reach = Reach::default(); // What was seen says nothing of another place.
        }
        let moved = known.addresses != exit.offer.offer().addresses;
        match exit.host.also_deny(known.deny.clone()).await {
            Ok(()) => exit.what.nat.also_deny = known.deny,
            // Said again at the next look-up.
            Err(error) => {
                tracing::warn!(%error, "this exit's addresses cannot be denied to guests")
            }
        }
        if moved && !known.addresses.is_empty() {
            tracing::info!(addresses = ?known.addresses, "nodes reach this exit elsewhere now");
            self.publish(|it| it.addresses = known.addresses).await;
        }
    }
}

fn shut(exit: &mut Exit) {
    exit.shut = true;
    set_gates(exit);
}

fn open(exit: &mut Exit) {
    exit.shut = false;
    set_gates(exit);
}

/// A guest that is gone meanwhile has no gate.
fn set_gates(exit: &Exit) {
    for guest in exit.guests.values() {
        if let Some(at) = guest.tunnel {
            let _ = exit.tunnel.set_gate(at, gate(exit, guest.allowed));
        }
    }
}

/// What an offer says of it: IPv4, IPv6.
pub(super) const fn kinds(carries: Carries) -> (bool, bool) {
    match carries {
        Carries::V4 => (true, false),
        Carries::V6 => (false, true),
        Carries::Both => (true, true),
    }
}

/// The gate of a guest that may use so much.
pub(super) const fn gate(exit: &Exit, allowed: warren_proto::ByteCount) -> Gate {
    if exit.shut {
        Gate::Paused
    } else {
        Gate::Until(allowed)
    }
}
