//! The contract against a ledger a child could keep: same answers, same balances, no wei made or lost.

use std::collections::BTreeMap;

use proptest::prelude::*;
use warren_payments::calls::Call;
use warren_payments::chain::{ChainError, ChannelStatus};
use warren_payments::wallet::WalletKey;
use warren_proto::{Amount, ChannelParams};

use crate::world::{HOUR, Words, World, wei};

const CHANNELS: u64 = 3;
const UNITS: u32 = 4;
const UNIT_PRICE: u64 = 7;
/// The channels' close window.
const PERIOD_HOURS: u32 = 24;

#[derive(Debug, Clone)]
enum Action {
    Deposit { amount: u64 },
    Open { channel: u64, amount: u64 },
    OpenFromPot { channel: u64, amount: u64 },
    TopUp { channel: u64, amount: u64 },
    Claim { channel: u64, base: u64, k: u32 },
    Agree { channel: u64, amount: u64 },
    PayeeLeaves { channel: u64 },
    StartClose { channel: u64 },
    FinishClose { channel: u64 },
    PayeeWithdraws { amount: u64 },
    Wait { hours: u32 },
}

fn action() -> impl Strategy<Value = Action> {
    let (channel, amount) = (0..CHANNELS, 0..120_u64);
    let both = (channel.clone(), amount.clone());
    prop_oneof![
        amount.clone().prop_map(|amount| Action::Deposit { amount }),
        both.clone()
            .prop_map(|(channel, amount)| Action::Open { channel, amount }),
        both.clone()
            .prop_map(|(channel, amount)| Action::OpenFromPot { channel, amount }),
        both.clone()
            .prop_map(|(channel, amount)| Action::TopUp { channel, amount }),
        (both.clone(), 0..=UNITS).prop_map(|((channel, base), k)| Action::Claim {
            channel,
            base,
            k
        }),
        both.prop_map(|(channel, amount)| Action::Agree { channel, amount }),
        channel
            .clone()
            .prop_map(|channel| Action::PayeeLeaves { channel }),
        channel
            .clone()
            .prop_map(|channel| Action::StartClose { channel }),
        channel.prop_map(|channel| Action::FinishClose { channel }),
        amount.prop_map(|amount| Action::PayeeWithdraws { amount }),
        (1..30_u32).prop_map(|hours| Action::Wait { hours }),
    ]
}

#[derive(Debug, Clone, Copy, Default)]
struct Book {
    deposit: u64,
    claimed: u64,
    closes_at: Option<u64>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Ledger {
    channels: BTreeMap<u64, Book>,
    payer: u64,
    payee: u64,
    withdrawn: u64,
}

impl Ledger {
    /// Does `action` if it is allowed; says whether it was.
    fn apply(&mut self, action: &Action, now: u64) -> bool {
        let open = |it: u64| self.channels.get(&it).copied().filter(|it| !it.closed);
        match *action {
            Action::Deposit { amount } if amount > 0 => self.payer += amount,
            Action::Open { channel, amount }
                if amount > 0 && !self.channels.contains_key(&channel) =>
            {
                self.channels.insert(
                    channel,
                    Book {
                        deposit: amount,
                        ..Book::default()
                    },
                );
            }
            Action::OpenFromPot { channel, amount }
                if (1..=self.payer).contains(&amount) && !self.channels.contains_key(&channel) =>
            {
                self.payer -= amount;
                self.channels.insert(
                    channel,
                    Book {
                        deposit: amount,
                        ..Book::default()
                    },
                );
            }
            Action::TopUp { channel, amount } => match open(channel) {
                Some(it) if amount > 0 && it.closes_at.is_none() => {
                    self.channels.insert(
                        channel,
                        Book {
                            deposit: it.deposit + amount,
                            ..it
                        },
                    );
                }
                _ => return false,
            },
            Action::Claim { channel, base, k } => match open(channel) {
                Some(it) => {
                    let total = (base + u64::from(k) * UNIT_PRICE).min(it.deposit);
                    if total <= it.claimed {
                        return false;
                    }
                    self.payee += total - it.claimed;
                    self.channels.insert(
                        channel,
                        Book {
                            claimed: total,
                            ..it
                        },
                    );
                }
                None => return false,
            },
            Action::Agree { channel, amount } => match open(channel) {
                Some(it) => self.close(channel, it, amount.min(it.deposit).max(it.claimed)),
                None => return false,
            },
            Action::PayeeLeaves { channel } => match open(channel) {
                Some(it) => self.close(channel, it, it.claimed),
                None => return false,
            },
            Action::StartClose { channel } => match open(channel) {
                Some(it) if it.closes_at.is_none() => {
                    let closes_at = Some(now + u64::from(PERIOD_HOURS) * 3600);
                    self.channels.insert(channel, Book { closes_at, ..it });
                }
                _ => return false,
            },
            Action::FinishClose { channel } => match open(channel) {
                Some(it) if it.closes_at.is_some_and(|at| now >= at) => {
                    self.close(channel, it, it.claimed);
                }
                _ => return false,
            },
            Action::PayeeWithdraws { amount } if (1..=self.payee).contains(&amount) => {
                self.payee -= amount;
                self.withdrawn += amount;
            }
            Action::Wait { .. } => {}
            Action::Deposit { .. }
            | Action::Open { .. }
            | Action::OpenFromPot { .. }
            | Action::PayeeWithdraws { .. } => return false,
        }
        true
    }

