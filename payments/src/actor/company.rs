//! Claims that share a transaction: one `claimMany` instead of many claims.
//!
//! The contract undoes all of them if it refuses one. So each is tried alone first, which costs nothing, and
//! whoever is refused is left behind; should the transaction not happen all the same, each that is worth it
//! goes alone. What they come to is told of each channel, as if it had gone alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;
use warren_proto::{Amount, ChannelId, TxHash};

use super::book::Batch;
use super::keys::ACCOUNT;
use super::obey::reply;
use super::perform::Outcome;
use super::{Acted, Report, Task, Waiter};
use crate::calls::{Call, Claim};
use crate::chain::error::Remedy;
use crate::chain::{Chain, ChainError};
use crate::channel::{ChainAction, PayeeEvent};
use crate::handle::{Answer, PaymentsError, Role};
use crate::settle::Plan;
use crate::tx::{Done, Stake, Submitter, TxError};

/// The claim of a channel on its way, and where its transaction will be told.
pub(crate) type Claiming = (
    ChannelId,
    oneshot::Receiver<Result<Option<TxHash>, PaymentsError>>,
);

// Our choices.
/// How often claims are tried together before each goes alone.
const TRIES: usize = 3;
/// So many are on their way at once: each asks the chain about each of its claims first.
pub(super) const AT_ONCE: usize = 8;
/// How long claims stay alone that were undone together.
const APART: Duration = Duration::from_secs(3600);

/// A claim that shares a transaction.
pub(super) struct Member {
    channel: ChannelId,
    claim: Claim,
    /// What it brings, in coin; `None` if nobody knows.
    worth: Option<Amount>,
    /// Whether it is made alone if it must be.
    may_go_alone: bool,
    waiter: Waiter,
}

impl Task {
    /// Takes the claims that `plan` puts together out of what a step asked for.
    pub(super) fn companies(&self, outcome: &mut Outcome, plan: &Plan) -> Vec<Vec<Member>> {
        let poor: BTreeSet<_> = plan.poor.iter().collect();
        let numbered = plan.together.iter().enumerate();
        let place = numbered.flat_map(|(at, ids)| ids.iter().map(move |id| (*id, at)));
        let place: BTreeMap<_, _> = place.collect();
        let mut companies: Vec<_> = plan.together.iter().map(|_| Vec::new()).collect();
        for (channel, role, action) in std::mem::take(&mut outcome.submissions) {
            let at = place.get(&channel).filter(|_| role == Role::Payee);
            match (action, at.and_then(|it| companies.get_mut(*it))) {
                (ChainAction::Claim(claim), Some(company)) => company.push(Member {
                    channel,
                    claim,
                    worth: self.stake(channel).and_then(|it| it.worth),
                    may_go_alone: !poor.contains(&channel),
                    waiter: Waiter::Nobody,
                }),
                (other, _) => outcome.submissions.push((channel, role, other)),
            }
        }
        companies
    }

    /// Sends claims as one, in a task of its own; each is reported like a claim that went alone.
    pub(super) fn claim_together(&mut self, members: Vec<Member>) {
        let account = self.senders.of(ACCOUNT, &self.ring);
        let (chain, reports) = (Arc::clone(&self.chain), self.reports.clone());
        let turns = Arc::clone(&self.company_turns);
        tokio::spawn(async move {
            // Nobody closes it; without a turn they are only more at once.
            let _turn = turns.acquire().await;
            let ended = match account {
                Ok(account) => together(chain.as_ref(), &account, members).await,
                Err(_) => all(members, &Err(TxError::Stopped { call: MANY })),
            };
            for (it, result) in ended {
                let acted = Acted {
                    channel: Some(it.channel),
                    role: Role::Payee,
                    result: result.map(Some),
                    waiter: it.waiter,
                };
                let _task_ended = reports.send(Report::Acted(acted)).await;
            }
        });
    }

    /// Claims all there is to claim, worth its gas or not.
    pub(super) fn claim_all(&mut self, answer: Answer<Vec<Claiming>>) {
        let now = self.chain_time();
        let views = self.views(self.book.payees.values(), now);
        let plan = self.config.settle.plan_all(&views, now);
        let mut batch = Batch::default();
        for id in plan.channels() {
            let _known = batch.earn(&self.book, *id, &PayeeEvent::ClaimAsked, now);
        }
        let mut outcome = match self.take(batch) {
            Ok(outcome) => outcome,
            Err(error) => return reply(answer, Err(error)),
        };
        let mut claiming = Vec::new();
        let mut wait = |channel| {
            let (answer, result) = oneshot::channel();
            claiming.push((channel, result));
            Waiter::Claim(answer)
        };
        let mut companies = self.companies(&mut outcome, &plan);
        for it in companies.iter_mut().flatten() {
            it.waiter = wait(it.channel);
        }
        for (channel, role, action) in std::mem::take(&mut outcome.submissions) {
            let mut one = Outcome::default();
            one.submissions.push((channel, role, action));
            self.run_submissions(one, wait(channel));
        }
        companies.into_iter().for_each(|it| self.claim_together(it));
        reply(answer, Ok(claiming));
    }

