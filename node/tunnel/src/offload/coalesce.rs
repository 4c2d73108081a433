//! Making super-packets of opened packets, before they are written to the device.
//!
//! Sans-IO. Packets of one flow that follow on one another become one write: one set of headers,
//! then every payload where it lies. The kernel takes our word for their checksums, so each is
//! verified first: a packet harmed on its way stays alone, and is found out by its receiver.
//!
//! Invariant: the packets of a flow keep their order, and every packet is in exactly one group.

use super::checksum;
use super::headers::{Layout, MOST_HEADER, Transport};
use super::vnet::{Segmentation, VnetHeader};

// Specification.
/// The largest IP packet.
const MOST_BYTES: usize = 65_535;
/// The most datagrams of one UDP super-packet that every kernel takes (UDP_MAX_SEGMENTS).
const MOST_DATAGRAMS: usize = 64;
const DONT_FRAGMENT: u8 = 0x40;
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

// Our choice.
/// How many groups back a packet looks for its flow.
const LOOK_BACK: usize = 16;
/// The most pieces one write is made of.
pub(crate) const MOST_MEMBERS: usize = 256;

/// What to merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge {
    /// Nothing.
    Nothing,
    /// TCP.
    Tcp,
    /// TCP and UDP.
    TcpUdp,
}

/// The packets of one write, chained through [`Coalescer::next`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    first: usize,
    last: usize,
    pub(crate) members: usize,
    layout: Option<Layout>,
    /// Payload bytes of the first packet, and of all but the last.
    segment_len: usize,
    bytes: usize,
    next_sequence: u32,
    /// Nothing more may be appended.
    closed: bool,
    /// The first packet's checksums hold.
    verified: bool,
    pushed: bool,
}

/// Groups the packets of one batch; its memory is used again for the next.
#[derive(Debug)]
pub(crate) struct Coalescer {
    merge: Merge,
    groups: Vec<Group>,
    next: Vec<usize>,
}

/// No packet follows.
const END: usize = usize::MAX;

impl Coalescer {
    pub(crate) fn new(merge: Merge) -> Self {
        Self {
            merge,
            groups: Vec::new(),
            next: Vec::new(),
        }
    }

    pub(crate) fn set_merge(&mut self, merge: Merge) {
        self.merge = merge;
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The numbers of a group's packets, in order.
    pub(crate) fn members(&self, group: &Group) -> impl Iterator<Item = usize> {
        let mut at = group.first;
        std::iter::from_fn(move || {
            let this = (at != END).then_some(at)?;
            at = self.next[this];
            Some(this)
        })
    }

    /// Groups packets `0..count`, where `packet(n)` is the n-th.
    pub(crate) fn group<'a>(&mut self, count: usize, packet: impl Fn(usize) -> &'a [u8]) {
        self.groups.clear();
        self.next.clear();
        self.next.resize(count, END);
        for at in 0..count {
            let bytes = packet(at);
            let layout = match self.merge {
                Merge::Nothing => None,
                Merge::Tcp | Merge::TcpUdp => {
                    Layout::of(bytes).filter(|layout| layout.lengths_hold(bytes))
                }
            };
            let found = layout.and_then(|layout| {
                self.groups
                    .iter()
                    .enumerate()
                    .rev()
                    .take(LOOK_BACK)
                    .find_map(|(which, group)| {
                        let theirs = group.layout?;
                        let same = same_flow((&theirs, packet(group.first)), (&layout, bytes));
                        same.then_some(which)
                    })
            });
            if let Some(which) = found
                && self.append(which, at, packet(self.groups[which].first), (layout, bytes))
            {
                continue;
            }
            self.start(at, layout, bytes);
        }
    }

    fn start(&mut self, at: usize, layout: Option<Layout>, bytes: &[u8]) {
        let payload = layout.map_or(0, |layout| bytes.len() - layout.header_len);
        let merges = layout.is_some_and(|layout| self.may_merge(&layout, bytes));
        let tcp = layout.filter(|it| it.transport == Transport::Tcp);
        let pushed = tcp.is_some_and(|it| bytes[it.ip_len + 13] & PSH != 0);
        let sequence = tcp.map_or(0, |it| sequence(&it, bytes));
        let payload_sequence = u32::try_from(payload).unwrap_or(u32::MAX);
        self.groups.push(Group {
            first: at,
            last: at,
            members: 1,
            layout,
            segment_len: payload,
            bytes: bytes.len(),
            next_sequence: sequence.wrapping_add(payload_sequence),
            closed: !merges || pushed,
            verified: false,
            pushed,
        });
    }

