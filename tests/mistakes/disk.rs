//! A small disk of its own: a file system in memory, mounted where only this test and its programs see it.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::home::is_root;

/// What is written at once; a page and more.
const PIECE: usize = 64 << 10;

/// The disk; it vanishes with its mount namespace, and that with the process that holds it.
#[derive(Debug)]
pub(crate) struct Disk {
    holder: Child,
    folder: TempDir,
}

impl Disk {
    /// A disk of so many MiB; `None`, aloud, where nothing can be mounted.
    pub(crate) fn mount(mib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        // It ends when its standard input does, so also when this process is killed.
        let script = format!(
            "mount -t tmpfs -o size={mib}m,mode=0700 wr-mistakes {} && echo mounted && exec cat",
            folder.path().display()
        );
        let flags: &[&str] = if is_root() { &["-m"] } else { &["-r", "-m"] };
        let holder = Command::new("unshare")
            .args(flags)
            .args(["sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut holder) = holder else {
            println!("SKIPPED: a full disk: unshare is not installed");
            return None;
        };
        let mut line = String::new();
        let mut out = BufReader::new(holder.stdout.take().expect("a pipe"));
        out.read_line(&mut line).expect("a line");
        let disk = Self { holder, folder };
        if line != "mounted\n" {
            println!("SKIPPED: a full disk: this user may not mount anything, not even privately");
            return None;
        }
        Some(disk)
    }

    /// The words before a command that is to see the disk.
    pub(crate) fn enter(&self) -> Vec<String> {
        let pid = self.holder.id().to_string();
        let user: &[&str] = if is_root() {
            &[]
        } else {
            &["-U", "--preserve-credentials"]
        };
        let words = ["nsenter", "-t", &pid, "-m"];
        let words = words.iter().chain(user).chain(&["--"]);
        words.map(|it| (*it).to_owned()).collect()
    }

    /// Where it is, for those who see it.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file on it, as seen from this process.
    pub(crate) fn seen_from_here(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let inside = self.folder.path().strip_prefix("/").expect("absolute");
        root.join(inside).join(name)
    }

    fn filler(&self) -> PathBuf {
        self.seen_from_here("filler")
    }

    pub(crate) fn free_bytes(&self) -> u64 {
        let seen = nix::sys::statvfs::statvfs(&self.seen_from_here(".")).expect("a disk");
        seen.blocks_available() * seen.fragment_size()
    }

    /// Fills it until only so many bytes are left.
    pub(crate) fn fill_up_to(&self, left: u64) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.filler())
            .expect("a file");
        let zeros = vec![0; PIECE];
        while let free @ 1.. = self.free_bytes().saturating_sub(left) {
            let piece = PIECE.min(usize::try_from(free).unwrap_or(PIECE));
            // Somebody else may have taken the last page meanwhile.
            if file.write_all(&zeros[..piece]).is_err() {
                return;
            }
        }
    }

    /// Gives the space back.
    pub(crate) fn empty(&self) {
        File::create(self.filler()).expect("a file");
        fs::remove_file(self.filler()).expect("a file");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Gone already is fine.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
