//! What the user asks of the market, in the node's own words.

use std::net::IpAddr;
use std::time::Duration;

use warren_overlay::offers::{OfferOrder, OfferQuery};
use warren_proto::{Amount, Price};

use crate::api::types::{ExitSort, ExitsQuery, SshLogin, UpRequest};
use crate::config::Config;
use crate::consumer::{ExitName, Wanted};
use crate::error::{ErrorCode, Problem};
use crate::perform::{RouteWish, Routers};

/// How long `up` looks for an offer unless told otherwise.
const SEARCH: Duration = Duration::from_secs(30);

/// What `up` was asked for; what was left out follows the configuration.
pub(super) fn wanted(config: &Config, request: &UpRequest) -> Result<Wanted, Problem> {
    let query = ExitsQuery {
        country: request.country,
        policy: request.policy.clone(),
        max_price_per_gib: request.max_price_per_gib.clone(),
        sort: request.sort,
        ..ExitsQuery::default()
    };
    request.ssh.map_or(Ok(()), |it| goes_on(config, it))?;
    let named = request.exit.as_deref().map(ExitName::parse).transpose()?;
    let consumer = &config.consumer;
    let max_spend = sum(config, request.max_spend.as_ref(), consumer.max_spend)?;
    let fallback = request.fallback.unwrap_or(consumer.fallback);
    let secs = request
        .timeout_secs
        .map(|it| Duration::from_secs(it.into()));
    Ok(Wanted {
        query: offer_query(config, &query)?,
        named,
        max_spend,
        deposit: sum(config, request.deposit.as_ref(), consumer.deposit)?,
        fallback,
        search: secs.unwrap_or(SEARCH),
        route: route(request.route.as_deref().unwrap_or(&consumer.route))?,
        routers: routers(request, consumer.routers)?,
        max_route_fee_ppm: consumer.max_route_fee_ppm,
        kill_switch: request.kill_switch.unwrap_or(consumer.kill_switch),
        dns: own_dns(config),
    })
}

/// Answers to a login from outside go into the tunnel, unless they are said to stay.
fn goes_on(config: &Config, login: SshLogin) -> Result<(), Problem> {
    let SshLogin { client, port } = login;
    if config.consumer.local.keeps(client, port) {
        return Ok(());
    }
    let seen = format!("you are here by SSH from {client} to port {port}");
    Err(Problem::new(ErrorCode::EndsLogin, seen))
}

/// The user's own resolvers; checked when the configuration was read.
pub(super) fn own_dns(config: &Config) -> Vec<IpAddr> {
    let texts = config.consumer.dns.iter();
    texts.filter_map(|it| it.parse().ok()).collect()
}

/// `auto`, `direct`, or the router to take.
pub(super) fn route(text: &str) -> Result<RouteWish, Problem> {
    let is_node = text.len() >= 8 && text.chars().all(|it| it.is_ascii_hexdigit());
    match text {
        "auto" => Ok(RouteWish::Auto),
        "direct" => Ok(RouteWish::Direct),
        node if is_node => Ok(RouteWish::Through(node.to_owned())),
        _ => {
            let seen =
                format!("`{text}` is neither auto, direct, nor 8 hex digits or more of a router");
            Err(Problem::new(ErrorCode::BadRequest, seen))
        }
    }
}

/// One router or two. A route that is to be none has none.
fn routers(request: &UpRequest, configured: u32) -> Result<Routers, Problem> {
    let bad = |seen: String| Err(Problem::new(ErrorCode::BadRequest, seen));
    match request.routers.unwrap_or(configured) {
        1 => Ok(Routers::One),
        2 if request.routers.is_some() && request.route.as_deref() == Some("direct") => {
            bad("a direct channel has no routers; ask for one of the two".to_owned())
        }
        2 => Ok(Routers::Two),
        other => bad(format!("a route has 1 router or 2, not {other}")),
    }
}

/// Which offers fit, and which of them comes first.
pub(super) fn offer_query(config: &Config, query: &ExitsQuery) -> Result<OfferQuery, Problem> {
    let max = match &query.max_price_per_gib {
        Some(text) => Some(config.token.parse(text)),
        None => config.consumer.max_price_per_gib.map(Ok),
    };
    let max = max
        .transpose()
        .map_err(|error| Problem::new(ErrorCode::BadRequest, error))?;
    Ok(OfferQuery {
        countries: query.country.into_iter().collect(),
        max_per_mib: max.map(Price::per_mib_of),
        chain: config.chain.as_ref().map(|chain| chain.pinned),
        free_too: true,
        policy: query.policy.clone(),
        order: match query.sort {
            ExitSort::Rank => OfferOrder::Points,
            ExitSort::Rtt => OfferOrder::RoundTrip,
            ExitSort::Price => OfferOrder::Price,
        },
        ..OfferQuery::default()
    })
}

