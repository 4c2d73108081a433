//! That this node is to be an exit, kept from `exit enable` to `exit disable`: a machine that was restarted goes on.

use std::fs;
use std::io;
use std::path::Path;

use crate::api::types::ExitEnableRequest;
use crate::home::replace;

const FILE: &str = "exit.json";

/// What was wanted when the daemon ended. `None` if it was no exit, or nobody can tell any more.
pub(super) fn read(home: &Path) -> Option<ExitEnableRequest> {
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

pub(super) fn write(home: &Path, wanted: &ExitEnableRequest) -> io::Result<()> {
    replace(home, FILE, &serde_json::to_string_pretty(wanted)?)
}

pub(super) fn forget(home: &Path) -> io::Result<()> {
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
        assert_eq!(read(home), None);
        let wanted = ExitEnableRequest {
            price_per_gib: Some("0.5".to_owned()),
            ..ExitEnableRequest::default()
        };
        write(home, &wanted).unwrap();
        assert_eq!(read(home), Some(wanted));
        fs::write(home.join(FILE), "{").unwrap();
        assert_eq!(read(home), None);
        forget(home).unwrap();
        forget(home).unwrap();
        assert_eq!(read(home), None);
    }
}
