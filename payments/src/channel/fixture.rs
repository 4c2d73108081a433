//! A payer and a payee for the tests of the cores.

pub(crate) mod routed;

use warren_proto::{
    Amount, ChainRef, ChannelParams, HashLock, Lock, PayoutAddress, UnixTime, Voucher, WordFrame,
};

use super::event::{ChainFact, PayeeEvent, PayerEvent};
use super::{ChannelTerms, PayeeChannel, PayerChannel, Rules};
use crate::voucher::VerifiedVoucher;
use crate::wallet::WalletKey;
use crate::words::{WordChain, WordMaster};

pub(crate) const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);

pub(crate) fn wei(amount: u64) -> Amount {
    Amount::from_wei_u64(amount)
}

pub(crate) fn key() -> WalletKey {
    WalletKey::from_bytes(&[7; 32]).unwrap()
}

pub(crate) fn terms() -> ChannelTerms {
    let chain = ChainRef {
        chain_id: 7761,
        contract: PayoutAddress::from_bytes([0xc0; 20]),
        token: PayoutAddress::from_bytes([0x70; 20]),
    };
    let payee = PayoutAddress::from_bytes([2; 20]);
    let params = ChannelParams {
        payer: key().address(),
        payee,
        period_secs: 3600,
        salt: 1,
    };
    ChannelTerms::new(params, chain)
}

pub(crate) fn words(tranche: u64, units: u32) -> WordChain {
    WordChain::derive(
        &WordMaster::from_bytes([9; 32]),
        &terms().id,
        tranche,
        units,
    )
}

/// A lock without expiry whose words are `words(tranche, units)`.
pub(crate) fn lock(tranche: u64, unit_price: u64, units: u32) -> Lock {
    let anchor: HashLock = words(tranche, units).anchor();
    Lock {
        anchor,
        unit_price: wei(unit_price),
        units,
        expiry: 0,
    }
}

pub(crate) fn voucher(seq: u64, base: u64, locks: Vec<Lock>) -> VerifiedVoucher {
    let terms = terms();
    let draft = Voucher {
        channel: terms.id,
        seq,
        base: wei(base),
        locks,
        signature: [0; 64],
    };
    let signed = key().sign_voucher(draft, &terms.chain);
    VerifiedVoucher::verify(signed, &terms.params, &terms.chain).unwrap()
}

pub(crate) fn word(tranche: u64, units: u32, k: u32) -> WordFrame {
    WordFrame {
        lane: 0,
        k,
        word: words(tranche, units).word(k).unwrap().clone(),
    }
}

pub(crate) fn open_payee(deposit: u64) -> PayeeChannel {
    let watching = PayeeChannel::watch(terms(), Rules::default());
    watching
        .handle(&PayeeEvent::Chain(ChainFact::Deposit(wei(deposit))), NOON)
        .next
}

pub(crate) fn open_payer(deposit: u64) -> PayerChannel {
    let opening = PayerChannel::open(terms(), 0, wei(deposit), 256).next;
    opening
        .handle(&PayerEvent::Chain(ChainFact::Deposit(wei(deposit))), NOON)
        .next
}
