//! A stream of the session, as the loop uses it: what is said waits in an outlet, what is heard comes to the inbox.
//!
//! An exit that does not read costs its own stream, and the loop never waits for it.

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use warren_overlay::SessionStream;
use warren_proto::{SessionFrame, SessionId};

use super::live::{Heard, News};
use crate::outlet::Outlet;

/// The stream that stands. Dropped, nothing of it is heard any more.
#[derive(Debug)]
pub(super) struct Talk {
    number: u64,
    outlet: Outlet,
    /// A frame found no place: what was said on it is not whole.
    cut: bool,
    reader: AbortHandle,
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Talk {
    /// Reads aside; the bounded inbox slows a chatty provider down. `number` is the stream's among the session's.
    pub(super) fn start(
        stream: SessionStream,
        (session, number): (SessionId, u64),
        control: &Handle,
        heard_by: mpsc::Sender<Heard>,
    ) -> Self {
        let (sender, mut receiver) = stream.split();
        let reader = control.spawn(async move {
            while let Ok(Some(frame)) = receiver.recv().await {
                let news = News::Frame(number, frame);
                let heard = heard_by.send(Heard::Session { session, news });
                if heard.await.is_err() {
                    return;
                }
            }
            let news = News::Broken(number);
            let _ = heard_by.send(Heard::Session { session, news }).await;
        });
        Self {
            number,
            outlet: Outlet::start(control, sender),
            cut: false,
            reader: reader.abort_handle(),
        }
    }

    /// Queues a frame; never waits.
    pub(super) fn say(&mut self, frame: SessionFrame) {
        self.cut |= self.outlet.send(frame).is_err();
    }

    /// Whether it takes nothing any more, whatever still comes by it.
    pub(super) fn is_cut(&self) -> bool {
        self.cut || self.outlet.is_over()
    }

    /// Whether it is the session's stream of this number.
    pub(super) const fn is(&self, number: u64) -> bool {
        self.number == number
    }
}
