//! Two nodes with the product's own task, the contract's real bytecode, and what an action does to them.

use std::collections::VecDeque;
use std::time::Duration;

use warren_payments::chain::dev::{DevChain, Reorg};
use warren_payments::chain::{Chain as _, ChannelState};
use warren_payments::store::Fault;
use warren_payments::{PayFrame, Phase, Wallet};
use warren_proto::{Amount, ChannelId, UnixTime, VoucherAck};

use crate::life::names::{CREDIT_UNITS, dev_chain, wei};
use crate::life::schedule::{Action, Kind};
use crate::node::{CONFIRMATIONS, Node};
use crate::shaky::Moods;

/// Worth of a unit, of the deposit and of what is topped up.
const UNIT: u64 = 2;
const DEPOSIT: u64 = 300;
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

const PHRASES: [&str; 2] = [
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
    "legal winner thank year wave sausage worth useful legal winner thank yellow",
];

pub(crate) struct Market {
    pub(crate) chain: DevChain,
    pub(crate) payer: Node,
    pub(crate) payee: Node,
    pub(crate) channel: ChannelId,
    pub(crate) frames: VecDeque<PayFrame>,
    /// What may be claimed, as whoever saw all frames knows.
    pub(crate) most: u128,
    pub(crate) base: u128,
    pub(crate) acked: u128,
    pub(crate) served: u128,
    pub(crate) credit: u128,
    /// Units of this session: served, and asked to be paid.
    pub(crate) session: Option<(u64, u64)>,
}

fn wallets() -> [Wallet; 2] {
    // The phrases are those of BIP 39's examples, so that a seed says everything. Each is derived once; clones are cheap.
    static WALLETS: std::sync::OnceLock<[Wallet; 2]> = std::sync::OnceLock::new();
    let made = WALLETS.get_or_init(|| PHRASES.map(|it| Wallet::from_phrase(it).unwrap()));
    made.clone()
}

impl Market {
    pub(crate) fn open() -> Self {
        let chain = dev_chain();
        let [one, two] = wallets();
        let coin = Amount::from_wei(1_000_000_000_000_000_000).unwrap();
        for wallet in [&one, &two] {
            chain.fund(wallet.account(), coin, wei(100_000)).unwrap();
        }
        chain.mine_many(4);
        let (payer, payee) = (Node::new(&chain, one), Node::new(&chain, two));
        let to = payee.wallet.account();
        let opened = payer.ask(|it| async move { it.open_channel(to, wei(DEPOSIT), HOUR).await });
        Self {
            chain,
            payer,
            payee,
            channel: opened.unwrap().unwrap(),
            frames: VecDeque::new(),
            most: 0,
            base: 0,
            acked: 0,
            served: 0,
            credit: 0,
            session: None,
        }
    }

    fn node(&mut self, a: u8) -> &mut Node {
        if a & 1 == 0 {
            &mut self.payer
        } else {
            &mut self.payee
        }
    }

    pub(crate) fn act(&mut self, action: Action) {
        let Action { kind, a, b, c } = action;
        match kind {
            Kind::Deliver => (0..1 + c % 3).for_each(|_| self.deliver(0)),
            Kind::Drop => drop(self.frames.pop_front()),
            Kind::Duplicate => {
                let first = self.frames.front().cloned();
                self.deliver(0);
                self.frames.extend(first);
            }
            Kind::Reorder => self.deliver(usize::from(b)),
            Kind::Work | Kind::Forge => self.work(a, b),
            Kind::Mine | Kind::Spike | Kind::Forget => self.mine(1 + u32::from(b % 3)),
            // The node here is one: it lags instead.
            Kind::Lag | Kind::Lie => {
                let behind = 1 + u64::from(b % 8);
                self.node(a).mood(Moods {
                    behind,
                    ..Moods::default()
                });
            }
            Kind::Reorg => {
                let fate = if b & 1 == 0 { Reorg::Keep } else { Reorg::Drop };
                // Less deep than news counts.
                let depth = 1 + usize::from(a) % (usize::try_from(CONFIRMATIONS).unwrap() - 1);
                self.chain.reorg(depth, fate).unwrap();
            }
            Kind::Rpc => {
                let moods = Moods {
                    deaf: 1 + u32::from(b % 20),
                    swallows: c & 1 == 1,
                    behind: 0,
                };
                self.node(a).mood(moods);
            }
            Kind::Skew => self.node(a).mood(Moods::default()),
            Kind::Crash => self.crash(a, b),
            Kind::Slow => {
                // The disk fails under a process that does not end, and gets well again.
                let node = self.node(a);
                node.spoil(Some(Fault::LoseFrom(u64::from(c % 4))));
                self.mine(1);
                self.deliver(0);
                self.node(a).spoil(None);
            }
            Kind::Settle => self.settle(a),
        }
    }

    fn crash(&mut self, a: u8, b: u8) {
        let fault = match b % 4 {
            0 | 1 => None,
            2 => Some(Fault::LoseFrom(u64::from(b / 64))),
            _ => Some(Fault::KeepThenFail(u64::from(b / 64))),
        };
        if fault.is_some() {
            self.node(a).spoil(fault);
            self.work(1, b);
            self.deliver(0);
            self.mine(1);
        }
        self.node(a).restart();
        if a & 1 == 1 {
            self.session = None;
        } else if b & 8 == 0 {
            self.session = None;
            self.frames.clear();
        }
    }

