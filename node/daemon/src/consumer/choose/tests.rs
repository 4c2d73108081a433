//! What a plan allows: where, for how much.

#![allow(clippy::unwrap_used, reason = "tests")]

use warren_overlay::offers::OfferQuery;
use warren_proto::{CountryCode, NodeId, Price};

use super::super::ExitName;
use super::*;
use crate::perform::{RouteWish, Routers};
use crate::stand::{free_offer, key, known};

const NOON: UnixTime = UnixTime::from_secs(1_800_000_000);

fn wei(n: u64) -> Amount {
    Amount::from_wei_u64(n)
}

fn plan_of(fallback: Fallback, max_spend: Amount) -> Plan {
    let wanted = Wanted {
        query: OfferQuery::default(),
        named: None,
        max_spend,
        deposit: wei(100),
        fallback,
        search: Duration::from_secs(30),
        dns: vec![],
        kill_switch: true,
        route: RouteWish::Auto,
        routers: Routers::One,
        max_route_fee_ppm: 0,
    };
    let (progress, _events) = mpsc::channel(1);
    Plan::new(7, wanted, Some(progress), NOON, false)
}

fn plan(fallback: Fallback) -> Plan {
    plan_of(fallback, Amount::MAX)
}

#[test]
fn the_next_exit_is_looked_for_where_the_user_said() {
    let lost = free_offer(1, NOON).sign(&key(1)).unwrap();
    let here = lost.offer().region.country;
    let elsewhere: CountryCode = "XX".parse().unwrap();
    for (fallback, wanted) in [
        (Fallback::Country, vec![here]),
        (Fallback::Any, vec![]),
        (Fallback::None, vec![elsewhere]),
    ] {
        let mut plan = plan(fallback);
        plan.wanted.query.countries = vec![elsewhere];
        plan.falls_back(&lost);
        assert_eq!(plan.wanted.query.countries, wanted, "{fallback:?}");
    }
}

/// An exit that lets less through is no next one, neither for who named a policy nor for who named an exit too.
#[test]
fn the_policy_that_was_asked_for_holds_for_every_exit_after_the_first() {
    let of = |n: u8, policy: &str| {
        let mut draft = free_offer(n, NOON);
        policy.clone_into(&mut draft.policy.name);
        known(draft.sign(&key(n)).unwrap())
    };
    let offers = || vec![of(1, "all"), of(2, "web+dns"), of(3, "all")];
    let answer = || Answer {
        plan: 7,
        offers: offers(),
        from: Asked::Network,
    };
    let mut plan = plan(Fallback::Any);
    plan.wanted.query.policy = Some("all".to_owned());
    assert_eq!(plan.weigh(answer(), NOON), Found::Next);
    assert_eq!(queued(&plan), [key(1).id(), key(3).id()]);
    // A tunnel was up through the first.
    plan.progress = None;
    plan.round.lost(key(1).id(), Duration::from_secs(3), NOON);
    plan.falls_back(&offers().remove(0).offer);
    assert_eq!(plan.query().policy.as_deref(), Some("all"));
    assert_eq!(plan.weigh(answer(), NOON), Found::Next);
    assert_eq!(queued(&plan), [key(3).id()]);

    let mut named = plan_of(Fallback::Any, Amount::MAX);
    named.wanted.query.policy = Some("all".to_owned());
    named.wanted.named = Some(ExitName::parse(&key(2).id().to_string()).unwrap());
    let searched = NOON.plus(named.wanted.search);
    let nobody = named.weigh(answer(), searched);
    assert!(matches!(nobody, Found::Nobody(_)), "{nobody:?}");
}

#[test]
fn all_sessions_of_one_up_share_one_cap() {
    let mut plan = plan_of(Fallback::Any, wei(100));
    assert_eq!(plan.may_spend(), wei(100));
    plan.spent = wei(70);
    assert_eq!(plan.may_spend(), wei(30));
    plan.spent = wei(101);
    assert_eq!(plan.may_spend(), Amount::ZERO);
}

