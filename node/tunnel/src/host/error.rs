//! Why the host could not be changed.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Finding;

/// Why the host could not be changed or read.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A program we need is not installed.
    #[error("program {program} not found")]
    ProgramMissing {
        /// Its name.
        program: &'static str,
    },
    /// A program could not be started.
    #[error("cannot run {program}: {source}")]
    Spawn {
        /// Its name.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A program ran and refused.
    #[error("{program} failed ({status}): {stderr}")]
    Refused {
        /// Its name.
        program: &'static str,
        /// Exit status in words.
        status: String,
        /// What it said, cut at 2 KiB.
        stderr: String,
    },
    /// A program did not end in time.
    #[error("{program} did not end within {after:?}")]
    TimedOut {
        /// Its name.
        program: &'static str,
        /// The bound.
        after: Duration,
    },
    /// A program answered what we cannot read.
    #[error("cannot read the answer of {program}: {source}")]
    Answer {
        /// Its name.
        program: &'static str,
        /// Where the JSON broke.
        source: serde_json::Error,
    },
    /// The netlink socket could not be opened.
    #[error("cannot open a netlink socket: {0}")]
    NetlinkSocket(#[source] io::Error),
    /// The kernel refused a rule, a route or a listing.
    #[error("kernel refused to {doing}: {source}")]
    Netlink {
        /// What was asked.
        doing: String,
        /// The kernel's error.
        source: rtnetlink::Error,
    },
    /// There is no such network device.
    #[error("no network device {device}")]
    NoDevice {
        /// Its name.
        device: String,
    },
    /// A device name that cannot be one, or that could break out of a rule's text.
    #[error("{name:?} is not a network device name")]
    BadDeviceName {
        /// The name as given.
        name: String,
    },
    /// This host lends its line: its guests' packets would go into the tunnel, or be blocked.
    #[error(
        "this machine is an exit (firewall table inet {table}): its guests would be led into the tunnel"
    )]
    ExitHere {
        /// The exit's table.
        table: &'static str,
    },
    /// Another daemon uses a tunnel on this host, or blocks it: device, rules and tables bear the same names.
    #[error(
        "another daemon uses a tunnel or its kill switch on this machine ({seen}), or one of another home died with it"
    )]
    ConsumerBeside {
        /// The device or table that says so.
        seen: String,
    },
    /// A daemon of another home lives and counts on what would be taken away here.
    #[error("a daemon of another home uses this machine's network ({seen})")]
    Alive {
        /// The process or device that says so.
        seen: String,
    },
    /// This host uses a tunnel, or is blocked by its kill switch: guests would be led into it.
    #[error("this machine uses a tunnel or its kill switch ({seen}): guests would be led into it")]
    ConsumerHere {
        /// The device or table that says so.
        seen: String,
    },
    /// Something of this host stands in the way, as a check finds it too.
    #[error(transparent)]
    InTheWay(Box<Finding>),
    /// A dead process's changes, which are not all taken back; the journal keeps the rest.
    #[error("not everything could be taken back: {left}")]
    LeftOver {
        /// The report, a line each.
        left: String,
    },
    /// An exit needs at least one device to the internet.
    #[error("no uplink device named and no default route found")]
    NoUplink,
    /// A kernel setting could not be read or written.
    #[error("cannot {doing} kernel setting {key}: {source}")]
    Sysctl {
        /// `read` or `write`.
        doing: &'static str,
        /// Path below `/proc/sys`.
        key: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds the journal: the daemon lives, so ask it instead.
    #[error("journal {} is held by a running process", path.display())]
    JournalBusy {
        /// The journal.
        path: PathBuf,
    },
    /// A change could not be written as a journal line.
    #[error("cannot encode a journal line: {0}")]
    JournalEncode(#[source] serde_json::Error),
}
