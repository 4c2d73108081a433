//! What libp2p says, in this crate's words. Pure: nothing here decides or acts.

use std::collections::BTreeSet;
use std::time::Duration;

use libp2p::gossipsub::{self, MessageId};
use libp2p::kad::{self, InboundRequest, ProviderRecord, QueryId, QueryResult, Record};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify, ping};
use warren_proto::is_plain;

use crate::behaviour::BehaviourEvent;

/// What happened, as far as a node cares.
#[derive(Debug)]
pub(crate) enum News {
    Listening(Multiaddr),
    NotListening(Multiaddr),
    ListenerFailed,
    Connected {
        peer: PeerId,
        connection: ConnectionId,
        address: Multiaddr,
        outbound: bool,
        count: u32,
    },
    Disconnected {
        peer: PeerId,
        left: u32,
    },
    DialFailed {
        peer: Option<PeerId>,
        connection: ConnectionId,
        why: String,
    },
    Refused,
    Gossip {
        carrier: PeerId,
        id: MessageId,
        data: Vec<u8>,
    },
    Subscribed {
        peer: PeerId,
        topic: String,
    },
    SlowPeer,
    Identified {
        peer: PeerId,
        agent: String,
        protocols: Vec<String>,
        claims: Vec<Multiaddr>,
    },
    RoundTrip {
        peer: PeerId,
        rtt: Duration,
    },
    PingLost {
        peer: PeerId,
        why: &'static str,
    },
    Routable {
        peer: PeerId,
        address: Multiaddr,
    },
    RoutesGrew,
    RecordOffered {
        source: PeerId,
        record: Record,
    },
    ProviderOffered {
        record: ProviderRecord,
    },
    Answer {
        query: QueryId,
        answer: Answer,
        last: bool,
    },
    Nothing,
}

/// What a DHT question brought.
#[derive(Debug)]
pub(crate) enum Answer {
    Providers(BTreeSet<PeerId>),
    Record {
        holder: Option<PeerId>,
        record: Box<Record>,
    },
    /// It is done (`true`), or failed.
    Done(bool),
    Empty,
}

/// Says it in our words.
pub(crate) fn news(event: SwarmEvent<BehaviourEvent>) -> News {
    match event {
        SwarmEvent::Behaviour(event) => behaviour(event),
        SwarmEvent::NewListenAddr { address, .. } => News::Listening(address),
        SwarmEvent::ListenerClosed { .. } | SwarmEvent::ListenerError { .. } => {
            News::ListenerFailed
        }
        SwarmEvent::ConnectionEstablished {
            peer_id,
            connection_id,
            endpoint,
            num_established,
            ..
        } => News::Connected {
            peer: peer_id,
            connection: connection_id,
            address: endpoint.get_remote_address().clone(),
            outbound: endpoint.is_dialer(),
            count: num_established.get(),
        },
        SwarmEvent::ConnectionClosed {
            peer_id,
            num_established,
            ..
        } => News::Disconnected {
            peer: peer_id,
            left: num_established,
        },
        SwarmEvent::OutgoingConnectionError {
            connection_id,
            peer_id,
            error,
        } => News::DialFailed {
            peer: peer_id,
            connection: connection_id,
            why: error.to_string(),
        },
        SwarmEvent::IncomingConnectionError { .. } => News::Refused,
        SwarmEvent::ExpiredListenAddr { address, .. } => News::NotListening(address),
        SwarmEvent::IncomingConnection { .. }
        | SwarmEvent::Dialing { .. }
        | SwarmEvent::NewExternalAddrCandidate { .. }
        | SwarmEvent::ExternalAddrConfirmed { .. }
        | SwarmEvent::ExternalAddrExpired { .. }
        | SwarmEvent::NewExternalAddrOfPeer { .. }
        | _ => News::Nothing,
    }
}

fn behaviour(event: BehaviourEvent) -> News {
    match event {
        BehaviourEvent::Kad(event) => kademlia(event),
        BehaviourEvent::Gossip(event) => gossip(event),
        BehaviourEvent::Identify(event) => identified(event),
        BehaviourEvent::Ping(ping::Event { peer, result, .. }) => match result {
            Ok(rtt) => News::RoundTrip { peer, rtt },
            Err(ping::Failure::Unsupported) => News::Nothing,
            Err(ping::Failure::Timeout) => News::PingLost {
                peer,
                why: "timed_out",
            },
            Err(ping::Failure::Other { .. }) => News::PingLost {
                peer,
                why: "failed",
            },
        },
        BehaviourEvent::Streams(()) => News::Nothing,
        BehaviourEvent::Households(never)
        | BehaviourEvent::Limits(never)
        | BehaviourEvent::Blocked(never) => match never {},
    }
}

