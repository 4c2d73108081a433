//! Laws of the two cores against a trivial ledger: whatever both sides, the stream and the disks do.

use proptest::prelude::*;
use warren_payments::channel::event::{
    ChainFact, PayeeEffect, PayeeEvent, PayerEffect, PayerEvent, VoucherDraft,
};
use warren_payments::channel::{PayeeChannel, PayerChannel, Rules};
use warren_payments::{ChannelTerms, VerifiedVoucher, WalletKey, WordChain, WordMaster};
use warren_proto::{
    Amount, ChainRef, ChannelParams, PayoutAddress, Preimage, UnixTime, Voucher, WordFrame,
};

const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);
const DEPOSIT: u64 = 5_000;

#[derive(Debug, Clone)]
enum Action {
    Begin { price: u64 },
    Release { more: u64 },
    ReleaseAndLose { more: u64 },
    Finish,
    Replay { at: usize },
    Forge { k: u32 },
    PayerCrash,
    PayeeCrash,
    TopUp { more: u64 },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => (1..4_u64).prop_map(|price| Action::Begin { price }),
        6 => (1..80_u64).prop_map(|more| Action::Release { more }),
        1 => (1..80_u64).prop_map(|more| Action::ReleaseAndLose { more }),
        1 => Just(Action::Finish),
        2 => (0..50_usize).prop_map(|at| Action::Replay { at }),
        1 => (1..300_u32).prop_map(|k| Action::Forge { k }),
        1 => Just(Action::PayerCrash),
        1 => Just(Action::PayeeCrash),
        1 => (1..500_u64).prop_map(|more| Action::TopUp { more }),
    ]
}

#[derive(Debug, Clone)]
enum Frame {
    Voucher(Voucher),
    Word(WordFrame),
}

struct World {
    key: WalletKey,
    terms: ChannelTerms,
    payer: PayerChannel,
    payer_disk: Vec<u8>,
    payee: PayeeChannel,
    payee_disk: Vec<u8>,
    now: UnixTime,
    sent: Vec<Frame>,
    asked: u64,
    /// The model: the most that was ever promised plus released, seen from outside.
    truth: u128,
    deposit: u64,
}

impl World {
    fn new() -> Self {
        let key = WalletKey::from_bytes(&[7; 32]).unwrap();
        let chain = ChainRef {
            chain_id: 7761,
            contract: PayoutAddress::from_bytes([0xc0; 20]),
            token: PayoutAddress::from_bytes([0x70; 20]),
        };
        let payee = PayoutAddress::from_bytes([2; 20]);
        let params = ChannelParams {
            payer: key.address(),
            payee,
            period_secs: 3600,
            salt: 1,
        };
        let terms = ChannelTerms::new(params, chain);
        let payer = PayerChannel::open(terms, 0, Amount::from_wei_u64(DEPOSIT), 64).next;
        let payee = PayeeChannel::watch(terms, Rules::default());
        let (payer_disk, payee_disk) = (payer.encode(), payee.encode());
        let mut world = Self {
            key,
            terms,
            payer,
            payer_disk,
            payee,
            payee_disk,
            now: NOON,
            sent: Vec::new(),
            asked: 0,
            truth: 0,
            deposit: 0,
        };
        world.deposit(DEPOSIT);
        world
    }

    fn deposit(&mut self, more: u64) {
        self.deposit += more;
        let fact = ChainFact::Deposit(Amount::from_wei_u64(self.deposit));
        self.pay(&PayerEvent::Chain(fact));
        self.earn(&PayeeEvent::Chain(fact));
    }

    /// One event of the payer: saved, then performed into frames.
    fn pay(&mut self, event: &PayerEvent) -> Vec<Frame> {
        let step = self.payer.handle(event, self.now);
        if step.save {
            self.payer_disk = step.next.encode();
        }
        self.payer = step.next;
        let mut frames = Vec::new();
        for effect in step.effects {
            match effect {
                PayerEffect::SendVoucher(draft) => frames.push(Frame::Voucher(self.sign(draft))),
                PayerEffect::SendWord { tranche, units, k } => {
                    let word = self.words(tranche, units).word(k).unwrap().clone();
                    frames.push(Frame::Word(WordFrame { lane: 0, k, word }));
                    self.truth = self.truth.max(self.payer.value().wei());
                }
                PayerEffect::TopUpNeeded { .. }
                | PayerEffect::RunningLow
                | PayerEffect::Refuse(_)
                | PayerEffect::Stranger
                | PayerEffect::SendRoutedWord { .. }
                | PayerEffect::Submit(_)
                | PayerEffect::Book(_) => {}
            }
        }
        self.truth = self
            .truth
            .max(self.payer.draft().map_or(0, |it| it.base.wei()));
        self.sent.extend(frames.iter().cloned());
        frames
    }

