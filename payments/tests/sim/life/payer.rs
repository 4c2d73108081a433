//! The payer's shell: its session, its core, its side of the chain.

use warren_payments::PayerChannel;
use warren_payments::calls::Call;
use warren_payments::channel::event::{ChainAction, PayerEffect, PayerEvent};
use warren_payments::channel::{ChainFact, Phase};
use warren_proto::{ChannelParams, WordFrame};

use super::desk::{Core as _, Desk, Plan};
use super::host::{Act, Breach, Host};
use super::names::{DEPOSIT, PREPAY_UNITS, TRANCHE_UNITS, Who, secs, signed, terms, wei, word};
use super::wire::Frame;
use super::world::Env;

/// What the payer wants of its session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buying {
    pub(crate) price: u64,
    /// Units that were served to it.
    pub(crate) received: u64,
}

pub(crate) struct Payer {
    pub(crate) desk: Desk<PayerChannel>,
    pub(crate) session: Option<Buying>,
}

impl Payer {
    pub(crate) fn new(breach: Option<Breach>) -> Self {
        let desk = Desk::new(Host::new(Who::Payer, breach), fresh());
        Self {
            desk,
            session: None,
        }
    }

    /// Opens the channel.
    pub(crate) fn open(&mut self, env: &mut Env<'_>) -> Act<()> {
        let step = PayerChannel::open(terms(), 0, wei(DEPOSIT), TRANCHE_UNITS);
        let plan = self.desk.plan_of(step, secs(env.chain.time));
        self.run(plan, env)
    }

    pub(crate) fn take(&mut self, event: PayerEvent, env: &mut Env<'_>) -> Act<()> {
        if !self.desk.is_free() {
            return Ok(());
        }
        let plan = self
            .desk
            .plan(&[event], None, self.desk.host.now(env.chain));
        self.run(plan, env)
    }

    fn run(&mut self, plan: Plan<PayerChannel>, env: &mut Env<'_>) -> Act<()> {
        if self.desk.slow > 0 {
            self.desk.stalled = Some(plan);
            return Ok(());
        }
        let effects = plan.effects.clone();
        if self.desk.host.breach == Some(Breach::ActsFirst) {
            self.perform(effects, env)?;
            return self.desk.save(plan);
        }
        self.desk.save(plan)?;
        self.perform(effects, env)
    }

    /// The disk is done with what it was at.
    pub(crate) fn unstall(&mut self, env: &mut Env<'_>) -> Act<()> {
        self.desk.slow = 0;
        self.desk
            .stalled
            .take()
            .map_or(Ok(()), |plan| self.run(plan, env))
    }

    fn perform(&mut self, effects: Vec<PayerEffect>, env: &mut Env<'_>) -> Act<()> {
        for effect in effects {
            match effect {
                PayerEffect::SendVoucher(draft) => {
                    let frame = Frame::Voucher(signed(&draft));
                    let (truth, wires) = (&mut *env.truth, &mut *env.wires);
                    self.desk.host.pass(|_| {
                        truth.signed(&draft);
                        wires.send(Who::Payee, frame);
                    })?;
                }
                PayerEffect::SendWord { tranche, units, k } => {
                    let word = word(tranche, units, k);
                    let frame = Frame::Word(WordFrame { lane: 0, k, word });
                    let (truth, wires) = (&mut *env.truth, &mut *env.wires);
                    self.desk.host.pass(|_| {
                        truth.revealed(tranche, k);
                        wires.send(Who::Payee, frame);
                    })?;
                }
                PayerEffect::SendRoutedWord { .. } => unreachable!("no route here"),
                PayerEffect::Submit(action) => {
                    if let ChainAction::CoopClose(agreed) = action {
                        env.truth.agreed(agreed.final_amount.wei());
                    }
                    if let Some(call) = call_of(action, terms().params) {
                        self.desk.host.submit(call, env.chain)?;
                        self.fail(env)?;
                    }
                }
                PayerEffect::Stranger => {
                    env.truth.complaint = Some("a voucher of its own is a stranger's".to_owned());
                }
                PayerEffect::TopUpNeeded { .. }
                | PayerEffect::RunningLow
                | PayerEffect::Refuse(_)
                | PayerEffect::Book(_) => {}
            }
        }
        Ok(())
    }

    /// Tells the core of transactions that did not happen.
    fn fail(&mut self, env: &mut Env<'_>) -> Act<()> {
        for _failed in std::mem::take(&mut self.desk.host.failed) {
            self.take(PayerEvent::ActionFailed, env)?;
        }
        Ok(())
    }

