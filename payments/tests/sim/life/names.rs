//! Who there is, what they agreed on, and what they sign with; the same in every schedule.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use warren_payments::chain::dev::{DevAccount, DevChain, DevGenesis, Mining};
use warren_payments::chain::{Chain as _, Fees};
use warren_payments::channel::event::VoucherDraft;
use warren_payments::tx::TxRules;
use warren_payments::{ChannelTerms, VerifiedVoucher, WalletKey, WordChain, WordMaster};
use warren_proto::{Amount, ChannelParams, Lock, PayoutAddress, Preimage, UnixTime, Voucher};

use super::chain::FORTUNE;
use super::host::Breach;

/// A party. Of a direct channel there are two; a route has its consumer for a payer and its exit for a payee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Payer,
    Payee,
    Router,
    Tower,
}

/// The channel's close window.
pub(crate) const PERIOD_SECS: u32 = 3600;
/// Units served before they are paid.
pub(crate) const CREDIT_UNITS: u64 = 1;
/// Units paid before they are served.
pub(crate) const PREPAY_UNITS: u64 = 2;
/// Deeper than any reorganisation of a schedule, which go to 8 blocks.
pub(crate) const CONFIRMATIONS: u64 = 9;
/// Short tranches, so that schedules see many of them.
pub(crate) const TRANCHE_UNITS: u32 = 24;
/// The dearest unit.
pub(crate) const MOST_PRICE: u64 = 3;
/// The first deposit.
pub(crate) const DEPOSIT: u64 = 300;
/// When everything begins.
pub(crate) const DAWN: u64 = 1_800_000_000;

pub(crate) const TX_RULES: TxRules = TxRules {
    chain_id: 7761,
    confirmations: CONFIRMATIONS,
    bump_after_blocks: 3,
    fee_cap: wei(100_000),
    urgent: Duration::ZERO,
};

/// What gas costs while a block's own part is `base_fee`.
pub(crate) const fn fees(base_fee: u64) -> Fees {
    Fees {
        base_fee: wei(base_fee),
        floor: wei(base_fee),
        tip: wei(2),
    }
}

pub(crate) const fn wei(wei: u64) -> Amount {
    Amount::from_wei_u64(wei)
}

impl Who {
    pub(crate) const ALL: [Self; 4] = [Self::Payer, Self::Payee, Self::Router, Self::Tower];

    pub(crate) fn address(self) -> PayoutAddress {
        SAFE.with_borrow(|it| it.addresses[self as usize])
    }

    pub(crate) fn key(self) -> WalletKey {
        let secret = match self {
            Self::Payer => [7; 32],
            Self::Payee => [8; 32],
            Self::Router => [9; 32],
            Self::Tower => [10; 32],
        };
        WalletKey::from_bytes(&secret).unwrap()
    }
}

/// A chain of the real bytecode on which the payer has a fortune; empty but for that.
pub(crate) fn dev_chain() -> DevChain {
    let rich = |who: Who| DevAccount {
        owner: who.key().address(),
        native: Amount::from_wei(1_000_000_000_000_000_000_000).unwrap(),
        tokens: Amount::from_wei(FORTUNE).unwrap(),
    };
    DevChain::new(&DevGenesis {
        timestamp: secs(DAWN - 10),
        mining: Mining::Manual,
        accounts: [Who::Payer, Who::Payee].map(rich).to_vec(),
        ..DevGenesis::default()
    })
}

pub(crate) fn terms() -> ChannelTerms {
    SAFE.with_borrow(|it| it.terms)
}

/// All that a draft says: number, base, and tranche, price and length of its lock.
type Draft = (u64, Amount, Option<(u64, Amount, u32)>);

/// Signed vouchers and derived words: schedules ask for the same ones again and again.
struct Safe {
    key: WalletKey,
    master: WordMaster,
    terms: ChannelTerms,
    chains: BTreeMap<(u64, u32), WordChain>,
    vouchers: BTreeMap<Draft, VerifiedVoucher>,
    addresses: [PayoutAddress; 4],
}

/// Vouchers kept at hand at most.
const KEPT: usize = 100_000;

