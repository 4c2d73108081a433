//! What is said on a session's stream waits here for the other side to read it, and nobody waits with it.
//!
//! A peer that does not read must cost its own stream and nothing else: the loop that serves all of them
//! only queues. A full queue is a broken stream.

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use warren_overlay::SessionSender;
use warren_proto::SessionFrame;

/// Frames that may wait: some seconds of a session that is paid word by word as fast as a line carries.
const WAITING: usize = 1024;

/// The stream takes nothing more: it broke, or its peer does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream broke, or its peer does not read")]
pub(crate) struct Clogged;

/// The way out to one peer. Dropped, it says what still waits, and ends the stream in good order.
#[derive(Debug)]
pub(crate) struct Outlet {
    frames: mpsc::Sender<SessionFrame>,
}

impl Outlet {
    /// Writes in a task of its own, whose every frame has the stream's own deadline.
    pub(crate) fn start(control: &Handle, mut sender: SessionSender) -> Self {
        let (frames, mut waiting) = mpsc::channel(WAITING);
        control.spawn(async move {
            while let Some(frame) = waiting.recv().await {
                if sender.send(frame).await.is_err() {
                    return;
                }
            }
            // The peer may be gone; closing then has a deadline of its own.
            let _ = sender.close().await;
        });
        Self { frames }
    }

    /// Queues a frame; never waits.
    pub(crate) fn send(&self, frame: SessionFrame) -> Result<(), Clogged> {
        self.frames.try_send(frame).map_err(|_| Clogged)
    }

    /// Whether a write has failed, also of a frame that was queued before.
    pub(crate) fn is_over(&self) -> bool {
        self.frames.is_closed()
    }
}

#[cfg(test)]
mod tests;
