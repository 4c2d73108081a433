//! Writing opened packets to the device, several of a flow at a time where the kernel takes them.

use std::io::IoSlice;

use nix::errno::Errno;
use nix::sys::uio::writev;

use super::Device;
use crate::engine::{Account, Inbox};
use crate::meter::{DropReason, Drops};
use crate::offload::coalesce::{Coalescer, Group, MOST_MEMBERS, Merge};
use crate::offload::vnet::VnetHeader;
use crate::spec::DeviceRung;

/// The writing side of a device, with the memory it works in.
#[derive(Debug)]
pub(crate) struct DeviceWriter<'d> {
    device: &'d Device,
    coalescer: Coalescer,
}

/// Whether the kernel still takes super-packets from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// As before.
    AsOffered,
    /// It refused one; from now on only plain packets are written.
    PlainFromNow,
}

impl<'d> DeviceWriter<'d> {
    pub(crate) fn new(device: &'d Device) -> Self {
        let merge = match device.rung() {
            DeviceRung::TcpUdp => Merge::TcpUdp,
            DeviceRung::Tcp => Merge::Tcp,
            DeviceRung::Plain => Merge::Nothing,
        };
        Self {
            device,
            coalescer: Coalescer::new(merge),
        }
    }

    /// Writes every packet of `inbox`, telling `written` whose bytes the device took.
    pub(crate) fn write(
        &mut self,
        inbox: &Inbox,
        drops: &Drops,
        mut written: impl FnMut(Account, u64),
    ) -> Taken {
        let items = inbox.items();
        self.coalescer
            .group(items.len(), |at| inbox.bytes(&items[at]));
        let mut taken = Taken::AsOffered;
        for group in self.coalescer.groups() {
            if group.members > 1 {
                match self.write_group(group, inbox) {
                    Ok(()) => {
                        for at in self.coalescer.members(group) {
                            written(items[at].account, items[at].len as u64);
                        }
                        continue;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "device refuses super-packets, going on without");
                        taken = Taken::PlainFromNow;
                    }
                }
            }
            for at in self.coalescer.members(group) {
                match self.write_one(inbox.bytes(&items[at])) {
                    Ok(()) => written(items[at].account, items[at].len as u64),
                    Err(_) => drops.count(DropReason::Refused),
                }
            }
        }
        if taken == Taken::PlainFromNow {
            self.coalescer.set_merge(Merge::Nothing);
        }
        taken
    }

    fn write_one(&self, packet: &[u8]) -> Result<(), Errno> {
        if self.device.rung() == DeviceRung::Plain {
            return write_all(self.device, &[IoSlice::new(packet)]);
        }
        let head = VnetHeader::PLAIN.encode();
        write_all(self.device, &[IoSlice::new(&head), IoSlice::new(packet)])
    }

    fn write_group(&self, group: &Group, inbox: &Inbox) -> Result<(), Errno> {
        let items = inbox.items();
        let first = inbox.bytes(&items[group.first()]);
        let head = group.head(first).ok_or(Errno::EINVAL)?;
        let vnet = head.vnet.encode();
        let mut pieces = [IoSlice::new(&[]); MOST_MEMBERS + 2];
        pieces[0] = IoSlice::new(&vnet);
        pieces[1] = IoSlice::new(&head.bytes[..head.len]);
        let mut count = 2;
        for at in self.coalescer.members(group) {
            pieces[count] = IoSlice::new(&inbox.bytes(&items[at])[group.header_len()..]);
            count += 1;
        }
        write_all(self.device, &pieces[..count])
    }
}

fn write_all(device: &Device, pieces: &[IoSlice<'_>]) -> Result<(), Errno> {
    loop {
        match writev(device, pieces) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}
