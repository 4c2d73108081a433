//! Sessions that end while money is on its way to them: it stays where it is.

use warren_proto::{NodeId, RouterHint, TunnelPublicKey};

use super::*;
use crate::route::Routes;
use crate::session::{Admission, Fresh, SessionLimits};
use crate::stand::{exit_terms, free_offer, node, request};

const EXIT: u8 = 2;
const NOW: UnixTime = UnixTime::from_secs(4_000_000_000);

/// What an exit asks that is paid by this account.
fn terms(payee: PayoutAddress, chain: warren_proto::ChainRef) -> SessionTerms {
    let mut offer = free_offer(EXIT, NOW);
    (offer.price.per_mib, offer.unit_price) = (units(1), units(1));
    (offer.payee, offer.chain) = (payee, chain);
    let offer = offer.sign(&key(EXIT)).unwrap();
    let limits = SessionLimits::default();
    let mut admission = Admission::new(key(EXIT).id(), exit_terms(), limits);
    let asked = request(1, &offer, 7);
    admission.offered(offer);
    let fresh = Fresh {
        provider_key: TunnelPublicKey::from_bytes([8; 32]),
        payee_nonce: [9; 32],
    };
    admission.decide(&asked, key(1).id(), fresh, NOW).unwrap()
}

fn funds(wish: RouteWish, payable: Payable) -> RouteFunds {
    RouteFunds {
        routes: Routes::none().0,
        wish,
        routers: Routers::One,
        max_fee_ppm: 20_000,
        kept: Vec::new(),
        openings: Openings::default(),
        payable,
    }
}

fn over() -> Payable {
    ToPay::default().payable()
}

#[tokio::test]
async fn no_channel_is_opened_for_a_session_that_is_over_and_none_beside_one_that_came() {
    let chain = DevChain::new(&DevGenesis {
        timestamp: NOW,
        ..DevGenesis::default()
    });
    let payments = start(&chain, &funded(&chain), &MemoryStore::new());
    let payee = funded(&chain).account();
    let (purse, _disk) = purse_of(&payments);
    let (overlay, ..) = node(1, &[]).await;
    let terms = terms(payee, payments.chain_ref());
    let tell = |_: String| {};
    let pays = async |funds: &RouteFunds| {
        let ways = Ways {
            overlay: &overlay,
            routes: funds,
            now: NOW,
            tell: &tell,
        };
        fund(Some(&purse), &key(1), &terms, units(100), &ways).await
    };
    let late = funds(RouteWish::Auto, over());
    let paid = pays(&late).await;
    assert!(paid.is_err_and(|it| it.is(ErrorCode::NotUp)));
    assert!(!late.openings.is_spent(), "the next exit's to use");
    assert!(payments.channels().await.unwrap().is_empty());

    let session = ToPay::default();
    let wanted = funds(RouteWish::Auto, session.payable());
    let Funded::Direct(_, Some(channel)) = pays(&wanted).await.unwrap() else {
        panic!("no channel pays")
    };
    // Another session looked before it was there, and gets to opening one now.
    let ways = Ways {
        overlay: &overlay,
        routes: &wanted,
        now: NOW,
        tell: &tell,
    };
    let opened = open_wanted(&purse, &ways, &terms, units(100)).await;
    assert_eq!(opened.unwrap(), channel);
    assert_eq!(payments.channels().await.unwrap().len(), 1);
}

#[tokio::test]
async fn no_lock_is_made_for_a_session_that_is_over() {
    let pair = Pair::new().await;
    let (purse, _disk) = purse_of(&pair.router);
    let account = PayoutAddress::from_bytes([5; 20]);
    let terms = terms(account, pair.router.chain_ref());
    let hint = RouterHint {
        node: NodeId::from_bytes([3; 32]),
        seq: 1,
        issued: NOW,
        valid_until: NOW.plus(DAY),
        chain: pair.router.chain_ref(),
        payee: account,
        capacity_log2: 60,
        fee_ppm: 10_000,
        hold_fee: Amount::ZERO,
        hop_gap_secs: 3600,
        close_window_secs: 86_400,
    };
    let way = Way {
        channel: pair.channel,
        router: hint.node,
        hint,
        second: None,
        unit_price: units(1),
    };
    let routes = Routes::none().0;
    let next = async |payable: &Payable| {
        let how = (&routes, 20_000, payable);
        next_lock(&purse, how, (way, &[]), &terms, NOW).await
    };
    let own = async || pair.router.own_locks(pair.channel).await.unwrap().len();
    let made = next(&over()).await;
    assert!(made.is_err_and(|it| it.is(ErrorCode::NotUp)));
    assert_eq!(own().await, 0);
    let session = ToPay::default();
    next(&session.payable()).await.unwrap();
    assert_eq!(own().await, 1);
}
