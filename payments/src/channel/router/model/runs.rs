//! The runs of the model: what can happen next, what must always hold, and what is found without a rule.

use std::hash::{Hash, Hasher};

use stateright::{Checker, Model, Property};
use warren_proto::{Amount, Voucher};

use super::chain::Said;
use super::world::{Router, World, secs};
use super::{DOWN_LIFE, END, Mutant, SAID, UNITS, parts};

/// What all words said are worth.
const ALL: Amount = Amount::from_wei_u64(20);

const SAFE: &str = "the router is paid what it pays";
const FAIR: &str = "the consumer pays for words it said only";
const FOLDED: &str = "all words are folded, and nothing goes to the chain but bases";
const CLAIMED: &str = "a word is learned from the chain and claimed upstream";

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// Consumer and router hear that the exit is ready.
    HearReady,
    /// The consumer says a word more, and the exit hears it.
    Release,
    /// The consumer starts to close.
    StartClose,
    /// The exit takes the lock.
    TakeLock,
    /// The exit asks for a fold.
    AskFold,
    /// The exit takes a folded voucher.
    TakeFold,
    /// The exit claims on the chain.
    Claim,
    /// The router does something; with a number, its plug is pulled before that save.
    Router(Deed, Option<u8>),
    /// The router looks at the chain, and the clock goes on.
    Tick,
}

/// What a router does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    LockOnward,
    HearFulfill,
    TakeFold,
    Nothing,
}

struct Route(Mutant);

impl Model for Route {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.0)]
    }

    fn actions(&self, it: &World, actions: &mut Vec<Action>) {
        if it.tick > END {
            return;
        }
        let net = &it.net;
        let mut may = |can: bool, action| actions.extend(can.then_some(action));
        may(net.ready, Action::HearReady);
        let live = it.tick < DOWN_LIFE;
        may(live && it.released() < SAID, Action::Release);
        may(live && it.up.closes_at.is_none(), Action::StartClose);
        may(net.onward.is_some(), Action::TakeLock);
        may(it.unfolded().is_some(), Action::AskFold);
        may(net.fold_down.is_some(), Action::TakeFold);
        may(it.exit.claimable(it.now()) > Amount::ZERO, Action::Claim);
        // How often each saves: before every save there can be a crash; after the last, it is `Nothing`.
        let deeds = [
            (net.offer.is_some(), Deed::LockOnward, 2),
            (net.fulfill.is_some(), Deed::HearFulfill, 3),
            (net.ask_fold.is_some(), Deed::TakeFold, 1),
            (false, Deed::Nothing, 1),
        ];
        for (can, deed, saves) in deeds {
            may(can, Action::Router(deed, None));
            for save in 0..saves {
                let crash = (can || deed == Deed::Nothing) && it.crashes == 0;
                may(crash, Action::Router(deed, Some(save)));
            }
        }
        may(true, Action::Tick);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut it = last.clone();
        match action {
            Action::HearReady => it.hear_ready(),
            Action::Release => it.release(),
            Action::StartClose => it.start_close(),
            Action::TakeLock => it.take_lock(),
            Action::AskFold => it.net.fulfill = it.unfolded(),
            Action::TakeFold => it.take_fold(),
            Action::Claim => drop(it.claim_as_exit()),
            Action::Router(deed, fuse) => it.as_router(fuse, |it| match deed {
                Deed::LockOnward => it.lock_onward(),
                Deed::HearFulfill => it.hear_fulfill(it.net.fulfill.unwrap_or(0)),
                Deed::TakeFold => it.fold_up(),
                Deed::Nothing => {}
            }),
            Action::Tick => {
                it.duty();
                it.tick += 1;
                it.up.is_closed |= it.up.closes_at.is_some_and(|at| secs(it.tick) >= at);
            }
        }
        (it != *last).then_some(it)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let safe = Property::always(SAFE, |_, it: &World| {
            it.tick <= END || it.up.claimed >= it.could_be_paid()
        });
        if self.0 != Mutant::None {
            return vec![safe]; // The first run that loses is enough.
        }
        vec![
            safe,
            Property::always(FAIR, |_, it: &World| {
                it.up.claimed <= Amount::from_wei_u64(10 * u64::from(it.released()))
            }),
            Property::sometimes(FOLDED, |_, it: &World| {
                let paid = it.up.claimed == ALL && it.could_be_paid() == ALL;
                it.tick > END && paid && !it.revealed()
            }),
            Property::sometimes(CLAIMED, |_, it: &World| {
                it.tick > END && it.revealed() && it.up.claimed > Amount::ZERO
            }),
        ]
    }
}

impl World {
    /// What the exit has, or can still get with what it was ever sent.
    fn could_be_paid(&self) -> Amount {
        let base = |it: &Voucher| it.base;
        let sent = self.net.fold_down.as_ref().map_or(Amount::ZERO, base);
        let held = self.exit.value(self.now());
        self.down.claimed.max(held).max(sent)
    }

    fn revealed(&self) -> bool {
        let mut said = self.said.iter();
        said.any(|(_, it)| matches!(it, Said::Revealed(_)))
    }
}

/// All that tells two worlds apart; records leave out only what no model of one lock touches.
impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.tick, self.crashes).hash(state);
        self.consumer.encode().hash(state);
        self.exit.encode().hash(state);
        for it in [&self.router, &self.disk] {
            let Router {
                up,
                down,
                route,
                heard,
            } = it;
            (up.encode(), down.encode(), heard).hash(state);
            route.as_ref().map(|it| it.encode()).hash(state);
        }
        for it in [&self.up, &self.down] {
            (it.claimed.wei(), it.closes_at, it.is_closed).hash(state);
        }
        format!(
            "{:?}",
            self.said
                .iter()
                .map(|(at, it)| (at, told(it)))
                .collect::<Vec<_>>()
        )
        .hash(state);
        let net = &self.net;
        (net.ready, net.fulfill, net.ask_fold).hash(state);
        for it in [&net.offer, &net.onward] {
            it.as_ref().map(|it| it.voucher.seq).hash(state);
        }
        let fold = net.fold_down.as_ref();
        fold.map(|it| (it.seq, it.base.wei())).hash(state);
    }
}

fn told(said: &Said) -> (u8, u128) {
    match said {
        Said::Revealed(word) => {
            let k = (1..=UNITS).find(|k| parts::word(*k) == *word);
            (0, u128::from(k.unwrap_or(0)))
        }
        Said::UpClosing(at) => (1, u128::from(*at)),
        Said::UpClaimed(total) => (2, total.wei()),
        Said::DownClaimed(total) => (3, total.wei()),
    }
}

fn loses_without(rule: Mutant) {
    let checker = Route(rule).checker().spawn_bfs().join();
    let run = checker
        .discovery(SAFE)
        .expect("a run in which the router loses");
    let steps = run.into_actions();
    println!("{rule:?}: {} steps: {steps:?}", steps.len());
}

#[test]
fn with_all_rules_the_router_never_loses() {
    let checker = Route(Mutant::None).checker().spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
}

#[test]
fn without_p5_it_loses() {
    loses_without(Mutant::SignFirst);
}

#[test]
fn without_r1_it_loses() {
    loses_without(Mutant::NoHopGap);
}

#[test]
fn without_r2_it_loses() {
    loses_without(Mutant::NoCloseGap);
}

#[test]
fn without_p9_it_loses() {
    loses_without(Mutant::NoRescan);
}

#[test]
fn without_r3_it_loses() {
    loses_without(Mutant::FoldLate);
}
