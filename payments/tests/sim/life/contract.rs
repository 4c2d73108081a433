//! The contract's rules, as a ledger a child could keep. `chain/model.rs` holds the same rules against the
//! real bytecode, and `bytecode.rs` these very transitions.

use std::collections::{BTreeMap, BTreeSet};

use warren_payments::ChannelTerms;
use warren_payments::calls::{Call, Claim};
use warren_payments::channel::ChainFact;
use warren_proto::{Amount, ChannelId, ChannelParams, Preimage, UnixTime};

use super::names::Who;

/// A channel as the contract keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Book {
    pub(crate) deposit: u128,
    pub(crate) claimed: u128,
    pub(crate) closes_at: Option<u64>,
    pub(crate) closed: bool,
}

/// Everything the contract knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) pots: BTreeMap<Who, u128>,
    pub(crate) books: BTreeMap<ChannelId, Book>,
    pub(crate) nonces: BTreeMap<Who, u64>,
}

/// What a block says of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) channel: ChannelId,
    pub(crate) said: Said,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Fact(ChainFact),
    /// A word became public.
    Revealed(Preimage),
}

/// A channel that may be opened, and whose it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) terms: ChannelTerms,
    pub(crate) payer: Who,
    pub(crate) payee: Who,
}

/// Who is who to the contract, and what payees agreed to.
pub(crate) struct Contract {
    pub(crate) lines: Vec<Line>,
    /// Consents that a payee signed.
    pub(crate) consents: BTreeSet<(ChannelId, Amount, UnixTime)>,
    /// Whether it forgets what was closed: it must not.
    pub(crate) forgets: bool,
}

impl Contract {
    fn line(&self, call: &Call) -> Option<&Line> {
        let params = params_of(call)?;
        self.lines.iter().find(|it| it.terms.params == *params)
    }

    /// What `call` does to the books; `None` if the contract undoes it.
    pub(crate) fn apply(
        &self,
        state: &mut State,
        (who, call): (Who, &Call),
        now: u64,
    ) -> Option<Vec<Event>> {
        let line = self.line(call)?;
        let channel = line.terms.id;
        let say = |fact| Event {
            channel,
            said: Said::Fact(fact),
        };
        let old = state.books.get(&channel).copied();
        let open = old.filter(|it| !it.closed);
        let (book, said) = match call {
            Call::OpenFromBalance { amount, .. }
                if old.is_none_or(|it| self.forgets && it.closed) =>
            {
                take(state, line.payer, amount.wei())?;
                let book = Book {
                    deposit: amount.wei(),
                    ..Book::default()
                };
                (book, vec![say(ChainFact::Deposit(*amount))])
            }
            Call::TopUpFromBalance { amount, .. } => {
                let it = open.filter(|it| it.closes_at.is_none())?;
                take(state, line.payer, amount.wei())?;
                let deposit = it.deposit + amount.wei();
                (
                    Book { deposit, ..it },
                    vec![say(ChainFact::Deposit(money(deposit)))],
                )
            }
            Call::Claim(claim) => {
                let it = open?;
                let claimed = it.deposit.min(worth(claim, now)?);
                let more = claimed.checked_sub(it.claimed).filter(|it| *it > 0)?;
                give(state, line.payee, more);
                let words = claim.reveals.iter().map(|it| Event {
                    channel,
                    said: Said::Revealed(it.word.clone()),
                });
                let fact = say(ChainFact::Claimed(money(claimed)));
                (
                    Book { claimed, ..it },
                    words.chain(std::iter::once(fact)).collect(),
                )
            }
            Call::CoopClose {
                final_amount,
                not_after,
                ..
            } => {
                let consent = (channel, *final_amount, *not_after);
                let signed = self.consents.contains(&consent);
                let it = open.filter(|_| signed && now <= not_after.as_secs())?;
                let claimed = final_amount.wei().min(it.deposit).max(it.claimed);
                return Some(close(state, line, it, claimed));
            }
            Call::CloseByPayee { .. } if who == line.payee => {
                let it = open?;
                return Some(close(state, line, it, it.claimed));
            }
            Call::StartClose { .. } => {
                let it = open.filter(|it| it.closes_at.is_none())?;
                let closes_at = now + u64::from(line.terms.params.period_secs);
                let book = Book {
                    closes_at: Some(closes_at),
                    ..it
                };
                (book, vec![say(ChainFact::Closing { closes_at })])
            }
            Call::FinishClose { .. } => {
                let it = open.filter(|it| it.closes_at.is_some_and(|at| now >= at))?;
                return Some(close(state, line, it, it.claimed));
            }
            _ => return None,
        };
        state.books.insert(channel, book);
        Some(said)
    }
}

const fn params_of(call: &Call) -> Option<&ChannelParams> {
    match call {
        Call::OpenFromBalance { params, .. }
        | Call::TopUpFromBalance { params, .. }
        | Call::CoopClose { params, .. }
        | Call::CloseByPayee { params }
        | Call::StartClose { params }
        | Call::FinishClose { params } => Some(params),
        Call::Claim(it) => Some(&it.params),
        _ => None,
    }
}

fn close(state: &mut State, line: &Line, it: Book, claimed: u128) -> Vec<Event> {
    give(state, line.payee, claimed - it.claimed);
    give(state, line.payer, it.deposit - claimed);
    let book = Book {
        claimed,
        closed: true,
        ..it
    };
    let channel = line.terms.id;
    state.books.insert(channel, book);
    let facts = [ChainFact::Claimed(money(claimed)), ChainFact::Closed];
    let say = |fact| Event {
        channel,
        said: Said::Fact(fact),
    };
    facts.map(say).to_vec()
}

fn give(state: &mut State, who: Who, more: u128) {
    *state.pots.entry(who).or_default() += more;
}

fn take(state: &mut State, who: Who, less: u128) -> Option<()> {
    let pot = state.pots.entry(who).or_default();
    *pot = pot.checked_sub(less).filter(|_| less > 0)?;
    Some(())
}

/// What the contract makes of a claim: each word must open its lock, in time and in order.
fn worth(claim: &Claim, now: u64) -> Option<u128> {
    let (mut sum, mut least) = (claim.voucher.base.wei(), 0);
    for reveal in &claim.reveals {
        let lock = claim.voucher.locks.get(usize::from(reveal.index))?;
        let in_time = lock.expiry == 0 || now < lock.expiry;
        let fits = reveal.k <= lock.units && lock.anchor.opens_with(&reveal.word, reveal.k);
        if reveal.index < least || !in_time || !fits {
            return None;
        }
        least = reveal.index + 1;
        sum += lock.unit_price.wei() * u128::from(reveal.k);
    }
    Some(sum)
}

pub(crate) fn money(wei: u128) -> Amount {
    Amount::from_wei(wei).unwrap()
}
