//! The few fields of an inner IP packet that decide its way.
//!
//! Sans-IO. Reads headers of strangers: every access is bounded, nothing panics.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an inner packet comes from and goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
}

/// Reads both addresses; `None` if this is no IP packet.
pub(crate) fn ends(packet: &[u8]) -> Option<Ends> {
    match packet.first()? >> 4 {
        4 => {
            let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
            let destination: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            Some(Ends {
                source: Ipv4Addr::from(source).into(),
                destination: Ipv4Addr::from(destination).into(),
            })
        }
        6 => {
            let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
            let destination: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            Some(Ends {
                source: Ipv6Addr::from(source).into(),
                destination: Ipv6Addr::from(destination).into(),
            })
        }
        _ => None,
    }
}
