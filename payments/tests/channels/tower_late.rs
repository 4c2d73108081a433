//! A tower that comes late: some of what it was given is worth nothing any more, and the rest is claimed.

use std::time::Duration;

use warren_proto::TowerVerdict;

use crate::party::{HOUR, Party, begin, pay, units, wei};
use crate::routed::{open_for_a_day, tomorrow};
use crate::street::{lock_of, say};
use crate::tower::{Keep, PAYEE, claimed_when, sealed};

/// A payee that is away for the whole close window, with words of a lock that expires within it; and a tower
/// that is down when that lock must be claimed. One word too many undoes the whole claim on the chain.
#[tokio::test]
async fn words_of_a_lock_that_expired_are_left_out_and_the_others_are_claimed() {
    let chain = tomorrow();
    let (payer, payee) = (Party::rich(&chain).await, Party::rich(&chain).await);
    let keep = Keep::on(&chain).await;
    let channel = open_for_a_day(&payer, &payee, units(1000)).await;
    begin(&payer, &payee, channel).await;
    pay(&payer, &payee, channel, 0, 30).await;
    let ready = lock_of(&payer, &payee, (channel, units(1)), 100).await;
    say(&payer, &payee, ready, 40).await;
    let put = sealed(&payee, channel, 1).await;
    assert_eq!(keep.puts(PAYEE, put).await, TowerVerdict::Kept);
    assert_eq!(
        payee.payments.held(channel).await.unwrap().ack.value_now,
        units(70)
    );
    drop(payee); // For good.

    let (_, wallet, disk) = keep.party.stop();
    drop(keep.service);
    payer.payments.close(channel, None).await.unwrap();
    chain.advance(HOUR * 3);
    let keep = Keep::of(&chain, Party::start(&chain, wallet, disk)).await;
    claimed_when(&chain, channel, units(30)).await;
    let spent = async {
        loop {
            let view = keep.service.view().await.unwrap();
            if view.puts.iter().all(|(_, it)| it.spent) {
                return (view.claims, view.saved);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let spent = tokio::time::timeout(Duration::from_secs(60), spent).await;
    assert_eq!(spent.unwrap(), (1, units(30)), "and nothing is tried again");
    assert_eq!(keep.party.pot().await, wei(0));
}
