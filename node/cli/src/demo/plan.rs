//! What the make-believe internet consists of, before any of it is built.
//!
//! ```text
//! consumer ── home router ─┐                 ┌─ home router ── exit 1 (DE)
//!                          ├── the backbone ─┼─ home router ── exit 2 (DE)
//! bootstrap ───────────────┤                 └─ home router ── exit 3 (NL)
//! chain ───────────────────┴── web (lets only the exits in)
//! ```
//!
//! All addresses are of the documentation ranges (RFC 5737, RFC 3849) or of homes (RFC 1918).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The port on which every node speaks libp2p (QUIC and TCP).
pub const OVERLAY_PORT: u16 = 4077;
/// The port on which every exit receives WireGuard.
pub const TUNNEL_PORT: u16 = 41820;
/// The port of the chain's JSON-RPC.
pub const CHAIN_PORT: u16 = 8545;
/// The port of the web server.
pub const WEB_PORT: u16 = 80;
/// The port of the name server.
pub const NAME_PORT: u16 = 53;
/// The web server's name (RFC 2606 keeps `example` for such uses); the name server beside it knows it.
pub const WEB_NAME: &str = "www.warren.example";

/// How a place hangs on the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// A server with public addresses of its own.
    Open,
    /// Behind a home router: masqueraded IPv4, firewalled IPv6, nothing let in unasked.
    Home,
    /// The same, with the ports of a node forwarded.
    HomeForwarded,
}

/// What an exit asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asks {
    /// ISO 3166 code of the country it says it is in.
    pub country: String,
    /// The city it says it is in.
    pub city: String,
    /// Its price of 2^30 inner bytes, in tokens.
    pub per_gib: String,
    /// Its price of a minute, in tokens.
    pub per_minute: String,
    /// Whether it routes payments to others too.
    pub routes: bool,
    /// Whether it sells: a node that does not is started by whoever wants it.
    pub sells: bool,
}

impl Asks {
    /// Asks so many tokens per GiB in this city, and nothing per minute.
    #[must_use]
    pub fn new(country: &str, city: &str, per_gib: &str) -> Self {
        Self {
            country: country.to_owned(),
            city: city.to_owned(),
            per_gib: per_gib.to_owned(),
            per_minute: "0".to_owned(),
            routes: false,
            sells: true,
        }
    }

    /// The same, and it routes payments to others.
    #[must_use]
    pub const fn and_routes(mut self) -> Self {
        self.routes = true;
        self
    }

    /// A node in this city that routes payments to others, and sells nothing.
    #[must_use]
    pub fn only_routes(country: &str, city: &str) -> Self {
        Self {
            sells: false,
            ..Self::new(country, city, "1").and_routes()
        }
    }

    /// The same, and so many tokens per minute.
    #[must_use]
    pub fn and_per_minute(mut self, per_minute: &str) -> Self {
        per_minute.clone_into(&mut self.per_minute);
        self
    }
}

/// One place of the make-believe internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its name: also the name of its device on the backbone, so at most 15 letters.
    pub name: String,
    /// How it hangs on the internet.
    pub line: Line,
    /// What it sells; `None` when it is no exit.
    pub asks: Option<Asks>,
    /// Which block of addresses is its own.
    block: u8,
}

impl Site {
    /// The IPv4 address under which the internet knows it: its own, or that of its router.
    #[must_use]
    pub fn public_v4(&self) -> Ipv4Addr {
        match self.line {
            Line::Open => Ipv4Addr::new(198, 51, 100, self.block * 16 + 2),
            Line::Home | Line::HomeForwarded => Ipv4Addr::new(203, 0, 113, self.block * 16 + 2),
        }
    }

    /// The backbone's IPv4 address on its line.
    #[must_use]
    pub fn backbone_v4(&self) -> Ipv4Addr {
        let [a, b, c, d] = self.public_v4().octets();
        Ipv4Addr::new(a, b, c, d - 1)
    }

    /// The IPv4 address of its own device.
    #[must_use]
    pub fn host_v4(&self) -> Ipv4Addr {
        match self.line {
            Line::Open => self.public_v4(),
            Line::Home | Line::HomeForwarded => Ipv4Addr::new(192, 168, 10 + self.block, 2),
        }
    }

