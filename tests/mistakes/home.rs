//! A node's home in a temporary folder, the program run on it, and its daemon.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::devchain::Pins;
use crate::disk::Disk;
use crate::told::Told;

/// For one step, on a busy machine.
pub(crate) const STEP: Duration = Duration::from_secs(60);

/// The home of one node, and where its disk is.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    disk: Option<Disk>,
    _folder: Option<TempDir>,
}

impl Home {
    /// A node that listens on loopback and has neither chain nor wallet.
    pub(crate) fn bare() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Self {
            path: folder.path().join("home"),
            disk: None,
            _folder: Some(folder),
        };
        fs::create_dir(home.path()).expect("a folder");
        home.configure("");
        home
    }

    /// A node on a disk of its own.
    pub(crate) fn on(disk: Disk) -> Self {
        let home = Self {
            path: disk.path().to_owned(),
            disk: Some(disk),
            _folder: None,
        };
        home.configure("");
        home
    }

    /// Gives it a chain and a wallet.
    pub(crate) fn with_wallet(self, pins: &Pins) -> Self {
        self.passphrase("correct horse");
        self.told_of(pins, &[]);
        self.ask(&["wallet", "new", "--work-factor", "4"]).data();
        self
    }

    /// Writes its configuration: this chain, these first peers.
    pub(crate) fn told_of(&self, pins: &Pins, bootstrap: &[String]) {
        let passphrase = self.path.join("passphrase");
        self.configure(&format!(
            "bootstrap = {bootstrap:?}\n{}[wallet]\npassphrase_file = {passphrase:?}\n",
            pins.section()
        ));
    }

    /// Its own disk.
    pub(crate) fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("a home on a disk of its own")
    }

    /// Where it is for the program. On a disk of its own other processes cannot look there.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The same file for this process.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        match &self.disk {
            Some(disk) => disk.seen_from_here(name),
            None => self.path.join(name),
        }
    }

    /// Writes its configuration: what every home here has, and `more`, which begins in `[overlay]`.
    pub(crate) fn configure(&self, more: &str) {
        let listen = "listen = [\"/ip4/127.0.0.1/udp/0/quic-v1\"]\nallow_private = true";
        self.config_text(&format!("[overlay]\n{listen}\n{more}\n"));
    }

    /// Writes its configuration as it is.
    pub(crate) fn config_text(&self, text: &str) {
        fs::write(self.file("config.toml"), text).expect("a file");
    }

    pub(crate) fn passphrase(&self, words: &str) {
        let path = self.file("passphrase");
        fs::write(&path, format!("{words}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    }

    /// The program with this home; as nobody who may change the network.
    fn command(&self, args: &[&str]) -> Command {
        self.within(&[&[&*program().display().to_string()], args].concat())
    }

    fn within(&self, words: &[&str]) -> Command {
        let mut line: Vec<String> = Vec::new();
        if let Some(disk) = &self.disk {
            line.extend(disk.enter());
        }
        if is_root() {
            let words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
            line.extend(words.map(str::to_owned));
        }
        line.extend(words.iter().map(|it| (*it).to_owned()));
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("WARREN_HOME", &self.path)
            .stdin(Stdio::null());
        command
    }

    /// Runs a verb, as people do.
    pub(crate) fn run(&self, args: &[&str]) -> Told {
        let output = self.command(args).output().expect("the program starts");
        Told::of(&output)
    }

    /// The same in a login by SSH, at a shell that knows of it and says nothing to what it starts, as sudo does.
    pub(crate) fn ask_by_ssh(&self, login: &str, args: &[&str]) -> Told {
        let script = "env -u SSH_CONNECTION \"$@\"; exit $?";
        let program = program().display().to_string();
        let words = [&["sh", "-c", script, "sh", &*program, "--json"], args].concat();
        let mut shell = self.within(&words);
        shell.env("SSH_CONNECTION", login);
        Told::of(&shell.output().expect("the program starts"))
    }

    /// Runs a verb, as programs do.
    pub(crate) fn ask(&self, args: &[&str]) -> Told {
        self.run(&[&["--json"], args].concat())
    }

    /// Both forms of a mistake: the same code and number. Returns what programs are told.
    #[track_caller]
    pub(crate) fn refused(&self, args: &[&str], exit: i32, code: &str) -> Value {
        self.run(args).words(exit, code);
        self.ask(args).problem(exit, code)
    }

    /// Starts the daemon, and waits for nothing.
    pub(crate) fn launch(&self) -> Daemon<'_> {
        self.spawn(self.command(&["daemon"]))
    }

    /// The same for a service manager that listens at `manager`.
    pub(crate) fn launch_as_service(&self, manager: &Path) -> Daemon<'_> {
        let mut command = self.command(&["daemon"]);
        command.env("NOTIFY_SOCKET", manager);
        self.spawn(command)
    }

    fn spawn(&self, mut command: Command) -> Daemon<'_> {
        let log = self.file("daemon.log");
        let file = File::create(&log).expect("a log");
        let child = command
            .stdout(file.try_clone().expect("a log"))
            .stderr(file)
            .spawn()
            .expect("the daemon starts");
        Daemon {
            home: self,
            child,
            log,
        }
    }

    /// Starts the daemon; returns when it answers.
    pub(crate) fn start(&self) -> Daemon<'_> {
        let mut daemon = self.launch();
        until("the daemon to answer", || {
            let ended = daemon.child.try_wait().expect("a child");
            assert!(ended.is_none(), "{ended:?}: {}", daemon.printed());
            let told = self.ask(&["status"]);
            if told.exit == 0 {
                Ok(())
            } else {
                Err(told.err)
            }
        });
        daemon
    }

    /// Everything that this node says of its money, for comparing before and after.
    pub(crate) fn books(&self) -> Value {
        let asked = |args: &[&str]| self.ask(args).data();
        json!([
            asked(&["wallet", "show"]),
            asked(&["channel", "ls"]),
            asked(&["ledger"])
        ])
    }

    pub(crate) fn status(&self) -> Value {
        self.ask(&["status"]).data()
    }

    /// The codes of what the status warns of.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let status = self.status();
        let warnings = status["warnings"].as_array().expect("a list").clone();
        let code = |it: &Value| it["code"].as_str().expect("a code").to_owned();
        warnings.iter().map(code).collect()
    }
}

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub(crate) struct Daemon<'a> {
    home: &'a Home,
    child: Child,
    log: PathBuf,
}

