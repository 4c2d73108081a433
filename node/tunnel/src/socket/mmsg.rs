//! Many datagrams in one system call, with the kernel's segment sizes.
#![expect(
    unsafe_code,
    reason = "recvmmsg and sendmmsg have no safe door that keeps its headers"
)]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::SockAddr;

// Our choice.
/// Buffers filled by one call.
pub(super) const MOST_RECEIVED: usize = 32;
/// Datagrams sent by one call.
pub(super) const MOST_SENT: usize = 64;

/// Room for one control message with an `int`, aligned for its header.
type Control = [u64; 4];

/// One filled buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled {
    pub(super) from: SocketAddr,
    pub(super) len: usize,
    /// Bytes of each datagram in the buffer but the last; `len` if it is one.
    pub(super) segment: usize,
    /// The datagram was larger than the buffer.
    pub(super) cut: bool,
}

/// Fills the slots of `slot_len` bytes that `buffer` has, without waiting; one [`Filled`] for each.
pub(super) fn receive(
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
    slot_len: usize,
    filled: &mut Vec<Filled>,
) -> io::Result<()> {
    filled.clear();
    // SAFETY: all-zero bytes are valid for these plain C structures.
    let (mut names, mut parts, mut messages): (
        [libc::sockaddr_storage; MOST_RECEIVED],
        [libc::iovec; MOST_RECEIVED],
        [libc::mmsghdr; MOST_RECEIVED],
    ) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
    let mut controls: [Control; MOST_RECEIVED] = [[0; 4]; MOST_RECEIVED];
    let mut count = 0;
    for (at, slot) in buffer
        .chunks_exact_mut(slot_len)
        .take(MOST_RECEIVED)
        .enumerate()
    {
        parts[at] = libc::iovec {
            iov_base: slot.as_mut_ptr().cast(),
            iov_len: slot.len(),
        };
        let header = &mut messages[at].msg_hdr;
        header.msg_name = (&raw mut names[at]).cast();
        header.msg_namelen = size_of_u32::<libc::sockaddr_storage>();
        header.msg_iov = &raw mut parts[at];
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut controls[at]).cast();
        header.msg_controllen = size_of::<Control>() as _;
        count += 1;
    }
    // SAFETY: `messages[..count]` point to names, parts, controls and slots that outlive the call.
    let got = unsafe {
        libc::recvmmsg(
            fd.as_raw_fd(),
            messages.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT as _,
            std::ptr::null_mut(),
        )
    };
    let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    for (message, name) in messages.iter().zip(&names).take(got) {
        let len = message.msg_len as usize;
        filled.push(Filled {
            from: address(name).unwrap_or(UNKNOWN),
            len,
            segment: segment(&message.msg_hdr).unwrap_or(len),
            cut: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        });
    }
    Ok(())
}

/// A sender the kernel did not name; answers to it go nowhere.
const UNKNOWN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The segment size the kernel merged by, if it did.
fn segment(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel filled control and its length; the macros stay inside of them.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while !at.is_null() {
            if (*at).cmsg_level == libc::SOL_UDP && (*at).cmsg_type == libc::UDP_GRO {
                let size = libc::CMSG_DATA(at).cast::<libc::c_int>().read_unaligned();
                return usize::try_from(size).ok().filter(|size| *size > 0);
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
    None
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which structure the storage holds; it is large enough.
            let it = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(it.sin_addr.s_addr));
            Some(SocketAddr::new(ip.into(), u16::from_be(it.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let it = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(it.sin6_addr.s6_addr);
            let port = u16::from_be(it.sin6_port);
            if let Some(v4) = ip.to_ipv4_mapped() {
                return Some(SocketAddr::new(v4.into(), port));
            }
            Some(SocketAddrV6::new(ip, port, 0, it.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Sends `bytes` as datagrams of `segment` bytes (the last may be shorter) by one walk through the
/// kernel.
pub(super) fn send_segments(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    segment: u16,
    to: &SockAddr,
) -> io::Result<()> {
    let mut control: Control = [0; 4];
    let mut part = part(bytes);
    // SAFETY: all-zero bytes are a valid message header.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = to.as_ptr().cast_mut().cast();
    header.msg_namelen = to.len();
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    // SAFETY: pure arithmetic.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(size_of_u32::<u16>()) } as _;
    // SAFETY: control has room for one message of two bytes, so the first header is inside it.
    unsafe {
        let at = libc::CMSG_FIRSTHDR(&raw const header);
        (*at).cmsg_level = libc::SOL_UDP;
        (*at).cmsg_type = libc::UDP_SEGMENT;
        (*at).cmsg_len = libc::CMSG_LEN(size_of_u32::<u16>()) as _;
        libc::CMSG_DATA(at).cast::<u16>().write_unaligned(segment);
    }
    loop {
        // SAFETY: the header points to address, part and control, which outlive the call.
        let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) };
        if sent >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Sends up to [`MOST_SENT`] datagrams; says how many went out before one was refused.
pub(super) fn send_many<'a>(
    fd: BorrowedFd<'_>,
    datagrams: impl Iterator<Item = (&'a [u8], &'a SockAddr)>,
) -> io::Result<usize> {
    // SAFETY: all-zero bytes are valid for these plain C structures.
    let (mut parts, mut messages): ([libc::iovec; MOST_SENT], [libc::mmsghdr; MOST_SENT]) =
        unsafe { (mem::zeroed(), mem::zeroed()) };
    let mut count = 0;
    for (at, (bytes, to)) in datagrams.take(MOST_SENT).enumerate() {
        parts[at] = part(bytes);
        let header = &mut messages[at].msg_hdr;
        header.msg_name = to.as_ptr().cast_mut().cast();
        header.msg_namelen = to.len();
        header.msg_iov = &raw mut parts[at];
        header.msg_iovlen = 1;
        count += 1;
    }
    loop {
        // SAFETY: `messages[..count]` point to addresses and bytes that outlive the call.
        let sent = unsafe {
            libc::sendmmsg(
                fd.as_raw_fd(),
                messages.as_mut_ptr(),
                count,
                libc::MSG_NOSIGNAL as _,
            )
        };
        if let Ok(sent) = usize::try_from(sent) {
            return Ok(sent);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// The kernel only reads through it.
fn part(bytes: &[u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "sizes of small C structures"
)]
const fn size_of_u32<T>() -> u32 {
    size_of::<T>() as u32
}
