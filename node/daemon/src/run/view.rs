//! What the node shows of itself: status, exits, peers.

use std::time::Duration;

use warren_overlay::OverlayStats;
use warren_overlay::offers::{OfferQuery, RankedOffer};
use warren_proto::{Amount, Price};

use super::{Node, wish};
use crate::api::types::{
    ConsumerState, DropsView, ExitGuests, ExitList, ExitRow, ExitStatus, ExitsQuery, GuestState,
    GuestView, Money, OffloadView, OverlayView, PriceView, RatesView, Status, StoreView, Timestamp,
    UsageView,
};
use crate::error::{ErrorCode, Problem};
use crate::perform::problem;
use crate::provider::{ExitFacts, GuestFacts};
use crate::session::ProviderPhase;

// Our choice.
/// A clock that was set back by less is no news: what others date is taken within minutes of it.
const CLOCK_AHEAD: Duration = Duration::from_secs(60);

impl Node {
    pub(super) async fn status_view(&self) -> Result<Status, Problem> {
        let stats = self.overlay.stats().await.unwrap_or_default();
        let listen = self.overlay.listen_addresses().await.unwrap_or_default();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let facts = self.consumer.view().await?;
        let mut warnings = self.warnings.clone();
        let consumer = facts.view(&self.config.token);
        // A tunnel that broke while the user was away: blocked on purpose, and said so.
        let silent = consumer
            .as_ref()
            .is_none_or(|it| matches!(it.state, ConsumerState::Closed | ConsumerState::Choosing));
        if let Some(problem) = facts.problem.clone().filter(|_| silent) {
            warnings.push(problem);
        }
        let (mut chain, trouble) = self.chain_view().await;
        let untold = match (&trouble, &self.purse) {
            (None, Some(purse)) => purse.payments().trusted().await.err(),
            _ => None,
        };
        if let (Some(chain), Some(purse)) = (&mut chain, &self.purse)
            && (untold.is_some() || !purse.payments().is_fresh().await.unwrap_or(false))
        {
            chain.fresh = false; // It answers, but its news do not count, or are old.
        }
        warnings.extend(trouble.or_else(|| untold.as_ref().map(problem)));
        warnings.extend(self.troubles(&stats));
        let provider = self.provider.view().await?;
        let enabled = provider.on.is_some();
        warnings.extend(provider.on.iter().filter_map(|it| it.unreached.clone()));
        warnings.extend(facts.trouble.clone());
        warnings.extend(provider.trouble);
        warnings.extend(self.keeping.trouble());
        warnings.extend(facts.session.iter().filter_map(|it| it.nameless.clone()));
        let used = facts.session.iter().filter_map(|it| it.equipped());
        let lacks = used.flat_map(|(_, lacks)| lacks);
        let lacks = lacks.chain(provider.on.iter().flat_map(|it| &it.lacks));
        warnings.extend(lacks.map(|it| Problem::new(ErrorCode::TunnelBare, it)));
        Ok(Status {
            node: self.key.id(),
            network: self.config.node.network.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: Timestamp(self.started),
            overlay: OverlayView {
                peers: count(stats.peers),
                offers: count(stats.offers),
                listen,
            },
            chain,
            consumer,
            choosing: facts.choosing,
            kill_switch: facts.protected,
            exit: if enabled {
                Some(self.exit_view().await?)
            } else {
                None
            },
            router: self.router_view().await,
            store: StoreView {
                free_bytes: self.store.headroom().free_bytes().unwrap_or(0),
                takes_liabilities: self.store.headroom().takes_liabilities(),
                batches: self.store.batches(),
            },
            warnings,
        })
    }

    /// What is wrong with this machine's disk or clock now.
    pub(super) fn troubles(&self, stats: &OverlayStats) -> Vec<Problem> {
        let mut warnings = Vec::new();
        if let Err(problem) = self.store.headroom().demand() {
            warnings.push(problem);
        }
        if stats.clock_behind {
            let seen = "the offers of most peers look as if from the future";
            warnings.push(Problem::new(ErrorCode::ClockBehind, seen));
        }
        let ahead = self.clock.ahead();
        if ahead > CLOCK_AHEAD {
            let secs = ahead.as_secs();
            let seen = format!("it was {secs} s ahead, which this daemon still goes by");
            warnings.push(Problem::new(ErrorCode::ClockSetBack, seen));
        }
        if stats.clock_ahead {
            let seen = "most peers tell of offers that are long over by it";
            warnings.push(Problem::new(ErrorCode::ClockAhead, seen));
        }
        warnings
    }

    pub(super) async fn exit_list(&self, query: &ExitsQuery) -> Result<ExitList, Problem> {
        let wanted = wish::offer_query(&self.config, query)?;
        let max = wanted.max_per_mib;
        let failed = |error| Problem::new(ErrorCode::OverlayFailed, error);
        let offers = if query.refresh {
            self.overlay.refresh(wanted).await.map_err(failed)?
        } else {
            self.overlay.offers(wanted).await.map_err(failed)?
        };
        let all = self
            .overlay
            .offers(OfferQuery {
                full_too: true,
                ..OfferQuery::default()
            })
            .await;
        let known = u32::try_from(all.map_err(failed)?.len()).unwrap_or(u32::MAX);
        let fits = |it: &&RankedOffer| crate::consumer::is_within(max, it);
        let fitting = offers.iter().filter(fits);
        let exits = fitting.map(|it| self.exit_row(it)).collect();
        Ok(ExitList { exits, known })
    }

