//! The door of this crate: start an overlay, and ask it.

use std::time::Duration;

use libp2p::{StreamProtocol, Swarm, swarm};
use libp2p_stream::{Control, OpenStreamError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use warren_proto::{NodeId, NodeKey, SignedOffer};

use crate::actor::{Actor, Parts};
use crate::address::DialRules;
use crate::command::{Command, Reply};
use crate::config::OverlayConfig;
use crate::counters::Counters;
use crate::error::OverlayError;
use crate::event::{OverlayEvent, OverlayStats, PeerInfo};
use crate::names::Names;
use crate::offers::{OfferQuery, RankedOffer};
use crate::porter::{Places, Porter};
use crate::session_stream::SessionStream;
use crate::{address, behaviour, peer, snapshot, transport};

// Our choice.
/// Commands waiting for the actor; whoever adds one more waits.
const INBOX: usize = 64;
/// Events waiting for their reader.
const OUTBOX: usize = 256;
/// Inbound session streams of one household that have said nothing yet: a first frame follows at once.
const SILENT_SESSIONS: usize = 8;
/// A connection that carries nothing is closed after this time.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// Opening a stream on a fresh connection takes this long at most.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// A standing connection that does not open a stream in this time is taken for dead: the slowest
/// path we know of answers in a third of it.
const STALE_LIMIT: Duration = Duration::from_secs(3);

/// A running overlay. Clones share it; when the last one is dropped, it stops.
#[derive(Clone)]
pub struct Overlay {
    node: NodeId,
    commands: mpsc::Sender<Command>,
    control: Control,
    sessions: StreamProtocol,
    frame_limit: Duration,
}

impl std::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Overlay({})", self.node.short())
    }
}

impl Overlay {
    /// Starts an overlay on the runtime this is called in: listens, joins, answers.
    ///
    /// Returns as soon as it listens; joining goes on in the background.
    ///
    /// # Errors
    /// [`OverlayError`] if the configuration cannot be used or the system does not let us listen.
    pub fn start(
        config: OverlayConfig,
        key: NodeKey,
    ) -> Result<(Self, mpsc::Receiver<OverlayEvent>), OverlayError> {
        let names = Names::new(&config.network)?;
        let swarm = swarm(&config, &names, &key)?;
        let bootstrap = config
            .bootstrap
            .iter()
            .map(|it| address::parse_bootstrap(it));
        let mut bootstrap = bootstrap.collect::<Result<Vec<_>, _>>()?;
        bootstrap.retain(|(peer, _)| peer != swarm.local_peer_id());

        let counters = Counters::default();
        let (inbox, commands) = mpsc::channel(INBOX);
        let (events, outbox) = mpsc::channel(OUTBOX);
        let mut control = swarm.behaviour().streams.new_control();
        let sessions = protocol(names.session())?;
        let taken = |_| OverlayError::Setup {
            part: "streams",
            detail: "protocol taken".into(),
        };
        let inbound = control.accept(sessions.clone()).map_err(taken)?;
        let asked = control.accept(protocol(names.offers())?).map_err(taken)?;
        let porter = Porter {
            places: Places::new(config.max_sessions, config.peer_sessions),
            silent: Places::new(config.max_sessions, SILENT_SESSIONS),
            homes: swarm.behaviour().households.homes(),
            frame_limit: config.frame_limit,
            events: events.downgrade(),
            counters: counters.clone(),
        };
        tokio::spawn(porter.run(inbound));
        tokio::spawn(snapshot::serve(asked, inbox.downgrade(), counters.clone()));

        let overlay = Self {
            node: key.id(),
            commands: inbox,
            control,
            sessions,
            frame_limit: config.frame_limit,
        };
        let handle = overlay.commands.downgrade();
        let parts = Parts {
            swarm,
            names,
            config,
            key,
            bootstrap,
            commands,
            handle,
            events,
            counters,
        };
        tokio::spawn(Actor::new(parts).run());
        Ok((overlay, outbox))
    }

    /// This node.
    #[must_use]
    pub const fn node_id(&self) -> NodeId {
        self.node
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, OverlayError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .await
            .map_err(|_| OverlayError::Stopped)?;
        answer.await.map_err(|_| OverlayError::Stopped)?
    }

