//! The libp2p behaviours of a node, with every limit set.

use std::num::NonZeroUsize;
use std::time::Duration;

use libp2p::allow_block_list::{Behaviour as BlockList, BlockedPeers};
use libp2p::gossipsub::{
    self, IdentTopic, IdentityTransform, MaxCountSubscriptionFilter, MessageAuthenticity,
    PeerScoreParams, PeerScoreThresholds, TopicHash, TopicScoreParams, TopicSubscriptionFilter,
};
use libp2p::identity::Keypair;
use libp2p::kad::{self, BucketInserts, Caching, Mode, StoreInserts};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{StreamProtocol, connection_limits, identify, ping};
use warren_proto::{MAX_OFFER_BYTES, MAX_OFFER_LIFE};

use crate::config::OverlayConfig;
use crate::error::OverlayError;
use crate::households::{Households, MAX_ARRIVING_IN_ALL};
use crate::names::{Names, Scope};
use crate::record_store::OfferStore;

// Our choice.
/// Nodes per bucket and holders per record. Measured: 8 costs a third of the usual 20.
const K: NonZeroUsize = NonZeroUsize::new(8).unwrap();
/// A DHT question as a whole.
const QUERY_LIMIT: Duration = Duration::from_secs(20);
/// A bootstrap by the clock, for tables that went stale.
const BOOTSTRAP_EVERY: Duration = Duration::from_secs(600);
/// Round trips are measured this often.
const PING_EVERY: Duration = Duration::from_secs(15);
/// A gossip message on our topics: an offer with its envelope.
const MAX_GOSSIP_BYTES: usize = MAX_OFFER_BYTES + 1024;
/// libp2p-gossipsub 0.50.1 holds this limit against all that has arrived, not against one message:
/// set to the size of a message, a burst of three offers ends the stream, and five bursts end gossip
/// with that peer. It reads 8 KiB at a time, so this is far enough above, and still a bound.
const MAX_GOSSIP_BUFFER: usize = 64 * 1024;
/// Topics one peer may listen on.
const MAX_TOPICS_OF_PEER: usize = 64;
/// Connections one peer may hold: one each way, and a dial-back.
const MAX_CONNECTIONS_OF_PEER: u32 = 4;
/// What a peer says of itself, kept for so many peers.
const IDENTIFY_CACHE: usize = 128;

/// Everything this node speaks. A derive makes `BehaviourEvent` of it.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) households: Households,
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) blocked: BlockList<BlockedPeers>,
    pub(crate) kad: kad::Behaviour<OfferStore>,
    pub(crate) gossip:
        gossipsub::Behaviour<IdentityTransform, MaxCountSubscriptionFilter<OurTopics>>,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) streams: libp2p_stream::Behaviour,
}

/// Lets peers subscribe to topics of this network only.
#[derive(Debug, Clone)]
pub(crate) struct OurTopics {
    prefix: String,
}

impl TopicSubscriptionFilter for OurTopics {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        let Some(scope) = topic.as_str().strip_prefix(&self.prefix) else {
            return false;
        };
        scope == "any" || (scope.len() == 2 && scope.bytes().all(|b| b.is_ascii_lowercase()))
    }
}

/// Builds the behaviours.
pub(crate) fn build(
    keypair: &Keypair,
    names: &Names,
    config: &OverlayConfig,
) -> Result<Behaviour, OverlayError> {
    let peers = config.max_peers.max(1);
    Ok(Behaviour {
        households: Households::default(),
        limits: connection_limits::Behaviour::new(
            connection_limits::ConnectionLimits::default()
                // The behaviour before this one holds as many of each of two transports.
                .with_max_pending_incoming(Some(2 * MAX_ARRIVING_IN_ALL))
                .with_max_pending_outgoing(Some(peers.div_ceil(2).max(16)))
                // An eclipse needs every connection to be inbound: a quarter never is.
                .with_max_established_incoming(Some(peers.saturating_sub(peers / 4).max(1)))
                .with_max_established_outgoing(Some(peers))
                .with_max_established_per_peer(Some(MAX_CONNECTIONS_OF_PEER))
                .with_max_established(Some(peers)),
        ),
        blocked: BlockList::default(),
        kad: kademlia(keypair, names, config)?,
        gossip: gossip(keypair, names, config)?,
        identify: identify::Behaviour::new(
            identify::Config::new(format!("/{}", names.network()), keypair.public())
                .with_agent_version(concat!("warren/", env!("CARGO_PKG_VERSION")).to_owned())
                .with_cache_size(IDENTIFY_CACHE)
                // Nobody needs to know what a node's LAN looks like.
                .with_hide_listen_addrs(!config.allow_private),
        ),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_EVERY)),
        streams: libp2p_stream::Behaviour::new(),
    })
}

