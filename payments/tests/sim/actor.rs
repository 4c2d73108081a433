//! Schedules over the product's own task and the contract's real bytecode: fewer than over the cores, but
//! nothing in them is a model. A disk may also fail for a while under a process that lives on.

use warren_payments::Phase;
use warren_payments::chain::ChannelStatus;
use warren_payments::ledger::{Account, Balances};
use warren_proto::Amount;

use crate::life::check::{Verdict, demand};
use crate::life::schedule::Schedule;
use crate::market::{HOUR, Market};
use crate::node::Node;
use crate::shaky::Moods;

/// Seeds of every day, in two tests.
const FIRST: u64 = 900_000;
const SHARE: u64 = 60;
/// Rounds in which the end must come.
const LAST_ROUNDS: u32 = 120;

impl Market {
    fn held(&self) -> Option<u128> {
        let channel = self.channel;
        let held = self
            .payee
            .ask(|it| async move { it.held(channel).await })?
            .ok()?;
        Some(held.ack.value_now.wei())
    }

    pub(crate) fn check(&self) -> Verdict {
        let state = self.state();
        let claimed = state.map_or(0, |it| it.claimed.wei());
        let most = self.most;
        demand!(claimed <= most, "I3: {claimed} claimed, {most} released");
        let Some(held) = self.held() else {
            return Ok(());
        };
        let (acked, served, credit) = (self.acked, self.served, self.credit);
        demand!(held <= most, "I3: {held} held, {most} released");
        demand!(held >= acked, "I4, I7: {held} held, {acked} acknowledged");
        demand!(
            served <= held + credit,
            "I1: {served} served for {held}, {credit} on credit"
        );
        Ok(())
    }

    /// All faults end, both agree, the channel is closed, and the books are the chain's.
    pub(crate) fn settle_all(&mut self, way: u8) -> Verdict {
        for node in [&mut self.payer, &mut self.payee] {
            node.mood(Moods::default());
            node.spoil(None);
            if way & 4 == 0 {
                node.restart();
            }
        }
        self.frames.clear();
        self.session = None;
        for _ in 0..10 {
            self.mine(1);
        }
        self.check()?;
        self.work(6, 0);
        (0..80).for_each(|_| self.deliver(0));
        self.finish();
        (0..80).for_each(|_| self.deliver(0));
        self.check()?;
        if way.is_multiple_of(3) {
            self.agree_to_close();
        }
        for round in 0..LAST_ROUNDS {
            if self.is_over() {
                break;
            }
            if round % 20 == 10 {
                self.settle(190);
            }
            // Time for the window, but never so much at once that a claim has no chance.
            self.chain.advance(HOUR / 12);
            self.mine(1);
            self.check()?;
        }
        self.check_books()
    }

    pub(crate) fn phase(node: &Node) -> Option<Phase> {
        let channels = node.ask(|it| async move { it.channels().await })?.ok()?;
        channels.first().map(|it| it.phase)
    }

    fn is_over(&self) -> bool {
        let over = |node| Self::phase(node) == Some(Phase::Closed);
        over(&self.payer) && over(&self.payee)
    }

    fn check_books(&self) -> Verdict {
        let (one, two) = (Self::phase(&self.payer), Self::phase(&self.payee));
        let Some(state) = self.state() else {
            // Its node did not answer when it was to be opened: that was told, and nobody asked again.
            demand!(
                one == Some(Phase::Opening) && self.served == 0,
                "payer {one:?}, payee {two:?}"
            );
            return Ok(());
        };
        demand!(
            self.is_over(),
            "stuck: payer {one:?}, payee {two:?}, chain {state:?}"
        );
        demand!(state.status == ChannelStatus::Closed, "open: {state:?}");
        let (held, claimed) = (self.held().unwrap_or_default(), state.claimed.wei());
        demand!(held == claimed, "{held} held, {claimed} claimed");
        let (served, credit) = (self.served, self.credit);
        demand!(
            served <= claimed + credit,
            "I1: {served} served, {claimed} paid"
        );
        let spent = Self::net(&self.payer, Account::Spent)?;
        let locked = Self::net(&self.payer, Account::Deposited)?;
        let earned = Self::net(&self.payee, Account::Pot)?;
        let wanted = i128::try_from(claimed).unwrap();
        demand!(
            (spent, locked, earned) == (wanted, 0, wanted),
            "spent {spent}, locked {locked}, earned {earned}; the chain says {wanted}"
        );
        Ok(())
    }

