//! The two things a tunnel device needs that no safe door offers.
#![expect(
    unsafe_code,
    reason = "one ioctl without a safe wrapper; taking over a file descriptor"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

// Specification (linux/if_tun.h).
const CHECKSUM: libc::c_ulong = 0x01;
const TSO4: libc::c_ulong = 0x02;
const TSO6: libc::c_ulong = 0x04;
const USO4: libc::c_ulong = 0x20;
const USO6: libc::c_ulong = 0x40;

mod raw {
    nix::ioctl_write_int!(tun_set_offload, b'T', 208);
}

/// Which super-packets the kernel may hand us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accept {
    /// TCP and UDP.
    TcpUdp,
    /// TCP.
    Tcp,
}

/// Tells the kernel which super-packets we take. It then also takes them from us.
pub(super) fn set_offload(device: BorrowedFd<'_>, accept: Accept) -> io::Result<()> {
    let flags = match accept {
        Accept::TcpUdp => CHECKSUM | TSO4 | TSO6 | USO4 | USO6,
        Accept::Tcp => CHECKSUM | TSO4 | TSO6,
    };
    // SAFETY: the descriptor is open for the call, and the argument is passed by value.
    unsafe { raw::tun_set_offload(device.as_raw_fd(), flags) }?;
    Ok(())
}

/// Takes the device's descriptor over; the device is gone when it is closed.
pub(super) fn into_fd(device: tun::Device) -> OwnedFd {
    // SAFETY: `into_raw_fd` gives up the only owner of an open descriptor.
    unsafe { OwnedFd::from_raw_fd(device.into_raw_fd()) }
}
