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
                    // This kernel does not take it: never again.
                    Err(error @ (Errno::EINVAL | Errno::EOPNOTSUPP | Errno::EMSGSIZE)) => {
                        tracing::warn!(%error, "device refuses super-packets, going on without");
                        taken = Taken::PlainFromNow;
                    }
                    // Out of memory, or the device is down: one by one may still do.
                    Err(error) => tracing::debug!(%error, "super-packet not written"),
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::device::Addresses;
    use crate::offload::headers::Layout;

    /// A TCP packet of a flow, `at` packets after its first.
    fn packet(at: u32) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0];
        packet.extend([10, 77, 0, 2, 203, 0, 113, 9, 0, 80, 0, 90]);
        packet.extend((at * 1000).to_be_bytes());
        packet.extend([0, 0, 0, 0, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
        packet.extend([7; 1000]);
        let (layout, len) = (Layout::of(&packet).unwrap(), packet.len());
        layout.set_lengths(&mut packet, len);
        layout.set_checksum(&mut packet);
        packet
    }

    fn inbox_of(packets: u32) -> Inbox {
        let mut inbox = Inbox::new(1 << 20, 256);
        for at in 0..packets {
            let packet = packet(at);
            inbox.room(packet.len()).unwrap()[..packet.len()].copy_from_slice(&packet);
            inbox.commit(packet.len(), Account::of_slot(0));
        }
        inbox
    }

    /// A stand-in for a kernel that refuses large writes: a datagram socket with a small buffer.
    #[test]
    fn a_refused_super_packet_is_written_packet_by_packet_and_never_tried_again() {
        let (device, kernel) = UnixDatagram::pair().unwrap();
        socket2::SockRef::from(&device)
            .set_send_buffer_size(4096)
            .unwrap();
        let device = Device {
            fd: device.into(),
            rung: DeviceRung::TcpUdp,
            name: String::new(),
            addresses: Addresses::default(),
        };
        let reading = std::thread::spawn(move || {
            let read = |_| {
                let mut buffer = vec![0; 1 << 16];
                let len = kernel.recv(&mut buffer).unwrap();
                buffer.truncate(len);
                buffer
            };
            (0..22).map(read).collect::<Vec<_>>()
        });
        let (mut writer, drops, mut bytes) = (DeviceWriter::new(&device), Drops::default(), 0);
        let taken = writer.write(&inbox_of(20), &drops, |_, len| bytes += len);
        assert_eq!((taken, bytes), (Taken::PlainFromNow, 20 * 1040));
        assert_eq!(
            writer.write(&inbox_of(2), &drops, |_, _| {}),
            Taken::AsOffered
        );
        let came = reading.join().unwrap();
        for (at, write) in (0..20).chain(0..2).zip(&came) {
            assert_eq!(write[..10], VnetHeader::PLAIN.encode());
            assert_eq!(write[10..], packet(at), "not merged, or not any more");
        }
        assert_eq!(drops.counts().total(), 0);
    }

    #[test]
    fn a_taken_super_packet_is_one_write_and_metered_whole() {
        let (device, kernel) = UnixDatagram::pair().unwrap();
        let device = Device {
            fd: device.into(),
            rung: DeviceRung::Tcp,
            name: String::new(),
            addresses: Addresses::default(),
        };
        let (mut writer, drops, mut bytes) = (DeviceWriter::new(&device), Drops::default(), 0);
        let taken = writer.write(&inbox_of(5), &drops, |_, len| bytes += len);
        assert_eq!((taken, bytes), (Taken::AsOffered, 5 * 1040));
        let mut buffer = [0; 1 << 16];
        assert_eq!(kernel.recv(&mut buffer).unwrap(), 10 + 40 + 5000);
    }

    #[test]
    fn what_the_device_refuses_is_counted_and_not_metered() {
        let (device, kernel) = UnixDatagram::pair().unwrap();
        drop(kernel);
        let device = Device {
            fd: device.into(),
            rung: DeviceRung::Plain,
            name: String::new(),
            addresses: Addresses::default(),
        };
        let (mut writer, drops, mut bytes) = (DeviceWriter::new(&device), Drops::default(), 0);
        writer.write(&inbox_of(3), &drops, |_, len| bytes += len);
        assert_eq!((bytes, drops.counts().of(DropReason::Refused)), (0, 3));
    }
}
