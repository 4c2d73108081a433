//! How an exit ends: its offer is withdrawn, its guests are told, the machine is as it was.

use tokio::task::spawn_blocking;
use warren_proto::GoodbyeReason;
use warren_tunnel::ExitTunnel;
use warren_tunnel::host::RecoverReport;

use super::Shell;
use crate::error::{ErrorCode, Problem};
use crate::session::ProviderEvent;

impl Shell {
    /// Withdraws the offer, says goodbye to guests, takes back what was changed here.
    pub(super) async fn disable(&mut self) -> Result<(), Problem> {
        // What ended the last one is over once its owner wants none.
        self.trouble = None;
        if self.exit.is_none() {
            return Err(Problem::new(ErrorCode::ExitOff, "no exit runs"));
        }
        let _ = self.parts.overlay.withdraw_offer().await;
        let sessions: Vec<_> = self
            .guests()
            .map(|guests| guests.keys().copied().collect())
            .unwrap_or_default();
        for session in sessions {
            self.event(session, ProviderEvent::Stop(GoodbyeReason::Shutdown))
                .await;
        }
        let Some(exit) = self.exit.take() else {
            return Ok(());
        };
        // Guests are cut off first; the deny table goes last.
        stop(exit.tunnel).await;
        let undone = exit.host.undo().await;
        tracing::info!("exit off");
        self.tell_of_exit("the exit is off: its offer is withdrawn, its guests were told");
        match undone {
            Ok(report) => all_undone(&report),
            Err(error) => Err(Problem::of_host(&error)),
        }
    }
}

/// What of this machine could not be taken back is said: the journal has it.
fn all_undone(report: &RecoverReport) -> Result<(), Problem> {
    if report.is_clean() {
        return Ok(());
    }
    let seen = format!("the exit is off, and not everything could be taken back: {report}");
    let problem = Problem::left_over(&seen);
    tracing::error!(seen = %problem.seen, "the exit's marks on this machine are not all gone");
    Err(problem)
}

/// Its threads are waited for, which must hold up no task.
pub(super) async fn stop(tunnel: ExitTunnel) {
    if let Err(error) = spawn_blocking(move || tunnel.stop()).await {
        tracing::error!(%error, "the tunnel was not stopped in order");
    }
}

#[cfg(test)]
mod tests {
    use warren_tunnel::host::{Outcome, UndoneChange};

    use super::*;

    fn report(outcome: Outcome) -> RecoverReport {
        let change = "forwarding of IPv4".to_owned();
        RecoverReport {
            changes: vec![UndoneChange { change, outcome }],
            ..RecoverReport::default()
        }
    }

    #[test]
    fn what_an_exit_leaves_behind_is_said() {
        assert!(all_undone(&report(Outcome::ChangedByOthers)).is_ok());
        let failed = Outcome::Failed("read-only".to_owned());
        let told = all_undone(&report(failed)).unwrap_err();
        assert!(told.is(ErrorCode::LeftOvers) && told.seen.contains("read-only"));
    }
}
