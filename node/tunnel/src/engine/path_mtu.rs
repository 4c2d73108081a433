//! How large an inner packet passes the way to the exit: found by asking, not guessed.
//!
//! Sans-IO. An echo of a size is asked of the exit's inner address; if it comes back, packets of
//! that size pass both ways (RFC 8899 asks a transport's peer in the same way). Nothing depends on
//! routers that say "too big": many do not. The whole size is asked for first, so that an ordinary
//! way costs one small exchange.
//!
//! ```text
//! most answered ─▶ Found(most)      least not answered ─▶ nothing is known; asked again later
//! else halving between the largest answered and the smallest not answered
//! ```

use std::time::{Duration, Instant};

// Our choice.
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(1000);
/// How often a size is asked for before it counts as too large.
const TRIES: u32 = 3;
/// The search ends when it is known so closely.
const CLOSE: u16 = 8;
/// Ways change, in both senses: when all of it is asked again.
const AGAIN: Duration = Duration::from_secs(600);
/// When it is asked again if nobody answers at all.
const RETRY: Duration = Duration::from_secs(30);

/// The search for one tunnel.
#[derive(Debug, Clone)]
pub(crate) struct PathMtu {
    least: u16,
    most: u16,
    /// The largest that came back in this search.
    good: Option<u16>,
    /// The smallest that did not.
    bad: Option<u16>,
    /// What is asked for, how often it was, and when the answer is late.
    asked: Option<(u16, u32, Instant)>,
    /// The result of the last search.
    found: Option<u16>,
    /// When the next search begins.
    next: Instant,
}

impl PathMtu {
    /// Searches from `least`, which is believed to pass, to `most`.
    pub(crate) fn new(least: u16, most: u16, now: Instant) -> Self {
        Self {
            least,
            most,
            good: None,
            bad: None,
            asked: None,
            found: None,
            next: now,
        }
    }

    /// What was found. `None` as long as nothing came back.
    pub(crate) fn found(&self) -> Option<u16> {
        self.found
    }

