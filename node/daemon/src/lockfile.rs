//! One home, one daemon: a lock that the kernel takes back when its holder dies.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use warren_proto::UnixTime;

use crate::api::types::Timestamp;
use crate::error::{ErrorCode, Problem};

const NAME: &str = "lock";

/// Why the home is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{} is in use by process {holder}", home.display())]
    Held {
        /// The home.
        home: PathBuf,
        /// Who has it, such as `4711, started 2026-11-22T18:00:00.000Z`.
        holder: String,
    },
    /// The system refused.
    #[error("{} cannot be locked", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl LockError {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Held { .. } => Problem::new(ErrorCode::HomeLocked, self),
            Self::Io { source, .. } => Problem::io(ErrorCode::HomeUnusable, source, self),
        }
    }
}

/// The home belongs to this process until this is dropped or the process dies.
#[derive(Debug)]
pub struct HomeLock {
    _file: Flock<File>,
}

impl HomeLock {
    /// Takes the lock of `home`, which must exist; writes down who took it and when.
    ///
    /// # Errors
    /// [`LockError::Held`] names the holder.
    pub fn take(home: &Path, now: UnixTime) -> Result<Self, LockError> {
        let path = home.join(NAME);
        let io = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        // A node cannot run on a read-only disk, but what it blocks is made before it says so.
        let file = match file {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(&path),
            other => other,
        };
        let file = file.map_err(io)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                // Who holds it is news for people; on a full disk it is held all the same.
                if let Err(error) = write_holder(&mut file, now) {
                    tracing::warn!(%error, "the lock's holder is not written down");
                }
                Ok(Self { _file: file })
            }
            Err((file, Errno::EWOULDBLOCK)) => Err(LockError::Held {
                home: home.to_owned(),
                holder: read_holder(file),
            }),
            Err((_, errno)) => Err(io(errno.into())),
        }
    }
}

/// The wallet file belongs to this process: two that promise the same money would promise it twice.
#[derive(Debug)]
pub struct WalletLock {
    _file: Flock<File>,
}

impl WalletLock {
    /// Takes the lock of the wallet at `path`, whichever home points to it.
    ///
    /// # Errors
    /// [`ErrorCode::WalletBusy`] if another process has it.
    pub fn take(path: &Path) -> Result<Self, Problem> {
        let shown = path.display();
        let file = File::open(path)
            .map_err(|it| Problem::new(ErrorCode::WalletMissing, format!("{shown}: {it}")))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { _file: file }),
            Err((_, Errno::EWOULDBLOCK)) => {
                let seen = format!("{shown} is in use");
                Err(Problem::new(ErrorCode::WalletBusy, seen))
            }
            Err((_, errno)) => {
                let seen = format!("{shown} cannot be locked: {errno}");
                Err(Problem::new(ErrorCode::WalletLocked, seen))
            }
        }
    }
}

fn write_holder(file: &mut File, now: UnixTime) -> io::Result<()> {
    file.rewind()?;
    file.set_len(0)?;
    writeln!(file, "{}, started {}", std::process::id(), Timestamp(now))?;
    file.sync_all()
}

/// The holder writes after it locks: for a moment there may be nothing to read yet.
fn read_holder(file: File) -> String {
    let mut text = String::new();
    let read = file.take(200).read_to_string(&mut text);
    let text = text.trim();
    if read.is_err() || text.is_empty() {
        "unknown".to_owned()
    } else {
        text.to_owned()
    }
}
