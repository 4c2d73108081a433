//! One role at a time on a host, and one consumer: what is looked for before the consumer's journal is opened.

use std::path::Path;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;

use super::journal::{Journal, JournalEntry};
use super::nft::{self, EXIT_TABLE, GUARD_TABLE, KILL_SWITCH_TABLE};
use super::{Change, HostError};

/// Opens the journal, unless this host has a tunnel, or a table of a consumer, that it does not tell of: another
/// daemon's would be replaced, and taken away with this one's at the end.
pub(super) async fn opened(path: &Path, device: &str) -> Result<Journal, HostError> {
    no_exit_here().await?;
    let tables = [KILL_SWITCH_TABLE, GUARD_TABLE];
    let journal = path.exists().then(|| Journal::open(path)).transpose()?;
    let told = journal.as_ref().map_or(&[][..], Journal::pending);
    let is_ours = |it: &JournalEntry| matches!(&it.change, Change::NftTable(it) if tables.contains(&it.name.as_str()));
    if !told.iter().any(is_ours)
        && let Some(seen) = consumer_beside(&tables, device).await?
    {
        return Err(HostError::ConsumerBeside { seen });
    }
    journal.map_or_else(|| Journal::open(path), Ok)
}

async fn consumer_beside(tables: &[&str], device: &str) -> Result<Option<String>, HostError> {
    for name in tables {
        if nft::has_table(name).await? {
            return Ok(Some(format!("firewall table inet {name}")));
        }
    }
    let all = getifaddrs();
    // Every tunnel is one; a device of another kind with its name is refused when ours is made.
    let is_tunnel = |it: &InterfaceAddress| it.flags.contains(InterfaceFlags::IFF_POINTOPOINT);
    let is_there =
        all.is_ok_and(|mut all| all.any(|it| it.interface_name == device && is_tunnel(&it)));
    Ok(is_there.then(|| format!("device {device}")))
}

/// Rules and routes of a consumer are for every packet of the host: guests' packets too would go
/// into the tunnel, at the owner's cost, or stop at the kill switch. So it is one role at a time,
/// whichever daemon has it; a dead exit's table counts, until it is recovered.
async fn no_exit_here() -> Result<(), HostError> {
    if nft::has_table(EXIT_TABLE).await? {
        return Err(HostError::ExitHere { table: EXIT_TABLE });
    }
    Ok(())
}
