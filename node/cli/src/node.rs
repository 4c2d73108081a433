//! What this node was told, for the verbs that look at its things without the daemon.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use warren_daemon::config::{AsSaid, Config, Origin, Setting, Sources};
use warren_daemon::error::{ErrorCode, Problem};
use warren_proto::UnixTime;

use crate::args::Globals;

/// Name of the configuration file in a home.
const CONFIG_FILE: &str = "config.toml";
/// Where the system's node is configured.
const SYSTEM_CONFIG: &str = "/etc/warren/config.toml";
/// Where the system's node listens unless told otherwise.
const SYSTEM_SOCKET: &str = "/run/warren/warren.sock";

/// Puts together what this node was told: file, environment, flags.
///
/// # Errors
/// A [`Problem`] of the configuration, with the place of what does not fit.
pub fn config(globals: &Globals, set: &[(String, String)]) -> Result<Config, Problem> {
    let mut flags = set.to_vec();
    flags.extend(home_flag(globals));
    load(file(globals), flags)
}

fn load(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Result<Config, Problem> {
    read(file, flags)?.fits().map_err(|it| it.problem())
}

/// The same, whether or not it fits.
///
/// # Errors
/// A [`Problem`] if one of our variables is no text.
pub fn as_said(globals: &Globals) -> Result<AsSaid, Problem> {
    read(file(globals), home_flag(globals).into_iter().collect())
}

fn home_flag(globals: &Globals) -> Option<(String, String)> {
    let home = globals.home.as_ref()?;
    Some(("node.home".to_owned(), home.display().to_string()))
}

fn read(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Result<AsSaid, Problem> {
    let env = variables(std::env::vars_os())?;
    Ok(AsSaid::of(&Sources { file, env, flags }))
}

/// The variables that may set a key. What has another name and is no text is somebody else's.
fn variables(
    all: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, Problem> {
    let ours = all.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = ours.filter(|(name, _)| name.starts_with("WARREN_") && name.contains("__"));
    let text = |(name, value): (String, OsString)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(value) => {
            let seen = format!("environment variable {name} = {value:?}: text is needed");
            Err(Problem::new(ErrorCode::ConfigBadValue, seen))
        }
    };
    ours.map(text).collect()
}

/// Where the daemon is asked. Who was told of no other asks the system's where there is none of one's own, whether
/// or not how that is configured can be read.
///
/// # Errors
/// As [`config`].
pub fn socket(globals: &Globals) -> Result<PathBuf, Problem> {
    let named = globals.config.is_some() || globals.home.is_some();
    let config = if named || File::open(SYSTEM_CONFIG).is_ok() {
        config(globals, &[])?
    } else {
        load(None, Vec::new())?
    };
    let is_place = |it: &&Setting| ["api.socket", "node.home"].contains(&it.key.name);
    let mut places = config.settings().iter().filter(is_place);
    let told = named || places.any(|it| it.origin != Origin::Default);
    let own = config.api.socket;
    Ok(if told {
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
pub fn journals(home: &Path) -> [PathBuf; 2] {
    ["consumer.journal", "exit.journal"].map(|it| home.join(it))
}

/// The wall clock.
#[must_use]
pub fn now() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime::default().plus(since)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn a_variable_that_is_no_text_ends_nothing_unless_it_is_ours() {
        let odd = || OsString::from_vec(vec![b'x', 0xff]);
        let pairs = [
            (odd(), odd()),
            ("LESS__".into(), odd()),
            ("WARREN_NODE__LOG".into(), "debug".into()),
        ];
        let told = variables(pairs.into_iter()).unwrap();
        assert_eq!(told, [("WARREN_NODE__LOG".to_owned(), "debug".to_owned())]);
        let ours = [("WARREN_NODE__HOME".into(), odd())];
        let problem = variables(ours.into_iter()).unwrap_err();
        assert!(problem.seen.contains("WARREN_NODE__HOME"));
    }

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
