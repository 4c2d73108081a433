//! A disk of this test's own that can be told to fail: an ext2 file system in a file, through a loop device.
//!
//! While the file is immutable, the kernel cannot write the device's blocks back, so `fdatasync` of any
//! file on it ends in EIO, as on a dying disk, and the pages it could not write are forgotten. Mutable
//! again, the disk is well again.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};

/// Room for the engine and for its recovery.
const SIZE: &str = "96M";

/// Gone, with its mount, when dropped or when this process ends.
pub(crate) struct BadDisk {
    folder: tempfile::TempDir,
}

impl BadDisk {
    /// `None`, said aloud, where such a disk cannot be made or cannot be made to fail.
    pub(crate) fn mount() -> Option<Self> {
        let disk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(disk.path()).unwrap();
        // Only this process sees the mount, so it ends with it whatever happens.
        let made = unshare(CloneFlags::CLONE_NEWNS).is_ok()
            && run("mount", &["--make-rprivate", "/"])
            && run("truncate", &["-s", SIZE, &disk.image()])
            && run("mkfs.ext2", &["-q", "-m", "0", &disk.image()])
            && disk.attach();
        if !made {
            println!("SKIPPED: EIO on sync needs root, loop devices and ext2");
            return None;
        }
        if !disk.fails_when_told() {
            println!("SKIPPED: EIO on sync: this file system lets immutable files be written");
            return None;
        }
        Some(disk)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Every sync ends in EIO from now on.
    pub(crate) fn fall_ill(&self) {
        assert!(
            run("chattr", &["+i", &self.image()]),
            "the disk does not fall ill"
        );
    }

    /// Writes reach the disk again; what did not is lost.
    pub(crate) fn get_well(&self) {
        assert!(
            run("chattr", &["-i", &self.image()]),
            "the disk does not get well"
        );
    }

    /// What is in the kernel's memory and never reached the disk is gone.
    pub(crate) fn power_cycle(&self) {
        assert!(
            run("umount", &[&self.path().display().to_string()]),
            "the disk is in use"
        );
        assert!(self.attach(), "the disk is gone");
    }

    fn attach(&self) -> bool {
        let to = self.path().display().to_string();
        run("mount", &["-o", "loop,errors=continue", &self.image(), &to])
    }

    fn image(&self) -> String {
        self.folder.path().join("image").display().to_string()
    }

    fn fails_when_told(&self) -> bool {
        let probe = self.path().join("probe");
        let well = write_synced(&probe).is_ok();
        if !run("chattr", &["+i", &self.image()]) {
            return false;
        }
        let failed = write_synced(&probe);
        self.get_well();
        let eio = failed.is_err_and(|it| it.raw_os_error() == Some(nix::libc::EIO));
        well && eio && write_synced(&probe).is_ok()
    }
}

impl Drop for BadDisk {
    fn drop(&mut self) {
        // Each of these may be done already.
        let _ = run("chattr", &["-i", &self.image()]);
        let _ = run("umount", &[&self.path().display().to_string()]);
    }
}

fn write_synced(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(&[1; 9000])?;
    file.sync_data()
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let (out, err) = (Stdio::null(), Stdio::null());
    let ran = Command::new(program)
        .args(arguments)
        .stdout(out)
        .stderr(err)
        .status();
    ran.is_ok_and(|it| it.success())
}
