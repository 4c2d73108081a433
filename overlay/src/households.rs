//! Households at the door: how many connections of one are on their way in, and from which one a peer came.
//!
//! A connection costs its opener one packet, and holds a place here until it has shown who it is or its time is
//! over. Whoever could fill all these places would keep every newcomer out, so a household has few of them.
//!
//! The first packet of QUIC proves no sender: one machine can fill the places of any household, and of all, with packets
//! from addresses that it has not. TCP has been answered by whoever comes, so it has places of its own, which stay free.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use ipnet::IpNet;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use crate::address;

// Our choice.
/// Connections of one household, by one transport, that have yet to show who they are: a machine that begins anew
/// has one by QUIC and one by TCP, and a home has few machines.
const MAX_ARRIVING: usize = 4;
/// The same of all households together: too many for one machine to fill at so few for each, and few enough for the
/// files that a process may have open.
pub(crate) const MAX_ARRIVING_IN_ALL: u32 = 512;

/// Why a connection is not let in.
#[derive(Debug, thiserror::Error)]
enum Crowded {
    /// Too many of one household are on their way in.
    #[error("{MAX_ARRIVING} connections from {0} have yet to show who they are")]
    Household(IpNet),
    /// Too many of all are.
    #[error("{MAX_ARRIVING_IN_ALL} connections have yet to show who they are")]
    All,
}

/// What a connection comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    /// Its sender was answered before it counts here.
    Tcp,
    /// Its sender may be anybody, until it has shown who it is.
    Quic,
}

/// Lets few connections of one household be on their way in; placed before all other behaviours, so that those
/// it turns away count for none of their limits.
#[derive(Debug, Default)]
pub(crate) struct Households {
    /// Who is on the way in; no household for those that are not from the public internet.
    arriving: BTreeMap<ConnectionId, (Transport, Option<IpNet>)>,
    homes: Homes,
}

/// From which household each peer is connected.
#[derive(Debug, Clone, Default)]
pub(crate) struct Homes(Arc<Mutex<BTreeMap<ConnectionId, (PeerId, IpNet)>>>);

impl Homes {
    /// The household of a peer's oldest connection. `None` if the peer is not connected, or not from the public
    /// internet.
    pub(crate) fn of(&self, peer: &PeerId) -> Option<IpNet> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = known.values();
        known.find(|(it, _)| it == peer).map(|(_, home)| *home)
    }

    fn came(&self, connection: ConnectionId, peer: PeerId, address: &Multiaddr) {
        if let Some(home) = address::household(address) {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(connection, (peer, home));
        }
    }

    fn left(&self, connection: ConnectionId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&connection);
    }
}

impl Households {
    pub(crate) fn homes(&self) -> Homes {
        self.homes.clone()
    }
}

impl NetworkBehaviour for Households {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let (transport, home) = (transport(from), address::household(from));
        let alike = self.arriving.values().filter(|(by, _)| *by == transport);
        let (mut of_home, mut of_all) = (0, 0_u32);
        for (_, other) in alike {
            of_all += 1;
            of_home += usize::from(home.is_some() && *other == home);
        }
        if let Some(home) = home.filter(|_| of_home >= MAX_ARRIVING) {
            return Err(ConnectionDenied::new(Crowded::Household(home)));
        }
        if of_all >= MAX_ARRIVING_IN_ALL {
            return Err(ConnectionDenied::new(Crowded::All));
        }
        self.arriving.insert(connection, (transport, home));
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.arriving.remove(&connection);
        self.homes.came(connection, peer, from);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        to: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.homes.came(connection, peer, to);
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        // A later behaviour may still refuse what was let in here: then it has failed.
        let gone = if let FromSwarm::ListenFailure(it) = &event {
            it.connection_id
        } else if let FromSwarm::DialFailure(it) = &event {
            it.connection_id
        } else if let FromSwarm::ConnectionClosed(it) = &event {
            it.connection_id
        } else {
            return;
        };
        self.arriving.remove(&gone);
        self.homes.left(gone);
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

fn transport(from: &Multiaddr) -> Transport {
    if from.iter().any(|it| matches!(it, Protocol::Tcp(_))) {
        Transport::Tcp
    } else {
        Transport::Quic
    }
}

#[cfg(test)]
mod tests {
    use libp2p::swarm::{ListenError, ListenFailure};

