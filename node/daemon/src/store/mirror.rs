//! The small file beside the store that says which batch was confirmed last.
//!
//! Two halves, written in turn and in place: a write that is torn leaves the other half, and a full
//! disk does not matter, since the file never grows.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::chain::{Head, MirrorEvidence};

/// Each half has a disk sector of its own.
const HALF: u64 = 4096;
/// Both halves.
const WHOLE: usize = 8192;

/// The open file.
#[derive(Debug)]
pub(super) struct Mirror {
    file: File,
}

impl Mirror {
    /// Opens the file and says what it holds; `None` for one that is new.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<MirrorEvidence>)> {
        let known = path.exists();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let length = file.metadata()?.len();
        if !known || length == 0 {
            // Both halves get their blocks now, while there is space.
            file.write_all_at(&[0; WHOLE], 0)?;
            file.sync_all()?;
            sync_folder(path)?;
            return Ok((Self { file }, None));
        }
        let mirror = Self { file };
        let newest = mirror
            .halves()?
            .into_iter()
            .flatten()
            .max_by_key(|it| it.number);
        let evidence = match newest {
            Some(head) => MirrorEvidence::Confirmed(head),
            None if mirror.is_blank()? => return Ok((mirror, None)),
            None => MirrorEvidence::Damaged,
        };
        Ok((mirror, Some(evidence)))
    }

    /// Confirms `head`; returns when it is on disk.
    pub(super) fn confirm(&self, head: &Head) -> io::Result<()> {
        let half = (head.number % 2).saturating_mul(HALF);
        self.file.write_all_at(&head.encode(), half)?;
        self.file.sync_data()
    }

    fn halves(&self) -> io::Result<[Option<Head>; 2]> {
        Ok([self.half(0)?, self.half(HALF)?])
    }

    fn half(&self, at: u64) -> io::Result<Option<Head>> {
        let mut bytes = [0; Head::ENCODED];
        match self.file.read_exact_at(&mut bytes, at) {
            Ok(()) => Ok(Head::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether it is as it was made: all zero. A store stopped before its first batch.
    fn is_blank(&self) -> io::Result<bool> {
        let mut bytes = [0; WHOLE];
        let whole = self.file.read_exact_at(&mut bytes, 0);
        Ok(whole.is_ok() && bytes.iter().all(|it| *it == 0))
    }
}

/// Makes a new name in `path`'s folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
