//! What goes into a receipt, and whether the other side's view of a session is one's own.
//!
//! Sans-IO.

use std::time::Duration;

use warren_payments::Evidence;
use warren_proto::{
    Amount, ChannelProof, Meter, PaidBy, ReceiptBody, RouteProof, SessionTerms, Side, UnixTime,
};

use super::verify::is_sound;

/// How far the two clocks may be apart at the end of a session. Our choice.
const CLOCKS: Duration = Duration::from_secs(600);

/// What one side counted of a session, and what the other said it counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// This side's meter.
    pub own: Meter,
    /// The other's, as it last said. `None` if it never did.
    pub theirs: Option<Meter>,
    /// When the session was asked for or granted, by this side's clock.
    pub started: UnixTime,
    /// When it ended.
    pub ended: UnixTime,
    /// What a route paid, by this side's count. `None` if a channel paid.
    pub route: Option<RouteProof>,
}

/// Why a side does not sign what the other wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// It is about another deal.
    #[error("it is about another deal")]
    Terms,
    /// It is about another channel, or a route where a channel paid, or the reverse.
    #[error("it is about another channel")]
    Channel,
    /// It is about other locks, or says another number of words of one.
    #[error("it shows {said} words of the locks that paid, {held} are held")]
    Locks {
        /// Words that it shows.
        said: u64,
        /// Words that are held.
        held: u64,
    },
    /// The channel is worth something else.
    #[error("it says the channel is worth {said}, it is {held}")]
    Value {
        /// What it says.
        said: Amount,
        /// What is held.
        held: Amount,
    },
    /// It says that more was paid in the session than this side was paid.
    #[error("it says the channel was worth {said} before, it was {held}")]
    Before {
        /// What it says.
        said: Amount,
        /// What was held.
        held: Amount,
    },
    /// It has this side say that it counted more than it did.
    #[error("it overstates what this side counted")]
    Meter,
    /// Its end is far from now.
    #[error("it ends {apart_secs} s from now")]
    Times {
        /// How far.
        apart_secs: u64,
    },
}

/// What `side` writes down of a session that `paid_by` paid. What the other said it counted is left out if it
/// is at odds with the price or with what was paid: nobody would take the receipt that this side signs.
#[must_use]
pub fn body(side: Side, terms: &SessionTerms, counters: &Counters, paid_by: PaidBy) -> ReceiptBody {
    let (own, theirs) = (Some(counters.own), counters.theirs);
    let (consumer_meter, provider_meter) = match side {
        Side::Consumer => (own, theirs),
        Side::Provider => (theirs, own),
    };
    let mut body = ReceiptBody {
        session: terms.session,
        offer: terms.offer,
        terms: terms.hash(),
        consumer: terms.consumer,
        provider: terms.provider,
        price: terms.price,
        unit_price: terms.unit_price,
        prepay_units: terms.prepay_units,
        credit_units: terms.credit_units,
        chain: terms.chain,
        paid_by,
        consumer_meter,
        provider_meter,
        started: counters.started,
        ended: counters.ended,
    };
    match side {
        Side::Consumer if !is_sound(&body, Side::Provider) => body.provider_meter = None,
        Side::Provider if !is_sound(&body, Side::Consumer) => body.consumer_meter = None,
        Side::Consumer | Side::Provider => {}
    }
    body
}

/// What the payments say of a channel, for a receipt.
#[must_use]
pub fn by_channel(evidence: &Evidence) -> PaidBy {
    PaidBy::Channel(ChannelProof {
        channel: evidence.params,
        value_before: evidence.value_before,
        value_after: evidence.value,
        voucher: evidence.voucher.clone(),
        best: evidence.best.clone(),
    })
}

/// Whether the provider can sign what the consumer wrote: the same deal and channel or locks, the value or
/// words it holds, no more paid than it was paid, nothing put into its mouth.
///
/// # Errors
/// The first [`Disagreement`].
pub fn agrees(
    said: &ReceiptBody,
    terms: &SessionTerms,
    own: &Counters,
    held: &PaidBy,
) -> Result<(), Disagreement> {
    if !said.is_of(terms) {
        return Err(Disagreement::Terms);
    }
    match (&said.paid_by, held) {
        (PaidBy::Channel(said), PaidBy::Channel(held)) => same_channel(said, held)?,
        (PaidBy::Route(said), PaidBy::Route(held)) => same_locks(said, held)?,
        (PaidBy::Channel(_), PaidBy::Route(_)) | (PaidBy::Route(_), PaidBy::Channel(_)) => {
            return Err(Disagreement::Channel);
        }
    }
    let ours = said.provider_meter.unwrap_or_default();
    let is_ours = ours.up <= own.own.up
        && ours.down <= own.own.down
        && ours.millis <= own.own.millis
        && ours.due_units <= own.own.due_units;
    if !is_ours {
        return Err(Disagreement::Meter);
    }
    let apart = said.ended.since(own.ended).max(own.ended.since(said.ended));
    if apart > CLOCKS {
        let apart_secs = apart.as_secs();
        return Err(Disagreement::Times { apart_secs });
    }
    Ok(())
}

fn same_channel(said: &ChannelProof, held: &ChannelProof) -> Result<(), Disagreement> {
    if said.channel != held.channel {
        return Err(Disagreement::Channel);
    }
    if said.value_after != held.value_after {
        return Err(Disagreement::Value {
            said: said.value_after,
            held: held.value_after,
        });
    }
    if said.value_before < held.value_before {
        return Err(Disagreement::Before {
            said: said.value_before,
            held: held.value_before,
        });
    }
    Ok(())
}

/// The same locks to the same word. The consumer may have said words in a session before that never came:
/// then it begins later than is held, and says that less was paid here.
fn same_locks(said: &RouteProof, held: &RouteProof) -> Result<(), Disagreement> {
    let locks = said.locks.iter().zip(&held.locks);
    let is_same = said.locks.len() == held.locks.len()
        && said.earlier_units <= held.earlier_units
        && locks.into_iter().all(|(said, held)| {
            (said.anchor, said.k) == (held.anchor, held.k) && said.before >= held.before
        });
    let (said, held) = (said.units(), held.units());
    let locks = Disagreement::Locks { said, held };
    if is_same { Ok(()) } else { Err(locks) }
}
