//! The runs of the model: what can happen next, what must always hold, and what is found without a rule.

use std::hash::{Hash, Hasher};

use stateright::{Checker, Model, Property};
use warren_proto::{Amount, Voucher};

use super::chain::Said;
use super::world::{Router, World, secs};
use super::{END, Mutant, UNITS, parts};

/// Saves in one step of the router, at most.
const SAVES: u8 = 3;

const SAFE: &str = "the router is paid what it pays";
const FAIR: &str = "the consumer pays for words it said only";
const FOLDED: &str = "all words are folded, and nothing goes to the chain but bases";
const CLAIMED: &str = "a word is learned from the chain and claimed upstream";

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// The consumer hears that the exit is ready.
    HearReady,
    /// The consumer says a word more.
    Release,
    /// The consumer folds as asked.
    FoldUp,
    /// The consumer starts to close.
    StartClose,
    /// The exit takes the lock.
    TakeLock,
    /// The exit hears a word.
    HearWord,
    /// The exit asks for a fold.
    AskFold,
    /// The exit takes a folded voucher.
    TakeFold,
    /// The exit claims on the chain.
    Claim,
    /// The exit crashes.
    CrashExit,
    /// The router does something; with a number, its plug is pulled before that save.
    Router(Deed, Option<u8>),
    /// The router looks at the chain, and the clock goes on.
    Tick,
}

/// What a router does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    LockOnward,
    HearExit,
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
        may(it.released() < UNITS, Action::Release);
        may(net.ask_fold.is_some(), Action::FoldUp);
        may(it.up.closes_at.is_none(), Action::StartClose);
        may(net.onward.is_some(), Action::TakeLock);
        may(net.word.is_some(), Action::HearWord);
        may(it.unfolded().is_some(), Action::AskFold);
        may(net.fold_down.is_some(), Action::TakeFold);
        may(it.exit.claimable(it.now()) > Amount::ZERO, Action::Claim);
        may(it.crashes == 0, Action::CrashExit);
        let deeds = [
            (net.offer.is_some(), Deed::LockOnward),
            (net.ready_router, Deed::HearExit),
            (net.fulfill.is_some(), Deed::HearFulfill),
            (net.fold_up.is_some(), Deed::TakeFold),
        ];
        for (_, deed) in deeds.into_iter().filter(|(can, _)| *can) {
            may(true, Action::Router(deed, None));
            for save in 0..=SAVES {
                may(it.crashes == 0, Action::Router(deed, Some(save)));
            }
        }
        may(it.crashes == 0, Action::Router(Deed::Nothing, Some(0)));
        may(true, Action::Tick);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut it = last.clone();
        match action {
            Action::HearReady => it.hear_ready(),
            Action::Release => drop(it.release()),
            Action::FoldUp => it.fold_up(it.net.ask_fold?),
            Action::StartClose => it.start_close(),
            Action::TakeLock => it.take_lock(),
            Action::HearWord => it.hear_word(it.net.word?),
            Action::AskFold => it.net.fulfill = it.unfolded(),
            Action::TakeFold => it.take_fold(),
            Action::Claim => drop(it.claim_as_exit()),
            Action::CrashExit => it.crash_exit(),
            Action::Router(deed, fuse) => it.as_router(fuse, |it| match deed {
                Deed::LockOnward => it.lock_onward(),
                Deed::HearExit => it.hear_exit(),
                Deed::HearFulfill => it.hear_fulfill(it.net.fulfill.unwrap_or(0)),
                Deed::TakeFold => it.take_fold_up(),
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
        vec![
            Property::always(SAFE, |_, it: &World| {
                it.tick <= END || it.up.claimed >= it.could_be_paid()
            }),
            Property::always(FAIR, |_, it: &World| {
                it.up.claimed <= Amount::from_wei_u64(10 * u64::from(it.released()))
            }),
            Property::sometimes(FOLDED, |_, it: &World| {
                let all = Amount::from_wei_u64(10 * u64::from(UNITS));
                it.tick > END && it.up.claimed == all && it.could_be_paid() == all && !it.revealed()
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
        (
            net.ready,
            net.ready_router,
            net.word,
            net.fulfill,
            net.ask_fold,
        )
            .hash(state);
        for it in [&net.offer, &net.onward] {
            it.as_ref().map(|it| it.voucher.seq).hash(state);
        }
        for it in [&net.fold_down, &net.fold_up] {
            let voucher = it.as_ref();
            voucher.map(|it| (it.seq, it.base.wei())).hash(state);
        }
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
    println!("{rule:?}: {} steps: {:?}", run.len(), run.into_actions());
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
