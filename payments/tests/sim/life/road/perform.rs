//! What a saved step asks a node of a route for, done; and what the chain has to say to it.

use warren_payments::calls::Call;
use warren_payments::channel::event::{
    ChainAction, PayeeEffect, PayeeEvent, PayerEffect, PayerEvent,
};
use warren_payments::channel::{PayerChannel, Phase, RoutedAccepted};
use warren_payments::settle::{ClaimView, Rate, Settle, SettlePolicy};
use warren_payments::store::{ChannelStore as _, Table};
use warren_payments::{PayeeChannel, VerifiedVoucher};
use warren_proto::{
    Amount, ChannelId, CloseConsent, PayErrorCode, PaymentId, Preimage, UnixTime, VoucherAck,
};

use super::super::chain::Chain;
use super::super::host::Act;
use super::super::names::{TRANCHE_UNITS, Who, secs, wei};
use super::super::payer::call_of;
use super::super::wire::Wires;
use super::mail::{Mail, Note};
use super::node::{Batch, Effect, Node, STALE_LOOKS};
use super::paper;
use super::truth::Truth;

/// Each channel's deposit.
pub(crate) const DEPOSIT: u64 = 600;

/// What a node may touch.
pub(crate) struct Env<'a> {
    pub(crate) chain: &'a mut Chain,
    pub(crate) truth: &'a mut Truth,
    pub(crate) wires: &'a mut Wires<Mail>,
}

/// What came of a batch, for whoever began it.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) vouchers: Vec<VerifiedVoucher>,
    pub(crate) words: Vec<(PaymentId, u32, Preimage)>,
    pub(crate) ack: Option<VoucherAck>,
    pub(crate) routed: Option<RoutedAccepted>,
    pub(crate) refused: Option<PayErrorCode>,
    /// To be sent.
    pub(crate) mail: Vec<(Who, ChannelId, Note)>,
}

impl Node {
    pub(crate) fn take(&mut self, batch: Batch, env: &mut Env<'_>) -> Act<Outcome> {
        let at = self.now(env.chain);
        let effects = self.commit(batch, at)?;
        self.perform(effects, env)
    }

    /// Takes a batch and sends what it has to say.
    pub(crate) fn settle_with(&mut self, batch: Batch, env: &mut Env<'_>) -> Act<Outcome> {
        let mut outcome = self.take(batch, env)?;
        self.send(&mut outcome, env)?;
        Ok(outcome)
    }

    pub(crate) fn send(&mut self, outcome: &mut Outcome, env: &mut Env<'_>) -> Act<()> {
        for (to, channel, note) in std::mem::take(&mut outcome.mail) {
            self.post(to, channel, note, env)?;
        }
        Ok(())
    }

    pub(crate) fn perform(&mut self, effects: Vec<Effect>, env: &mut Env<'_>) -> Act<Outcome> {
        let (mut outcome, mut stuck) = (Outcome::default(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Payer(id, effect) => self.perform_payer(id, effect, &mut outcome, env)?,
                Effect::Payee(id, effect) => self.perform_payee(id, effect, &mut outcome, env)?,
                Effect::Route(payment, effect) => {
                    if stuck.contains(&payment) && !Self::stands_alone(&effect) {
                        continue;
                    }
                    if !self.perform_route(payment, effect, &mut outcome, env)? {
                        stuck.push(payment);
                    }
                }
            }
        }
        Ok(outcome)
    }

    fn perform_payer(
        &mut self,
        id: ChannelId,
        effect: PayerEffect,
        outcome: &mut Outcome,
        env: &mut Env<'_>,
    ) -> Act<()> {
        match effect {
            PayerEffect::SendVoucher(draft) => outcome.vouchers.push(paper::voucher(id, draft)),
            PayerEffect::SendRoutedWord {
                payment,
                tranche,
                units,
                k,
            } => outcome
                .words
                .push((payment, k, paper::word(tranche, units, k))),
            PayerEffect::Submit(action) => {
                let params = self.payers[&id].terms().params;
                if let Some(call) = call_of(action, params) {
                    self.host.submit(call, env.chain)?;
                    self.fail(env)?;
                }
            }
            PayerEffect::Refuse(_) => outcome.refused = Some(PayErrorCode::Internal),
            PayerEffect::Stranger => {
                env.truth.complain("a voucher of its own is a stranger's");
            }
            PayerEffect::SendWord { .. } => env.truth.complain("a direct word on a route"),
            PayerEffect::TopUpNeeded { .. } | PayerEffect::RunningLow | PayerEffect::Book(_) => {}
        }
        Ok(())
    }