#[test]
fn who_may_spend_nothing_gets_a_free_exit_or_is_refused_before_money() {
    let mut draft = free_offer(2, NOON);
    (draft.price.per_mib, draft.unit_price) = (wei(1), wei(1));
    draft.prepay_units = 3;
    let paid = known(draft.sign(&key(2)).unwrap());
    let found = |plan: &mut Plan, offers: &[RankedOffer]| {
        let from = Asked::Network;
        let offers = offers.to_vec();
        let answer = Answer {
            plan: 7,
            offers,
            from,
        };
        plan.weigh(answer, NOON.plus(plan.wanted.search))
    };
    let mut plan = plan_of(Fallback::Any, Amount::ZERO);
    assert_eq!(found(&mut plan, &[paid.clone(), offer_of(1)]), Found::Next);
    assert_eq!(queued(&plan), [key(1).id()]);
    // Also one whom the user named, and the next one after a tunnel was up.
    let mut named = plan_of(Fallback::Any, wei(2));
    named.wanted.named = Some(ExitName::parse(&key(2).id().to_string()).unwrap());
    let mut later = plan_of(Fallback::Any, wei(5));
    (later.progress, later.spent) = (None, wei(3));
    for mut plan in [plan, named, later] {
        let Found::Refused(why) = found(&mut plan, std::slice::from_ref(&paid)) else {
            panic!("it is tried")
        };
        assert_eq!(why.code, ErrorCode::SpendingCap.to_string());
    }
    let mut just = plan_of(Fallback::Any, wei(3));
    assert_eq!(found(&mut just, &[paid]), Found::Next);
}

#[test]
fn an_exit_that_is_dear_by_the_minute_does_not_pass_for_a_cheap_one() {
    let ranked = |per_mib, per_minute| {
        let mut offer = free_offer(1, NOON);
        offer.price = Price {
            per_mib: wei(per_mib),
            per_minute: wei(per_minute),
        };
        // As the ranking reckons it: a minute is some 36 MiB.
        let worth = wei(per_mib + per_minute / 36);
        RankedOffer {
            score_reasons: vec![ScoreReason::Price {
                points: 0,
                per_mib: worth,
            }],
            ..known(offer.sign(&key(1)).unwrap())
        }
    };
    let is_within = |max: Option<u64>, offer| super::is_within(max.map(wei), &offer);
    assert!(is_within(Some(10), ranked(10, 0)));
    assert!(!is_within(Some(10), ranked(11, 0)));
    assert!(is_within(None, ranked(11, 1_000_000)));
    assert!(!is_within(Some(10), ranked(0, 1_000_000)));
}

fn offer_of(n: u8) -> RankedOffer {
    known(free_offer(n, NOON).sign(&key(n)).unwrap())
}

fn answer(from: Asked, offers: &[u8]) -> Answer {
    Answer {
        plan: 7,
        offers: offers.iter().map(|it| offer_of(*it)).collect(),
        from,
    }
}

fn queued(plan: &Plan) -> Vec<NodeId> {
    plan.queue.iter().map(|it| it.offer().node).collect()
}

#[test]
fn a_named_exit_that_is_not_known_is_asked_for_though_others_are() {
    let id = key(2).id();
    for name in [id.to_string(), id.to_string()[..8].to_uppercase()] {
        let mut plan = plan(Fallback::Any);
        plan.wanted.named = Some(ExitName::parse(&name).unwrap());
        plan.wanted.settle([key(1).id()]).unwrap();
        let found = plan.weigh(answer(Asked::Index, &[1]), NOON);
        assert_eq!((found, queued(&plan)), (Found::Ask, vec![]), "{name}");
        // The network is asked for the exit itself, once its whole id is known.
        let sought = plan.query().nodes;
        assert!(sought == [id] || name.len() == 8 && sought.is_empty());
        let found = plan.weigh(answer(Asked::Network, &[1, 2]), NOON);
        assert_eq!((found, queued(&plan)), (Found::Next, vec![id]), "{name}");
    }
}

#[test]
fn an_exit_that_takes_much_with_its_first_word_is_not_tried_and_the_reason_is_said() {
    let mut draft = free_offer(2, NOON);
    draft.price.per_mib = wei(1);
    draft.unit_price = wei(50_000_000_000_000_000);
    let dear = known(draft.sign(&key(2)).unwrap());
    let told = |from| Answer {
        plan: 7,
        offers: vec![dear.clone(), offer_of(1)],
        from,
    };
    let mut any = plan(Fallback::Any);
    assert_eq!(any.weigh(told(Asked::Index), NOON), Found::Next);
    assert_eq!(queued(&any), [key(1).id()]);
    let mut named = plan(Fallback::Any);
    named.wanted.named = Some(ExitName::parse(&key(2).id().to_string()).unwrap());
    let Found::Refused(why) = named.weigh(told(Asked::Index), NOON) else {
        panic!("it is tried")
    };
    assert!(why.seen.contains("more than 128 MiB"), "{}", why.seen);
}