    /// Its router's IPv4 address on the inside.
    #[must_use]
    pub fn home_v4(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, 10 + self.block, 1)
    }

    /// The IPv6 address of its own device, which the internet knows too.
    #[must_use]
    pub fn host_v6(&self) -> Ipv6Addr {
        match self.line {
            Line::Open => self.v6(0x100, 2),
            Line::Home | Line::HomeForwarded => self.v6(0x300, 2),
        }
    }

    /// Its router's IPv6 address on the inside.
    #[must_use]
    pub fn home_v6(&self) -> Ipv6Addr {
        self.v6(0x300, 1)
    }

    /// Its router's IPv6 address on the outside.
    #[must_use]
    pub fn wan_v6(&self) -> Ipv6Addr {
        self.v6(0x200, 2)
    }

    /// The backbone's IPv6 address on its line.
    #[must_use]
    pub fn backbone_v6(&self) -> Ipv6Addr {
        match self.line {
            Line::Open => self.v6(0x100, 1),
            Line::Home | Line::HomeForwarded => self.v6(0x200, 1),
        }
    }

    /// The addresses under which others reach it.
    #[must_use]
    pub fn public(&self) -> [IpAddr; 2] {
        [self.public_v4().into(), self.host_v6().into()]
    }

    fn v6(&self, net: u16, host: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, net + u16::from(self.block), 0, 0, 0, 0, host)
    }
}

/// All places of one world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The node that only introduces others.
    pub bootstrap: Site,
    /// The dev chain's host.
    pub chain: Site,
    /// The web server.
    pub web: Site,
    /// The exits, cheapest first.
    pub exits: Vec<Site>,
    /// The consumer.
    pub consumer: Site,
}

impl Plan {
    /// The world of `warren demo`: three exits in two countries.
    #[must_use]
    pub fn demo() -> Self {
        Self::with_exits(vec![
            Asks::new("DE", "Leipzig", "0.002").and_per_minute("0.0001"),
            Asks::new("DE", "Bremen", "0.003").and_per_minute("0.0001"),
            Asks::new("NL", "Utrecht", "0.004")
                .and_per_minute("0.0002")
                .and_routes(),
        ])
    }

    /// A world with these exits (at most 14).
    #[must_use]
    pub fn with_exits(asked: Vec<Asks>) -> Self {
        let exit = |(block, asks): (u8, Asks)| Site {
            name: format!("exit{}", block + 1),
            line: Line::HomeForwarded,
            asks: Some(asks),
            block,
        };
        Self {
            bootstrap: site("bootstrap", Line::Open, 0),
            chain: site("chain", Line::Open, 1),
            web: site("web", Line::Open, 2),
            exits: (0..14).zip(asked).map(exit).collect(),
            consumer: site("consumer", Line::Home, 15),
        }
    }

    /// Every place of it.
    pub fn sites(&self) -> impl Iterator<Item = &Site> {
        [&self.bootstrap, &self.chain, &self.web, &self.consumer]
            .into_iter()
            .chain(&self.exits)
    }

    /// Whether a node that others dial has this address: a public one, or its own inside its home.
    #[must_use]
    pub fn is_node(&self, address: IpAddr) -> bool {
        let nodes = self.exits.iter().chain([&self.bootstrap]);
        nodes
            .into_iter()
            .any(|it| it.public().contains(&address) || it.host_v4() == address)
    }

    /// Whether `address` is one under which an exit reaches the internet, and whose.
    #[must_use]
    pub fn exit_at(&self, address: IpAddr) -> Option<&Site> {
        let address = address.to_canonical();
        self.exits.iter().find(|it| it.public().contains(&address))
    }
}

fn site(name: &str, line: Line, block: u8) -> Site {
    Site {
        name: name.to_owned(),
        line,
        asks: None,
        block,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_places_share_an_address() {
        let plan = Plan::demo();
        let addresses: BTreeSet<IpAddr> = plan.sites().flat_map(Site::public).collect();
        assert_eq!(addresses.len(), plan.sites().count() * 2);
    }

    #[test]
    fn an_exit_is_known_by_both_its_addresses() {
        let plan = Plan::demo();
        let exit = &plan.exits[2];
        for address in exit.public() {
            assert_eq!(plan.exit_at(address), Some(exit));
        }
        let mapped = IpAddr::V6(exit.public_v4().to_ipv6_mapped());
        assert_eq!(plan.exit_at(mapped), Some(exit));
        assert_eq!(plan.exit_at(plan.consumer.public_v4().into()), None);
    }
}
