//! Nets of inner addresses, as an owner writes them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Address and prefix of a private IPv4 net with its host bits zero: a consumer takes no other address.
pub(super) fn net_v4(text: &str) -> Option<(Ipv4Addr, u8)> {
    let (base, prefix) = text.split_once('/')?;
    let (base, prefix): (Ipv4Addr, u8) = (base.parse().ok()?, prefix.parse().ok()?);
    let fits = base.is_private() && (8..=24).contains(&prefix) && u32::from(base) << prefix == 0;
    fits.then_some((base, prefix))
}

/// The same of a unique local IPv6 net.
pub(super) fn net_v6(text: &str) -> Option<(Ipv6Addr, u8)> {
    let (base, prefix) = text.split_once('/')?;
    let (base, prefix): (Ipv6Addr, u8) = (base.parse().ok()?, prefix.parse().ok()?);
    let fits =
        base.is_unique_local() && (48..=112).contains(&prefix) && u128::from(base) << prefix == 0;
    fits.then_some((base, prefix))
}
