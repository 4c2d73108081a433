//! Where this node keeps its things, for the verbs that look at them without the daemon.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use warren_daemon::config::Token;
use warren_daemon::error::{ErrorCode, Problem};
use warren_proto::UnixTime;
use zeroize::Zeroizing;

use crate::args::Globals;

/// The folder of this node: as said, else the system's for root, else the user's.
///
/// # Errors
/// A [`Problem`] of the configuration.
pub fn home(globals: &Globals) -> Result<PathBuf, Problem> {
    if let Some(home) = &globals.home {
        return Ok(home.clone());
    }
    Ok(PathBuf::from("/var/lib/warren"))
}

/// The daemon's socket.
///
/// # Errors
/// A [`Problem`] of the configuration.
pub fn socket(globals: &Globals) -> Result<PathBuf, Problem> {
    Ok(home(globals)?.join("warren.sock"))
}

/// The undo journal of what was changed on this machine's network.
///
/// # Errors
/// A [`Problem`] of the configuration.
pub fn journal(globals: &Globals) -> Result<PathBuf, Problem> {
    Ok(home(globals)?.join("undo.journal"))
}

/// What the configuration says, as far as a verb needs it without the daemon.
#[derive(Debug)]
pub struct Known {
    home: PathBuf,
}

/// Reads the configuration.
///
/// # Errors
/// A [`Problem`] of the configuration.
pub fn config(globals: &Globals) -> Result<Known, Problem> {
    Ok(Known {
        home: home(globals)?,
    })
}

impl Known {
    /// The token in which money is written.
    #[must_use]
    pub fn token(&self) -> Token {
        Token {
            symbol: "WRN".to_owned(),
            decimals: 18,
        }
    }

    /// The chain's JSON-RPC.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigMissing`].
    pub fn rpc_url(&self) -> Result<String, Problem> {
        Err(Problem::new(ErrorCode::ConfigMissing, "chain.rpc_url"))
    }

    /// The wallet's file.
    #[must_use]
    pub fn wallet_file(&self) -> PathBuf {
        self.home.join("wallet.age")
    }

    /// The wallet's passphrase.
    ///
    /// # Errors
    /// [`ErrorCode::WalletLocked`].
    pub fn passphrase(&self) -> Result<Zeroizing<String>, Problem> {
        Err(Problem::new(
            ErrorCode::WalletLocked,
            "wallet.passphrase_file is not set",
        ))
    }
}

/// The wall clock.
#[must_use]
pub fn now() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime::default().plus(since)
}

/// Waits for SIGINT or SIGTERM.
pub async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
