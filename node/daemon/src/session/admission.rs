//! Which requests an exit grants: whose, capacity, price, one place per consumer.
//!
//! Sans-IO. The provider loop brings the fresh keys; this core hands out inner addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use warren_proto::{
    Amount, Candidate, Credit, NodeId, Refusal, RefusalReason, SessionId, SessionRequest,
    SessionTerms, SignedOffer, TunnelPublicKey, UnixTime,
};

use super::{GuestList, SessionLimits};

/// A deposit must cover so many words at least: a quarter of a tranche, so that the claim is worth
/// its gas. Our choice.
const MIN_DEPOSIT_UNITS: u32 = 64;

/// The least deposit of an exit that wants `prepay_units` ahead, in words: that covers them too.
#[must_use]
pub const fn min_deposit_units(prepay_units: u32) -> u32 {
    if prepay_units > MIN_DEPOSIT_UNITS {
        prepay_units
    } else {
        MIN_DEPOSIT_UNITS
    }
}

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
    guests: GuestList,
    /// The current offer and the one before it: a request may cross a renewal.
    offers: Vec<SignedOffer>,
    places: BTreeMap<u16, Place>,
    /// Where the next newcomer may sit, and the last place there is.
    next: u16,
    last: u16,
}

/// Who sits in a place.
#[derive(Debug, Clone, Copy)]
struct Place {
    session: SessionId,
    consumer: NodeId,
    /// It has paid as far as to shake hands.
    begun: bool,
    /// Whoever pays by the minute may be idle.
    pays_time: bool,
    /// When it was granted, or last carried a byte.
    active: UnixTime,
}

/// A request may rely on the current offer or on a predecessor that still lives: with places that come and
/// go, an hour may see so many.
const OFFERS_KEPT: usize = 160;
/// The first inner address after the gateway's.
const FIRST_PLACE: u16 = 2;
/// As many as the last sixteen bits of an address tell apart; the offer's capacity is the real bound.
const LAST_PLACE: u16 = u16::MAX - 1;

// Our choice.
/// A guest that has carried nothing for so long, and does not pay for time, gives its place to a newcomer
/// of an exit that is full.
const IDLE: Duration = Duration::from_secs(600);

impl Admission {
    /// An exit that grants nothing until it has an offer.
    #[must_use]
    pub fn new(node: NodeId, exit: ExitTerms, limits: SessionLimits) -> Self {
        Self {
            node,
            exit,
            limits,
            guests: GuestList::default(),
            offers: Vec::new(),
            places: BTreeMap::new(),
            next: FIRST_PLACE,
            last: LAST_PLACE,
        }
    }

    /// Hands out the inner addresses of a net with this prefix, from a place drawn by `random` on.
    #[must_use]
    pub fn seated(mut self, prefix_v4: u8, random: u16) -> Self {
        let hosts = 1_u32.checked_shl(32_u32.saturating_sub(prefix_v4.into()));
        // The gateway comes first, and the very last address is everybody's.
        let last = hosts.map_or(u32::MAX, |it| it.saturating_sub(2));
        self.last = u16::try_from(last).unwrap_or(LAST_PLACE).min(LAST_PLACE);
        let room = self.last.saturating_sub(FIRST_PLACE).saturating_add(1);
        self.next = FIRST_PLACE + random.checked_rem(room).unwrap_or(0);
        self
    }

