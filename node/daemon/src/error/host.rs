//! What went wrong on this machine's network, as its users see it.

use warren_tunnel::host::HostError;

use super::{ErrorCode, Problem};

impl Problem {
    /// Tells why this machine's network could not be changed.
    #[must_use]
    pub fn of_host(error: &HostError) -> Self {
        let code = match error {
            HostError::ExitHere { .. } | HostError::ConsumerHere { .. } => ErrorCode::OneRole,
            HostError::NoUplink => ErrorCode::NoUplink,
            HostError::ProgramMissing { .. } => ErrorCode::NoNft,
            HostError::JournalBusy { .. }
            | HostError::Spawn { .. }
            | HostError::Refused { .. }
            | HostError::TimedOut { .. }
            | HostError::Answer { .. }
            | HostError::NetlinkSocket(_)
            | HostError::Netlink { .. }
            | HostError::NoDevice { .. }
            | HostError::BadDeviceName { .. }
            | HostError::LanNotPrivate { .. }
            | HostError::Sysctl { .. }
            | HostError::File { .. }
            | HostError::JournalEncode(_) => ErrorCode::HostChangeFailed,
        };
        Self::new(code, error)
    }
}
