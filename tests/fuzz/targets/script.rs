//! What the core targets are built of: a reader of bytes as things that happen, keys, words and vouchers.

use std::cell::RefCell;
use std::collections::BTreeMap;

use warren_payments::channel::{ChannelTerms, Proof, Via};
use warren_payments::{VerifiedVoucher, WalletKey};
use warren_proto::{
    Amount, ChainRef, ChannelParams, HashLock, Lock, PaymentId, PayoutAddress, Preimage, UnixTime,
    Voucher, WordFrame,
};

/// When every life begins, chain seconds.
pub(crate) const DAWN: u64 = 1_800_000_000;
/// Words in each chain.
pub(crate) const UNITS: u32 = 40;
/// A longer script finds no more and costs time.
pub(crate) const LONGEST: usize = 600;
/// Vouchers kept at hand at most.
const KEPT: usize = 20_000;

/// Bytes read as things that happen; when they are over, every byte is zero.
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(&bytes[..bytes.len().min(LONGEST)])
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    pub(crate) fn is_set(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(crate) fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    /// A sum, some of the time a huge one.
    pub(crate) fn money(&mut self) -> Amount {
        let (size, low) = (self.byte(), u64::from(self.byte()));
        match size {
            0 => Amount::MAX,
            1 => Amount::from_wei(Amount::MAX.wei() - u128::from(low)).unwrap(),
            it => wei(u64::from(it % 4) * 256 + low),
        }
    }

    pub(crate) fn payment(&mut self) -> PaymentId {
        PaymentId::from_bytes([self.below(3); 16])
    }

    /// A true word of some chain, or none of any.
    pub(crate) fn word(&mut self) -> Preimage {
        match self.byte() {
            255 => Preimage::from_bytes([self.byte(); 32]),
            it => word(it % 4, u32::from(self.byte()) % (UNITS + 1)),
        }
    }

    pub(crate) fn frame(&mut self) -> WordFrame {
        WordFrame {
            lane: u32::from(self.below(6)),
            k: u32::from(self.byte()) % (UNITS + 2),
            word: self.word(),
        }
    }

    /// A lock that expires, unless `endless` says it may not.
    pub(crate) fn lock(&mut self, now: UnixTime) -> Lock {
        let (chain, at) = (self.below(4), u32::from(self.byte()) % UNITS);
        let life = u64::from(self.byte()) * 120;
        Lock {
            anchor: anchor(chain, at),
            unit_price: wei(u64::from(self.below(4))),
            units: UNITS - at,
            expiry: if life == 0 { 0 } else { now.as_secs() + life },
        }
    }

    pub(crate) fn voucher(&mut self, now: UnixTime) -> VerifiedVoucher {
        let (seq, base) = (u64::from(self.byte()), self.money());
        let locks = (0..self.below(4)).map(|_| self.lock(now)).collect();
        signed(seq, base, locks)
    }

    pub(crate) fn via(&mut self) -> Via {
        if self.is_set() {
            Via::Route
        } else {
            Via::Consumer
        }
    }

    pub(crate) fn proof(&mut self) -> Proof {
        if self.is_set() {
            Proof::OnChain
        } else {
            Proof::Told
        }
    }
}

pub(crate) const fn wei(wei: u64) -> Amount {
    Amount::from_wei_u64(wei)
}

pub(crate) fn word(chain: u8, k: u32) -> Preimage {
    thread_local! {
        static CHAINS: Vec<Vec<Preimage>> = (0..4).map(chain_of).collect();
    }
    CHAINS.with(|it| it[usize::from(chain)][k as usize].clone())
}

/// By rising worth: the anchor first.
fn chain_of(number: u8) -> Vec<Preimage> {
    let mut words = vec![Preimage::from_bytes([number + 1; 32])];
    for _ in 0..UNITS {
        words.push(words.last().unwrap().advance(1));
    }
    words.reverse();
    words
}

pub(crate) fn anchor(chain: u8, at: u32) -> HashLock {
    HashLock::from_bytes(*word(chain, at).expose())
}

/// Vouchers by number, base and locks: a signature costs more than all else here.
type Signed = BTreeMap<(u64, Amount, Vec<Lock>), VerifiedVoucher>;

thread_local! {
    static KEY: (WalletKey, ChannelTerms) = {
        let key = WalletKey::from_bytes(&[7; 32]).unwrap();
        let terms = terms_of(key.address());
        (key, terms)
    };
    static SIGNED: RefCell<Signed> = const { RefCell::new(Signed::new()) };
}

fn terms_of(payer: PayoutAddress) -> ChannelTerms {
    let at = |byte| PayoutAddress::from_bytes([byte; 20]);
    let params = ChannelParams {
        payer,
        payee: at(2),
        period_secs: 24 * 3600,
        salt: 3,
    };
    let chain = ChainRef {
        chain_id: 1,
        contract: at(0xc0),
        token: at(0x70),
    };
    ChannelTerms::new(params, chain)
}

/// The channel of every life.
pub(crate) fn terms() -> ChannelTerms {
    KEY.with(|(_, terms)| *terms)
}

/// The payer's voucher: signed once, for scripts ask for the same again and again.
pub(crate) fn signed(seq: u64, base: Amount, locks: Vec<Lock>) -> VerifiedVoucher {
    let name = (seq, base, locks);
    SIGNED.with_borrow_mut(|known| {
        if let Some(it) = known.get(&name) {
            return it.clone();
        }
        let (seq, base, locks) = name.clone();
        let voucher = KEY.with(|(key, terms)| {
            let unsigned = Voucher {
                channel: terms.id,
                seq,
                base,
                locks,
                signature: [0; 64],
            };
            let signed = key.sign_voucher(unsigned, &terms.chain);
            VerifiedVoucher::verify(signed, &terms.params, &terms.chain).unwrap()
        });
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(name, voucher.clone());
        voucher
    })
}
