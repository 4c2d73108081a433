//! Every run of a routed payment, within bounds: whatever consumer and exit do together, with messages
//! lost, the chain seen late and one crash before any save, the router never pays what it is not paid.
//!
//! stateright walks all states of a world whose machines are the product's own. Each rule is
//! then left out in turn, and a run must be found in which the router loses: a model that cannot fail
//! would prove nothing.
//!
//! The assumption is the product's: the router looks at the chain at least once within each hop gap.

mod chain;
pub(super) mod parts;
mod runs;
mod shell;
pub(super) mod world;

/// Words in the lock.
const UNITS: u32 = 3;
/// Words that the consumer says at most: more of them bring no new kind of run, only many more runs.
const SAID: u32 = 2;
/// When the exit's lock expires, in ticks.
const DOWN_LIFE: u64 = 2;
/// The last tick: all locks have expired.
const END: u64 = 3;
/// Which rule is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::channel::router) enum Mutant {
    None,
    /// P5: signs downstream before the upstream lock is on disk.
    SignFirst,
    /// R1: the two locks may expire together.
    NoHopGap,
    /// R2: the upstream channel may close when the downstream lock expires.
    NoCloseGap,
    /// P9: starts again from the newest block.
    NoRescan,
    /// R3: folds a lock that has expired, as if it did not see the time.
    FoldLate,
}
