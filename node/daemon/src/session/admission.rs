//! Which requests an exit grants: capacity, price, one place per consumer.
//!
//! Sans-IO. The provider loop brings the fresh keys; this core hands out inner addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use warren_proto::{
    Amount, Candidate, Credit, NodeId, Refusal, RefusalReason, SessionId, SessionRequest,
    SessionTerms, SignedOffer, TunnelPublicKey, UnixTime,
};

use super::SessionLimits;

/// What the exit's owner has set, beyond what stands in the offer.
#[derive(Debug, Clone)]
pub struct ExitTerms {
    /// The exit's inner addresses; guests follow from `.0.2` on.
    pub gateway_v4: Ipv4Addr,
    /// Likewise; guests follow from `::2` on.
    pub gateway_v6: Ipv6Addr,
    /// Resolvers reached through the tunnel.
    pub dns: Vec<IpAddr>,
    /// Inner MTU.
    pub mtu: u16,
    /// WireGuard endpoints, best first.
    pub endpoints: Vec<Candidate>,
    /// The least deposit, in words.
    pub min_deposit_units: u32,
    /// Units that a guest may owe at most, however much it has paid.
    pub max_credit_units: u32,
}

/// What only a shell can make: fresh keys.
#[derive(Debug, Clone, Copy)]
pub struct Fresh {
    /// The exit's tunnel key.
    pub provider_key: TunnelPublicKey,
    /// Random, for SessionAuth.
    pub payee_nonce: [u8; 32],
}

/// The exit's door.
#[derive(Debug)]
pub struct Admission {
    node: NodeId,
    exit: ExitTerms,
    limits: SessionLimits,
    /// The current offer and the one before it: a request may cross a renewal.
    offers: Vec<SignedOffer>,
    places: BTreeMap<u16, (SessionId, NodeId)>,
    draining: bool,
}

/// A request may rely on the current offer or on one of its last predecessors.
const OFFERS_KEPT: usize = 4;
/// Inner addresses .2 to .65534 would do; the offer's capacity is the real bound.
const FIRST_PLACE: u16 = 2;

impl Admission {
    /// An exit that grants nothing until it has an offer.
    #[must_use]
    pub const fn new(node: NodeId, exit: ExitTerms, limits: SessionLimits) -> Self {
        Self {
            node,
            exit,
            limits,
            offers: Vec::new(),
            places: BTreeMap::new(),
            draining: false,
        }
    }

    /// Takes the newest offer of this exit.
    pub fn offered(&mut self, offer: SignedOffer) {
        self.offers.insert(0, offer);
        self.offers.truncate(OFFERS_KEPT);
    }

    /// Guests to come find this exit there.
    pub fn moved(&mut self, endpoints: Vec<Candidate>) {
        self.exit.endpoints = endpoints;
    }

    /// Grants nothing more; sessions under way go on.
    pub const fn drain(&mut self) {
        self.draining = true;
    }

    /// Guests now.
    #[must_use]
    pub fn guests(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    /// Gives a place back.
    pub fn release(&mut self, session: SessionId) {
        self.places.retain(|_, (holder, _)| *holder != session);
    }

    /// Grants or refuses `request` of `consumer`.
    ///
    /// # Errors
    /// A typed [`Refusal`], ready to send.
    pub fn decide(
        &mut self,
        request: &SessionRequest,
        consumer: NodeId,
        fresh: Fresh,
        now: UnixTime,
    ) -> Result<SessionTerms, Refusal> {
        let refuse = |reason: RefusalReason| {
            Err(Refusal {
                session: request.session,
                reason,
                detail: reason.to_string(),
            })
        };
        let Some(current) = self.offers.first().map(SignedOffer::offer) else {
            return refuse(RefusalReason::Draining);
        };
        if self.draining || current.is_withdrawal() {
            return refuse(RefusalReason::Draining);
        }
        if request.resume {
            return refuse(RefusalReason::UnknownSession);
        }
        if request.chain != current.chain {
            return refuse(RefusalReason::Chain);
        }
        let relied = self
            .offers
            .iter()
            .find(|offer| offer.hash() == request.offer);
        let Some(relied) = relied
            .map(SignedOffer::offer)
            .filter(|it| it.valid_until > now)
        else {
            return refuse(RefusalReason::PriceChanged);
        };
        if request.price != relied.price {
            return refuse(RefusalReason::PriceChanged);
        }
        let held = self.places.values().any(|(_, guest)| *guest == consumer);
        if !held && self.guests() >= current.capacity.guests_max {
            return refuse(RefusalReason::Full);
        }
        // A consumer that asks anew has lost its old session: one place each.
        self.places.retain(|_, (_, guest)| *guest != consumer);
        let Some(place) = (FIRST_PLACE..u16::MAX).find(|at| !self.places.contains_key(at)) else {
            return refuse(RefusalReason::Full);
        };
        let Ok(min_deposit) = relied
            .unit_price
            .checked_mul(self.exit.min_deposit_units.into())
        else {
            return refuse(RefusalReason::Internal);
        };
        self.places.insert(place, (request.session, consumer));
        let relied = relied.clone();
        Ok(self.terms(request, consumer, &relied, (place, min_deposit), fresh, now))
    }

    /// What a guest under these terms may owe.
    #[must_use]
    pub const fn credit(&self, terms: &SessionTerms) -> Credit {
        Credit {
            first: terms.credit_units,
            most: self.exit.max_credit_units,
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the facts of one deal, used once"
    )]
    fn terms(
        &self,
        request: &SessionRequest,
        consumer: NodeId,
        offer: &warren_proto::Offer,
        (place, min_deposit): (u16, Amount),
        fresh: Fresh,
        now: UnixTime,
    ) -> SessionTerms {
        SessionTerms {
            session: request.session,
            consumer,
            provider: self.node,
            offer: request.offer,
            price: offer.price,
            unit_price: offer.unit_price,
            prepay_units: offer.prepay_units,
            credit_units: offer.credit_units,
            min_deposit,
            chain: offer.chain,
            payee: offer.payee,
            close_window_secs: offer.close_window_secs,
            policy_hash: offer.policy.hash,
            consumer_key: request.tunnel_key,
            provider_key: fresh.provider_key,
            consumer_v4: v4_at(self.exit.gateway_v4, place),
            consumer_v6: v6_at(self.exit.gateway_v6, place),
            gateway_v4: self.exit.gateway_v4,
            gateway_v6: self.exit.gateway_v6,
            dns: self.exit.dns.clone(),
            mtu: self.exit.mtu,
            endpoints: self.exit.endpoints.clone(),
            payee_nonce: fresh.payee_nonce,
            valid_until: now.plus(self.limits.grant),
        }
    }
}

/// The address `place` in the /16 of `gateway`.
fn v4_at(gateway: Ipv4Addr, place: u16) -> Ipv4Addr {
    let [a, b, ..] = gateway.octets();
    let [c, d] = place.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

/// The address `place` in the /64 of `gateway`.
fn v6_at(gateway: Ipv6Addr, place: u16) -> Ipv6Addr {
    let mut segments = gateway.segments();
    segments[7] = place;
    Ipv6Addr::from(segments)
}