    fn earn(&mut self, event: &PayeeEvent) -> bool {
        let step = self.payee.handle(event, self.now);
        if step.save {
            self.payee_disk = step.next.encode();
        }
        self.payee = step.next;
        step.effects
            .iter()
            .any(|it| matches!(it, PayeeEffect::Credit(_)))
    }

    fn deliver(&mut self, frames: Vec<Frame>) {
        for frame in frames {
            let taken = match frame {
                Frame::Voucher(it) => {
                    let verified =
                        VerifiedVoucher::verify(it, &self.terms.params, &self.terms.chain);
                    self.earn(&PayeeEvent::Voucher(verified.unwrap()))
                }
                Frame::Word(it) => self.earn(&PayeeEvent::Word(it)),
            };
            if !taken {
                // As a session would: tell the payer what is held, and send what it answers.
                break;
            }
        }
    }

    fn sync(&mut self) {
        let ack = self.payee.acknowledgement(self.now);
        let frames = self.pay(&PayerEvent::PayeeSaw(ack));
        self.deliver(frames);
    }

    fn words(&self, tranche: u64, units: u32) -> WordChain {
        WordChain::derive(
            &WordMaster::from_bytes([9; 32]),
            &self.terms.id,
            tranche,
            units,
        )
    }

    fn sign(&self, draft: VoucherDraft) -> Voucher {
        let unsigned = Voucher {
            channel: self.terms.id,
            seq: draft.seq,
            base: draft.base,
            locks: draft.locks(|it| self.words(it.tranche, it.units).anchor()),
            signature: [0; 64],
        };
        self.key.sign_voucher(unsigned, &self.terms.chain)
    }

    fn begin(&mut self, price: u64) {
        self.asked = 0;
        let unit_price = Amount::from_wei_u64(price);
        self.earn(&PayeeEvent::RunBegins { unit_price });
        let frames = self.pay(&PayerEvent::LockAsked { unit_price });
        self.deliver(frames);
        self.sync();
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Begin { price } => self.begin(*price),
            Action::Release { more } => {
                self.asked = self.payer.released() + more;
                let frames = self.pay(&PayerEvent::ReleaseAsked { units: self.asked });
                self.deliver(frames);
            }
            Action::ReleaseAndLose { more } => {
                self.asked = self.payer.released() + more;
                let _lost = self.pay(&PayerEvent::ReleaseAsked { units: self.asked });
                // The stream broke: a new one begins with the newest voucher.
                let frames = self.pay(&PayerEvent::FinalAsked);
                self.deliver(frames);
            }
            Action::Finish => {
                let frames = self.pay(&PayerEvent::FinalAsked);
                self.deliver(frames);
            }
            Action::Replay { at } => {
                let old = self.sent.get(*at % self.sent.len().max(1)).cloned();
                self.deliver(old.into_iter().collect());
            }
            Action::Forge { k } => {
                let word = Preimage::from_bytes([5; 32]);
                let before = self.payee.value(self.now);
                self.earn(&PayeeEvent::Word(WordFrame {
                    lane: 0,
                    k: *k,
                    word,
                }));
                assert_eq!(
                    self.payee.value(self.now),
                    before,
                    "a forged word is worth nothing"
                );
            }
            Action::PayerCrash => {
                self.payer = PayerChannel::decode(&self.payer_disk).unwrap();
                self.begin(2);
            }
            Action::PayeeCrash => {
                self.payee = PayeeChannel::decode(&self.payee_disk, Rules::default()).unwrap();
            }
            Action::TopUp { more } => self.deposit(*more),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// I3: nobody can claim what was not released. I7 and I4: what the payee holds never falls, not
    /// by a crash either. Coverage: neither side ever exceeds the deposit.
    #[test]
    fn whatever_happens_the_money_is_what_was_released(
        actions in prop::collection::vec(action(), 1..60)
    ) {
        let mut world = World::new();
        let mut best = 0;
        for action in &actions {
            world.act(action);
            let value = world.payee.value(world.now).wei();
            prop_assert!(value <= world.truth, "{value} claimable, {} released", world.truth);
            prop_assert!(value <= u128::from(world.deposit));
            prop_assert!(world.payer.value().wei() <= u128::from(world.deposit));
            prop_assert!(value >= best, "{value} after {best}: {action:?}");
            best = value;
            let claim = world.payee.claim_now(world.now);
            prop_assert_eq!(claim.is_some(), world.payee.claimable(world.now) > Amount::ZERO);
        }
        // After an honest end both agree to the last wei.
        world.sync();
        let frames = world.pay(&PayerEvent::FinalAsked);
        world.deliver(frames);
        world.sync();
        prop_assert_eq!(world.payer.value(), world.payee.value(world.now));
    }
}
