//! How bytes travel: QUIC, and TCP with noise and yamux beside it, on IPv4 and IPv6.

use std::io;
use std::time::Duration;

use futures::future::Either;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, Transport as _, noise, quic, tcp, yamux};

use crate::address::DialRules;
use crate::error::OverlayError;

use gate::Gate;

mod gate;

// Our choice.
/// From the first packet to an authenticated connection.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// The same of a stranger that comes in: each holds a place until then. Four round trips are needed.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(5);
/// Streams a peer may have open on one connection.
const MAX_STREAMS: usize = 128;

type Connection = (PeerId, StreamMuxerBox);

/// Builds the transport. It dials what `rules` allow, whoever asks it to: DHT answers, offers, and
/// what a peer says of itself are written by strangers, and libp2p dials some of them by itself.
pub(crate) fn build(
    keypair: &Keypair,
    rules: DialRules,
) -> Result<Boxed<Connection>, OverlayError> {
    let noise = noise::Config::new(keypair).map_err(|error| OverlayError::Setup {
        part: "noise handshake",
        detail: error.to_string(),
    })?;
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(MAX_STREAMS);
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex(yamux)
        .timeout(HANDSHAKE_LIMIT)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));

    let mut config = quic::Config::new(keypair);
    config.handshake_timeout = HANDSHAKE_LIMIT;
    config.max_concurrent_stream_limit = u32::try_from(MAX_STREAMS).unwrap_or(u32::MAX);
    let quic = quic::tokio::Transport::new(config)
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));

    let both = quic.or_transport(tcp).map(|either, _| match either {
        Either::Left(connection) | Either::Right(connection) => connection,
    });
    let both = TransportTimeout::with_ingoing_timeout(both, ARRIVAL_LIMIT);
    let both = both.map_err(io::Error::other);
    Ok(Gate::new(both, rules).boxed())
}
