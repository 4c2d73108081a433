//! What is asked of schedules by their seeds: that all hold, that a broken rule shows, and what fails, in few actions.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::life::check::Verdict;
use crate::life::host::Breach;
use crate::life::schedule::Schedule;

/// Seeds in which a broken rule must show.
const SOON: u64 = 1_000;

/// Schedules of one kind.
pub(crate) struct Seeds {
    /// The variable that asks for one of them.
    pub(crate) variable: &'static str,
    pub(crate) first: u64,
    /// Seeds of every day, and in how many tests they are run.
    pub(crate) daily: u64,
    pub(crate) parts: u64,
    pub(crate) verdict: fn(&Schedule, Option<Breach>) -> Verdict,
}

impl Seeds {
    /// Runs a seed. On a failure: what fails, and the least that does.
    pub(crate) fn try_seed(&self, seed: u64) -> Verdict {
        // A panic is a failure like any other: it has a seed, and a least schedule.
        let holds = |it: &Schedule| {
            let run = AssertUnwindSafe(|| (self.verdict)(it, None));
            catch_unwind(run).unwrap_or_else(|_| Err("it panicked; its words are above".to_owned()))
        };
        let schedule = Schedule::from_seed(seed);
        let Err(words) = holds(&schedule) else {
            return Ok(());
        };
        let small = schedule.shrunk(&mut |it| holds(it).is_err());
        let actions: Vec<_> = small.0.iter().map(|it| format!("  {it:?}")).collect();
        let least = holds(&small).err().unwrap_or_default();
        Err(format!(
            "{}={seed}: {words}\nin {} actions: {least}\n{}",
            self.variable,
            actions.len(),
            actions.join("\n")
        ))
    }

    /// One part of every day's.
    pub(crate) fn part(&self, number: u64) {
        let share = self.daily / self.parts;
        for seed in self.first + number * share..self.first + (number + 1) * share {
            if let Err(words) = self.try_seed(seed) {
                panic!("{words}");
            }
        }
    }

    /// The seed in the variable, or the first.
    pub(crate) fn one(&self) {
        let seed = std::env::var(self.variable).ok();
        let number = |it: String| it.parse().unwrap_or_else(|_| panic!("{it} is no seed"));
        let seed = seed.map_or(self.first, number);
        let outcome = self.try_seed(seed);
        println!("{}={seed}: {outcome:?}", self.variable);
        assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    }

    /// A harness that finds nothing proves nothing: a shell that breaks a rule is found out.
    pub(crate) fn find(&self, breach: Breach) {
        let found = (self.first..self.first + SOON).find_map(|seed| {
            let words = (self.verdict)(&Schedule::from_seed(seed), Some(breach)).err();
            words.map(|words| (seed, words))
        });
        let Some((seed, words)) = found else {
            panic!("{breach:?} went unnoticed through {SOON} seeds");
        };
        println!("{breach:?}: seed {seed}: {words}");
    }
}
