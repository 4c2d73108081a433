//! How a world comes to be: keys, places, prices, who knows whom, what will go wrong.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use warren_daemon::session::{Admission, ExitTerms, SessionLimits, min_deposit_units};
use warren_overlay::offers::{IndexLimits, OfferIndex};
use warren_payments::wallet::WalletKey;
use warren_payments::words::WordMaster;
use warren_proto::{
    Amount, Candidate, CandidateKind, Capacity, CountryCode, NodeKey, Offer, PolicyId, Price,
    Region,
};

use super::{BEGINNING, Event, World};
use crate::bank::Bank;
use crate::link::LinkModel;
use crate::log::Log;
use crate::nodes::{Consumer, Exit, Node, Role, Tally};
use crate::run::LabError;
use crate::scenario::Scenario;

/// The lab's network: no node of another network takes its offers.
pub(crate) const NETWORK: &str = "warren/lab";
/// Everybody has come within this.
const ARRIVALS: Duration = Duration::from_secs(300);

impl World {
    /// Makes the world of `scenario` and `seed`; nothing has happened in it yet.
    ///
    /// # Errors
    /// [`LabError`] if a value is none a node could have.
    pub fn new(scenario: &Scenario, seed: u64) -> Result<Self, LabError> {
        let dice = ChaCha12Rng::seed_from_u64(seed);
        let mut links = LinkModel::new(scenario.links, seed, dice);
        let wallets: Vec<_> = (0..scenario.nodes.count)
            .map(|_| wallet(&mut links))
            .collect();
        let owners: Vec<_> = wallets.iter().map(WalletKey::address).collect();
        let mut world = Self {
            scenario: scenario.clone(),
            now: BEGINNING,
            queue: Default::default(),
            order: 0,
            links,
            bank: Bank::new(BEGINNING, scenario.chain.block_secs, &owners),
            nodes: Vec::new(),
            places: Default::default(),
            neighbours: Vec::new(),
            issued: Default::default(),
            log: Log::new(BEGINNING),
            tally: Tally::default(),
            taken: 0,
            streams: Default::default(),
        };
        let exits = (scenario.nodes.count * scenario.nodes.exit_percent).div_ceil(100);
        let exits = exits.clamp(1, scenario.nodes.count - 1);
        for (place, wallet) in wallets.into_iter().enumerate() {
            world.settle_in(place, wallet, place < exits as usize)?;
        }
        world.befriend();
        world.plan_faults(exits);
        let first = Duration::from_secs(scenario.chain.block_secs.into());
        world.after(first, Event::Block);
        Ok(world)
    }

    fn settle_in(
        &mut self,
        place: usize,
        wallet: WalletKey,
        is_exit: bool,
    ) -> Result<(), LabError> {
        let key = NodeKey::from_seed(&self.links.bytes());
        let role = if is_exit {
            Role::Exit(Box::new(self.exit(place, &key, &wallet)?))
        } else {
            Role::Consumer(Box::new(Consumer {
                master: WordMaster::from_bytes(self.links.bytes()),
                salt: 0,
                channels: Default::default(),
                session: None,
                tried: Vec::new(),
                cut_off: false,
            }))
        };
        let id = key.id();
        let index = OfferIndex::new(NETWORK, IndexLimits::default());
        self.places.insert(id, place);
        let node = Node {
            id,
            key,
            wallet,
            index,
            joined: None,
            first_offer: None,
            role,
        };
        self.nodes.push(node);
        let arrival = u64::try_from(ARRIVALS.as_millis()).unwrap_or(u64::MAX);
        let wait = Duration::from_millis(self.links.within(0, arrival));
        self.after(wait, Event::Join(place));
        Ok(())
    }

