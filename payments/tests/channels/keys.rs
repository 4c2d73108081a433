//! A key for each channel, and what happens to them: swept at the end, found again by a wallet that
//! was restored, noticed when another machine uses them.

use std::collections::BTreeSet;

use warren_payments::chain::Chain as _;
use warren_payments::chain::dev::DevChain;
use warren_payments::channel::PayerRefusal;
use warren_payments::store::MemoryStore;
use warren_payments::{PaymentEvent, PaymentsConfig, PaymentsError, Phase, Wallet};
use warren_proto::{
    Amount, ChannelAnswer, ChannelAsk, ChannelId, NodeId, PayErrorCode, PayoutAddress, UnixTime,
};

use crate::party::{
    HOUR, Party, UNIT, a_coin, assert_conserved, begin, config, open, pay, units, wei, world,
};

const EXIT: NodeId = NodeId::from_bytes([7; 32]);

pub(crate) fn fresh() -> PaymentsConfig {
    PaymentsConfig {
        fresh_keys: true,
        scan_from: Some(0),
        ..config()
    }
}

fn home(chain: &DevChain, wallet: &Wallet) -> Party {
    Party::start_as(chain, wallet.clone(), MemoryStore::new(), fresh())
}

pub(crate) async fn rich(chain: &DevChain) -> Party {
    let party = Party::rich(chain).await;
    let (_, wallet, _) = party.stop();
    home(chain, &wallet)
}

async fn payer_of(party: &Party, channel: ChannelId) -> PayoutAddress {
    let channels = party.payments.channels().await.unwrap();
    let found = channels.iter().find(|it| it.id == channel);
    found.unwrap().params.payer
}

/// The payer asks, the payee answers, as their nodes would on a stream.
async fn ask(payer: &Party, payee: &Party, channel: ChannelId, close: bool) -> ChannelAnswer {
    let ask = payer.payments.sign_ask(channel, EXIT, close).await.unwrap();
    payee.payments.answer_ask(ask, EXIT).await.unwrap()
}

#[tokio::test]
async fn each_channel_has_a_key_of_its_own_and_what_is_left_comes_home() {
    let chain = world();
    let (mut payer, payee) = (rich(&chain).await, Party::rich(&chain).await);
    let one = open(&payer, &payee, units(100)).await;
    let two = open(&payer, &payee, units(200)).await;
    let keys = [payer_of(&payer, one).await, payer_of(&payer, two).await];
    let different: BTreeSet<_> = keys.into_iter().chain([payer.account()]).collect();
    assert_eq!(different.len(), 3);

    begin(&payer, &payee, one).await;
    pay(&payer, &payee, one, 0, 30).await;
    let answer = ask(&payer, &payee, one, true).await;
    let consent = answer.consent.unwrap();
    payer.payments.close(one, Some(consent)).await.unwrap();
    payer.hear(|it| *it == PaymentEvent::Closed(one)).await;

    // The key's pot, its tokens and most of its coin go back to the account.
    let home = async {
        loop {
            payer.payments.refresh().await.unwrap();
            let empty = chain.balance(keys[0]).await.unwrap() == Amount::ZERO;
            let waits = payer.store.snapshot();
            if empty && chain.token_balance(payer.account()).await.unwrap() == units(999_770) {
                return waits;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), home)
        .await
        .unwrap();
    assert_eq!(chain.token_balance(keys[0]).await.unwrap(), Amount::ZERO);
    let owners = [payer.account(), keys[0], keys[1], payee.account()];
    assert_conserved(&chain, &owners, &[one, two]).await;
    assert_eq!(payee.pot().await, units(30));
}

/// The channel is in a block, and its node, which stopped before it heard of that, opens it again.
#[tokio::test]
async fn a_restart_while_a_channel_opens_gives_its_key_nothing_twice() {
    let chain = world();
    let (payer, payee) = (rich(&chain).await, Party::rich(&chain).await);
    let id = payer
        .payments
        .open_channel(payee.account(), units(100), HOUR)
        .await
        .unwrap();
    let before = payer.store.snapshot();
    tokio::time::timeout(
        std::time::Duration::from_secs(60),
        payer.payments.wait_usable(id),
    )
    .await
    .unwrap()
    .unwrap();
    let account = payer.account();
    let (_, wallet, _) = payer.stop();
    assert_eq!(chain.token_balance(account).await.unwrap(), units(999_900));

    let mut payer = Party::start_as(&chain, wallet, before, fresh());
    payer
        .hear(|it| {
            matches!(
                it,
                PaymentEvent::ChannelUsable(_) | PaymentEvent::ActionFailed { .. }
            )
        })
        .await;
    payer.payments.refresh().await.unwrap();
    let found = payer.payments.channels().await.unwrap();
    assert_eq!((found.len(), found[0].phase), (1, Phase::Open));
    assert_eq!(chain.token_balance(account).await.unwrap(), units(999_900));
    begin(&payer, &payee, id).await;
    pay(&payer, &payee, id, 0, 5).await;
}

#[tokio::test]
async fn a_restored_wallet_finds_its_channel_and_goes_on_where_the_payee_says() {
    let chain = world();
    let (payer, payee) = (rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 300).await;
    let phrase = payer.wallet.phrase().to_owned();
    drop(payer); // The disk burns; the twelve words are on paper.

    let wallet = Wallet::from_phrase(&phrase).unwrap();
    let payer = home(&chain, &wallet);
    payer.payments.refresh().await.unwrap();
    let found = payer.payments.channels().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id, found[0].deposit), (channel, units(1000)));
    assert!(!found[0].usable, "nobody may choose it yet");
    let early = payer.payments.prepare_lock(channel, wei(UNIT)).await;
    assert!(
        matches!(early, Err(PaymentsError::Refused { .. })),
        "what was promised is not known yet: {early:?}"
    );

    let answer = ask(&payer, &payee, channel, false).await;
    payer.payments.payee_shows(answer).await.unwrap();
    let heard = payer.payments.channels().await.unwrap()[0];
    assert_eq!((heard.value, heard.usable), (units(300), true));
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 40).await;
    payee.payments.claim(channel).await.unwrap().unwrap();
    assert_eq!(payee.pot().await, units(340));
}

