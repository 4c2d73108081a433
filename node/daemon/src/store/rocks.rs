//! The engine: the only file that knows RocksDB.

use std::collections::BTreeMap;
use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBRecoveryMode,
    IteratorMode, LogLevel, Options, WriteBatch, WriteOptions,
};

use super::chain::{ContentSum, HEADS_KEPT, Head};

/// The table of heads; never summed up, never seen from outside.
const HEADS: &str = "chain";
/// The engine's own table, which it always makes; unused.
const UNUSED: &str = "default";

/// What a batch leaves of each record it names: the last word counts.
pub(super) type Outcome = BTreeMap<(&'static str, Vec<u8>), Option<Vec<u8>>>;

/// Records of a table, by key, ascending.
pub type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// Why the engine refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EngineError {
    /// The disk is full.
    NoSpace,
    /// There is a table that nobody asked for.
    UnknownTable(String),
    /// It says so itself.
    Refused { doing: &'static str, reason: String },
}

impl EngineError {
    fn from_rocks(doing: &'static str, error: &rocksdb::Error) -> Self {
        let reason = error.to_string();
        if reason.contains("No space left") {
            Self::NoSpace
        } else {
            Self::Refused { doing, reason }
        }
    }
}

/// One open database.
pub(super) struct Engine {
    db: DB,
    synced: WriteOptions,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("folder", &self.db.path())
            .finish_non_exhaustive()
    }
}

/// Whether there is a database in `folder`.
pub(super) fn exists(folder: &Path) -> bool {
    folder.join("CURRENT").exists()
}

impl Engine {
    /// Opens the database in `folder`; makes it only if `fresh`.
    pub(super) fn open(folder: &Path, tables: &[&str], fresh: bool) -> Result<Self, EngineError> {
        Self::open_with(folder, tables, options(fresh))
    }

    /// Opens at the last batch before the damage: consistent, and older than what was written.
    pub(super) fn open_up_to_damage(folder: &Path, tables: &[&str]) -> Result<Self, EngineError> {
        let mut lenient = options(false);
        lenient.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        lenient.set_track_and_verify_wals_in_manifest(false);
        Self::open_with(folder, tables, lenient)
    }

    /// Saves what can be read, record by record: batches may come out torn.
    pub(super) fn repair(folder: &Path) -> Result<(), EngineError> {
        let repaired = DB::repair(&options(false), folder);
        repaired.map_err(|error| EngineError::from_rocks("repair", &error))
    }

    fn open_with(folder: &Path, tables: &[&str], options: Options) -> Result<Self, EngineError> {
        let failed = |error| EngineError::from_rocks("open", &error);
        if exists(folder) {
            let found = DB::list_cf(&options, folder).map_err(failed)?;
            let known = |it: &String| it == HEADS || it == UNUSED || tables.contains(&it.as_str());
            if let Some(table) = found.into_iter().find(|it| !known(it)) {
                return Err(EngineError::UnknownTable(table));
            }
        }
        let cache = Cache::new_lru_cache(4 << 20);
        let describe = |name: &&str| ColumnFamilyDescriptor::new(*name, table_options(&cache));
        let names = tables.iter().chain([&HEADS, &UNUSED]);
        let db = DB::open_cf_descriptors(&options, folder, names.map(describe)).map_err(failed)?;
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        Ok(Self { db, synced })
    }

    fn table(&self, name: &str) -> Result<&ColumnFamily, EngineError> {
        let reason = || format!("there is no table {name}");
        let missing = || EngineError::Refused {
            doing: "find a table",
            reason: reason(),
        };
        self.db.cf_handle(name).ok_or_else(missing)
    }

    /// Writes what a batch leaves, and its head, in one synced write.
    pub(super) fn write(&self, outcome: &Outcome, head: &Head) -> Result<(), EngineError> {
        let mut batch = WriteBatch::default();
        for ((table, key), value) in outcome {
            match value {
                Some(value) => batch.put_cf(self.table(table)?, key, value),
                None => batch.delete_cf(self.table(table)?, key),
            }
        }
        let heads = self.table(HEADS)?;
        batch.put_cf(heads, head.number.to_be_bytes(), head.encode());
        if let Some(old) = head.number.checked_sub(HEADS_KEPT) {
            batch.delete_cf(heads, old.to_be_bytes());
        }
        let written = self.db.write_opt(batch, &self.synced);
        written.map_err(|error| EngineError::from_rocks("write", &error))
    }

    pub(super) fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let read = self.db.get_cf(self.table(table)?, key);
        read.map_err(|error| EngineError::from_rocks("read", &error))
    }

    pub(super) fn scan(&self, table: &str) -> Result<Records, EngineError> {
        let mut records = Records::new();
        self.each(table, |key, value| {
            records.push((key.to_vec(), value.to_vec()))
        })?;
        Ok(records)
    }

    /// Sums up every record of `tables`.
    pub(super) fn content(&self, tables: &[&str]) -> Result<ContentSum, EngineError> {
        let mut sum = ContentSum::default();
        for table in tables {
            self.each(table, |key, value| sum.add(table, key, value))?;
        }
        Ok(sum)
    }

    /// The heads it keeps, by number; `None` for one that cannot be read.
    pub(super) fn heads(&self) -> Result<Vec<Option<Head>>, EngineError> {
        let mut heads = Vec::new();
        self.each(HEADS, |key, value| {
            let head = Head::decode(value);
            heads.push(head.filter(|it| key == it.number.to_be_bytes()));
        })?;
        Ok(heads)
    }

    /// Drops every head: for a store that is accepted as it was found.
    pub(super) fn forget_heads(&self) -> Result<(), EngineError> {
        let mut batch = WriteBatch::default();
        let heads = self.table(HEADS)?;
        self.each(HEADS, |key, _| batch.delete_cf(heads, key))?;
        let written = self.db.write_opt(batch, &self.synced);
        written.map_err(|error| EngineError::from_rocks("write", &error))
    }

    fn each(&self, table: &str, mut see: impl FnMut(&[u8], &[u8])) -> Result<(), EngineError> {
        for record in self.db.iterator_cf(self.table(table)?, IteratorMode::Start) {
            let (key, value) = record.map_err(|error| EngineError::from_rocks("scan", &error))?;
            see(&key, &value);
        }
        Ok(())
    }
}

/// Small, and strict where the engine would rather be lenient.
fn options(fresh: bool) -> Options {
    let mut options = Options::default();
    options.create_if_missing(fresh);
    options.create_missing_column_families(true);
    // The default mode rolls back in silence to before a damaged record. This one takes a torn
    // tail, which was never confirmed, and refuses everything else; it needs logs not recycled.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_recycle_log_file_num(0);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_paranoid_checks(true);
    options.set_max_total_wal_size(8 << 20);
    options.set_db_write_buffer_size(8 << 20);
    options.set_max_open_files(64);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_log_level(LogLevel::Warn);
    options
}

fn table_options(cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(2 << 20);
    options
}
