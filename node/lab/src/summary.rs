//! What a run came to, in numbers a program can read.

use serde::{Deserialize, Serialize};
use warren_proto::{Amount, Credit};

use crate::run::LabError;
use crate::world::World;

/// Low, middle and high of a measured quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// Half are at or below.
    pub p50: u64,
    /// 95 of 100 are at or below.
    pub p95: u64,
    /// The largest.
    pub max: u64,
}

impl Percentiles {
    /// Ranks the values (nearest rank).
    #[must_use]
    pub fn of(values: &[u64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let rank = |percent: usize| {
            let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(at).copied().unwrap_or(0)
        };
        Self {
            count: sorted.len() as u64,
            p50: rank(50),
            p95: rank(95),
            max: rank(100),
        }
    }
}

/// The outcome of one run (schema `warren.swarm/v1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Always `warren.swarm/v1`.
    pub schema: String,
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// Program version.
    pub version: String,
    /// SHA-256 over the event log.
    pub event_log_hash: String,
    /// Lines in the event log.
    pub events: u64,
    /// Nodes, of which exits.
    pub nodes: u32,
    /// Exits among them.
    pub exits: u32,
    /// Virtual time.
    pub virtual_secs: u64,
    /// Consumers that found an offer at any time.
    pub consumers_with_offers: u64,
    /// Offers known per consumer when the virtual time was over, before the books were closed.
    pub offers_known: Percentiles,
    /// From joining to the first offer, ms.
    pub first_offer_millis: Percentiles,
    /// From asking to traffic with a new channel, ms.
    pub up_cold_millis: Percentiles,
    /// From asking to traffic with a channel that stood, ms.
    pub up_warm_millis: Percentiles,
    /// Offer messages received.
    pub gossip_messages: u64,
    /// Offers refused: forged, stale, too often.
    pub refused_offers: u64,
    /// Sessions asked for.
    pub sessions_started: u64,
    /// Sessions that carried traffic.
    pub sessions_active: u64,
    /// Sessions that carried all the user wanted.
    pub sessions_completed: u64,
    /// Sessions that ended before, because their channel was used up.
    pub sessions_used_up: u64,
    /// Sessions that ended before for any other reason, or never carried anything.
    pub sessions_failed: u64,
    /// Of the failed ones, those that carried traffic and whose consumer got traffic at another exit before it
    /// gave up.
    pub failovers: u64,
    /// Exits that crashed.
    pub crashes: u64,
    /// Inner bytes delivered.
    pub bytes_delivered: u64,
    /// Words released by consumers, also in sessions under way at the end.
    pub words_paid: u64,
    /// Money released by consumers, base units.
    pub released_wei: Amount,
    /// Money claimed on chain, base units.
    pub claimed_wei: Amount,
    /// Channels opened.
    pub channels: u64,
    /// Claims sent.
    pub claims: u64,
    /// Most served beyond payment in one session, words.
    pub most_unpaid_units: u64,
    /// The stated bound on it: the credit, and what a session of the longest kind may lose on its way (ADR 0007).
    pub unpaid_bound_units: u64,
    /// Most paid, by the payer's books, beyond the words begun in one session, words.
    pub most_unserved_units: u64,
    /// The stated bound on it.
    pub unserved_bound_units: u64,
    /// Tokens in the contract = all pots + all open deposits less claims.
    pub conserved: bool,
    /// No channel was claimed beyond what its consumer released.
    pub never_overclaimed: bool,
    /// Each word at its session's price, they come to `released_wei`.
    pub words_agree: bool,
    /// Every exit was paid on chain all that it had served for, crashes or not.
    pub nothing_lost: bool,
    /// Offers taken that no exit had made.
    pub forgeries_taken: u64,
}

