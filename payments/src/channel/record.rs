//! How channels are kept: versioned records of fixed fields.
//!
//! Sans-IO. Decoding never panics and never makes a channel that the core would not have made
//! money-wise worse: totals are checked against their type's range only, for the store is ours.

use std::sync::Arc;

use warren_proto::{
    Amount, ChainRef, ChannelParams, Lock, MAX_LOCKS, PaymentId, UnixTime, Voucher,
};

use super::accept::{Holdings, Lane, Rules};
use super::payee::{PayeeChannel, Run as PayeeRun};
use super::payer::{
    OwnWords, PaidLane, PayerChannel, RoutedLane, Run as PayerRun, Twin, WordsStanding,
};
use super::{ChannelTerms, Phase};
use crate::codec::{CodecError, Reader, Writer};
use crate::voucher::VerifiedVoucher;

/// The newest version of either record.
const NEWEST: u8 = 3;
/// From here on, records know of routes.
const ROUTES: u8 = 2;
/// From here on, a payer's knows of twins, and a payee's of what a restored store may lack.
const RESTORED: u8 = 3;

impl PayerChannel {
    /// The record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new(NEWEST);
        put_terms(&mut out, &self.terms);
        out.u32(self.key_index)
            .u32(self.tranche_units)
            .amount(self.asked);
        put_phase(&mut out, self.phase);
        out.amount(self.deposit)
            .amount(self.claimed)
            .u64(self.seq)
            .amount(self.base);
        out.option(self.lane.as_ref(), |out, it| {
            out.u64(it.tranche).amount(it.unit_price);
            out.u32(it.units).u32(it.released).u32(it.reserved);
        });
        out.amount(self.run.unit_price).u64(self.run.released);
        out.amount(self.slack).u8(u8::from(self.acting));
        out.list(&self.routed, put_routed_lane);
        out.amount(self.most).u8(match self.twin {
            Twin::Alone => 0,
            Twin::Said => 1,
            Twin::Proved => 2,
        });
        out.finish()
    }

    /// Reads a record after a restart: words may have gone out that it does not know.
    ///
    /// # Errors
    /// [`CodecError`] for bytes that [`Self::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let (mut read, version) = reader(bytes)?;
        let terms = take_terms(&mut read)?;
        let (key_index, tranche_units, asked) = (read.u32()?, read.u32()?, read.amount()?);
        let phase = take_phase(&mut read)?;
        let (deposit, claimed) = (read.amount()?, read.amount()?);
        let (seq, base) = (read.u64()?, read.amount()?);
        let lane = read.option("lane", take_paid_lane)?;
        let (unit_price, released) = (read.amount()?, read.u64()?);
        let run = PayerRun {
            unit_price,
            released,
            resumed: true,
        };
        let (slack, acting) = (read.amount()?, read.flag("acting")?);
        let routed = if version >= ROUTES {
            read.list(MAX_LOCKS, "routed", take_routed_lane)?
        } else {
            Vec::new()
        };
        let (most, twin) = if version >= RESTORED {
            (read.amount()?, take_twin(&mut read)?)
        } else {
            (Amount::MAX, Twin::Alone)
        };
        read.finish()?;
        let doubt = lane.is_some_and(|it| it.reserved > it.released);
        Ok(Self {
            terms,
            key_index,
            tranche_units,
            asked,
            phase,
            deposit,
            claimed,
            seq,
            base,
            lane,
            routed,
            run,
            slack,
            acting,
            most,
            twin,
            heard: UnixTime::default(),
            doubt,
        })
    }
}

