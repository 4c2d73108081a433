//! The payee's acceptance predicate: when a new voucher may replace the one held.
//!
//! Sans-IO. [`accept`] is the whole off-chain security of a payee. It is general: several locks,
//! with expiry (routed) or without (direct). A refusal changes nothing: nobody can force a payee
//! off an older voucher.
//!
//! Invariant: `value` of what is held never falls while no lock expires, and
//! `base + Σ unit_price·units <= confirmed deposit`.

pub(super) mod rests;

use std::sync::Arc;

use warren_proto::{
    Amount, ChannelId, HashLock, Lock, MAX_LOCKS, MAX_UNITS, PayErrorCode, PaymentId, Preimage,
    Voucher, WordFrame,
};

use crate::voucher::{VerifiedVoucher, locks_max};
use rests::{Rest, rests};

/// One lock of the voucher held, with the best word known for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The lock.
    pub lock: Lock,
    /// Hashes from the best word to the anchor; 0 = no word yet.
    pub known: u32,
    /// The best word; the anchor itself while `known` is 0.
    pub word: Preimage,
    /// Which routed payment it belongs to; `None` for a lock that pays this payee alone.
    pub payment: Option<PaymentId>,
    /// Units of that payment that are in the base already.
    pub folded: u32,
}

impl Lane {
    fn new(lock: Lock) -> Self {
        Self {
            lock,
            known: 0,
            word: Preimage::from_bytes(*lock.anchor.as_bytes()),
            payment: None,
            folded: 0,
        }
    }

    /// A lock pays from its first moment until its expiry (chain seconds).
    pub(super) fn is_live(&self, chain_time: u64) -> bool {
        self.lock.expiry == 0 || chain_time < self.lock.expiry
    }

    /// What the words known are worth.
    pub(super) fn worth(&self) -> Amount {
        let worth = self.lock.unit_price.checked_mul(u64::from(self.known));
        worth.unwrap_or(Amount::MAX)
    }
}

/// What a payee holds of one channel: the best voucher, its lanes, and every anchor ever seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdings {
    /// The channel.
    pub channel: ChannelId,
    /// The best voucher; `None` before the first.
    pub voucher: Option<VerifiedVoucher>,
    /// One per lock of the voucher, in its order.
    pub lanes: Vec<Lane>,
    /// First 8 bytes of the newest [`Rules::max_anchors`] anchors accepted in this channel, the rests of folded
    /// locks aside.
    pub seen: Arc<Vec<u64>>,
}

/// What the payee knows of the world when it judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Confirmed deposit.
    pub deposit: Amount,
    /// Claimed on chain, confirmed.
    pub claimed: Amount,
    /// Timestamp of the newest block, seconds.
    pub chain_time: u64,
    /// Whether the channel may be used at all.
    pub standing: Standing,
}

/// Whether a channel may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Usable,
    /// The deposit is not confirmed.
    Unconfirmed,
    /// The channel is closing or closed, or the payee has consented to close.
    Closing,
    /// The chain view is too old.
    Stale,
}

impl Standing {
    const fn usable(self) -> Result<(), PayErrorCode> {
        match self {
            Self::Usable => Ok(()),
            Self::Unconfirmed => Err(PayErrorCode::NotConfirmed),
            Self::Closing => Err(PayErrorCode::Closing),
            Self::Stale => Err(PayErrorCode::ChainStale),
        }
    }
}

/// A payee's own limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A new lock's unit must be worth this at least.
    pub min_unit_price: Amount,
    /// A new lock that expires must live this long at least, seconds.
    pub min_life_secs: u64,
    /// A new lock that expires must not live longer, seconds.
    pub max_life_secs: u64,
    /// Most hashes spent on one word: bounds the work a stranger can cause.
    pub max_word_gap: u32,
    /// Most anchors remembered per channel. One that was forgotten and comes again harms its payer alone: this
    /// payee knows words of it.
    pub max_anchors: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            min_unit_price: Amount::from_wei_u64(1),
            min_life_secs: 3600,
            max_life_secs: 14_400,
            max_word_gap: 64,
            max_anchors: 4096,
        }
    }
}

impl Holdings {
    /// Nothing yet.
    #[must_use]
    pub fn new(channel: ChannelId) -> Self {
        Self {
            channel,
            voucher: None,
            lanes: Vec::new(),
            seen: Arc::default(),
        }
    }

