//! Which signals end this process in good order.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGINT, SIGTERM or SIGHUP, whichever comes first; for ever where none can be heard.
///
/// A terminal that is closed says SIGHUP. Who began this process so that it outlives its terminal (`nohup`) had it
/// ignored, and that stays so.
pub async fn told_to_end() {
    let mut all: Vec<Signal> = [SignalKind::terminate(), SignalKind::interrupt()]
        .into_iter()
        .chain((!ignores_hangup()).then(SignalKind::hangup))
        .filter_map(|kind| signal(kind).ok())
        .collect();
    std::future::poll_fn(|task| {
        let heard = all.iter_mut().any(|it| it.poll_recv(task).is_ready());
        if heard {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

/// Whether this process was begun with SIGHUP ignored.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    has_hangup_ignored(&status)
}

/// The same, of a process's `status` as proc_pid_status(5) has it: one bit a signal, the lowest is SIGHUP's.
fn has_hangup_ignored(status: &str) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|it| it & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_heeded() {
        assert!(has_hangup_ignored("Name:\tx\nSigIgn:\t0000000000001001\n"));
        assert!(!has_hangup_ignored("Name:\tx\nSigIgn:\t0000000000001000\n"));
        assert!(!has_hangup_ignored(""));
    }
}
