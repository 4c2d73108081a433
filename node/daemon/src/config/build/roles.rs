//! What the node was told of its roles: exit, router, consumer.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::time::Duration;

use warren_payments::RouterPolicy;
use warren_proto::{Amount, CountryCode, Credit, NodeId, Price, Region};
use warren_tunnel::host::LocalAccess;

use super::Said;
use super::nets::{net_v4, net_v6};
use crate::api::types::Fallback;
use crate::config::{ConfigError, ConsumerConfig, ExitConfig, RouterSection, Token};
use crate::session::GuestList;

// Our choice.
/// Node ids of one list, at most.
const MOST_NAMED: usize = 1024;

pub(super) fn exit(said: &Said<'_>, token: &Token) -> Result<ExitConfig, ConfigError> {
    let price = Price {
        per_mib: Price::per_mib_of(said.money("exit.price_per_gib", token)?),
        per_minute: said.money("exit.price_per_minute", token)?,
    };
    let unit_price = said.money("exit.unit_price", token)?;
    let city = said.text("exit.city").to_owned();
    if city.len() > 48 {
        return Err(said.bad("exit.city", "at most 48 bytes are allowed"));
    }
    let region = match said.text("exit.country") {
        "" => None,
        text => Some(Region {
            country: country(said, text)?,
            city,
        }),
    };
    let enabled = said.switch("exit.enabled");
    if enabled && region.is_none() {
        return Err(ConfigError::Missing {
            key: "exit.country",
            because: "exit.enabled is true",
        });
    }
    if net_v4(said.text("exit.inner_v4")).is_none() {
        return Err(said.bad(
            "exit.inner_v4",
            "a net such as 10.77.0.0/16 is needed, /8 to /24",
        ));
    }
    if net_v6(said.text("exit.inner_v6")).is_none() {
        return Err(said.bad(
            "exit.inner_v6",
            "a net such as fd77:7761::/64 is needed, /48 to /112",
        ));
    }
    said.resolvers("exit.dns")?;
    Ok(ExitConfig {
        enabled,
        region,
        price,
        unit_price: (unit_price > Amount::ZERO).then_some(unit_price),
        prepay_units: said.count_u32("exit.prepay_units"),
        credit: credit(said)?,
        close_window: Duration::from_secs(said.count("exit.close_window_secs")),
        policy: said.text("exit.policy").to_owned(),
        guests_max: said.count_u32("exit.guests_max"),
        guests: GuestList {
            allowed: nodes(said, "exit.guests_allowed")?,
            banned: nodes(said, "exit.guests_banned")?,
        },
        guest_rate_kbit: NonZeroU64::new(said.count("exit.guest_rate_kbit")),
        line_rate_kbit: NonZeroU64::new(said.count("exit.line_rate_kbit")),
        endpoints: said.endpoints("exit.endpoint")?,
        listen_port: u16::try_from(said.count("exit.listen_port")).unwrap_or(u16::MAX),
        uplink: said.set("exit.uplink").map(str::to_owned),
        inner_v4: said.text("exit.inner_v4").to_owned(),
        inner_v6: said.text("exit.inner_v6").to_owned(),
        dns: said.texts("exit.dns"),
        allow_documentation: said.switch("exit.allow_documentation"),
        towers: usize::try_from(said.count("exit.towers")).unwrap_or(0),
        tower_step: said.money("exit.tower_step", token)?,
    })
}

/// Whole ids: of a beginning, anybody could make one.
fn nodes(said: &Said<'_>, key: &'static str) -> Result<BTreeSet<NodeId>, ConfigError> {
    let texts = said.texts(key);
    let nodes: Result<BTreeSet<_>, _> = texts.iter().map(|it| it.parse()).collect();
    match nodes {
        Ok(nodes) if texts.len() <= MOST_NAMED => Ok(nodes),
        Ok(_) | Err(_) => Err(said.bad(key, "at most 1024 node ids of 64 hex digits are needed")),
    }
}

pub(super) fn consumer(said: &Said<'_>, token: &Token) -> Result<ConsumerConfig, ConfigError> {
    said.resolvers("consumer.dns")?;
    let max_price = said.money("consumer.max_price_per_gib", token)?;
    Ok(ConsumerConfig {
        max_spend: said.money("consumer.max_spend", token)?,
        deposit: said.money("consumer.deposit", token)?,
        max_price_per_gib: (max_price > Amount::ZERO).then_some(max_price),
        kill_switch: said.switch("consumer.kill_switch"),
        auto_up: said.switch("consumer.auto_up"),
        local: LocalAccess {
            lan: said.switch("consumer.allow_lan"),
            inbound_tcp: said.services("consumer.inbound_tcp")?,
        },
        fallback: match said.text("consumer.fallback") {
            "any" => Fallback::Any,
            "none" => Fallback::None,
            _ => Fallback::Country, // The words were checked against the key's own list.
        },
        dns: said.texts("consumer.dns"),
        route: route(said)?,
        routers: said.count_u32("consumer.routers"),
        max_route_fee_ppm: said.count_u32("consumer.max_route_fee_ppm"),
    })
}

/// What a route is to be: words, or a router by its id.
fn route(said: &Said<'_>) -> Result<String, ConfigError> {
    let text = said.text("consumer.route").to_ascii_lowercase();
    let is_node = text.len() >= 8 && text.chars().all(|it| it.is_ascii_hexdigit());
    if is_node || ["auto", "direct"].contains(&text.as_str()) {
        return Ok(text);
    }
    let wanted = "auto, direct, or 8 hex digits or more of a router's node id are needed";
    Err(said.bad("consumer.route", wanted))
}

pub(super) fn router(said: &Said<'_>, token: &Token) -> Result<RouterSection, ConfigError> {
    let in_flight = said.money("router.max_in_flight", token)?;
    Ok(RouterSection {
        enabled: said.switch("router.enabled"),
        policy: RouterPolicy {
            fee_ppm: said.count_u32("router.fee_ppm"),
            hold_fee: said.money("router.hold_fee", token)?,
            slots: usize::try_from(said.count("router.slots")).unwrap_or(1),
            max_in_flight: if in_flight == Amount::ZERO {
                Amount::MAX
            } else {
                in_flight
            },
            min_tranche: said.money("router.min_lock", token)?,
        },
        deposit: said.money("router.deposit", token)?,
        budget: said.money("router.budget", token)?,
        max_channels: usize::try_from(said.count("router.max_channels")).unwrap_or(1),
    })
}

fn credit(said: &Said<'_>) -> Result<Credit, ConfigError> {
    let credit = Credit {
        first: said.count_u32("exit.credit_units"),
        most: said.count_u32("exit.max_credit_units"),
    };
    if credit.most < credit.first {
        return Err(said.bad(
            "exit.max_credit_units",
            "at least exit.credit_units is needed",
        ));
    }
    Ok(credit)
}

fn country(said: &Said<'_>, text: &str) -> Result<CountryCode, ConfigError> {
    CountryCode::new(text).ok_or_else(|| {
        said.bad(
            "exit.country",
            "two letters as in ISO 3166-1 are needed, such as DE",
        )
    })
}
