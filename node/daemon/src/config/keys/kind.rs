//! What a key of the configuration is, and what its value looks like.
//!
//! Sans-IO.

/// What a key's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text; empty means: not set.
    Text,
    /// A list of texts; in variables and flags separated by commas. One alone needs no brackets.
    Texts,
    /// `true` or `false`.
    Switch,
    /// A whole number within bounds.
    Count {
        /// At least.
        min: u64,
        /// At most.
        max: u64,
    },
    /// A decimal sum in token units, written as text so that no digit is lost.
    Money,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Twenty bytes in hex; empty means: not set.
    Address,
}

/// One key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Such as `exit.policy`.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// The default, as one would write it in a variable.
    pub default: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
}

pub(super) const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        name,
        kind,
        default,
        meaning,
    }
}

pub(super) const fn count(min: u64, max: u64) -> Kind {
    Kind::Count { min, max }
}
