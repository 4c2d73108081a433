//! A payer, a payee, a chain and a network; one action after the other, and the bounds after each.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use warren_payments::Phase;
use warren_payments::channel::event::PayeeEvent;

use super::chain::{BASE_FEE, BLOCK_SECS, Chain, FORTUNE};
use super::check::{Truth, Verdict, demand};
use super::contract::Line;
use super::host::{Act, Breach, Died, Host};
use super::names::{CONFIRMATIONS, DAWN, Who, terms};
use super::payee::Payee;
use super::payer::Payer;
use super::schedule::Schedule;
use super::wire::{Frame, Wires};

/// A payee is taken to be up, and its node sane, at least so long before the close window ends.
const FAIR_SECS: u64 = 20 * 60;

/// What a party may touch.
pub(crate) struct Env<'a> {
    pub(crate) chain: &'a mut Chain,
    pub(crate) truth: &'a mut Truth,
    pub(crate) wires: &'a mut Wires,
}

pub(crate) struct World {
    pub(crate) chain: Chain,
    pub(crate) truth: Truth,
    pub(crate) wires: Wires,
    pub(crate) payer: Payer,
    pub(crate) payee: Payee,
    /// Whether payers keep the consents that they are given, to use the best of them later.
    pub(crate) hoards: bool,
    /// Actions until a party that is down comes back.
    down: [u8; 2],
    /// Actions that it stays down once it has ended.
    outage: [u8; 2],
}

/// What comes of a schedule; a panic of a core is a failure like any other.
pub(crate) fn verdict(schedule: &Schedule, breach: Option<Breach>) -> Verdict {
    let run = || World::new(breach).run(schedule);
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("a panic".to_owned()))
}

impl World {
    pub(crate) fn new(breach: Option<Breach>) -> Self {
        let line = Line {
            terms: terms(),
            payer: Who::Payer,
            payee: Who::Payee,
        };
        let pots = BTreeMap::from([(Who::Payer, FORTUNE), (Who::Payee, 0)]);
        let mut chain = Chain::new(vec![line], pots, DAWN);
        chain.contract.forgets = breach == Some(Breach::Reopens);
        for _ in 0..=CONFIRMATIONS {
            chain.mine(BLOCK_SECS);
        }
        Self {
            chain,
            truth: Truth::default(),
            wires: Wires::default(),
            payer: Payer::new(breach),
            payee: Payee::new(breach),
            hoards: false,
            down: [0; 2],
            outage: [0; 2],
        }
    }

    /// Runs a schedule to its end and settles.
    pub(crate) fn run(&mut self, schedule: &Schedule) -> Verdict {
        self.open();
        for (number, action) in schedule.0.iter().enumerate() {
            self.act(*action);
            self.check()
                .map_err(|it| format!("after action {number} {action:?}: {it}"))?;
        }
        self.settle_all(schedule.0.last().map_or(0, |it| it.c))
    }

    pub(crate) fn open(&mut self) {
        self.buy(|payer, env| payer.open(env));
    }

    pub(crate) fn payer(&mut self) -> (&mut Payer, Env<'_>) {
        let (chain, truth) = (&mut self.chain, &mut self.truth);
        (
            &mut self.payer,
            Env {
                chain,
                truth,
                wires: &mut self.wires,
            },
        )
    }

    pub(crate) fn payee(&mut self) -> (&mut Payee, Env<'_>) {
        let (chain, truth) = (&mut self.chain, &mut self.truth);
        (
            &mut self.payee,
            Env {
                chain,
                truth,
                wires: &mut self.wires,
            },
        )
    }

    pub(crate) fn host(&mut self, who: Who) -> &mut Host {
        match who {
            Who::Payer => &mut self.payer.desk.host,
            _ => &mut self.payee.desk.host,
        }
    }

    pub(crate) fn check(&self) -> Verdict {
        for host in [&self.payer.desk.host, &self.payee.desk.host] {
            if let Some(words) = &host.complaint {
                return Err(words.clone());
            }
        }
        if self.is_down(Who::Payee) {
            return Ok(()); // What it holds is asked again when it is back.
        }
        self.truth.check(&self.chain, &self.payee)
    }

    pub(crate) fn is_down(&self, who: Who) -> bool {
        self.down[who as usize] > 0
    }

    /// Lets a party do something; if its process ends, it comes back from its disk, now or later.
    pub(crate) fn with(&mut self, who: Who, act: impl FnOnce(&mut Self) -> Act<()>) {
        if self.is_down(who) {
            return;
        }
        if act(self) == Err(Died) {
            self.kill(who);
        }
    }

    /// How many actions it will stay away once its process ends.
    pub(crate) fn set_outage(&mut self, who: Who, actions: u8) {
        self.outage[who as usize] = actions;
    }

    pub(crate) fn kill(&mut self, who: Who) {
        let outage = std::mem::take(&mut self.outage[who as usize]);
        match outage {
            0 => self.restart(who),
            _ => self.down[who as usize] = outage,
        }
    }