    use super::*;

    fn at(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    /// A connection on its way in from `from`: whether it may go on.
    fn knocks(door: &mut Households, number: usize, from: &str) -> bool {
        let (id, here) = (
            ConnectionId::new_unchecked(number),
            at("/ip4/9.9.9.9/tcp/1"),
        );
        door.handle_pending_inbound_connection(id, &here, &at(from))
            .is_ok()
    }

    fn fails(door: &mut Households, number: usize) {
        let (local_addr, send_back_addr) = (&at("/ip4/9.9.9.9/tcp/1"), &at("/ip4/9.9.9.8/tcp/1"));
        door.on_swarm_event(FromSwarm::ListenFailure(ListenFailure {
            local_addr,
            send_back_addr,
            error: &ListenError::Aborted,
            connection_id: ConnectionId::new_unchecked(number),
            peer_id: None,
        }));
    }

    #[test]
    fn a_household_that_says_nothing_leaves_the_door_open_for_others() {
        let mut door = Households::default();
        let crowd = |n: usize| format!("/ip4/8.8.8.8/tcp/{n}");
        let let_in = (1..=48).filter(|n| knocks(&mut door, *n, &crowd(*n)));
        assert_eq!(let_in.count(), MAX_ARRIVING);
        assert!(knocks(&mut door, 49, "/ip4/8.8.4.4/tcp/1"), "another one");
        assert!(!knocks(&mut door, 50, "/ip4/8.8.8.8/tcp/1"));

        fails(&mut door, 1);
        assert!(
            knocks(&mut door, 51, "/ip4/8.8.8.8/tcp/1"),
            "a place is free"
        );
    }

    #[test]
    fn behind_an_address_that_is_not_public_there_may_be_many() {
        let mut door = Households::default();
        let let_in = (1..=48).filter(|n| knocks(&mut door, *n, "/ip4/172.17.0.1/tcp/1"));
        assert_eq!(let_in.count(), 48);
    }

    #[test]
    fn packets_that_prove_no_sender_shut_out_nobody_who_was_answered() {
        let mut door = Households::default();
        let quic = |n: usize| format!("/ip4/8.8.8.8/udp/{n}/quic-v1");
        let let_in = (1..=48).filter(|n| knocks(&mut door, *n, &quic(*n)));
        assert_eq!(let_in.count(), MAX_ARRIVING);
        assert!(knocks(&mut door, 49, "/ip4/8.8.8.8/tcp/1"), "its own");

        // As from everywhere at once.
        let everywhere = |n: usize| format!("/ip4/9.{}.{}.9/udp/1/quic-v1", n / 256, n % 256);
        for n in 0..2000 {
            knocks(&mut door, 100 + n, &everywhere(n));
        }
        assert_eq!(door.arriving.len(), 512 + 1);
        assert!(!knocks(&mut door, 5000, "/ip4/8.8.4.4/udp/1/quic-v1"));
        assert!(knocks(&mut door, 5001, "/ip4/8.8.4.4/tcp/1"), "another");
    }

    #[test]
    fn who_is_in_is_known_by_its_household_and_forgotten_when_it_leaves() {
        let mut door = Households::default();
        let (peer, here) = (PeerId::random(), at("/ip4/9.9.9.9/tcp/1"));
        let (first, second) = (
            ConnectionId::new_unchecked(1),
            ConnectionId::new_unchecked(2),
        );
        for (id, from) in [
            (first, "/ip4/8.8.8.8/tcp/7"),
            (second, "/ip4/8.8.4.4/tcp/7"),
        ] {
            assert!(knocks(&mut door, 1, from));
            door.handle_established_inbound_connection(id, peer, &here, &at(from))
                .unwrap();
        }
        assert_eq!(door.homes().of(&peer), Some("8.8.8.8/32".parse().unwrap()));
        fails(&mut door, 1);
        assert_eq!(door.homes().of(&peer), Some("8.8.4.4/32".parse().unwrap()));
        fails(&mut door, 2);
        assert_eq!(door.homes().of(&peer), None);
        assert!(door.arriving.is_empty());
    }
}
