//! One network namespace: made, wired, entered and removed by the tools of iproute2 and nftables.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use thiserror::Error;

/// Why a tool of the host did not do what it was asked.
#[derive(Debug, Error)]
pub enum ToolError {
    /// The program is not installed, or may not be started.
    #[error("{program} cannot be started: {source}")]
    Missing {
        /// The program asked for.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ran and failed.
    #[error("`{line}` failed: {said}")]
    Failed {
        /// The whole command line.
        line: String,
        /// Its standard error.
        said: String,
    },
}

/// A named network namespace (`ip netns`). Does not remove itself: the world does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Creates it, with loopback up and addresses usable at once (no duplicate address detection).
    ///
    /// # Errors
    /// [`ToolError`] when `ip` or `sysctl` is missing or refuses, for instance without root.
    pub fn create(name: &str) -> Result<Self, ToolError> {
        run("ip", &["netns", "add", name])?;
        let it = Self {
            name: name.to_owned(),
        };
        it.ip("link set lo up")?;
        it.set("net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0")?;
        it.set("net.ipv6.conf.default.accept_ra=0 net.ipv6.conf.default.router_solicitations=0")?;
        Ok(it)
    }

    /// One that exists already.
    #[must_use]
    pub fn known(name: &str) -> Self {
        Self {
            name: name.to_owned(),
        }
    }

    /// Its name as `ip netns list` shows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip -n NAME` with these words.
    ///
    /// # Errors
    /// [`ToolError`] as the tool says.
    pub fn ip(&self, words: &str) -> Result<String, ToolError> {
        let mut args = vec!["-n", self.name.as_str()];
        args.extend(words.split_whitespace());
        run("ip", &args)
    }

    /// Sets kernel variables inside, each as `key=value`.
    ///
    /// # Errors
    /// [`ToolError`] as `sysctl` says.
    pub fn set(&self, variables: &str) -> Result<(), ToolError> {
        let mut args = vec!["netns", "exec", self.name.as_str(), "sysctl", "-qw"];
        args.extend(variables.split_whitespace());
        run("ip", &args).map(|_| ())
    }

    /// Loads an nftables script inside.
    ///
    /// # Errors
    /// [`ToolError`] with nft's own message.
    pub fn nft(&self, script: &str) -> Result<(), ToolError> {
        let mut child = self
            .command("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| missing("nft", source))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin
                .write_all(script.as_bytes())
                .map_err(|source| missing("nft", source))?;
        }
        let output = child
            .wait_with_output()
            .map_err(|source| missing("nft", source))?;
        checked("nft -f -", &output).map(|_| ())
    }

    /// Runs a program inside to its end and returns what it printed.
    ///
    /// # Errors
    /// [`ToolError`] when it cannot be started or fails.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<String, ToolError> {
        let output = self
            .command(program)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| missing(program, source))?;
        checked(&format!("{program} {}", args.join(" ")), &output)
    }

    /// A command that will run inside; its process id is the program's own.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// The processes that live in it now; empty when it does not exist.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        run("ip", &["netns", "pids", &self.name])
            .unwrap_or_default()
            .lines()
            .filter_map(|it| it.trim().parse().ok())
            .collect()
    }

    /// Removes it, and with it every device, route and rule inside.
    ///
    /// # Errors
    /// [`ToolError`] when it does not exist or may not be removed.
    pub fn remove(&self) -> Result<(), ToolError> {
        run("ip", &["netns", "del", &self.name]).map(|_| ())
    }
}

/// The names of all namespaces that begin with `prefix`.
///
/// # Errors
/// [`ToolError`] when `ip` is missing.
pub fn list(prefix: &str) -> Result<Vec<Namespace>, ToolError> {
    Ok(run("ip", &["netns", "list"])?
        .lines()
        .filter_map(|it| it.split_whitespace().next())
        .filter(|it| it.starts_with(prefix))
        .map(Namespace::known)
        .collect())
}

/// Ties two namespaces together by a pair of virtual devices; nothing of it ever is in the host's own namespace.
///
/// # Errors
/// [`ToolError`] as `ip` says.
pub fn wire(a: (&Namespace, &str), b: (&Namespace, &str)) -> Result<(), ToolError> {
    let words = format!(
        "link add {} netns {} type veth peer name {} netns {}",
        a.1,
        a.0.name(),
        b.1,
        b.0.name()
    );
    run("ip", &words.split_whitespace().collect::<Vec<_>>())?;
    a.0.ip(&format!("link set {} up", a.1))?;
    b.0.ip(&format!("link set {} up", b.1)).map(|_| ())
}

/// Runs a tool of the host to its end.
///
/// # Errors
/// [`ToolError`] when it cannot be started or fails.
pub fn run(program: &str, args: &[&str]) -> Result<String, ToolError> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| missing(program, source))?;
    checked(&format!("{program} {}", args.join(" ")), &output)
}

fn missing(program: &str, source: std::io::Error) -> ToolError {
    ToolError::Missing {
        program: program.to_owned(),
        source,
    }
}

fn checked(line: &str, output: &Output) -> Result<String, ToolError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(ToolError::Failed {
        line: line.to_owned(),
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
