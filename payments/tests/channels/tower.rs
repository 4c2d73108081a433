//! Towers on the real contract: an absent payee loses nothing, and a tower can do nothing else.

use std::sync::Arc;
use std::time::Duration;

use warren_payments::chain::dev::DevChain;
use warren_payments::chain::{Chain, ChannelStatus};
use warren_payments::tower::{self, NONCE_BYTES, TowerConfig, TowerRules, TowerService};
use warren_payments::{Evidence, PaymentEvent};
use warren_proto::{Amount, ChannelId, Locator, NodeId, TowerPut, TowerVerdict};

use crate::party::{HOUR, Party, assert_conserved, begin, open, pay, units, wei, world};

const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const PAYEE: NodeId = NodeId::from_bytes([1; 32]);
const STRANGER: NodeId = NodeId::from_bytes([2; 32]);

/// A node that is a tower.
pub(crate) struct Keep {
    pub(crate) party: Party,
    pub(crate) service: TowerService,
}

impl Keep {
    pub(crate) async fn on(chain: &DevChain) -> Self {
        Self::of(chain, Party::rich(chain).await).await
    }

    /// Starts, and has seen the chain when this returns.
    pub(crate) async fn of(chain: &DevChain, party: Party) -> Self {
        Self::by(Arc::new(chain.clone()), party, Duration::from_millis(10)).await
    }

    /// The same for one that is told of the chain by others.
    pub(crate) async fn by(at: Arc<dyn Chain>, party: Party, poll: Duration) -> Self {
        let config = TowerConfig {
            rules: TowerRules::default(),
            min_gain: wei(1),
            poll,
            max_silence: Duration::from_secs(60),
            max_head_age: None,
        };
        let store = Arc::new(party.store.clone());
        let service = TowerService::start(at, store, party.payments.clone(), config).unwrap();
        service.refresh().await.unwrap();
        Self { party, service }
    }

    pub(crate) async fn puts(&self, owner: NodeId, put: TowerPut) -> TowerVerdict {
        self.service.put(owner, put).await.verdict
    }

    /// Pulls the plug and starts again with what is on disk.
    async fn restarted(self, chain: &DevChain) -> Self {
        Self::of(chain, self.party.restarted().await).await
    }
}

/// What a payee leaves with a tower, as it stands now.
pub(crate) async fn sealed(payee: &Party, channel: ChannelId, number: u64) -> TowerPut {
    let evidence = payee.payments.evidence(channel).await.unwrap().unwrap();
    seal(&evidence, channel, (number, far_ahead(payee.chain())))
}

fn seal(evidence: &Evidence, channel: ChannelId, (number, until): (u64, u64)) -> TowerPut {
    tower::put(&channel, evidence, (number, until), [7; NONCE_BYTES]).unwrap()
}

fn far_ahead(chain: &DevChain) -> u64 {
    chain.tip().timestamp.as_secs() + 30 * 24 * 3600
}

async fn claimed(chain: &DevChain, channel: ChannelId) -> Amount {
    chain.channel(channel).await.unwrap().unwrap().claimed
}