    /// A fuse is gone once it has burnt, so this ends.
    pub(crate) fn restart(&mut self, who: Who) {
        self.down[who as usize] = 0;
        self.host(who).fuse = None;
        self.with(who, |world| match who {
            Who::Payer => {
                let (payer, mut env) = world.payer();
                payer.restart(&mut env)
            }
            _ => {
                let (payee, mut env) = world.payee();
                payee.restart(&mut env)
            }
        });
    }

    /// Disks and outages take so many actions.
    pub(crate) fn tick(&mut self) {
        for who in [Who::Payer, Who::Payee] {
            let slow = match who {
                Who::Payer => &mut self.payer.desk.slow,
                _ => &mut self.payee.desk.slow,
            };
            *slow = slow.saturating_sub(1);
            if *slow == 0 {
                self.unstall(who);
            }
            let down = &mut self.down[who as usize];
            if *down == 1 {
                self.restart(who);
            } else {
                *down = down.saturating_sub(1);
            }
        }
    }

    pub(crate) fn unstall(&mut self, who: Who) {
        self.with(who, |world| match who {
            Who::Payer => {
                let (payer, mut env) = world.payer();
                payer.unstall(&mut env)
            }
            _ => {
                let (payee, mut env) = world.payee();
                payee.unstall(&mut env)
            }
        });
    }

    /// A frame arrives; a process that is busy or down gets it later.
    pub(crate) fn deliver(&mut self, to: Who, place: usize) {
        let free = match to {
            Who::Payer => self.payer.desk.is_free(),
            _ => self.payee.desk.is_free(),
        };
        if self.is_down(to) || !free {
            return;
        }
        let Some(frame) = self.wires.take(to, place) else {
            return;
        };
        if self.hoards && matches!(frame, Frame::Consent(_)) {
            return;
        }
        self.with(to, |world| match to {
            Who::Payer => {
                let (payer, mut env) = world.payer();
                payer.hear(frame, &mut env)
            }
            _ => {
                let (payee, mut env) = world.payee();
                payee.hear(frame, &mut env)
            }
        });
    }

    pub(crate) fn buy(&mut self, act: impl FnOnce(&mut Payer, &mut Env<'_>) -> Act<()>) {
        self.with(Who::Payer, |world| {
            let (payer, mut env) = world.payer();
            act(payer, &mut env)
        });
    }

    pub(crate) fn earn(&mut self, event: PayeeEvent) {
        self.with(Who::Payee, |world| {
            let (payee, mut env) = world.payee();
            payee.take(event, &mut env)
        });
    }

    /// A unit of service, if the payee gives one; what carries it is faster than any frame.
    pub(crate) fn serve(&mut self) {
        if self.is_down(Who::Payee) {
            return;
        }
        let (payee, mut env) = self.payee();
        let served = payee.serve(&mut env);
        if let (Some(price), Some(session)) = (served, self.payer.session.as_mut())
            && session.price == price
        {
            session.received += 1;
        }
    }

    /// So many blocks, with a look of everybody every few of them.
    pub(crate) fn pass(&mut self, blocks: u32) {
        for number in 1..=blocks {
            let closes_at = self
                .chain
                .book()
                .closes_at
                .filter(|_| !self.chain.book().closed);
            if closes_at.is_some_and(|at| self.chain.time + FAIR_SECS >= at) {
                self.heal(Who::Payee);
            }
            self.chain.mine(BLOCK_SECS);
            if number % 5 == 0 || number == blocks {
                self.look();
            }
        }
    }

    /// The assumption of every bound: near the end of the window the payee is up and its node answers.
    pub(crate) fn heal(&mut self, who: Who) {
        self.chain.base_fee = BASE_FEE;
        let host = self.host(who);
        (host.lag, host.deaf, host.fuse) = ((0, 0), 0, None);
        if self.is_down(who) {
            self.restart(who);
        }
        self.unstall(who);
    }

    pub(crate) fn look(&mut self) {
        self.buy(Payer::look);
        self.with(Who::Payee, |world| {
            let (payee, mut env) = world.payee();
            payee.look(&mut env)
        });
    }

    /// Both see the channel's end, and nothing is left on its way.
    pub(crate) fn is_over(&self) -> bool {
        let closed = |it: Phase| it == Phase::Closed;
        let idle = self.payer.desk.host.is_idle() && self.payee.desk.host.is_idle();
        closed(self.payer.desk.core.phase()) && closed(self.payee.desk.core.phase()) && idle
    }

    pub(crate) fn demand_over(&self) -> Verdict {
        let (payer, payee) = (&self.payer.desk, &self.payee.desk);
        let (one, two, book) = (payer.core.phase(), payee.core.phase(), self.chain.book());
        let idle = (payer.host.is_idle(), payee.host.is_idle());
        demand!(
            self.is_over(),
            "stuck: payer {one:?}, payee {two:?}, chain {book:?}, idle {idle:?}"
        );
        Ok(())
    }
}
