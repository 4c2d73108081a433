//! Rules, routes and addresses of the kernel, by netlink; no `ip` program needed.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures::TryStreamExt;
use ipnet::IpNet;
use nix::errno::Errno;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType,
};
use rtnetlink::packet_route::rule::{
    RuleAction, RuleAttribute, RuleMessage, RulePortRange, RuleUidRange,
};
use rtnetlink::packet_route::{AddressFamily, IpProtocol};
use rtnetlink::{Error, Handle, IpVersion, RouteMessageBuilder};
use tokio::task::JoinHandle;

use super::report::Outcome;
use super::routes::RULES;
use super::{Family, HostError, RouteChange, RuleChange, Selector, TABLE, Target};

/// A netlink connection of the calling thread's network namespace; closed when dropped.
pub(crate) struct Netlink {
    handle: Handle,
    pump: JoinHandle<()>,
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl Netlink {
    pub(crate) fn open() -> Result<Self, HostError> {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(HostError::NetlinkSocket)?;
        Ok(Self {
            handle,
            pump: tokio::spawn(connection),
        })
    }

    /// Adds a rule; false if it was there.
    pub(crate) async fn add_rule(&self, rule: &RuleChange) -> Result<bool, HostError> {
        let mut request = self.handle.rule().add();
        *request.message_mut() = rule_message(rule);
        was_gone(request.execute().await, || format!("add {rule}"))
    }

    pub(crate) async fn remove_rule(&self, rule: &RuleChange) -> Result<Outcome, HostError> {
        let answer = self.handle.rule().del(rule_message(rule)).execute().await;
        gone(answer, || format!("remove {rule}"))
    }

    /// Adds a route where it is gone; false if it was there, or cannot be for want of its device, or of what its
    /// device needs for it: to be up, or to have IPv6.
    pub(crate) async fn mend_route(&self, route: &RouteChange) -> Result<bool, HostError> {
        let message = match with_device(route) {
            Err(HostError::NoDevice { .. }) => return Ok(false),
            other => other?,
        };
        let answer = self.handle.route().add(message).execute().await;
        let cannot = |it: &Error| matches!(errno(it), Some(Errno::ENETDOWN | Errno::EACCES));
        if answer.as_ref().is_err_and(cannot) {
            return Ok(false);
        }
        was_gone(answer, || format!("add {route}"))
    }

    pub(crate) async fn add_route(&self, route: &RouteChange) -> Result<(), HostError> {
        let message = with_device(route)?;
        match self.handle.route().add(message).replace().execute().await {
            Ok(()) => Ok(()),
            Err(source) => Err(HostError::Netlink {
                doing: format!("add {route}"),
                source,
            }),
        }
    }

    pub(crate) async fn remove_route(&self, route: &RouteChange) -> Result<Outcome, HostError> {
        let answer = self
            .handle
            .route()
            .del(route_message(route))
            .execute()
            .await;
        gone(answer, || format!("remove {route}"))
    }

    /// Takes away every rule at our priorities and every route in our table, whoever made them; in words.
    pub(crate) async fn sweep(&self) -> Result<Vec<(String, Result<(), HostError>)>, HostError> {
        let mut done = Vec::new();
        for family in [Family::V4, Family::V6] {
            for rule in self.rules(family).await? {
                let priority = |it: &RuleAttribute| {
                    if let RuleAttribute::Priority(at) = it {
                        return Some(*at);
                    }
                    None
                };
                let at = rule.attributes.iter().find_map(priority);
                let Some(at) = at.filter(|it| (TABLE..TABLE + RULES).contains(it)) else {
                    continue;
                };
                let change = format!("{family} rule {at}");
                let answer = self.handle.rule().del(rule).execute().await;
                let answer = gone(answer, || format!("remove {change}")).map(drop);
                done.push((change, answer));
            }
            for route in self.routes_of(family).await? {
                let table = |it: &RouteAttribute| matches!(it, RouteAttribute::Table(TABLE));
                if !route.attributes.iter().any(table) {
                    continue;
                }
                let change = format!("{family} route in table {TABLE}");
                let answer = self.handle.route().del(route).execute().await;
                let answer = gone(answer, || format!("remove {change}")).map(drop);
                done.push((change, answer));
            }
        }
        Ok(done)
    }

    async fn rules(&self, family: Family) -> Result<Vec<RuleMessage>, HostError> {
        let version = match family {
            Family::V4 => IpVersion::V4,
            Family::V6 => IpVersion::V6,
        };
        let all: Result<Vec<RuleMessage>, Error> = self
            .handle
            .rule()
            .get(version)
            .execute()
            .try_collect()
            .await;
        match all {
            Err(source) if errno(&source) == Some(Errno::EAFNOSUPPORT) => Ok(Vec::new()),
            other => other.map_err(|source| HostError::Netlink {
                doing: "list rules".to_owned(),
                source,
            }),
        }
    }

    /// Returns the routes of table main of one family.
    async fn main_routes(&self, family: Family) -> Result<Vec<RouteMessage>, HostError> {
        let mut all = self.routes_of(family).await?;
        all.retain(|it| it.header.table == RouteHeader::RT_TABLE_MAIN);
        Ok(all)
    }

    /// Returns the routes of every table of one family.
    async fn routes_of(&self, family: Family) -> Result<Vec<RouteMessage>, HostError> {
        let mut question = RouteMessage::default();
        question.header.address_family = address_family(family);
        let all: Result<Vec<RouteMessage>, Error> = self
            .handle
            .route()
            .get(question)
            .execute()
            .try_collect()
            .await;
        all.map_err(|source| HostError::Netlink {
            doing: "list routes".to_owned(),
            source,
        })
    }

    /// Returns the networks that table main knows a narrower way to than the default route.
    ///
    /// Those of the tunnel's own `device` and half-internet routes (as some VPNs set) are left out.
    pub(crate) async fn own_networks(&self, device: &str) -> Result<Vec<IpNet>, HostError> {
        let tunnel = nix::net::if_::if_nametoindex(device).ok();
        let mut nets = BTreeSet::new();
        for (family, shortest) in [(Family::V4, 8), (Family::V6, 16)] {
            for route in self.main_routes(family).await? {
                let length = route.header.destination_prefix_length;
                if length < shortest || oif(&route) == tunnel && tunnel.is_some() {
                    continue;
                }
                nets.extend(destination(&route).and_then(|it| IpNet::new(it, length).ok()));
            }
        }
        Ok(nets.into_iter().collect())
    }
}

/// Returns the names of the devices that hold default routes, IPv4 first.
///
/// # Errors
/// As the kernel gave.
pub async fn default_uplinks() -> Result<Vec<String>, HostError> {
    let mut names = default_uplinks_of(Family::V4).await?;
    for name in default_uplinks_of(Family::V6).await? {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The same for one family.
pub(crate) async fn default_uplinks_of(family: Family) -> Result<Vec<String>, HostError> {
    let mut names = Vec::new();
    let mut routes = Netlink::open()?.main_routes(family).await?;
    // One that leads nowhere (unreachable, blackhole) may name a device too: lo.
    let leads =
        |it: &RouteHeader| it.destination_prefix_length == 0 && it.kind == RouteType::Unicast;
    routes.retain(|it| leads(&it.header));
    for index in routes.iter().flat_map(ways) {
        let name = nix::net::if_::if_indextoname(index).ok();
        let name = name.and_then(|it| it.into_string().ok());
        names.extend(name.filter(|it| !names.contains(it)));
    }
    Ok(names)
}

fn rule_message(rule: &RuleChange) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = address_family(rule.family);
    message
        .attributes
        .push(RuleAttribute::Priority(rule.priority));
    match rule.target {
        Target::Main | Target::MainNarrow => {
            message.header.action = RuleAction::ToTable;
            message.header.table = RouteHeader::RT_TABLE_MAIN;
        }
        Target::Tunnel => {
            message.header.action = RuleAction::ToTable;
            message.attributes.push(RuleAttribute::Table(TABLE));
        }
        Target::Unreachable => message.header.action = RuleAction::Unreachable,
    }
    if rule.target == Target::MainNarrow {
        message.attributes.push(RuleAttribute::SuppressPrefixLen(0));
    }
    match rule.selector {
        Selector::Mark(mark) => message.attributes.push(RuleAttribute::FwMark(mark)),
        Selector::Uid(uid) => message
            .attributes
            .push(RuleAttribute::UidRange(RuleUidRange {
                start: uid,
                end: uid,
            })),
        Selector::To(net) => {
            message.header.dst_len = net.prefix_len();
            message
                .attributes
                .push(RuleAttribute::Destination(net.network()));
        }
        Selector::FromTcpPort(port) => message.attributes.extend([
            RuleAttribute::IpProtocol(IpProtocol::Tcp),
            RuleAttribute::SourcePortRange(only(port)),
        ]),
        Selector::ToPort(port) => {
            let ports = RuleAttribute::DestinationPortRange(only(port));
            message.attributes.push(ports);
        }
        Selector::All => {}
    }
    message
}

const fn only(port: u16) -> RulePortRange {
    RulePortRange {
        start: port,
        end: port,
    }
}

fn with_device(route: &RouteChange) -> Result<RouteMessage, HostError> {
    let mut message = route_message(route);
    if let Some(device) = &route.device {
        let index = nix::net::if_::if_nametoindex(device.as_str());
        let absent = |_| HostError::NoDevice {
            device: device.clone(),
        };
        let index = index.map_err(absent)?;
        message.attributes.push(RouteAttribute::Oif(index));
    }
    Ok(message)
}

fn route_message(route: &RouteChange) -> RouteMessage {
    let kind = match route.device {
        Some(_) => RouteType::Unicast,
        None => RouteType::Unreachable,
    };
    let (table, metric) = (TABLE, route.metric());
    match route.family {
        Family::V4 => {
            let it = RouteMessageBuilder::<Ipv4Addr>::new()
                .table_id(table)
                .priority(metric);
            it.kind(kind).build()
        }
        Family::V6 => {
            let it = RouteMessageBuilder::<Ipv6Addr>::new()
                .table_id(table)
                .priority(metric);
            it.kind(kind).build()
        }
    }
}

fn destination(route: &RouteMessage) -> Option<IpAddr> {
    route.attributes.iter().find_map(|attribute| {
        if let RouteAttribute::Destination(RouteAddress::Inet(it)) = attribute {
            return Some(IpAddr::V4(*it));
        }
        if let RouteAttribute::Destination(RouteAddress::Inet6(it)) = attribute {
            return Some(IpAddr::V6(*it));
        }
        None
    })
}

fn oif(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| {
        if let RouteAttribute::Oif(index) = attribute {
            Some(*index)
        } else {
            None
        }
    })
}

/// The devices that a route leads to: its own, or those of each of its ways.
fn ways(route: &RouteMessage) -> Vec<u32> {
    let several = |it: &RouteAttribute| {
        if let RouteAttribute::MultiPath(hops) = it {
            return Some(hops.iter().map(|hop| hop.interface_index).collect());
        }
        None
    };
    let several: Option<Vec<u32>> = route.attributes.iter().find_map(several);
    several.unwrap_or_else(|| oif(route).into_iter().collect())
}

fn address_family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

fn errno(error: &Error) -> Option<Errno> {
    match error {
        Error::NetlinkError(message) => Some(Errno::from_raw(-message.raw_code())),
        Error::UnexpectedMessage(_)
        | Error::RequestFailed
        | Error::NamespaceError(_)
        | Error::InvalidHardwareAddress(_)
        | Error::InvalidIp(_)
        | Error::InvalidAddress(..)
        | Error::InvalidNla(_) => None,
    }
}

/// What is there needs no adding.
fn was_gone(answer: Result<(), Error>, doing: impl Fn() -> String) -> Result<bool, HostError> {
    match answer {
        Ok(()) => Ok(true),
        Err(source) if errno(&source) == Some(Errno::EEXIST) => Ok(false),
        Err(source) => Err(HostError::Netlink {
            doing: doing(),
            source,
        }),
    }
}

/// What is not there needs no removing.
fn gone(answer: Result<(), Error>, doing: impl Fn() -> String) -> Result<Outcome, HostError> {
    match answer {
        Ok(()) => Ok(Outcome::Undone),
        Err(source) => match errno(&source) {
            Some(Errno::ENOENT | Errno::ESRCH | Errno::ENODEV | Errno::EAFNOSUPPORT) => {
                Ok(Outcome::AlreadyGone)
            }
            Some(_) | None => Err(HostError::Netlink {
                doing: doing(),
                source,
            }),
        },
    }
}
