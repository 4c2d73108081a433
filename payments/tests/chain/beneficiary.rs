//! A pot whose way is fixed: the key that earned it cannot send it anywhere else.

use warren_payments::calls::Call;
use warren_payments::chain::{EventKind, Revert};
use warren_proto::{Amount, PayoutAddress};

use crate::world::{World, wei};

const SAFE: PayoutAddress = PayoutAddress::from_bytes([0x5a; 20]);

/// A payee with 500 in its pot, all of which may go to [`SAFE`] only.
async fn fixed() -> World {
    let world = World::dev();
    let params = world.open(1).await;
    let claim = world.claim(&params, wei(500), &[]);
    world.send(&world.payee, Call::Claim(claim)).await.unwrap();
    let owner = world.payee.address();
    let call = Call::SetBeneficiary { owner, to: SAFE };
    let receipt = world.send(&world.payee, call).await.unwrap();
    let said = EventKind::BeneficiaryChanged {
        owner,
        beneficiary: SAFE,
    };
    assert_eq!(receipt.events[0].kind, said);
    world
}

#[tokio::test]
async fn a_stolen_key_sends_the_pot_nowhere_else() {
    let world = fixed().await;
    let (owner, thief) = (world.payee.address(), world.other.address());
    assert_eq!(world.chain.beneficiary(owner).await.unwrap(), Some(SAFE));
    let amount = wei(1);
    let mut to_thief = world.params(7);
    (to_thief.payer, to_thief.payee) = (owner, thief);
    let tries = [
        Call::Withdraw { to: thief, amount },
        Call::SetBeneficiary { owner, to: thief },
        Call::OpenFromBalance {
            params: to_thief,
            amount,
        },
    ];
    let refusal = Revert::BeneficiaryFixed { beneficiary: SAFE };
    for call in tries {
        let name = call.name();
        assert_eq!(world.refusal(&world.payee, call).await, refusal, "{name}");
    }
    let call = Call::Withdraw { to: SAFE, amount };
    world.send(&world.payee, call).await.unwrap();
    assert_eq!(world.tokens(SAFE).await, amount);
}

#[tokio::test]
async fn anyone_pays_out_when_the_key_is_lost() {
    let world = fixed().await;
    let owner = world.payee.address();
    world
        .send(&world.other, Call::PayOut { owner })
        .await
        .unwrap();
    assert_eq!(world.tokens(SAFE).await, wei(500));
    assert_eq!(world.pot(&world.payee).await, Amount::ZERO);
    // The way stays fixed, and an empty pot is not paid out.
    let empty = world.refusal(&world.other, Call::PayOut { owner }).await;
    assert_eq!(empty, Revert::ZeroAmount);
}

#[tokio::test]
async fn a_free_pot_is_its_owners_alone() {
    let world = World::dev();
    let owner = world.payee.address();
    assert_eq!(world.chain.beneficiary(owner).await.unwrap(), None);
    let refusal = world.refusal(&world.other, Call::PayOut { owner }).await;
    assert_eq!(refusal, Revert::NoBeneficiary { owner });
    let to = world.other.address();
    let refusal = world
        .refusal(&world.other, Call::SetBeneficiary { owner, to })
        .await;
    assert_eq!(refusal, Revert::BeneficiaryFixed { beneficiary: owner });
}

#[tokio::test]
async fn a_beneficiary_passes_the_right_on() {
    let world = World::dev();
    let (owner, first) = (world.payee.address(), world.other.address());
    let call = Call::SetBeneficiary { owner, to: first };
    world.send(&world.payee, call).await.unwrap();
    let call = Call::SetBeneficiary { owner, to: SAFE };
    world.send(&world.other, call).await.unwrap();
    assert_eq!(world.chain.beneficiary(owner).await.unwrap(), Some(SAFE));
    let nowhere = Call::SetBeneficiary {
        owner,
        to: PayoutAddress::ZERO,
    };
    assert_eq!(
        world.refusal(&world.other, nowhere).await,
        Revert::BadParams
    );
}