impl Daemon<'_> {
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it as a terminal does that is closed; it must end well.
    pub(crate) fn hang_up(mut self) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).expect("a signal");
        let ended = until("the daemon to end", || {
            let ended = self.child.try_wait().expect("a child");
            ended.ok_or_else(|| self.printed())
        });
        assert_eq!(ended.code(), Some(0), "{}", self.printed());
        assert!(self.printed().contains("good order"), "{}", self.printed());
    }

    /// Ends it by its own verb; it must end well, and without a fault on the way.
    pub(crate) fn stop(mut self) {
        self.home.ask(&["down", "--daemon"]).data();
        let ended = until("the daemon to end", || {
            let ended = self.child.try_wait().expect("a child");
            ended.ok_or_else(|| self.printed())
        });
        assert_eq!(ended.code(), Some(0), "{}", self.printed());
        assert!(!self.printed().contains("panicked"), "{}", self.printed());
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // Gone already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `look` gives something; never for longer than [`STEP`].
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    match warren::demo::wait::until(what, STEP, look) {
        Ok(found) => found,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The `warren` beside this test: built by the same command, into the same folder.
pub(crate) fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("WARREN_BIN") {
        return named.into();
    }
    let test = std::env::current_exe().expect("a test has a file");
    let folder = test.parent().and_then(Path::parent);
    let program = folder.expect("target/debug/deps").join("warren");
    let missing = "is missing: cargo build --workspace --bins";
    assert!(program.exists(), "{} {missing}", program.display());
    program
}
