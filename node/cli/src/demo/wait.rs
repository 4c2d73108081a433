//! Waiting for something to become so: looks again and again until it is, the limit is over, or someone interrupts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thiserror::Error;

/// Between two looks at least and at most. A look may cost the start of a program, so who has waited for long looks more
/// seldom: an eighth of the time until now.
const GLANCE: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(250));

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Why the wait ended without the thing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WaitError {
    /// It did not become so in time.
    #[error("waited {limit:?} for {what}; last seen: {last}")]
    TooLong {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// What the last look showed.
        last: String,
    },
    /// SIGINT, SIGTERM or SIGHUP came.
    #[error("interrupted")]
    Interrupted,
}

/// Looks until `look` gives something; what it says instead is kept for the error.
///
/// # Errors
/// [`WaitError`].
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T, WaitError> {
    let begun = Instant::now();
    loop {
        unless_interrupted()?;
        let last = match look() {
            Ok(it) => return Ok(it),
            Err(last) => last,
        };
        if begun.elapsed() >= limit {
            return Err(WaitError::TooLong {
                what: what.to_owned(),
                limit,
                last,
            });
        }
        std::thread::sleep((begun.elapsed() / 8).clamp(GLANCE.0, GLANCE.1));
    }
}

/// Says so if a signal asked this process to end.
///
/// # Errors
/// [`WaitError::Interrupted`].
pub fn unless_interrupted() -> Result<(), WaitError> {
    if INTERRUPTED.load(Ordering::SeqCst) {
        return Err(WaitError::Interrupted);
    }
    Ok(())
}

/// From now on SIGINT, SIGTERM and SIGHUP do not end this process but the next wait, so that a world can be taken down.
///
/// # Errors
/// What the system says when no handler can be set.
pub fn catch_signals() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (ready, set) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let all = [
                signal(SignalKind::interrupt()),
                signal(SignalKind::terminate()),
                signal(SignalKind::hangup()),
            ];
            let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = all else {
                let _ = ready.send(false);
                return;
            };
            let _ = ready.send(true);
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                INTERRUPTED.store(true, Ordering::SeqCst);
            }
        });
    });
    match set.recv() {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(std::io::Error::other("no signal handler could be set")),
    }
}
