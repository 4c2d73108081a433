//! What is granted, what is refused, and what a word covers.

use super::*;

/// What the exit grants to whoever asks for exactly what it offers.
pub(super) fn granted(session: SessionId) -> SessionTerms {
    let request = SessionRequest {
        session,
        offer: offer().hash(),
        price: offer().offer().price,
        tunnel_key: TunnelPublicKey::from_bytes([7; 32]),
        chain: offer().offer().chain,
        resume: false,
    };
    let terms = admission().decide(&request, consumer_key().id(), fresh(), NOON);
    terms.unwrap()
}

#[test]
fn a_grant_that_is_not_what_was_offered_is_refused() {
    let cheat = |change: fn(&mut SessionTerms)| {
        let (mut consumer, _) = ConsumerSession::new(wish(None), SessionLimits::default(), NOON);
        let mut terms = granted(consumer.id());
        change(&mut terms);
        let signature = terms.sign(&provider_key());
        let grant = SessionFrame::Grant(Box::new(Grant { terms, signature }));
        let effects = consumer.handle(ConsumerEvent::Frame(grant), NOON);
        effects
            .iter()
            .any(|e| matches!(e, ConsumerEffect::Ended(ConsumerEnd::BadGrant(_))))
    };
    assert!(!cheat(|_| {}), "an honest grant is taken");
    assert!(cheat(|t| t.price.per_mib = Amount::from_wei_u64(UNIT + 1)));
    assert!(cheat(|t| t.prepay_units = 2));
    assert!(cheat(|t| t.payee = PayoutAddress::from_bytes([6; 20])));
    assert!(cheat(|t| t.chain.chain_id = 2));
    assert!(cheat(|t| t.policy_hash = [1; 32]));
    assert!(cheat(
        |t| t.consumer_key = TunnelPublicKey::from_bytes([1; 32])
    ));
    assert!(cheat(|t| t.close_window_secs = 1));
    assert!(cheat(|t| t.close_window_secs = u32::MAX));
    assert!(cheat(|t| t.min_deposit = Amount::MAX));
    assert!(cheat(|t| t.price.per_mib = Amount::from_wei_u64(1)));
    assert!(!cheat(|t| t.price.per_mib = Amount::from_wei_u64(UNIT / 2)));
    assert!(cheat(|t| t.consumer_v4 = Ipv4Addr::new(9, 9, 9, 9)));
    assert!(cheat(|t| t.consumer_v6 = "2001:db8::9".parse().unwrap()));
    assert!(!cheat(|t| t.consumer_v6 = Ipv6Addr::UNSPECIFIED));
}

/// A free exit's word is worth something all the same, and its least deposit too: nobody makes it.
#[test]
fn a_free_exit_is_taken_by_whoever_deposits_nothing() {
    let mut draft = offer().offer().clone();
    draft.price = Price::default();
    let free = draft.sign(&provider_key()).unwrap();
    let mut exit = admission();
    exit.offered(free.clone());
    let mut wish = wish(Some(0));
    (wish.offer, wish.deposit) = (free.clone(), Amount::ZERO);
    let request = SessionRequest {
        session: wish.session,
        offer: free.hash(),
        price: Price::default(),
        tunnel_key: wish.tunnel_key,
        chain: free.offer().chain,
        resume: false,
    };
    let decided = exit.decide(&request, consumer_key().id(), fresh(), NOON);
    let terms = decided.unwrap();
    assert!(terms.min_deposit > Amount::ZERO);
    let signature = terms.sign(&provider_key());
    let (mut consumer, _) = ConsumerSession::new(wish, SessionLimits::default(), NOON);
    let grant = SessionFrame::Grant(Box::new(Grant { terms, signature }));
    let effects = consumer.handle(ConsumerEvent::Frame(grant), NOON);
    let funds = |it: &ConsumerEffect| matches!(it, ConsumerEffect::Fund(_));
    assert!(effects.iter().any(funds), "{effects:?}");
}

