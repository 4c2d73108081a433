//! What is known of one endpoint: whether it may be asked, how fast, how far behind, how often wrong.
//!
//! Sans-IO. Times are counted from when the endpoints were first used; whoever tells of a failure
//! brings the chance for the jitter along.
//!
//! ```text
//! unchecked ──pins fit──▶ sound ──hung up, or 100 blocks later──▶ unchecked
//!     └──another chain, contract or token──▶ wrong ──looked at again, and fits──▶ sound
//! ```

use std::time::Duration;

use crate::ChainError;

// Our choices.
/// Blocks after which chain id, code and token are looked at again.
const RECHECK_BLOCKS: u64 = 100;
/// The first rest after a failure; each further one doubles it.
const REST_FIRST: Duration = Duration::from_secs(1);
const REST_MOST: Duration = Duration::from_secs(60);
/// Doublings after which a rest grows no more.
const MOST_DOUBLINGS: u32 = 6;
/// Letters of an error that are kept.
const MAX_TROUBLE: usize = 200;

/// Whether an endpoint is on the pinned chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Pinned {
    /// Nobody looked since it was last out of reach.
    #[default]
    Unchecked,
    /// It is; the block it was at when that was looked at, once that is known.
    Sound(Option<u64>),
    /// It is not.
    Wrong(ChainError),
}

/// One endpoint, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Health {
    pub(super) pinned: Pinned,
    /// The usual time of an answer; `None` before the first.
    pub(super) latency: Option<Duration>,
    /// The newest block it told of.
    pub(super) head: Option<u64>,
    pub(super) asked: u64,
    /// Questions without an answer, in all.
    pub(super) errors: u64,
    /// Questions without an answer, since the last with one.
    in_a_row: u32,
    /// Answers that others overruled.
    pub(super) overruled: u64,
    rests_until: Duration,
    /// The last error, until it answers again.
    pub(super) trouble: Option<String>,
}

/// What happens to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// It answered a question after so long.
    Answered { after: Duration },
    /// It answered with its newest block.
    Head(u64),
    /// Its pins were looked at and fit.
    Fits,
    /// It gave no answer; `chance` is drawn anew for each.
    Failed { error: ChainError, chance: u16 },
    /// Others answered the same question otherwise, and are believed.
    Overruled,
}

impl Health {
    /// Says what `event` makes of the endpoint.
    pub(super) fn handle(&self, event: &Event, now: Duration) -> Self {
        let mut next = self.clone();
        match event {
            Event::Answered { after } => {
                next.asked = self.asked.saturating_add(1);
                next.in_a_row = 0;
                next.rests_until = Duration::ZERO;
                next.trouble = None;
                // One answer in four counts: a single slow one does not cost the endpoint its place.
                let usual = self.latency.unwrap_or(*after);
                next.latency = Some((usual.saturating_mul(3).saturating_add(*after)) / 4);
            }
            Event::Head(number) => {
                next.head = Some(*number);
                if self.pinned == Pinned::Sound(None) {
                    next.pinned = Pinned::Sound(Some(*number));
                }
            }
            Event::Fits => next.pinned = Pinned::Sound(self.head),
            Event::Failed { error, chance } => next.fail(error, *chance, now),
            Event::Overruled => next.overruled = self.overruled.saturating_add(1),
        }
        next
    }

    fn fail(&mut self, error: &ChainError, chance: u16, now: Duration) {
        self.asked = self.asked.saturating_add(1);
        self.errors = self.errors.saturating_add(1);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.trouble = Some(error.to_string().chars().take(MAX_TROUBLE).collect());
        self.pinned = if matches!(error, ChainError::Mismatch { .. }) {
            Pinned::Wrong(error.clone())
        } else {
            Pinned::Unchecked // Whoever answers at that address next may be somebody else.
        };
        let doublings = self.in_a_row.saturating_sub(1).min(MOST_DOUBLINGS);
        let rest = REST_FIRST.saturating_mul(1 << doublings).min(REST_MOST);
        // Between half and all of it, so that many nodes do not come back at once.
        let jitter = rest.saturating_mul(u32::from(chance)) / (2 * u32::from(u16::MAX));
        self.rests_until = now.saturating_add(rest / 2).saturating_add(jitter);
    }