    /// Publishes this node's offer by gossip and in the DHT, and keeps it alive: it is renewed after
    /// a third of its life ([`OverlayEvent::OfferRenewed`]) until it is replaced or withdrawn.
    ///
    /// # Errors
    /// [`OverlayError`] if it is not this node's, or its sequence does not grow. Milliseconds since
    /// the epoch are a good sequence, and are what renewals use.
    pub async fn publish_offer(&self, offer: SignedOffer) -> Result<(), OverlayError> {
        self.ask(|reply| Command::Publish {
            offer: Box::new(offer),
            reply,
        })
        .await
    }

    /// Withdraws this node's offer, by a newer one without places.
    ///
    /// # Errors
    /// [`OverlayError::Stopped`].
    pub async fn withdraw_offer(&self) -> Result<(), OverlayError> {
        self.ask(|reply| Command::Withdraw { reply }).await
    }

    /// Publishes this node's offer anew with so many free places; returns what is out then. `None` if no
    /// offer is out, or it is withdrawn. Others take one change per 15 s of a node in the long run.
    ///
    /// # Errors
    /// [`OverlayError`] if it cannot be signed; [`OverlayError::Stopped`].
    pub async fn free_places(&self, places: u32) -> Result<Option<SignedOffer>, OverlayError> {
        self.ask(|reply| Command::Free { places, reply }).await
    }

    /// Says in the DHT that this node routes payments, and goes on saying so; or takes it back.
    ///
    /// # Errors
    /// [`OverlayError::Stopped`].
    pub async fn announce_router(&self, on: bool) -> Result<(), OverlayError> {
        self.ask(|reply| Command::Route { on, reply }).await
    }

    /// Nodes that say in the DHT that they route payments, this one aside, in no order but that those come first
    /// that are connected to now, so that they can be asked; takes some seconds. Each has yet to say its terms, and
    /// to prove that they are its own.
    ///
    /// # Errors
    /// [`OverlayError::Busy`] with too many searches under way; [`OverlayError::Stopped`].
    pub async fn routers(&self) -> Result<Vec<NodeId>, OverlayError> {
        self.ask(|reply| Command::Routers { reply }).await
    }

    /// This node's own offer, as it is out now. `None` if there is none, or it is over.
    ///
    /// # Errors
    /// [`OverlayError::Stopped`].
    pub async fn own_offer(&self) -> Result<Option<SignedOffer>, OverlayError> {
        self.ask(|reply| Command::OwnOffer { reply }).await
    }

    /// The known offers that fit, best first; answers at once from what this node knows.
    ///
    /// # Errors
    /// [`OverlayError::Stopped`].
    pub async fn offers(&self, query: OfferQuery) -> Result<Vec<RankedOffer>, OverlayError> {
        self.ask(|reply| Command::Offers { query, reply }).await
    }

    /// Asks the DHT first, then answers like [`Self::offers`]; takes some seconds, and the best
    /// exits are connected to afterwards, so that their round trips become known.
    ///
    /// # Errors
    /// [`OverlayError::Busy`] with too many searches under way; [`OverlayError::Stopped`].
    pub async fn refresh(&self, query: OfferQuery) -> Result<Vec<RankedOffer>, OverlayError> {
        self.ask(|reply| Command::Refresh { query, reply }).await
    }

    /// Connects to a node, at what its offer and the DHT say, unless it is connected already.
    ///
    /// # Errors
    /// [`OverlayError::Unreachable`], [`OverlayError::TimedOut`].
    pub async fn connect(&self, node: NodeId) -> Result<(), OverlayError> {
        self.ask(|reply| Command::Reach { node, reply }).await
    }

    /// Opens a session stream to a node, connecting to it first; a standing connection that does
    /// not answer is replaced by a fresh one.
    ///
    /// # Errors
    /// [`OverlayError::Unreachable`], [`OverlayError::NoSessions`], [`OverlayError::TimedOut`].
    pub async fn open_session(&self, node: NodeId) -> Result<SessionStream, OverlayError> {
        self.connect(node).await?;
        match self.open_stream(node, STALE_LIMIT).await {
            Err(OverlayError::TimedOut { .. } | OverlayError::Unreachable { .. }) => {
                self.ask(|reply| Command::Renew { node, reply }).await?;
                self.open_stream(node, OPEN_LIMIT).await
            }
            opened => opened,
        }
    }