#[test]
fn an_exit_refuses_what_it_cannot_serve() {
    let request = |price: u64, chain_id: u64| SessionRequest {
        session: SessionId::from_bytes([3; 16]),
        offer: offer().hash(),
        price: Price {
            per_mib: Amount::from_wei_u64(price),
            per_minute: Amount::ZERO,
        },
        tunnel_key: TunnelPublicKey::from_bytes([7; 32]),
        chain: ChainRef {
            chain_id,
            ..offer().offer().chain
        },
        resume: false,
    };
    let ask = |admission: &mut Admission, who: u8, request: &SessionRequest| {
        let consumer = NodeKey::from_seed(&[who; 32]).id();
        admission
            .decide(request, consumer, fresh(), NOON)
            .map_err(|refusal| refusal.reason)
    };
    let mut exit = admission();
    assert_eq!(
        ask(&mut exit, 1, &request(1, 1)).unwrap_err(),
        RefusalReason::PriceChanged
    );
    assert_eq!(
        ask(&mut exit, 1, &request(UNIT, 2)).unwrap_err(),
        RefusalReason::Chain
    );
    let one = ask(&mut exit, 1, &request(UNIT, 1)).unwrap();
    let two = ask(&mut exit, 2, &request(UNIT, 1)).unwrap();
    assert_ne!(one.consumer_v4, two.consumer_v4);
    assert_ne!(one.consumer_v6, two.consumer_v6);
    assert_eq!(
        ask(&mut exit, 3, &request(UNIT, 1)).unwrap_err(),
        RefusalReason::Full
    );
    assert!(
        ask(&mut exit, 1, &request(UNIT, 1)).is_ok(),
        "a guest may ask anew"
    );
    exit.offered(offered(|it| {
        (it.capacity.guests_max, it.capacity.guests_free) = (0, 0);
    }));
    assert_eq!(
        ask(&mut exit, 1, &request(UNIT, 1)).unwrap_err(),
        RefusalReason::Draining
    );
}

/// The exit's offer with a change.
fn offered(change: impl FnOnce(&mut Offer)) -> SignedOffer {
    let mut it = offer().offer().clone();
    change(&mut it);
    it.sign(&provider_key()).unwrap()
}

#[test]
fn an_exit_whose_time_is_ahead_of_its_offers_serves_by_the_one_that_is_out() {
    let day = Duration::from_secs(24 * 3600);
    let mut exit = admission();
    // It began a day ahead, and was set back: its own time goes on from where it was.
    let before = offered(|it| {
        it.issued = NOON.plus(day);
        it.valid_until = it.issued.plus(Duration::from_secs(3600));
    });
    let last = offered(|it| it.seq = 2);
    let out = offered(|it| it.seq = 3);
    for it in [&before, &last, &out] {
        exit.offered(it.clone());
    }
    for relied in [&out, &last, &before] {
        assert!(ask_by(&mut exit, relied, 1, NOON.plus(day)).is_ok());
    }
    // One that was over before the next was made is over.
    exit.offered(offered(|it| {
        it.seq = 4;
        it.issued = last.offer().valid_until;
        it.valid_until = it.issued.plus(Duration::from_secs(3600));
    }));
    let refused = ask_by(&mut exit, &last, 1, NOON.plus(day));
    assert_eq!(refused.unwrap_err(), RefusalReason::PriceChanged);
}

/// Asks for exactly what the exit offers, as consumer `who` in a session of that number.
fn ask_as(exit: &mut Admission, who: u8, now: UnixTime) -> Result<SessionTerms, RefusalReason> {
    ask_by(exit, &offer(), who, now)
}

/// The same, by an offer of it.
fn ask_by(
    exit: &mut Admission,
    offer: &SignedOffer,
    who: u8,
    now: UnixTime,
) -> Result<SessionTerms, RefusalReason> {
    let request = SessionRequest {
        session: SessionId::from_bytes([who; 16]),
        offer: offer.hash(),
        price: offer.offer().price,
        tunnel_key: TunnelPublicKey::from_bytes([7; 32]),
        chain: offer.offer().chain,
        resume: false,
    };
    let consumer = NodeKey::from_seed(&[who; 32]).id();
    let decided = exit.decide(&request, consumer, fresh(), now);
    decided.map_err(|it| it.reason)
}

