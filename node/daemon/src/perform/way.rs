//! What of routes is wished for, found, and kept: the ways and the locks of a consumer's sessions.

use warren_proto::{Amount, ChannelId, LockOffer, NodeId, RouterHint, SessionStart};

use super::{Openings, Payable};
use crate::route::Routes;
use crate::session::LockMade;

/// Whether a route is to be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum RouteWish {
    /// Where there is no channel to the exit, and one to a router.
    #[default]
    Auto,
    /// Never.
    Direct,
    /// By this router: its node id, or the beginning of one, in hex.
    Through(String),
}

/// How many routers a route has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Routers {
    /// It knows who pays whom.
    #[default]
    One,
    /// Then a route pays, or nothing does: never one router instead, nor a new channel to the exit.
    Two,
}

/// The way a session is paid by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    /// This node's own channel, to the router.
    pub(crate) channel: ChannelId,
    pub(crate) router: NodeId,
    pub(crate) hint: RouterHint,
    /// The router beyond it. `None` on a route over one.
    pub(crate) second: Option<RouterHint>,
    /// What a word costs here.
    pub(crate) unit_price: Amount,
}

impl Way {
    /// The terms of its routers, nearest first.
    pub(super) const fn hints(&self) -> (&RouterHint, Option<&RouterHint>) {
        (&self.hint, self.second.as_ref())
    }

    /// The way over a second router too, which makes a word cost so much here.
    pub(super) fn over(self, (second, unit_price): (RouterHint, Amount)) -> Self {
        Self {
            second: Some(second),
            unit_price,
            ..self
        }
    }

    pub(super) const fn routers(&self) -> Routers {
        match self.second {
            Some(_) => Routers::Two,
            None => Routers::One,
        }
    }

    /// About so much can be locked onward, 2^n wei: on all of it.
    pub(super) fn capacity_log2(&self) -> u32 {
        let (first, second) = self.hints();
        let beyond = second.map_or(u32::MAX, |it| it.capacity_log2);
        first.capacity_log2.min(beyond)
    }
}

/// A lock, on disk.
#[derive(Debug)]
pub(crate) struct Locked {
    /// For the router, once the exit expects it. `None` for one that the exit is known to hold.
    pub(crate) offer: Option<Box<LockOffer>>,
    pub(crate) made: LockMade,
}

/// A lock with words left, for the next session with the same exit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeptLock {
    pub(crate) exit: NodeId,
    pub(crate) way: Way,
    pub(crate) exit_price: Amount,
    pub(crate) made: LockMade,
}

/// A session that a route pays for.
#[derive(Debug)]
pub(crate) struct RoutedStart {
    pub(crate) start: SessionStart,
    pub(crate) way: Way,
    pub(crate) locked: Locked,
}

/// What sessions are funded with.
#[derive(Clone)]
pub(crate) struct RouteFunds {
    pub(crate) routes: Routes,
    pub(crate) wish: RouteWish,
    pub(crate) routers: Routers,
    /// The most a route may cost, in millionths of what the exit gets.
    pub(crate) max_fee_ppm: u32,
    pub(crate) kept: Vec<KeptLock>,
    pub(crate) openings: Openings,
    pub(crate) payable: Payable,
}

/// How far a lock got that is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody was told of it.
    Made,
    /// The router may hold it.
    Offered,
}
