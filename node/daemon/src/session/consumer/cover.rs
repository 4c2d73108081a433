//! What the session's channel can still pay: released no further, topped up in time, said when it is used up.
//!
//! Sans-IO.

use std::time::Duration;

use warren_proto::{GoodbyeReason, PayErrorCode, UnixTime};

use super::{ConsumerEnd, ConsumerSession, Do};

// Our choices.
/// A top-up is asked for when less than this part of the channel is left.
const LOW_PART: u64 = 4;
/// But not before so few words are left, a minute's film and more, nor after so many.
const LOW_WORDS: (u64, u64) = (64, 1024);
/// For so long after a top-up an exit that has not seen it yet is given time.
const UNSEEN: Duration = Duration::from_secs(60);
/// After a top-up failed, until it is tried again: as long as there is something left to pay with, and once there is
/// not, when the exit waits no longer than 20 s.
const TOP_UP_AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(8));
/// Until it is told again, and until what could not be saved is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How far the channel reaches.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cover {
    /// Words of this session that it pays in all. `None`: not counted; a route pays, or nothing is paid.
    words: Option<u64>,
    low: u64,
    /// A top-up is under way.
    asked: bool,
    /// None can be had within what the user allows.
    refused: bool,
    /// When the last one failed.
    failed: Option<UnixTime>,
    /// When it was topped up last.
    deepened: Option<UnixTime>,
    again_at: Option<UnixTime>,
    /// What was released before the last words were asked for.
    before: u64,
    /// Until then nothing is released: it could not be saved.
    rests_until: Option<UnixTime>,
}

impl ConsumerSession {
    /// The channel pays `words` of this session in all, or since a top-up, by whomever.
    pub(super) fn covers(&mut self, words: u64, now: UnixTime) -> Vec<Do> {
        let cover = &mut self.cover;
        let grows = cover.words.is_some_and(|before| words > before);
        if std::mem::take(&mut cover.asked) || grows {
            cover.deepened = Some(now);
        }
        (cover.refused, cover.failed) = (false, None);
        let left = words.saturating_sub(self.released);
        cover.low = (left / LOW_PART).clamp(LOW_WORDS.0, LOW_WORDS.1);
        cover.words = Some(words);
        self.pay(now)
    }

    /// No top-up can be had within what the user allows.
    pub(super) fn not_topped_up(&mut self, now: UnixTime) -> Vec<Do> {
        (self.cover.asked, self.cover.refused) = (false, true);
        self.pay(now)
    }

    /// It failed, which says nothing of the next one.
    pub(super) fn top_up_failed(&mut self, now: UnixTime) -> Vec<Do> {
        (self.cover.asked, self.cover.failed) = (false, Some(now));
        self.pay(now)
    }

    /// Of what was asked for, `words` could not be released.
    pub(super) fn falls_short(&mut self, words: u64, now: UnixTime) -> Vec<Do> {
        self.released = self.released.saturating_sub(words);
        self.cover.words = Some(self.released);
        self.cover.low = self.cover.low.max(LOW_WORDS.0);
        self.pay(now)
    }

    /// The words that were asked for last could not be saved, so none of them was said: they count as not
    /// released, and are asked for again in a while.
    pub(super) fn unreleased(&mut self, now: UnixTime) -> Vec<Do> {
        self.released = self.released.min(self.cover.before);
        self.cover.rests_until = Some(now.plus(AGAIN));
        Vec::new()
    }

    /// Releases `wanted` words as far as the channel reaches; asks for a top-up when little is left, and ends
    /// when what is due lies beyond and there is none.
    pub(super) fn pay_by_channel(&mut self, wanted: u64, due: u64) -> Vec<Do> {
        let mut effects = Vec::new();
        let reach = self.cover.words.unwrap_or(u64::MAX);
        let grant = wanted.min(reach);
        let now = self.now;
        let rests = self.cover.rests_until.is_some_and(|until| now < until);
        if grant > self.released && !rests {
            (self.cover.before, self.released) = (self.released, grant);
            effects.push(Do::Release { units: grant });
        }
        let cover = &mut self.cover;
        let is_low = reach.saturating_sub(wanted) < cover.low;
        let rest = if due > reach {
            TOP_UP_AGAIN.1
        } else {
            TOP_UP_AGAIN.0
        };
        let waits = cover.failed.is_some_and(|at| now.since(at) < rest);
        if is_low && !cover.asked && !cover.refused && !waits {
            cover.asked = true;
            effects.push(Do::TopUp);
        }
        if due > reach && cover.refused {
            effects.extend(self.end(ConsumerEnd::ChannelUsedUp, Some(GoodbyeReason::Asked)));
        }
        effects
    }

    /// Why the exit ended it: it cannot know that the channel is used up, or that more is on its way.
    pub(super) fn ended_by_exit(&self, reason: GoodbyeReason) -> ConsumerEnd {
        let dry = self.cover.words.is_some_and(|it| it <= self.released);
        if dry && reason == GoodbyeReason::Unpaid {
            return if self.cover.refused {
                ConsumerEnd::ChannelUsedUp
            } else {
                ConsumerEnd::Unfunded
            };
        }
        ConsumerEnd::Ended(reason)
    }

    /// Whether an exit refuses what rests on a deposit that it has not seen yet; it is told again then.
    pub(super) fn is_unseen(&mut self, code: PayErrorCode) -> bool {
        let is_it = matches!(
            code,
            PayErrorCode::OverCommitted | PayErrorCode::WordGap | PayErrorCode::BadWord
        );
        let lately = |at: UnixTime| self.now.since(at) < UNSEEN;
        if !is_it || !self.cover.deepened.is_some_and(lately) {
            return false;
        }
        self.cover.again_at.get_or_insert(self.now.plus(AGAIN));
        true
    }

    /// Tells the exit again, when it is time.
    pub(super) fn tell_again(&mut self, now: UnixTime) -> Option<Do> {
        let due = self.cover.again_at.take_if(|at| now >= *at);
        due.map(|_| Do::Resync)
    }
}