fn gossip(event: gossipsub::Event) -> News {
    match event {
        gossipsub::Event::Message {
            propagation_source,
            message_id,
            message,
        } => News::Gossip {
            carrier: propagation_source,
            id: message_id,
            data: message.data,
        },
        gossipsub::Event::Subscribed { peer_id, topic } => News::Subscribed {
            peer: peer_id,
            topic: topic.into_string(),
        },
        gossipsub::Event::SlowPeer { .. } => News::SlowPeer,
        gossipsub::Event::Unsubscribed { .. } | gossipsub::Event::GossipsubNotSupported { .. } => {
            News::Nothing
        }
    }
}

fn identified(event: identify::Event) -> News {
    match event {
        identify::Event::Received { peer_id, info, .. }
        | identify::Event::Pushed { peer_id, info, .. } => News::Identified {
            peer: peer_id,
            agent: plain(&info.agent_version),
            protocols: info.protocols.iter().map(ToString::to_string).collect(),
            claims: info.listen_addrs,
        },
        identify::Event::Sent { .. } | identify::Event::Error { .. } => News::Nothing,
    }
}

/// A stranger's text, without what is no part of one.
fn plain(text: &str) -> String {
    text.chars().filter(|it| is_plain(*it)).collect()
}

fn kademlia(event: kad::Event) -> News {
    match event {
        kad::Event::InboundRequest { request } => match request {
            InboundRequest::PutRecord {
                source,
                record: Some(record),
                ..
            } => News::RecordOffered { source, record },
            InboundRequest::AddProvider {
                record: Some(record),
            } => News::ProviderOffered { record },
            InboundRequest::PutRecord { .. }
            | InboundRequest::AddProvider { .. }
            | InboundRequest::FindNode { .. }
            | InboundRequest::GetProvider { .. }
            | InboundRequest::GetRecord { .. } => News::Nothing,
        },
        kad::Event::OutboundQueryProgressed {
            id, result, step, ..
        } => News::Answer {
            query: id,
            answer: answer(result),
            last: step.last,
        },
        kad::Event::RoutingUpdated {
            is_new_peer: true, ..
        } => News::RoutesGrew,
        kad::Event::RoutablePeer { peer, address }
        | kad::Event::PendingRoutablePeer { peer, address } => News::Routable { peer, address },
        kad::Event::RoutingUpdated { .. }
        | kad::Event::UnroutablePeer { .. }
        | kad::Event::ModeChanged { .. } => News::Nothing,
    }
}

fn answer(result: QueryResult) -> Answer {
    match result {
        QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders {
            providers, ..
        })) => Answer::Providers(providers.into_iter().collect()),
        QueryResult::GetRecord(Ok(kad::GetRecordOk::FoundRecord(found))) => Answer::Record {
            holder: found.peer,
            record: Box::new(found.record),
        },
        QueryResult::PutRecord(result) | QueryResult::RepublishRecord(result) => {
            Answer::Done(match result {
                Ok(_) => true,
                Err(
                    kad::PutRecordError::QuorumFailed { success, .. }
                    | kad::PutRecordError::Timeout { success, .. },
                ) => !success.is_empty(),
            })
        }
        QueryResult::StartProviding(result) | QueryResult::RepublishProvider(result) => {
            Answer::Done(result.is_ok())
        }
        QueryResult::Bootstrap(result) => Answer::Done(result.is_ok()),
        QueryResult::GetProviders(_)
        | QueryResult::GetRecord(_)
        | QueryResult::GetClosestPeers(_) => Answer::Empty,
    }
}

#[cfg(test)]
mod tests {
    use libp2p::identity::Keypair;

    use super::*;

    #[test]
    fn what_a_stranger_calls_its_program_does_nothing_to_a_terminal() {
        let key = Keypair::generate_ed25519().public();
        let event = identify::Event::Received {
            connection_id: ConnectionId::new_unchecked(1),
            peer_id: key.to_peer_id(),
            info: identify::Info {
                public_key: key,
                protocol_version: String::new(),
                agent_version: "\u{1b}[2J\u{202e}warren/\r\n1.0\u{9b}".to_owned(),
                listen_addrs: vec![],
                protocols: vec![],
                observed_addr: Multiaddr::empty(),
                signed_peer_record: None,
            },
        };
        let News::Identified { agent, .. } = identified(event) else {
            panic!("it said who it is")
        };
        assert_eq!(agent, "[2Jwarren/1.0");
    }
}
