//! What the owner does with routers, and what the node shows of routes.

use std::collections::BTreeSet;

use warren_overlay::offers::OfferQuery;
use warren_payments::ledger::Books;
use warren_payments::{ChannelView as Held, Phase, Role, RouteView as Routed};
use warren_proto::{Amount, ChannelId, NodeId, RouterHint, UnixTime};

use super::Node;
use crate::api::types::{
    NeighbourRole, NeighbourView, RouteList, RouteRow, RouterList, RouterRow, RouterView, Timestamp,
};
use crate::error::{ErrorCode, Problem};
use crate::perform::problem;
use crate::route::{Kind, Neighbour};

impl Node {
    pub(super) async fn route_list(&self) -> Result<RouteList, Problem> {
        let routes = self.purse()?.payments().routes().await;
        let routes = routes.map_err(|it| problem(&it))?;
        let neighbours = self.routes.neighbours().into_iter();
        Ok(RouteList {
            router: self.router_view().await,
            routes: routes.iter().map(|it| self.route_row(it)).collect(),
            neighbours: neighbours.map(|it| self.neighbour_view(it)).collect(),
        })
    }

    pub(super) async fn router_list(&self) -> Result<RouterList, Problem> {
        let found = self.routes.found().await?;
        let row = |it: &RouterHint| RouterRow {
            node: it.node,
            fee_ppm: it.fee_ppm,
            hold_fee: self.money(it.hold_fee),
            capacity_log2: it.capacity_log2,
            close_window_secs: it.close_window_secs,
            valid_until: Timestamp(it.valid_until),
        };
        let routers = found.iter().map(|it| row(it.hint())).collect();
        Ok(RouterList { routers })
    }

    fn route_row(&self, it: &Routed) -> RouteRow {
        RouteRow {
            payment: it.payment,
            up: it.up,
            down: it.down,
            stage: it.stage.name().to_owned(),
            units: it.units,
            of_units: it.down_lock.units,
            up_price: self.money(it.up_lock.unit_price),
            down_price: self.money(it.down_lock.unit_price),
            expires: Timestamp(UnixTime::from_secs(it.down_lock.expiry)),
        }
    }

    fn neighbour_view(
        &self,
        (channel, it, connected): (ChannelId, Neighbour, bool),
    ) -> NeighbourView {
        let said = self.routes.said_by(it.node);
        let said = said.as_ref().map(|it| *it.hint());
        NeighbourView {
            channel,
            node: it.node,
            role: match it.kind {
                Kind::Router => NeighbourRole::Router,
                Kind::Onward => NeighbourRole::Onward,
            },
            connected,
            fee_ppm: said.map(|it| it.fee_ppm),
            capacity_log2: said.map(|it| it.capacity_log2),
        }
    }

    /// `None` if this node does not route.
    pub(super) async fn router_view(&self) -> Option<RouterView> {
        let terms = *self.routes.terms().await?.hint();
        let (held, books) = (self.held().await.ok()?, self.books().await.ok()?);
        let onward = held.iter().filter(|it| self.is_onward(it));
        let left = onward.fold(Amount::ZERO, |sum, it| {
            let left = if it.phase == Phase::Closed {
                Amount::ZERO
            } else {
                books.channel(&it.id).left()
            };
            sum.checked_add(left).unwrap_or(Amount::MAX)
        });
        let numbers = self.routes.numbers();
        Some(RouterView {
            fee_ppm: terms.fee_ppm,
            hold_fee: self.money(terms.hold_fee),
            capacity_log2: terms.capacity_log2,
            budget: self.money(self.config.router.budget),
            bound: self.money(left),
            passed_on: self.money(self.passed_on(&held, &books)),
            asked: numbers.asked,
            refused: numbers.refused,
        })
    }

    /// Paid onward, for others.
    pub(super) fn passed_on(&self, held: &[Held], books: &Books) -> Amount {
        let onward = held.iter().filter(|it| self.is_onward(it));
        onward.fold(Amount::ZERO, |sum, it| {
            let paid = books.channel(&it.id).paid;
            sum.checked_add(paid).unwrap_or(Amount::MAX)
        })
    }

    fn is_onward(&self, it: &Held) -> bool {
        let known = self.routes.neighbour(it.id);
        it.role == Role::Payer && known.is_some_and(|it| it.kind == Kind::Onward)
    }

    /// A router's terms, asked of it now: by its node id, the beginning of one that is known here, or `auto` for
    /// the cheapest that the DHT knows of.
    pub(super) async fn router_terms(&self, text: &str) -> Result<RouterHint, Problem> {
        if text == "auto" {
            let found = self.routes.found().await?;
            return found.first().map(|it| *it.hint()).ok_or_else(|| {
                let seen = "no router on this chain was found in the DHT";
                Problem::new(ErrorCode::NotFound, seen).with_next("warren net peers")
            });
        }
        let node = self.known_node(text).await?;
        let hint = *self.routes.terms_of(node).await?.hint();
        let ours = self.config.chain.as_ref().map(|it| it.pinned);
        if ours != Some(hint.chain) {
            let seen = format!("{} routes on another chain", node.short());
            return Err(Problem::new(ErrorCode::RouterUnusable, seen));
        }
        Ok(hint)
    }

    async fn known_node(&self, text: &str) -> Result<NodeId, Problem> {
        let wanted = text.to_ascii_lowercase();
        if let Ok(node) = wanted.parse::<NodeId>() {
            return Ok(node);
        }
        let peers = self.overlay.peers().await.unwrap_or_default();
        let query = OfferQuery {
            full_too: true,
            ..OfferQuery::default()
        };
        let offers = self.overlay.offers(query).await.unwrap_or_default();
        let known = peers.iter().map(|it| it.node);
        let known = known.chain(offers.iter().map(|it| it.offer.offer().node));
        let fits = |it: &NodeId| !wanted.is_empty() && it.to_string().starts_with(&wanted);
        let found: BTreeSet<_> = known.filter(fits).collect();
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(node), None) => Ok(node),
            (Some(_), Some(_)) => {
                let seen = format!("`{text}` begins the id of more than one node");
                Err(Problem::new(ErrorCode::BadRequest, seen).with_next("warren net peers"))
            }
            (None, _) => {
                let seen =
                    format!("no node that is known here has an id that begins with `{text}`");
                Err(Problem::new(ErrorCode::NotFound, seen).with_next("warren net peers"))
            }
        }
    }
}
