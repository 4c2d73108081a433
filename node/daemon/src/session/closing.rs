//! A session that is over, as long as its receipt is under way: Closing.
//!
//! Sans-IO. Nothing is served and nothing more is owed here; the tunnel is gone already. Both sides
//! leave after [`EXCHANGE`] at the latest, with what they have.

use warren_proto::{Receipt, SessionFrame, Side, UnixTime, Voucher};

use crate::receipt::{Counters, EXCHANGE};

/// What a provider in Closing is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum ProviderClosingEffect {
    /// Compare, sign, keep and send back; then say [`ProviderClosing::signed`].
    Countersign(Box<Receipt>),
    /// The last voucher: take it.
    TakeVoucher(Voucher),
    /// Write and keep a receipt of this side's own: the consumer sent none.
    KeepHalf,
    /// Close the stream and forget it.
    Over,
}

/// The provider's side.
#[derive(Debug, Clone)]
pub struct ProviderClosing {
    counters: Counters,
    until: UnixTime,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The consumer's receipt may come.
    Waiting,
    /// It came and is being signed.
    Signing,
    /// Nothing comes any more.
    Over,
}

impl ProviderClosing {
    /// Waits for the consumer's receipt.
    #[must_use]
    pub fn waiting(counters: Counters, now: UnixTime) -> Self {
        Self {
            counters,
            until: now.plus(EXCHANGE),
            stage: Stage::Waiting,
        }
    }

    /// The consumer's receipt came before its goodbye and is being signed.
    #[must_use]
    pub fn signing(counters: Counters, now: UnixTime) -> Self {
        Self {
            stage: Stage::Signing,
            ..Self::waiting(counters, now)
        }
    }

    /// What this side counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether the consumer's receipt has not come yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.stage == Stage::Waiting
    }

    /// A frame on the session's stream. Everything but the last voucher and one receipt is late.
    pub fn frame(&mut self, frame: SessionFrame) -> Option<ProviderClosingEffect> {
        if self.stage == Stage::Over {
            return None;
        }
        if let SessionFrame::Voucher(voucher) = frame {
            return Some(ProviderClosingEffect::TakeVoucher(voucher));
        }
        if let SessionFrame::Receipt(receipt) = frame
            && self.stage == Stage::Waiting
        {
            self.stage = Stage::Signing;
            return Some(ProviderClosingEffect::Countersign(receipt));
        }
        None
    }

    /// The signed receipt is sent, or there will be none.
    pub fn signed(&mut self) -> Vec<ProviderClosingEffect> {
        self.stage = Stage::Over;
        vec![ProviderClosingEffect::Over]
    }

    /// The stream broke.
    pub fn lost(&mut self) -> Vec<ProviderClosingEffect> {
        self.give_up()
    }

    /// Time passes.
    pub fn tick(&mut self, now: UnixTime) -> Vec<ProviderClosingEffect> {
        if now < self.until {
            return Vec::new();
        }
        self.give_up()
    }

    fn give_up(&mut self) -> Vec<ProviderClosingEffect> {
        let half = self.stage == Stage::Waiting;
        let was = std::mem::replace(&mut self.stage, Stage::Over);
        let half = half.then_some(ProviderClosingEffect::KeepHalf);
        let over = (was != Stage::Over).then_some(ProviderClosingEffect::Over);
        half.into_iter().chain(over).collect()
    }
}

/// The consumer's side: its half is kept already.
#[derive(Debug, Clone)]
pub struct ConsumerClosing {
    half: Receipt,
    until: UnixTime,
}

/// What a consumer in Closing is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum ConsumerClosingEffect {
    /// Both signed: keep it instead of the half.
    Keep(Box<Receipt>),
    /// Close the stream and forget it.
    Over,
}

impl ConsumerClosing {
    /// Waits for the provider's signature under `half`.
    #[must_use]
    pub fn waiting(half: Receipt, now: UnixTime) -> Self {
        let until = now.plus(EXCHANGE);
        Self { half, until }
    }

    /// A frame on the session's stream. Only the very receipt that was sent counts, with both
    /// signatures; anything else may still be under way before it.
    pub fn frame(&self, frame: SessionFrame) -> Vec<ConsumerClosingEffect> {
        let SessionFrame::Receipt(receipt) = frame else {
            return Vec::new();
        };
        let is_ours = receipt.signed_bytes() == self.half.signed_bytes();
        let is_whole = [Side::Consumer, Side::Provider]
            .iter()
            .all(|side| receipt.is_signed_by(*side));
        if !is_ours || !is_whole {
            return Vec::new();
        }
        vec![
            ConsumerClosingEffect::Keep(receipt),
            ConsumerClosingEffect::Over,
        ]
    }

    /// Time passes.
    #[must_use]
    pub fn tick(&self, now: UnixTime) -> Vec<ConsumerClosingEffect> {
        if now < self.until {
            Vec::new()
        } else {
            vec![ConsumerClosingEffect::Over]
        }
    }
}