    /// What a claim would bring in all, the deposit aside.
    ///
    /// Cannot overflow: an accepted voucher's maximum was within the deposit.
    #[must_use]
    pub fn value(&self, chain_time: u64) -> Amount {
        let base = self
            .voucher
            .as_ref()
            .map_or(Amount::ZERO, |it| it.get().base);
        self.lanes
            .iter()
            .filter(|it| it.is_live(chain_time))
            .fold(base, |sum, lane| {
                sum.checked_add(lane.worth()).unwrap_or(Amount::MAX)
            })
    }

    /// Units known over all lanes.
    pub(super) fn units_known(&self) -> u32 {
        self.lanes
            .iter()
            .fold(0, |sum, it| sum.saturating_add(it.known))
    }

    /// Takes a word; `None` if it says nothing new.
    ///
    /// # Errors
    /// `BadWord` if it does not hash to what is known, `WordGap` if checking costs too much.
    pub fn take_word(
        &self,
        frame: &WordFrame,
        rules: &Rules,
    ) -> Result<Option<Self>, PayErrorCode> {
        self.take_word_within(frame, rules.max_word_gap)
    }

    /// The same, spending at most `gap` hashes.
    pub(super) fn take_word_within(
        &self,
        frame: &WordFrame,
        gap: u32,
    ) -> Result<Option<Self>, PayErrorCode> {
        let index = frame.lane as usize;
        let lane = self.lanes.get(index).ok_or(PayErrorCode::BadWord)?;
        if frame.k > lane.lock.units {
            return Err(PayErrorCode::BadWord);
        }
        let Some(steps) = frame.k.checked_sub(lane.known).filter(|it| *it > 0) else {
            return Ok(None); // An old word says nothing new, whatever it is.
        };
        if steps > gap {
            return Err(PayErrorCode::WordGap);
        }
        if frame.word.advance(steps) != lane.word {
            return Err(PayErrorCode::BadWord);
        }
        let mut next = self.clone();
        if let Some(lane) = next.lanes.get_mut(index) {
            lane.known = frame.k;
            lane.word = frame.word.clone();
        }
        Ok(Some(next))
    }
}

/// Says what the payee holds if it takes `voucher`, or why it must not.
///
/// (a) signed by the payer ([`VerifiedVoucher`]), same channel, newer; (b) covered by the confirmed
/// deposit; (c) worth no less, and no less than was claimed; (d) every live lock kept, re-anchored at
/// a known word, or safe to drop; (e) few locks, fresh anchors, sane expiry; (f) channel open, chain view fresh.
///
/// # Errors
/// The first rule it breaks. What was held stays held.
pub fn accept(
    held: &Holdings,
    voucher: &VerifiedVoucher,
    facts: &Facts,
    rules: &Rules,
) -> Result<Holdings, PayErrorCode> {
    facts.standing.usable()?;
    let new = voucher.get();
    if new.channel != held.channel {
        return Err(PayErrorCode::UnknownChannel);
    }
    if held
        .voucher
        .as_ref()
        .is_some_and(|it| new.seq <= it.get().seq)
    {
        return Err(PayErrorCode::StaleSeq);
    }
    if new.locks.len() > MAX_LOCKS {
        return Err(PayErrorCode::TooManyLocks);
    }
    let most = locks_max(&new.locks).and_then(|it| it.checked_add(new.base));
    if most.map_or(true, |it| it > facts.deposit) {
        return Err(PayErrorCode::OverCommitted);
    }
    // Claimed with words of a lock that has expired since: the payer must have it in the base, or what
    // it pays next would pay for that first.
    let least = held.value(facts.chain_time).max(facts.claimed);
    if most_now(held, new) < least {
        return Err(PayErrorCode::NotDominating); // No hash can make up for it.
    }
    let rests = rests(&held.lanes, &new.locks);
    let next = carry_over(held, voucher, &rests, (facts, rules))?;
    let is_in = |at: usize, old: &Lane| {
        new.locks.contains(&old.lock) || rests.iter().any(|rest| rest.of == at)
    };
    let lanes = held.lanes.iter().enumerate();
    let dropped = lanes.filter(|(at, old)| old.is_live(facts.chain_time) && !is_in(*at, old));
    for (_, lane) in dropped {
        // Words of a lock without expiry come from the payer to this payee only, so what is not
        // known was never released here, and (c) guards what is known.
        let direct = lane.lock.expiry == 0;
        let spent = lane.known == lane.lock.units;
        if !(direct || spent) {
            return Err(PayErrorCode::NotDominating);
        }
    }
    if next.value(facts.chain_time) < least {
        return Err(PayErrorCode::NotDominating);
    }
    Ok(next)
}

