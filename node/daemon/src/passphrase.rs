//! The wallet's passphrase, from the file that its owner named.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use zeroize::Zeroizing;

use crate::config::Config;
use crate::error::{ErrorCode, Problem};

/// Where an engine puts the secrets of a container, readable for all that runs in it: that is who may read them.
const OF_CONTAINER: &str = "/run/secrets";
/// The longest passphrase that is read.
const MAX_BYTES: u64 = 4096;

/// Reads the passphrase, without the line's end.
///
/// # Errors
/// [`ErrorCode::WalletLocked`], also if it is empty or longer than 4096 bytes; [`ErrorCode::KeyLoose`] if others may read its file.
pub fn passphrase(config: &Config) -> Result<Zeroizing<String>, Problem> {
    let locked = |seen: String| Problem::new(ErrorCode::WalletLocked, seen);
    let path = config.wallet.passphrase_file.as_ref();
    let path = path.ok_or_else(|| locked("wallet.passphrase_file is not set".to_owned()))?;
    let unusable = |error| locked(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(unusable)?;
    // The open file is asked, not the path: nobody can swap it in between.
    let meta = file.metadata().map_err(unusable)?;
    let mode = meta.mode() & 0o7777;
    if meta.is_file() && mode & 0o077 != 0 && !path.starts_with(OF_CONTAINER) {
        let path = path.display();
        let seen = format!("{path} has mode {mode:04o}: others can read the wallet's passphrase");
        let problem = Problem::new(ErrorCode::KeyLoose, seen);
        return Err(problem.with_next(format_args!("chmod 600 {path}")));
    }
    let mut text = Zeroizing::new(String::new());
    let read = file.take(MAX_BYTES.saturating_add(1));
    let mut read = std::io::BufReader::new(read);
    let count = read.read_to_string(&mut text).map_err(unusable)?;
    if count > usize::try_from(MAX_BYTES).unwrap_or(usize::MAX) {
        let path = path.display();
        let seen = format!("{path} is longer than the {MAX_BYTES} bytes that are read");
        return Err(locked(seen));
    }
    let said = text.trim_end_matches(['\n', '\r']);
    if said.is_empty() {
        let path = path.display();
        let seen = format!("{path} is empty: it would protect the wallet from nobody");
        return Err(locked(seen));
    }
    Ok(Zeroizing::new(said.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;
    use crate::config::Sources;

    fn config_with(path: &Path) -> Config {
        let key = "wallet.passphrase_file".to_owned();
        let config = Config::load(&Sources {
            flags: vec![(key, path.display().to_string())],
            ..Sources::default()
        });
        config.unwrap()
    }

    #[test]
    fn an_empty_or_endless_passphrase_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        let config = config_with(&path);
        for (text, opens) in [
            (String::new(), false),
            ("\r\n".to_owned(), false),
            ("x".repeat(4097), false),
            ("x".repeat(4096), true),
            (" \n".to_owned(), true),
        ] {
            fs::write(&path, &text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            match passphrase(&config) {
                Ok(_) => assert!(opens, "{} bytes", text.len()),
                Err(it) => assert!(!opens && it.is(ErrorCode::WalletLocked), "{it:?}"),
            }
        }
    }

    #[test]
    fn a_passphrase_that_others_could_read_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        fs::write(&path, "correct horse\n").unwrap();
        let config = config_with(&path);
        for (mode, opens) in [(0o644, false), (0o640, false), (0o600, true), (0o400, true)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            match passphrase(&config) {
                Ok(it) => assert!(opens && it.as_str() == "correct horse", "{mode:o}"),
                Err(it) => assert!(!opens && it.is(ErrorCode::KeyLoose), "{mode:o}"),
            }
        }
    }
}
