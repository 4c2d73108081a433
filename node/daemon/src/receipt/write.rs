//! What goes into a receipt, and whether the other side's view of a session is one's own.
//!
//! Sans-IO.

use std::time::Duration;

use warren_payments::Evidence;
use warren_proto::{Amount, Meter, ReceiptBody, SessionTerms, Side, UnixTime};

/// How far the two clocks may be apart at the end of a session. Our choice.
const CLOCKS: Duration = Duration::from_secs(600);

/// What one side counted of a session, and what the other said it counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// This side's meter.
    pub own: Meter,
    /// The other's, as it last said. `None` if it never did.
    pub theirs: Option<Meter>,
    /// When the session was asked for or granted, by this side's clock.
    pub started: UnixTime,
    /// When it ended.
    pub ended: UnixTime,
}

/// Why a side does not sign what the other wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// It is about another deal.
    #[error("it is about another deal")]
    Terms,
    /// It is about another channel.
    #[error("it is about another channel")]
    Channel,
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

/// What `side` writes down of a session.
#[must_use]
pub fn body(
    side: Side,
    terms: &SessionTerms,
    counters: &Counters,
    evidence: &Evidence,
) -> ReceiptBody {
    let (own, theirs) = (Some(counters.own), counters.theirs);
    let (consumer_meter, provider_meter) = match side {
        Side::Consumer => (own, theirs),
        Side::Provider => (theirs, own),
    };
    ReceiptBody {
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
        channel: evidence.params,
        value_before: evidence.value_before,
        value_after: evidence.value,
        voucher: evidence.voucher.clone(),
        best: evidence.best.clone(),
        consumer_meter,
        provider_meter,
        started: counters.started,
        ended: counters.ended,
    }
}

/// Whether the provider can sign what the consumer wrote: the same deal and channel, the value it
/// holds, no more paid than it was paid, nothing put into its mouth.
///
/// # Errors
/// The first [`Disagreement`].
pub fn agrees(
    said: &ReceiptBody,
    terms: &SessionTerms,
    own: &Counters,
    held: &Evidence,
) -> Result<(), Disagreement> {
    if !said.is_of(terms) {
        return Err(Disagreement::Terms);
    }
    if said.channel != held.params {
        return Err(Disagreement::Channel);
    }
    if said.value_after != held.value {
        return Err(Disagreement::Value {
            said: said.value_after,
            held: held.value,
        });
    }
    if said.value_before < held.value_before {
        return Err(Disagreement::Before {
            said: said.value_before,
            held: held.value_before,
        });
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
