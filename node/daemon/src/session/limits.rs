//! How long each side of a session waits. Sans-IO.

use std::time::Duration;

/// Deadlines of a session. Our choice throughout; the reason stands beside each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// For an answer to a request: three round trips over a slow relay.
    pub negotiate: Duration,
    /// For a channel to be opened and confirmed: several blocks of a slow chain.
    pub fund: Duration,
    /// For the provider to say Ready once it has the Start.
    pub start: Duration,
    /// For the first WireGuard handshake: boringtun retries every 5 s, so two retries.
    pub connect: Duration,
    /// Without any frame from the provider, which sends a meter each second.
    pub stall: Duration,
    /// Without any frame until the exit is given up and the next one is tried.
    pub lost: Duration,
    /// With data sent through the tunnel and nothing come back; WireGuard answers within 10 s.
    pub unanswered: Duration,
    /// So long, until the exit is given up though its frames still come: every candidate was tried twice by then.
    pub cut_off: Duration,
    /// How long a provider keeps a session whose stream broke; the credit limit guards it.
    pub resume: Duration,
    /// How long a provider stays paused before it ends the session (docs/payments.md, R7).
    pub unpaid: Duration,
    /// How long a provider waits for the lock of a routed session: R6, and a channel to be opened.
    pub lock: Duration,
    /// Between two folds of a routed session: what is not folded must go to the chain if nobody helps.
    pub fold: Duration,
    /// Between two meters of the provider.
    pub meter: Duration,
    /// For a Start to follow a Grant; longer than `fund`, as the deposit comes in between.
    pub grant: Duration,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            negotiate: Duration::from_secs(10),
            fund: Duration::from_secs(120),
            start: Duration::from_secs(150),
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(4),
            lost: Duration::from_secs(9),
            unanswered: Duration::from_secs(15),
            cut_off: Duration::from_secs(30),
            resume: Duration::from_secs(30),
            unpaid: Duration::from_secs(20),
            lock: Duration::from_secs(45),
            fold: Duration::from_secs(120),
            meter: Duration::from_secs(1),
            grant: Duration::from_secs(300),
        }
    }
}
