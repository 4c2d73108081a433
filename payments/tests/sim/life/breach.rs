//! Rules that a party of a schedule can be told to break.

/// A rule of `docs/payments.md` that a broken shell does not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    /// P1 and P3: acts, then saves.
    ActsFirst,
    /// P4: a word counts and is not saved.
    ForgetsWords,
    /// P7: a transaction is sent, then saved.
    SendsFirst,
    /// P8: the cursor moves in a batch of its own, before what its blocks changed.
    CursorApart,
    /// P9: after a restart it goes on with the newest block.
    NoRescan,
    /// P5: a router gives a lock before the one it holds is saved.
    LocksFirst,
    /// R3: a router folds a lock that has expired.
    FoldsLate,
    /// A tower replaces what it holds by something older.
    TakesOlder,
    /// One endpoint of several is believed alone, and it is the one that lies.
    BelievesOne,
    /// I8: a payee takes the voucher of another chain, contract or channel.
    TakesForeign,
    /// I8: a contract forgets that a channel was closed.
    Reopens,
    /// I9: a router locks what is not worth its claim's gas.
    TakesDust,
}