#[tokio::test]
async fn a_restored_wallet_gets_its_money_back_though_the_payee_is_gone() {
    let chain = world();
    let (payer, payee) = (rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(50)).await;
    let (_, wallet, _) = payer.stop();
    drop(payee);

    let mut payer = home(&chain, &wallet);
    payer.payments.refresh().await.unwrap();
    payer.payments.close(channel, None).await.unwrap();
    chain.advance(2 * HOUR);
    payer.hear(|it| *it == PaymentEvent::Closed(channel)).await;
    let state = payer.payments.channels().await.unwrap();
    assert_eq!(state[0].phase, Phase::Closed);
    let home = async {
        while chain.token_balance(payer.account()).await.unwrap() < units(1_000_000) {
            payer.payments.refresh().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), home)
        .await
        .unwrap();
}

/// More channels in one stretch of blocks than keys are looked for beyond the last one known: what befell the last
/// of them is heard too.
#[tokio::test]
async fn a_restored_wallet_hears_what_became_of_channels_beyond_the_gap() {
    let chain = world();
    let (payer, payee) = (rich(&chain).await, Party::rich(&chain).await);
    let mut last = None;
    for _ in 0..22 {
        last = Some(open(&payer, &payee, units(10)).await);
    }
    let last = last.unwrap();
    payer.payments.close(last, None).await.unwrap();
    let (_, wallet, _) = payer.stop();
    let payer = home(&chain, &wallet);
    payer.payments.refresh().await.unwrap();
    let found = payer.payments.channels().await.unwrap();
    assert_eq!(found.len(), 22);
    let phase = found.iter().find(|it| it.id == last).unwrap().phase;
    assert!(matches!(phase, Phase::Closing { .. }), "{phase:?}");
}

#[tokio::test]
async fn a_second_machine_with_the_same_wallet_is_noticed() {
    let chain = world();
    let (mut payer, payee) = (rich(&chain).await, Party::rich(&chain).await);
    payer.payments.refresh().await.unwrap();
    let twin = home(&chain, &payer.wallet);
    twin.payments.refresh().await.unwrap();
    let theirs = open(&twin, &payee, units(10)).await;

    let heard = payer
        .hear(|it| matches!(it, PaymentEvent::WalletShared(_)))
        .await;
    assert_eq!(heard, PaymentEvent::WalletShared(theirs));
    let open = async |payer: &Party| {
        let opened = payer
            .payments
            .open_channel(payee.account(), units(10), HOUR);
        opened.await
    };
    let shared = PaymentsError::WalletShared { channel: theirs };
    assert_eq!(open(&payer).await, Err(shared.clone()));

    // A restart forgets nothing; that the channel is closed, by either machine, is what mends it.
    let (_, wallet, store) = payer.stop();
    let mut payer = Party::start_as(&chain, wallet, store, fresh());
    payer.payments.refresh().await.unwrap();
    assert_eq!(open(&payer).await, Err(shared));
    payer.payments.close(theirs, None).await.unwrap();
    chain.advance(2 * HOUR);
    payer.hear(|it| *it == PaymentEvent::Closed(theirs)).await;
    open(&payer).await.unwrap();
}