fn protocol(name: String) -> Result<StreamProtocol, OverlayError> {
    StreamProtocol::try_from_owned(name).map_err(|error| OverlayError::Setup {
        part: "protocol name",
        detail: error.to_string(),
    })
}

fn kademlia(
    keypair: &Keypair,
    names: &Names,
    config: &OverlayConfig,
) -> Result<kad::Behaviour<OfferStore>, OverlayError> {
    let local = keypair.public().to_peer_id();
    let mut it = kad::Config::new(protocol(names.kad())?);
    it.set_kbucket_size(K)
        .set_replication_factor(K)
        .set_query_timeout(QUERY_LIMIT)
        .set_record_filtering(StoreInserts::FilterBoth)
        .set_kbucket_inserts(BucketInserts::Manual)
        .set_periodic_bootstrap_interval(Some(BOOTSTRAP_EVERY))
        .set_caching(Caching::Disabled)
        // Offers live for an hour and their exits renew them: nothing else needs to.
        .set_record_ttl(Some(MAX_OFFER_LIFE))
        .set_provider_record_ttl(Some(MAX_OFFER_LIFE))
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None);
    let mut kad = kad::Behaviour::with_config(local, OfferStore::new(local), it);
    kad.set_mode(Some(if config.serve_dht {
        Mode::Server
    } else {
        Mode::Client
    }));
    Ok(kad)
}

type Gossip = gossipsub::Behaviour<IdentityTransform, MaxCountSubscriptionFilter<OurTopics>>;

fn gossip(
    keypair: &Keypair,
    names: &Names,
    config: &OverlayConfig,
) -> Result<Gossip, OverlayError> {
    let setup = |detail: String| OverlayError::Setup {
        part: "gossip",
        detail,
    };
    let scopes = listening(config);
    let mut options = gossipsub::ConfigBuilder::default();
    options
        .validation_mode(gossipsub::ValidationMode::Strict)
        .validate_messages()
        .max_transmit_size(MAX_GOSSIP_BUFFER)
        .heartbeat_initial_delay(Duration::from_secs(1))
        .connection_handler_queue_len(256)
        .max_publish_messages(64);
    for scope in &scopes {
        let topic = IdentTopic::new(names.topic(*scope)).hash();
        options.max_transmit_size_for_topic(MAX_GOSSIP_BYTES, topic);
    }
    let options = options.build().map_err(|error| setup(error.to_string()))?;
    let filter = MaxCountSubscriptionFilter {
        filter: OurTopics {
            prefix: names.topic_prefix(),
        },
        max_subscribed_topics: MAX_TOPICS_OF_PEER,
        max_subscriptions_per_request: MAX_TOPICS_OF_PEER,
    };
    let identity = MessageAuthenticity::Signed(keypair.clone());
    let mut gossip = gossipsub::Behaviour::new_with_subscription_filter(identity, options, filter)
        .map_err(|detail| setup(detail.to_owned()))?;
    let mut params = PeerScoreParams::default();
    if config.allow_private {
        // A lab runs many nodes on one address.
        params.ip_colocation_factor_weight = 0.0;
    }
    params.topics = scopes
        .iter()
        .map(|scope| (IdentTopic::new(names.topic(*scope)).hash(), topic_score()))
        .collect();
    gossip
        .with_peer_score(params, PeerScoreThresholds::default())
        .map_err(setup)?;
    for scope in scopes {
        let topic = IdentTopic::new(names.topic(scope));
        gossip
            .subscribe(&topic)
            .map_err(|error| setup(error.to_string()))?;
    }
    Ok(gossip)
}

/// What this node listens for.
pub(crate) fn listening(config: &OverlayConfig) -> Vec<Scope> {
    if config.countries.is_empty() {
        return vec![Scope::Anywhere];
    }
    let mut countries = config.countries.clone();
    countries.sort_unstable();
    countries.dedup();
    countries.truncate(MAX_TOPICS_OF_PEER / 2);
    countries.into_iter().map(Scope::Country).collect()
}

/// Offers are rare, so silence is no sign of a bad peer; a wrong message is.
pub(crate) fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 600.0,
        first_message_deliveries_weight: 0.5,
        first_message_deliveries_decay: 0.9,
        first_message_deliveries_cap: 20.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -5.0,
        invalid_message_deliveries_decay: 0.99,
        ..TopicScoreParams::default()
    }
}
