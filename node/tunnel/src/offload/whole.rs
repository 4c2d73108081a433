//! Cutting and merging whole reads and writes of a device, held in vectors: for models and fuzzers.
//!
//! Sans-IO. The packet threads use the parts themselves, without a vector for each packet.

use super::coalesce::{Coalescer, Merge};
use super::split::Splitter;
use super::vnet::{self, VnetHeader};

/// Returns the packets of one read of a device that hands out super-packets.
///
/// `read` is the kernel's `virtio_net_hdr` (10 bytes) and what follows it. `None` if the two do not
/// fit each other.
#[must_use]
pub fn cut(read: &[u8]) -> Option<Vec<Vec<u8>>> {
    let header = VnetHeader::decode(read)?;
    let mut packet = read.get(vnet::LEN..)?.to_vec();
    let mut splitter = Splitter::new(&header, &mut packet)?;
    let mut packets = Vec::new();
    while let Some(segment) = splitter.next_segment() {
        packets.push(segment.to_vec());
    }
    Some(packets)
}

/// One write to a device that takes super-packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Numbers of the packets it stands for, in order.
    pub members: Vec<usize>,
    /// The kernel's `virtio_net_hdr` (10 bytes) and what follows it.
    pub bytes: Vec<u8>,
}

/// Returns the writes that a batch of packets becomes, TCP and UDP merged.
#[must_use]
pub fn merge(packets: &[Vec<u8>]) -> Vec<Write> {
    let mut coalescer = Coalescer::new(Merge::TcpUdp);
    coalescer.group(packets.len(), |at| {
        packets.get(at).map_or(&[], Vec::as_slice)
    });
    let mut writes = Vec::new();
    for group in coalescer.groups() {
        let members: Vec<usize> = coalescer.members(group).collect();
        let of = |at: &usize| packets.get(*at).map_or(&[][..], Vec::as_slice);
        let first = members.first().map_or(&[][..], of);
        let head = (members.len() > 1).then(|| group.head(first)).flatten();
        let bytes = match head {
            Some(head) => {
                let mut bytes = head.vnet.encode().to_vec();
                bytes.extend(&head.bytes[..head.len]);
                for at in &members {
                    bytes.extend(of(at).get(group.header_len()..).unwrap_or_default());
                }
                bytes
            }
            None => [&VnetHeader::PLAIN.encode()[..], first].concat(),
        };
        writes.push(Write { members, bytes });
    }
    writes
}
