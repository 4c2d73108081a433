//! The rules a router lives by, each a decision of its own.
//!
//! Sans-IO. The names are those of docs/payments.md. Times of the protocol are constants: nobody sets
//! them wrong, and [`RouterRules::new`] is the only way to a set of rules. What an operator may choose
//! is a [`RouterPolicy`].

use std::time::Duration;

use warren_proto::{Amount, PayErrorCode, UnixTime};

// Specification: docs/payments.md, "Times".
/// A restart, a reorganisation and a crowded chain fit in between two hops.
const HOP_GAP_SECS: u64 = 3600;
/// A claim starts so long before its lock expires.
const CLAIM_LEAD: Duration = Duration::from_secs(20 * 60);
/// No service for words of a lock so close to its end.
const SERVE_LEAD: Duration = Duration::from_secs(30 * 60);
/// An offer of a lock dies after so long.
const OFFER_LIFE: Duration = Duration::from_secs(30);
/// A tranche is worth the gas of so many claims: below that a lock is credit (I9).
const MIN_TRANCHE_CLAIMS: u64 = 4;

// Our choices.
/// An exit's lock lives so long: an hour of service, and the half hour before its end without.
const EXIT_LIFE_SECS: u64 = 5400;
/// Room in each gap for the clocks of two neighbours and the time an offer takes.
const HOP_SLACK_SECS: u64 = 300;

/// What an operator asks for routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterPolicy {
    /// The router's part of each unit, in millionths of what the next hop gets.
    pub fee_ppm: u32,
    /// For each lock, whether or not words come: jamming must not be free.
    pub hold_fee: Amount,
    /// Locks of one neighbour's channel at a time; the 16 places of a voucher onward are for all.
    pub slots: usize,
    /// What the locks of one neighbour may come to.
    pub max_in_flight: Amount,
    /// A lock is worth this at least, and the gas of four claims.
    pub min_tranche: Amount,
}

impl Default for RouterPolicy {
    fn default() -> Self {
        Self {
            fee_ppm: 10_000,
            hold_fee: Amount::ZERO,
            slots: 8,
            max_in_flight: Amount::MAX,
            min_tranche: Amount::ZERO,
        }
    }
}

/// The rules in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterRules {
    pub(super) policy: RouterPolicy,
    /// R1.
    pub(super) hop_gap_secs: u64,
    /// R2.
    pub(super) close_gap_secs: u64,
}

/// Why a router does not take a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteRefusal {
    /// Nowhere to go.
    #[error("no hop to lock onward to")]
    NoHop,
    /// It routes this payment already, or did.
    #[error("the payment is known")]
    Known,
    /// A lock without an end can be taken back.
    #[error("a routed lock must expire")]
    Endless,
    /// R1.
    #[error("the lock must live until {min_expiry} at least")]
    HopGap {
        /// Chain seconds.
        min_expiry: u64,
    },
    /// R2.
    #[error("the payer could close the channel before the onward lock ends")]
    CloseWindow,
    /// The difference between the two unit prices is too small.
    #[error("a unit must be worth {least}")]
    Fee {
        /// Upstream.
        least: Amount,
    },
    /// The voucher is not worth so much more.
    #[error("the hold fee is {asked}")]
    HoldFee {
        /// The fee.
        asked: Amount,
    },
    /// The neighbour holds too many locks.
    #[error("no place for another lock")]
    Slots,
    /// The neighbour's locks come to too much, or the next channel cannot hold it.
    #[error("at most {most} now")]
    Value {
        /// What it would take.
        most: Amount,
    },
    /// I9.
    #[error("a lock must be worth {least}")]
    Tranche {
        /// Downstream.
        least: Amount,
    },
}

impl RouteRefusal {
    /// What the neighbour is told.
    #[must_use]
    pub const fn code(&self) -> PayErrorCode {
        match self {
            Self::NoHop => PayErrorCode::NoRoute,
            Self::Known => PayErrorCode::AnchorReused,
            Self::HopGap { .. } => PayErrorCode::ExpiryTooSoon,
            Self::Endless | Self::CloseWindow => PayErrorCode::ExpiryTooFar,
            Self::Fee { .. } | Self::HoldFee { .. } | Self::Tranche { .. } => {
                PayErrorCode::UnitTooSmall
            }
            Self::Slots => PayErrorCode::Busy,
            Self::Value { .. } => PayErrorCode::NoCapacity,
        }
    }
}

type Verdict = Result<(), RouteRefusal>;

impl RouterRules {
    /// The rules with an operator's terms.
    #[must_use]
    pub const fn new(policy: RouterPolicy) -> Self {
        Self {
            policy,
            hop_gap_secs: HOP_GAP_SECS,
            close_gap_secs: HOP_GAP_SECS,
        }
    }

    /// R1: the downstream lock ends a hop gap before the upstream one, so that a word which becomes
    /// public at its last moment can still be claimed upstream.
    ///
    /// # Errors
    /// [`RouteRefusal::Endless`], [`RouteRefusal::HopGap`].
    pub const fn r1_hop_gap(&self, up_expiry: u64, down_expiry: u64) -> Verdict {
        if up_expiry == 0 || down_expiry == 0 {
            return Err(RouteRefusal::Endless);
        }
        let min_expiry = down_expiry.saturating_add(self.hop_gap_secs);
        if min_expiry <= up_expiry {
            Ok(())
        } else {
            Err(RouteRefusal::HopGap { min_expiry })
        }
    }

