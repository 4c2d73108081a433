//! The wallet at rest: its mnemonic, encrypted with `age` under a passphrase, mode 0600.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use age::secrecy::SecretString;
use zeroize::Zeroizing;

use super::{Wallet, WalletError};

// Our choices.
/// Scrypt work factor (log2) for people's passphrases: about a second on a desktop.
pub const WORK_FACTOR: u8 = 18;
const MAX_WORK_FACTOR: u8 = 22; // 4 GiB: above it a forged file is a denial of service.
const MAX_FILE_BYTES: u64 = 64 * 1024;
const MODE: u32 = 0o600;

/// Why a wallet file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WalletFileError {
    /// The operating system said no.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is a wallet already: it is never overwritten.
    #[error("{path} exists already")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others than the owner can read it.
    #[error("{path} has mode {mode:04o}: others can read it; run `chmod 600`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a file that this program wrote.
    #[error("{path} is not an encrypted wallet")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase does not open it.
    #[error("wrong passphrase for {path}")]
    Passphrase {
        /// The file.
        path: PathBuf,
    },
    /// It was opened, but holds no wallet.
    #[error("{path}: {source}")]
    Wallet {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: WalletError,
    },
}

/// Encrypts `wallet` to a new file at `path`: written beside it, synced, then renamed.
///
/// `work_factor`: log2 of scrypt's cost, 1 ..= 22; [`WORK_FACTOR`] unless there is a reason.
///
/// # Errors
/// [`WalletFileError::Exists`] if the file is there; [`WalletFileError::Io`] otherwise.
pub fn create(
    path: &Path,
    wallet: &Wallet,
    passphrase: &str,
    work_factor: u8,
) -> Result<(), WalletFileError> {
    if path.exists() {
        return Err(WalletFileError::Exists {
            path: path.to_owned(),
        });
    }
    let mut recipient = age::scrypt::Recipient::new(SecretString::from(passphrase.to_owned()));
    recipient.set_work_factor(work_factor.clamp(1, MAX_WORK_FACTOR));
    let sealed = age::encrypt(&recipient, wallet.phrase().as_bytes())
        .map_err(|error| io_error("encrypt", path)(io::Error::other(error)))?;
    write_atomically(path, &sealed)
}

/// Opens the wallet at `path`.
///
/// # Errors
/// [`WalletFileError`]; a file that others can read is refused before the passphrase is used.
pub fn open(path: &Path, passphrase: &str) -> Result<Wallet, WalletFileError> {
    let meta = fs::metadata(path).map_err(io_error("read", path))?;
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(WalletFileError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    let damaged = || WalletFileError::Damaged {
        path: path.to_owned(),
    };
    if meta.len() > MAX_FILE_BYTES {
        return Err(damaged());
    }
    let sealed = fs::read(path).map_err(io_error("read", path))?;
    let mut identity = age::scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    let phrase = match age::decrypt(&identity, &sealed) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(age::DecryptError::DecryptionFailed | age::DecryptError::KeyDecryptionFailed) => {
            return Err(WalletFileError::Passphrase {
                path: path.to_owned(),
            });
        }
        Err(_) => return Err(damaged()),
    };
    let phrase = std::str::from_utf8(&phrase).map_err(|_| damaged())?;
    Wallet::from_phrase(phrase).map_err(|source| WalletFileError::Wallet {
        path: path.to_owned(),
        source,
    })
}

fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), WalletFileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    match fs::remove_file(&beside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io_error("replace", &beside)(error)),
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&beside)
        .map_err(io_error("create", &beside))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(io_error("write", &beside))?;
    // A hard link fails if the name was taken meanwhile; a rename would overwrite a wallet.
    fs::hard_link(&beside, path).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            WalletFileError::Exists {
                path: path.to_owned(),
            }
        } else {
            io_error("name", path)(error)
        }
    })?;
    fs::remove_file(&beside).map_err(io_error("remove", &beside))?;
    let parent = path
        .parent()
        .filter(|it| !it.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(parent)
        .and_then(|it| it.sync_all())
        .map_err(io_error("sync", parent))
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WalletFileError {
    let path = path.to_owned();
    move |source| WalletFileError::Io {
        doing,
        path,
        source,
    }
}
