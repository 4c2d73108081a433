//! One node of the make-believe internet: its home, its daemon, and the command line as its owner types it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::time::Duration;

use serde::de::DeserializeOwned;
use thiserror::Error;
use warren_daemon::api::types::{Document, Status};
use warren_daemon::error::Problem;

use super::netns::Namespace;
use super::plan::Site;
use super::process::{Process, ProcessError};
use super::settings;
use super::wait::{self, WaitError};
use super::world::World;

/// How long a daemon may take to answer for the first time, on a busy machine.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end in good order.
const END: Duration = Duration::from_secs(30);

/// Why a node did not do what was asked.
#[derive(Debug, Error)]
pub enum NodeError {
    /// Its daemon.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It did not become so in time.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// It answered with a problem.
    #[error("{node}: `warren {line}`: {problem}; its daemon's last words:\n{last_words}")]
    Problem {
        /// Which node.
        node: String,
        /// What was typed.
        line: String,
        /// What it said.
        problem: Box<Problem>,
        /// The end of its daemon's log.
        last_words: String,
    },
    /// It answered something that is not understood.
    #[error("{node}: `warren {line}` ended with {status} and said: {said}")]
    Garbled {
        /// Which node.
        node: String,
        /// What was typed.
        line: String,
        /// With what it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// It answered, but not what it should.
    #[error("{node}: `warren {line}`: {said}")]
    Odd {
        /// Which node.
        node: String,
        /// What was typed.
        line: String,
        /// What is odd about the answer.
        said: String,
    },
    /// A file of its home could not be written, or the program not be started.
    #[error("{node}: {path}: {source}")]
    File {
        /// Which node.
        node: String,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl NodeError {
    /// The problem that the node told, if it told one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem { problem, .. } => Some(problem),
            Self::Process(_)
            | Self::Wait(_)
            | Self::Garbled { .. }
            | Self::Odd { .. }
            | Self::File { .. } => None,
        }
    }
}

/// A node with its home on disk; its daemon runs or not.
#[derive(Debug)]
pub struct Node {
    name: String,
    host: Namespace,
    home: PathBuf,
    program: PathBuf,
    daemon: Option<Process>,
}

impl Node {
    /// Makes the home of the node at `site`, with this configuration.
    ///
    /// # Errors
    /// [`NodeError::File`].
    pub fn furnish(
        world: &World,
        site: &Site,
        program: &Path,
        config: &str,
    ) -> Result<Self, NodeError> {
        let it = Self {
            name: site.name.clone(),
            host: world.host(site),
            home: world.dir().join(&site.name),
            program: program.to_owned(),
            daemon: None,
        };
        it.write("config.toml", config)?;
        it.write(settings::PASSPHRASE_FILE, "a make-believe passphrase\n")?;
        Ok(it)
    }

    /// Another home on the same machine, with this configuration.
    ///
    /// # Errors
    /// [`NodeError::File`].
    pub fn beside(&self, name: &str, config: &str) -> Result<Self, NodeError> {
        let it = Self {
            name: name.to_owned(),
            host: self.host.clone(),
            home: self.home.with_file_name(name),
            program: self.program.clone(),
            daemon: None,
        };
        it.write("config.toml", config)?;
        it.write(settings::PASSPHRASE_FILE, "a make-believe passphrase\n")?;
        Ok(it)
    }

    /// Starts its daemon and waits until it answers.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn start(&mut self) -> Result<Status, NodeError> {
        self.launch()?;
        self.wait_for("its daemon to answer", START, &["status"], |it: &Status| {
            Some(it.clone()).ok_or_else(String::new)
        })
    }

