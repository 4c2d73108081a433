//! The messages of WireGuard as they stand in a datagram.

use boringtun::noise::{Packet, Tunn};

// Specification (WireGuard paper, section 5.4).
/// A data message: header before the sealed packet, tag behind it.
pub(crate) const DATA_OVERHEAD: usize = 32;
/// The largest message of a handshake.
pub(crate) const HANDSHAKE_INIT_LEN: usize = 148;
pub(super) const TYPE_INIT: u8 = 1;
pub(super) const TYPE_COOKIE: u8 = 3;
pub(super) const TYPE_DATA: u8 = 4;

/// What kind of message a datagram says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageKind {
    /// A stranger asks for a session.
    Init,
    /// For the peer with this receiver index; `data` tells data from handshake answers.
    ForIndex { index: u32, data: bool },
}

/// Reads the outer header; `None` for what is no WireGuard message.
pub(crate) fn kind(datagram: &[u8]) -> Option<MessageKind> {
    match Tunn::parse_incoming_packet(datagram).ok()? {
        Packet::HandshakeInit(_) => Some(MessageKind::Init),
        Packet::HandshakeResponse(it) => Some(MessageKind::ForIndex {
            index: it.receiver_idx,
            data: false,
        }),
        Packet::PacketCookieReply(it) => Some(MessageKind::ForIndex {
            index: it.receiver_idx,
            data: false,
        }),
        Packet::PacketData(it) => Some(MessageKind::ForIndex {
            index: it.receiver_idx,
            data: true,
        }),
    }
}

/// How many inner bytes a sealed datagram carries.
pub(crate) fn inner_len(datagram: &[u8]) -> usize {
    if datagram.first() == Some(&TYPE_DATA) {
        datagram.len().saturating_sub(DATA_OVERHEAD)
    } else {
        0
    }
}
