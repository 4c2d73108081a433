//! What this node was told, for the verbs that look at its things without the daemon.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use warren_daemon::config::{Config, Sources};
use warren_daemon::error::{ErrorCode, Problem};
use warren_proto::UnixTime;
use zeroize::Zeroizing;

use crate::args::Globals;

/// Name of the configuration file in a home.
const CONFIG_FILE: &str = "config.toml";
/// Where the system's node is configured.
const SYSTEM_CONFIG: &str = "/etc/warren/config.toml";
/// Where the system's node listens unless told otherwise.
const SYSTEM_SOCKET: &str = "/run/warren/warren.sock";
/// The longest passphrase that is read.
const MAX_PASSPHRASE_BYTES: u64 = 4096;

/// Puts together what this node was told: file, environment, flags.
///
/// # Errors
/// A [`Problem`] of the configuration, with the place of what does not fit.
pub fn config(globals: &Globals, set: &[(String, String)]) -> Result<Config, Problem> {
    let mut flags = set.to_vec();
    if let Some(home) = &globals.home {
        flags.push(("node.home".to_owned(), home.display().to_string()));
    }
    load(file(globals), flags)
}

fn load(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Result<Config, Problem> {
    let env = std::env::vars().filter(|(name, _)| name.contains("__"));
    let env = env.collect();
    let sources = Sources { file, env, flags };
    Config::load(&sources).map_err(|it| it.problem())
}

/// Where the daemon is asked. Who may not read how the system's node is configured, as a member of its group, asks
/// it all the same, unless there is a daemon of one's own.
///
/// # Errors
/// As [`config`].
pub fn socket(globals: &Globals) -> Result<PathBuf, Problem> {
    let named = globals.config.is_some() || globals.home.is_some();
    if named || File::open(SYSTEM_CONFIG).is_ok() {
        return Ok(config(globals, &[])?.api.socket);
    }
    let own = load(None, Vec::new())?.api.socket;
    let is_told = |name| std::env::var_os(name).is_some();
    let is_told = is_told("WARREN_API__SOCKET") || is_told("WARREN_NODE__HOME");
    Ok(if is_told {
        own
    } else {
        of_system_or(own, Path::new(SYSTEM_SOCKET))
    })
}

/// One's own daemon if there is one, else the system's if there is one.
fn of_system_or(own: PathBuf, system: &Path) -> PathBuf {
    if !own.exists() && system.exists() {
        system.to_owned()
    } else {
        own
    }
}

/// The file that was named; else the home's, else the system's, where there is one.
fn file(globals: &Globals) -> Option<PathBuf> {
    if let Some(named) = &globals.config {
        return Some(named.clone());
    }
    let of_home = globals.home.as_ref().map(|it| it.join(CONFIG_FILE));
    let usual = of_home.unwrap_or_else(|| PathBuf::from(SYSTEM_CONFIG));
    usual.exists().then_some(usual)
}

/// The undo journals of what was changed on this machine's network: one per role.
#[must_use]
pub fn journals(config: &Config) -> [PathBuf; 2] {
    ["consumer.journal", "exit.journal"].map(|it| config.node.home.join(it))
}

/// The wallet's passphrase, without the line's end.
///
/// # Errors
/// [`ErrorCode::WalletLocked`].
pub fn passphrase(config: &Config) -> Result<Zeroizing<String>, Problem> {
    let locked = |seen: String| Problem::new(ErrorCode::WalletLocked, seen);
    let path = config.wallet.passphrase_file.as_ref();
    let path = path.ok_or_else(|| locked("wallet.passphrase_file is not set".to_owned()))?;
    let file = File::open(path).map_err(|it| locked(format!("{}: {it}", path.display())))?;
    let mut text = Zeroizing::new(String::new());
    let read = std::io::Read::read_to_string(
        &mut std::io::Read::take(file, MAX_PASSPHRASE_BYTES),
        &mut text,
    );
    read.map_err(|it| locked(format!("{}: {it}", path.display())))?;
    Ok(Zeroizing::new(
        text.trim_end_matches(['\n', '\r']).to_owned(),
    ))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_daemon_of_the_system_is_asked_where_there_is_no_own_one() {
        let folder = tempfile::tempdir().unwrap();
        let (own, system) = (folder.path().join("own"), folder.path().join("system"));
        assert_eq!(of_system_or(own.clone(), &system), own);
        std::fs::write(&system, "").unwrap();
        assert_eq!(of_system_or(own.clone(), &system), system);
        std::fs::write(&own, "").unwrap();
        assert_eq!(of_system_or(own.clone(), &system), own);
    }
}
