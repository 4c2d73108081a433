//! Replaces `resolv.conf` and puts back what was there, byte for byte.
//!
//! By renaming, so that no reader sees half a file; where the file is a mount of its own, as in
//! containers, it cannot be renamed over and is written in place, and so it is on a full disk: there the
//! old bytes find room where ours are.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};
use serde::{Deserialize, Serialize};

use super::HostError;
use super::report::Outcome;

/// What was at the file's path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileContent {
    /// Nothing.
    Absent,
    /// A symbolic link to this target.
    Link(PathBuf),
    /// Text with these permission bits.
    Text(String, u32),
    /// Bytes that are no UTF-8, with these permission bits.
    Bytes(Vec<u8>, u32),
}

/// A `resolv.conf` that was, or is about to be, replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvConf {
    /// The file.
    pub path: PathBuf,
    /// What was there; the backup.
    pub before: FileContent,
    /// What we write.
    pub after: String,
}

/// The first line of each that we write.
const HEAD: &str = "# Written by Warren; `warren recover` puts the old one back.\n";

/// Whether a file is one of ours.
pub(super) fn is_written_by_us(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|it| it.starts_with(HEAD))
}

/// Whether this process may put another file in its place, as [`put`] does: that takes its folder, not the file.
pub(super) fn may_replace(path: &Path) -> Result<(), Errno> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let needed = AccessFlags::W_OK | AccessFlags::X_OK;
    faccessat(AT_FDCWD, folder, needed, AtFlags::AT_EACCESS)
}

impl ResolvConf {
    pub(crate) fn plan(path: &Path, servers: &[IpAddr]) -> Result<Self, HostError> {
        let mut after = String::from(HEAD);
        servers
            .iter()
            .for_each(|it| after.push_str(&format!("nameserver {it}\n")));
        after.push_str("options timeout:2 attempts:2\n");
        let before = look(path).map_err(failed("read", path))?;
        Ok(Self {
            path: path.into(),
            before,
            after,
        })
    }

    pub(super) fn apply(&self) -> Result<(), HostError> {
        let content = FileContent::Text(self.after.clone(), 0o644);
        put(&self.path, &content).map_err(failed("write", &self.path))
    }

    /// Whether the file is as we wrote it.
    pub(super) fn stands(&self) -> Result<bool, HostError> {
        let now = look(&self.path).map_err(failed("read", &self.path))?;
        Ok(now.bytes() == Some(self.after.as_bytes()))
    }

    /// The same change over what somebody else wrote since, which is then what comes back. `None` if it is
    /// ours, whole or in part.
    pub(super) fn over_theirs(&self) -> Result<Option<Self>, HostError> {
        let before = look(&self.path).map_err(failed("read", &self.path))?;
        let theirs = !self.is_ours(&before) && before != self.before;
        Ok(theirs.then(|| Self {
            before,
            ..self.clone()
        }))
    }

    pub(super) fn undo(&self) -> Result<Outcome, HostError> {
        let _ = fs::remove_file(temporary(&self.path)); // Left by a crash between write and rename.
        let now = look(&self.path).map_err(failed("read", &self.path))?;
        if now == self.before {
            return Ok(Outcome::AlreadyGone);
        }
        if !self.is_ours(&now) {
            return Ok(Outcome::ChangedByOthers);
        }
        put(&self.path, &self.before).map_err(failed("restore", &self.path))?;
        Ok(Outcome::Undone)
    }

    /// Ours is what we wrote, or the beginning of it or of the backup: a crash while the file was
    /// written in place.
    fn is_ours(&self, now: &FileContent) -> bool {
        let Some(now) = now.bytes() else {
            return false;
        };
        let backup = self.before.bytes().unwrap_or_default();
        self.after.as_bytes().starts_with(now) || backup.starts_with(now)
    }
}

impl FileContent {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Absent | Self::Link(_) => None,
            Self::Text(text, _) => Some(text.as_bytes()),
            Self::Bytes(bytes, _) => Some(bytes),
        }
    }

    fn mode(&self) -> u32 {
        match self {
            Self::Absent | Self::Link(_) => 0o644,
            Self::Text(_, mode) | Self::Bytes(_, mode) => *mode,
        }
    }
}

fn look(path: &Path) -> io::Result<FileContent> {
    let kind = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FileContent::Absent),
        other => other?,
    };
    if kind.is_symlink() {
        return fs::read_link(path).map(FileContent::Link);
    }
    let mode = kind.permissions().mode() & 0o7777;
    Ok(match String::from_utf8(fs::read(path)?) {
        Ok(text) => FileContent::Text(text, mode),
        Err(error) => FileContent::Bytes(error.into_bytes(), mode),
    })
}

fn put(path: &Path, content: &FileContent) -> io::Result<()> {
    let temporary = temporary(path);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    match content {
        FileContent::Absent => return fs::remove_file(path),
        FileContent::Link(target) => symlink(target, &temporary)?,
        FileContent::Text(..) | FileContent::Bytes(..) => match write(&temporary, content) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                let _ = fs::remove_file(&temporary);
                return overwrite(path, content);
            }
            other => other?,
        },
    }
    match fs::rename(&temporary, path) {
        Err(error) if is_mounted(&error) => {
            fs::remove_file(&temporary)?;
            write(path, content)
        }
        other => other,
    }
}

fn is_mounted(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw);
    matches!(number, Some(Errno::EBUSY | Errno::EXDEV))
}

fn write(path: &Path, content: &FileContent) -> io::Result<()> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    file.write_all(content.bytes().unwrap_or_default())?;
    file.set_permissions(Permissions::from_mode(content.mode()))?;
    file.sync_all()
}

/// Writes over what is there before the rest is cut off: it needs no more room than both have.
fn overwrite(path: &Path, content: &FileContent) -> io::Result<()> {
    let bytes = content.bytes().unwrap_or_default();
    let mut file = File::options().write(true).open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.set_permissions(Permissions::from_mode(content.mode()))?;
    file.sync_all()
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".warren-new");
    path.with_file_name(name)
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> HostError {
    let path = path.to_owned();
    move |source| HostError::File {
        doing,
        path: path.clone(),
        source,
    }
}

impl fmt::Display for ResolvConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name servers in {}", self.path.display())
    }
}
