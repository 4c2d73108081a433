//! What the contract does for an honest payer and payee, and what it refuses.

use warren_payments::calls::Call;
use warren_payments::chain::{ChannelStatus, EventKind, Revert};
use warren_proto::{Amount, PayoutAddress};

use crate::world::{DEPOSIT, HOUR, Words, World, wei};

/// The whole life of a channel; also run against anvil.
pub(crate) async fn life(world: &World) {
    let (payer, payee) = (&world.payer, &world.payee);
    world.chain.verify_contract().await.unwrap();
    let from = world.chain.head().await.unwrap().number;
    let params = world.open(1).await;
    let id = params.id(&world.pins);
    let state = world.state(&params).await;
    assert_eq!(
        (state.deposit, state.claimed, state.closes_at),
        (DEPOSIT, Amount::ZERO, None)
    );

    let words = Words::new(7, 256, 1000);
    let first = world.claim(&params, wei(500), &[]);
    world
        .send(&world.other, Call::Claim(first.clone()))
        .await
        .unwrap();
    assert_eq!(
        world.pot(payee).await,
        wei(500),
        "anyone may claim, the payee is paid"
    );
    let refusal = world.refusal(payee, Call::Claim(first)).await;
    assert_eq!(refusal, Revert::NothingNew { claimed: wei(500) });

    let claim = world.claim(&params, wei(500), &[(words.clone(), 100)]);
    world.send(payee, Call::Claim(claim)).await.unwrap();
    assert_eq!(world.state(&params).await.claimed, wei(100_500));

    world
        .send(payer, Call::Approve { amount: wei(50) })
        .await
        .unwrap();
    world
        .send(
            payer,
            Call::TopUp {
                params,
                amount: wei(50),
            },
        )
        .await
        .unwrap();
    world
        .send(payer, Call::StartClose { params })
        .await
        .unwrap();
    let closes_at = world.state(&params).await.closes_at.unwrap();
    assert_eq!(closes_at, world.now().await.plus(24 * HOUR));
    let early = world.refusal(payer, Call::FinishClose { params }).await;
    assert_eq!(early, Revert::TooEarly { closes_at });
    let late = world.claim(&params, wei(500), &[(words.clone(), 101)]);
    world.send(payee, Call::Claim(late)).await.unwrap();
    world.advance(24 * HOUR).await;
    world
        .send(&world.other, Call::FinishClose { params })
        .await
        .unwrap();

    let state = world.state(&params).await;
    assert_eq!(state.status, ChannelStatus::Closed);
    assert_eq!(world.pot(payee).await, wei(101_500));
    assert_eq!(world.pot(payer).await, wei(1_000_050 - 101_500));
    let to = PayoutAddress::from_bytes([9; 20]);
    let before = world.tokens(to).await;
    world
        .send(
            payee,
            Call::Withdraw {
                to,
                amount: wei(101_500),
            },
        )
        .await
        .unwrap();
    let paid = world.tokens(to).await.checked_sub(before).unwrap();
    assert_eq!((paid, world.pot(payee).await), (wei(101_500), Amount::ZERO));

    let head = world.chain.head().await.unwrap().number;
    let events = world.chain.events(from, head).await.unwrap();
    let about = events
        .iter()
        .filter(|it| it.kind.channel() == Some(id))
        .map(|it| &it.kind);
    let names: Vec<&str> = about.map(name).collect();
    let expected = [
        "opened",
        "claimed",
        "revealed",
        "claimed",
        "topped up",
        "closing",
        "revealed",
        "claimed",
        "closed",
    ];
    assert_eq!(names, expected);
    let told = events.iter().find_map(|it| match &it.kind {
        EventKind::Revealed {
            anchor, k, word, ..
        } => Some((*anchor, *k, word.clone())),
        EventKind::Deposited { .. }
        | EventKind::Withdrawn { .. }
        | EventKind::BeneficiaryChanged { .. }
        | EventKind::Opened { .. }
        | EventKind::ToppedUp { .. }
        | EventKind::Claimed { .. }
        | EventKind::Closing { .. }
        | EventKind::Closed { .. } => None,
    });
    let (anchor, k, word) = told.unwrap();
    assert_eq!((anchor, k), (words.lock.anchor, 100));
    assert!(
        anchor.opens_with(&word, k),
        "whoever reads the chain learns the word"
    );
}

