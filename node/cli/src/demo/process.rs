//! A program that runs inside a namespace while the world stands.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use thiserror::Error;

use super::netns::Namespace;

/// How often a waiting caller looks.
const GLANCE: Duration = Duration::from_millis(25);

/// Why a program did not run as it should.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// It could not be started or watched.
    #[error("{name}: {source}")]
    Io {
        /// Which program, as the world calls it.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended although it should not have.
    #[error("{name} ended with {status}; its last words:\n{last_words}")]
    Ended {
        /// Which program.
        name: String,
        /// With what.
        status: ExitStatus,
        /// The end of its log.
        last_words: String,
    },
    /// It did not end although it was asked to.
    #[error("{name} did not end within {limit:?}")]
    Stays {
        /// Which program.
        name: String,
        /// How long it was given.
        limit: Duration,
    },
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` inside `host`; both its outputs are added to `log`.
    ///
    /// It has a process group of its own, so that an interrupt typed at the terminal reaches only the owner.
    ///
    /// # Errors
    /// [`ProcessError::Io`] when it cannot be started or the log cannot be written.
    pub fn start(
        host: &Namespace,
        name: &str,
        program: &Path,
        args: &[&str],
        log: &Path,
    ) -> Result<Self, ProcessError> {
        let io = |source| ProcessError::Io {
            name: name.to_owned(),
            source,
        };
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(io)?;
        let err = out.try_clone().map_err(io)?;
        let child = host
            .command(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .map_err(io)?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of what it printed.
    #[must_use]
    pub fn last_words(&self) -> String {
        let text = self.printed();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Confirms that it still runs.
    ///
    /// # Errors
    /// [`ProcessError::Ended`] with its last words.
    pub fn must_run(&mut self) -> Result<(), ProcessError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(ProcessError::Ended {
                name: self.name.clone(),
                status,
                last_words: self.last_words(),
            }),
            Err(source) => Err(self.io(source)),
        }
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Errors
    /// [`ProcessError::Stays`] after `limit`; then it is killed.
    pub fn stop(mut self, limit: Duration) -> Result<ExitStatus, ProcessError> {
        self.signal(Signal::SIGTERM);
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().map_err(|it| self.io(it))? {
                return Ok(status);
            }
            std::thread::sleep(GLANCE);
        }
        Err(ProcessError::Stays {
            name: self.name.clone(),
            limit,
        })
    }

    /// Kills it without a word (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// [`ProcessError::Io`] when it cannot be waited for.
    pub fn kill(mut self) -> Result<ExitStatus, ProcessError> {
        self.signal(Signal::SIGKILL);
        self.child.wait().map_err(|it| self.io(it))
    }

    /// Freezes it (SIGSTOP): it lives, but does nothing.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a frozen one go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Sends SIGUSR1: programs that count say on it how far they are.
    pub fn ask_counts(&self) {
        self.signal(Signal::SIGUSR1);
    }

    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), signal); // Gone already: the wait will tell.
        }
    }

    fn io(&self, source: io::Error) -> ProcessError {
        ProcessError::Io {
            name: self.name.clone(),
            source,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Whether a process was ended by a signal rather than by itself.
#[must_use]
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal().is_some()
}