    fn perform_payee(
        &mut self,
        id: ChannelId,
        effect: PayeeEffect,
        outcome: &mut Outcome,
        env: &mut Env<'_>,
    ) -> Act<()> {
        match effect {
            PayeeEffect::Credit(it) => outcome.ack = Some(it.ack),
            PayeeEffect::RoutedCredit(it) => outcome.routed = Some(it),
            PayeeEffect::Refuse(code) => outcome.refused = Some(code),
            PayeeEffect::Submit(ChainAction::Claim(claim)) => {
                self.host.submit(Call::Claim(claim), env.chain)?;
                self.fail(env)?;
            }
            PayeeEffect::Submit(_) => {
                let params = self.payees[&id].terms().params;
                self.host.submit(Call::CloseByPayee { params }, env.chain)?;
                self.fail(env)?;
            }
            PayeeEffect::Consent {
                final_amount,
                not_after,
            } => {
                let signature = [0; 64]; // The chain keeps a list of what was signed instead.
                let consent = CloseConsent {
                    final_amount,
                    not_after,
                    signature,
                };
                let to = payer_of(id);
                outcome.mail.push((to, id, Note::Consent(consent)));
            }
            PayeeEffect::Stop(_) | PayeeEffect::Book(_) => {}
        }
        Ok(())
    }

    /// A note leaves.
    pub(crate) fn post(
        &mut self,
        to: Who,
        channel: ChannelId,
        note: Note,
        env: &mut Env<'_>,
    ) -> Act<()> {
        if self.host.who == Who::Router && channel == paper::down().id {
            self.is_backed(&note, env.truth);
        }
        let (chain, truth, wires) = (&mut *env.chain, &mut *env.truth, &mut *env.wires);
        self.host.pass(|_| {
            truth.hear(&note);
            if let Note::Consent(it) = &note {
                chain.consent(channel, it.final_amount, it.not_after);
            }
            wires.send(to, Mail { channel, note });
        })
    }

    /// P5 and P6, seen from the disk alone: what leaves downstream has its like upstream.
    fn is_backed(&self, note: &Note, truth: &mut Truth) {
        let up = self.host.disk.get(Table::Payee, paper::up().id.as_bytes());
        let up = up.unwrap();
        let up = up.map(|it| PayeeChannel::decode(&it, Default::default()).unwrap());
        match note {
            Note::Offer(it) => {
                let held = up.and_then(|up| up.routed_anchor(&it.payment));
                if held != Some(it.lock.anchor) {
                    truth.complain("P5: a lock is given that is not held on disk");
                }
            }
            Note::Voucher(_) => {
                let locks = self.payers.values().flat_map(PayerChannel::routed_locks);
                for lock in locks {
                    let held = up.as_ref().and_then(|up| up.routed(&lock.payment));
                    if held.is_some_and(|it| it.units < lock.folded) {
                        truth.complain("P6: a word is paid for that is not on disk upstream");
                    }
                }
            }
            _ => {}
        }
    }

    /// Tells the cores of transactions that did not happen.
    fn fail(&mut self, env: &mut Env<'_>) -> Act<()> {
        let (now, mut batch) = (self.now(env.chain), Batch::default());
        for call in std::mem::take(&mut self.host.failed) {
            match &call {
                Call::Claim(it) => {
                    let id = it.voucher.channel;
                    self.earn(&mut batch, (id, &PayeeEvent::ClaimFailed), now);
                }
                Call::CloseByPayee { .. } => {
                    let id = paper::down().id;
                    self.earn(&mut batch, (id, &PayeeEvent::ClaimFailed), now);
                }
                _ => {
                    for id in self.payers.keys() {
                        self.pay(&mut batch, (*id, &PayerEvent::ActionFailed), now);
                    }
                }
            }
        }
        self.settle_with(batch, env).map(|_| ())
    }

    /// Opens the channel that this node pays from.
    pub(crate) fn open(&mut self, env: &mut Env<'_>) -> Act<()> {
        let lines = paper::lines();
        let Some(line) = lines.iter().find(|it| it.payer == self.host.who) else {
            return Ok(());
        };
        let mut batch = Batch::default();
        batch.take_payer(PayerChannel::open(
            line.terms,
            0,
            wei(DEPOSIT),
            TRANCHE_UNITS,
        ));
        self.settle_with(batch, env).map(|_| ())
    }