    /// Appends packet `at` to a group of its own flow, if it fits there.
    fn append(
        &mut self,
        which: usize,
        at: usize,
        first: &[u8],
        (theirs, bytes): (Option<Layout>, &[u8]),
    ) -> bool {
        let Some(layout) = theirs.filter(|_| self.groups[which].layout == theirs) else {
            // Other options: what comes later must not overtake this one.
            self.groups[which].closed = true;
            return false;
        };
        let layout = &layout;
        let payload = bytes.len() - layout.header_len;
        let group = self.groups[which];
        let most = match layout.transport {
            Transport::Tcp => MOST_MEMBERS,
            Transport::Udp => MOST_DATAGRAMS,
        };
        let fits = !group.closed
            && group.members < most
            && payload <= group.segment_len
            && group.bytes + payload <= MOST_BYTES
            && self.may_merge(layout, bytes)
            && follows(layout, &group, first, bytes)
            && (group.verified || (layout.ip_holds(first) && layout.transport_holds(first)))
            && layout.ip_holds(bytes)
            && layout.transport_holds(bytes);
        if !fits {
            // What comes later must not overtake this one.
            self.groups[which].closed = true;
            return false;
        }
        let pushed = layout.transport == Transport::Tcp && bytes[layout.ip_len + 13] & PSH != 0;
        self.next[group.last] = at;
        let group = &mut self.groups[which];
        group.last = at;
        group.members += 1;
        group.bytes += payload;
        group.next_sequence = group
            .next_sequence
            .wrapping_add(u32::try_from(payload).unwrap_or(u32::MAX));
        group.verified = true;
        group.pushed |= pushed;
        group.closed = pushed || payload < group.segment_len;
        true
    }

    fn may_merge(&self, layout: &Layout, bytes: &[u8]) -> bool {
        let payload = bytes.len() > layout.header_len;
        let no_options = !layout.v4 || layout.ip_len == 20;
        let kind = match (layout.transport, self.merge) {
            (_, Merge::Nothing) | (Transport::Udp, Merge::Tcp) => false,
            (Transport::Udp, Merge::TcpUdp) => true,
            (Transport::Tcp, Merge::Tcp | Merge::TcpUdp) => {
                let flags = bytes[layout.ip_len + 13];
                flags == ACK || flags == ACK | PSH
            }
        };
        payload && no_options && kind
    }
}

/// The head of a group's write: the kernel's header, then the shared headers.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) vnet: VnetHeader,
    pub(crate) bytes: [u8; MOST_HEADER],
    pub(crate) len: usize,
}

impl Group {
    /// The number of the first packet.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// The head of a group of several; `first` is its first packet.
    pub(crate) fn head(&self, first: &[u8]) -> Option<Head> {
        let layout = self.layout?;
        let mut bytes = [0; MOST_HEADER];
        let header = bytes.get_mut(..layout.header_len)?;
        header.copy_from_slice(first.get(..layout.header_len)?);
        layout.set_lengths(header, self.bytes);
        if self.pushed {
            header[layout.ip_len + 13] |= PSH;
        }
        // The kernel finishes the sum over each packet it cuts.
        let at = layout.ip_len + layout.transport.checksum_offset();
        let sum = checksum::fold(layout.pseudo(first, self.bytes - layout.ip_len));
        header[at..at + 2].copy_from_slice(&sum);
        let small = |len: usize| u16::try_from(len).unwrap_or(u16::MAX);
        let vnet = VnetHeader {
            needs_checksum: true,
            segmentation: match (layout.transport, layout.v4) {
                (Transport::Tcp, true) => Segmentation::TcpV4,
                (Transport::Tcp, false) => Segmentation::TcpV6,
                (Transport::Udp, _) => Segmentation::Udp,
            },
            header_len: small(layout.header_len),
            segment_len: small(self.segment_len),
            checksum_start: small(layout.ip_len),
            checksum_offset: small(layout.transport.checksum_offset()),
        };
        Some(Head {
            vnet,
            bytes,
            len: layout.header_len,
        })
    }

    /// Where the payload of each packet of a group of several begins.
    pub(crate) fn header_len(&self) -> usize {
        self.layout.map_or(0, |layout| layout.header_len)
    }
}

fn sequence(layout: &Layout, bytes: &[u8]) -> u32 {
    let at = layout.ip_len + 4;
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Same protocols, addresses and ports, whatever options stand in the headers.
fn same_flow(one: (&Layout, &[u8]), other: (&Layout, &[u8])) -> bool {
    fn ends<'a>((layout, packet): (&Layout, &'a [u8])) -> (&'a [u8], (&'a [u8], &'a [u8])) {
        let ports = &packet[layout.ip_len..layout.ip_len + 4];
        (ports, layout.addresses(packet))
    }
    let protocols = |it: &Layout| (it.v4, it.transport);
    protocols(one.0) == protocols(other.0) && ends(one) == ends(other)
}

/// Whether `bytes` may stand behind `first`'s group under one set of headers.
fn follows(layout: &Layout, group: &Group, first: &[u8], bytes: &[u8]) -> bool {
    let same = |range: std::ops::Range<usize>| first[range.clone()] == bytes[range];
    let ip = if layout.v4 {
        // Type of service; flags ("don't fragment"); time to live. Only of a packet that is never
        // cut by routers may the id differ (RFC 6864): who cuts the super-packet counts it up.
        let id = |packet: &[u8]| u16::from_be_bytes([packet[4], packet[5]]);
        let counted =
            u16::try_from(group.members).is_ok_and(|it| id(bytes) == id(first).wrapping_add(it));
        same(1..2) && same(6..8) && same(8..9) && (first[6] & DONT_FRAGMENT != 0 || counted)
    } else {
        // Traffic class and flow label; hop limit.
        same(0..4) && same(7..8)
    };
    let at = layout.ip_len;
    ip && match layout.transport {
        Transport::Udp => true,
        Transport::Tcp => {
            sequence(layout, bytes) == group.next_sequence
                && same(at + 8..at + 13) // Acknowledged; header length.
                && same(at + 14..at + 16) // Window.
                && same(at + 18..layout.header_len) // Urgent; options.
        }
    }
}

#[cfg(test)]
mod tests;