    fn net(node: &Node, account: Account) -> Result<i128, String> {
        let entries = node.ask(|it| async move { it.ledger().await });
        let entries = entries.ok_or("no answer")?.map_err(|it| it.to_string())?;
        Ok(Balances::of(entries.iter().map(|it| &it.posting)).net(account))
    }
}

fn run(schedule: &Schedule) -> Verdict {
    walk(&mut Market::open(), schedule)
}

fn walk(market: &mut Market, schedule: &Schedule) -> Verdict {
    for (number, action) in schedule.0.iter().enumerate() {
        market.act(*action);
        market
            .check()
            .map_err(|it| format!("after action {number} {action:?}: {it}"))?;
    }
    market.settle_all(schedule.0.last().map_or(0, |it| it.c))
}

/// Runs them all; says in how many somebody was paid on chain.
fn run_all(seeds: std::ops::Range<u64>) -> u64 {
    let mut paid = 0;
    for seed in seeds {
        let schedule = Schedule::from_seed(seed);
        let mut market = Market::open();
        let Err(words) = walk(&mut market, &schedule) else {
            paid += u64::from(market.state().is_some_and(|it| it.claimed > Amount::ZERO));
            continue;
        };
        let small = schedule.shrunk(&mut |it| run(it).is_err());
        let least = run(&small).err().unwrap_or_default();
        panic!(
            "WARREN_SEED={seed}: {words}\nin {} actions: {least}\n{:#?}",
            small.0.len(),
            small.0
        );
    }
    paid
}

/// A harness in which nothing is paid proves nothing.
fn run_share(from: u64) {
    let paid = run_all(from..from + SHARE);
    println!("{paid} of {SHARE} schedules paid");
    assert!(paid > SHARE / 5, "only {paid} of {SHARE} schedules paid");
}

#[test]
fn the_real_task_on_the_real_contract_first_part() {
    run_share(FIRST);
}

#[test]
fn the_real_task_on_the_real_contract_second_part() {
    run_share(FIRST + SHARE);
}

#[test]
fn one_seed_of_the_real_task() {
    let seed = std::env::var("WARREN_SEED").ok();
    let seed = seed.map_or(FIRST, |it| it.parse().expect("WARREN_SEED is a number"));
    run_all(seed..seed + 1);
}

/// One of several nodes behind one door lags by more than news needs to count.
#[test]
fn a_node_that_falls_behind_takes_nothing_back() {
    let mut market = Market::open();
    let confirm = |market: &mut Market| (0..8).for_each(|_| market.mine(1));
    confirm(&mut market);
    market.settle(110);
    confirm(&mut market);
    let deposits = |market: &Market| {
        [&market.payer, &market.payee].map(|node| {
            let channels = node.ask(|it| async move { it.channels().await });
            channels.unwrap().unwrap()[0].deposit.wei()
        })
    };
    assert_eq!(deposits(&market), [340, 340]);
    for node in [&market.payer, &market.payee] {
        node.mood(Moods {
            behind: 9,
            ..Moods::default()
        });
    }
    market.mine(1);
    assert_eq!(deposits(&market), [340, 340]);
    for node in [&market.payer, &market.payee] {
        node.mood(Moods::default());
    }
    confirm(&mut market);
    assert_eq!(Market::net(&market.payer, Account::Deposited).unwrap(), 340);
}
