//! What is written down of a standing world, so that a later process can remove it when its owner is dead.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::super::netns::{self, Namespace};
use super::{WorldError, make_dir};

/// Where worlds are written down while they exist.
const STATE: &str = "/run/warren-worlds";
/// How long processes may take to end after they were asked to, and again after they were made to.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is written down of a world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Every namespace's name begins with it.
    pub(super) prefix: String,
    /// The process that made it.
    pid: u32,
    /// When that process started, in the kernel's ticks: process ids are used again.
    started: u64,
    /// Where its nodes keep their files.
    pub(super) dir: PathBuf,
}

impl Record {
    /// Writes down a world that this process is about to build.
    pub(super) fn begin(label: &str) -> Result<Self, WorldError> {
        let pid = std::process::id();
        let prefix = (0_u32..)
            .map(|serial| format!("wr-{label}-{pid:x}-{serial}"))
            .find(|it| !record_path(it).exists() && !files_path(it).exists())
            .unwrap_or_default();
        let record = Self {
            pid,
            started: start_ticks(pid).unwrap_or_default(),
            dir: files_path(&prefix),
            prefix,
        };
        record.write()?;
        Ok(record)
    }

    fn write(&self) -> Result<(), WorldError> {
        make_dir(Path::new(STATE))?;
        let path = record_path(&self.prefix);
        let text = serde_json::to_string(self).map_err(io::Error::from);
        text.and_then(|it| fs::write(&path, it))
            .map_err(|source| WorldError::File { path, source })
    }

    fn read(path: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
    }
}

/// What was still there after a world had been taken down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Remains {
    /// Namespaces; with one, its devices, routes and rules would remain too.
    pub namespaces: Vec<String>,
    /// Processes by id.
    pub processes: Vec<i32>,
    /// Folders and files.
    pub files: Vec<PathBuf>,
    /// Devices in the host's own namespace that were not there before.
    pub devices: Vec<String>,
    /// Lines of the host's own nftables rules, routing rules and routes that were not there before.
    pub host_lines: Vec<String>,
}

impl Remains {
    /// Everything that remained, one line each.
    #[must_use]
    pub fn in_words(&self) -> Vec<String> {
        let namespaces = self.namespaces.iter().map(|it| format!("namespace {it}"));
        let processes = self.processes.iter().map(|it| format!("process {it}"));
        let files = self.files.iter().map(|it| format!("file {}", it.display()));
        let devices = self.devices.iter().map(|it| format!("device {it}"));
        let lines = self
            .host_lines
            .iter()
            .map(|it| format!("rule or route {it}"));
        namespaces
            .chain(processes)
            .chain(files)
            .chain(devices)
            .chain(lines)
            .collect()
    }

    /// Whether nothing remained.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Takes down every world whose owner is dead; returns their prefixes.
///
/// # Errors
/// [`WorldError::Tool`] when `ip` is missing.
pub fn sweep() -> Result<Vec<String>, WorldError> {
    let mut swept = Vec::new();
    let Ok(entries) = fs::read_dir(STATE) else {
        return Ok(swept);
    };
    for path in entries.filter_map(|it| Some(it.ok()?.path())) {
        let Some(record) = Record::read(&path) else {
            continue; // Half written by someone who is still at it, or not ours.
        };
        if start_ticks(record.pid) != Some(record.started) {
            netns::list(&record.prefix)?;
            remove(&record);
            swept.push(record.prefix);
        }
    }
    Ok(swept)
}

/// Ends every process in the world, then removes its namespaces and files.
pub(super) fn remove(record: &Record) {
    let namespaces = netns::list(&format!("{}-", record.prefix)).unwrap_or_default();
    let alive = || -> Vec<i32> { namespaces.iter().flat_map(Namespace::pids).collect() };
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        for pid in alive() {
            let _ = kill(Pid::from_raw(pid), signal); // Gone already: just as well.
        }
        let deadline = Instant::now() + PATIENCE;
        while !alive().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    for namespace in &namespaces {
        let _ = fs::remove_dir_all(resolver_dir(namespace.name()));
        let _ = namespace.remove(); // What stays is reported by `remains_of`.
    }
    let _ = fs::remove_dir_all(&record.dir);
    let _ = fs::remove_file(record_path(&record.prefix));
    let _ = fs::remove_dir(STATE); // Only when it was the last.
    let _ = fs::remove_dir("/etc/netns");
}

/// What of the world is still there.
pub(super) fn remains_of(record: &Record) -> Remains {
    let namespaces = netns::list(&format!("{}-", record.prefix)).unwrap_or_default();
    Remains {
        processes: namespaces.iter().flat_map(Namespace::pids).collect(),
        namespaces: namespaces.iter().map(|it| it.name().to_owned()).collect(),
        files: [record.dir.clone(), record_path(&record.prefix)]
            .into_iter()
            .filter(|it| it.exists())
            .collect(),
        ..Remains::default()
    }
}

/// Where the nodes of a world keep their files.
fn files_path(prefix: &str) -> PathBuf {
    std::env::temp_dir().join(prefix)
}

fn record_path(prefix: &str) -> PathBuf {
    Path::new(STATE).join(prefix)
}

/// Where `ip netns exec` looks for a namespace's own /etc files.
pub(super) fn resolver_dir(namespace: &str) -> PathBuf {
    Path::new("/etc/netns").join(namespace)
}

/// When a process started; `None` when there is none of this id.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1; // The name may hold blanks; field 22 is the 20th after it.
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_owner_is_told_from_a_living_one() {
        let own = std::process::id();
        assert!(start_ticks(own).is_some_and(|it| it > 0));
        assert_eq!(start_ticks(u32::MAX), None);
    }
}
