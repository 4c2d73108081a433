//! What things are called on the network: topics, protocol ids, DHT keys.
//!
//! Sans-IO.
//!
//! Everything hangs on the network's name, `NAME/VERSION`, such as `warren/1`: two networks with
//! different names share no topic, no protocol and no routing table.
//!
//! **Topics.** An exit publishes each offer twice: on the topic of its country, and on the topic
//! `any`. A listener subscribes to `any`, or to the countries it names, never to both. Gossipsub
//! has no subscription by prefix, and subscribing to every country would cost some 250 subscriptions
//! on every connection and 250 meshes to keep; the second message costs the publisher alone, once
//! per renewal.
//!
//! **Buckets.** A DHT key that many exits share gives back only a few of them, because every holder
//! cuts its list. So an exit announces itself on the way down a binary trie of buckets, and a
//! searcher goes down only where an answer was full: see [`crate::offers::search`].

use sha2::{Digest as _, Sha256};
use warren_proto::{CountryCode, NodeId};

use crate::error::OverlayError;

// Specification.
const OFFER_KEY_TAG: &[u8] = b"warren/offer/1";
const EXITS_KEY_TAG: &[u8] = b"warren/exits/1";
const ROUTERS_KEY_TAG: &[u8] = b"warren/routers/1";

// Our choice.
/// The deepest level of the trie of buckets: 64 buckets per country, as full as an answer gets with some 400 exits.
pub const MAX_BUCKET_LEVEL: u8 = 6;

/// Where an exit is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// In one country.
    Country(CountryCode),
    /// Anywhere.
    Anywhere,
}

impl Scope {
    fn tag(&self) -> String {
        match self {
            Self::Country(code) => code.as_str().to_ascii_lowercase(),
            Self::Anywhere => "any".to_owned(),
        }
    }
}

/// What a node announces in the DHT that it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// It is an exit, looked for there.
    Exit(Scope),
    /// It routes payments; where it is matters to nobody.
    Router,
}

/// One place in the trie of buckets: the first `level` bits of a node's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    level: u8,
    index: u8,
}

impl Bucket {
    /// The bucket that holds everything.
    pub const ROOT: Self = Self { level: 0, index: 0 };

    /// The bucket of `node` at `level`, which is cut to [`MAX_BUCKET_LEVEL`].
    #[must_use]
    pub fn of(node: &NodeId, level: u8) -> Self {
        let level = level.min(MAX_BUCKET_LEVEL);
        let index = Sha256::digest(node.as_bytes())[0].checked_shr(u32::from(8 - level));
        Self {
            level,
            index: index.unwrap_or(0),
        }
    }

    /// Both halves of this bucket. `None` at the deepest level.
    #[must_use]
    pub fn halves(self) -> Option<[Self; 2]> {
        let level = self.level + 1;
        let at = |index| Self { level, index };
        (level <= MAX_BUCKET_LEVEL).then(|| [at(self.index << 1), at(self.index << 1 | 1)])
    }

    /// How deep it lies.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.level
    }
}

/// The DHT key of the offer of `node`.
#[must_use]
pub fn offer_key(node: &NodeId) -> [u8; 32] {
    Sha256::new()
        .chain_update(OFFER_KEY_TAG)
        .chain_update(node.as_bytes())
        .finalize()
        .into()
}

/// The DHT key under which those of `bucket` announce that they serve so.
#[must_use]
pub fn service_key(service: Service, bucket: Bucket) -> [u8; 32] {
    let hasher = match service {
        Service::Exit(scope) => Sha256::new()
            .chain_update(EXITS_KEY_TAG)
            .chain_update(scope.tag()),
        Service::Router => Sha256::new().chain_update(ROUTERS_KEY_TAG),
    };
    hasher
        .chain_update([bucket.level, bucket.index])
        .finalize()
        .into()
}

/// The names of one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    network: String,
    name: String,
    version: String,
}

impl Names {
    /// Takes the network's name, `NAME/VERSION`.
    ///
    /// # Errors
    /// [`OverlayError::Network`] if it is not two words of `a-z 0-9 -` around one slash, 32 bytes
    /// at most.
    pub fn new(network: &str) -> Result<Self, OverlayError> {
        let bad = || OverlayError::Network {
            network: network.chars().take(40).collect(),
        };
        let (name, version) = network.split_once('/').ok_or_else(bad)?;
        let word = |it: &str| {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            !it.is_empty() && it.bytes().all(plain)
        };
        if network.len() > 32 || !word(name) || !word(version) {
            return Err(bad());
        }
        let [network, name, version] = [network, name, version].map(str::to_owned);
        Ok(Self {
            network,
            name,
            version,
        })
    }

    /// The network's name as given.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// The gossip topic of a scope.
    #[must_use]
    pub fn topic(&self, scope: Scope) -> String {
        format!("{}{}", self.topic_prefix(), scope.tag())
    }

    /// What every topic of this network starts with.
    #[must_use]
    pub fn topic_prefix(&self) -> String {
        format!("{}/offers/", self.network)
    }

    /// The DHT's protocol id.
    #[must_use]
    pub fn kad(&self) -> String {
        self.protocol("kad")
    }

    /// The protocol id of session streams.
    #[must_use]
    pub fn session(&self) -> String {
        self.protocol("session")
    }

    /// The protocol id of the exchange of known offers.
    #[must_use]
    pub fn offers(&self) -> String {
        self.protocol("offers")
    }

    fn protocol(&self, part: &str) -> String {
        format!("/{}/{part}/{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn germany() -> Scope {
        Scope::Country(CountryCode::new("DE").unwrap())
    }

    #[test]
    fn names_of_the_first_network() {
        let names = Names::new("warren/1").unwrap();
        assert_eq!(names.kad(), "/warren/kad/1");
        assert_eq!(names.session(), "/warren/session/1");
        assert_eq!(names.offers(), "/warren/offers/1");
        assert_eq!(names.topic(germany()), "warren/1/offers/de");
        assert_eq!(names.topic(Scope::Anywhere), "warren/1/offers/any");
    }

    #[test]
    fn a_network_without_a_plain_name_is_refused() {
        for bad in ["", "warren", "warren/", "/1", "Warren/1", "a/b/c", "a b/1"] {
            assert!(Names::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_key_is_its_own() {
        let node = NodeId::from_bytes([7; 32]);
        let keys = [
            offer_key(&node),
            service_key(Service::Exit(germany()), Bucket::ROOT),
            service_key(Service::Exit(Scope::Anywhere), Bucket::ROOT),
            service_key(Service::Exit(germany()), Bucket::of(&node, 1)),
            service_key(Service::Router, Bucket::ROOT),
            service_key(Service::Router, Bucket::of(&node, 1)),
        ];
        let unique: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(unique.len(), keys.len());
    }

    #[test]
    fn a_node_lies_in_one_half_of_each_of_its_buckets() {
        for seed in 0..64 {
            let node = NodeId::from_bytes([seed; 32]);
            for level in 0..MAX_BUCKET_LEVEL {
                let halves = Bucket::of(&node, level).halves().unwrap();
                assert!(halves.contains(&Bucket::of(&node, level + 1)));
            }
            assert_eq!(Bucket::of(&node, 0), Bucket::ROOT);
            assert_eq!(Bucket::of(&node, MAX_BUCKET_LEVEL).halves(), None);
        }
    }
}
