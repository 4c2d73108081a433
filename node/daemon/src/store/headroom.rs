//! Space for the worst day: a ballast that can be thrown off, a floor under new liabilities.
//!
//! An engine on a full disk cannot even be opened again. So a file of real blocks lies beside the
//! store; it is dropped when space ends, and claims and closing go on in what it leaves. Where a file system makes
//! holes of what it was asked to reserve, and of what was written too, so much more must be free instead.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use nix::fcntl::posix_fallocate;
use nix::sys::statvfs::statvfs;
use warren_tunnel::host::as_owner;

use crate::error::{ErrorCode, Problem};

/// Bytes written at once where reserving is not enough. Our choice.
const CHUNK: usize = 1 << 20;

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
        let seen = as_owner(|| statvfs(folder))?;
        Ok(seen.blocks_available().saturating_mul(seen.fragment_size()))
    }

    /// Whether new channels and guests may be taken on. Takes the ballast aboard again if it was
    /// thrown off and there is space. False if the system does not say.
    #[must_use]
    pub fn takes_liabilities(&self) -> bool {
        // Routers ask on control threads, for whom the home is closed.
        as_owner(|| self.has_room())
    }

    fn has_room(&self) -> bool {
        let free = || self.free_bytes().unwrap_or(0);
        if !self.is_aboard() && free() >= self.wanted_bytes() {
            // Failing is an answer too: the line below gives it.
            let _ = self.take_aboard();
        }
        self.is_aboard() && free() >= self.wanted_bytes()
    }

    /// What must be free for something new: the floor, and the ballast unless its blocks are held.
    fn wanted_bytes(&self) -> u64 {
        let ballast = if self.is_solid() {
            0
        } else {
            self.limits.ballast_bytes
        };
        self.limits.floor_bytes.saturating_add(ballast)
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
        let seen = format!(
            "{} MiB are free for {}; something new is begun with {} MiB or more",
            mib(self.free_bytes().unwrap_or(0)),
            folder.display(),
            mib(self.wanted_bytes()),
        );
        let next = format!("free disk space: df -h {}", folder.display());
        Err(Problem::new(ErrorCode::DiskLow, seen).with_next(next))
    }

    /// Whether the ballast lies there, in its full length.
    #[must_use]
    pub fn is_aboard(&self) -> bool {
        let found = as_owner(|| fs::metadata(&self.ballast));
        found.is_ok_and(|it| it.len() == self.limits.ballast_bytes)
    }

    /// Whether it holds all its blocks, too. On OpenZFS that is known some seconds after they were written.
    pub(super) fn is_solid(&self) -> bool {
        self.is_aboard() && fs::metadata(&self.ballast).is_ok_and(|it| is_whole(&it))
    }

    /// Reserves the ballast's blocks.
    pub(super) fn take_aboard(&self) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.ballast)?;
        let length = i64::try_from(self.limits.ballast_bytes).unwrap_or(i64::MAX);
        let reserved = posix_fallocate(&file, 0, length).map_err(io::Error::from);
        let reserved = reserved.and_then(|()| fill(&mut file));
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

fn is_whole(it: &Metadata) -> bool {
    it.blocks().saturating_mul(512) >= it.len()
}

/// Writes what was only said to be reserved: OpenZFS answers with success, and reserves nothing. What is written is
/// random, for equal bytes are holes there too.
fn fill(file: &mut File) -> io::Result<()> {
    let meta = file.metadata()?;
    if is_whole(&meta) {
        return Ok(());
    }
    let (mut left, mut bytes) = (meta.len(), vec![0; CHUNK]);
    while left > 0 {
        rand::fill(bytes.as_mut_slice());
        let now = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        file.write_all(bytes.get(..now).unwrap_or(&bytes))?;
        left = left.saturating_sub(u64::try_from(now).unwrap_or(left));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

    use warren_tunnel::host::adopt_control_uid;

    use super::*;

    /// A home whose ballast has its length and not one block.
    fn hollow(limits: impl FnOnce(u64) -> Limits) -> (tempfile::TempDir, Headroom) {
        let home = tempfile::tempdir().unwrap();
        let at = home.path().join("db.ballast");
        let free = Headroom::new(at.clone(), Limits::default()).free_bytes();
        let limits = limits(free.unwrap());
        let file = File::create(&at).unwrap();
        file.set_len(limits.ballast_bytes).unwrap();
        (home, Headroom::new(at, limits))
    }

    fn blocks(it: &Headroom) -> u64 {
        fs::metadata(&it.ballast).unwrap().blocks()
    }

    #[test]
    fn a_ballast_of_holes_is_one_where_so_much_more_is_free() {
        let (_home, rich) = hollow(|_| Limits {
            ballast_bytes: 1 << 20,
            floor_bytes: 1 << 20,
        });
        assert!(rich.demand().is_ok());
        assert_eq!(blocks(&rich), 0, "it is not reserved anew at each look");
        let (_home, poor) = hollow(|free| Limits {
            ballast_bytes: free,
            floor_bytes: free / 2,
        });
        assert!(poor.demand().is_err_and(|it| it.is(ErrorCode::DiskLow)));
    }

    /// A router asks on threads for whom the home of the standard first steps is closed.
    #[test]
    fn a_control_thread_sees_the_room_of_a_closed_home_and_stays_one() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED a_control_thread_sees_the_room: needs root for another user id");
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("home");
        std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700)
            .create(&folder)
            .unwrap();
        let small = Limits {
            ballast_bytes: 1 << 20,
            floor_bytes: 1 << 20,
        };
        let room = Headroom::new(folder.join("db.ballast"), small);
        let asked = std::thread::spawn(move || {
            adopt_control_uid().unwrap();
            let closed = || fs::read_dir(&folder).is_err();
            assert!(closed() && room.demand().is_ok() && room.is_aboard());
            assert!(closed(), "it is a control thread again");
        });
        asked.join().unwrap();
    }

    #[test]
    fn what_was_not_reserved_is_written() {
        let (_home, it) = hollow(|_| Limits {
            ballast_bytes: (3 << 20) + 1,
            floor_bytes: 0,
        });
        let mut file = OpenOptions::new().write(true).open(&it.ballast).unwrap();
        fill(&mut file).unwrap();
        file.sync_all().unwrap();
        assert!(it.is_solid() && it.is_aboard());
    }
}
