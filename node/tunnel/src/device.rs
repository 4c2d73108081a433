//! The tunnel device of the kernel: making it, reading packets from it, writing packets to it.

mod ioctl;
mod setup;
mod writer;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

pub(crate) use setup::Addresses;
pub(crate) use writer::{DeviceWriter, Taken};

use crate::error::TunnelError;
use crate::offload::vnet::{self, VnetHeader};
use crate::spec::DeviceRung;

// Our choice.
/// Places of the kernel's queue before us. It counts packets, small and large alike: so many that a burst of
/// small ones finds room while the reading thread waits for a processor. Bytes are bounded by who reads (the
/// pump's backlog). It is set once: a change stops the device for a moment, and what is sent meanwhile is lost.
pub(crate) const fn queue_len(rung: DeviceRung) -> u32 {
    match rung {
        DeviceRung::TcpUdp => 256,
        DeviceRung::Tcp | DeviceRung::Plain => 512,
    }
}

/// A tunnel device; it is gone from the system when this is dropped.
#[derive(Debug)]
pub(crate) struct Device {
    fd: OwnedFd,
    rung: DeviceRung,
    name: String,
    addresses: Addresses,
}

/// One packet or super-packet in a read buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadPacket {
    pub(crate) header: VnetHeader,
    /// Where the packet begins, after the kernel's header.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Device {
    /// Makes the device with its addresses and brings it up, on the best rung from `ceiling` down.
    pub(crate) fn create(
        name: &str,
        mtu: u16,
        addresses: &Addresses,
        ceiling: DeviceRung,
    ) -> Result<Self, TunnelError> {
        let rungs = [DeviceRung::TcpUdp, DeviceRung::Tcp, DeviceRung::Plain];
        let mut refused = None;
        for rung in rungs.into_iter().filter(|rung| *rung >= ceiling) {
            match Self::open(name, rung) {
                Ok(fd) => {
                    setup::configure(name, mtu, queue_len(rung), addresses)?;
                    tracing::debug!(device = name, ?rung, "tunnel device is up");
                    return Ok(Self {
                        fd,
                        rung,
                        name: name.to_owned(),
                        addresses: *addresses,
                    });
                }
                Err(error) => {
                    tracing::debug!(device = name, ?rung, %error, "device rung refused");
                    refused = Some(error);
                }
            }
        }
        let source = refused.unwrap_or_else(|| io::ErrorKind::Unsupported.into());
        Err(TunnelError::Device {
            device: name.to_owned(),
            source,
        })
    }

    fn open(name: &str, rung: DeviceRung) -> io::Result<OwnedFd> {
        let mut config = tun::Configuration::default();
        config.tun_name(name);
        let super_packets = rung != DeviceRung::Plain;
        config.platform_config(|platform| {
            platform.vnet_hdr(super_packets);
        });
        let device = tun::create(&config).map_err(io::Error::other)?;
        device.set_nonblock()?;
        let fd = ioctl::into_fd(device);
        match rung {
            DeviceRung::TcpUdp => ioctl::set_offload(fd.as_fd(), ioctl::Accept::TcpUdp)?,
            DeviceRung::Tcp => ioctl::set_offload(fd.as_fd(), ioctl::Accept::Tcp)?,
            DeviceRung::Plain => {}
        }
        Ok(fd)
    }

    pub(crate) fn rung(&self) -> DeviceRung {
        self.rung
    }

    /// Gives it another MTU. Blocks for some milliseconds; works in the calling thread's network
    /// namespace.
    pub(crate) fn set_mtu(&self, mtu: u16) -> Result<(), TunnelError> {
        setup::set_mtu(&self.name, mtu)
    }

    /// Gives it the addresses back that somebody took away, as whoever switches it off and on does with those of
    /// IPv6. Costs one question; works in the calling thread's network namespace.
    pub(crate) fn keep_addresses(&self) {
        match setup::keep_addresses(&self.name, &self.addresses) {
            Ok(false) => {}
            Ok(true) => tracing::warn!(device = self.name, "addresses were gone; there again"),
            Err(error) => tracing::debug!(%error, "addresses are gone"),
        }
    }

    /// Reads one packet into `buffer` at `at`; `None` if there is none.
    pub(crate) fn read(&self, buffer: &mut [u8], at: usize) -> io::Result<Option<ReadPacket>> {
        let Some(room) = buffer.get_mut(at..) else {
            return Ok(None);
        };
        let len = match nix::unistd::read(&self.fd, room) {
            Ok(len) => len,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if self.rung == DeviceRung::Plain {
            return Ok(Some(ReadPacket {
                header: VnetHeader::PLAIN,
                start: at,
                end: at + len,
            }));
        }
        let header = VnetHeader::decode(&room[..len]).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some(ReadPacket {
            header,
            start: at + vnet::LEN,
            end: at + len,
        }))
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
