//! The ways a channel ends, and that it never begins again.

use warren_payments::calls::Call;
use warren_payments::chain::{ChannelStatus, Revert};
use warren_proto::Amount;

use crate::world::{DEPOSIT, HOUR, Words, World, wei};

fn consent(world: &World, params: warren_proto::ChannelParams, amount: Amount, secs: u64) -> Call {
    let not_after = warren_proto::UnixTime::from_secs(secs);
    let id = params.id(&world.pins);
    let signature = world
        .payee
        .sign_payee_close(&world.pins, &id, amount, not_after);
    Call::CoopClose {
        params,
        final_amount: amount,
        not_after,
        signature,
    }
}

#[tokio::test]
async fn both_agree_and_nobody_waits() {
    let world = World::dev();
    let params = world.open(1).await;
    let until = world.now().await.plus(HOUR).as_secs();
    let call = consent(&world, params, wei(300), until);
    let stranger = world.refusal(&world.other, call.clone()).await;
    assert_eq!(
        stranger,
        Revert::NotPayer {
            payer: params.payer
        }
    );
    world.send(&world.payer, call).await.unwrap();
    assert_eq!(world.pot(&world.payee).await, wei(300));
    assert_eq!(world.pot(&world.payer).await, wei(1_000_000 - 300));
    assert_eq!(world.state(&params).await.status, ChannelStatus::Closed);
}

#[tokio::test]
async fn an_agreement_runs_out() {
    let world = World::dev();
    let params = world.open(1).await;
    let not_after = world.now().await.plus(HOUR);
    world.advance(2 * HOUR).await;
    let refusal = world
        .refusal(
            &world.payer,
            consent(&world, params, wei(300), not_after.as_secs()),
        )
        .await;
    assert_eq!(refusal, Revert::TooLate { not_after });
}

#[tokio::test]
async fn an_agreement_below_the_claimed_takes_nothing_back() {
    let world = World::dev();
    let params = world.open(1).await;
    let claim = world.claim(&params, wei(500), &[]);
    world.send(&world.payee, Call::Claim(claim)).await.unwrap();
    let until = world.now().await.plus(HOUR).as_secs();
    world
        .send(&world.payer, consent(&world, params, wei(300), until))
        .await
        .unwrap();
    assert_eq!(world.pot(&world.payee).await, wei(500));
}

#[tokio::test]
async fn an_agreement_above_the_deposit_pays_the_deposit() {
    let world = World::dev();
    let params = world.open(1).await;
    let until = world.now().await.plus(HOUR).as_secs();
    world
        .send(&world.payer, consent(&world, params, Amount::MAX, until))
        .await
        .unwrap();
    assert_eq!(world.pot(&world.payee).await, DEPOSIT);
    assert_eq!(world.pot(&world.payer).await, Amount::ZERO);
}

#[tokio::test]
async fn the_payee_may_leave_at_once() {
    let world = World::dev();
    let params = world.open(1).await;
    let refusal = world
        .refusal(&world.payer, Call::CloseByPayee { params })
        .await;
    assert_eq!(
        refusal,
        Revert::NotPayee {
            payee: params.payee
        }
    );
    world
        .send(&world.payee, Call::CloseByPayee { params })
        .await
        .unwrap();
    assert_eq!(world.pot(&world.payer).await, DEPOSIT);
}

#[tokio::test]
async fn a_closing_channel_takes_claims_but_no_money() {
    let world = World::dev();
    let params = world.open(1).await;
    let early = world
        .refusal(&world.payer, Call::FinishClose { params })
        .await;
    assert_eq!(early, Revert::NotClosing);
    let stranger = world
        .refusal(&world.payee, Call::StartClose { params })
        .await;
    assert_eq!(
        stranger,
        Revert::NotPayer {
            payer: params.payer
        }
    );
    world
        .send(&world.payer, Call::StartClose { params })
        .await
        .unwrap();
    let closes_at = world.state(&params).await.closes_at.unwrap();
    for call in [
        Call::StartClose { params },
        Call::TopUp {
            params,
            amount: wei(1),
        },
    ] {
        assert_eq!(
            world.refusal(&world.payer, call).await,
            Revert::IsClosing { closes_at }
        );
    }
    let claim = world.claim(&params, wei(0), &[(Words::new(1, 8, 10), 8)]);
    world.send(&world.payee, Call::Claim(claim)).await.unwrap();
    // Until the payer finishes, a late claim still counts: the payee loses nothing by the second.
    world.advance(25 * HOUR).await;
    let claim = world.claim(&params, wei(90), &[]);
    world.send(&world.payee, Call::Claim(claim)).await.unwrap();
    world
        .send(&world.payer, Call::FinishClose { params })
        .await
        .unwrap();
    assert_eq!(world.pot(&world.payee).await, wei(90));
}

#[tokio::test]
async fn a_closed_channel_stays_closed() {
    let world = World::dev();
    let params = world.open(1).await;
    let claim = world.claim(&params, wei(500), &[]);
    world
        .send(&world.payee, Call::CloseByPayee { params })
        .await
        .unwrap();
    world
        .send(&world.payer, Call::Approve { amount: DEPOSIT })
        .await
        .unwrap();
    let reopened = world
        .refusal(
            &world.payer,
            Call::Open {
                params,
                amount: wei(1),
            },
        )
        .await;
    assert_eq!(reopened, Revert::IdUsed);
    let until = world.now().await.plus(HOUR).as_secs();
    let dead = [
        (&world.payee, Call::Claim(claim)),
        (&world.payee, Call::CloseByPayee { params }),
        (
            &world.payer,
            Call::TopUp {
                params,
                amount: wei(1),
            },
        ),
        (&world.payer, Call::StartClose { params }),
        (&world.payer, Call::FinishClose { params }),
        (&world.payer, consent(&world, params, wei(1), until)),
    ];
    for (who, call) in dead {
        let name = call.name();
        assert_eq!(world.refusal(who, call).await, Revert::NotOpen, "{name}");
    }
}

#[tokio::test]
async fn the_contract_holds_what_it_owes() {
    let world = World::dev();
    let (a, b) = (world.open(1).await, world.open(2).await);
    world
        .send(&world.payee, Call::Claim(world.claim(&a, wei(700), &[])))
        .await
        .unwrap();
    world
        .send(&world.payee, Call::CloseByPayee { params: b })
        .await
        .unwrap();
    let held = world.tokens(world.pins.contract).await;
    let state = world.state(&a).await;
    let open = state.deposit.checked_sub(state.claimed).unwrap();
    let pots = world
        .pot(&world.payer)
        .await
        .checked_add(world.pot(&world.payee).await)
        .unwrap();
    assert_eq!(held, pots.checked_add(open).unwrap());
}
