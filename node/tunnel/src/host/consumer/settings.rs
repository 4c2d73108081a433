//! The kernel settings that a tunnel needs on a consumer's host, and what its kernel speaks.

use std::path::Path;

use crate::host::{Change, Family, HostError, Sysctl, sysctl};

/// A kernel without IPv6 has nothing to block.
pub(super) fn families() -> Vec<Family> {
    let v6 = Path::new("/proc/sys/net/ipv6/conf/all")
        .exists()
        .then_some(Family::V6);
    [Some(Family::V4), v6].into_iter().flatten().collect()
}

/// Answers of the exit come in at a device the routes no longer point to: the strict check of
/// the return path would drop them. The kernel takes the larger of `all` and the device's own.
pub(super) fn loose_reverse_path() -> Result<Option<Change>, HostError> {
    let value = |name: &str| {
        let key = format!("net/ipv4/conf/{name}/rp_filter");
        sysctl::read(&key)
            .ok()
            .and_then(|it| it.parse::<u8>().ok())
            .unwrap_or(0)
    };
    let all = value("all");
    if sysctl::devices()
        .iter()
        .any(|device| value(device).max(all) == 1)
    {
        return Sysctl::plan_optional("net/ipv4/conf/all/rp_filter".to_owned(), "2");
    }
    Ok(None)
}

/// By default the kernel answers ARP for every address on every device: somebody on the wire could
/// ask for ours inside the tunnel. With 1 it answers for those of the device alone.
pub(super) fn quiet_arp() -> Result<Option<Change>, HostError> {
    let key = "net/ipv4/conf/all/arp_ignore";
    if sysctl::read(key).is_ok_and(|now| now == "0") {
        return Sysctl::plan_optional(key.to_owned(), "1");
    }
    Ok(None)
}

/// What the kernel would learn from the exit as if it were a router on our wire: a default route, addresses,
/// shorter ways. The guard drops such packets; without it, as for a moment after a flush, nobody listens to them.
pub(super) fn deaf(device: &str) -> Result<Vec<Change>, HostError> {
    let mut changes = Vec::new();
    for key in [
        "ipv6/conf/{}/accept_ra",
        "ipv6/conf/{}/autoconf",
        "ipv6/conf/{}/accept_redirects",
        "ipv4/conf/{}/accept_redirects",
    ] {
        let key = format!("net/{}", key.replace("{}", device));
        changes.extend(Sysctl::plan_optional(key, "0")?);
    }
    Ok(changes)
}
