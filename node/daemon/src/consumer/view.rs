//! What the consumer loop shows: facts, and their words for the user.

use std::net::IpAddr;
use std::time::Duration;

use warren_proto::{
    Amount, ByteCount, ChannelId, NodeId, Region, SessionId, SessionTerms, UnixTime,
};
use warren_tunnel::host::{Carries, DEVICE};
use warren_tunnel::{DropCounts, Rungs, TunnelState, TunnelWarning};

use super::{Shell, host};
use crate::api::types::{
    ConsumerState, ConsumerView, DropsView, Money, OffloadView, PriceView, RouteUsed, SecondRouter,
    Timestamp, TunnelView, UsageView,
};
use crate::config::Token;
use crate::error::{ErrorCode, Problem};
use crate::perform::Way;
use crate::session::{ConsumerEnd, ConsumerPhase, due_units};

/// The consumer's session as it stands, or as it ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsumerFacts {
    /// `None` while nothing was started since the daemon began.
    pub session: Option<SessionFacts>,
    /// Whether the kill switch is up.
    pub protected: bool,
    /// Why the last session ended, if not on request.
    pub problem: Option<Problem>,
    /// Whether an exit is being looked for.
    pub choosing: bool,
    /// What was found wrong with kill switch or device since the last `up`. `None` if nothing was.
    pub trouble: Option<Problem>,
}

/// The facts of one session.
#[derive(Debug, Clone)]
pub(crate) struct SessionFacts {
    pub id: SessionId,
    pub phase: ConsumerPhase,
    pub exit: NodeId,
    pub region: Region,
    pub carries: Carries,
    pub since: UnixTime,
    pub terms: Option<SessionTerms>,
    pub offer_price: warren_proto::Price,
    pub unit_price: Amount,
    pub used: (ByteCount, ByteCount),
    pub served: Duration,
    pub due_units: u64,
    pub released: u64,
    pub max_spend: Amount,
    pub channel: Option<ChannelId>,
    pub way: Option<Way>,
    pub tunnel: Option<TunnelState>,
    /// How packets pass, and what the tunnel does without. `None` while there is none.
    pub equipment: Option<(Rungs, Vec<TunnelWarning>)>,
    pub dropped: DropCounts,
    pub dns: Vec<IpAddr>,
    /// That there are none, while there is a tunnel.
    pub nameless: Option<Problem>,
}

impl SessionFacts {
    /// Its tunnel's equipment. `None` while it has no tunnel, or none any more.
    pub(crate) fn equipped(&self) -> Option<&(Rungs, Vec<TunnelWarning>)> {
        let over = self.phase == ConsumerPhase::Closed;
        self.equipment.as_ref().filter(|_| !over)
    }
}

impl Shell {
    pub(super) fn facts(&self) -> ConsumerFacts {
        let protected = self.line.is_protected();
        let choosing = self.plan.is_some() && self.live.is_none();
        let Some(live) = &self.live else {
            return ConsumerFacts {
                protected,
                choosing,
                trouble: self.watch.trouble(),
                ..self.facts.clone()
            };
        };
        let (machine, now) = (live.machine(), self.parts.clock.now());
        let offer = machine.offer().offer();
        let (used, served) = (machine.used(), machine.served(now));
        let due = |terms| due_units(terms, used.0.plus(used.1), served).unwrap_or(u64::MAX);
        let wanted = self.plan.as_ref().map(|plan| &plan.wanted);
        let session = SessionFacts {
            id: machine.id(),
            phase: machine.phase(),
            exit: offer.node,
            region: offer.region.clone(),
            carries: host::carries(offer),
            since: live.since,
            terms: machine.terms().cloned(),
            offer_price: offer.price,
            unit_price: machine.word_price().unwrap_or(offer.unit_price),
            used,
            served,
            due_units: machine.terms().map_or(0, due),
            released: machine.released(),
            max_spend: wanted.map(|it| it.max_spend).unwrap_or_default(),
            channel: live.channel,
            way: live.route.as_ref().map(|it| it.way),
            tunnel: self.line.state(),
            equipment: self.line.equipment(),
            dropped: self.line.dropped(),
            dns: self.line.dns().to_vec(),
            nameless: self.line.nameless(),
        };
        ConsumerFacts {
            session: Some(session),
            protected,
            choosing,
            problem: None,
            trouble: self.watch.trouble(),
        }
    }
}