impl PayeeChannel {
    /// The record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new(NEWEST);
        put_terms(&mut out, &self.terms);
        put_phase(&mut out, self.phase);
        out.amount(self.deposit).amount(self.claimed);
        out.option(self.held.voucher.as_ref(), |out, it| {
            put_voucher(out, it.get())
        });
        out.list(&self.held.lanes, |out, it| {
            put_lock(out, &it.lock);
            out.u32(it.known).bytes(it.word.expose());
            put_payment(out, it.payment);
            out.u32(it.folded);
        });
        out.list(&self.held.seen, |out, it| {
            out.u64(*it);
        });
        out.amount(self.run.from).amount(self.run.unit_price);
        put_option_amount(&mut out, self.claiming);
        out.option(self.consent.as_ref(), |out, it| {
            out.u64(it.as_millis());
        });
        out.amount(self.booked).amount(self.aside);
        out.u8(u8::from(self.restored));
        out.finish()
    }

    /// Reads a record after a restart; `rules` are this node's, not the channel's.
    ///
    /// # Errors
    /// [`CodecError`] for bytes that [`Self::encode`] does not write.
    pub fn decode(bytes: &[u8], rules: Rules) -> Result<Self, CodecError> {
        let (mut read, version) = reader(bytes)?;
        let terms = take_terms(&mut read)?;
        let phase = take_phase(&mut read)?;
        let (deposit, claimed) = (read.amount()?, read.amount()?);
        let voucher = read.option("voucher", |read| take_voucher(read, &terms))?;
        let lanes = read.list(MAX_LOCKS, "lanes", |read| take_lane(read, version))?;
        let seen = read.list(
            rules.max_anchors.saturating_add(MAX_LOCKS),
            "seen",
            Reader::u64,
        )?;
        let run = PayeeRun {
            from: read.amount()?,
            unit_price: read.amount()?,
        };
        let claiming = read.option("claiming", Reader::amount)?;
        let consent = read.option("consent", |read| Ok(UnixTime::from_millis(read.u64()?)))?;
        let booked = read.amount()?;
        let aside = if version >= ROUTES {
            read.amount()?
        } else {
            Amount::ZERO
        };
        let restored = version >= RESTORED && read.flag("restored")?;
        read.finish()?;
        let voucher = voucher.map(VerifiedVoucher::from_record);
        let held = Holdings {
            channel: terms.id,
            voucher,
            lanes,
            seen: Arc::new(seen),
        };
        Ok(Self {
            phase,
            deposit,
            claimed,
            held,
            run,
            claiming,
            consent,
            booked,
            aside,
            restored,
            ..Self::watch(terms, rules)
        })
    }
}

fn put_terms(out: &mut Writer, terms: &ChannelTerms) {
    let ChannelTerms { params, chain, .. } = terms;
    out.bytes(params.payer.as_bytes())
        .bytes(params.payee.as_bytes());
    out.u32(params.period_secs).u64(params.salt);
    out.u64(chain.chain_id)
        .bytes(chain.contract.as_bytes())
        .bytes(chain.token.as_bytes());
}

fn take_terms(read: &mut Reader<'_>) -> Result<ChannelTerms, CodecError> {
    let (payer, payee) = (read.address()?, read.address()?);
    let params = ChannelParams {
        payer,
        payee,
        period_secs: read.u32()?,
        salt: read.u64()?,
    };
    let chain_id = read.u64()?;
    let chain = ChainRef {
        chain_id,
        contract: read.address()?,
        token: read.address()?,
    };
    Ok(ChannelTerms::new(params, chain))
}

fn put_phase(out: &mut Writer, phase: Phase) {
    let (code, closes_at) = match phase {
        Phase::Opening => (0, 0),
        Phase::Open => (1, 0),
        Phase::Closing { closes_at } => (2, closes_at),
        Phase::Closed => (3, 0),
    };
    out.u8(code).u64(closes_at);
}

fn take_phase(read: &mut Reader<'_>) -> Result<Phase, CodecError> {
    let (code, closes_at) = (read.u8()?, read.u64()?);
    match (code, closes_at) {
        (0, 0) => Ok(Phase::Opening),
        (1, 0) => Ok(Phase::Open),
        (2, _) => Ok(Phase::Closing { closes_at }),
        (3, 0) => Ok(Phase::Closed),
        _ => Err(CodecError::Range { field: "phase" }),
    }
}

pub(super) fn put_lock(out: &mut Writer, lock: &Lock) {
    out.bytes(lock.anchor.as_bytes())
        .amount(lock.unit_price)
        .u32(lock.units)
        .u64(lock.expiry);
}

pub(super) fn take_lock(read: &mut Reader<'_>) -> Result<Lock, CodecError> {
    let anchor = read.lock()?;
    Ok(Lock {
        anchor,
        unit_price: read.amount()?,
        units: read.u32()?,
        expiry: read.u64()?,
    })
}

