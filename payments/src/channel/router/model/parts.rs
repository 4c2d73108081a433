//! What the model is built of: two channels, one chain of words, one payment.
//!
//! Sans-IO.

use warren_proto::{
    Amount, ChainRef, ChannelParams, HashLock, Hop, Lock, LockOffer, NodeId, PaymentId,
    PayoutAddress, Preimage, UnixTime, Voucher,
};

use super::world::{START, TICK, secs};
use super::{DOWN_LIFE, Mutant, UNITS};
use crate::channel::event::{ChainFact, PayeeEvent, PayerEffect, PayerEvent, VoucherDraft};
use crate::channel::routed::{Proof, RoutedNews, RoutedOrder, Via};
use crate::channel::router::{RouterPolicy, RouterRules};
use crate::channel::{ChannelTerms, PayeeChannel, PayerChannel, Rules};

pub(in crate::channel::router) const PAYMENT: PaymentId = PaymentId::from_bytes([7; 16]);
pub(in crate::channel::router) const DEPOSIT: Amount = Amount::from_wei_u64(100);
pub(in crate::channel::router) const PRICE: Amount = Amount::from_wei_u64(10);

/// The consumer's chain of words; `k` = 0 is the anchor.
pub(in crate::channel::router) fn word(k: u32) -> Preimage {
    Preimage::from_bytes([9; 32]).advance(UNITS - k)
}

pub(in crate::channel::router) fn rules() -> Rules {
    Rules {
        min_life_secs: TICK,
        ..Rules::default()
    }
}

/// The lock that the consumer gives, `gap` ticks longer than the exit's.
pub(in crate::channel::router) fn up_lock(gap: u64) -> Lock {
    Lock {
        anchor: HashLock::from_bytes(*word(0).expose()),
        unit_price: PRICE,
        units: UNITS,
        expiry: secs(DOWN_LIFE + gap),
    }
}

pub(in crate::channel::router) fn offer(lock: Lock, voucher: Voucher) -> LockOffer {
    LockOffer {
        payment: PAYMENT,
        voucher,
        lock,
        onward: vec![Hop {
            node: NodeId::from_bytes([3; 32]),
            unit_price: PRICE,
            expiry: secs(DOWN_LIFE),
        }],
        hold_fee: Amount::ZERO,
        sealed: None,
    }
}

pub(in crate::channel::router) fn fold(k: u32) -> RoutedOrder {
    RoutedOrder::Fold {
        payment: PAYMENT,
        k,
        word: word(k),
        proof: Proof::Told,
    }
}

pub(in crate::channel::router) fn learn(k: u32, word: &Preimage, via: Via) -> RoutedNews {
    RoutedNews::Word {
        payment: PAYMENT,
        k,
        word: word.clone(),
        via,
    }
}

pub(in crate::channel::router) fn terms(salt: u64, period: u64) -> ChannelTerms {
    let at = |byte| PayoutAddress::from_bytes([byte; 20]);
    let chain = ChainRef {
        chain_id: 7761,
        contract: at(0xc0),
        token: at(0x70),
    };
    let params = ChannelParams {
        payer: at(1),
        payee: at(2),
        period_secs: u32::try_from(period).unwrap(),
        salt,
    };
    ChannelTerms::new(params, chain)
}

pub(in crate::channel::router) fn payer(terms: ChannelTerms) -> PayerChannel {
    let deposit = PayerEvent::Chain(ChainFact::Deposit(DEPOSIT));
    let opening = PayerChannel::open(terms, 0, DEPOSIT, UNITS).next;
    opening.handle(&deposit, UnixTime::from_secs(START)).next
}

pub(in crate::channel::router) fn payee(terms: ChannelTerms, rules: Rules) -> PayeeChannel {
    let deposit = PayeeEvent::Chain(ChainFact::Deposit(DEPOSIT));
    let watching = PayeeChannel::watch(terms, rules);
    watching.handle(&deposit, UnixTime::from_secs(START)).next
}

pub(in crate::channel::router) fn voucher_of(
    channel: &PayerChannel,
    effects: &[PayerEffect],
) -> Option<Voucher> {
    let draft: VoucherDraft = effects.iter().rev().find_map(|it| match it {
        PayerEffect::SendVoucher(draft) => Some(draft.clone()),
        _ => None,
    })?;
    Some(Voucher {
        channel: channel.terms().id,
        seq: draft.seq,
        base: draft.base,
        locks: draft.routed, // These channels have no locks of their own.
        signature: [0; 64],
    })
}

impl Mutant {
    pub(in crate::channel::router) fn rules(self) -> RouterRules {
        let strict = RouterRules::new(RouterPolicy {
            fee_ppm: 0,
            ..RouterPolicy::default()
        });
        match self {
            Self::NoHopGap => RouterRules {
                hop_gap_secs: 0,
                ..strict
            },
            Self::NoCloseGap => RouterRules {
                close_gap_secs: 0,
                ..strict
            },
            Self::None | Self::SignFirst | Self::NoRescan | Self::FoldLate => strict,
        }
    }

    /// Ticks between the two expiries: as few as the rules let pass.
    pub(in crate::channel::router) fn gap(self) -> u64 {
        self.rules().hop_gap_secs / TICK
    }

    /// The close window upstream: as short as the rules let pass.
    pub(in crate::channel::router) fn period(self) -> u64 {
        DOWN_LIFE * TICK + self.rules().close_gap_secs
    }
}
