//! What is known of one exit, and why it stands where it stands.

use warren_overlay::offers::{OfferQuery, RankedOffer, ScoreReason, asks_too_much_ahead};
use warren_proto::{Amount, MAX_MIB_AHEAD, Price};

use super::{Node, wish};
use crate::api::types::{
    ExitQuery, ExitShown, ExitsQuery, LeftOut, LeftOutBy, RankReason, RankedBy, Timestamp,
};
use crate::consumer::{ExitName, is_of_use, is_within};
use crate::error::{ErrorCode, Problem};

impl Node {
    /// The exit of this name, whether or not `up` would choose it.
    ///
    /// # Errors
    /// [`ErrorCode::BadRequest`] for a name that is none, or of several; [`ErrorCode::NoOffer`] for one that nobody has.
    pub(super) async fn exit_shown(&self, asked: &ExitQuery) -> Result<ExitShown, Problem> {
        let name = ExitName::parse(&asked.exit)?;
        let all = OfferQuery {
            full_too: true,
            ..OfferQuery::default()
        };
        let known = self.offers_of(all).await?;
        let node = |it: &RankedOffer| it.offer.offer().node;
        let named = name.among(known.iter().map(node))?;
        let it = known.iter().find(|it| Some(node(it)) == named);
        let it = it.ok_or_else(|| {
            let seen = format!("no offer is known of an exit that `{}` names", asked.exit);
            Problem::new(ErrorCode::NoOffer, seen).with_next("warren exits --refresh")
        })?;
        let query = wish::offer_query(&self.config, &ExitsQuery::default())?;
        let left_out = self.left_out(&query, it);
        let mut choice = self.offers_of(query.clone()).await?;
        choice.retain(|it| self.left_out(&query, it).is_empty());
        let place = choice.iter().position(|other| node(other) == node(it));
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let offer = it.offer.offer();
        Ok(ExitShown {
            exit: self.exit_row(it),
            place: place.map(|it| count(it).saturating_add(1)),
            choice: count(choice.len()),
            left_out,
            issued: Timestamp(offer.issued),
            addresses: offer.addresses.clone(),
            chain_id: Some(offer.chain.chain_id).filter(|it| *it != 0),
            contract: offer.chain.contract,
            token: offer.chain.token,
            payee: offer.payee,
            unit_price: self.money(offer.unit_price),
            prepay_units: offer.prepay_units,
            credit_units: offer.credit_units,
            close_window_secs: offer.close_window_secs,
        })
    }

    async fn offers_of(&self, query: OfferQuery) -> Result<Vec<RankedOffer>, Problem> {
        let failed = |error| Problem::new(ErrorCode::OverlayFailed, error);
        self.overlay.offers(query).await.map_err(failed)
    }

    /// Why `up` would not choose it; nothing for one that it may.
    fn left_out(&self, query: &OfferQuery, it: &RankedOffer) -> Vec<LeftOut> {
        let (offer, mut why) = (it.offer.offer(), Vec::new());
        let mut add = |by, text| why.push(LeftOut { by, text });
        let is_free = offer.price == Price::default();
        if let Some(chain) = query.chain.filter(|it| *it != offer.chain && !is_free) {
            let (its, ours) = (offer.chain.chain_id, chain.chain_id);
            let text = if its == ours {
                format!("it is paid by another contract, or in another token, on chain {ours}")
            } else {
                format!("it is paid on chain {its}, and this node pays on chain {ours}")
            };
            add(LeftOutBy::OtherChain, text);
        }
        if query.chain.is_none() && !is_free {
            let text = "it is paid, and this node has no chain to pay on".to_owned();
            add(LeftOutBy::OtherChain, text);
        }
        if let Some(max) = query
            .max_per_mib
            .filter(|_| !is_within(query.max_per_mib, it))
        {
            let max = self.money(max.checked_mul(1024).unwrap_or(Amount::MAX));
            let text =
                format!("it is dearer than {max} per GiB, as consumer.max_price_per_gib says");
            add(LeftOutBy::TooDear, text);
        }
        if offer.capacity.guests_free == 0 {
            add(LeftOutBy::Full, "no place is free".to_owned());
        }
        if asks_too_much_ahead(&it.offer) {
            let text =
                format!("it wants more ahead than {MAX_MIB_AHEAD} MiB are worth at its price");
            add(LeftOutBy::TooMuchAhead, text);
        }
        if !is_of_use(offer) {
            let text = "it carries IPv6 only, which is switched off on this machine".to_owned();
            add(LeftOutBy::NoCommonIp, text);
        }
        why
    }

    /// The parts of its score, in words.
    pub(super) fn reasons(&self, it: &RankedOffer) -> Vec<RankReason> {
        let reasons = it.score_reasons.iter();
        reasons.map(|reason| self.reason(it, reason)).collect()
    }

    fn reason(&self, it: &RankedOffer, reason: &ScoreReason) -> RankReason {
        let (by, text) = match reason {
            ScoreReason::Price { per_mib, .. } => {
                let per_gib = per_mib.checked_mul(1024).unwrap_or(Amount::MAX);
                let worth = self.money(per_gib);
                let text = format!("{worth} for a GiB with its share of the minutes");
                (RankedBy::Price, text)
            }
            ScoreReason::RoundTrip { millis, .. } => {
                (RankedBy::RoundTrip, format!("{millis} ms there and back"))
            }
            ScoreReason::RoundTripUnknown { .. } => {
                let text = "not measured yet: counts as 200 ms there and back".to_owned();
                (RankedBy::RoundTripUnknown, text)
            }
            ScoreReason::OneWayOnly { .. } => {
                let only = match (it.by_dht, it.by_gossip) {
                    (true, _) => "only the DHT tells of it",
                    (false, true) => "only gossip tells of it",
                    (false, false) => "only the answer of a peer tells of it",
                };
                let text = format!("{only}: part of the network may be hidden");
                (RankedBy::OneWayOnly, text)
            }
            ScoreReason::NearlyFull { free, .. } => {
                let most = it.offer.offer().capacity.guests_max;
                (
                    RankedBy::NearlyFull,
                    format!("{free} of {most} places free"),
                )
            }
        };
        RankReason {
            by,
            points: reason.points(),
            text,
        }
    }
}
