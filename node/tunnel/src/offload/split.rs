//! Cutting a super-packet into the packets it stands for.
//!
//! Sans-IO. The first packet keeps CWR, the last keeps FIN and PSH, as a sending kernel would do
//! (RFC 9293; RFC 3168, section 6.1.2).
//!
//! No payload is copied: a packet's headers are written right before its payload, over the end of
//! the payload before it, which was given away already.

use super::checksum;
use super::headers::{Layout, MOST_HEADER, Transport};
use super::vnet::{Segmentation, VnetHeader};

const FIN_AND_PSH: u8 = 0x01 | 0x08;
const CWR: u8 = 0x80;

/// What a super-packet is cut by.
#[derive(Debug)]
struct Cut<'a> {
    packet: &'a mut [u8],
    layout: Layout,
    segment_len: usize,
    /// The headers all the packets share; those in `packet` may be overwritten.
    header: [u8; MOST_HEADER],
}

/// What came from the device.
#[derive(Debug)]
enum Source<'a> {
    /// One packet already.
    Whole(&'a [u8]),
    Super(Cut<'a>),
}

/// Yields the packets of one read from the device, one after the other.
#[derive(Debug)]
pub(crate) struct Splitter<'a> {
    source: Source<'a>,
    /// Bytes of payload of a super-packet already given.
    given: usize,
    count: u16,
}

impl<'a> Splitter<'a> {
    /// A packet that is one packet already.
    pub(crate) fn whole(packet: &'a [u8]) -> Self {
        Self::of(Source::Whole(packet))
    }

    fn of(source: Source<'a>) -> Self {
        Self {
            source,
            given: 0,
            count: 0,
        }
    }

    /// What `header` says of `packet`; `None` if it does not fit the packet.
    ///
    /// A checksum the kernel left to us is completed in place; a super-packet is used up by being
    /// cut.
    pub(crate) fn new(header: &VnetHeader, packet: &'a mut [u8]) -> Option<Self> {
        let wanted = match header.segmentation {
            Segmentation::None => {
                if header.needs_checksum {
                    complete(header, packet)?;
                }
                return Some(Self::whole(packet));
            }
            Segmentation::TcpV4 => (Some(true), Transport::Tcp),
            Segmentation::TcpV6 => (Some(false), Transport::Tcp),
            Segmentation::Udp => (None, Transport::Udp),
        };
        let layout = Layout::of(packet)?;
        let fits = wanted.0.is_none_or(|v4| v4 == layout.v4) && wanted.1 == layout.transport;
        let segment_len = usize::from(header.segment_len);
        if !fits || segment_len == 0 {
            return None;
        }
        let mut shared = [0; MOST_HEADER];
        shared
            .get_mut(..layout.header_len)?
            .copy_from_slice(&packet[..layout.header_len]);
        Some(Self::of(Source::Super(Cut {
            packet,
            layout,
            segment_len,
            header: shared,
        })))
    }

    /// The headers all the packets share.
    pub(crate) fn head(&self) -> &[u8] {
        match &self.source {
            Source::Whole(packet) => packet,
            Source::Super(cut) => &cut.header[..cut.layout.header_len],
        }
    }

    /// The next packet, complete with checksums; `None` after the last.
    pub(crate) fn next_segment(&mut self) -> Option<&[u8]> {
        let cut = match &mut self.source {
            Source::Whole(packet) => {
                let first = self.count == 0;
                self.count = 1;
                return first.then_some(packet);
            }
            Source::Super(cut) => cut,
        };
        let (layout, header_len) = (cut.layout, cut.layout.header_len);
        let payload_len = cut.packet.len() - header_len;
        if self.given >= payload_len && self.count > 0 {
            return None;
        }
        let end = (self.given + cut.segment_len).min(payload_len);
        let segment = cut.packet.get_mut(self.given..header_len + end)?;
        segment[..header_len].copy_from_slice(&cut.header[..header_len]);
        if layout.v4 {
            let id = u16::from_be_bytes([segment[4], segment[5]]).wrapping_add(self.count);
            segment[4..6].copy_from_slice(&id.to_be_bytes());
        }
        if layout.transport == Transport::Tcp {
            let tcp = &mut segment[layout.ip_len..];
            let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
            let offset = u32::try_from(self.given).unwrap_or(u32::MAX);
            tcp[4..8].copy_from_slice(&sequence.wrapping_add(offset).to_be_bytes());
            if end < payload_len {
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
