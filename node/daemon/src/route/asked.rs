//! Payments of this node's own whose rejection somebody waits for.

use std::collections::BTreeMap;

use tokio::sync::oneshot;
use warren_proto::{PayErrorCode, PaymentId};

/// Our choice: so many at a time.
const MAX_ASKED: usize = 64;

/// Who waits for which rejection; whoever waits is told once, or hears that nobody will tell.
#[derive(Default)]
pub(super) struct Asked(BTreeMap<PaymentId, oneshot::Sender<PayErrorCode>>);

impl Asked {
    /// The receiver errs at once if too many wait.
    pub(super) fn wait(&mut self, payment: PaymentId) -> oneshot::Receiver<PayErrorCode> {
        let (tell, told) = oneshot::channel();
        self.0.retain(|_, it| !it.is_closed());
        if self.0.len() < MAX_ASKED {
            self.0.insert(payment, tell);
        }
        told
    }

    /// Whoever waits for this payment waits no more, unless the sender is used.
    pub(super) fn remove(&mut self, payment: &PaymentId) -> Option<oneshot::Sender<PayErrorCode>> {
        self.0.remove(payment)
    }
}

#[cfg(test)]
mod tests;