    /// Blocks, and a look of both at them.
    pub(crate) fn mine(&mut self, blocks: u32) {
        self.chain.mine_many(blocks);
        self.payer.live(2);
        self.payee.live(2);
    }

    fn say(&mut self, frames: Vec<PayFrame>) {
        for frame in frames {
            match &frame {
                PayFrame::Voucher(it) => self.base = it.base.wei(),
                PayFrame::Word(it) => {
                    self.most = self
                        .most
                        .max(self.base + u128::from(UNIT * u64::from(it.k)));
                }
            }
            self.most = self.most.max(self.base);
            if self.frames.len() < 64 {
                self.frames.push_back(frame);
            }
        }
    }

    pub(crate) fn deliver(&mut self, place: usize) {
        let Some(frame) = self.frames.remove(place % self.frames.len().max(1)) else {
            return;
        };
        let channel = self.channel;
        let taken = self.payee.ask(|it| async move {
            match frame {
                PayFrame::Voucher(voucher) => it.accept_voucher(voucher).await,
                PayFrame::Word(word) => it.accept_word(channel, word).await,
            }
        });
        if let Some(Ok(accepted)) = taken {
            self.tell(accepted.ack);
        }
    }

    fn tell(&mut self, ack: VoucherAck) {
        self.acked = self.acked.max(ack.value_now.wei());
        let frames = self.payer.ask(|it| async move { it.payee_saw(ack).await });
        if let Some(Ok(frames)) = frames {
            self.say(frames);
        }
    }

    pub(crate) fn work(&mut self, a: u8, b: u8) {
        let channel = self.channel;
        match (a % 8, self.session) {
            (0, None) => self.begin(),
            (1..=3, Some((served, _))) => self.pay(served + 2),
            (4 | 5, Some(_)) => (0..1 + b % 3).for_each(|_| self.serve()),
            (6, _) => {
                let frames = self.payer.ask(|it| async move { it.repeat(channel).await });
                self.say(frames.and_then(Result::ok).unwrap_or_default());
                let held = self.payee.ask(|it| async move { it.held(channel).await });
                if let Some(Ok(held)) = held {
                    self.tell(held.ack);
                }
            }
            (7, Some(_)) if b.is_multiple_of(4) => self.finish(),
            _ => {}
        }
    }

    fn begin(&mut self) {
        let channel = self.channel;
        let begun = self
            .payee
            .ask(|it| async move { it.begin_session(channel, wei(UNIT)).await });
        let voucher = self
            .payer
            .ask(|it| async move { it.prepare_lock(channel, wei(UNIT)).await });
        if let (Some(Ok(_)), Some(Ok(voucher))) = (begun, voucher) {
            self.credit += u128::from(CREDIT_UNITS * UNIT);
            self.session = Some((0, 0));
            self.say(vec![PayFrame::Voucher(voucher)]);
        }
    }

    fn pay(&mut self, units: u64) {
        let channel = self.channel;
        let frames = self
            .payer
            .ask(|it| async move { it.release(channel, units).await });
        if let Some(Ok(frames)) = frames {
            self.say(frames);
        }
    }

    fn serve(&mut self) {
        let channel = self.channel;
        let view = self.payee.ask(|it| async move {
            let open = it
                .channels()
                .await?
                .iter()
                .any(|it| it.phase == Phase::Open);
            Ok::<_, warren_payments::PaymentsError>((open, it.held(channel).await?.units))
        });
        if let (Some(Ok((true, paid))), Some((served, _))) = (view, self.session.as_mut())
            && *served < paid + CREDIT_UNITS
        {
            *served += 1;
            self.served += u128::from(UNIT);
        }
    }

    pub(crate) fn finish(&mut self) {
        let channel = self.channel;
        self.session = None;
        let last = self.payer.ask(|it| async move { it.finish(channel).await });
        if let Some(Ok(last)) = last {
            self.say(vec![PayFrame::Voucher(last)]);
        }
    }

    pub(crate) fn settle(&mut self, a: u8) {
        let channel = self.channel;
        match a {
            0..110 => drop(self.payee.ask(|it| async move { it.claim(channel).await })),
            110..190 => {
                drop(
                    self.payer
                        .ask(|it| async move { it.top_up(channel, wei(40)).await }),
                );
            }
            190..225 => drop(
                self.payer
                    .ask(|it| async move { it.close(channel, None).await }),
            ),
            _ => self.agree_to_close(),
        }
    }

    pub(crate) fn agree_to_close(&mut self) {
        let (channel, until) = (self.channel, self.time().plus(Duration::from_secs(600)));
        let consent = self
            .payee
            .ask(|it| async move { it.consent_to_close(channel, until).await });
        if let Some(Ok(consent)) = consent {
            self.session = None;
            drop(
                self.payer
                    .ask(|it| async move { it.close(channel, Some(consent)).await }),
            );
        }
    }

    fn time(&self) -> UnixTime {
        self.chain.tip().timestamp
    }

    pub(crate) fn state(&self) -> Option<ChannelState> {
        let asked = crate::node::at_once(self.chain.channel(self.channel));
        asked.unwrap()
    }
}