/// A sum that may be set by the user, or what the configuration says.
pub(super) fn sum(config: &Config, text: Option<&String>, or: Amount) -> Result<Amount, Problem> {
    match text {
        Some(text) => config
            .token
            .parse(text)
            .map_err(|error| Problem::new(ErrorCode::BadRequest, error)),
        None => Ok(or),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn nothing_to_spend_is_a_cap_too() {
        let mut config = Config::load(&Sources::default()).unwrap();
        let asked = UpRequest {
            max_spend: Some("0".to_owned()),
            ..UpRequest::default()
        };
        assert_eq!(wanted(&config, &asked).unwrap().max_spend, Amount::ZERO);
        config.consumer.max_spend = Amount::ZERO;
        let cap = wanted(&config, &UpRequest::default()).unwrap().max_spend;
        assert_eq!(cap, Amount::ZERO);
    }

    #[test]
    fn the_kill_switch_is_off_only_where_somebody_said_so() {
        let mut config = Config::load(&Sources::default()).unwrap();
        let mut of = |configured, asked| {
            config.consumer.kill_switch = configured;
            let request = UpRequest {
                kill_switch: asked,
                ..UpRequest::default()
            };
            wanted(&config, &request).unwrap().kill_switch
        };
        assert!(of(true, None) && of(true, Some(true)) && of(false, Some(true)));
        assert!(!of(true, Some(false)) && !of(false, None));
    }

    #[test]
    fn up_does_not_end_the_login_it_was_asked_from() {
        let mut config = Config::load(&Sources::default()).unwrap();
        let up = |config: &Config, client: &str| {
            let request = UpRequest {
                ssh: Some(SshLogin {
                    client: client.parse().unwrap(),
                    port: 22,
                }),
                ..UpRequest::default()
            };
            wanted(config, &request).map(drop).map_err(|it| it.code)
        };
        let refused = Err(ErrorCode::EndsLogin.to_string());
        assert_eq!(up(&config, "192.168.1.9"), refused);
        assert_eq!(up(&config, "127.0.0.1"), Ok(()));
        config.consumer.local.lan = true;
        assert_eq!(up(&config, "192.168.1.9"), Ok(()));
        assert_eq!(up(&config, "198.51.100.9"), refused);
        config.consumer.local.inbound_tcp = vec![22];
        assert_eq!(up(&config, "198.51.100.9"), Ok(()));
    }

    #[test]
    fn a_route_has_one_router_unless_somebody_asked_for_two() {
        let mut config = Config::load(&Sources::default()).unwrap();
        let mut of = |configured, asked, route: Option<&str>| {
            config.consumer.routers = configured;
            let request = UpRequest {
                routers: asked,
                route: route.map(str::to_owned),
                ..UpRequest::default()
            };
            wanted(&config, &request).map(|it| it.routers).ok()
        };
        let (one, two) = (Some(Routers::One), Some(Routers::Two));
        assert_eq!([of(1, None, None), of(2, Some(1), None)], [one, one]);
        assert_eq!([of(1, Some(2), None), of(2, None, None)], [two, two]);
        assert_eq!([of(1, Some(0), None), of(1, Some(3), None)], [None, None]);
        // Both at once cannot be had; what is configured gives way.
        assert_eq!(of(1, Some(2), Some("direct")), None);
        assert_eq!(of(2, None, Some("direct")), two);
    }

    #[test]
    fn an_exit_at_exactly_the_highest_price_fits() {
        let text = "0.000000000000001000".to_owned();
        let sources = |key: &str| Sources {
            flags: vec![(key.to_owned(), text.clone())],
            ..Sources::default()
        };
        let asked = Config::load(&sources("consumer.max_price_per_gib")).unwrap();
        let offered = Config::load(&sources("exit.price_per_gib")).unwrap();
        let query = offer_query(&asked, &ExitsQuery::default()).unwrap();
        assert_eq!(query.max_per_mib, Some(offered.exit.price.per_mib));
    }

    #[test]
    fn up_and_exits_put_the_same_exit_first() {
        let config = Config::load(&Sources::default()).unwrap();
        for (sort, order) in [
            (ExitSort::Rank, OfferOrder::Points),
            (ExitSort::Rtt, OfferOrder::RoundTrip),
            (ExitSort::Price, OfferOrder::Price),
        ] {
            let policy = Some("all".to_owned());
            let request = UpRequest {
                sort,
                policy: policy.clone(),
                ..UpRequest::default()
            };
            let query = ExitsQuery {
                sort,
                policy,
                ..ExitsQuery::default()
            };
            let listed = offer_query(&config, &query).unwrap();
            assert_eq!(listed.order, order);
            assert_eq!(listed.policy.as_deref(), Some("all"));
            assert!(listed.free_too, "a free exit needs no chain in common");
            assert_eq!(wanted(&config, &request).unwrap().query, listed);
        }
    }
}