    /// Whether claims that `channel` was with were undone lately.
    pub(super) fn is_apart(&self, channel: &ChannelId) -> bool {
        let until = self.apart.get(channel);
        until.is_some_and(|it| Instant::now() < *it)
    }

    /// Remembers who was undone in company; it costs its gas, and shall not do so again and again.
    pub(super) fn note_undone(&mut self, channel: ChannelId, error: &TxError) {
        if matches!(error, TxError::Undone { call, .. } if *call == MANY) {
            self.apart.retain(|_, until| Instant::now() < *until);
            self.apart.insert(channel, Instant::now() + APART);
        }
    }
}

/// The call's name, as [`Call::name`] says it.
const MANY: &str = "claimMany";

type Ended = Vec<(Member, Result<Done, TxError>)>;

fn all(members: Vec<Member>, result: &Result<Done, TxError>) -> Ended {
    members.into_iter().map(|it| (it, result.clone())).collect()
}

async fn together(chain: &dyn Chain, account: &Submitter, members: Vec<Member>) -> Ended {
    let (mut members, mut ended) = (members, Ended::new());
    for _ in 0..TRIES {
        members = tried(chain, account, members, &mut ended).await;
        if members.len() < 2 {
            break;
        }
        let claims = members.iter().map(|it| it.claim.clone()).collect();
        let stake = stake_of(&members);
        let sent = account.submit_at_stake(Call::ClaimMany(claims), stake);
        match sent.await {
            // While they waited for their turn one was claimed, or became worthless: which one is found anew.
            Err(TxError::Refused {
                source: ChainError::Reverted(_),
                ..
            }) => {}
            // More coin or gas than there is; for one of them it may be enough.
            Err(TxError::TooDear { .. }) => break,
            Err(TxError::Refused { source, .. }) if source.remedy() == Remedy::Final => break,
            undone @ Err(TxError::Undone { .. }) => {
                // The others are looked at with the next round.
                let is_asked = |it: &Member| !matches!(it.waiter, Waiter::Nobody);
                let (asked, others) = members.into_iter().partition(is_asked);
                ended.extend(all(others, &undone));
                members = asked;
                break;
            }
            result => {
                ended.extend(all(members, &result));
                return ended;
            }
        }
    }
    alone(account, members, &mut ended).await;
    ended
}

/// Leaves behind whoever the contract refuses.
async fn tried(
    chain: &dyn Chain,
    account: &Submitter,
    members: Vec<Member>,
    ended: &mut Ended,
) -> Vec<Member> {
    let (pins, from) = (chain.chain_ref(), account.account());
    let mut good = Vec::new();
    for member in members {
        let call = Call::Claim(member.claim.clone());
        match chain.estimate(call.request(&pins, from)).await {
            Err(source @ ChainError::Reverted(_)) => {
                let call = call.name();
                ended.push((member, Err(TxError::Refused { call, source })));
            }
            // Where the chain does not answer now, it is asked again before anything is sent.
            Ok(_) | Err(_) => good.push(member),
        }
    }
    good
}

/// What they bring in all; none of them is in danger.
fn stake_of(members: &[Member]) -> Stake {
    let worth = members.iter().map(|it| it.worth);
    Stake {
        worth: worth.reduce(|sum, it| sum?.checked_add(it?).ok()).flatten(),
        deadline: None,
    }
}

/// Each by itself, if it is worth that.
async fn alone(account: &Submitter, members: Vec<Member>, ended: &mut Ended) {
    let mut sent = JoinSet::new();
    for member in members {
        let call = Call::Claim(member.claim.clone());
        if !member.may_go_alone {
            let call = call.name();
            ended.push((member, Err(TxError::NoCompany { call })));
            continue;
        }
        let (account, stake) = (account.clone(), stake_of(std::slice::from_ref(&member)));
        sent.spawn(async move { (member, account.submit_at_stake(call, stake).await) });
    }
    ended.extend(sent.join_all().await);
}