    /// Starts its daemon and returns at once.
    ///
    /// # Errors
    /// [`NodeError::Process`].
    pub fn launch(&mut self) -> Result<(), NodeError> {
        let home = self.home.display().to_string();
        let args = ["--home", &home, "daemon"];
        let log = self.log();
        let daemon = Process::start(&self.host, &self.name, &self.program, &args, &log)?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Types `warren ARGS` on this node and reads the JSON that it answers.
    ///
    /// # Errors
    /// [`NodeError::Problem`] when it answers with one.
    pub fn ask<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T, NodeError> {
        let output = self.typed(args)?;
        if let Ok(document) = serde_json::from_slice::<Document<T>>(&output.stdout) {
            return Ok(document.body);
        }
        if let Ok(document) = serde_json::from_slice::<Document<Problem>>(&output.stderr) {
            return Err(self.told(args, document.body));
        }
        let said = [output.stdout, output.stderr].concat();
        Err(NodeError::Garbled {
            node: self.name.clone(),
            line: args.join(" "),
            status: output.status,
            said: String::from_utf8_lossy(&said).into_owned(),
        })
    }

    /// Types `warren ARGS` on this node and returns what its owner reads.
    ///
    /// # Errors
    /// [`NodeError::File`] when it cannot be started.
    pub fn typed_as_text(&self, args: &[&str]) -> Result<String, NodeError> {
        let home = self.home.display().to_string();
        let all = [&["--home", home.as_str()], args].concat();
        let output = self.run(&self.program, &all)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Types `warren ARGS` on this node until what it answers is as wanted.
    ///
    /// # Errors
    /// [`NodeError`]; at once when its daemon ends.
    pub fn wait_for<T: DeserializeOwned, U>(
        &mut self,
        what: &str,
        limit: Duration,
        args: &[&str],
        mut wanted: impl FnMut(&T) -> Result<U, String>,
    ) -> Result<U, NodeError> {
        let what = format!("{}: {what}", self.name);
        let mut ended = None;
        let found = wait::until(&what, limit, || {
            if let Some(daemon) = &mut self.daemon
                && let Err(error) = daemon.must_run()
            {
                ended = Some(error);
                return Ok(None);
            }
            match self.ask(args) {
                Ok(answer) => wanted(&answer).map(Some),
                Err(error) => Err(error.to_string()),
            }
        })?;
        match (found, ended) {
            (Some(it), _) => Ok(it),
            (None, Some(error)) => Err(error.into()),
            (None, None) => Err(WaitError::Interrupted.into()),
        }
    }

    /// Runs `program ARGS` on this node, as any other program of its owner.
    ///
    /// # Errors
    /// [`NodeError::File`] when it cannot be started.
    pub fn run(&self, program: &Path, args: &[&str]) -> Result<Output, NodeError> {
        let output = self.host.command(program).args(args).output();
        output.map_err(|source| self.file(program, source))
    }

    /// Runs another part of this program on this node, without its home.
    ///
    /// # Errors
    /// [`NodeError::Garbled`] when it fails.
    pub fn part<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T, NodeError> {
        let output = self.run(&self.program, args)?;
        serde_json::from_slice(&output.stdout).map_err(|_| NodeError::Garbled {
            node: self.name.clone(),
            line: args.join(" "),
            status: output.status,
            said: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        })
    }

    /// The `resolv.conf` that programs on this node read now.
    ///
    /// # Errors
    /// [`NodeError::File`] when it cannot be read.
    pub fn resolver(&self) -> Result<Vec<u8>, NodeError> {
        Ok(self.run(Path::new("cat"), &["/etc/resolv.conf"])?.stdout)
    }

    /// The error that this node told a problem.
    #[must_use]
    pub fn told(&self, args: &[&str], problem: Problem) -> NodeError {
        NodeError::Problem {
            node: self.name.clone(),
            line: args.join(" "),
            problem: Box::new(problem),
            last_words: self
                .daemon
                .as_ref()
                .map(Process::last_words)
                .unwrap_or_default(),
        }
    }

    /// The error that what this node says is not what it should.
    #[must_use]
    pub fn odd(&self, args: &[&str], said: &str) -> NodeError {
        NodeError::Odd {
            node: self.name.clone(),
            line: args.join(" "),
            said: said.to_owned(),
        }
    }

    /// Asks its daemon to end (SIGTERM) and waits.
    ///
    /// # Errors
    /// [`NodeError::Process`] when it does not.
    pub fn stop(&mut self) -> Result<(), NodeError> {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop(END)?;
        }
        Ok(())
    }

    /// Kills its daemon (SIGKILL).
    ///
    /// # Errors
    /// [`NodeError::Process`] when it cannot be waited for.
    pub fn kill(&mut self) -> Result<(), NodeError> {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill()?;
        }
        Ok(())
    }

    /// Its daemon, while it runs.
    #[must_use]
    pub fn daemon(&self) -> Option<&Process> {
        self.daemon.as_ref()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    #[must_use]
    pub fn host(&self) -> &Namespace {
        &self.host
    }

    /// Its home.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Its daemon's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.home.join("daemon.log")
    }

    fn typed(&self, args: &[&str]) -> Result<Output, NodeError> {
        let home = self.home.display().to_string();
        let mut all = vec!["--home", home.as_str(), "--json"];
        all.extend(args);
        self.run(&self.program, &all)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), NodeError> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.home.join(name);
        let written = fs::create_dir_all(&self.home).and_then(|()| {
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            io::Write::write_all(&mut options.open(&path)?, text.as_bytes())
        });
        written.map_err(|source| self.file(&path, source))
    }

    fn file(&self, path: &Path, source: io::Error) -> NodeError {
        NodeError::File {
            node: self.name.clone(),
            path: path.to_owned(),
            source,
        }
    }
}