    /// One look at the chain, and what follows from it.
    pub(crate) fn look(&mut self, env: &mut Env<'_>) -> Act<()> {
        if self.slow > 0 {
            return Ok(());
        }
        self.host.watch(env.chain)?;
        self.fail(env)?;
        let Some(news) = self.host.news(env.chain) else {
            self.blind_looks = self.blind_looks.saturating_add(1);
            if self.blind_looks == STALE_LOOKS {
                self.mark_stale(true, env)?;
            }
            return Ok(());
        };
        let (now, mut batch) = (self.now(env.chain), Batch::default());
        for (id, fact) in &news.facts {
            self.pay(&mut batch, (*id, &PayerEvent::Chain(*fact)), now);
            self.earn(&mut batch, (*id, &PayeeEvent::Chain(*fact)), now);
        }
        self.learn_words(&news.words, &mut batch, now);
        for id in self.payers.keys() {
            self.pay(
                &mut batch,
                (*id, &PayerEvent::HeardUntil(news.heard_until)),
                now,
            );
        }
        batch.cursor = Some(news.cursor);
        self.settle_with(batch, env)?;
        (self.heard_until, self.host.young) = (news.heard_until, news.young);
        if std::mem::take(&mut self.blind_looks) >= STALE_LOOKS {
            self.mark_stale(false, env)?;
        }
        self.settle(news.head, env)
    }

    fn mark_stale(&mut self, stale: bool, env: &mut Env<'_>) -> Act<()> {
        let (now, mut batch) = (self.now(env.chain), Batch::default());
        for id in self.payees.keys() {
            self.earn(&mut batch, (*id, &PayeeEvent::Stale(stale)), now);
        }
        self.settle_with(batch, env).map(|_| ())
    }

    /// Claims what is in danger, takes back what a window left, and looks after what is routed.
    fn settle(&mut self, head: UnixTime, env: &mut Env<'_>) -> Act<()> {
        let mut batch = Batch::default();
        for (id, channel) in &self.payees {
            if !channel.is_claiming()
                && must_claim(channel, head)
                && !env.truth.sleeps(self.host.who)
            {
                self.earn(&mut batch, (*id, &PayeeEvent::ClaimAsked), head);
            }
        }
        for (id, channel) in &self.payers {
            if matches!(channel.phase(), Phase::Closing { .. }) {
                self.pay(&mut batch, (*id, &PayerEvent::Tick), head);
            }
        }
        self.look_at_routes(&mut batch, self.now(env.chain));
        self.settle_with(batch, env).map(|_| ())
    }

    /// Starts again from what is on disk.
    pub(crate) fn restart(&mut self, env: &mut Env<'_>) -> Act<()> {
        self.host.restart(env.chain)?;
        self.reload();
        let pays = paper::lines().iter().any(|it| it.payer == self.host.who);
        if pays && self.payers.is_empty() {
            self.open(env)?;
        }
        // Until it has looked at the chain it takes no voucher (P9).
        self.blind_looks = STALE_LOOKS;
        let (now, mut batch) = (self.now(env.chain), Batch::default());
        for id in self.payers.keys() {
            self.pay(&mut batch, (*id, &PayerEvent::Restarted), now);
        }
        for id in self.payees.keys() {
            self.earn(&mut batch, (*id, &PayeeEvent::Restarted), now);
            self.earn(&mut batch, (*id, &PayeeEvent::Stale(true)), now);
        }
        self.resume_routes(&mut batch, now);
        self.settle_with(batch, env).map(|_| ())
    }

    /// Has one event of a channel that this node pays from.
    pub(crate) fn pays(
        &mut self,
        id: ChannelId,
        event: &PayerEvent,
        env: &mut Env<'_>,
    ) -> Act<Outcome> {
        let (now, mut batch) = (self.now(env.chain), Batch::default());
        self.pay(&mut batch, (id, event), now);
        self.settle_with(batch, env)
    }

    /// Has one event of a channel that pays this node.
    pub(crate) fn earns(
        &mut self,
        id: ChannelId,
        event: &PayeeEvent,
        env: &mut Env<'_>,
    ) -> Act<Outcome> {
        let (now, mut batch) = (self.now(env.chain), Batch::default());
        self.earn(&mut batch, (id, event), now);
        self.settle_with(batch, env)
    }
}

/// Who pays on a channel.
pub(crate) fn payer_of(id: ChannelId) -> Who {
    if id == paper::up().id {
        Who::Payer
    } else {
        Who::Router
    }
}

fn must_claim(channel: &PayeeChannel, head: UnixTime) -> bool {
    let policy = SettlePolicy {
        rate: Rate::Guessed(Amount::ZERO),
        worth_factor: 0,
        ..SettlePolicy::default()
    };
    let view = ClaimView {
        phase: channel.phase(),
        claimable: channel.claimable(head),
        words: channel.claim_words(),
        gas_price: Amount::ZERO,
        expiry: channel.first_expiry(head),
        apart: false,
    };
    policy.decide(&view, secs(head.as_secs())) != Settle::Wait
}
