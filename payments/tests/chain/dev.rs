//! The chain in this process behaves like a chain: pool rules, time, reorganisations.

use std::time::Duration;

use warren_payments::calls::Call;
use warren_payments::chain::dev::{DevChain, DevGenesis, Mining, Reorg};
use warren_payments::chain::{Chain as _, ChainError, Outcome};
use warren_payments::tx::{SignedTx, UnsignedTx};
use warren_payments::wallet::WalletKey;
use warren_proto::{Amount, PayoutAddress, UnixTime};

use crate::world::{key, wei};

const GWEI: u64 = 1_000_000_000;
const TO: PayoutAddress = PayoutAddress::from_bytes([0xaa; 20]);

fn manual() -> DevChain {
    DevChain::new(&DevGenesis {
        mining: Mining::Manual,
        ..DevGenesis::default()
    })
}

/// A transfer of `value` tokens at so many gwei, half of it tip.
fn unsigned_transfer(chain: &DevChain, nonce: u64, gwei: u64, value: u64) -> UnsignedTx {
    let pins = chain.chain_ref();
    let call = Call::Transfer {
        to: TO,
        amount: wei(value),
    };
    UnsignedTx {
        chain_id: pins.chain_id,
        nonce,
        to: call.to(&pins),
        value: Amount::ZERO,
        gas_limit: 100_000,
        max_fee: wei(gwei * GWEI),
        tip: wei(gwei * GWEI / 2),
        data: call.data(&pins),
    }
}

fn transfer(chain: &DevChain, who: &WalletKey, nonce: u64, gwei: u64, value: u64) -> SignedTx {
    let unsigned = unsigned_transfer(chain, nonce, gwei, value);
    unsigned.seal(&who.sign_tx_hash(&unsigned.signing_hash()))
}

/// The same transfer under the other signature that fits it: `n - s` and the other parity.
fn high_s(chain: &DevChain, who: &WalletKey) -> Vec<u8> {
    const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let unsigned = unsigned_transfer(chain, 0, 10, 1);
    let mut signature = who.sign_tx_hash(&unsigned.signing_hash());
    let order = hex::decode(ORDER).unwrap();
    let mut borrow = 0;
    for place in (0..32).rev() {
        let difference = i16::from(order[place]) - i16::from(signature[32 + place]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + place] = u8::try_from(difference + borrow * 256).unwrap();
    }
    signature[64] ^= 1;
    unsigned.seal(&signature).raw
}

#[tokio::test]
async fn the_same_steps_make_the_same_hashes() {
    let run = || async {
        let chain = DevChain::new(&DevGenesis::default());
        chain
            .submit_raw(transfer(&chain, &key(0), 0, 10, 1).raw)
            .await
            .unwrap();
        chain.advance(Duration::from_secs(60))
    };
    assert_eq!(run().await, run().await);
}

#[tokio::test]
async fn time_moves_only_when_told() {
    let chain = manual();
    let start = chain.tip().timestamp;
    let after = |secs| start.plus(Duration::from_secs(secs));
    assert_eq!(chain.mine().timestamp, after(1));
    assert_eq!(
        chain.mine_at(UnixTime::from_secs(1)).timestamp,
        after(1),
        "never back"
    );
    assert_eq!(
        chain.advance(Duration::from_secs(100)).timestamp,
        after(101)
    );
    chain.set_clock(after(500));
    assert_eq!(
        chain.mine_many(3).timestamp,
        after(500),
        "as long as the clock stands"
    );
    chain.set_clock(after(400));
    assert_eq!(chain.mine().timestamp, after(500));
    assert_eq!(chain.tip().number, 7);
}

#[tokio::test]
async fn the_pool_knows_the_rules() {
    let chain = manual();
    let rich = key(0);
    let first = transfer(&chain, &rich, 0, 10, 1);
    assert_eq!(chain.submit_raw(first.raw.clone()).await, Ok(first.hash));
    assert_eq!(
        chain.submit_raw(first.raw.clone()).await,
        Ok(first.hash),
        "twice is once"
    );
    assert_eq!(chain.waiting(), 1);
    let cheap = transfer(&chain, &rich, 0, 10, 2);
    assert_eq!(
        chain.submit_raw(cheap.raw).await,
        Err(ChainError::Underpriced)
    );
    let better = transfer(&chain, &rich, 0, 12, 3);
    assert_eq!(chain.submit_raw(better.raw).await, Ok(better.hash));
    let later = transfer(&chain, &rich, 2, 50, 4);
    chain.submit_raw(later.raw).await.unwrap();
    chain.mine();
    assert_eq!(chain.receipt(first.hash).await, Ok(None), "replaced");
    assert_eq!(
        chain.receipt(better.hash).await.unwrap().unwrap().outcome,
        Outcome::Done
    );
    assert_eq!(chain.waiting(), 1, "nonce 2 waits for nonce 1");
    assert_eq!(
        chain.submit_raw(first.raw).await,
        Err(ChainError::NonceTooLow)
    );
    let pauper = WalletKey::from_bytes(&[0x11; 32]).unwrap();
    let broke = transfer(&chain, &pauper, 0, 10, 1);
    assert_eq!(
        chain.submit_raw(broke.raw).await,
        Err(ChainError::NoGasMoney)
    );
    assert_eq!(chain.token_balance(TO).await, Ok(wei(3)));
}

