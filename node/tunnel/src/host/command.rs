//! Runs a program of the host with a bound on its time and its words.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::HostError;

/// Our choice: nft with a full table takes milliseconds, a loaded box seconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// Our choice: what a person still reads.
const MAX_STDERR_BYTES: usize = 2048;
/// Where to look when `PATH` has no system folders, as for a daemon or a plain user.
const SYSTEM_FOLDERS: &str = "/usr/sbin:/sbin:/usr/bin:/bin";

/// Runs `program` with `input` on its standard input and returns its standard output.
pub(crate) async fn run(
    program: &'static str,
    arguments: &[&str],
    input: &str,
) -> Result<Vec<u8>, HostError> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut child = Command::new(program)
        .args(arguments)
        .env("PATH", format!("{path}:{SYSTEM_FOLDERS}"))
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                return HostError::ProgramMissing { program };
            }
            HostError::Spawn { program, source }
        })?;
    let stdin = child.stdin.take();
    let talk = async {
        if let Some(mut stdin) = stdin {
            // A program that ends before it has read all says why on stderr.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = timeout(PATIENCE, talk)
        .await
        .map_err(|_| HostError::TimedOut {
            program,
            after: PATIENCE,
        })?
        .map_err(|source| HostError::Spawn { program, source })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = output
        .stderr
        .get(..MAX_STDERR_BYTES)
        .unwrap_or(&output.stderr);
    Err(HostError::Refused {
        program,
        status: output.status.to_string(),
        stderr: String::from_utf8_lossy(stderr).trim().to_owned(),
    })
}
