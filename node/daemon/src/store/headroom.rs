//! Space for the worst day: a ballast that can be thrown off, a floor under new liabilities.
//!
//! An engine on a full disk cannot even be opened again. So a file of real blocks lies beside the
//! store; it is dropped when space ends, and claims and closing go on in what it leaves.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use nix::fcntl::posix_fallocate;
use nix::sys::statvfs::statvfs;

use crate::error::{ErrorCode, Problem};

/// How much is kept free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of the ballast.
    pub ballast_bytes: u64,
    /// Free space below which no new liability is taken on.
    pub floor_bytes: u64,
}

impl Default for Limits {
    /// Our choice: 32 MiB is room for the engine's recovery (its logs are at most 8 MiB) and for
    /// tens of thousands of claims; the floor keeps a day's growth above it.
    fn default() -> Self {
        Self {
            ballast_bytes: 32 << 20,
            floor_bytes: 64 << 20,
        }
    }
}

/// The ballast of one home and the space around it.
#[derive(Debug, Clone)]
pub struct Headroom {
    ballast: PathBuf,
    limits: Limits,
}

impl Headroom {
    pub(super) const fn new(ballast: PathBuf, limits: Limits) -> Self {
        Self { ballast, limits }
    }

    /// Bytes free on the home's file system.
    ///
    /// # Errors
    /// What the system says.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let folder = self.ballast.parent().unwrap_or(&self.ballast);
        let seen = statvfs(folder)?;
        Ok(seen.blocks_available().saturating_mul(seen.fragment_size()))
    }

    /// Whether new channels and guests may be taken on. Takes the ballast aboard again if it was
    /// thrown off and there is space. False if the system does not say.
    #[must_use]
    pub fn takes_liabilities(&self) -> bool {
        let wanted = self.limits.floor_bytes;
        let free = || self.free_bytes().unwrap_or(0);
        if !self.is_aboard() && free() >= wanted.saturating_add(self.limits.ballast_bytes) {
            // Failing is an answer too: the line below gives it.
            let _ = self.take_aboard();
        }
        self.is_aboard() && free() >= wanted
    }

    /// The same as an answer to whoever asks for something new.
    ///
    /// # Errors
    /// [`ErrorCode::DiskLow`], with what is free and what is needed.
    pub fn demand(&self) -> Result<(), Problem> {
        if self.takes_liabilities() {
            return Ok(());
        }
        let folder = self.ballast.parent().unwrap_or(&self.ballast);
        let mib = |bytes: u64| bytes >> 20;
        let ballast = if self.is_aboard() {
            0
        } else {
            self.limits.ballast_bytes
        };
        let seen = format!(
            "{} MiB are free for {}; something new is begun with {} MiB or more",
            mib(self.free_bytes().unwrap_or(0)),
            folder.display(),
            mib(self.limits.floor_bytes.saturating_add(ballast)),
        );
        let next = format!("free disk space: df -h {}", folder.display());
        Err(Problem::new(ErrorCode::DiskLow, seen).with_next(next))
    }

    /// Whether the ballast lies there with all its blocks.
    #[must_use]
    pub fn is_aboard(&self) -> bool {
        fs::metadata(&self.ballast).is_ok_and(|it| {
            it.len() == self.limits.ballast_bytes && it.blocks().saturating_mul(512) >= it.len()
        })
    }

    /// Reserves the ballast's blocks.
    pub(super) fn take_aboard(&self) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.ballast)?;
        let length = i64::try_from(self.limits.ballast_bytes).unwrap_or(i64::MAX);
        let reserved = posix_fallocate(&file, 0, length).map_err(io::Error::from);
        if reserved.is_err() {
            // Half a ballast would only make the shortage worse.
            fs::remove_file(&self.ballast)?;
        }
        reserved.and_then(|()| file.sync_all())
    }

    /// Gives the ballast's space back to the disk. Says whether there was any.
    pub(super) fn throw_off(&self) -> bool {
        fs::remove_file(&self.ballast).is_ok()
    }
}
