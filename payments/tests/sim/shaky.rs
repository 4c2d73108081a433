//! A chain whose node does not answer, answers late, or shows an older chain.

use std::sync::{Mutex, PoisonError};

use warren_payments::chain::dev::DevChain;
use warren_payments::chain::{
    CallRequest, Chain, ChainError, ChainEvent, ChainFuture, ChannelState, Fees, Head, Receipt,
};
use warren_proto::{Amount, ChainRef, ChannelId, PayoutAddress, TxHash};

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moods {
    /// Questions that get no answer.
    pub(crate) deaf: u32,
    /// Whether what is sent arrives though its answer is lost.
    pub(crate) swallows: bool,
    /// Blocks that the node is behind.
    pub(crate) behind: u64,
}

/// One party's node.
#[derive(Debug)]
pub(crate) struct Shaky {
    chain: DevChain,
    moods: Mutex<Moods>,
}

impl Shaky {
    pub(crate) fn new(chain: DevChain) -> Self {
        Self {
            chain,
            moods: Mutex::default(),
        }
    }

    pub(crate) fn set(&self, moods: Moods) {
        *self.moods.lock().unwrap_or_else(PoisonError::into_inner) = moods;
    }

    fn moods(&self) -> Moods {
        *self.moods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails while the node is deaf.
    fn heard(&self) -> Result<(), ChainError> {
        let mut moods = self.moods.lock().unwrap_or_else(PoisonError::into_inner);
        if moods.deaf == 0 {
            return Ok(());
        }
        moods.deaf -= 1;
        Err(ChainError::Unreachable {
            detail: "deaf".to_owned(),
        })
    }

    /// The newest block that the node shows.
    fn top(&self) -> u64 {
        self.chain.tip().number.saturating_sub(self.moods().behind)
    }

    fn if_heard<'a, T: Send + 'a>(&'a self, answer: ChainFuture<'a, T>) -> ChainFuture<'a, T> {
        match self.heard() {
            Ok(()) => answer,
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

impl Chain for Shaky {
    fn chain_ref(&self) -> ChainRef {
        self.chain.chain_ref()
    }

    fn verify_contract(&self) -> ChainFuture<'_, ()> {
        self.if_heard(self.chain.verify_contract())
    }

    fn head(&self) -> ChainFuture<'_, Head> {
        let top = self.top();
        self.if_heard(Box::pin(async move {
            let head = self.chain.block(top).await?;
            head.ok_or(ChainError::Unreachable {
                detail: "no block".to_owned(),
            })
        }))
    }

    fn block(&self, number: u64) -> ChainFuture<'_, Option<Head>> {
        if number > self.top() {
            return self.if_heard(Box::pin(std::future::ready(Ok(None))));
        }
        self.if_heard(self.chain.block(number))
    }

    fn channel(&self, id: ChannelId) -> ChainFuture<'_, Option<ChannelState>> {
        self.if_heard(self.chain.channel(id))
    }

    fn balance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount> {
        self.if_heard(self.chain.balance(owner))
    }

    fn beneficiary(&self, owner: PayoutAddress) -> ChainFuture<'_, Option<PayoutAddress>> {
        self.if_heard(self.chain.beneficiary(owner))
    }

    fn token_decimals(&self) -> ChainFuture<'_, Option<u8>> {
        self.if_heard(self.chain.token_decimals())
    }

    fn token_balance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount> {
        self.if_heard(self.chain.token_balance(owner))
    }

    fn allowance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount> {
        self.if_heard(self.chain.allowance(owner))
    }

    fn native_balance(&self, owner: PayoutAddress) -> ChainFuture<'_, Amount> {
        self.if_heard(self.chain.native_balance(owner))
    }

    fn events(&self, from: u64, to: u64) -> ChainFuture<'_, Vec<ChainEvent>> {
        self.if_heard(self.chain.events(from, to.min(self.top())))
    }

    fn nonce(&self, owner: PayoutAddress) -> ChainFuture<'_, u64> {
        self.if_heard(self.chain.nonce(owner))
    }

    fn submit_raw(&self, raw: Vec<u8>) -> ChainFuture<'_, TxHash> {
        Box::pin(async move {
            let heard = self.heard();
            if heard.is_ok() || self.moods().swallows {
                let taken = self.chain.submit_raw(raw).await;
                return heard.and(taken);
            }
            heard.map(|()| TxHash::from_bytes([0; 32]))
        })
    }

    fn receipt(&self, tx: TxHash) -> ChainFuture<'_, Option<Receipt>> {
        let top = self.top();
        self.if_heard(Box::pin(async move {
            let receipt = self.chain.receipt(tx).await?;
            Ok(receipt.filter(|it| it.block <= top))
        }))
    }

    fn calldata(&self, tx: TxHash) -> ChainFuture<'_, Option<Vec<u8>>> {
        self.if_heard(self.chain.calldata(tx))
    }

    fn call(&self, request: CallRequest) -> ChainFuture<'_, Vec<u8>> {
        self.if_heard(self.chain.call(request))
    }

    fn estimate(&self, request: CallRequest) -> ChainFuture<'_, u64> {
        self.if_heard(self.chain.estimate(request))
    }

    fn fees(&self) -> ChainFuture<'_, Fees> {
        self.if_heard(self.chain.fees())
    }
}
