//! Waits for a daemon that was told to end: its home is its own until its process is gone.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use warren_daemon::error::{ErrorCode, Problem};

/// An exit with guests has their receipts to sign, and its firewall to take back.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Returns once this process is gone. One that cannot be seen from here, as in another container, is not waited for.
///
/// # Errors
/// [`ErrorCode::HomeLocked`] if it still runs after [`LIMIT`].
pub(super) async fn gone(process: Option<i32>) -> Result<(), Problem> {
    let Some(process) = process else {
        return Ok(());
    };
    let gone = async {
        while is_running(process) {
            sleep(LOOK_AGAIN).await;
        }
    };
    timeout(LIMIT, gone).await.map_err(|_| {
        let secs = LIMIT.as_secs();
        let seen = format!("process {process} was told to end and runs on after {secs} s");
        let next = format!("see its log, and wait: while kill -0 {process}; do sleep 1; done");
        Problem::new(ErrorCode::HomeLocked, seen).with_next(next)
    })
}

/// A process that is dead and not yet buried (`Z`) holds nothing any more (proc(5)).
fn is_running(process: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .map(|(_, it)| it.starts_with(['Z', 'X']));
    state == Some(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_runs_until_it_is_dead_whether_or_not_it_is_buried() {
        let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = i32::try_from(cat.id()).unwrap();
        assert!(is_running(process));
        drop(cat.stdin.take());
        while is_running(process) {
            std::thread::yield_now();
        }
        assert!(cat.wait().unwrap().success());
        assert!(!is_running(process));
    }
}
