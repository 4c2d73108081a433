//! The grammar of every core: what a transition returns.
//!
//! Sans-IO. The shell saves `next` if `save` says so, and only then performs `effects`:
//! what is not saved has not happened (ADR 0002).

/// The outcome of one event: the next state, whether it must be durable first, what to do then.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a step that is not taken loses the event"]
pub struct Step<S, E> {
    /// The state after the event.
    pub next: S,
    /// Whether `next` must be on disk, synced, before any effect is performed.
    pub save: bool,
    /// What the shell must do, in this order.
    pub effects: Vec<E>,
}

impl<S, E> Step<S, E> {
    /// Moves to `next`; nothing to save, nothing to do.
    pub fn to(next: S) -> Self {
        Self {
            next,
            save: false,
            effects: Vec::new(),
        }
    }

    /// Keeps `state` as it is.
    pub fn stay(state: &S) -> Self
    where
        S: Clone,
    {
        Self::to(state.clone())
    }

    /// Asks that the state is durable before the effects.
    pub fn saved(mut self) -> Self {
        self.save = true;
        self
    }

    /// Adds one effect at the end.
    pub fn then(mut self, effect: E) -> Self {
        self.effects.push(effect);
        self
    }

    /// Adds effects at the end.
    pub fn then_all(mut self, effects: impl IntoIterator<Item = E>) -> Self {
        self.effects.extend(effects);
        self
    }
}