impl ConsumerFacts {
    /// The API's form; `None` while there is no session to show.
    pub(crate) fn view(&self, token: &Token) -> Option<ConsumerView> {
        let it = self.session.as_ref()?;
        let times = |price: Amount, count: u64| price.checked_mul(count).unwrap_or(Amount::MAX);
        let prepay = it.terms.as_ref().map_or(1, |terms| terms.prepay_units);
        let is_free = it.offer_price == warren_proto::Price::default();
        let prepay = if is_free { 0 } else { prepay };
        Some(ConsumerView {
            session: it.id,
            state: self.state(it),
            exit: it.exit,
            region: it.region.clone(),
            since: Timestamp(it.since),
            price: PriceView::of(it.offer_price, token),
            used: UsageView {
                up_bytes: it.used.0,
                down_bytes: it.used.1,
            },
            served_secs: it.served.as_secs(),
            due: Money::of(times(it.unit_price, it.due_units), token),
            paid: Money::of(times(it.unit_price, it.released), token),
            at_risk: Money::of(times(it.unit_price, prepay.into()), token),
            max_spend: Money::of(it.max_spend, token),
            channel: it.channel,
            route: it.way.map(|way| RouteUsed {
                router: way.router,
                unit_price: Money::of(it.unit_price, token),
                exit_price: Money::of(
                    it.terms
                        .as_ref()
                        .map_or(it.unit_price, |terms| terms.unit_price),
                    token,
                ),
                fee_ppm: way.hint.fee_ppm,
                second: way.second.map(|it| SecondRouter {
                    router: it.node,
                    fee_ppm: it.fee_ppm,
                }),
                hold_fee: Money::of(way.hint.hold_fee, token),
            }),
            tunnel: it.terms.as_ref().map(|terms| tunnel_view(terms, it)),
            kill_switch: self.protected,
        })
    }

    const fn state(&self, it: &SessionFacts) -> ConsumerState {
        match it.phase {
            ConsumerPhase::Negotiating => ConsumerState::Negotiating,
            ConsumerPhase::Funding | ConsumerPhase::Starting => ConsumerState::Funding,
            ConsumerPhase::Connecting => ConsumerState::Connecting,
            ConsumerPhase::Active => ConsumerState::Active,
            ConsumerPhase::Stalled => ConsumerState::Stalled,
            ConsumerPhase::Closed if self.choosing => ConsumerState::Choosing,
            ConsumerPhase::Closed => ConsumerState::Closed,
        }
    }
}

fn tunnel_view(terms: &SessionTerms, it: &SessionFacts) -> TunnelView {
    let state = it.tunnel;
    let (v4, v6) = host::inner(terms, it.carries);
    let endpoint = state.and_then(|it| it.endpoint);
    let endpoint = endpoint.or_else(|| terms.endpoints.first().map(|it| it.address));
    TunnelView {
        device: DEVICE.to_owned(),
        endpoint: endpoint.map(|it| it.to_string()).unwrap_or_default(),
        address_v4: v4.map(|it| it.to_string()),
        address_v6: v6.map(|it| it.to_string()),
        dns: it.dns.iter().map(ToString::to_string).collect(),
        mtu: state.and_then(|it| it.path_mtu).unwrap_or(terms.mtu).into(),
        handshake_age_secs: state
            .and_then(|it| it.since_handshake)
            .map(|it| it.as_secs()),
        offload: it.equipped().map(|(rungs, _)| OffloadView::of(*rungs)),
        dropped: DropsView::of(&it.dropped),
    }
}

/// Tells the end of a session in the user's words.
pub(super) fn problem(end: &ConsumerEnd, cause: Option<Problem>, protected: bool) -> Problem {
    if let Some(cause) = cause {
        return cause;
    }
    match end {
        ConsumerEnd::Asked => Problem::new(ErrorCode::NotUp, "ended on request"),
        ConsumerEnd::Refused(refusal) => Problem::new(ErrorCode::ExitRefused, &refusal.detail),
        ConsumerEnd::Ended(reason) => Problem::new(ErrorCode::SessionLost, reason),
        ConsumerEnd::Unfunded => Problem::new(ErrorCode::NoFunds, "no channel could be funded"),
        ConsumerEnd::PaymentRefused(code) => Problem::new(ErrorCode::PaymentRefused, code),
        ConsumerEnd::BadGrant(why) => Problem::new(ErrorCode::WrongExit, why),
        ConsumerEnd::TimedOut(ConsumerPhase::Connecting) => {
            Problem::new(ErrorCode::HandshakeTimeout, "no handshake in time")
        }
        ConsumerEnd::TimedOut(phase) => Problem::new(
            ErrorCode::NegotiationFailed,
            format!("no answer while {phase:?}"),
        ),
        ConsumerEnd::ExitLost => Problem::new(
            ErrorCode::SessionLost,
            if protected {
                "the exit fell silent; traffic is blocked, not leaked"
            } else {
                "the exit fell silent; traffic is NOT blocked: the kill switch is off"
            },
        ),
        ConsumerEnd::LineLost => Problem::new(
            ErrorCode::TunnelLost,
            "the tunnel's device was deleted and cannot be had again",
        ),
        ConsumerEnd::CapReached => {
            Problem::new(ErrorCode::SpendingCap, "what this `up` may cost is used up")
        }
        ConsumerEnd::ChannelUsedUp => {
            let seen = "the channel is used up, and what this `up` may cost allows no top-up";
            Problem::new(ErrorCode::ChannelUnusable, seen)
                .with_next("warren channel topup ID TOKENS")
        }
    }
}
