//! The payee's shell: it serves what is paid, and claims what it holds.

use warren_payments::calls::Call;
use warren_payments::channel::event::{ChainAction, PayeeEffect, PayeeEvent};
use warren_payments::channel::{ChainFact, PayeeChannel, Phase, Rules, Shown};
use warren_payments::settle::{ClaimView, Rate, Settle, SettlePolicy};
use warren_proto::{Amount, CloseConsent, VoucherAck};

use super::desk::{Core as _, Desk, Plan};
use super::host::{Act, Breach, Host};
use super::names::{CREDIT_UNITS, Who, secs, terms, verified, wei};
use super::wire::Frame;
use super::world::Env;

/// Looks without an answer after which the view of the chain is stale.
const STALE_LOOKS: u8 = 4;

/// What the payee gives in its session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Serving {
    pub(crate) price: u64,
    pub(crate) served: u64,
}

pub(crate) struct Payee {
    pub(crate) desk: Desk<PayeeChannel>,
    pub(crate) session: Option<Serving>,
    blind_looks: u8,
}

impl Payee {
    pub(crate) fn new(breach: Option<Breach>) -> Self {
        let desk = Desk::new(Host::new(Who::Payee, breach), fresh());
        Self {
            desk,
            session: None,
            blind_looks: 0,
        }
    }

    pub(crate) fn take(&mut self, event: PayeeEvent, env: &mut Env<'_>) -> Act<()> {
        if !self.desk.is_free() {
            return Ok(());
        }
        let plan = self
            .desk
            .plan(&[event], None, self.desk.host.now(env.chain));
        self.run(plan, env)
    }