#[test]
fn an_inner_address_rests_before_another_guest_gets_it() {
    let mut exit = admission().seated(24, 252);
    let mut seen = std::collections::BTreeSet::new();
    for who in 1..=253 {
        let terms = ask_as(&mut exit, who, NOON).unwrap();
        exit.release(terms.session);
        let last = terms.consumer_v4.octets()[3];
        assert_eq!(terms.consumer_v4.octets()[..3], [10, 77, 0]);
        assert!((2..=254).contains(&last), "neither gateway nor broadcast");
        assert!(seen.insert(last), "{last} was given on");
        if who < 3 {
            assert_eq!(
                last,
                [254, 2][usize::from(who) - 1],
                "it begins where it was drawn"
            );
        }
    }
}

#[test]
fn who_has_not_begun_or_is_idle_yields_to_a_newcomer() {
    let id = |who: u8| Some(SessionId::from_bytes([who; 16]));
    let after = |secs| NOON.plus(Duration::from_secs(secs));
    let mut exit = admission();
    ask_as(&mut exit, 1, NOON).unwrap();
    ask_as(&mut exit, 2, after(1)).unwrap();
    assert_eq!(
        ask_as(&mut exit, 3, after(2)).unwrap_err(),
        RefusalReason::Full
    );
    assert_eq!(exit.yields(after(2)), id(1), "the oldest");
    exit.begun(id(1).unwrap(), after(3));
    assert_eq!(exit.yields(after(3)), id(2));
    exit.begun(id(2).unwrap(), after(4));
    assert_eq!(exit.yields(after(602)), None, "both are served");
    exit.used(id(1).unwrap(), after(500));
    assert_eq!(exit.yields(after(604)), id(2), "idle for ten minutes");
    exit.release(id(2).unwrap());
    assert!(ask_as(&mut exit, 3, after(604)).is_ok());
}

/// What the exit grants at this price; a word is worth [`UNIT`].
fn terms_at(per_mib: u64, per_minute: u64) -> SessionTerms {
    SessionTerms {
        price: Price {
            per_mib: Amount::from_wei_u64(per_mib),
            per_minute: Amount::from_wei_u64(per_minute),
        },
        ..granted(SessionId::from_bytes([3; 16]))
    }
}

#[test]
fn what_is_covered_is_exactly_what_is_due() {
    let terms = terms_at(UNIT, 0);
    for units in [0, 1, 2, 77, 1000] {
        let bytes = bytes_covered(&terms, units, Duration::ZERO);
        assert_eq!(due_units(&terms, bytes, Duration::ZERO), Ok(units));
        let more = ByteCount::from_bytes(bytes.bytes() + 1);
        assert_eq!(due_units(&terms, more, Duration::ZERO), Ok(units + 1));
    }
}

#[test]
fn when_the_minutes_paid_for_are_over_nothing_more_is_covered() {
    let minute = Duration::from_secs(60);
    for per_mib in [0, UNIT] {
        let terms = terms_at(per_mib, UNIT);
        for units in [0_u32, 1, 2, 77] {
            let covered = |served| bytes_covered(&terms, units.into(), served);
            for served in [minute * units, minute * units + minute] {
                assert_eq!(covered(served), ByteCount::default(), "{units} words");
            }
            if units > 0 {
                let before = minute * units - Duration::from_secs(6);
                assert!(covered(before) > ByteCount::default(), "{units} words");
                // At most what was paid for is then due.
                let bytes = covered(before).bytes().min(ByteCount::MIB / 10);
                let due = due_units(&terms, ByteCount::from_bytes(bytes), before);
                assert_eq!(due, Ok(units.into()));
            }
        }
    }
    let free = terms_at(0, 0);
    let endless = bytes_covered(&free, 0, minute * 1000);
    assert_eq!(endless, ByteCount::from_bytes(u64::MAX));
}

