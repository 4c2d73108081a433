//! Every scripted life of a channel, with the power gone before, after and during each single effect of
//! each side.

use warren_payments::channel::event::{PayeeEvent, PayerEvent};

use crate::life::check::{Verdict, demand};
use crate::life::host::{Fuse, When};
use crate::life::names::{CONFIRMATIONS, PERIOD_SECS, Who, wei};
use crate::life::world::World;

/// One thing that is done in a script.
#[derive(Debug, Clone, Copy)]
enum Do {
    /// Blocks until what was sent is confirmed.
    Confirm,
    /// A session at this price.
    Begin(u64),
    /// Serve and pay so many units.
    Pay(u32),
    /// The session ends.
    Finish,
    TopUp,
    Claim,
    GiveBack,
    /// Close with the payee's consent.
    Agree,
    StartClose,
    /// The close window, and the blocks that confirm what follows.
    Window,
    /// Everybody's process ends and starts again.
    Restart,
    /// The stream breaks: frames under way are lost, and it is said again.
    Resume,
}

use Do::{
    Agree, Begin, Claim, Confirm, Finish, GiveBack, Pay, Restart, Resume, StartClose, TopUp, Window,
};

const OPEN: &[Do] = &[Confirm];
const PAID: &[Do] = &[Confirm, Begin(2), Pay(10), Finish];
/// Longer than a tranche, and another price after it.
const REBASED: &[Do] = &[
    Confirm,
    Begin(1),
    Pay(30),
    Resume,
    Pay(8),
    Finish,
    Begin(3),
    Pay(6),
];
const TOPPED_UP: &[Do] = &[Confirm, Begin(3), Pay(6), TopUp, Confirm, Pay(6), Finish];
const AGREED: &[Do] = &[Confirm, Begin(2), Pay(6), Finish, Agree, Confirm];
const CLOSED: &[Do] = &[
    Confirm,
    Begin(2),
    Pay(6),
    StartClose,
    Confirm,
    Window,
    Confirm,
];
const CLAIMED: &[Do] = &[
    Confirm,
    Begin(2),
    Pay(6),
    Claim,
    Confirm,
    Pay(4),
    Claim,
    Confirm,
];
const GIVEN_BACK: &[Do] = &[
    Confirm,
    Begin(2),
    Pay(5),
    Finish,
    Claim,
    Confirm,
    GiveBack,
    Confirm,
];
const RESTARTED: &[Do] = &[
    Confirm,
    Begin(2),
    Pay(7),
    Restart,
    Begin(2),
    Pay(7),
    Restart,
    Claim,
    Restart,
    Confirm,
];

/// Where the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plug {
    Before,
    After,
    /// Before, and it is back only when the script is over: the write was on its way and is lost.
    Torn,
}

impl World {
    fn talk(&mut self) {
        for _ in 0..12 {
            self.deliver(Who::Payee, 0);
            self.deliver(Who::Payer, 0);
        }
    }

    fn perform(&mut self, what: Do) {
        match what {
            Confirm => self.pass(u32::try_from(CONFIRMATIONS).unwrap() + 4),
            Begin(price) => {
                self.payer.session = None;
                self.buy(|payer, env| payer.begin(price, env));
            }
            Pay(units) => {
                for _ in 0..units {
                    self.serve();
                    self.buy(crate::life::payer::Payer::pay);
                    self.talk();
                }
            }
            Finish => self.buy(crate::life::payer::Payer::finish),
            TopUp => {
                self.buy(|payer, env| payer.take(PayerEvent::TopUpAsked { amount: wei(50) }, env))
            }
            Claim => self.earn(PayeeEvent::ClaimAsked),
            GiveBack => {
                let now = self.payee.desk.host.now(&self.chain);
                if self.payee.desk.core.claimable(now) == wei(0) {
                    self.earn(PayeeEvent::CloseAsked);
                }
            }
            Agree => self.ask_close(255),
            StartClose => self.buy(|payer, env| payer.take(PayerEvent::CloseAsked(None), env)),
            Window => self.pass(PERIOD_SECS / 12),
            Restart => {
                self.restart(Who::Payer);
                self.restart(Who::Payee);
            }
            Resume => {
                self.wires.clear();
                self.buy(|payer, env| payer.take(PayerEvent::RepeatAsked, env));
            }
        }
        self.talk();
    }

    /// Plays a script with one pulled plug; says how many effects the victim got to.
    fn play(script: &[Do], victim: Who, plug: Option<(u64, Plug)>, way: u8) -> Result<u64, String> {
        let mut world = Self::new(None);
        if let Some((at, plug)) = plug {
            let when = if plug == Plug::After {
                When::After
            } else {
                When::Before
            };
            world.host(victim).fuse = Some(Fuse { at, when });
            world.set_outage(victim, if plug == Plug::Torn { u8::MAX } else { 0 });
        }
        world.open();
        for what in script {
            world.perform(*what);
            world.check().map_err(|it| format!("{what:?}: {it}"))?;
        }
        let effects = world.host(victim).effects;
        world.settle_all(way)?;
        Ok(effects)
    }
}

fn every_effect_of(script: &[Do]) {
    let mut runs = 0;
    for victim in [Who::Payer, Who::Payee] {
        let effects = World::play(script, victim, None, 1).unwrap();
        for at in 0..effects {
            for (way, plug) in [(0, Plug::Before), (1, Plug::After), (2, Plug::Torn)] {
                runs += 1;
                let played = World::play(script, victim, Some((at, plug)), way);
                if let Err(words) = played {
                    panic!("{victim:?}, {plug:?} effect {at} of {effects}: {words}");
                }
            }
        }
    }
    println!("{runs} crashes");
    assert!(runs > 20, "a script has effects");
}

/// The matrix can fail: a payee that does not save its words loses some at one effect at least.
fn demand_loss() -> Verdict {
    let lost = (0..200).any(|at| {
        let mut world = World::new(Some(crate::life::host::Breach::ForgetsWords));
        let fuse = Fuse {
            at,
            when: When::Before,
        };
        world.host(Who::Payee).fuse = Some(fuse);
        world.open();
        let played = PAID.iter().try_for_each(|what| {
            world.perform(*what);
            world.check()
        });
        played.and_then(|()| world.settle_all(1)).is_err()
    });
    demand!(
        lost,
        "no crash takes a word from a payee that does not save words"
    );
    Ok(())
}

#[test]
fn the_matrix_finds_a_payee_that_forgets_words() {
    demand_loss().unwrap();
}

#[test]
fn opened() {
    every_effect_of(OPEN);
}

#[test]
fn paid() {
    every_effect_of(PAID);
}

#[test]
fn folded_and_rebased() {
    every_effect_of(REBASED);
}

#[test]
fn topped_up() {
    every_effect_of(TOPPED_UP);
}

#[test]
fn closed_by_both() {
    every_effect_of(AGREED);
}

#[test]
fn closed_by_the_payer() {
    every_effect_of(CLOSED);
}

#[test]
fn claimed() {
    every_effect_of(CLAIMED);
}

#[test]
fn given_back() {
    every_effect_of(GIVEN_BACK);
}

#[test]
fn restarted_in_the_middle() {
    every_effect_of(RESTARTED);
}
