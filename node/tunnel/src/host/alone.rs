//! One role at a time on a host, and one consumer: what is looked for before the consumer's journal is opened, and
//! before what a dead process left is taken back.
//!
//! Tables, rules and routes bear no process's name, and a kill switch without a tunnel has no device. So a consumer
//! holds a socket name for as long as it is one. An abstract name is of the network namespace, as they are, and ends with
//! its process, however it ends; no folder and no right to write is needed for it.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen, socket,
};

use super::caps::{Capability, has};
use super::journal::{Journal, JournalEntry};
use super::nft::{self, EXIT_TABLE, GUARD_TABLE, KILL_SWITCH_TABLE};
use super::{Change, DEVICE, EXIT_DEVICE, HostError};

/// Our choice.
const NAME: &[u8] = b"warren.consumer";

/// That nobody else is a consumer in this network namespace, for as long as it is held.
#[derive(Debug)]
pub(super) struct Alone {
    /// `None` where a process has the name that cannot be a consumer.
    _socket: Option<OwnedFd>,
}

impl Alone {
    /// Takes the name.
    ///
    /// # Errors
    /// Says which process has it, if that one may change the network.
    fn take() -> Result<Self, String> {
        let taken = open().and_then(|(socket, name)| {
            bind(socket.as_raw_fd(), &name)?;
            listen(&socket, Backlog::MAXALLOWABLE)?;
            Ok(socket)
        });
        match taken {
            Ok(socket) => Ok(Self {
                _socket: Some(socket),
            }),
            Err(Errno::EADDRINUSE) => match holder() {
                Some(process) => Err(process),
                None => {
                    tracing::warn!("a process without rights has the name that consumers hold");
                    Ok(Self { _socket: None })
                }
            },
            Err(error) => {
                tracing::warn!(%error, "other daemons cannot be told that this one is a consumer");
                Ok(Self { _socket: None })
            }
        }
    }

    /// Takes the name to undo what a dead consumer left.
    ///
    /// # Errors
    /// [`HostError::Alive`] if one lives.
    pub(super) fn to_undo() -> Result<Self, HostError> {
        no_tunnel(DEVICE)?;
        Self::take().map_err(|seen| HostError::Alive { seen })
    }

    /// The same for whom nothing else tells of another one.
    ///
    /// # Errors
    /// [`HostError::ConsumerBeside`] if there is one.
    pub(super) fn consumer() -> Result<Self, HostError> {
        Self::take().map_err(|seen| HostError::ConsumerBeside { seen })
    }
}

/// Makes sure that no living process is an exit here: a device ends with its process.
pub(super) fn no_exit_lives() -> Result<(), HostError> {
    no_tunnel(EXIT_DEVICE)
}

fn no_tunnel(device: &str) -> Result<(), HostError> {
    if is_tunnel_there(device) {
        let seen = format!("device {device}");
        return Err(HostError::Alive { seen });
    }
    Ok(())
}

fn open() -> nix::Result<(OwnedFd, UnixAddr)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    Ok((socket, UnixAddr::new_abstract(NAME)?))
}

/// The process that holds the name. `None` if it could not be a consumer: anybody may take any abstract name.
fn holder() -> Option<String> {
    let asked = open().and_then(|(socket, name)| {
        connect(socket.as_raw_fd(), &name)?;
        getsockopt(&socket, PeerCredentials)
    });
    match asked {
        Ok(it) if it.uid() == 0 || has(it.pid(), Capability::NetAdmin) => {
            Some(format!("process {}", it.pid()))
        }
        Ok(_) | Err(Errno::ECONNREFUSED) => None,
        // So many have asked before that nobody can: that is a consumer.
        Err(_) => Some("its name is taken".to_owned()),
    }
}

/// Opens the journal, unless this host has a tunnel, or a table of a consumer, that it does not tell of: another
/// daemon's would be replaced, and taken away with this one's at the end.
pub(super) async fn opened(path: &Path, device: &str) -> Result<(Journal, Alone), HostError> {
    no_exit_here().await?;
    let journal = path.exists().then(|| Journal::open(path)).transpose()?;
    let told = journal.as_ref().map_or(&[][..], Journal::pending);
    if !told.iter().any(is_of_consumer)
        && let Some(seen) = consumer_beside(device).await?
    {
        return Err(HostError::ConsumerBeside { seen });
    }
    let alone = Alone::consumer()?;
    Ok((journal.map_or_else(|| Journal::open(path), Ok)?, alone))
}

/// Whether it is a table that only a consumer makes.
pub(super) fn is_of_consumer(it: &JournalEntry) -> bool {
    is_table(it, &[KILL_SWITCH_TABLE, GUARD_TABLE])
}

/// Whether it is the table that only an exit makes.
pub(super) fn is_of_exit(it: &JournalEntry) -> bool {
    is_table(it, &[EXIT_TABLE])
}

fn is_table(it: &JournalEntry, names: &[&str]) -> bool {
    matches!(&it.change, Change::NftTable(it) if names.contains(&it.name.as_str()))
}

async fn consumer_beside(device: &str) -> Result<Option<String>, HostError> {
    for name in [KILL_SWITCH_TABLE, GUARD_TABLE] {
        if nft::has_table(name).await? {
            return Ok(Some(format!("firewall table inet {name}")));
        }
    }
    Ok(is_tunnel_there(device).then(|| format!("device {device}")))
}

/// Every tunnel is a point to point; a device of another kind with its name is refused when ours is made.
fn is_tunnel_there(device: &str) -> bool {
    let is_tunnel = |it: &InterfaceAddress| it.flags.contains(InterfaceFlags::IFF_POINTOPOINT);
    let all = getifaddrs();
    all.is_ok_and(|mut all| all.any(|it| it.interface_name == device && is_tunnel(&it)))
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