    fn close(&mut self, channel: u64, it: Book, claimed: u64) {
        self.payee += claimed - it.claimed;
        self.payer += it.deposit - claimed;
        self.channels.insert(
            channel,
            Book {
                claimed,
                closed: true,
                ..it
            },
        );
    }

    fn held(&self) -> u64 {
        let open = self.channels.values().filter(|it| !it.closed);
        self.payer + self.payee + open.map(|it| it.deposit - it.claimed).sum::<u64>()
    }
}

/// What `action` is on chain: who sends what. `None` if it only takes time.
async fn call(world: &World, action: &Action) -> Option<(WalletKey, Call)> {
    let params = |salt| ChannelParams {
        period_secs: PERIOD_HOURS * 3600,
        ..world.params(salt)
    };
    let (payer, payee) = (world.payer.clone(), world.payee.clone());
    Some(match *action {
        Action::Deposit { amount } => (
            payer,
            Call::Deposit {
                amount: wei(amount),
            },
        ),
        Action::Open { channel, amount } => (
            payer,
            Call::Open {
                params: params(channel),
                amount: wei(amount),
            },
        ),
        Action::OpenFromPot { channel, amount } => (
            payer,
            Call::OpenFromBalance {
                params: params(channel),
                amount: wei(amount),
            },
        ),
        Action::TopUp { channel, amount } => (
            payer,
            Call::TopUp {
                params: params(channel),
                amount: wei(amount),
            },
        ),
        Action::Claim { channel, base, k } => {
            let words = Words::new(1, UNITS, UNIT_PRICE);
            (
                payee,
                Call::Claim(world.claim(&params(channel), wei(base), &[(words, k)])),
            )
        }
        Action::Agree { channel, amount } => {
            let (params, final_amount) = (params(channel), wei(amount));
            let not_after = world.now().await.plus(HOUR);
            let id = params.id(&world.pins);
            let signature = payee.sign_payee_close(&world.pins, &id, final_amount, not_after);
            (
                payer,
                Call::CoopClose {
                    params,
                    final_amount,
                    not_after,
                    signature,
                },
            )
        }
        Action::PayeeLeaves { channel } => (
            payee,
            Call::CloseByPayee {
                params: params(channel),
            },
        ),
        Action::StartClose { channel } => (
            payer,
            Call::StartClose {
                params: params(channel),
            },
        ),
        Action::FinishClose { channel } => (
            payer,
            Call::FinishClose {
                params: params(channel),
            },
        ),
        Action::PayeeWithdraws { amount } => (
            payee,
            Call::Withdraw {
                to: world.other.address(),
                amount: wei(amount),
            },
        ),
        Action::Wait { .. } => return None,
    })
}

async fn compare(actions: &[Action]) {
    let (world, mut ledger) = (World::dev(), Ledger::default());
    let start = world.tokens(world.other.address()).await;
    world
        .send(
            &world.payer,
            Call::Approve {
                amount: Amount::MAX,
            },
        )
        .await
        .unwrap();
    for action in actions {
        if let Action::Wait { hours } = action {
            world.advance(HOUR * *hours).await;
        }
        // A call is simulated for the next block, one second on, and made there.
        let now = world.now().await.as_secs() + 1;
        let expected = ledger.apply(action, now);
        if let Some((who, call)) = call(&world, action).await {
            match world.send(&who, call).await {
                Ok(_) => assert!(expected, "{action:?} was done"),
                Err(ChainError::Reverted(why)) => assert!(!expected, "{action:?}: {why}"),
                Err(error) => panic!("{action:?}: {error}"),
            }
        }
        assert_eq!(
            world.pot(&world.payer).await,
            wei(ledger.payer),
            "{action:?}"
        );
        assert_eq!(
            world.pot(&world.payee).await,
            wei(ledger.payee),
            "{action:?}"
        );
        assert_eq!(
            world.tokens(world.pins.contract).await,
            wei(ledger.held()),
            "{action:?}"
        );
        for (salt, book) in &ledger.channels {
            let state = world.state(&world.params(*salt)).await;
            assert_eq!(
                (state.deposit, state.claimed),
                (wei(book.deposit), wei(book.claimed))
            );
            assert_eq!(state.status == ChannelStatus::Closed, book.closed);
        }
    }
    let got = world
        .tokens(world.other.address())
        .await
        .checked_sub(start)
        .unwrap();
    assert_eq!(got, wei(ledger.withdrawn));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_contract_keeps_the_ledger(actions in proptest::collection::vec(action(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compare(&actions));
    }
}
