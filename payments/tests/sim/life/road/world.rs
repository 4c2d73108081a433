//! A consumer, a router, an exit, a tower, a chain and a network; one action after the other, and the bounds
//! after each.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::chain::{BASE_FEE, Chain, FORTUNE};
use super::super::check::Verdict;
use super::super::host::{Act, Breach, Died, Host};
use super::super::names::{CONFIRMATIONS, DAWN, Who};
use super::super::schedule::Schedule;
use super::super::wire::Wires;
use super::mail::{Mail, Note};
use super::node::Node;
use super::paper;
use super::perform::Env;
use super::tower::Keep;
use super::truth::Truth;

/// Between two blocks: locks live for hours, and a life shall have no more blocks than it must.
pub(crate) const BLOCK_SECS: u64 = 30;
/// Whoever has something to claim is taken to be up, and its node sane, at least so long before it expires.
pub(crate) const FAIR_SECS: u64 = 25 * 60;

pub(crate) struct Road {
    pub(crate) chain: Chain,
    pub(crate) truth: Truth,
    pub(crate) wires: Wires<Mail>,
    consumer: Node,
    router: Node,
    exit: Node,
    keep: Keep,
    /// Whether payers keep the consents that they are given, to use the best of them later.
    pub(crate) hoards: bool,
    /// Actions until a party that is down comes back.
    down: [u8; 4],
    /// Actions that it stays down once it has ended.
    outage: [u8; 4],
}

/// What comes of a schedule; a panic of a core is a failure like any other.
pub(crate) fn verdict(schedule: &Schedule, breach: Option<Breach>) -> Verdict {
    let run = || Road::new(breach).run(schedule);
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("a panic".to_owned()))
}

impl Road {
    pub(crate) fn new(breach: Option<Breach>) -> Self {
        let pots = BTreeMap::from([
            (Who::Payer, FORTUNE),
            (Who::Router, FORTUNE),
            (Who::Payee, 0),
        ]);
        let mut chain = Chain::new(paper::lines(), pots, DAWN);
        for _ in 0..=CONFIRMATIONS {
            chain.mine(BLOCK_SECS);
        }
        Self {
            chain,
            truth: Truth::default(),
            wires: Wires::default(),
            consumer: Node::new(Who::Payer, None),
            router: Node::new(Who::Router, breach),
            exit: Node::new(Who::Payee, None),
            keep: Keep::new(breach),
            hoards: false,
            down: [0; 4],
            outage: [0; 4],
        }
    }

    /// Runs a schedule to its end and settles.
    pub(crate) fn run(&mut self, schedule: &Schedule) -> Verdict {
        self.truth.lazy = schedule.0.first().is_some_and(|it| it.c & 3 == 0);
        self.open();
        for (number, action) in schedule.0.iter().enumerate() {
            self.act(*action);
            self.check()
                .map_err(|it| format!("after action {number} {action:?}: {it}"))?;
        }
        self.settle_all(schedule.0.last().map_or(0, |it| it.c))
    }

    /// Both channels are open and confirmed before anything else happens.
    pub(crate) fn open(&mut self) {
        for who in [Who::Payer, Who::Router] {
            self.with_node(who, Node::open);
        }
        self.pass(u32::try_from(CONFIRMATIONS).unwrap() + 3);
    }

    fn node(&mut self, who: Who) -> (&mut Node, Env<'_>) {
        let node = match who {
            Who::Payer => &mut self.consumer,
            Who::Router => &mut self.router,
            Who::Payee | Who::Tower => &mut self.exit,
        };
        let (chain, truth, wires) = (&mut self.chain, &mut self.truth, &mut self.wires);
        (
            node,
            Env {
                chain,
                truth,
                wires,
            },
        )
    }

    fn tower(&mut self) -> (&mut Keep, Env<'_>) {
        let (chain, truth, wires) = (&mut self.chain, &mut self.truth, &mut self.wires);
        (
            &mut self.keep,
            Env {
                chain,
                truth,
                wires,
            },
        )
    }

    pub(crate) fn of(&self, who: Who) -> &Node {
        match who {
            Who::Payer => &self.consumer,
            Who::Router => &self.router,
            Who::Payee | Who::Tower => &self.exit,
        }
    }

    pub(crate) fn host(&mut self, who: Who) -> &mut Host {
        match who {
            Who::Payer => &mut self.consumer.host,
            Who::Router => &mut self.router.host,
            Who::Payee => &mut self.exit.host,
            Who::Tower => &mut self.keep.host,
        }
    }

    fn slow(&mut self, who: Who) -> &mut u8 {
        match who {
            Who::Payer => &mut self.consumer.slow,
            Who::Router => &mut self.router.slow,
            Who::Payee => &mut self.exit.slow,
            Who::Tower => &mut self.keep.slow,
        }
    }

    pub(crate) fn slows(&mut self, who: Who, actions: u8) {
        *self.slow(who) = actions;
    }

    pub(crate) fn is_idle(&mut self) -> bool {
        let all = Who::ALL.into_iter();
        let absent = self.truth.absent;
        all.filter(|it| !absent || *it != Who::Payee)
            .all(|it| self.host(it).is_idle())
    }

    /// What was claimed on both channels.
    pub(crate) fn sums(&self) -> (u128, u128) {
        let claimed = |id| self.chain.book_of(id).claimed;
        (claimed(paper::up().id), claimed(paper::down().id))
    }