fn name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Deposited { .. } => "deposited",
        EventKind::Withdrawn { .. } => "withdrawn",
        EventKind::BeneficiaryChanged { .. } => "beneficiary changed",
        EventKind::Opened { .. } => "opened",
        EventKind::ToppedUp { .. } => "topped up",
        EventKind::Claimed { .. } => "claimed",
        EventKind::Revealed { .. } => "revealed",
        EventKind::Closing { .. } => "closing",
        EventKind::Closed { .. } => "closed",
    }
}

#[tokio::test]
async fn a_channel_lives_and_ends() {
    life(&World::dev()).await;
}

#[tokio::test]
async fn the_id_of_proto_is_the_id_of_the_contract() {
    let world = World::dev();
    for salt in [0, 1, u64::MAX] {
        let params = world.params(salt);
        world
            .send(&world.payer, Call::Approve { amount: wei(1) })
            .await
            .unwrap();
        let opened = world
            .send(
                &world.payer,
                Call::Open {
                    params,
                    amount: wei(1),
                },
            )
            .await
            .unwrap();
        let expected = EventKind::Opened {
            channel: params.id(&world.pins),
            params,
            deposit: wei(1),
        };
        assert_eq!(opened.events[0].kind, expected);
    }
}

#[tokio::test]
async fn the_pot_opens_and_tops_up_without_the_token() {
    let world = World::dev();
    let (payer, params) = (&world.payer, world.params(1));
    world
        .send(payer, Call::Approve { amount: wei(100) })
        .await
        .unwrap();
    world
        .send(payer, Call::Deposit { amount: wei(100) })
        .await
        .unwrap();
    world
        .send(
            payer,
            Call::OpenFromBalance {
                params,
                amount: wei(60),
            },
        )
        .await
        .unwrap();
    world
        .send(
            payer,
            Call::TopUpFromBalance {
                params,
                amount: wei(30),
            },
        )
        .await
        .unwrap();
    assert_eq!(world.state(&params).await.deposit, wei(90));
    assert_eq!(world.pot(payer).await, wei(10));
    let broke = world
        .refusal(
            payer,
            Call::TopUpFromBalance {
                params,
                amount: wei(11),
            },
        )
        .await;
    assert_eq!(
        broke,
        Revert::Insufficient {
            balance: wei(10),
            wanted: wei(11)
        }
    );
    let broke = Call::Withdraw {
        to: payer.address(),
        amount: wei(11),
    };
    let broke = world.refusal(payer, broke).await;
    assert_eq!(
        broke,
        Revert::Insufficient {
            balance: wei(10),
            wanted: wei(11)
        }
    );
}

#[tokio::test]
async fn only_allowed_parties_and_windows_open() {
    let world = World::dev();
    let payer = &world.payer;
    world
        .send(payer, Call::Approve { amount: DEPOSIT })
        .await
        .unwrap();
    let good = world.params(1);
    let bad = [
        warren_proto::ChannelParams {
            payee: PayoutAddress::ZERO,
            ..good
        },
        warren_proto::ChannelParams {
            payee: good.payer,
            ..good
        },
        warren_proto::ChannelParams {
            period_secs: 3599,
            ..good
        },
        warren_proto::ChannelParams {
            period_secs: 30 * 24 * 3600 + 1,
            ..good
        },
    ];
    for params in bad {
        let refusal = world
            .refusal(
                payer,
                Call::Open {
                    params,
                    amount: wei(1),
                },
            )
            .await;
        assert_eq!(refusal, Revert::BadParams, "{params:?}");
    }
    let zero = world
        .refusal(
            payer,
            Call::Open {
                params: good,
                amount: Amount::ZERO,
            },
        )
        .await;
    assert_eq!(zero, Revert::ZeroAmount);
    let stranger = world
        .refusal(
            &world.other,
            Call::Open {
                params: good,
                amount: wei(1),
            },
        )
        .await;
    assert_eq!(stranger, Revert::NotPayer { payer: good.payer });
    let poor = world
        .refusal(
            payer,
            Call::Open {
                params: good,
                amount: wei(1_000_001),
            },
        )
        .await;
    assert_eq!(
        poor,
        Revert::TokenAllowance {
            allowance: DEPOSIT,
            wanted: wei(1_000_001)
        }
    );
}
