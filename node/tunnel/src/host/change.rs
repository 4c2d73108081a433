//! One thing done to the host: how to do it, how to take it back, how to say it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::journal::Journal;
use super::netlink::Netlink;
use super::report::{Outcome, RecoverReport, UndoneChange};
use super::{HostError, ResolvConf, ResolvedLink, RouteChange, RuleChange, Sysctl, nft};

/// One thing done to the host. What it needs to be taken back is inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A firewall table of ours.
    NftTable(NftTable),
    /// A kernel setting.
    Sysctl(Sysctl),
    /// A policy routing rule.
    Rule(RuleChange),
    /// A route in our table.
    Route(RouteChange),
    /// Name servers given to systemd-resolved for a device.
    Resolved(ResolvedLink),
    /// A replaced `resolv.conf`.
    ResolvConf(ResolvConf),
}

/// A firewall table of ours in family `inet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NftTable {
    /// Its name.
    pub name: String,
    /// What makes it; replaces a table of the same name in one transaction. Empty when read back:
    /// taking the table away needs only its name.
    #[serde(skip)]
    pub script: String,
}

impl Change {
    /// Makes the change. The journal line must be on disk before.
    ///
    /// # Errors
    /// As the host gave; nothing or all of the change is then in force.
    pub async fn apply(&self) -> Result<(), HostError> {
        match self {
            Self::NftTable(it) => nft::run(&it.script).await,
            Self::Sysctl(it) => it.apply(),
            Self::Rule(it) => Netlink::open()?.add_rule(it).await.map(drop),
            Self::Route(it) => Netlink::open()?.add_route(it).await,
            Self::Resolved(it) => it.apply().await,
            Self::ResolvConf(it) => it.apply(),
        }
    }

    /// Makes a rule or a route again that somebody else took away; says whether one was gone. The other kinds are
    /// not looked at: a table and a `resolv.conf` have their own look, a setting is its owner's to change.
    ///
    /// # Errors
    /// As the host gave; the change is then not in force.
    pub(crate) async fn mend(&self, netlink: &Netlink) -> Result<bool, HostError> {
        match self {
            Self::Rule(it) => netlink.add_rule(it).await,
            Self::Route(it) => netlink.mend_route(it).await,
            Self::NftTable(_) | Self::Sysctl(_) | Self::Resolved(_) | Self::ResolvConf(_) => {
                Ok(false)
            }
        }
    }

    /// Takes the change back. Doing it twice is the same as once.
    ///
    /// # Errors
    /// As the host gave; the change may still be in force.
    pub async fn undo(&self) -> Result<Outcome, HostError> {
        match self {
            Self::NftTable(it) => nft::remove_table(&it.name).await,
            Self::Sysctl(it) => it.undo(),
            Self::Rule(it) => Netlink::open()?.remove_rule(it).await,
            Self::Route(it) => Netlink::open()?.remove_route(it).await,
            Self::Resolved(it) => it.undo().await,
            Self::ResolvConf(it) => it.undo(),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NftTable(it) => write!(f, "firewall table inet {}", it.name),
            Self::Sysctl(it) => write!(f, "{it}"),
            Self::Rule(it) => write!(f, "{it}"),
            Self::Route(it) => write!(f, "{it}"),
            Self::Resolved(it) => write!(f, "{it}"),
            Self::ResolvConf(it) => write!(f, "{it}"),
        }
    }
}

/// Makes `changes` in order, each after its journal line. Stops at the first that fails: what was
/// made until then is in the journal and is taken back by undo.
pub(crate) async fn make(journal: &mut Journal, changes: &[Change]) -> Result<(), HostError> {
    for change in changes {
        let seq = journal.record(change)?;
        if let Err(error) = change.apply().await {
            // A refused change must not be pending: somebody may make the same one later.
            if change.undo().await.is_ok()
                && let Err(unwritten) = journal.forget(seq)
            {
                tracing::warn!(%unwritten, "the journal is owed a line");
            }
            return Err(error);
        }
        tracing::debug!(%change, "host changed");
    }
    Ok(())
}

/// Takes back, newest first, the pending changes that `chosen` picks.
///
/// One that fails stays in the journal and does not hold up the others; nor does a journal that cannot
/// be written, such as on a full disk.
pub(crate) async fn take_back(
    journal: &mut Journal,
    chosen: impl Fn(&Change) -> bool,
) -> RecoverReport {
    let mut report = RecoverReport {
        changes: Vec::new(),
        unreadable_lines: journal.unreadable_lines().to_vec(),
        unwritten: None,
    };
    let entries: Vec<_> = journal.pending().iter().rev().cloned().collect();
    for entry in entries.iter().filter(|entry| chosen(&entry.change)) {
        let outcome = match entry.change.undo().await {
            Ok(outcome) => {
                let written = journal.forget(entry.seq);
                report.unwritten = written.err().map(|error| error.to_string());
                outcome
            }
            Err(error) => Outcome::Failed(error.to_string()),
        };
        tracing::debug!(change = %entry.change, %outcome, "host change taken back");
        report.changes.push(UndoneChange {
            change: entry.change.to_string(),
            outcome,
        });
    }
    if let Some(error) = &report.unwritten {
        tracing::warn!(%error, "the journal does not say yet what was taken back");
    }
    report
}

/// Ends `journal` once all is taken back. That its file stays, as on a read-only disk, keeps nobody from
/// having the network back: it is in the report.
pub(crate) fn close(journal: Journal, report: &mut RecoverReport) {
    if let Err(error) = journal.close() {
        report.unwritten.get_or_insert(error.to_string());
    }
}
