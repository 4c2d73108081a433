//! What nodes refuse, in words we know: ours and a foreign one must be understood alike.

use warren_payments::calls::Call;
use warren_payments::chain::{ChainError, Revert};
use warren_payments::wallet::WalletKey;
use warren_proto::PayoutAddress;

use crate::world::{HOUR, World, wei};

const TO: PayoutAddress = PayoutAddress::from_bytes([0xaa; 20]);

/// Refusals in the words of whichever node this is; also run against anvil.
pub(crate) async fn refusals(world: &World) {
    let params = world.params(9);
    let broke = world
        .refusal(
            &world.payer,
            Call::Withdraw {
                to: TO,
                amount: wei(1),
            },
        )
        .await;
    assert_eq!(
        broke,
        Revert::Insufficient {
            balance: wei(0),
            wanted: wei(1)
        }
    );
    let poor = world
        .refusal(
            &world.payer,
            Call::Open {
                params,
                amount: wei(8),
            },
        )
        .await;
    assert_eq!(
        poor,
        Revert::TokenAllowance {
            allowance: wei(0),
            wanted: wei(8)
        }
    );
    let used = world
        .sign(
            &world.payer,
            &Call::Transfer {
                to: TO,
                amount: wei(1),
            },
            100_000,
        )
        .await;
    world.chain.submit_raw(used.raw.clone()).await.unwrap();
    world.advance(HOUR).await;
    let again = world.chain.submit_raw(used.raw).await;
    assert!(
        matches!(again, Err(ChainError::NonceTooLow) | Ok(_)),
        "{again:?}"
    );
    let pauper = WalletKey::from_bytes(&[0x33; 32]).unwrap();
    let broke = world
        .sign(
            &pauper,
            &Call::Transfer {
                to: TO,
                amount: wei(0),
            },
            100_000,
        )
        .await;
    assert_eq!(
        world.chain.submit_raw(broke.raw).await,
        Err(ChainError::NoGasMoney)
    );
}

#[tokio::test]
async fn a_dev_chain_refuses_in_words_we_know() {
    refusals(&World::dev()).await;
}
