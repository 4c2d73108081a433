//! The home is its owner's alone: keys, books, and whom this node met are nobody else's to read.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::sys::stat::{Mode, umask};
use nix::unistd::Uid;

use crate::error::{ErrorCode, Problem};

/// What its owner may do, and what else a mode says of the file itself.
const OWNER: u32 = 0o7700;
/// A socket in the home can be reached by a group; whoever may pass through still lists and reads nothing.
const PASSAGE: u32 = 0o0011;
/// Who reads these refuses them if others could (W1201): they may have been read already, and that is to be said.
const SECRETS: [&str; 2] = ["node.key", "passphrase"];

/// Makes `home` where it is not there yet, its owner's alone.
pub(crate) fn make(home: &Path) -> Result<(), Problem> {
    if home.exists() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(home);
    made.map_err(|error| {
        let seen = format!("{} cannot be made: {error}", home.display());
        Problem::new(ErrorCode::HomeUnusable, seen)
    })?;
    tracing::info!(home = %home.display(), "made");
    Ok(())
}

/// Lets this process make no file that others may read, and takes from others what they may do in `home`, as far
/// as it is ours. Nothing is ever given.
pub(crate) fn keep_private(home: &Path, socket: &Path) {
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    let passage = if socket.starts_with(home) { PASSAGE } else { 0 };
    if let Err(error) = narrow_all(home, passage) {
        tracing::warn!(home = %home.display(), %error, "others may be able to read this node's files");
    }
}

fn narrow_all(home: &Path, passage: u32) -> io::Result<()> {
    narrow(home, &fs::metadata(home)?, OWNER | passage)?;
    for entry in fs::read_dir(home)? {
        let entry = entry?;
        // Links are not followed: what they lead to is not in the home.
        let meta = entry.metadata()?;
        let secret = SECRETS.iter().any(|it| entry.file_name() == *it);
        if !secret && (meta.is_file() || meta.is_dir()) {
            narrow(&entry.path(), &meta, OWNER)?;
        }
    }
    Ok(())
}

fn narrow(path: &Path, meta: &Metadata, allowed: u32) -> io::Result<()> {
    let mode = meta.mode() & 0o7777;
    if mode & !allowed == 0 || meta.uid() != Uid::effective().as_raw() {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode & allowed))
}

/// Makes `content` what the small file `name` in `home` holds: as a whole, or not at all.
pub(crate) fn replace(home: &Path, name: &str, content: &str) -> io::Result<()> {
    let new = home.join(format!("{name}.new"));
    let mut file = File::create(&new)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, home.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_home_that_is_not_there_is_made_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("state/warren");
        make(&home).unwrap();
        make(&home).unwrap();
        assert_eq!(mode(&home), 0o700);
        fs::write(folder.path().join("file"), "").unwrap();
        let told = make(&folder.path().join("file/home")).unwrap_err();
        assert!(told.is(ErrorCode::HomeUnusable));
    }

    #[test]
    fn what_others_could_read_in_a_home_they_cannot_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let (home, outside) = (folder.path().join("home"), folder.path().join("outside"));
        let (db, file) = (home.join("db"), home.join("consent.json"));
        fs::create_dir_all(&db).unwrap();
        for it in [&file, &outside] {
            fs::write(it, "").unwrap();
        }
        std::os::unix::fs::symlink(&outside, home.join("link")).unwrap();
        for (path, was) in [
            (&home, 0o755),
            (&db, 0o755),
            (&file, 0o644),
            (&outside, 0o644),
        ] {
            fs::set_permissions(path, Permissions::from_mode(was)).unwrap();
        }
        // Its socket is reached by a group.
        narrow_all(&home, PASSAGE).unwrap();
        assert_eq!([mode(&home), mode(&db), mode(&file)], [0o711, 0o700, 0o600]);
        narrow_all(&home, 0).unwrap();
        assert_eq!(mode(&home), 0o700);
        assert_eq!(mode(&outside), 0o644);
        // What is narrower stays so.
        fs::set_permissions(&file, Permissions::from_mode(0o400)).unwrap();
        narrow_all(&home, 0).unwrap();
        assert_eq!(mode(&file), 0o400);
    }
}