/// The payee takes the words of one machine only: the other finds out, and signs nothing more.
#[tokio::test]
async fn of_two_machines_on_one_channel_the_one_that_is_not_heard_stops() {
    let chain = world();
    let (payer, payee) = (rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 30).await;

    let twin = home(&chain, &payer.wallet);
    twin.payments.refresh().await.unwrap();
    let answer = ask(&twin, &payee, channel, false).await;
    twin.payments.payee_shows(answer).await.unwrap();
    begin(&twin, &payee, channel).await;
    pay(&twin, &payee, channel, 0, 12).await;

    // The first machine's next voucher is an old number: refused. What the payee shows says why.
    let late = payer.payments.prepare_lock(channel, wei(UNIT)).await;
    let refused = payee.payments.accept_voucher(late.unwrap()).await;
    assert_eq!(refused, Err(PayErrorCode::StaleSeq));
    let answer = ask(&payer, &payee, channel, false).await;
    payer.payments.payee_shows(answer).await.unwrap();

    let (_, wallet, store) = payer.stop();
    let payer = Party::start_as(&chain, wallet, store, fresh());
    payer.payments.refresh().await.unwrap();
    let view = payer.payments.channels().await.unwrap()[0];
    assert_eq!((view.usable, view.shared), (false, true));
    let shared = PaymentsError::Refused {
        channel,
        refusal: PayerRefusal::Shared,
    };
    let signed = payer.payments.prepare_lock(channel, wei(UNIT)).await;
    assert_eq!(signed, Err(shared.clone()));
    assert_eq!(payer.payments.release(channel, 31).await, Err(shared));
    assert!(payer.payments.sign_ask(channel, EXIT, true).await.is_ok());

    // Nobody lost anything: the payee gets what both have paid, and the rest comes home.
    pay(&twin, &payee, channel, 12, 20).await;
    let consent = ask(&payer, &payee, channel, true).await;
    let agreed = consent.consent.unwrap();
    assert_eq!(agreed.final_amount, units(50));
    payer.payments.payee_shows(consent).await.unwrap();
    payer.payments.close(channel, Some(agreed)).await.unwrap();
    assert_eq!(payee.pot().await, units(50));
}

#[tokio::test]
async fn only_the_payer_is_told_and_only_this_node_tells() {
    let chain = world();
    let (payer, payee) = (rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(10)).await;
    let good = payer.payments.sign_ask(channel, EXIT, true).await.unwrap();
    let refusal = async |ask: ChannelAsk, own| {
        let answer = payee.payments.answer_ask(ask, own).await;
        answer.map_err(|it| it.code()).err()
    };
    let bad = PayErrorCode::BadSignature;
    assert_eq!(refusal(good, NodeId::from_bytes([8; 32])).await, Some(bad));
    let quiet = ChannelAsk {
        close: false,
        ..good
    };
    assert_eq!(refusal(quiet, EXIT).await, Some(bad), "another question");
    let forever = ChannelAsk {
        not_after: UnixTime::from_secs(4_000_000_000),
        ..good
    };
    assert_eq!(
        refusal(forever, EXIT).await,
        Some(PayErrorCode::ExpiryTooFar)
    );
    let late = ChannelAsk {
        not_after: UnixTime::from_secs(1),
        ..good
    };
    assert_eq!(refusal(late, EXIT).await, Some(PayErrorCode::ExpiryTooSoon));
    assert_eq!(refusal(good, EXIT).await, None);
}

#[tokio::test]
async fn an_opening_that_failed_leaves_its_key_to_the_next() {
    let chain = world();
    let payee = Party::rich(&chain).await;
    let wallet = Wallet::generate().unwrap();
    // Tokens, and coin for less than a channel takes.
    let little = Amount::from_wei_u64(1_000_000);
    chain.fund(wallet.account(), little, units(500)).unwrap();
    let poor = home(&chain, &wallet);
    poor.payments.refresh().await.unwrap();
    let first = poor
        .payments
        .open_channel(payee.account(), units(100), HOUR);
    let first = first.await.unwrap();
    assert!(poor.payments.wait_usable(first).await.is_err());
    let key = payer_of(&poor, first).await;
    assert_eq!(
        chain.token_balance(key).await.unwrap(),
        wei(0),
        "they would lie there"
    );

    chain.fund(wallet.account(), a_coin(), wei(0)).unwrap();
    let second = open(&poor, &payee, units(100)).await;
    assert_eq!(payer_of(&poor, second).await, key);
    let third = open(&poor, &payee, units(100)).await;
    assert_ne!(payer_of(&poor, third).await, key);
}

/// What was paid before may lie with a tower: nothing is given up for what a new store does not know.
#[tokio::test]
async fn a_payee_restored_from_its_words_agrees_to_no_end() {
    let chain = world();
    let (payer, payee) = (rich(&chain).await, Party::rich(&chain).await);
    let channel = open(&payer, &payee, units(100)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 50).await;
    let phrase = payee.wallet.phrase().to_owned();
    drop(payee);

    let payee = home(&chain, &Wallet::from_phrase(&phrase).unwrap());
    payee.payments.refresh().await.unwrap();
    let close = payer.payments.sign_ask(channel, EXIT, true).await.unwrap();
    let answer = payee.payments.answer_ask(close, EXIT).await;
    let code = answer.map_err(|it| it.code()).err();
    assert_eq!(code, Some(PayErrorCode::UnknownChannel));
    assert!(payee.payments.give_back(channel).await.is_err());
}