#[test]
fn with_no_money_for_one_those_are_asked_first_that_need_none() {
    let mut plan = plan(Fallback::Any);
    let account = |n: u8| PayoutAddress::from_bytes([n; 20]);
    let paid = |n: u8| {
        let mut draft = free_offer(n, NOON);
        (draft.price.per_mib, draft.unit_price) = (wei(1), wei(1));
        draft.payee = account(n);
        draft.sign(&key(n)).unwrap()
    };
    let free = free_offer(4, NOON).sign(&key(4)).unwrap();
    plan.queue = [paid(1), paid(2), paid(3), free].into();
    plan.paid_first(&[account(3), account(9)]);
    let order = [3, 4, 1, 2].map(|n| key(n).id());
    assert_eq!(queued(&plan), order);
}

#[test]
fn a_plan_keeps_to_the_exit_that_was_named_when_it_began() {
    let mut plan = plan(Fallback::Any);
    let id = key(2).id();
    plan.wanted.named = Some(ExitName::parse(&id.to_string()[..8]).unwrap());
    plan.wanted.query = OfferQuery {
        chain: Some(free_offer(1, NOON).chain),
        free_too: true,
        policy: Some("any".to_owned()),
        ..OfferQuery::default()
    };
    assert_eq!(
        plan.query(),
        OfferQuery {
            full_too: true,
            policy: None,
            ..plan.wanted.query.clone()
        }
    );
    plan.wanted.query = OfferQuery::default();
    assert_eq!(plan.weigh(answer(Asked::Index, &[1, 2]), NOON), Found::Next);
    assert_eq!(
        (plan.wanted.named.clone(), plan.query().nodes),
        (None, vec![id])
    );
}

#[test]
fn with_nobody_left_to_try_the_network_is_asked_and_not_without_end() {
    let mut plan = plan(Fallback::Any);
    plan.round.lost(key(1).id(), Duration::from_secs(90), NOON);
    // What is known is the offer of the one that is lost.
    assert_eq!(plan.weigh(answer(Asked::Index, &[1]), NOON), Found::Ask);
    assert_eq!(
        plan.weigh(answer(Asked::Network, &[1, 3]), NOON),
        Found::Next
    );
    assert_eq!(queued(&plan), [key(3).id()]);
    // Before a tunnel was up the user is told; afterwards there is a pause.
    let nobody = plan.weigh(answer(Asked::Network, &[1]), NOON);
    assert!(matches!(nobody, Found::Nobody(_)), "{nobody:?}");
    plan.progress = None;
    assert_eq!(plan.weigh(answer(Asked::Network, &[1]), NOON), Found::Next);
    assert_eq!(queued(&plan), []);
}

#[test]
fn five_failures_are_the_end_only_once_the_time_is_over_too() {
    let mut plan = plan(Fallback::Any);
    for n in 1..=5 {
        plan.round.tries(key(n).id(), NOON);
    }
    let late = NOON.plus(plan.wanted.search);
    assert!(!plan.is_full(NOON) && plan.is_full(late));
    // With a tunnel up before, there is a pause instead.
    plan.progress = None;
    assert!(plan.is_full(NOON));
}

#[test]
fn who_failed_an_earlier_plan_is_tried_last_and_after_others_were_asked_for() {
    let failed = || {
        let mut plan = plan(Fallback::Any);
        plan.failed.note(key(1).id(), Duration::ZERO, NOON);
        plan
    };
    let mut some = failed();
    assert_eq!(some.weigh(answer(Asked::Index, &[1, 2]), NOON), Found::Next);
    assert_eq!(queued(&some), [2, 1].map(|n| key(n).id()));
    let mut alone = failed();
    assert_eq!(alone.weigh(answer(Asked::Index, &[1]), NOON), Found::Ask);
    assert_eq!(alone.weigh(answer(Asked::Network, &[1]), NOON), Found::Next);
    assert_eq!(queued(&alone), [key(1).id()]);
    // Whom the user named is who is wanted.
    let mut named = failed();
    named.wanted.query.nodes = vec![key(1).id()];
    assert_eq!(named.weigh(answer(Asked::Index, &[1]), NOON), Found::Next);
}

#[test]
fn an_answer_serves_the_plan_that_asked_and_only_with_what_that_wants() {
    let mut plan = plan(Fallback::Any);
    plan.searching = true;
    let old = Answer {
        plan: 6,
        ..answer(Asked::Index, &[1])
    };
    assert_eq!(plan.weigh(old, NOON), Found::Old);
    assert!(plan.searching && plan.queue.is_empty());
    // The country changed while the answer was on its way.
    plan.wanted.query.countries = vec!["US".parse().unwrap()];
    assert_eq!(plan.weigh(answer(Asked::Index, &[1]), NOON), Found::Ask);
    assert_eq!(queued(&plan), []);
}