/// What `new` could be worth at most: each lock with as many words as it could have.
fn most_now(held: &Holdings, new: &Voucher) -> Amount {
    new.locks.iter().fold(new.base, |sum, lock| {
        let kept = held.lanes.iter().find(|it| it.lock == *lock);
        let most = kept.map_or_else(|| rests::most(&held.lanes, lock), Lane::worth);
        sum.checked_add(most).unwrap_or(Amount::MAX)
    })
}

/// The place of the lock that an older voucher of the same payer was offered for, if the one held has it
/// already: new, unused, and of no payment. `None` if it has not.
///
/// A payer's every voucher has all its locks, so one that is signed after an offer can come before it.
///
/// # Errors
/// Whatever a new lock would be refused for now.
pub(super) fn overtaken(
    held: &Holdings,
    offered: &VerifiedVoucher,
    anchor: &HashLock,
    (facts, rules): (&Facts, &Rules),
) -> Option<Result<usize, PayErrorCode>> {
    let (newest, older) = (held.voucher.as_ref()?.get(), offered.get());
    if older.channel != held.channel || older.seq >= newest.seq {
        return None;
    }
    let lock = older.locks.iter().find(|it| it.anchor == *anchor)?;
    let unused = |it: &Lane| it.payment.is_none() && it.known == 0 && it.folded == 0;
    let mut lanes = held.lanes.iter();
    let at = lanes.position(|it| it.lock == *lock && unused(it))?;
    let usable = facts.standing.usable();
    let good = usable.and_then(|()| check_new(lock, facts, rules));
    Some(good.map(|()| at))
}

/// Rules (d) and (e): gives each lock of `voucher` its lane, old or new.
fn carry_over(
    held: &Holdings,
    voucher: &VerifiedVoucher,
    rests: &[Rest],
    (facts, rules): (&Facts, &Rules),
) -> Result<Holdings, PayErrorCode> {
    let mut seen = Arc::clone(&held.seen);
    let mut lanes = Vec::with_capacity(voucher.get().locks.len());
    for (index, lock) in voucher.get().locks.iter().enumerate() {
        if voucher
            .get()
            .locks
            .iter()
            .take(index)
            .any(|it| it.anchor == lock.anchor)
        {
            return Err(PayErrorCode::AnchorReused);
        }
        if let Some(kept) = held.lanes.iter().find(|it| it.lock.anchor == lock.anchor) {
            if kept.lock != *lock {
                return Err(PayErrorCode::NotDominating); // The same anchor on other terms.
            }
            lanes.push(kept.clone());
            continue;
        }
        let tag = tag(&lock.anchor);
        if seen.contains(&tag) {
            return Err(PayErrorCode::AnchorReused);
        }
        if let Some(rest) = rests.iter().find(|it| it.lock == index) {
            lanes.push(rest.lane.clone());
            continue;
        }
        check_new(lock, facts, rules)?;
        let seen = Arc::make_mut(&mut seen);
        let too_many = seen
            .len()
            .saturating_add(1)
            .saturating_sub(rules.max_anchors);
        seen.drain(..too_many.min(seen.len()));
        seen.push(tag);
        lanes.push(Lane::new(*lock));
    }
    Ok(Holdings {
        channel: held.channel,
        voucher: Some(voucher.clone()),
        lanes,
        seen,
    })
}

fn check_new(lock: &Lock, facts: &Facts, rules: &Rules) -> Result<(), PayErrorCode> {
    if lock.units == 0 || lock.units > MAX_UNITS {
        return Err(PayErrorCode::TooManyLocks);
    }
    if lock.unit_price < rules.min_unit_price {
        return Err(PayErrorCode::UnitTooSmall);
    }
    if lock.expiry == 0 {
        return Ok(());
    }
    match lock.expiry.saturating_sub(facts.chain_time) {
        life if life < rules.min_life_secs => Err(PayErrorCode::ExpiryTooSoon),
        life if life > rules.max_life_secs => Err(PayErrorCode::ExpiryTooFar),
        _ => Ok(()),
    }
}

/// 8 bytes stand for an anchor: two of 4096 meet by chance once in 2^40 channels, and then the
/// payer merely has to derive another chain.
fn tag(anchor: &HashLock) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&anchor.as_bytes()[..8]);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