    async fn open_stream(
        &self,
        node: NodeId,
        patience: Duration,
    ) -> Result<SessionStream, OverlayError> {
        let lost = |why: String| OverlayError::Unreachable { node, why };
        let peer = peer::peer_id(&node).ok_or_else(|| lost("its id is no valid key".into()))?;
        let mut control = self.control.clone();
        let open = control.open_stream(peer, self.sessions.clone());
        let stream = timeout(patience, open)
            .await
            .map_err(|_| OverlayError::TimedOut { after: patience })?
            .map_err(|error| match error {
                OpenStreamError::UnsupportedProtocol(_) => OverlayError::NoSessions { node },
                OpenStreamError::Io(error) => lost(error.to_string()),
                _ => lost("the stream was refused".into()),
            })?;
        Ok(SessionStream::new(node, stream, self.frame_limit))
    }

    /// Dials a node by hand, at a multiaddr that ends in `/p2p/…`, and remembers it to join at.
    ///
    /// # Errors
    /// [`OverlayError::Address`]; a dial that fails later is only counted.
    pub async fn dial(&self, address: String) -> Result<(), OverlayError> {
        self.ask(|reply| Command::Dial { address, reply }).await
    }

    /// Multiaddrs of nodes that hold records, worth keeping to join at after a restart without any bootstrap
    /// node: those that were reached, and those that this node was told to join at, reached or not.
    ///
    /// # Errors
    /// [`OverlayError::Stopped`].
    pub async fn contacts(&self) -> Result<Vec<String>, OverlayError> {
        self.ask(|reply| Command::Contacts { reply }).await
    }

    /// The nodes this one is connected to.
    ///
    /// # Errors
    /// [`OverlayError::Stopped`].
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, OverlayError> {
        self.ask(|reply| Command::Peers { reply }).await
    }

    /// The multiaddrs this node listens at, or is reached at by its configuration or its offer, with `/p2p/…`.
    ///
    /// # Errors
    /// [`OverlayError::Stopped`].
    pub async fn listen_addresses(&self) -> Result<Vec<String>, OverlayError> {
        self.ask(|reply| Command::Addresses { reply }).await
    }

    /// How the overlay stands, with a counter for everything it dropped.
    ///
    /// # Errors
    /// [`OverlayError::Stopped`].
    pub async fn stats(&self) -> Result<OverlayStats, OverlayError> {
        self.ask(|reply| Command::Stats { reply }).await
    }

    /// Closes every connection in good order and stops; a second call finds it stopped.
    ///
    /// # Errors
    /// [`OverlayError::Stopped`] if it has stopped before.
    pub async fn shutdown(&self) -> Result<(), OverlayError> {
        self.ask(|reply| Command::Shutdown { reply }).await
    }
}

fn protocol(name: String) -> Result<StreamProtocol, OverlayError> {
    StreamProtocol::try_from_owned(name).map_err(|error| OverlayError::Setup {
        part: "protocol name",
        detail: error.to_string(),
    })
}

fn swarm(
    config: &OverlayConfig,
    names: &Names,
    key: &NodeKey,
) -> Result<Swarm<behaviour::Behaviour>, OverlayError> {
    let keypair = peer::keypair(key)?;
    let transport = transport::build(&keypair, DialRules::new(config))?;
    let behaviour = behaviour::build(&keypair, names, config)?;
    let options = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE_LIMIT)
        .with_per_connection_event_buffer_size(16)
        .with_max_negotiating_inbound_streams(64);
    let mut swarm = Swarm::new(transport, behaviour, keypair.public().to_peer_id(), options);
    for text in &config.external {
        swarm.add_external_address(address::parse(text)?);
    }
    for text in &config.listen {
        swarm
            .listen_on(address::parse_listen(text)?)
            .map_err(|error| match error {
                libp2p::TransportError::MultiaddrNotSupported(_) => OverlayError::Address {
                    address: text.clone(),
                    why: address::NOT_CARRIED,
                },
                libp2p::TransportError::Other(source) => OverlayError::Listen {
                    address: text.clone(),
                    source,
                },
            })?;
    }
    Ok(swarm)
}