    pub(crate) fn check(&mut self) -> Verdict {
        for who in Who::ALL {
            if let Some(words) = &self.host(who).complaint {
                return Err(words.clone());
            }
        }
        self.truth.check(&self.chain)?;
        if self.is_down(Who::Payee) {
            return Ok(()); // What it holds is asked again when it is back.
        }
        self.truth.check_exit(&self.exit)
    }

    pub(crate) fn is_down(&self, who: Who) -> bool {
        self.down[who as usize] > 0
    }

    /// Lets a party do something; if its process ends, it comes back from its disk, now or later.
    fn with(&mut self, who: Who, act: impl FnOnce(&mut Self) -> Act<()>) {
        if self.is_down(who) {
            return;
        }
        if act(self) == Err(Died) {
            self.kill(who);
        }
    }

    pub(crate) fn with_node(
        &mut self,
        who: Who,
        act: impl FnOnce(&mut Node, &mut Env<'_>) -> Act<()>,
    ) {
        self.with(who, |road| {
            let (node, mut env) = road.node(who);
            if node.slow > 0 {
                return Ok(());
            }
            act(node, &mut env)
        });
    }

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

    /// The exit does not come back.
    pub(crate) fn lose_exit(&mut self) {
        self.truth.absent = true;
        self.down[Who::Payee as usize] = u8::MAX;
    }

    /// It does, when all is over.
    pub(crate) fn find_exit(&mut self) {
        self.truth.absent = false;
        self.restart(Who::Payee);
        self.truth.absent = true;
    }

    /// A fuse is gone once it has burnt, so this ends.
    pub(crate) fn restart(&mut self, who: Who) {
        if who == Who::Payee && self.truth.absent {
            return;
        }
        self.down[who as usize] = 0;
        self.host(who).fuse = None;
        self.with(who, |road| {
            if who == Who::Tower {
                let (keep, mut env) = road.tower();
                return keep.restart(&mut env);
            }
            let (node, mut env) = road.node(who);
            node.restart(&mut env)
        });
    }

    /// Disks and outages take so many actions.
    pub(crate) fn tick(&mut self) {
        for who in Who::ALL {
            let slow = self.slow(who);
            *slow = slow.saturating_sub(1);
            match self.down[who as usize] {
                0 => {}
                1 => self.restart(who),
                u8::MAX if self.truth.absent => {}
                left => self.down[who as usize] = left - 1,
            }
        }
    }

    /// A note arrives; a process that is busy or down gets it later.
    pub(crate) fn deliver(&mut self, to: Who, place: usize) {
        if self.is_down(to) || *self.slow(to) > 0 {
            return;
        }
        let Some(Mail { channel, note }) = self.wires.take(to, place) else {
            return;
        };
        if self.hoards && matches!(note, Note::Consent(_)) {
            return;
        }
        self.with(to, |road| {
            if to == Who::Tower {
                let (keep, mut env) = road.tower();
                return match note {
                    Note::Put(put) => keep.hear(channel, *put, &mut env),
                    _ => Ok(()),
                };
            }
            let (node, mut env) = road.node(to);
            match to {
                Who::Payer => node.hear_as_consumer(channel, note, &mut env),
                Who::Router => node.hear_as_router(channel, note, &mut env),
                Who::Payee | Who::Tower => node.hear_as_exit(channel, note, &mut env),
            }
        });
    }

    /// Whether something is about to be worth nothing, and who must claim it.
    fn endangered(&self) -> Vec<Who> {
        let (time, mut who) = (self.chain.time, Vec::new());
        let soon = |at: u64| time < at && time + FAIR_SECS >= at;
        let closes = |id| {
            let book = self.chain.book_of(id);
            book.closes_at.is_some_and(|at| !book.closed && soon(at))
        };
        let mut deals = self.truth.deals.values();
        if closes(paper::up().id) || deals.clone().any(|it| soon(it.up_expiry)) {
            who.push(Who::Router);
        }
        if closes(paper::down().id) || deals.any(|it| soon(it.down_expiry)) {
            who.extend([Who::Payee, Who::Tower]);
        }
        who
    }

    /// Whether somebody is in its last minutes: then no block is taken back.
    pub(crate) fn is_late(&self) -> bool {
        !self.endangered().is_empty()
    }

    /// So many blocks, with a look of everybody every few of them.
    pub(crate) fn pass(&mut self, blocks: u32) {
        for number in 1..=blocks {
            let endangered = self.endangered();
            for who in &endangered {
                self.heal(*who);
            }
            self.chain.mine(BLOCK_SECS);
            if number % 3 == 0 || number == blocks || !endangered.is_empty() {
                self.look();
            }
        }
    }

    /// The assumption of every bound: whoever must claim is up, and its node answers.
    pub(crate) fn heal(&mut self, who: Who) {
        self.chain.base_fee = BASE_FEE;
        let host = self.host(who);
        (host.lag, host.deaf, host.fuse) = ((0, 0), 0, None);
        host.skew_secs = 0;
        *self.slow(who) = 0;
        if self.is_down(who) {
            self.restart(who);
        }
    }

    pub(crate) fn look(&mut self) {
        for who in [Who::Payer, Who::Router, Who::Payee] {
            self.with_node(who, Node::look);
        }
        self.with(Who::Tower, |road| {
            let (keep, mut env) = road.tower();
            keep.look(&mut env)
        });
    }
}