/// An exit whose guest has left `owed` units unpaid before and has paid one word now, and what that made it do.
pub(super) fn paid_a_word(
    terms: SessionTerms,
    owed: u64,
) -> (ProviderSession, Vec<ProviderEffect>) {
    let credit = admission().credit(&terms);
    let signature = terms.sign(&provider_key());
    let start = Box::new(start(&terms));
    let limits = SessionLimits::default();
    let (mut exit, _) = ProviderSession::new(terms, signature, credit, limits, NOON);
    exit.owes(owed);
    let value = Amount::ZERO;
    let usable = true;
    exit.handle(ProviderEvent::Frame(SessionFrame::Start(start)), NOON);
    exit.handle(ProviderEvent::PaymentTaken { value, usable }, NOON);
    let value = Amount::from_wei_u64(UNIT);
    let effects = exit.handle(ProviderEvent::Paid { value }, NOON);
    (exit, effects)
}

/// The last allowance among `effects`.
pub(super) fn allowed(effects: &[ProviderEffect]) -> Option<ByteCount> {
    effects.iter().rev().find_map(|it| {
        if let ProviderEffect::Allow(bytes) = it {
            return Some(*bytes);
        }
        None
    })
}

/// What an exit allows a guest that has paid one word and may owe two, and in which phase it is then.
fn after_minutes(per_mib: u64, minutes: u32) -> (Option<ByteCount>, ProviderPhase) {
    let (mut exit, mut effects) = paid_a_word(terms_at(per_mib, UNIT), 0);
    let later = NOON.plus(Duration::from_secs(60) * minutes);
    effects.extend(exit.handle(ProviderEvent::Tick, later));
    (allowed(&effects), exit.phase())
}

#[test]
fn who_stops_paying_for_time_is_served_the_prepaid_and_the_credit_and_no_more() {
    for per_mib in [0, UNIT] {
        let (allowed, phase) = after_minutes(per_mib, 2);
        assert!(allowed > Some(ByteCount::default()), "{allowed:?}");
        assert_eq!(phase, ProviderPhase::Serving);
        let over = after_minutes(per_mib, 3);
        assert_eq!(over, (Some(ByteCount::default()), ProviderPhase::Paused));
    }
}

/// A voucher that the exit holds of some other channel was paid for something else, perhaps by somebody else: it
/// stands on the chain for all to read once it was claimed with.
#[test]
fn a_voucher_of_another_channel_pays_for_nothing() {
    let terms = terms_at(UNIT, 0);
    let own = start(&terms).payment.unwrap().voucher;
    for (channel, is_taken) in [(own.channel, true), (ChannelId::from_bytes([9; 32]), false)] {
        let (mut exit, _) = paid_a_word(terms.clone(), 0);
        let frame = SessionFrame::Voucher(Voucher {
            channel,
            ..own.clone()
        });
        let effects = exit.handle(ProviderEvent::Frame(frame), NOON);
        let takes = |it: &ProviderEffect| matches!(it, ProviderEffect::TakeVoucher(_));
        assert_eq!(effects.iter().any(takes), is_taken);
        assert_eq!(exit.phase() == ProviderPhase::Closed, !is_taken);
    }
}

#[test]
fn who_may_be_no_guest_is_granted_nothing_and_takes_no_place() {
    let request = SessionRequest {
        session: SessionId::from_bytes([1; 16]),
        offer: offer().hash(),
        price: offer().offer().price,
        tunnel_key: TunnelPublicKey::from_bytes([7; 32]),
        chain: offer().offer().chain,
        resume: false,
    };
    let node = |n: u8| NodeKey::from_seed(&[n; 32]).id();
    let guests = GuestList {
        allowed: [node(1), node(2)].into(),
        banned: [node(2)].into(),
    };
    let mut exit = admission().open_to(guests);
    for stranger in [2, 3] {
        let refused = exit.decide(&request, node(stranger), fresh(), NOON);
        assert_eq!(refused.unwrap_err().reason, RefusalReason::Banned);
    }
    assert_eq!(exit.guests(), 0);
    assert!(exit.decide(&request, node(1), fresh(), NOON).is_ok());
}
