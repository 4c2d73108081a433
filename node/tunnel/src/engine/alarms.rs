//! Whom the clock looks at: who was heard or spoken to lately, on every tick; the others once, when their keys end.
//!
//! Sans-IO. WireGuard's timers are short while packets pass and silent afterwards, so a guest that
//! is quiet needs no look until its keys must be forgotten, and one that never came needs none.
//!
//! Invariant: a slot is in at most one of the two sets.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// When a guest must be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// On the next tick.
    Soon,
    /// Then, if nothing happens before.
    At(Instant),
    /// Not before something happens.
    Never,
}

/// A slot whose look is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) slot: u32,
    /// It was awake; else its alarm went off.
    pub(crate) awake: bool,
}

/// The slots that are awake, and the alarms of those that are not.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    awake: BTreeSet<u32>,
    set: BTreeSet<(Instant, u32)>,
    at: HashMap<u32, Instant>,
}

impl Alarms {
    /// Something happened at `slot`.
    pub(crate) fn wake(&mut self, slot: u32) {
        self.forget(slot);
        self.awake.insert(slot);
    }

    /// Nobody is at `slot` any more.
    pub(crate) fn forget(&mut self, slot: u32) {
        self.awake.remove(&slot);
        if let Some(at) = self.at.remove(&slot) {
            self.set.remove(&(at, slot));
        }
    }

    /// Moves every slot that is due now into `due`; each is to be put back.
    pub(crate) fn take_due(&mut self, now: Instant, due: &mut Vec<Due>) {
        let awake = std::mem::take(&mut self.awake);
        due.extend(awake.into_iter().map(|slot| Due { slot, awake: true }));
        while let Some(&(at, slot)) = self.set.first()
            && at <= now
        {
            self.forget(slot);
            due.push(Due { slot, awake: false });
        }
    }

    /// Says when `slot` is to be looked at again.
    pub(crate) fn put_back(&mut self, slot: u32, rest: Rest) {
        match rest {
            Rest::Soon => self.wake(slot),
            Rest::At(at) => {
                self.forget(slot);
                self.at.insert(slot, at);
                self.set.insert((at, slot));
            }
            Rest::Never => self.forget(slot),
        }
    }

    /// When the next look is due: `None` if nobody ever needs one.
    pub(crate) fn next(&self) -> Rest {
        match (self.awake.is_empty(), self.set.first()) {
            (false, _) => Rest::Soon,
            (true, Some((at, _))) => Rest::At(*at),
            (true, None) => Rest::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn due(alarms: &mut Alarms, now: Instant) -> Vec<u32> {
        let mut due = Vec::new();
        alarms.take_due(now, &mut due);
        due.into_iter().map(|it| it.slot).collect()
    }

    #[test]
    fn who_is_awake_is_due_always_and_who_sleeps_when_the_alarm_goes_off() {
        let (mut alarms, start) = (Alarms::default(), Instant::now());
        let later = start + Duration::from_secs(180);
        alarms.wake(3);
        alarms.put_back(1, Rest::At(later));
        alarms.put_back(2, Rest::Never);
        assert_eq!(alarms.next(), Rest::Soon);
        assert_eq!(due(&mut alarms, start), [3]);
        assert_eq!(alarms.next(), Rest::At(later));
        assert!(due(&mut alarms, later - Duration::from_nanos(1)).is_empty());
        assert_eq!(due(&mut alarms, later), [1]);
        assert_eq!(alarms.next(), Rest::Never);
    }

    #[test]
    fn a_slot_is_due_once_however_often_something_happens() {
        let (mut alarms, now) = (Alarms::default(), Instant::now());
        for _ in 0..3 {
            alarms.put_back(7, Rest::At(now));
            alarms.put_back(7, Rest::At(now + Duration::from_secs(1)));
            alarms.wake(7);
        }
        assert_eq!(due(&mut alarms, now + Duration::from_secs(9)), [7]);
        assert!(due(&mut alarms, now + Duration::from_secs(9)).is_empty());
        alarms.put_back(7, Rest::At(now));
        alarms.forget(7);
        assert_eq!(alarms.next(), Rest::Never);
    }
}
