//! A process that changes the host and then only lives, so that a test can kill it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use warren_tunnel::host::{ConsumerHost, DnsSpec, DnsWay, RouteSpec};

use crate::kill_switch::spec;
use crate::lab::Namespace;

/// How far the holder goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Kill switch, routes and name servers.
    All,
}

pub(crate) struct Holder {
    child: Child,
}

const FOLDER: &str = "WARREN_TEST_HOLDER_FOLDER";

impl Holder {
    /// Starts it in `namespace`. With `max_file_bytes` the kernel kills it in the middle of the
    /// write that makes any file longer: a torn journal line.
    pub(crate) fn spawn(
        namespace: &Namespace,
        folder: &Path,
        Stage::All: Stage,
        max_file_bytes: Option<u64>,
    ) -> Self {
        let program = std::env::current_exe().unwrap();
        let limit = max_file_bytes.map_or("unlimited".to_owned(), |it| it.to_string());
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--fsize={limit}:{limit}"))
            .arg("--core=0:0")
            .arg(program);
        command.args([
            "--exact",
            "holder::hold",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ]);
        command
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Self {
            child: namespace.run(|| command.spawn().unwrap()),
        }
    }

    pub(crate) fn wait_ready(&mut self) {
        let stdout = BufReader::new(self.child.stdout.take().unwrap());
        let ready = stdout
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("HOLDING"));
        assert!(ready, "the holder ended before it was ready");
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill_nine(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until the limit has killed it; `false` if it came through instead.
    pub(crate) fn was_killed(mut self) -> bool {
        let stdout = BufReader::new(self.child.stdout.take().unwrap());
        if stdout
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("HOLDING"))
        {
            self.kill_nine();
            return false;
        }
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(libc::SIGXFSZ), "{status}");
        true
    }
}

#[test]
#[ignore = "the body of a process that other tests start and kill"]
fn hold() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _held = runtime.block_on(async {
        let mut host = ConsumerHost::protect(&folder.join("undo.jsonl"), &spec())
            .await
            .unwrap();
        host.route(&RouteSpec::default()).await.unwrap();
        let resolv_conf = folder.join("resolv.conf");
        host.dns(&DnsSpec {
            way: DnsWay::File,
            resolv_conf,
            ..DnsSpec::default()
        })
        .await
        .unwrap();
        host
    });
    println!("HOLDING");
    // Until it is killed, or the test that started it is gone.
    let _ = std::io::stdin().read_line(&mut String::new());
}
