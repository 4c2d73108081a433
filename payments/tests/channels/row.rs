//! Two routers in a row, on the real contract: consumer, router, router, exit, and three channels.

use std::collections::VecDeque;
use std::time::Duration;

use warren_payments::chain::Chain as _;
use warren_payments::chain::dev::DevChain;
use warren_payments::channel::router::Stage;
use warren_payments::channel::router::rules::with_fee;
use warren_payments::channel::router::sealed;
use warren_payments::{PaymentsConfig, PaymentsError, RouteAsk, RouteOut, RouterPolicy};
use warren_proto::{Amount, ChannelId, LockReady, LockReject, NodeKey, RouteFrame, RouterHint};

use crate::party::{Party, UNIT, assert_conserved, units, wei};
use crate::routed::{claimed, now, open_for_a_day, tomorrow};
use crate::street::{FEE_PPM, HOLD_FEE, hint, routing};

const UNITS: u32 = 100;
/// The exit's place.
const EXIT: u8 = 3;
const HOUR_SECS: u64 = 3600;
/// Nobody waits for ever for a row to become quiet.
const MAX_FRAMES: usize = 64;

/// Four nodes; channel `i` is paid by node `i` to node `i + 1`.
struct Row {
    chain: DevChain,
    parties: [Party; 4],
    channels: [ChannelId; 3],
}

/// What came to the consumer's ears.
#[derive(Default)]
struct Heard {
    ready: Option<LockReady>,
    rejects: Vec<LockReject>,
}

/// The key of the node at this place.
fn node_key(place: u8) -> NodeKey {
    NodeKey::from_seed(&[place + 1; 32])
}

fn without_hold_fee() -> PaymentsConfig {
    let fees = routing();
    let policy = fees.router.map(|it| RouterPolicy {
        hold_fee: Amount::ZERO,
        ..it
    });
    PaymentsConfig {
        router: policy,
        ..fees
    }
}

impl Row {
    async fn open(second: PaymentsConfig) -> Self {
        let chain = tomorrow();
        let (consumer, exit) = (Party::rich(&chain).await, Party::rich(&chain).await);
        let (_, wallet, disk) = Party::rich(&chain).await.stop();
        let first = Party::start_as(&chain, wallet, disk, routing());
        let (_, wallet, disk) = Party::rich(&chain).await.stop();
        let second = Party::start_as(&chain, wallet, disk, second);
        let channels = [
            open_for_a_day(&consumer, &first, units(1000)).await,
            open_for_a_day(&first, &second, units(1000)).await,
            open_for_a_day(&second, &exit, units(1000)).await,
        ];
        Self {
            chain,
            parties: [consumer, first, second, exit],
            channels,
        }
    }

    /// What a unit is worth on each channel: the exit's price, and each router's fee on what it gives on.
    fn prices() -> [Amount; 3] {
        let exit = wei(UNIT);
        let second = with_fee(exit, FEE_PPM);
        [with_fee(second, FEE_PPM), second, exit]
    }

    /// Locks from end to end.
    async fn lock(&self) -> Heard {
        let hints = [1, 2].map(|place: u8| {
            let account = self.parties[usize::from(place)].account();
            RouterHint {
                node: node_key(place).id(),
                hold_fee: wei(if place == 1 { HOLD_FEE } else { 0 }),
                ..hint(self.chain.chain_ref(), account)
            }
        });
        let routers = (&hints[0], Some(&hints[1]));
        let exit = (node_key(EXIT).id(), wei(UNIT));
        let ask = RouteAsk::through(routers, self.channels[0], exit, UNITS, now(&self.chain));
        let ask = ask.unwrap();
        let prices = [ask.unit_price, ask.onward[0].unit_price];
        assert_eq!(prices, [Self::prices()[0], Self::prices()[1]]);
        let offer = self.parties[0].payments.offer_lock(ask).await.unwrap();
        let frame = RouteFrame::Offer(Box::new(offer));
        let channel = self.channels[0];
        self.carry(0, vec![RouteOut { channel, frame }]).await
    }

    /// Carries frames and what comes of them until nobody has anything to say.
    async fn carry(&self, from: usize, outs: Vec<RouteOut>) -> Heard {
        let mut way: VecDeque<_> = outs.into_iter().map(|it| (from, it)).collect();
        let mut heard = Heard::default();
        for _ in 0..MAX_FRAMES {
            let Some((sender, RouteOut { channel, frame })) = way.pop_front() else {
                return heard;
            };
            let place = self.channels.iter().position(|it| *it == channel).unwrap();
            let to = if sender == place { place + 1 } else { place };
            let payments = &self.parties[to].payments;
            let bytes = frame.encode();
            // Between the consumer and the first router, either way, nothing names the exit.
            let exit = node_key(EXIT).id();
            let names_exit = bytes.windows(32).any(|it| it == exit.as_bytes());
            assert!(!names_exit || place > 0, "{frame:?}");
            let answers = match RouteFrame::decode(&bytes).unwrap() {
                RouteFrame::Offer(offer) if offer.onward.is_empty() && offer.sealed.is_none() => {
                    let taken = payments.take_lock(*offer, wei(UNIT), 0).await.unwrap();
                    heard.ready = Some(taken.ready);
                    let frame = RouteFrame::Ready(taken.ready);
                    vec![RouteOut { channel, frame }]
                }
                RouteFrame::Offer(mut offer) => {
                    let onward = self.channels[to];
                    if let Some(it) = offer.sealed.filter(|_| offer.onward.is_empty()) {
                        let key = node_key(u8::try_from(to).unwrap());
                        let hop = sealed::open(&it, &key, &offer.payment).unwrap();
                        (offer.onward, offer.sealed) = (vec![hop], None);
                    }
                    payments.lock_onward(*offer, onward).await.unwrap()
                }
                frame @ (RouteFrame::Ready(_)
                | RouteFrame::Reject(_)
                | RouteFrame::Fulfill(_)
                | RouteFrame::Voucher(_)
                | RouteFrame::VoucherAck(_)
                | RouteFrame::PayError { .. }) => {
                    if let RouteFrame::Reject(it) = &frame
                        && to == 0
                    {
                        heard.rejects.push(*it);
                    }
                    payments.route_frame(channel, frame).await.unwrap()
                }
            };
            way.extend(answers.into_iter().map(|it| (to, it)));
        }
        panic!("the row does not become quiet");
    }