    pub(super) fn exit_row(&self, it: &RankedOffer) -> ExitRow {
        let offer = it.offer.offer();
        let is_free = offer.price == Price::default();
        let words = if is_free { 0 } else { offer.prepay_units };
        let at_risk = offer.unit_price.checked_mul(words.into());
        ExitRow {
            node: offer.node,
            offer: it.offer.hash(),
            seq: offer.seq,
            region: offer.region.clone(),
            price: PriceView::of(offer.price, &self.config.token),
            at_risk: self.money(at_risk.unwrap_or(Amount::MAX)),
            policy: offer.policy.clone(),
            guests_max: offer.capacity.guests_max,
            guests_free: offer.capacity.guests_free,
            ipv4: offer.ipv4,
            ipv6: offer.ipv6,
            rootless: offer.rootless,
            rtt_millis: it.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
            by_dht: it.by_dht,
            by_gossip: it.by_gossip,
            valid_until: Timestamp(offer.valid_until),
            points: it.points,
            reasons: self.reasons(it),
            version: offer.version.clone(),
        }
    }

    pub(super) async fn exit_view(&self) -> Result<ExitStatus, Problem> {
        let facts = self.provider.view().await?;
        let (earned, claimable) = match self.earnings().await {
            Ok(it) => (it.earned, it.claimable),
            // A free exit earns nothing and has no wallet.
            Err(_) => (self.money(Amount::ZERO), self.money(Amount::ZERO)),
        };
        let exit = &self.config.exit;
        let policy = self.policy(None)?.id();
        let on = facts.on.as_ref();
        let price = on.map_or(exit.price, |it| it.offer.price);
        let word = on.map_or_else(|| exit.word(&price), |it| it.offer.unit_price);
        let at_risk = word.checked_mul(exit.credit.most.into());
        Ok(ExitStatus {
            enabled: on.is_some(),
            since: on.map(|it| Timestamp(it.since)),
            policy: on.map_or(policy, |it| it.offer.policy.clone()),
            consent: self.consent(),
            price: PriceView::of(price, &self.config.token),
            at_risk: self.money(at_risk.unwrap_or(Amount::MAX)),
            region: exit.region.clone(),
            endpoints: on.map_or_else(|| exit.endpoints.clone(), |it| it.endpoints.clone()),
            offer: on.map(|it| it.offer_hash),
            offer_valid_until: on.map(|it| Timestamp(it.offer.valid_until)),
            guests_max: exit.guests_max,
            rates: RatesView {
                guest_kbit: exit.guest_rate_kbit,
                line_kbit: exit.line_rate_kbit,
                delayed_packets: on.map_or(0, |it| it.shaped.delayed),
                dropped_packets: on.map_or(0, |it| it.shaped.dropped),
            },
            offload: on.map(|it| OffloadView::of(it.rungs)),
            dropped: on.map_or_else(DropsView::default, |it| DropsView::of(&it.dropped)),
            hindered: on.and_then(|it| it.hindered.clone()),
            unreached: on.and_then(|it| it.unreached.clone()),
            guests: on.map(|it| self.guests(it)).unwrap_or_default(),
            earned,
            claimable,
        })
    }

    pub(super) async fn guests_view(&self) -> Result<ExitGuests, Problem> {
        let facts = self.provider.view().await?;
        let who = &self.config.exit.guests;
        Ok(ExitGuests {
            guests: facts.on.iter().flat_map(|it| self.guests(it)).collect(),
            allowed: who.allowed.iter().copied().collect(),
            banned: who.banned.iter().copied().collect(),
        })
    }

    fn guests(&self, exit: &ExitFacts) -> Vec<GuestView> {
        exit.guests.iter().map(|it| self.guest(it)).collect()
    }

    fn guest(&self, it: &GuestFacts) -> GuestView {
        GuestView {
            session: it.session,
            node: it.node,
            state: match it.phase {
                ProviderPhase::Granted => GuestState::Granted,
                ProviderPhase::AwaitingFunds => GuestState::AwaitingFunds,
                ProviderPhase::AwaitingWord => GuestState::AwaitingHandshake,
                ProviderPhase::Serving => GuestState::Serving,
                ProviderPhase::Paused => GuestState::Paused,
                ProviderPhase::Closed => GuestState::Closed,
            },
            since: Timestamp(it.since),
            used: UsageView {
                up_bytes: it.used.0,
                down_bytes: it.used.1,
            },
            due: self.money(it.due),
            paid: self.money(it.paid),
            at_risk: self.money(it.at_risk),
            channel: it.channel,
        }
    }

    pub(super) fn shown(&self, amount: Amount) -> Money {
        self.money(amount)
    }
}
