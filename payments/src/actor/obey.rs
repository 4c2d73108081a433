//! How the task does what it is asked.

use std::time::Duration;

use warren_proto::{
    Amount, ChannelId, ChannelParams, PayErrorCode, PayoutAddress, TxHash, UnixTime, Voucher,
};

use super::book::Batch;
use super::keys::ACCOUNT;
use super::perform::Outcome;
use super::{AfterNews, Command, Task, Waiter, wall_clock};
use crate::calls::Call;
use crate::channel::{
    Accepted, ChannelTerms, PayeeChannel, PayeeEvent, PayerChannel, PayerEvent, Phase,
};
use crate::eip712::SessionAuth;
use crate::handle::{Answer, ChannelView, PaymentsError, Role};
use crate::tx::Stake;
use crate::voucher::{VerifiedVoucher, verify_signature};

impl Task {
    /// Does what is asked. Whoever no longer waits for the answer is no concern.
    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Channels(answer) => reply(answer, Ok(self.channels())),
            Command::Ledger(answer) => reply(answer, self.entries()),
            Command::Books(answer) => reply(answer, Ok(self.books())),
            Command::Evidence { channel, answer } => reply(answer, self.evidence(channel)),
            Command::Balances(answer) => self.ask_balances(answer),
            Command::Claimable(answer) => reply(answer, Ok(self.claimable())),
            Command::Refresh(answer) => {
                self.after_next_news.push(AfterNews::Refresh(answer));
                self.look();
            }
            Command::HasHeard(answer) => reply(answer, Ok(self.book.born.is_some())),
            Command::Trusted(answer) => reply(answer, self.trusted()),
            Command::IsFresh(answer) => reply(answer, Ok(!self.clock.stale)),
            Command::Send { call, answer } => {
                self.submit(None, Role::Payee, *call, Waiter::Tx(answer));
            }
            Command::CostOf { call, answer } => self.ask_cost(*call, answer),
            Command::Pot { owner, answer } => self.ask_pot(owner, answer),
            Command::Open {
                payee,
                deposit,
                period,
                answer,
            } => {
                reply(answer, self.open(payee, deposit, period));
            }
            Command::WaitUsable { channel, answer } => self.wait_usable(channel, answer),
            Command::PrepareLock {
                channel,
                unit_price,
                answer,
            } => {
                let event = PayerEvent::LockAsked { unit_price };
                reply(
                    answer,
                    self.pay(channel, &event).and_then(|it| it.voucher(channel)),
                );
            }
            Command::SignAuth { auth, answer } => reply(answer, self.sign_auth(&auth)),
            Command::Release {
                channel,
                total_units,
                answer,
            } => {
                let event = PayerEvent::ReleaseAsked { units: total_units };
                reply(answer, self.pay(channel, &event).map(|it| it.frames));
            }
            Command::Finish { channel, answer } => {
                let outcome = self.pay(channel, &PayerEvent::FinalAsked);
                reply(answer, outcome.and_then(|it| it.voucher(channel)));
            }
            Command::Repeat { channel, answer } => {
                let outcome = self.pay(channel, &PayerEvent::RepeatAsked);
                reply(answer, outcome.map(|it| it.frames));
            }
            Command::PayeeSaw { ack, answer } => {
                let outcome = self.pay(ack.channel, &PayerEvent::PayeeSaw(ack));
                reply(answer, outcome.map(|it| it.frames));
            }
            Command::SignAsk {
                channel,
                payee,
                close,
                answer,
            } => reply(answer, self.sign_ask(channel, &payee, close)),
            Command::AnswerAsk { ask, own, answer } => {
                reply(answer, self.answer_ask(&ask, &own));
            }
            Command::PayeeShows { shown, answer } => reply(answer, self.payee_shows(*shown)),
            Command::ClaimOutlook(answer) => reply(answer, Ok(self.claim_outlook())),
            Command::TopUp {
                channel,
                amount,
                answer,
            } => {
                let event = PayerEvent::TopUpAsked { amount };
                self.pay_and_wait(channel, &event, answer);
            }
            Command::Close {
                channel,
                consent,
                answer,
            } => {
                self.pay_and_wait(channel, &PayerEvent::CloseAsked(consent), answer);
            }
            Command::Watch {
                params,
                auth,
                signature,
                answer,
            } => {
                reply(answer, self.watch(params, &auth, &signature));
            }
            Command::BeginSession {
                channel,
                unit_price,
                answer,
            } => {
                let begun = self.earn(channel, &PayeeEvent::RunBegins { unit_price });
                reply(answer, begun.and_then(|_| self.held(channel)));
            }
            Command::Voucher { voucher, answer } => reply(answer, self.take_voucher(voucher)),
            Command::Word {
                channel,
                word,
                answer,
            } => {
                let outcome = self.earn(channel, &PayeeEvent::Word(word));
                reply(answer, outcome.and_then(|it| it.accepted(channel)));
            }
            Command::Held { channel, answer } => reply(answer, self.held(channel)),
            Command::Claim { channel, answer } => self.claim(channel, answer),
            Command::ClaimAll(answer) => self.claim_all(answer),
            Command::ClaimFor {
                claim,
                deadline,
                answer,
            } => {
                let worth = None; // To somebody else: it lifts no cap of this account.
                let stake = Some(Stake { worth, deadline });
                let call = Call::Claim(*claim);
                self.submit_at(None, Role::Payee, (call, stake), Waiter::Tx(answer));
            }
            Command::Consent {
                channel,
                not_after,
                answer,
            } => {
                let outcome = self.earn(channel, &PayeeEvent::ConsentAsked { not_after });
                reply(answer, outcome.and_then(|it| it.consent(channel)));
            }
            Command::Route(command) => self.obey_route(command),
            Command::GiveBack { channel, answer } => {
                // A claim on its way that comes later than the end brings nothing.
                let payee = self.book.payees.get(&channel);
                if payee.is_some_and(PayeeChannel::is_claiming) {
                    let code = PayErrorCode::Busy;
                    return reply(answer, Err(PaymentsError::NotTaken { channel, code }));
                }
                match self.earn(channel, &PayeeEvent::CloseAsked) {
                    Ok(outcome) => self.run_submissions(outcome, Waiter::Tx(answer)),
                    Err(error) => reply(answer, Err(error)),
                }
            }
        }
    }

    /// One event of one channel this node pays from: saved, performed.
    pub(super) fn pay(
        &mut self,
        channel: ChannelId,
        event: &PayerEvent,
    ) -> Result<Outcome, PaymentsError> {
        let (now, mut batch) = (self.now(), Batch::default());
        batch.pay(&self.book, channel, event, now)?;
        self.take(batch)?.unless_refused()
    }

    /// One event of one channel that pays this node: saved, performed.
    pub(super) fn earn(
        &mut self,
        channel: ChannelId,
        event: &PayeeEvent,
    ) -> Result<Outcome, PaymentsError> {
        let (now, mut batch) = (self.now(), Batch::default());
        batch.earn(&self.book, channel, event, now)?;
        self.take(batch)?.unless_refused()
    }

    fn pay_and_wait(&mut self, channel: ChannelId, event: &PayerEvent, answer: Answer<TxHash>) {
        match self.pay(channel, event) {
            Ok(outcome) => self.run_submissions(outcome, Waiter::Tx(answer)),
            Err(error) => reply(answer, Err(error)),
        }
    }

    fn open(
        &mut self,
        payee: PayoutAddress,
        deposit: Amount,
        period: Duration,
    ) -> Result<ChannelId, PaymentsError> {
        if let Some(shared) = self.book.payers.values().find(|it| it.is_shared()) {
            let channel = shared.terms().id;
            return Err(PaymentsError::WalletShared { channel });
        }
        let index = if let Some(left) = self.book.key_of_failed() {
            left
        } else if self.config.fresh_keys {
            self.ring.take()?
        } else {
            ACCOUNT
        };
        let params = ChannelParams {
            payer: self.ring.key(index).address(),
            payee,
            period_secs: u32::try_from(period.as_secs()).unwrap_or(u32::MAX),
            salt: rand::random(),
        };
        let terms = ChannelTerms::new(params, self.chain.chain_ref());
        let mut batch = Batch::default();
        batch.take_payer(PayerChannel::open(
            terms,
            index,
            deposit,
            self.config.tranche_units,
        ));
        let outcome = self.take(batch)?;
        self.run_submissions(outcome, Waiter::Nobody);
        Ok(terms.id)
    }

    fn sign_auth(&self, auth: &SessionAuth) -> Result<[u8; 64], PaymentsError> {
        let unknown = PaymentsError::UnknownChannel {
            channel: auth.channel,
        };
        let channel = self.book.payers.get(&auth.channel).ok_or(unknown)?;
        let key = self.ring.key(channel.key_index());
        Ok(key.sign_session_auth(auth, &channel.terms().chain))
    }

    fn watch(
        &self,
        params: ChannelParams,
        auth: &SessionAuth,
        signature: &[u8; 64],
    ) -> Result<ChannelView, PaymentsError> {
        let terms = ChannelTerms::new(params, self.chain.chain_ref());
        let refuse = |code| PaymentsError::NotTaken {
            channel: terms.id,
            code,
        };
        if params.payee != self.ring.account() || auth.channel != terms.id {
            return Err(refuse(PayErrorCode::UnknownChannel));
        }
        if wall_clock() > auth.not_after {
            return Err(refuse(PayErrorCode::StaleSeq));
        }
        verify_signature(&auth.digest(&terms.chain), signature, &params.payer)
            .map_err(|_| refuse(PayErrorCode::BadSignature))?;
        // Records are for channels the chain knows: a stranger's word makes none.
        let now = self.now();
        Ok(match self.book.payees.get(&terms.id) {
            Some(known) => view_payee(known, now),
            None => view_payee(&PayeeChannel::watch(terms, self.config.rules), now),
        })
    }

    pub(super) fn take_voucher(&mut self, voucher: Voucher) -> Result<Accepted, PaymentsError> {
        let channel = voucher.channel;
        let terms = self.book.payees.get(&channel).map(|it| *it.terms());
        let terms = terms.ok_or(PaymentsError::UnknownChannel { channel })?;
        let code = PayErrorCode::BadSignature;
        let verified = VerifiedVoucher::verify(voucher, &terms.params, &terms.chain)
            .map_err(|_| PaymentsError::NotTaken { channel, code })?;
        self.earn(channel, &PayeeEvent::Voucher(verified))?
            .accepted(channel)
    }

    fn held(&self, channel: ChannelId) -> Result<Accepted, PaymentsError> {
        let known = self.book.payees.get(&channel);
        known
            .map(|it| it.accepted(self.now()))
            .ok_or(PaymentsError::UnknownChannel { channel })
    }

    fn claim(&mut self, channel: ChannelId, answer: Answer<Option<TxHash>>) {
        match self.earn(channel, &PayeeEvent::ClaimAsked) {
            Ok(outcome) if outcome.submissions.is_empty() => reply(answer, Ok(None)),
            Ok(outcome) => self.run_submissions(outcome, Waiter::Claim(answer)),
            Err(error) => reply(answer, Err(error)),
        }
    }
}

/// Answers; whoever asked may have gone away.
pub(super) fn reply<T>(answer: Answer<T>, result: Result<T, PaymentsError>) {
    let _nobody_waits = answer.send(result);
}

pub(super) fn view_payer(it: &PayerChannel) -> ChannelView {
    ChannelView {
        id: it.terms().id,
        params: it.terms().params,
        role: Role::Payer,
        phase: it.phase(),
        deposit: it.deposit(),
        pending: it.pending(),
        value: it.value(),
        claimed: it.claimed(),
        usable: it.is_usable(),
        shared: it.is_shared(),
    }
}

pub(super) fn view_payee(it: &PayeeChannel, now: UnixTime) -> ChannelView {
    ChannelView {
        id: it.terms().id,
        params: it.terms().params,
        role: Role::Payee,
        phase: it.phase(),
        deposit: it.deposit(),
        pending: Amount::ZERO,
        value: it.value(now),
        claimed: it.claimed(),
        usable: matches!(it.phase(), Phase::Opening | Phase::Open),
        shared: false,
    }
}