/// Waits until the payee was paid exactly this much; fails at once should it be more.
pub(crate) async fn claimed_when(chain: &DevChain, channel: ChannelId, wanted: Amount) {
    let reached = async {
        loop {
            let claimed = claimed(chain, channel).await;
            assert!(claimed <= wanted);
            if claimed == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap();
}

/// The payer's window runs out and it takes the rest.
async fn window_over(chain: &DevChain, payer: &mut Party, channel: ChannelId) {
    chain.advance(HOUR);
    payer.hear(|it| *it == PaymentEvent::Closed(channel)).await;
}

#[tokio::test]
async fn a_payee_away_for_the_whole_window_loses_nothing_thanks_to_its_tower() {
    for has_tower in [true, false] {
        let chain = world();
        let (mut payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
        let keep = Keep::on(&chain).await;
        let channel = open(&payer, &payee, units(1000)).await;
        begin(&payer, &payee, channel).await;
        pay(&payer, &payee, channel, 0, 320).await;
        if has_tower {
            let put = sealed(&payee, channel, 1).await;
            assert_eq!(keep.puts(PAYEE, put).await, TowerVerdict::Kept);
        }
        let account = payee.account();
        drop(payee); // For good.

        payer.payments.close(channel, None).await.unwrap();
        keep.service.refresh().await.unwrap();
        chain.advance(HOUR / 2); // The payee had its quarter.
        let saved = if has_tower { units(320) } else { wei(0) };
        claimed_when(&chain, channel, saved).await;
        window_over(&chain, &mut payer, channel).await;

        assert_eq!(chain.balance(account).await.unwrap(), saved);
        let rest = Amount::from_wei(units(1000).wei() - saved.wei()).unwrap();
        assert_eq!(payer.pot().await, rest);
        // All a tower gets is its gas bill.
        assert_eq!(keep.party.pot().await, wei(0));
        let owners = [payer.account(), account, keep.party.account()];
        assert_conserved(&chain, &owners, &[channel]).await;
        if has_tower {
            let view = keep.service.view().await.unwrap();
            assert_eq!((view.claims, view.saved), (1, units(320)));
        }
    }
}

#[tokio::test]
async fn an_old_put_brings_what_it_was_worth_and_a_newer_one_the_rest() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let keep = Keep::on(&chain).await;
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 100).await;
    let old = sealed(&payee, channel, 1).await;
    pay(&payer, &payee, channel, 100, 250).await;
    let new = sealed(&payee, channel, 2).await;
    keep.puts(PAYEE, old.clone()).await;
    drop(payee);

    payer.payments.close(channel, None).await.unwrap();
    keep.service.refresh().await.unwrap();
    chain.advance(HOUR / 2);
    claimed_when(&chain, channel, units(100)).await;
    // What the payee had put elsewhere, or puts when it is back for a moment, in time.
    assert_eq!(keep.puts(PAYEE, new).await, TowerVerdict::Kept);
    assert_eq!(keep.puts(PAYEE, old).await, TowerVerdict::Older);
    chain.advance(HOUR / 4);
    claimed_when(&chain, channel, units(250)).await;
}

#[tokio::test]
async fn garbage_and_foreign_puts_harm_nobody_and_cost_no_gas() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let keep = Keep::on(&chain).await;
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 50).await;
    let good = sealed(&payee, channel, 1).await;
    let evidence = payee.payments.evidence(channel).await.unwrap().unwrap();
    let params = evidence.params;

    // Bytes that are no claim; a claim whose money should go to the stranger; one with a word that
    // was never released; one signed by nobody; one of another channel under this one's name.
    let junk = TowerPut {
        sealed: vec![0xab; 700],
        number: u64::MAX,
        ..good.clone()
    };
    let mut redirected = evidence.clone();
    redirected.params.payee = keep.party.account();
    let mut greedy = evidence.clone();
    greedy.best[0].k += 1;
    let mut forged = evidence.clone();
    forged.voucher.base = units(500);
    let elsewhere = open(&payer, &payee, units(10)).await;
    begin(&payer, &payee, elsewhere).await;
    let other = payee.payments.evidence(elsewhere).await.unwrap().unwrap();
    let bad = [redirected, greedy, forged, other];
    for (number, evidence) in (2..).zip(&bad) {
        let owner = NodeId::from_bytes([number; 32]);
        let put = seal(evidence, channel, (number.into(), far_ahead(&chain)));
        assert_eq!(
            keep.puts(owner, put).await,
            TowerVerdict::Kept,
            "nobody can tell yet"
        );
    }
    let last = NodeId::from_bytes([9; 32]);
    assert_eq!(keep.puts(last, junk).await, TowerVerdict::Kept);
    assert_eq!(keep.puts(PAYEE, good).await, TowerVerdict::Kept);
    drop(payee);

    let nonce = chain.nonce(keep.party.account()).await.unwrap();
    payer.payments.close(channel, None).await.unwrap();
    keep.service.refresh().await.unwrap();
    chain.advance(HOUR / 2);
    claimed_when(&chain, channel, units(50)).await;
    let left = async {
        while keep.service.view().await.unwrap().puts.len() > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.unwrap();
    // One transaction: the honest payee's. Its money went to the payee and nowhere else.
    assert_eq!(chain.nonce(keep.party.account()).await.unwrap(), nonce + 1);
    assert_eq!(keep.party.pot().await, wei(0));
    assert_eq!(chain.balance(params.payee).await.unwrap(), units(50));
}