    /// Serves nobody but these.
    #[must_use]
    pub fn open_to(mut self, guests: GuestList) -> Self {
        self.guests = guests;
        self
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

    /// Guests now.
    #[must_use]
    pub fn guests(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    /// Gives a place back.
    pub fn release(&mut self, session: SessionId) {
        self.places.retain(|_, it| it.session != session);
    }

    /// This guest has paid as far as to shake hands: it yields to nobody while it uses what it has.
    pub fn begun(&mut self, session: SessionId, now: UnixTime) {
        if let Some(it) = self.holder(session) {
            (it.begun, it.active) = (true, now);
        }
    }

    /// This guest has carried bytes.
    pub fn used(&mut self, session: SessionId, now: UnixTime) {
        if let Some(it) = self.holder(session) {
            it.active = now;
        }
    }

    fn holder(&mut self, session: SessionId) -> Option<&mut Place> {
        self.places.values_mut().find(|it| it.session == session)
    }

    /// Who gives its place to a newcomer that was refused because all are taken: the one that was granted
    /// its place first of those who have not begun; else the one that is idle longest. `None` if all use
    /// what they have.
    #[must_use]
    pub fn yields(&self, now: UnixTime) -> Option<SessionId> {
        let idle = |it: &&Place| !it.pays_time && now.since(it.active) >= IDLE;
        let places = self.places.values();
        let (begun, waiting): (Vec<&Place>, Vec<&Place>) = places.partition(|it| it.begun);
        let first = waiting.into_iter().min_by_key(|it| it.active);
        let first = first.or_else(|| begun.into_iter().filter(idle).min_by_key(|it| it.active));
        first.map(|it| it.session)
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
        if !self.guests.serves(&consumer) {
            return refuse(RefusalReason::Banned);
        }
        let Some(current) = self.offers.first().map(SignedOffer::offer) else {
            return refuse(RefusalReason::Draining);
        };
        if current.is_withdrawal() {
            return refuse(RefusalReason::Draining);
        }
        if request.resume {
            return refuse(RefusalReason::UnknownSession);
        }
        if request.chain != current.chain {
            return refuse(RefusalReason::Chain);
        }
        // What is on offer now is never too old for its own exit, whose time may be ahead of its offers':
        // that never goes back, the clock by which they are dated may.
        let since = current.issued.min(now);
        let mut offers = self.offers.iter().enumerate();
        let relied = offers.find(|(_, offer)| offer.hash() == request.offer);
        let Some(relied) = relied
            .map(|(age, offer)| (age, offer.offer()))
            .filter(|(age, it)| *age == 0 || it.valid_until > since)
            .map(|(_, it)| it)
        else {
            return refuse(RefusalReason::PriceChanged);
        };
        if request.price != relied.price {
            return refuse(RefusalReason::PriceChanged);
        }
        let held = self.places.values().any(|it| it.consumer == consumer);
        if !held && self.guests() >= current.capacity.guests_max {
            return refuse(RefusalReason::Full);
        }
        // A consumer that asks anew has lost its old session: one place each.
        self.places.retain(|_, it| it.consumer != consumer);
        // Round and round: an address rests as long as it can before another guest gets it.
        let mut places = (self.next..=self.last).chain(FIRST_PLACE..self.next);
        let Some(place) = places.find(|at| !self.places.contains_key(at)) else {
            return refuse(RefusalReason::Full);
        };
        let Ok(min_deposit) = relied
            .unit_price
            .checked_mul(self.exit.min_deposit_units.into())
        else {
            return refuse(RefusalReason::Internal);
        };
        let seat = Place {
            session: request.session,
            consumer,
            begun: false,
            pays_time: relied.price.per_minute > Amount::ZERO,
            active: now,
        };
        self.places.insert(place, seat);
        self.next = if place < self.last {
            place + 1
        } else {
            FIRST_PLACE
        };
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

/// The address `place` in the net of which `gateway` is the first.
fn v4_at(gateway: Ipv4Addr, place: u16) -> Ipv4Addr {
    let behind = u32::from(place).saturating_sub(1);
    Ipv4Addr::from(u32::from(gateway).saturating_add(behind))
}

/// The address `place` in the /64 of `gateway`.
fn v6_at(gateway: Ipv6Addr, place: u16) -> Ipv6Addr {
    let mut segments = gateway.segments();
    segments[7] = place;
    Ipv6Addr::from(segments)
}
