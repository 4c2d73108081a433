//! Cutting a super-packet into the packets it stands for.
//!
//! Sans-IO. The first packet keeps CWR, the last keeps FIN and PSH, as a sending kernel would do
//! (RFC 9293; RFC 3168, section 6.1.2).

use super::checksum;
use super::headers::{Layout, Transport};
use super::vnet::{Segmentation, VnetHeader};

const FIN_AND_PSH: u8 = 0x01 | 0x08;
const CWR: u8 = 0x80;

/// What the packet is cut by.
#[derive(Debug, Clone, Copy)]
struct Cut {
    layout: Layout,
    segment_len: usize,
}

/// Yields the packets of one read from the device, one after the other.
#[derive(Debug)]
pub(crate) struct Splitter<'a> {
    packet: &'a [u8],
    scratch: &'a mut [u8],
    cut: Option<Cut>,
    /// Bytes of payload (of a super-packet) or of packet (of a plain one) already given.
    given: usize,
    count: u16,
}

impl<'a> Splitter<'a> {
    /// A packet that is one packet already.
    pub(crate) fn whole(packet: &'a [u8]) -> Self {
        Self {
            packet,
            scratch: &mut [],
            cut: None,
            given: 0,
            count: 0,
        }
    }

    /// What `header` says of `packet`; `None` if it does not fit the packet.
    ///
    /// A checksum the kernel left to us is completed in place. `scratch` takes one packet at a
    /// time and must hold the largest.
    pub(crate) fn new(
        header: &VnetHeader,
        packet: &'a mut [u8],
        scratch: &'a mut [u8],
    ) -> Option<Self> {
        let wanted = match header.segmentation {
            Segmentation::None => {
                if header.needs_checksum {
                    complete(header, packet)?;
                }
                return Some(Self {
                    packet,
                    scratch,
                    cut: None,
                    given: 0,
                    count: 0,
                });
            }
            Segmentation::TcpV4 => (Some(true), Transport::Tcp),
            Segmentation::TcpV6 => (Some(false), Transport::Tcp),
            Segmentation::Udp => (None, Transport::Udp),
        };
        let layout = Layout::of(packet)?;
        let fits = wanted.0.is_none_or(|v4| v4 == layout.v4) && wanted.1 == layout.transport;
        let segment_len = usize::from(header.segment_len);
        if !fits || segment_len == 0 || layout.header_len + segment_len > scratch.len() {
            return None;
        }
        Some(Self {
            packet,
            scratch,
            cut: Some(Cut {
                layout,
                segment_len,
            }),
            given: 0,
            count: 0,
        })
    }

    /// The headers all the packets share.
    pub(crate) fn head(&self) -> &[u8] {
        self.packet
    }

    /// The next packet, complete with checksums; `None` after the last.
    pub(crate) fn next_segment(&mut self) -> Option<&[u8]> {
        let Some(Cut {
            layout,
            segment_len,
        }) = self.cut
        else {
            let first = self.count == 0;
            self.count = 1;
            return first.then_some(self.packet);
        };
        let (header, payload) = self.packet.split_at(layout.header_len);
        if self.given >= payload.len() && self.count > 0 {
            return None;
        }
        let end = (self.given + segment_len).min(payload.len());
        let piece = &payload[self.given..end];
        let segment = self.scratch.get_mut(..header.len() + piece.len())?;
        segment[..header.len()].copy_from_slice(header);
        segment[header.len()..].copy_from_slice(piece);
        if layout.v4 {
            let id = u16::from_be_bytes([header[4], header[5]]).wrapping_add(self.count);
            segment[4..6].copy_from_slice(&id.to_be_bytes());
        }
        if layout.transport == Transport::Tcp {
            let tcp = &mut segment[layout.ip_len..];
            let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
            let offset = u32::try_from(self.given).unwrap_or(u32::MAX);
            tcp[4..8].copy_from_slice(&sequence.wrapping_add(offset).to_be_bytes());
            if end < payload.len() {
                tcp[13] &= !FIN_AND_PSH;
            }
            if self.count > 0 {
                tcp[13] &= !CWR;
            }
        }
        let len = segment.len();
        layout.set_lengths(segment, len);
        layout.set_checksum(segment);
        self.given = end;
        self.count = self.count.wrapping_add(1);
        Some(segment)
    }
}

/// Completes the checksum of a plain packet: the field holds the pseudo header's sum already.
fn complete(header: &VnetHeader, packet: &mut [u8]) -> Option<()> {
    let start = usize::from(header.checksum_start);
    let at = start + usize::from(header.checksum_offset);
    if at + 2 > packet.len() {
        return None;
    }
    let sum = checksum::finish(checksum::add(0, packet.get(start..)?));
    let sum = if sum == [0, 0] { [0xff, 0xff] } else { sum };
    packet[at..at + 2].copy_from_slice(&sum);
    Some(())
}