    fn run(&mut self, plan: Plan<PayeeChannel>, env: &mut Env<'_>) -> Act<()> {
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

    /// The disk is done with what it was at. If that took long, the view of the chain is stale before anything else
    /// is heard.
    pub(crate) fn unstall(&mut self, env: &mut Env<'_>) -> Act<()> {
        self.desk.slow = 0;
        let Some(plan) = self.desk.stalled.take() else {
            return Ok(());
        };
        self.run(plan, env)?;
        if self.blind_looks >= STALE_LOOKS {
            self.take(PayeeEvent::Stale(true), env)?;
        }
        Ok(())
    }

    fn perform(&mut self, effects: Vec<PayeeEffect>, env: &mut Env<'_>) -> Act<()> {
        for effect in effects {
            match effect {
                PayeeEffect::Credit(accepted) => self.acknowledge(accepted.ack, env)?,
                PayeeEffect::Refuse(_) => {
                    let ack = self
                        .desk
                        .core
                        .acknowledgement(self.desk.host.now(env.chain));
                    self.acknowledge(ack, env)?;
                }
                PayeeEffect::RoutedCredit(_) => unreachable!("no route here"),
                PayeeEffect::Stop(_) => self.session = None,
                PayeeEffect::Submit(ChainAction::Claim(claim)) => {
                    self.desk.host.submit(Call::Claim(claim), env.chain)?;
                    self.fail(env)?;
                }
                PayeeEffect::Submit(_) => {
                    let params = terms().params;
                    self.desk
                        .host
                        .submit(Call::CloseByPayee { params }, env.chain)?;
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
                    let (chain, wires) = (&mut *env.chain, &mut *env.wires);
                    self.session = None;
                    self.desk.host.pass(|_| {
                        chain.consent(terms().id, final_amount, not_after);
                        wires.send(Who::Payer, Frame::Consent(consent));
                    })?;
                }
                PayeeEffect::Book(_) => {}
            }
        }
        Ok(())
    }

    fn acknowledge(&mut self, ack: VoucherAck, env: &mut Env<'_>) -> Act<()> {
        let (truth, wires) = (&mut *env.truth, &mut *env.wires);
        self.desk.host.pass(|_| {
            truth.acked(ack.value_now.wei());
            wires.send(Who::Payer, Frame::Ack(ack));
        })
    }

    fn fail(&mut self, env: &mut Env<'_>) -> Act<()> {
        for _failed in std::mem::take(&mut self.desk.host.failed) {
            self.take(PayeeEvent::ClaimFailed, env)?;
        }
        Ok(())
    }

    pub(crate) fn hear(&mut self, frame: Frame, env: &mut Env<'_>) -> Act<()> {
        match frame {
            Frame::Begin { price } => {
                self.take(
                    PayeeEvent::RunBegins {
                        unit_price: wei(price),
                    },
                    env,
                )?;
                env.truth.serving_began(price);
                self.session = Some(Serving { price, served: 0 });
                Ok(())
            }
            Frame::Voucher(voucher) => self.take(PayeeEvent::Voucher(voucher), env),
            Frame::Word(word) => self.take(PayeeEvent::Word(word), env),
            Frame::End => {
                self.session = None;
                Ok(())
            }
            Frame::Show => {
                let worth = self.desk.core.value(self.desk.host.now(env.chain));
                let voucher = self.desk.core.voucher().map(verified);
                let direct = worth;
                let shown = Shown {
                    voucher,
                    worth,
                    direct,
                };
                env.wires.send(Who::Payer, Frame::Shown(shown));
                Ok(())
            }
            Frame::AskClose { not_after } => self.take(PayeeEvent::ConsentAsked { not_after }, env),
            Frame::Ack(_) | Frame::Shown(_) | Frame::Consent(_) => Ok(()),
        }
    }

    /// Serves a unit if it is paid or within the credit.
    pub(crate) fn serve(&mut self, env: &mut Env<'_>) -> Option<u64> {
        let accepted = self.desk.core.accepted(self.desk.host.now(env.chain)).units;
        let usable = self.desk.core.phase() == Phase::Open && self.desk.is_free();
        let session = self.session.as_mut().filter(|_| usable)?;
        if session.served >= accepted + CREDIT_UNITS {
            return None;
        }
        session.served += 1;
        env.truth.served += u128::from(session.price);
        Some(session.price)
    }

    /// One look at the chain, and what follows from it.
    pub(crate) fn look(&mut self, env: &mut Env<'_>) -> Act<()> {
        if !self.desk.is_free() {
            self.blind_looks = self.blind_looks.saturating_add(1);
            return Ok(());
        }
        self.desk.host.watch(env.chain)?;
        self.fail(env)?;
        let Some(news) = self.desk.host.news(env.chain) else {
            self.blind_looks = self.blind_looks.saturating_add(1);
            if self.blind_looks == STALE_LOOKS {
                self.take(PayeeEvent::Stale(true), env)?;
            }
            return Ok(());
        };
        let told = |(_, fact): &(_, ChainFact)| PayeeChannel::told(*fact);
        let events: Vec<_> = news.facts.iter().map(told).collect();
        let at = self.desk.host.now(env.chain);
        let plan = self.desk.plan(&events, Some(news.cursor), at);
        self.run(plan, env)?;
        self.desk.host.young = news.young;
        if std::mem::take(&mut self.blind_looks) >= STALE_LOOKS {
            self.take(PayeeEvent::Stale(false), env)?;
        }
        self.settle(env)
    }

    /// Claims what is in danger.
    fn settle(&mut self, env: &mut Env<'_>) -> Act<()> {
        if !self.desk.is_free() || self.desk.core.is_claiming() {
            return Ok(());
        }
        let now = self.desk.host.now(env.chain);
        let policy = SettlePolicy {
            rate: Rate::Guessed(Amount::ZERO),
            worth_factor: 0,
            ..SettlePolicy::default()
        };
        let view = ClaimView {
            phase: self.desk.core.phase(),
            claimable: self.desk.core.claimable(now),
            words: self.desk.core.claim_words(),
            gas_price: wei(env.chain.base_fee),
            expiry: None,
            apart: false,
        };
        match policy.decide(&view, secs(env.chain.newest().time)) {
            Settle::Wait => Ok(()),
            Settle::Worth | Settle::Forced => self.take(PayeeEvent::ClaimAsked, env),
        }
    }

    /// Starts again from what is on disk.
    pub(crate) fn restart(&mut self, env: &mut Env<'_>) -> Act<()> {
        self.session = None;
        self.desk.host.restart(env.chain)?;
        self.desk.reload(fresh());
        // Until it has looked at the chain it takes no voucher (P9).
        self.blind_looks = STALE_LOOKS;
        self.take(PayeeEvent::Stale(true), env)?;
        self.take(PayeeEvent::Restarted, env)
    }
}

fn fresh() -> PayeeChannel {
    PayeeChannel::watch(terms(), Rules::default())
}