    /// Whether its pins must be looked at before its words count.
    pub(super) const fn is_due(&self) -> bool {
        match (&self.pinned, self.head) {
            (Pinned::Sound(Some(at)), Some(head)) => head.saturating_sub(*at) >= RECHECK_BLOCKS,
            (Pinned::Sound(_), _) => false,
            (Pinned::Unchecked | Pinned::Wrong(_), _) => true,
        }
    }

    /// Whether it failed so lately that it is left alone where others suffice.
    pub(super) fn is_resting(&self, now: Duration) -> bool {
        now < self.rests_until
    }

    /// Whether it answers, and as the pinned chain.
    pub(super) const fn is_sound(&self) -> bool {
        matches!(self.pinned, Pinned::Sound(_)) && self.in_a_row == 0
    }

    /// Whom to ask first where one suffices: the smaller, the better.
    ///
    /// Sticky: latencies of the same order of magnitude are the same, so that the choice does not
    /// swing with each answer.
    pub(super) fn rank(&self) -> (bool, u64, u32) {
        let millis = self.latency.map_or(0, |it| it.as_millis());
        let magnitude = 128_u32.saturating_sub(millis.leading_zeros());
        (!self.is_sound(), self.overruled, magnitude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn gone() -> ChainError {
        ChainError::Unreachable {
            detail: "gone".into(),
        }
    }

    fn fails(health: &Health, error: ChainError, chance: u16) -> Health {
        health.handle(&Event::Failed { error, chance }, NOW)
    }

    fn sound() -> Health {
        let health = Health::default().handle(&Event::Fits, NOW);
        let after = Duration::from_millis(10);
        let health = health.handle(&Event::Answered { after }, NOW);
        health.handle(&Event::Head(1000), NOW)
    }

    #[test]
    fn pins_are_looked_at_before_the_first_word_and_every_hundred_blocks() {
        assert!(Health::default().is_due());
        let health = sound();
        assert!(!health.is_due());
        assert!(!health.handle(&Event::Head(1099), NOW).is_due());
        let later = health.handle(&Event::Head(1100), NOW);
        assert!(later.is_due());
        assert!(!later.handle(&Event::Fits, NOW).is_due());
    }

    #[test]
    fn whoever_was_out_of_reach_is_looked_at_again() {
        assert!(fails(&sound(), gone(), 0).is_due());
    }

    #[test]
    fn another_chain_is_wrong_until_it_fits_again() {
        let other = ChainError::Mismatch {
            what: "chain id",
            expected: "1".into(),
            found: "2".into(),
        };
        let wrong = fails(&sound(), other, 0);
        assert!(wrong.is_due() && !wrong.is_sound());
        let after = Duration::from_millis(10);
        let back = wrong.handle(&Event::Fits, NOW);
        assert!(back.handle(&Event::Answered { after }, NOW).is_sound());
    }

    #[test]
    fn rests_double_up_to_a_minute_and_are_jittered_by_half() {
        let mut health = sound();
        for most in [1, 2, 4, 8, 16, 32, 60, 60] {
            let most = Duration::from_secs(most);
            let (short, long) = (fails(&health, gone(), 0), fails(&health, gone(), u16::MAX));
            assert!(short.is_resting(NOW) && !short.is_resting(NOW + most / 2));
            assert!(long.is_resting(NOW + most / 2) && !long.is_resting(NOW + most));
            health = short;
        }
        let after = Duration::from_millis(10);
        assert!(
            !health
                .handle(&Event::Answered { after }, NOW)
                .is_resting(NOW)
        );
    }

    #[test]
    fn the_quickest_of_the_honest_is_asked_first_and_small_swings_change_nothing() {
        let at = |millis| {
            let after = Duration::from_millis(millis);
            let health = Health::default().handle(&Event::Fits, NOW);
            health.handle(&Event::Answered { after }, NOW)
        };
        assert!(at(10).rank() < at(500).rank());
        assert_eq!(at(70).rank(), at(90).rank());
        assert!(at(500).rank() < at(10).handle(&Event::Overruled, NOW).rank());
        assert!(at(500).rank() < fails(&at(10), gone(), 0).rank());
    }
}