    /// Whether [`PathMtu::ask`] would do something.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.asked.map_or(self.next, |(_, _, late)| late)
    }

    /// Asks for no more than `most`, since more is known not to pass whole.
    pub(crate) fn set_most(&mut self, most: u16, now: Instant) {
        let most = most.max(self.least);
        if most != self.most {
            self.most = most;
            self.restart(now);
        }
    }

    /// Begins anew, for the way is another one.
    pub(crate) fn restart(&mut self, now: Instant) {
        (self.good, self.bad, self.asked, self.next) = (None, None, None, now);
    }

    /// The size to ask for now, if it is time to.
    pub(crate) fn ask(&mut self, now: Instant) -> Option<u16> {
        if let Some((size, tries, late)) = self.asked {
            if now < late {
                return None;
            }
            if tries < TRIES {
                self.asked = Some((size, tries + 1, now + PATIENCE));
                return Some(size);
            }
            self.asked = None;
            self.bad = Some(size);
            self.conclude(now);
        }
        if now < self.next {
            return None;
        }
        let size = self.candidate();
        self.asked = Some((size, 1, now + PATIENCE));
        Some(size)
    }

    /// An echo of `size` came back.
    pub(crate) fn heard(&mut self, size: u16, now: Instant) {
        if self.asked.is_none_or(|(asked, _, _)| asked != size) {
            return; // Late, or of an earlier search.
        }
        self.asked = None;
        self.good = Some(size);
        self.conclude(now);
    }

    fn candidate(&self) -> u16 {
        match (self.good, self.bad) {
            (_, None) => self.most,
            (None, Some(_)) => self.least,
            // Sizes in a grid of eight: an odd size saves nobody anything.
            (Some(good), Some(bad)) => (good + (bad - good) / 2) & !(CLOSE - 1),
        }
    }

    /// Ends the search if it is over.
    fn conclude(&mut self, now: Instant) {
        let (found, pause) = match (self.good, self.bad) {
            (Some(good), None) => (Some(good), AGAIN),
            (Some(good), Some(bad)) if self.candidate() <= good || bad - good <= CLOSE => {
                (Some(good), AGAIN)
            }
            // Not even the least: it is not the size that is to blame.
            (None, Some(bad)) if bad <= self.least => (self.found, RETRY),
            (None | Some(_), Some(_)) | (None, None) => return,
        };
        self.found = found;
        self.restart(now + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches a way that passes packets of up to `mtu` bytes; the sizes asked for, with repeats.
    fn search(it: &mut PathMtu, mtu: u16, now: &mut Instant) -> Vec<u16> {
        let mut asked = Vec::new();
        let begun = *now;
        while *now < begun + Duration::from_secs(29) {
            if let Some(size) = it.ask(*now) {
                asked.push(size);
                if size <= mtu {
                    it.heard(size, *now);
                }
            }
            *now += Duration::from_millis(100);
        }
        asked
    }

    #[test]
    fn a_way_as_wide_as_hoped_is_asked_once() {
        let mut now = Instant::now();
        let mut it = PathMtu::new(1280, 1420, now);
        assert_eq!(search(&mut it, 1420, &mut now), [1420]);
        assert_eq!(it.found(), Some(1420));
        now += AGAIN;
        assert_eq!(search(&mut it, 1420, &mut now), [1420], "and again later");
    }

    #[test]
    fn every_narrower_way_is_found_closely_and_never_thought_wider() {
        for mtu in 1280..1420 {
            let mut now = Instant::now();
            let mut it = PathMtu::new(1280, 1420, now);
            let asked = search(&mut it, mtu, &mut now);
            let found = it.found().unwrap();
            assert!(
                found <= mtu && mtu - found <= 15,
                "{found} for {mtu}: {asked:?}"
            );
            assert!(asked.len() <= 3 + 1 + 3 * 5, "{asked:?}");
        }
    }

    #[test]
    fn who_never_answers_changes_nothing_and_is_asked_again() {
        let mut now = Instant::now();
        let mut it = PathMtu::new(1280, 1420, now);
        assert_eq!(
            search(&mut it, 0, &mut now),
            [1420, 1420, 1420, 1280, 1280, 1280]
        );
        assert_eq!(it.found(), None);
        now += RETRY;
        search(&mut it, 1350, &mut now);
        let found = it.found().unwrap();
        assert!((1336..=1350).contains(&found), "{found}");
        // Silence later on takes nothing back.
        now += AGAIN;
        search(&mut it, 0, &mut now);
        assert_eq!(it.found(), Some(found));
    }

    #[test]
    fn a_way_that_changed_is_searched_at_once_and_late_answers_do_not_count() {
        let mut now = Instant::now();
        let mut it = PathMtu::new(1280, 1420, now);
        search(&mut it, 1420, &mut now);
        assert_eq!(it.ask(now), None);
        it.restart(now);
        assert_eq!(it.ask(now), Some(1420));
        it.heard(1400, now);
        assert_eq!(it.ask(now), None, "still waiting for 1420");
        search(&mut it, 1300, &mut now);
        assert!(it.found().is_some_and(|it| (1285..=1300).contains(&it)));
    }

    /// Cut datagrams come through as well, so the system's word comes before the echo's.
    #[test]
    fn what_the_system_knows_is_not_asked_beyond() {
        let mut now = Instant::now();
        let mut it = PathMtu::new(1280, 1420, now);
        assert_eq!(it.ask(now), Some(1420));
        now += PATIENCE;
        assert!(it.is_due(now));
        it.set_most(1363, now);
        assert_eq!(search(&mut it, 1420, &mut now), [1363]);
        assert_eq!(it.found(), Some(1363));
        it.set_most(1000, now);
        assert_eq!(it.ask(now), Some(1280), "never below what IPv6 needs");
    }

    #[test]
    fn one_lost_answer_is_no_verdict() {
        let mut now = Instant::now();
        let mut it = PathMtu::new(1280, 1420, now);
        assert_eq!(it.ask(now), Some(1420));
        now += PATIENCE;
        assert_eq!(it.ask(now), Some(1420));
        it.heard(1420, now);
        assert_eq!(it.found(), Some(1420));
    }
}
