//! That this node is to be an exit, kept from `exit enable` to `exit disable`: a machine that was restarted goes on.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::api::types::ExitEnableRequest;

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

/// Replaced as a whole, or not at all.
pub(super) fn write(home: &Path, wanted: &ExitEnableRequest) -> io::Result<()> {
    let new = home.join("exit.json.new");
    let mut file = File::create(&new)?;
    file.write_all(serde_json::to_string_pretty(wanted)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, home.join(FILE))
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
