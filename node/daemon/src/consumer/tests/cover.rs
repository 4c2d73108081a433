//! How far the channel of a running session reaches, when somebody else tops it up.

use warren_proto::Price;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_deposits_counts_for_the_session_that_runs() {
    let mut bench = Bench::new().await;
    let pair = Pair::new().await;
    let (purse, _disk) = purse_of(&pair.router);
    let views = pair.router.channels().await.unwrap();
    let mut offer = bench.offer.offer().clone();
    (offer.price, offer.unit_price) = (
        Price {
            per_mib: units(1),
            per_minute: Amount::ZERO,
        },
        units(1),
    );
    offer.payee = views[0].params.payee;
    bench.offer = offer.sign(&key(EXIT)).unwrap();
    bench.shell.parts.purse = Some(purse);
    bench.begins_with(units(1000));
    let (mut stream, request) = bench.opened().await;
    let grant = bench.grant(&request);
    stream.send(grant).await.unwrap();
    let start = bench.says(&mut stream).await;
    assert!(matches!(start, SessionFrame::Start(_)), "{start:?}");
    bench.runs(async |_| sleep(TICK).await).await;
    let deposit = |bench: &Bench| bench.shell.live.as_ref().unwrap().deposit;
    assert_eq!(deposit(&bench), units(1000));

    pair.router.top_up(pair.channel, units(500)).await.unwrap();
    let counted = async {
        while deposit(&bench) != units(1500) {
            bench.shell.look_at_cover().await;
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, counted).await.expect("it never counts");
}