#[tokio::test]
async fn garbage_and_foreign_transactions_are_refused() {
    let chain = manual();
    let good = transfer(&chain, &key(0), 0, 10, 1);
    let other = DevChain::new(&DevGenesis {
        chain_id: 1,
        ..DevGenesis::default()
    });
    let foreign = transfer(&other, &key(0), 0, 10, 1);
    let mut long = good.raw.clone();
    long.push(0);
    let cut = good.raw[..good.raw.len() - 1].to_vec();
    let raws = [
        vec![],
        vec![2],
        cut,
        long,
        foreign.raw,
        high_s(&chain, &key(0)),
    ];
    for raw in raws {
        let refused = chain.submit_raw(raw.clone()).await;
        assert!(
            matches!(refused, Err(ChainError::Refused { .. })),
            "{raw:?}: {refused:?}"
        );
    }
    assert_eq!(chain.waiting(), 0);
}

#[tokio::test]
async fn a_dear_block_leaves_cheap_transactions_waiting() {
    let chain = manual();
    let (cheap, dear) = (
        transfer(&chain, &key(0), 0, 5, 1),
        transfer(&chain, &key(1), 0, 100, 1),
    );
    for tx in [&cheap, &dear] {
        chain.submit_raw(tx.raw.clone()).await.unwrap();
    }
    chain.set_base_fee(wei(20 * GWEI));
    chain.mine();
    let receipt = chain.receipt(dear.hash).await.unwrap().unwrap();
    assert_eq!(
        receipt.gas_price,
        wei(70 * GWEI),
        "base fee and tip, not the whole maximum"
    );
    assert_eq!(chain.receipt(cheap.hash).await, Ok(None));
    chain.set_base_fee(wei(GWEI));
    chain.mine();
    assert!(chain.receipt(cheap.hash).await.unwrap().is_some());
}

#[tokio::test]
async fn a_reorganisation_takes_back_what_happened() {
    let chain = manual();
    chain.mine_many(3);
    let tx = transfer(&chain, &key(0), 0, 10, 5);
    chain.submit_raw(tx.raw.clone()).await.unwrap();
    let old = chain.mine();
    let newer = chain.mine();
    let head = chain.reorg(2, Reorg::Drop).unwrap();
    assert_eq!(head.number, newer.number + 1);
    let replaced = chain.block(old.number).await.unwrap().unwrap();
    assert_ne!(replaced.hash, old.hash);
    assert_eq!(replaced.parent, old.parent);
    assert_eq!(chain.receipt(tx.hash).await, Ok(None));
    assert_eq!(chain.token_balance(TO).await, Ok(Amount::ZERO));
    assert_eq!(chain.nonce(key(0).address()).await, Ok(0));

    chain.submit_raw(tx.raw).await.unwrap();
    let mined = chain.mine();
    chain.reorg(1, Reorg::Keep).unwrap();
    let receipt = chain.receipt(tx.hash).await.unwrap().unwrap();
    assert_eq!(receipt.block, mined.number);
    assert_ne!(receipt.block_hash, mined.hash);
    assert_eq!(chain.token_balance(TO).await, Ok(wei(5)));
    assert_eq!(chain.reorg(500, Reorg::Keep).unwrap_err().depth, 500);
}

#[tokio::test]
async fn the_faucet_gives() {
    let chain = DevChain::new(&DevGenesis::default());
    let to = PayoutAddress::from_bytes([0xbb; 20]);
    chain.fund(to, wei(7), wei(9)).unwrap();
    chain.fund(to, wei(1), wei(1)).unwrap();
    assert_eq!(chain.native_balance(to).await, Ok(wei(8)));
    assert_eq!(chain.token_balance(to).await, Ok(wei(10)));
}

#[tokio::test]
async fn the_contract_lies_at_the_same_place_on_every_dev_chain() {
    let (a, b) = (
        manual(),
        DevChain::new(&DevGenesis {
            chain_id: 5,
            ..DevGenesis::default()
        }),
    );
    assert_eq!(a.chain_ref().contract, b.chain_ref().contract);
    assert_eq!(a.chain_ref().token, b.chain_ref().token);
    a.verify_contract().await.unwrap();
    b.verify_contract().await.unwrap();
}