fn put_voucher(out: &mut Writer, voucher: &Voucher) {
    out.u64(voucher.seq)
        .amount(voucher.base)
        .list(&voucher.locks, put_lock);
    out.bytes(&voucher.signature);
}

fn take_voucher(read: &mut Reader<'_>, terms: &ChannelTerms) -> Result<Voucher, CodecError> {
    let (seq, base) = (read.u64()?, read.amount()?);
    let locks = read.list(MAX_LOCKS, "locks", take_lock)?;
    Ok(Voucher {
        channel: terms.id,
        seq,
        base,
        locks,
        signature: read.array()?,
    })
}

fn take_lane(read: &mut Reader<'_>, version: u8) -> Result<Lane, CodecError> {
    let (lock, known, word) = (take_lock(read)?, read.u32()?, read.word()?);
    let (payment, folded) = if version >= ROUTES {
        (read.option("payment", take_payment)?, read.u32()?)
    } else {
        (None, 0)
    };
    Ok(Lane {
        lock,
        known,
        word,
        payment,
        folded,
    })
}

/// The fields behind a version this program reads, and what they tell of.
fn reader(bytes: &[u8]) -> Result<(Reader<'_>, u8), CodecError> {
    let older = bytes.first().filter(|it| (1..NEWEST).contains(*it));
    let version = older.copied().unwrap_or(NEWEST);
    Ok((Reader::new(bytes, version)?, version))
}

fn put_payment(out: &mut Writer, payment: Option<PaymentId>) {
    out.option(payment.as_ref(), |out, it| {
        out.bytes(it.as_bytes());
    });
}

fn take_payment(read: &mut Reader<'_>) -> Result<PaymentId, CodecError> {
    Ok(PaymentId::from_bytes(read.array()?))
}

fn put_routed_lane(out: &mut Writer, it: &RoutedLane) {
    out.bytes(it.payment.as_bytes());
    put_lock(out, &it.lock);
    out.u32(it.folded);
    out.option(it.own.as_ref(), |out, it| {
        out.u64(it.tranche).u32(it.released).u32(it.reserved);
        out.u64(it.offered_at.as_millis()).amount(it.hold_fee);
        out.u8(match it.standing {
            WordsStanding::Offered => 0,
            WordsStanding::Ready => 1,
            WordsStanding::Dead => 2,
        });
    });
}

fn take_routed_lane(read: &mut Reader<'_>) -> Result<RoutedLane, CodecError> {
    let (payment, lock) = (take_payment(read)?, take_lock(read)?);
    let folded = read.u32()?;
    let own = read.option("own", take_own_words)?;
    Ok(RoutedLane {
        payment,
        lock,
        folded,
        own,
    })
}

fn take_own_words(read: &mut Reader<'_>) -> Result<OwnWords, CodecError> {
    let tranche = read.u64()?;
    let (released, reserved) = (read.u32()?, read.u32()?);
    if released > reserved {
        return Err(CodecError::Range { field: "own" });
    }
    Ok(OwnWords {
        tranche,
        released,
        reserved,
        offered_at: UnixTime::from_millis(read.u64()?),
        hold_fee: read.amount()?,
        standing: match read.u8()? {
            0 => WordsStanding::Offered,
            1 => WordsStanding::Ready,
            2 => WordsStanding::Dead,
            _ => return Err(CodecError::Range { field: "standing" }),
        },
    })
}

fn take_paid_lane(read: &mut Reader<'_>) -> Result<PaidLane, CodecError> {
    let (tranche, unit_price) = (read.u64()?, read.amount()?);
    let (units, released, reserved) = (read.u32()?, read.u32()?, read.u32()?);
    if released > reserved || reserved > units {
        return Err(CodecError::Range { field: "lane" });
    }
    Ok(PaidLane {
        tranche,
        unit_price,
        units,
        released,
        reserved,
    })
}

fn take_twin(read: &mut Reader<'_>) -> Result<Twin, CodecError> {
    match read.u8()? {
        0 => Ok(Twin::Alone),
        1 => Ok(Twin::Said),
        2 => Ok(Twin::Proved),
        _ => Err(CodecError::Range { field: "twin" }),
    }
}

fn put_option_amount(out: &mut Writer, amount: Option<Amount>) {
    out.option(amount.as_ref(), |out, it| {
        out.amount(*it);
    });
}

#[cfg(test)]
mod tests;
