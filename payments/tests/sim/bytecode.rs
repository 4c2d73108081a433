//! The ledger of the schedules against the contract's real bytecode: what the one says of every call of
//! hundreds of schedules, the other says too.

use warren_payments::calls::Call;
use warren_payments::chain::dev::DevChain;
use warren_payments::chain::{Chain as _, ChannelStatus, Outcome};
use warren_payments::tx::UnsignedTx;
use warren_proto::{Amount, TxHash};

use crate::life::chain::{Block, Chain, FORTUNE};
use crate::life::names::{Who, dev_chain, secs, terms, wei};
use crate::life::schedule::Schedule;
use crate::life::world::World;

/// Schedules replayed.
const SEEDS: std::ops::Range<u64> = 500_000..500_300;

struct Twin {
    chain: DevChain,
    nonces: [u64; 2],
}

impl Twin {
    /// Both have money, and the payer has its fortune in the pot.
    async fn new() -> Self {
        let mut twin = Self {
            chain: dev_chain(),
            nonces: [0; 2],
        };
        let amount = Amount::from_wei(FORTUNE).unwrap();
        for call in [Call::Approve { amount }, Call::Deposit { amount }] {
            twin.submit(Who::Payer, &call).await;
        }
        twin.chain.mine();
        twin
    }

    async fn submit(&mut self, who: Who, call: &Call) -> TxHash {
        let pins = self.chain.chain_ref();
        let nonce = &mut self.nonces[who as usize];
        let unsigned = UnsignedTx {
            chain_id: pins.chain_id,
            nonce: *nonce,
            to: call.to(&pins),
            value: wei(0),
            gas_limit: 1_000_000,
            max_fee: wei(100_000_000_000),
            tip: wei(1_000_000_000),
            data: call.data(&pins),
        };
        *nonce += 1;
        let signed = unsigned.seal(&who.key().sign_tx_hash(&unsigned.signing_hash()));
        self.chain.submit_raw(signed.raw).await.unwrap()
    }

    /// The same block: same calls, same moment, same order.
    async fn follow(&mut self, ledger: &Chain, block: &Block) {
        let mut sent = Vec::new();
        for (tx, done) in &block.txs {
            let call = really_signed(ledger.call(tx.call));
            sent.push((self.submit(tx.who, &call).await, *done, call));
        }
        self.chain.mine_at(secs(block.time));
        for (hash, done, call) in sent {
            let receipt = self.chain.receipt(hash).await.unwrap().unwrap();
            assert_eq!(receipt.outcome == Outcome::Done, done, "{}", call.name());
        }
    }

    async fn compare(&self, block: &Block) {
        for who in [Who::Payer, Who::Payee] {
            let pot = self.chain.balance(who.key().address()).await.unwrap();
            assert_eq!(pot.wei(), block.state.pots[&who], "{who:?}");
        }
        let real = self.chain.channel(terms().id).await.unwrap();
        let book = block.state.books.get(&terms().id);
        assert_eq!(real.is_some(), book.is_some());
        if let (Some(real), Some(book)) = (real, book) {
            let (deposit, claimed) = (real.deposit.wei(), real.claimed.wei());
            assert_eq!((deposit, claimed), (book.deposit, book.claimed));
            assert_eq!(real.status == ChannelStatus::Closed, book.closed);
            if !book.closed {
                assert_eq!(real.closes_at.map(|it| it.as_secs()), book.closes_at);
            }
        }
        let held = self
            .chain
            .token_balance(terms().chain.contract)
            .await
            .unwrap();
        assert_eq!(held.wei(), FORTUNE, "I6");
    }
}

/// The ledger keeps a list of consents where the contract wants a signature.
fn really_signed(call: &Call) -> Call {
    let mut call = call.clone();
    if let Call::CoopClose {
        final_amount,
        not_after,
        signature,
        ..
    } = &mut call
    {
        let (key, terms) = (Who::Payee.key(), terms());
        *signature = key.sign_payee_close(&terms.chain, &terms.id, *final_amount, *not_after);
    }
    call
}

async fn replay(seed: u64) -> usize {
    let mut world = World::new(None);
    world.run(&Schedule::from_seed(seed)).unwrap();
    let mut twin = Twin::new().await;
    let mut calls = 0;
    for block in world.chain.blocks.iter().skip(1) {
        calls += block.txs.len();
        if block.txs.is_empty() {
            continue;
        }
        twin.follow(&world.chain, block).await;
        twin.compare(block).await;
    }
    calls
}

#[test]
fn the_bytecode_does_what_the_ledger_does() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let calls: usize = SEEDS.map(|seed| runtime.block_on(replay(seed))).sum();
    println!("{calls} calls");
    assert!(calls > 500, "schedules use the chain: {calls}");
}