    async fn pay(&self, ready: LockReady, to: u32) -> Result<Amount, PaymentsError> {
        let (payer, payee) = (&self.parties[0].payments, &self.parties[3].payments);
        let mut paid = Amount::ZERO;
        for word in payer.release_routed(self.channels[0], ready, to).await? {
            paid = payee.accept_routed_word(ready, word).await?.paid;
        }
        Ok(paid)
    }

    async fn stages(&self) -> [Vec<Stage>; 2] {
        let mut all = [Vec::new(), Vec::new()];
        for (place, stages) in all.iter_mut().enumerate() {
            let routes = self.parties[place + 1].payments.routes().await.unwrap();
            stages.extend(routes.iter().map(|it| it.stage));
        }
        all
    }

    async fn look(&mut self) {
        for place in 0..4 {
            self.parties[place].payments.refresh().await.unwrap();
            let mut outs = Vec::new();
            while let Ok(event) = self.parties[place].events.try_recv() {
                if let warren_payments::PaymentEvent::Route(out) = event {
                    outs.push(*out);
                }
            }
            self.carry(place, outs).await;
        }
    }
}

#[tokio::test]
async fn two_routers_are_paid_by_the_same_words_and_the_books_balance_to_the_wei() {
    let mut row = Row::open(without_hold_fee()).await;
    let heard = row.lock().await;
    let ready = heard.ready.unwrap();
    let consumer = &row.parties[0].payments;
    consumer.lock_ready(row.channels[0], ready).await.unwrap();
    assert_eq!(row.stages().await, [[Stage::Live], [Stage::Live]]);
    assert_eq!(row.pay(ready, 3).await.unwrap(), units(3));

    // The offer is long over, and so is what a router waits for an answer (R6).
    row.chain.advance(Duration::from_secs(120));
    row.look().await;
    assert_eq!(row.pay(ready, 40).await.unwrap(), units(40));

    // A fold goes all the way up, and the next words come after it.
    let asked = row.parties[3].payments.fulfill(ready, false).await.unwrap();
    row.carry(3, asked.into_iter().collect()).await;
    assert_eq!(row.pay(ready, 70).await.unwrap(), units(70));

    // The exit says no more, and claims: the others learn the words from the chain, one after the other.
    row.parties[3]
        .payments
        .claim(row.channels[2])
        .await
        .unwrap();
    row.look().await;
    row.look().await;
    row.chain.advance(Duration::from_secs(4 * HOUR_SECS));
    row.look().await;
    row.look().await;
    assert_eq!(
        row.stages().await,
        [Vec::new(), Vec::new()],
        "settled and forgotten"
    );
    for place in [1, 2] {
        let channel = row.channels[place - 1];
        // It may have claimed by itself already.
        let _done = row.parties[place].payments.claim(channel).await;
        row.parties[place].payments.refresh().await.unwrap();
    }

    let mut sums = Vec::new();
    for channel in row.channels {
        sums.push(claimed(&row.chain, channel).await);
    }
    let [first, second, exit] = Row::prices().map(|it| it.checked_mul(70).unwrap());
    let first = first.checked_add(wei(HOLD_FEE)).unwrap();
    assert_eq!(sums, [first, second, exit]);
    let accounts: Vec<_> = row.parties.iter().map(Party::account).collect();
    assert_conserved(&row.chain, &accounts, &row.channels).await;
}

/// A router pays no other's hold fee: a hop has no word for it. The second one then takes no lock, and the
/// consumer hears that its own may be held.
#[tokio::test]
async fn a_second_router_that_wants_a_hold_fee_takes_no_lock_and_costs_nobody_more() {
    let mut row = Row::open(routing()).await;
    let heard = row.lock().await;
    assert!(heard.ready.is_none(), "the exit was never asked");
    assert_eq!(heard.rejects.len(), 1);
    assert!(heard.rejects[0].held);
    row.chain.advance(Duration::from_secs(4 * HOUR_SECS));
    row.look().await;
    row.look().await;
    assert_eq!(row.stages().await, [Vec::new(), Vec::new()]);
    assert_eq!(claimed(&row.chain, row.channels[1]).await, wei(0));
}
