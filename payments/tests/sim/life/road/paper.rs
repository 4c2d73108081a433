//! The two channels of a route, and what their payers sign; the same in every schedule.

use std::cell::RefCell;
use std::collections::BTreeMap;

use warren_payments::chain::Chain as _;
use warren_payments::channel::event::VoucherDraft;
use warren_payments::{ChannelTerms, VerifiedVoucher, WalletKey, WordChain, WordMaster};
use warren_proto::{Amount, ChannelId, ChannelParams, Lock, Preimage, Voucher};

use super::super::contract::Line;
use super::super::names::{Who, dev_chain};

/// The close window: beyond the exit's lock and the hop gap, as R2 wants it.
const PERIOD_SECS: u32 = 10_000;
/// Vouchers kept at hand at most.
const KEPT: usize = 50_000;

type Name = (ChannelId, u64, Amount, Vec<Lock>);

struct Desk {
    up: ChannelTerms,
    down: ChannelTerms,
    keys: [WalletKey; 2],
    master: WordMaster,
    chains: BTreeMap<(u64, u32), WordChain>,
    signed: BTreeMap<Name, VerifiedVoucher>,
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::new(Desk::new());
}

impl Desk {
    fn new() -> Self {
        let chain = dev_chain().chain_ref();
        let terms = |payer: Who, payee: Who, salt| {
            let params = ChannelParams {
                payer: payer.address(),
                payee: payee.address(),
                period_secs: PERIOD_SECS,
                salt,
            };
            ChannelTerms::new(params, chain)
        };
        Self {
            up: terms(Who::Payer, Who::Router, 2),
            down: terms(Who::Router, Who::Payee, 3),
            keys: [Who::Payer, Who::Router].map(Who::key),
            master: WordMaster::from_bytes([5; 32]),
            chains: BTreeMap::new(),
            signed: BTreeMap::new(),
        }
    }

    fn sign(&self, name: &Name) -> VerifiedVoucher {
        let (channel, seq, base, locks) = name.clone();
        let is_up = channel == self.up.id;
        let terms = if is_up { &self.up } else { &self.down };
        let unsigned = Voucher {
            channel,
            seq,
            base,
            locks,
            signature: [0; 64],
        };
        let signed = self.keys[usize::from(!is_up)].sign_voucher(unsigned, &terms.chain);
        VerifiedVoucher::verify(signed, &terms.params, &terms.chain).unwrap()
    }
}

/// The consumer's channel to the router.
pub(crate) fn up() -> ChannelTerms {
    DESK.with_borrow(|it| it.up)
}

/// The router's channel to the exit.
pub(crate) fn down() -> ChannelTerms {
    DESK.with_borrow(|it| it.down)
}

pub(crate) fn lines() -> Vec<Line> {
    vec![
        Line {
            terms: up(),
            payer: Who::Payer,
            payee: Who::Router,
        },
        Line {
            terms: down(),
            payer: Who::Router,
            payee: Who::Payee,
        },
    ]
}

/// The voucher that its payer's wallet makes of a draft. No channel here has locks of its own.
pub(crate) fn voucher(channel: ChannelId, draft: VoucherDraft) -> VerifiedVoucher {
    believed((channel, draft.seq, draft.base, draft.routed))
}

/// A voucher that came over a wire. Nobody forges signatures here, so what was signed is looked up.
pub(crate) fn verified(it: &Voucher) -> VerifiedVoucher {
    believed((it.channel, it.seq, it.base, it.locks.clone()))
}

fn believed(name: Name) -> VerifiedVoucher {
    DESK.with_borrow_mut(|desk| {
        if let Some(known) = desk.signed.get(&name) {
            return known.clone();
        }
        let voucher = desk.sign(&name);
        if desk.signed.len() >= KEPT {
            desk.signed.clear();
        }
        desk.signed.insert(name, voucher.clone());
        voucher
    })
}

/// The consumer's chain of words, anchor first.
pub(crate) fn words(tranche: u64, units: u32) -> WordChain {
    DESK.with_borrow_mut(|desk| {
        let (master, id) = (&desk.master, &desk.up.id);
        if desk.chains.len() >= KEPT {
            desk.chains.clear();
        }
        let chain = desk
            .chains
            .entry((tranche, units))
            .or_insert_with(|| WordChain::derive(master, id, tranche, units));
        chain.clone()
    })
}

pub(crate) fn word(tranche: u64, units: u32, k: u32) -> Preimage {
    words(tranche, units).word(k).unwrap().clone()
}