impl Summary {
    /// Reads the outcome out of a world that has run.
    ///
    /// # Errors
    /// [`LabError::Chain`] if the chain does not answer.
    pub fn of(world: &World, seed: u64) -> Result<Self, LabError> {
        let (consumers, exits): (Vec<_>, Vec<_>) = world
            .nodes
            .iter()
            .partition(|node| node.consumer().is_some());
        let mut claimed = 0_u128;
        let mut open = 0_u128;
        let mut never_overclaimed = true;
        let (mut words, mut worth) = (world.tally.words, world.tally.words_worth.wei());
        for node in &consumers {
            if let Some(buying) = node.consumer().and_then(|it| it.session.as_ref()) {
                words += buying.machine.released();
                worth += buying.worth().wei();
            }
            for (id, channel) in node.consumer().map(|it| &it.channels).into_iter().flatten() {
                let (deposit, paid) = world.bank.channel(*id)?;
                claimed += paid.wei();
                open += deposit.saturating_sub(paid).wei();
                never_overclaimed &= paid <= channel.value();
            }
        }
        let mut nothing_lost = true;
        for (id, kept) in exits
            .iter()
            .filter_map(|it| it.exit())
            .flat_map(|it| &it.channels)
        {
            nothing_lost &= world.bank.channel(*id)?.1 >= kept.credited;
        }
        let mut pots = 0_u128;
        for node in &world.nodes {
            pots += world.bank.pot(node.wallet.address())?.wei();
        }
        let (tally, market) = (&world.tally, &world.scenario.market);
        let credit = Credit {
            first: market.credit_units,
            most: market.credit_units,
        };
        Ok(Self {
            schema: "warren.swarm/v1".to_owned(),
            scenario: world.scenario.name.clone(),
            seed,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            event_log_hash: world.log.hash(),
            events: world.log.events(),
            nodes: world.scenario.nodes.count,
            exits: u32::try_from(exits.len()).unwrap_or(u32::MAX),
            virtual_secs: u64::from(world.scenario.time.minutes) * 60,
            consumers_with_offers: consumers
                .iter()
                .filter(|it| it.first_offer.is_some())
                .count() as u64,
            offers_known: Percentiles::of(&tally.offers_known),
            first_offer_millis: Percentiles::of(&tally.first_offer_millis),
            up_cold_millis: Percentiles::of(&tally.cold_millis),
            up_warm_millis: Percentiles::of(&tally.warm_millis),
            gossip_messages: tally.gossip_messages,
            refused_offers: tally.refused_offers,
            sessions_started: tally.started,
            sessions_active: tally.active,
            sessions_completed: tally.completed,
            sessions_used_up: tally.used_up,
            sessions_failed: tally.failed,
            failovers: tally.failed_over,
            crashes: tally.crashes,
            bytes_delivered: tally.delivered_bytes,
            words_paid: words,
            released_wei: tally.released,
            claimed_wei: Amount::from_wei(claimed).unwrap_or(Amount::MAX),
            channels: tally.channels,
            claims: tally.claims,
            most_unpaid_units: tally.most_unpaid_units,
            unpaid_bound_units: credit.units(world.scenario.demand.session_max_mib.into()),
            most_unserved_units: tally.most_unserved_units,
            unserved_bound_units: market.prepay_units.into(),
            conserved: world.bank.held()?.wei() == pots + open,
            never_overclaimed,
            words_agree: worth == tally.released.wei(),
            nothing_lost,
            forgeries_taken: tally.forgeries,
        })
    }

    /// What must hold in every run, and that it shows anything; the names of what does not.
    #[must_use]
    pub fn broken_bounds(&self) -> Vec<&'static str> {
        let bounds = [
            (self.sessions_active > 0, "some session carries traffic"),
            (self.conserved, "money is conserved"),
            (
                self.never_overclaimed,
                "no channel is claimed beyond what was released",
            ),
            (self.words_agree, "words and money agree"),
            (self.nothing_lost, "no exit loses what it served for"),
            (self.forgeries_taken == 0, "no forged offer is taken"),
            (
                self.most_unpaid_units <= self.unpaid_bound_units,
                "service stays within credit",
            ),
            (
                self.most_unserved_units <= self.unserved_bound_units,
                "payment stays within prepay",
            ),
        ];
        bounds
            .into_iter()
            .filter(|(holds, _)| !holds)
            .map(|(_, name)| name)
            .collect()
    }
}
