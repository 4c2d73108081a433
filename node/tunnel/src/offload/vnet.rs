//! The header that stands before each packet of a device that takes super-packets.
//!
//! Sans-IO. Layout and values: virtio 1.2, section 5.1.6; the kernel's `virtio_net_hdr`, in the
//! machine's own byte order.

// Specification.
/// Bytes of the header.
pub(crate) const LEN: usize = 10;
const NEEDS_CHECKSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCP_V4: u8 = 1;
const GSO_TCP_V6: u8 = 4;
const GSO_UDP: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// What kind of super-packet follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segmentation {
    /// A plain packet.
    None,
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP over either.
    Udp,
}

/// The header, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VnetHeader {
    /// The transport checksum holds the pseudo header only.
    pub(crate) needs_checksum: bool,
    /// What follows.
    pub(crate) segmentation: Segmentation,
    /// Bytes of all headers of the packet.
    pub(crate) header_len: u16,
    /// Payload bytes of each packet but the last.
    pub(crate) segment_len: u16,
    /// Where the checksum's range begins.
    pub(crate) checksum_start: u16,
    /// Where in that range it is stored.
    pub(crate) checksum_offset: u16,
}

impl VnetHeader {
    /// Before a plain packet whose checksums are complete.
    pub(crate) const PLAIN: Self = Self {
        needs_checksum: false,
        segmentation: Segmentation::None,
        header_len: 0,
        segment_len: 0,
        checksum_start: 0,
        checksum_offset: 0,
    };

    /// Reads a header; `None` if it is short or of a kind we did not ask for.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LEN] = bytes.get(..LEN)?.try_into().ok()?;
        let segmentation = match bytes[1] & !GSO_ECN {
            GSO_NONE => Segmentation::None,
            GSO_TCP_V4 => Segmentation::TcpV4,
            GSO_TCP_V6 => Segmentation::TcpV6,
            GSO_UDP => Segmentation::Udp,
            _ => return None,
        };
        Some(Self {
            needs_checksum: bytes[0] & NEEDS_CHECKSUM != 0,
            segmentation,
            header_len: u16::from_ne_bytes([bytes[2], bytes[3]]),
            segment_len: u16::from_ne_bytes([bytes[4], bytes[5]]),
            checksum_start: u16::from_ne_bytes([bytes[6], bytes[7]]),
            checksum_offset: u16::from_ne_bytes([bytes[8], bytes[9]]),
        })
    }

    /// Writes the header.
    pub(crate) fn encode(&self) -> [u8; LEN] {
        let kind = match self.segmentation {
            Segmentation::None => GSO_NONE,
            Segmentation::TcpV4 => GSO_TCP_V4,
            Segmentation::TcpV6 => GSO_TCP_V6,
            Segmentation::Udp => GSO_UDP,
        };
        let mut bytes = [0; LEN];
        bytes[0] = if self.needs_checksum {
            NEEDS_CHECKSUM
        } else {
            0
        };
        bytes[1] = kind;
        bytes[2..4].copy_from_slice(&self.header_len.to_ne_bytes());
        bytes[4..6].copy_from_slice(&self.segment_len.to_ne_bytes());
        bytes[6..8].copy_from_slice(&self.checksum_start.to_ne_bytes());
        bytes[8..10].copy_from_slice(&self.checksum_offset.to_ne_bytes());
        bytes
    }
}