    /// R2: the payer upstream can start to close at any moment; what becomes public downstream must
    /// be claimed before that window ends.
    ///
    /// # Errors
    /// [`RouteRefusal::CloseWindow`].
    pub fn r2_close_window(&self, down_expiry: u64, now: UnixTime, up_period: u32) -> Verdict {
        let window_ends = now.as_secs().saturating_add(u64::from(up_period));
        if down_expiry.saturating_add(self.close_gap_secs) <= window_ends {
            Ok(())
        } else {
            Err(RouteRefusal::CloseWindow)
        }
    }

    /// The upstream unit is worth the downstream one and the fee, rounded up.
    ///
    /// # Errors
    /// [`RouteRefusal::Fee`].
    pub fn fee_is_paid(&self, up_price: Amount, down_price: Amount) -> Verdict {
        let least = with_fee(down_price, self.policy.fee_ppm);
        if up_price >= least {
            Ok(())
        } else {
            Err(RouteRefusal::Fee { least })
        }
    }

    /// The voucher is worth the hold fee more than the last: it is this router's whatever happens.
    ///
    /// # Errors
    /// [`RouteRefusal::HoldFee`].
    pub fn hold_fee_is_paid(&self, gain: Amount) -> Verdict {
        let asked = self.policy.hold_fee;
        if gain >= asked {
            Ok(())
        } else {
            Err(RouteRefusal::HoldFee { asked })
        }
    }

    /// Against jamming: few locks of one neighbour at a time.
    ///
    /// # Errors
    /// [`RouteRefusal::Slots`].
    pub const fn slot_is_free(&self, taken: usize) -> Verdict {
        if taken < self.policy.slots {
            Ok(())
        } else {
            Err(RouteRefusal::Slots)
        }
    }

    /// Against jamming: one neighbour's locks come to so much at most, and the next channel holds it.
    ///
    /// # Errors
    /// [`RouteRefusal::Value`].
    pub fn value_fits(&self, in_flight: Amount, worth: Amount, room: Amount) -> Verdict {
        let most = self
            .policy
            .max_in_flight
            .saturating_sub(in_flight)
            .min(room);
        if worth <= most {
            Ok(())
        } else {
            Err(RouteRefusal::Value { most })
        }
    }

    /// I9: a lock worth less than four claims is credit, not money.
    ///
    /// # Errors
    /// [`RouteRefusal::Tranche`].
    pub fn tranche_is_worth_it(&self, worth: Amount, claim_cost: Amount) -> Verdict {
        let gas = claim_cost.checked_mul(MIN_TRANCHE_CLAIMS);
        let least = self.policy.min_tranche.max(gas.unwrap_or(Amount::MAX));
        if worth >= least {
            Ok(())
        } else {
            Err(RouteRefusal::Tranche { least })
        }
    }
}

/// R3: a lock is folded off chain before its expiry only. Afterwards the payee can claim it no more,
/// so paying would be a gift, and one that may not be recoverable upstream.
#[must_use]
pub fn r3_may_fold(expiry: u64, now: UnixTime) -> bool {
    now < UnixTime::from_secs(expiry)
}

/// R4: whether what is only locked must go to the chain now.
#[must_use]
pub fn r4_must_claim(expiry: u64, now: UnixTime) -> bool {
    now.plus(CLAIM_LEAD) >= UnixTime::from_secs(expiry)
}

/// A lock that expires so soon is no part of a claim: the block that takes the claim comes after the newest one,
/// and a lock that is over by then undoes all of it. Ten blocks of Ethereum; our choice.
pub const LAST_MOMENT_SECS: u64 = 120;

/// Whoever claims now counts on what is worth something then.
#[must_use]
pub fn at_last_moment(now: UnixTime) -> UnixTime {
    now.plus(Duration::from_secs(LAST_MOMENT_SECS))
}

/// R5: from when on words of a lock are served no more.
#[must_use]
pub fn r5_serve_until(expiry: u64) -> UnixTime {
    UnixTime::from_secs(expiry.saturating_sub(SERVE_LEAD.as_secs()))
}

/// R6: whether an offer of a lock that got no answer is dead.
#[must_use]
pub fn r6_offer_is_dead(offered_at: UnixTime, now: UnixTime) -> bool {
    now >= offered_at.plus(OFFER_LIFE)
}

/// What a unit must be worth upstream, rounded up to the next wei.
#[must_use]
pub fn with_fee(down_price: Amount, fee_ppm: u32) -> Amount {
    let fee = down_price
        .wei()
        .saturating_mul(u128::from(fee_ppm))
        .div_ceil(1_000_000);
    let fee = Amount::from_wei(fee).unwrap_or(Amount::MAX);
    down_price.checked_add(fee).unwrap_or(Amount::MAX)
}

/// When the locks of a route expire, from the first hop to the exit's, in chain seconds.
///
/// `routers`: how many lie between this node and the exit.
#[must_use]
pub fn expiries(now: UnixTime, routers: usize) -> Vec<u64> {
    let exit = now.as_secs().saturating_add(EXIT_LIFE_SECS);
    let gap = HOP_GAP_SECS.saturating_add(HOP_SLACK_SECS);
    let hops = (0..=routers).rev();
    hops.map(|it| exit.saturating_add(gap.saturating_mul(it as u64)))
        .collect()
}

#[cfg(test)]
mod tests;
