//! Whether this node is to be an exit, as its owner said last: a machine that was restarted goes on with that.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::api::types::ExitEnableRequest;
use crate::home::replace;

const FILE: &str = "exit.json";

/// What the owner said last.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    /// `exit disable`, though the configuration begins one.
    Off(Off),
    /// `exit enable`.
    On(ExitEnableRequest),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Off {
    off: bool,
}

/// The exit to begin with: what the owner said last, or where that is nothing, what the configuration says
/// (`configured`). `None`: none.
pub(super) fn wanted(home: &Path, configured: bool) -> Option<ExitEnableRequest> {
    match read(home) {
        Some(Kept::On(wanted)) => Some(wanted),
        Some(Kept::Off(_)) => None,
        None => configured.then(ExitEnableRequest::default),
    }
}

/// `None` if nothing was said, or nobody can tell any more.
fn read(home: &Path) -> Option<Kept> {
    let text = match fs::read_to_string(home.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!(%error, "it is not known whether this node was an exit");
            return None;
        }
    };
    let kept = serde_json::from_str(&text);
    kept.inspect_err(|error| tracing::error!(%error, "it is not known how this node was an exit"))
        .ok()
}

/// `exit enable` was said.
pub(super) fn on(home: &Path, wanted: &ExitEnableRequest) -> io::Result<()> {
    replace(home, FILE, &serde_json::to_string_pretty(wanted)?)
}

/// `exit disable` was said; to be remembered where the configuration says otherwise (`configured`).
pub(super) fn off(home: &Path, configured: bool) -> io::Result<()> {
    if configured {
        let off = Kept::Off(Off { off: true });
        return replace(home, FILE, &serde_json::to_string_pretty(&off)?);
    }
    match fs::remove_file(home.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_is_wanted_from_enable_to_disable() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        assert_eq!(wanted(home, false), None);
        let asked = ExitEnableRequest {
            price_per_gib: Some("0.5".to_owned()),
            ..ExitEnableRequest::default()
        };
        on(home, &asked).unwrap();
        assert_eq!(wanted(home, false), Some(asked));
        fs::write(home.join(FILE), "{").unwrap();
        assert_eq!(wanted(home, false), None);
        off(home, false).unwrap();
        off(home, false).unwrap();
        assert!(!home.join(FILE).exists());
    }

    #[test]
    fn an_exit_that_was_disabled_does_not_come_back_because_the_configuration_begins_one() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let usual = Some(ExitEnableRequest::default());
        assert_eq!(wanted(home, true), usual);
        off(home, true).unwrap();
        assert_eq!(wanted(home, true), None);
        on(home, &ExitEnableRequest::default()).unwrap();
        assert_eq!(wanted(home, true), usual);
        // What is in the way of one that is configured no more is not kept for the day when it is again.
        off(home, true).unwrap();
        off(home, false).unwrap();
        assert_eq!(wanted(home, true), usual);
    }
}
