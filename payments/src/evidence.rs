//! What a channel is worth, with the proof of it: for receipts, and for whoever may have to claim.

use warren_proto::{Amount, ChannelParams, Voucher, WordFrame};

use crate::calls::{Claim, Reveal};

/// The voucher in force and its words. The payer's own signature and hashes prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The channel's parties.
    pub params: ChannelParams,
    /// The voucher in force.
    pub voucher: Voucher,
    /// The best word of each lock that has one, by rising lane.
    pub best: Vec<WordFrame>,
    /// What the two come to.
    pub value: Amount,
    /// What the channel was worth when the session in progress, or the last one, began.
    pub value_before: Amount,
}

impl Evidence {
    /// The same as a claim; `None` if a lane is none.
    #[must_use]
    pub fn claim(&self) -> Option<Claim> {
        let reveal = |it: &WordFrame| {
            Some(Reveal {
                index: u16::try_from(it.lane).ok()?,
                k: it.k,
                word: it.word.clone(),
            })
        };
        Some(Claim {
            params: self.params,
            voucher: self.voucher.clone(),
            reveals: self.best.iter().map(reveal).collect::<Option<_>>()?,
        })
    }
}