    fn exit(&mut self, place: usize, key: &NodeKey, wallet: &WalletKey) -> Result<Exit, LabError> {
        let market = self.scenario.market.clone();
        let country = &market.countries[place % market.countries.len()];
        let country =
            CountryCode::new(country).ok_or_else(|| LabError::Country(country.clone()))?;
        let per_mib = self
            .links
            .within(market.per_mib_min_wei, market.per_mib_max_wei);
        let per_mib = Amount::from_wei_u64(per_mib);
        let offer = Offer {
            node: key.id(),
            seq: 1,
            issued: BEGINNING,
            valid_until: BEGINNING.plus(warren_proto::MAX_OFFER_LIFE),
            network: NETWORK.to_owned(),
            region: Region {
                country,
                city: String::new(),
            },
            addresses: Vec::new(),
            price: Price {
                per_mib,
                per_minute: Amount::ZERO,
            },
            chain: self.bank.pins(),
            payee: wallet.address(),
            unit_price: per_mib,
            prepay_units: market.prepay_units,
            credit_units: market.credit_units,
            close_window_secs: self.scenario.chain.close_window_secs,
            policy: PolicyId {
                name: "web+dns".to_owned(),
                hash: [0; 32],
            },
            capacity: Capacity {
                guests_max: market.guests_max,
                guests_free: market.guests_max,
            },
            ipv4: true,
            ipv6: true,
            rootless: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let offer = offer
            .sign(key)
            .map_err(|error| LabError::Offer(error.to_string()))?;
        let terms = ExitTerms {
            max_credit_units: market.credit_units,
            gateway_v4: Ipv4Addr::new(10, 77, 0, 1),
            gateway_v6: std::net::Ipv6Addr::new(0xfd77, 0x7761, 0, 0, 0, 0, 0, 1),
            dns: Vec::new(),
            mtu: 1420,
            endpoints: vec![Candidate {
                kind: CandidateKind::Host,
                address: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 41820)),
            }],
            min_deposit_units: min_deposit_units(market.prepay_units),
        };
        let liar = self.links.within(0, 99) < u64::from(self.scenario.faults.liar_percent);
        Ok(Exit {
            offer,
            admission: Admission::new(key.id(), terms, SessionLimits::default()),
            sessions: Default::default(),
            channels: Default::default(),
            alive: true,
            back_at: BEGINNING,
            liar,
        })
    }

    /// A random graph: a ring, so that it hangs together, and chords drawn evenly.
    fn befriend(&mut self) {
        let count = self.nodes.len();
        let wanted = (self.scenario.nodes.neighbours as usize).min(count - 1);
        self.neighbours = (0..count).map(|at| vec![(at + 1) % count]).collect();
        for at in 0..count {
            let mut tries = 0;
            while self.neighbours[at].len() < wanted && tries < 8 * wanted {
                tries += 1;
                let other = self.links.place(count);
                if other != at && !self.neighbours[at].contains(&other) {
                    self.neighbours[at].push(other);
                }
            }
        }
        for at in 0..count {
            for other in self.neighbours[at].clone() {
                if !self.neighbours[other].contains(&at) {
                    self.neighbours[other].push(at);
                }
            }
        }
    }

    fn plan_faults(&mut self, exits: u32) {
        let minutes = u64::from(self.scenario.time.minutes);
        for _ in 0..self.scenario.faults.exit_crashes {
            let exit = self.links.place(exits as usize);
            let when = Duration::from_secs(self.links.within(minutes * 6, minutes * 54));
            self.after(when, Event::Crash(exit));
            let away = self.away();
            self.after(when.saturating_add(away), Event::Restart(exit));
        }
    }

    /// How long an exit that crashes is away.
    pub(crate) fn away(&self) -> Duration {
        Duration::from_secs(self.scenario.faults.away_secs.into())
    }
}

fn wallet(links: &mut LinkModel) -> WalletKey {
    loop {
        // All but a vanishing part of 32-byte strings are keys of the curve.
        if let Some(wallet) = WalletKey::from_bytes(&links.bytes()) {
            return wallet;
        }
    }
}
