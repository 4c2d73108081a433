//! A payer, a payee, a bystander and a chain: in this process, or an anvil.

use std::sync::Arc;
use std::time::Duration;

use warren_payments::calls::{Call, Claim, Reveal};
use warren_payments::chain::dev::DevChain;
use warren_payments::chain::{Chain, ChainError, ChannelState, Outcome, Receipt, Revert};
use warren_payments::tx::{SignedTx, UnsignedTx};
use warren_payments::wallet::WalletKey;
use warren_proto::{
    Amount, ChainRef, ChannelParams, HashLock, Lock, PayoutAddress, Preimage, UnixTime, Voucher,
};

use crate::anvil::Anvil;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DEPOSIT: Amount = wei(1_000_000);

pub(crate) const fn wei(wei: u64) -> Amount {
    Amount::from_wei_u64(wei)
}

pub(crate) fn key(index: u32) -> WalletKey {
    WalletKey::from_bytes(&DevChain::secret(index)).unwrap()
}

/// Who makes blocks.
pub(crate) enum Hands {
    Dev(DevChain),
    Anvil(Anvil),
}

pub(crate) struct World {
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) hands: Hands,
    pub(crate) pins: ChainRef,
    pub(crate) payer: WalletKey,
    pub(crate) payee: WalletKey,
    pub(crate) other: WalletKey,
}

impl World {
    /// On the chain in this process.
    pub(crate) fn dev() -> Self {
        let chain = DevChain::new(&Default::default());
        Self::on(Arc::new(chain.clone()), Hands::Dev(chain))
    }

    pub(crate) fn on(chain: Arc<dyn Chain>, hands: Hands) -> Self {
        let pins = chain.chain_ref();
        Self {
            chain,
            hands,
            pins,
            payer: key(0),
            payee: key(1),
            other: key(2),
        }
    }

    /// Makes a block that much later.
    pub(crate) async fn advance(&self, span: Duration) {
        match &self.hands {
            Hands::Dev(chain) => drop(chain.advance(span)),
            Hands::Anvil(anvil) => anvil.advance(span).await,
        }
    }

    pub(crate) async fn now(&self) -> UnixTime {
        self.chain.head().await.unwrap().timestamp
    }

    /// Simulates, sends, and waits for the block.
    pub(crate) async fn send(&self, who: &WalletKey, call: Call) -> Result<Receipt, ChainError> {
        let gas = self
            .chain
            .estimate(call.request(&self.pins, who.address()))
            .await?;
        let tx = self.sign(who, &call, gas + gas / 4).await;
        self.chain.submit_raw(tx.raw).await?;
        let receipt = loop {
            // A node of its own makes the block by itself, but not at once.
            match (self.chain.receipt(tx.hash).await?, &self.hands) {
                (Some(receipt), _) => break receipt,
                (None, Hands::Anvil(_)) => tokio::task::yield_now().await,
                (None, Hands::Dev(_)) => panic!("a block comes with each transaction"),
            }
        };
        assert_eq!(receipt.outcome, Outcome::Done, "{}", call.name());
        Ok(receipt)
    }

    pub(crate) async fn sign(&self, who: &WalletKey, call: &Call, gas_limit: u64) -> SignedTx {
        let fees = self.chain.fees().await.unwrap();
        let unsigned = UnsignedTx {
            chain_id: self.pins.chain_id,
            nonce: self.chain.nonce(who.address()).await.unwrap(),
            to: call.to(&self.pins),
            value: call.value(),
            gas_limit,
            max_fee: Amount::from_wei(fees.base_fee.wei() * 2 + fees.tip.wei()).unwrap(),
            tip: fees.tip,
            data: call.data(&self.pins),
        };
        unsigned.seal(&who.sign_tx_hash(&unsigned.signing_hash()))
    }

    /// Why the contract would not do it.
    pub(crate) async fn refusal(&self, who: &WalletKey, call: Call) -> Revert {
        let name = call.name();
        match self.send(who, call).await {
            Err(ChainError::Reverted(reason)) => reason,
            other => panic!("{name} should have been refused, got {other:?}"),
        }
    }

    pub(crate) fn params(&self, salt: u64) -> ChannelParams {
        let (payer, payee) = (self.payer.address(), self.payee.address());
        ChannelParams {
            payer,
            payee,
            period_secs: 24 * 3600,
            salt,
        }
    }

    /// An open channel with [`DEPOSIT`] in it.
    pub(crate) async fn open(&self, salt: u64) -> ChannelParams {
        let params = self.params(salt);
        self.send(&self.payer, Call::Approve { amount: DEPOSIT })
            .await
            .unwrap();
        self.send(
            &self.payer,
            Call::Open {
                params,
                amount: DEPOSIT,
            },
        )
        .await
        .unwrap();
        params
    }

    pub(crate) async fn state(&self, params: &ChannelParams) -> ChannelState {
        self.chain
            .channel(params.id(&self.pins))
            .await
            .unwrap()
            .expect("an opened channel")
    }

    pub(crate) async fn pot(&self, who: &WalletKey) -> Amount {
        self.chain.balance(who.address()).await.unwrap()
    }

    pub(crate) async fn tokens(&self, who: PayoutAddress) -> Amount {
        self.chain.token_balance(who).await.unwrap()
    }

    /// A voucher signed by the payer.
    pub(crate) fn voucher(&self, params: &ChannelParams, base: Amount, locks: &[Lock]) -> Voucher {
        let draft = Voucher {
            channel: params.id(&self.pins),
            seq: 1,
            base,
            locks: locks.to_vec(),
            signature: [0; 64],
        };
        self.payer.sign_voucher(draft, &self.pins)
    }

    /// A claim of `base` and, of each lock, of so many words.
    pub(crate) fn claim(
        &self,
        params: &ChannelParams,
        base: Amount,
        known: &[(Words, u32)],
    ) -> Claim {
        let locks: Vec<Lock> = known.iter().map(|(words, _)| words.lock).collect();
        let told = known.iter().enumerate().filter(|(_, (_, k))| *k > 0);
        let reveals = told
            .map(|(index, (words, k))| words.reveal(u16::try_from(index).unwrap(), *k))
            .collect();
        Claim {
            params: *params,
            voucher: self.voucher(params, base, &locks),
            reveals,
        }
    }
}

/// A lock with all its words.
#[derive(Clone)]
pub(crate) struct Words {
    pub(crate) lock: Lock,
    seed: Preimage,
}

impl Words {
    pub(crate) fn new(seed: u8, units: u32, unit_price: u64) -> Self {
        let seed = Preimage::from_bytes([seed; 32]);
        let anchor = HashLock::from_bytes(*seed.advance(units).expose());
        Self {
            lock: Lock {
                anchor,
                unit_price: wei(unit_price),
                units,
                expiry: 0,
            },
            seed,
        }
    }

    pub(crate) fn until(mut self, expiry: UnixTime) -> Self {
        self.lock.expiry = expiry.as_secs();
        self
    }

    pub(crate) fn word(&self, k: u32) -> Preimage {
        self.seed.advance(self.lock.units.saturating_sub(k))
    }

    pub(crate) fn reveal(&self, index: u16, k: u32) -> Reveal {
        Reveal {
            index,
            k,
            word: self.word(k),
        }
    }
}
