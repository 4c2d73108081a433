//! What went wrong on this machine's network, as its users see it.

use warren_tunnel::host::HostError;

use super::machine::one_line;
use super::{ErrorCode, Problem};

/// How one is allowed to change the network without being root all the time.
const RIGHTS: &str =
    "sudo warren daemon, or: sudo setcap cap_net_admin,cap_setuid+ep on the program";

impl Problem {
    /// Tells why this machine's network could not be changed.
    #[must_use]
    pub fn of_host(error: &HostError) -> Self {
        let code = match error {
            HostError::ExitHere { .. } | HostError::ConsumerHere { .. } => ErrorCode::OneRole,
            HostError::NoUplink => ErrorCode::NoUplink,
            HostError::LeftOver { .. } => ErrorCode::LeftOvers,
            HostError::ProgramMissing { .. } => {
                return Self::new(ErrorCode::NoNft, error).with_next("apt-get install nftables");
            }
            HostError::Refused {
                program, stderr, ..
            } if *program == "nft" && stderr.contains("not permitted") => {
                return Self::new(ErrorCode::NoNft, one_line(error)).with_next(RIGHTS);
            }
            HostError::JournalBusy { .. } => {
                return Self::new(ErrorCode::HomeLocked, error).with_next("warren down --daemon");
            }
            HostError::Spawn { .. }
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
        Self::new(code, one_line(error))
    }
}