    pub(crate) fn hear(&mut self, frame: Frame, env: &mut Env<'_>) -> Act<()> {
        match frame {
            Frame::Ack(ack) => self.take(PayerEvent::PayeeSaw(ack), env),
            Frame::Shown(shown) => self.take(PayerEvent::Shown(shown), env),
            Frame::Consent(consent) => self.take(PayerEvent::CloseAsked(Some(consent)), env),
            Frame::Begin { .. }
            | Frame::Voucher(_)
            | Frame::Word(_)
            | Frame::End
            | Frame::Show
            | Frame::AskClose { .. } => Ok(()),
        }
    }

    /// One look at the chain, and what follows from it.
    pub(crate) fn look(&mut self, env: &mut Env<'_>) -> Act<()> {
        if !self.desk.is_free() {
            return Ok(());
        }
        self.desk.host.watch(env.chain)?;
        self.fail(env)?;
        if let Some(news) = self.desk.host.news(env.chain) {
            let told = |(_, fact): &(_, ChainFact)| PayerChannel::told(*fact);
            let events: Vec<_> = news.facts.iter().map(told).collect();
            let at = self.desk.host.now(env.chain);
            let plan = self.desk.plan(&events, Some(news.cursor), at);
            self.run(plan, env)?;
            self.desk.host.young = news.young;
        }
        if matches!(self.desk.core.phase(), Phase::Closing { .. }) && self.desk.is_free() {
            // By the chain's clock, as the product: the window is the chain's.
            let at = secs(env.chain.newest().time);
            let plan = self.desk.plan(&[PayerEvent::Tick], None, at);
            self.run(plan, env)?;
        }
        Ok(())
    }

    /// Begins a session, unless one is under way. The product's orders wait for a slow disk, in order: here who waits
    /// for it orders nothing.
    pub(crate) fn begin(&mut self, price: u64, env: &mut Env<'_>) -> Act<()> {
        let able = self.desk.is_free() && self.desk.core.phase() == Phase::Open;
        if self.session.is_some() || !able {
            return Ok(());
        }
        self.session = Some(Buying { price, received: 0 });
        env.truth.buying_began(price);
        env.wires.send(Who::Payee, Frame::Begin { price });
        self.take(
            PayerEvent::LockAsked {
                unit_price: wei(price),
            },
            env,
        )
    }

    /// Pays what was received, and a little in advance.
    pub(crate) fn pay(&mut self, env: &mut Env<'_>) -> Act<()> {
        let Some(session) = self.session else {
            return Ok(());
        };
        let units = session.received + PREPAY_UNITS;
        self.take(PayerEvent::ReleaseAsked { units }, env)
    }

    /// Ends the session with a plain total.
    pub(crate) fn finish(&mut self, env: &mut Env<'_>) -> Act<()> {
        if self.desk.is_free() && self.session.take().is_some() {
            self.take(PayerEvent::FinalAsked, env)?;
            env.wires.send(Who::Payee, Frame::End);
        }
        Ok(())
    }

    /// Starts again from what is on disk.
    pub(crate) fn restart(&mut self, env: &mut Env<'_>) -> Act<()> {
        env.truth.payer_crashed();
        self.desk.host.restart(env.chain)?;
        let never_saved = self.desk.on_disk().is_none();
        self.desk.reload(fresh());
        if never_saved {
            return self.open(env);
        }
        self.take(PayerEvent::Restarted, env)
    }
}

fn fresh() -> PayerChannel {
    PayerChannel::open(terms(), 0, wei(DEPOSIT), TRANCHE_UNITS).next
}

pub(crate) fn call_of(action: ChainAction, params: ChannelParams) -> Option<Call> {
    Some(match action {
        ChainAction::Open { amount } => Call::OpenFromBalance { params, amount },
        ChainAction::TopUp { amount } => Call::TopUpFromBalance { params, amount },
        ChainAction::CoopClose(it) => Call::CoopClose {
            params,
            final_amount: it.final_amount,
            not_after: it.not_after,
            signature: it.signature,
        },
        ChainAction::StartClose => Call::StartClose { params },
        ChainAction::FinishClose => Call::FinishClose { params },
        ChainAction::Claim(claim) => Call::Claim(claim),
        ChainAction::CloseByPayee => Call::CloseByPayee { params },
        ChainAction::Sweep => return None,
    })
}
