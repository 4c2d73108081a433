//! Who shook hands and who never did: what [`crate::session::Reach`] decides by.

use super::guest::Guest;
use super::{Exit, Shell};
use crate::error::{ErrorCode, Problem};
use crate::metrics::Metric;

impl Shell {
    /// Each guest's first handshake is news: it found the port.
    pub(super) fn look_for_handshakes(&mut self) {
        let Some(exit) = &mut self.exit else { return };
        for guest in exit.guests.values_mut().filter(|it| !it.shook) {
            let state = guest.tunnel.and_then(|at| exit.tunnel.guest_state(at).ok());
            guest.shook = state.is_some_and(|it| it.since_handshake.is_some());
            if guest.shook {
                exit.reach.shook_hands();
            }
        }
    }

    /// A session is over that had a place in the tunnel.
    pub(super) fn was_reached(&mut self, guest: &Guest) {
        let Some(began) = guest.began.filter(|_| !guest.shook) else {
            return;
        };
        self.parts.metrics.add(Metric::ExitUnshaken, 1);
        let Some(exit) = &mut self.exit else { return };
        let before = exit.reach.unreached();
        exit.reach
            .missed(guest.peer, self.parts.clock.now().since(began));
        if before.is_none()
            && let Some(problem) = unreached(exit)
        {
            tracing::warn!(seen = %problem.seen, "guests do not reach this exit");
        }
    }
}

/// What the last guests' sessions say against the exit's port. `None` if nothing.
pub(super) fn unreached(exit: &Exit) -> Option<Problem> {
    let guests = exit.reach.unreached()?;
    let endpoints = exit.what.terms.endpoints.iter();
    let at: Vec<_> = endpoints.map(|it| it.address.to_string()).collect();
    let seen = format!(
        "the last {guests} guests, each another node, left its tunnel without a handshake; they look for it at UDP {}",
        at.join(", ")
    );
    Some(Problem::new(ErrorCode::ExitUnreached, seen))
}
