//! An exit, a consumer's session, and what transactions came to, as the desk shows them.

use std::num::NonZeroU64;

use warren_daemon::api::types::{
    ClaimOfChannel, ClaimReport, ConsentRecord, ConsumerState, ConsumerView, DropsView, Earnings,
    ExitGuests, ExitRow, ExitShown, ExitStatus, Ledger, LedgerEntry, LedgerKind, LedgerQuery,
    LeftOut, LeftOutBy, NetStats, OfferWays, RankReason, RankedBy, RatesView, TransactionReport,
    UsageView,
};
use warren_daemon::error::{ErrorCode, Problem};
use warren_proto::{ChannelId, OfferHash, PayoutAddress, TxHash};

use crate::desk::{CHANNEL, EXIT, SESSION, money, policy, price, region, time};

pub(crate) fn exit_shown() -> ExitShown {
    let nowhere = PayoutAddress::ZERO;
    ExitShown {
        exit: ExitRow {
            node: EXIT,
            offer: OfferHash::from_bytes([7; 32]),
            seq: 9,
            region: region(),
            price: price(),
            at_risk: money(1),
            policy: policy(),
            guests_max: 8,
            guests_free: 1,
            ipv4: true,
            ipv6: false,
            rootless: false,
            rtt_millis: Some(18.0),
            by_dht: true,
            by_gossip: true,
            valid_until: time(),
            points: 36,
            reasons: vec![RankReason {
                by: RankedBy::RoundTrip,
                points: 36,
                text: "18 ms there and back".to_owned(),
            }],
            version: "0.1.0".to_owned(),
        },
        place: None,
        choice: 3,
        left_out: vec![LeftOut {
            by: LeftOutBy::TooDear,
            text: "it is dearer".to_owned(),
        }],
        issued: time(),
        addresses: Vec::new(),
        chain_id: None,
        contract: nowhere,
        token: nowhere,
        payee: nowhere,
        unit_price: money(1),
        prepay_units: 1,
        credit_units: 8,
        close_window_secs: 86_400,
    }
}

pub(crate) fn exit_status() -> ExitStatus {
    ExitStatus {
        enabled: true,
        since: Some(time()),
        policy: policy(),
        consent: Some(ConsentRecord {
            policy: policy(),
            given: time(),
        }),
        price: price(),
        at_risk: money(16),
        region: Some(region()),
        endpoints: vec!["198.51.100.7:41820".to_owned()],
        offer: None,
        offer_valid_until: None,
        guests_max: 8,
        rates: RatesView {
            guest_kbit: NonZeroU64::new(20_000),
            ..RatesView::default()
        },
        offload: None,
        dropped: DropsView([("forged".to_owned(), 3)].into()),
        hindered: None,
        unreached: None,
        guests: Vec::new(),
        earned: money(3),
        claimable: money(2),
    }
}

pub(crate) fn guests() -> ExitGuests {
    ExitGuests {
        guests: Vec::new(),
        allowed: vec![EXIT],
        banned: Vec::new(),
    }
}

pub(crate) fn consumer() -> ConsumerView {
    ConsumerView {
        session: SESSION,
        state: ConsumerState::Active,
        exit: EXIT,
        region: region(),
        since: time(),
        price: price(),
        used: UsageView::default(),
        served_secs: 61,
        due: money(7),
        paid: money(8),
        at_risk: money(1),
        max_spend: money(100),
        channel: Some(CHANNEL),
        route: None,
        tunnel: None,
        kill_switch: true,
    }
}

pub(crate) fn transaction(text: &str, channel: Option<ChannelId>) -> TransactionReport {
    let transaction = Some(TxHash::from_bytes([9; 32]));
    TransactionReport {
        text: text.to_owned(),
        channel,
        transaction,
        amount: money(5),
        fee: None,
        fee_at_most: None,
    }
}

pub(crate) fn earnings() -> Earnings {
    Earnings {
        earned: money(3),
        claimed: money(1),
        claimable: money(2),
        passed_on: money(0),
        claim_fee: None,
        claims: 1,
        claims_due: 0,
        claim_transactions: 1,
        sessions: 4,
        channels: Vec::new(),
    }
}

pub(crate) fn net_stats() -> NetStats {
    NetStats {
        peers: 3,
        routing_table: 5,
        mesh: 2,
        offers: 7,
        held: 1,
        questions: 0,
        ways: OfferWays {
            both: 4,
            ..OfferWays::default()
        },
        counted: [("offer.refused".to_owned(), 6)].into(),
    }
}

pub(crate) fn claims() -> ClaimReport {
    ClaimReport {
        text: "claimed".to_owned(),
        amount: money(9),
        transactions: Vec::new(),
        claims: vec![ClaimOfChannel {
            channel: CHANNEL,
            amount: money(9),
            transaction: None,
            problem: Some(Problem::new(ErrorCode::GasTooDear, "too dear")),
        }],
    }
}

/// Entries on record: more than one answer holds.
pub(crate) const ENTRIES: u64 = 60_000;

pub(crate) fn ledger(query: &LedgerQuery) -> Ledger {
    let entry = |number| LedgerEntry {
        number,
        from: "deposited".to_owned(),
        to: "spent".to_owned(),
        at: time(),
        kind: LedgerKind::Paid,
        amount: money(u64::MAX),
        channel: Some(CHANNEL),
        session: None,
        peer: None,
        transaction: Some(TxHash::from_bytes([9; 32])),
    };
    let entries: Vec<_> = (0..ENTRIES).map(entry).collect();
    let picked = query.pick(&entries, |it| (it.number, it.at.0));
    Ledger {
        entries: picked.into_iter().cloned().collect(),
        paid: money(1),
        earned: money(3),
    }
}