thread_local! {
    static SAFE: RefCell<Safe> = RefCell::new(Safe::new());
}

impl Safe {
    fn new() -> Self {
        let key = Who::Payer.key();
        let params = ChannelParams {
            payer: key.address(),
            payee: Who::Payee.key().address(),
            period_secs: PERIOD_SECS,
            salt: 1,
        };
        Self {
            key,
            master: WordMaster::from_bytes([9; 32]),
            terms: ChannelTerms::new(params, dev_chain().chain_ref()),
            chains: BTreeMap::new(),
            vouchers: BTreeMap::new(),
            addresses: Who::ALL.map(|it| it.key().address()),
        }
    }

    fn chain(&mut self, tranche: u64, units: u32) -> &WordChain {
        let (master, id) = (&self.master, &self.terms.id);
        let derive = || WordChain::derive(master, id, tranche, units);
        self.chains.entry((tranche, units)).or_insert_with(derive)
    }

    fn sign(&mut self, draft: &VoucherDraft) -> VerifiedVoucher {
        let locks = draft.lock.map(|it| Lock {
            anchor: self.chain(it.tranche, it.units).anchor(),
            unit_price: it.unit_price,
            units: it.units,
            expiry: 0,
        });
        let unsigned = Voucher {
            channel: self.terms.id,
            seq: draft.seq,
            base: draft.base,
            locks: locks.into_iter().collect(),
            signature: [0; 64],
        };
        let signed = self.key.sign_voucher(unsigned, &self.terms.chain);
        VerifiedVoucher::verify(signed, &self.terms.params, &self.terms.chain).unwrap()
    }
}

/// The voucher that the payer's wallet makes of a draft, as its payee believes it.
pub(crate) fn signed(draft: &VoucherDraft) -> VerifiedVoucher {
    let lock = draft.lock.map(|it| (it.tranche, it.unit_price, it.units));
    let name = (draft.seq, draft.base, lock);
    SAFE.with_borrow_mut(|safe| {
        if let Some(known) = safe.vouchers.get(&name) {
            return known.clone();
        }
        let voucher = safe.sign(draft);
        if safe.vouchers.len() >= KEPT {
            safe.vouchers.clear();
            safe.chains.clear();
        }
        safe.vouchers.insert(name, voucher.clone());
        voucher
    })
}

/// A voucher that comes from a disk, believed again.
pub(crate) fn verified(voucher: &Voucher) -> VerifiedVoucher {
    let terms = terms();
    VerifiedVoucher::verify(voucher.clone(), &terms.params, &terms.chain).unwrap()
}

/// What a payee believes of a voucher that the payer's own key signed for another chain, contract or channel: nothing.
/// One that does not look where it is for believes it.
pub(crate) fn elsewhere(
    draft: &VoucherDraft,
    which: u8,
    breach: Option<Breach>,
) -> Option<VerifiedVoucher> {
    let here = terms();
    let (mut params, mut chain) = (here.params, here.chain);
    match which / 6 % 3 {
        0 => chain.chain_id += 1,
        1 => chain.contract = PayoutAddress::from_bytes([0xee; 20]),
        _ => params.salt += 1,
    }
    let unsigned = Voucher {
        channel: params.id(&chain),
        seq: draft.seq,
        base: draft.base,
        locks: Vec::new(),
        signature: [0; 64],
    };
    let signed = Who::Payer.key().sign_voucher(unsigned, &chain);
    let here_too = Voucher {
        channel: here.id,
        ..signed.clone()
    };
    if breach == Some(Breach::TakesForeign) {
        return VerifiedVoucher::verify(signed, &params, &chain).ok();
    }
    let as_is = VerifiedVoucher::verify(signed, &here.params, &here.chain).ok();
    as_is.or_else(|| VerifiedVoucher::verify(here_too, &here.params, &here.chain).ok())
}

pub(crate) fn word(tranche: u64, units: u32, k: u32) -> Preimage {
    SAFE.with_borrow_mut(|safe| safe.chain(tranche, units).word(k).unwrap().clone())
}

pub(crate) fn secs(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}
