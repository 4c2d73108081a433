//! Kernel settings under `/proc/sys`, changed only where they differ from what is needed.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::report::Outcome;
use super::{Change, HostError};

/// A kernel setting that was, or is about to be, changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sysctl {
    /// Path below `/proc/sys`, as `net/ipv4/ip_forward`.
    pub key: String,
    /// What it was.
    pub before: String,
    /// What we set.
    pub after: String,
    /// What the switch of all devices said then, which sets each of them. `None` where there is none, and in
    /// journals that did not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<String>,
}

impl Sysctl {
    /// Plans to set `key` to `after`; `None` if it is so already or the kernel has no such key.
    pub(crate) fn plan(key: String, after: &str) -> Result<Option<Change>, HostError> {
        let before = match read(&key) {
            Ok(it) => it,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(HostError::Sysctl {
                    doing: "read",
                    key,
                    source,
                });
            }
        };
        if before == after {
            return Ok(None);
        }
        let all = of_all(&key).and_then(|it| read(it).ok());
        Ok(Some(Change::Sysctl(Self {
            key,
            before,
            after: after.to_owned(),
            all,
        })))
    }

    /// The same for a setting we can do without: `None` too where it cannot be written, as in
    /// containers, whose `/proc/sys` is read-only.
    pub(crate) fn plan_optional(key: String, after: &str) -> Result<Option<Change>, HostError> {
        let Some(change) = Self::plan(key.clone(), after)? else {
            return Ok(None);
        };
        if std::fs::File::options()
            .write(true)
            .open(path(&key))
            .is_err()
        {
            tracing::warn!(key, wanted = after, "kernel setting cannot be written here");
            return Ok(None);
        }
        Ok(Some(change))
    }

    pub(super) fn apply(&self) -> Result<(), HostError> {
        self.write(&self.after)
    }

    pub(super) fn undo(&self) -> Result<Outcome, HostError> {
        match read(&self.key) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(Outcome::AlreadyGone),
            Err(source) => Err(HostError::Sysctl {
                doing: "read",
                key: self.key.clone(),
                source,
            }),
            Ok(now) if now == self.before => Ok(Outcome::AlreadyGone),
            Ok(now) if now != self.after || self.is_for_all() => Ok(Outcome::ChangedByOthers),
            Ok(_) => self.write(&self.before).map(|()| Outcome::Undone),
        }
    }

    /// Whether somebody set all devices to what we set this one to, since: then it is so by their word too, and
    /// others count on it.
    pub(crate) fn is_for_all(&self) -> bool {
        let now = of_all(&self.key).and_then(|it| read(it).ok());
        let was_other = self.all.as_ref().is_some_and(|it| *it != self.after);
        was_other && now.as_ref() == Some(&self.after)
    }

    fn write(&self, value: &str) -> Result<(), HostError> {
        std::fs::write(path(&self.key), value).map_err(|source| HostError::Sysctl {
            doing: "write",
            key: self.key.clone(),
            source,
        })
    }
}

/// The switch that sets the same of all devices when it is written (devinet.c: `inet_forward_change`). IPv6 has one
/// too, which is the only one that counts.
fn of_all(key: &str) -> Option<&'static str> {
    const ALL: &str = "net/ipv4/conf/all/forwarding";
    let of_device = key.starts_with("net/ipv4/conf/") && key.ends_with("/forwarding");
    (of_device && key != ALL).then_some(ALL)
}

/// Returns the value of a setting without its newline.
pub(crate) fn read(key: &str) -> io::Result<String> {
    std::fs::read_to_string(path(key)).map(|it| it.trim_end().to_owned())
}

/// Returns the devices that have settings of their own, without `all` and `default`.
pub(crate) fn devices() -> Vec<String> {
    let entries = std::fs::read_dir(path("net/ipv4/conf"))
        .into_iter()
        .flatten()
        .flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.retain(|name| name != "all" && name != "default");
    names.sort_unstable();
    names
}

fn path(key: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(key)
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "kernel setting {} from {} to {}",
            self.key, self.before, self.after
        )
    }
}
