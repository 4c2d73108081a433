//! What this machine refused, in the user's words: tunnel devices and key files.

use warren_payments::wallet::file::WalletFileError;
use warren_tunnel::TunnelError;

use super::{ErrorCode, Problem};

/// A tunnel that cannot be had.
#[must_use]
pub fn tunnel(error: &TunnelError) -> Problem {
    let code = match error {
        TunnelError::Device { .. } => ErrorCode::NoTun,
        TunnelError::Socket { .. } => ErrorCode::PortBusy,
        TunnelError::NoEndpoint => ErrorCode::WrongExit,
        TunnelError::Configure { .. }
        | TunnelError::Thread { .. }
        | TunnelError::Mtu { .. }
        | TunnelError::Taken(_)
        | TunnelError::AddressOutside(_)
        | TunnelError::Full(_)
        | TunnelError::NoSuchGuest(_) => ErrorCode::HostChangeFailed,
    };
    Problem::new(code, one_line(error))
}

/// A wallet file that does not open.
#[must_use]
pub fn wallet(error: &WalletFileError) -> Problem {
    let code = match error {
        WalletFileError::Exists { .. } => ErrorCode::KeyExists,
        WalletFileError::Open { path, .. } => {
            return Problem::new(ErrorCode::KeyLoose, error)
                .with_next(format_args!("chmod 600 {}", path.display()));
        }
        WalletFileError::Damaged { .. } | WalletFileError::Wallet { .. } => ErrorCode::KeyBroken,
        WalletFileError::Passphrase { .. } => ErrorCode::WalletLocked,
        WalletFileError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            ErrorCode::WalletMissing
        }
        WalletFileError::Io { .. } => ErrorCode::HomeUnusable,
    };
    Problem::new(code, error)
}

/// What a program said in several lines, in one.
pub(super) fn one_line(text: &dyn std::fmt::Display) -> String {
    let text = text.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