#[tokio::test]
async fn a_tower_that_was_killed_claims_what_it_acknowledged() {
    let chain = world();
    let (mut payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let mut keep = Keep::on(&chain).await;
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 77).await;
    let put = sealed(&payee, channel, 1).await;
    assert_eq!(keep.puts(PAYEE, put).await, TowerVerdict::Kept);
    let account = payee.account();
    drop(payee);
    // Killed before the closing, and again when it has seen it; the closing falls between.
    let (at, wallet, disk) = keep.party.stop();
    payer.payments.close(channel, None).await.unwrap();
    keep = Keep::of(&at, Party::start(&at, wallet, disk)).await;
    keep = keep.restarted(&chain).await;
    chain.advance(HOUR / 2);
    claimed_when(&chain, channel, units(77)).await;
    window_over(&chain, &mut payer, channel).await;
    assert_eq!(chain.balance(account).await.unwrap(), units(77));
    // Once is enough, however often it starts.
    let nonce = chain.nonce(keep.party.account()).await.unwrap();
    let keep = keep.restarted(&chain).await;
    chain.mine_many(20);
    keep.service.refresh().await.unwrap();
    assert_eq!(chain.nonce(keep.party.account()).await.unwrap(), nonce);
    assert!(
        keep.service.view().await.unwrap().puts.is_empty(),
        "closed and deep: forgotten"
    );
}

#[tokio::test]
async fn what_is_not_on_disk_is_not_acknowledged() {
    use warren_payments::store::Fault;
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let keep = Keep::on(&chain).await;
    let channel = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 5).await;
    keep.service.refresh().await.unwrap();
    keep.party.store.inject(Some(Fault::LoseFrom(0)));
    let put = sealed(&payee, channel, 1).await;
    assert_eq!(keep.puts(PAYEE, put.clone()).await, TowerVerdict::Internal);
    assert!(keep.service.view().await.unwrap().puts.is_empty());
    keep.party.store.inject(None);
    assert_eq!(keep.puts(PAYEE, put).await, TowerVerdict::Kept);
}

#[tokio::test]
async fn a_payee_that_claims_for_itself_costs_its_tower_nothing() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let keep = Keep::on(&chain).await;
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 30).await;
    keep.puts(PAYEE, sealed(&payee, channel, 1).await).await;
    payee.payments.claim(channel).await.unwrap().unwrap();
    let nonce = chain.nonce(keep.party.account()).await.unwrap();
    payer.payments.close(channel, None).await.unwrap();
    keep.service.refresh().await.unwrap();
    chain.advance(HOUR / 2);
    let settled = async {
        loop {
            let view = keep.service.view().await.unwrap();
            if view.puts.iter().all(|(_, it)| it.spent) {
                return view.claims;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let claims = tokio::time::timeout(PATIENCE, settled).await.unwrap();
    assert_eq!(claims, 0);
    assert_eq!(chain.nonce(keep.party.account()).await.unwrap(), nonce);
    assert_eq!(claimed(&chain, channel).await, units(30));
}

#[tokio::test]
async fn a_flood_of_puts_is_bounded_and_the_honest_put_stays() {
    let chain = world();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let keep = Keep::on(&chain).await;
    let channel = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 9).await;
    let good = sealed(&payee, channel, 1).await;
    keep.puts(PAYEE, good.clone()).await;
    let mut kept = 0;
    for n in 0..400_u32 {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let put = TowerPut {
            locator: Locator::from_bytes(id),
            ..good.clone()
        };
        kept += u32::from(keep.puts(STRANGER, put).await == TowerVerdict::Kept);
    }
    let rules = TowerRules::default();
    assert_eq!(kept as usize, rules.per_owner);
    let view = keep.service.view().await.unwrap();
    assert_eq!(view.puts.len(), rules.per_owner + 1);
    assert_eq!(view.refused, u64::from(400 - kept));
    drop(payee);
    payer.payments.close(channel, None).await.unwrap();
    keep.service.refresh().await.unwrap();
    chain.advance(HOUR / 2);
    claimed_when(&chain, channel, units(9)).await;
    let state = chain.channel(channel).await.unwrap().unwrap();
    assert_eq!(state.status, ChannelStatus::Open);
}
