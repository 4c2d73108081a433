//! What may go wrong with the consumer's line, and how its user hears of it.

use warren_tunnel::TunnelError;
use warren_tunnel::host::HostError;

use crate::error::{ErrorCode, Problem, machine};

/// What may go wrong on this machine while a tunnel is raised.
#[derive(Debug, thiserror::Error)]
pub(in crate::consumer) enum LineError {
    /// Firewall, routes or names.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Device or socket.
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    /// What was changed on this machine is not all taken back; the journal has the rest.
    #[error("not everything could be taken back: {0}")]
    Left(String),
    /// The thread that was to do it ended.
    #[error("a part of the tunnel died: {0}")]
    Died(String),
}

impl LineError {
    /// What went wrong, as its user sees it.
    pub(in crate::consumer) fn problem(&self) -> Problem {
        match self {
            Self::Host(error) => Problem::of_host(error),
            Self::Tunnel(error) => machine::tunnel(error),
            Self::Left(_) => Problem::left_over(&self.to_string()),
            Self::Died(_) => Problem::new(ErrorCode::Internal, self),
        }
    }
}
