//! What parties say to each other, and a network that loses, doubles and swaps it.

use std::collections::{BTreeMap, VecDeque};

use warren_payments::VerifiedVoucher;
use warren_payments::channel::Shown;
use warren_proto::{CloseConsent, UnixTime, VoucherAck, WordFrame};

use super::names::Who;

/// Frames on their way between two parties at once; the newest is lost beyond that.
const MAX_FRAMES: usize = 64;

#[derive(Debug, Clone)]
pub(crate) enum Frame {
    /// A session begins at this price.
    Begin {
        price: u64,
    },
    Voucher(VerifiedVoucher),
    Word(WordFrame),
    /// The session is over.
    End,
    /// What do you hold?
    Show,
    /// Agree to close, until then.
    AskClose {
        not_after: UnixTime,
    },
    Ack(VoucherAck),
    /// The best voucher, and what it is worth with the words shown.
    Shown(Shown),
    Consent(CloseConsent),
}

/// Frames under way, by whom they are for.
#[derive(Debug)]
pub(crate) struct Wires<F = Frame>(BTreeMap<Who, VecDeque<F>>);

impl<F> Default for Wires<F> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<F> Wires<F> {
    pub(crate) fn send(&mut self, to: Who, frame: F) {
        let wire = self.0.entry(to).or_default();
        if wire.len() < MAX_FRAMES {
            wire.push_back(frame);
        }
    }

    /// Takes the frame at a place, counted around; `None` if there is none.
    pub(crate) fn take(&mut self, to: Who, place: usize) -> Option<F> {
        let wire = self.0.get_mut(&to)?;
        wire.remove(place % wire.len().max(1))
    }

    pub(crate) fn peek(&self, to: Who) -> Option<&F> {
        self.0.get(&to)?.front()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
