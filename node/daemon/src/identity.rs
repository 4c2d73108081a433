//! The node's key file: made once, read at each start, never overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use warren_proto::NodeKey;
use zeroize::Zeroizing;

use crate::error::{ErrorCode, Problem};

/// First line of a key file; the second is the seed in hex.
const HEADER: &str = "warren node key 1 - whoever has this file is this node";
/// No key file is longer.
const MAX_FILE_BYTES: u64 = 1024;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Others may read it.
    #[error("{} has mode {mode:03o} and belongs to uid {owner}; 600 of this user is needed", path.display())]
    Loose {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        owner: u32,
    },
    /// It is not a key file, or a cut one.
    #[error("{} is not a node key file", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
    },
    /// There is one already.
    #[error("{} exists; it is not overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system has no randomness.
    #[error("the system gives no randomness")]
    NoRandomness,
}

impl IdentityError {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Loose { path, .. } => Problem::new(ErrorCode::KeyLoose, self)
                .with_next(format_args!("chmod 600 {}", path.display())),
            Self::Broken { .. } => Problem::new(ErrorCode::KeyBroken, self),
            Self::Exists { .. } => Problem::new(ErrorCode::KeyExists, self),
            Self::Io { source, .. } => Problem::io(ErrorCode::HomeUnusable, source, self),
            Self::NoRandomness => Problem::new(ErrorCode::Internal, self),
        }
    }
}

/// Where a home keeps its node key.
#[must_use]
pub fn key_path(home: &Path) -> PathBuf {
    home.join("node.key")
}

/// Reads the home's key, or makes it if there is none yet.
///
/// # Errors
/// [`IdentityError`]; a broken or loose file is never replaced.
pub fn load_or_create(home: &Path) -> Result<NodeKey, IdentityError> {
    let path = key_path(home);
    match load(&path) {
        Err(IdentityError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(&path)
        }
        known => known,
    }
}

/// Reads a key file.
///
/// # Errors
/// [`IdentityError`]
pub fn load(path: &Path) -> Result<NodeKey, IdentityError> {
    let io = |source| IdentityError::Io {
        path: path.to_owned(),
        source,
    };
    let broken = || IdentityError::Broken {
        path: path.to_owned(),
    };
    let file = File::open(path).map_err(io)?;
    // The open file is asked, not the path: nobody can swap it in between.
    let meta = file.metadata().map_err(io)?;
    let (mode, owner) = (meta.mode() & 0o7777, meta.uid());
    if mode & 0o077 != 0 || owner != Uid::effective().as_raw() {
        return Err(IdentityError::Loose {
            path: path.to_owned(),
            mode,
            owner,
        });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(|_| broken())?;
    let (header, seed_text) = text.trim_end().split_once('\n').ok_or_else(broken)?;
    let mut seed = Zeroizing::new([0_u8; 32]);
    let decoded = hex::decode_to_slice(seed_text, seed.as_mut());
    if header != HEADER || decoded.is_err() {
        return Err(broken());
    }
    Ok(NodeKey::from_seed(&seed))
}

/// Makes a fresh key and its file.
///
/// The file appears whole or not at all, synced before it gets its name.
///
/// # Errors
/// [`IdentityError::Exists`] if there is anything at `path`.
pub fn create(path: &Path) -> Result<NodeKey, IdentityError> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    OsRng
        .try_fill_bytes(seed.as_mut())
        .map_err(|_| IdentityError::NoRandomness)?;
    let key = NodeKey::from_seed(&seed);
    let text = Zeroizing::new(format!(
        "{HEADER}\n{}\n",
        Zeroizing::new(hex::encode(*seed)).as_str()
    ));
    let fresh = path.with_extension(format!("new.{}", std::process::id()));
    let written = write_new(&fresh, path, text.as_bytes());
    // After a success only the second name goes; after a failure the unfinished file does.
    let _ = fs::remove_file(&fresh);
    match written {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(IdentityError::Exists {
            path: path.to_owned(),
        }),
        Err(source) => Err(IdentityError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// A hard link, unlike a rename, refuses a name that is taken.
fn write_new(fresh: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(fresh)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::hard_link(fresh, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn home() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_node_stays_the_same_node() {
        let home = home();
        let first = load_or_create(home.path()).unwrap();
        assert_eq!(load_or_create(home.path()).unwrap().id(), first.id());
        let mode = fs::metadata(key_path(home.path()))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(home.path()).unwrap().count(),
            1,
            "nothing is left beside the key"
        );
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let home = home();
        load_or_create(home.path()).unwrap();
        let path = key_path(home.path());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_or_create(home.path()).unwrap_err();
        assert!(
            matches!(error, IdentityError::Loose { mode: 0o640, .. }),
            "{error}"
        );
        assert!(error.problem().next.starts_with("chmod 600 "));
    }

    #[test]
    fn a_key_is_never_overwritten_not_even_a_broken_one() {
        let home = home();
        let path = key_path(home.path());
        create(&path).unwrap();
        assert!(matches!(create(&path), Err(IdentityError::Exists { .. })));
        for cut in [0, 10, HEADER.len() + 1, HEADER.len() + 60] {
            let whole = fs::read(&path).unwrap();
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(
                matches!(
                    load_or_create(home.path()),
                    Err(IdentityError::Broken { .. })
                ),
                "cut at {cut}"
            );
            assert_eq!(fs::read(&path).unwrap().len(), cut);
            fs::write(&path, &whole).unwrap();
        }
    }
}
