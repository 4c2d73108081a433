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

/// Room for a segment size and a local address, each with its header, aligned for them.
type Control = [u64; 8];

/// Where a datagram goes, and the address of ours it leaves from.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: SockAddr,
    /// IPv4 as mapped; `None` leaves the choice to the system.
    pub(super) local: Option<Ipv6Addr>,
}

/// One filled buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled {
    pub(super) from: SocketAddr,
    /// The address of ours it was sent to; `None` if the kernel does not say.
    pub(super) local: Option<Ipv6Addr>,
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
    let mut controls: [Control; MOST_RECEIVED] = [[0; 8]; MOST_RECEIVED];
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
        let said = said(&message.msg_hdr);
        filled.push(Filled {
            from: address(name).unwrap_or(UNKNOWN),
            local: said.local,
            len,
            segment: said.segment.unwrap_or(len),
            cut: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        });
    }
    Ok(())
}

/// A sender the kernel did not name; answers to it go nowhere.
const UNKNOWN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// What the kernel says of a buffer beside its bytes.
#[derive(Debug, Default)]
struct Said {
    /// The size it merged datagrams by, if it did.
    segment: Option<usize>,
    local: Option<Ipv6Addr>,
}

fn said(header: &libc::msghdr) -> Said {
    let mut said = Said::default();
    // SAFETY: the kernel filled control and its length; the macros stay inside of them, and each
    // message has the data its level and type say.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while !at.is_null() {
            let data = libc::CMSG_DATA(at);
            match ((*at).cmsg_level, (*at).cmsg_type) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let size = data.cast::<libc::c_int>().read_unaligned();
                    said.segment = usize::try_from(size).ok().filter(|size| *size > 0);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    said.local = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    let spoken_to = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr));
                    said.local = Some(spoken_to.to_ipv6_mapped());
                }
                _ => {}
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
    said
}

/// A local address in the form the kernel wants it for a socket of this family.
#[derive(Clone, Copy)]
enum Leaving {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl Leaving {
    fn of(to: &Target) -> Option<Self> {
        let local = to.local?;
        if i32::from(to.name.family()) == libc::AF_INET {
            let source = local.to_ipv4_mapped()?;
            return Some(Self::V4(libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from(source).to_be(),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            }));
        }
        Some(Self::V6(libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr {
                s6_addr: local.octets(),
            },
            ipi6_ifindex: 0,
        }))
    }

    const fn len(self) -> u32 {
        match self {
            Self::V4(_) => size_of_u32::<libc::in_pktinfo>(),
            Self::V6(_) => size_of_u32::<libc::in6_pktinfo>(),
        }
    }
}

/// Puts segment size and local address into `control`, and `control` into `header`.
fn attach(header: &mut libc::msghdr, control: &mut Control, segment: Option<u16>, to: &Target) {
    const SEGMENT: u32 = size_of_u32::<u16>();
    let local = Leaving::of(to);
    // SAFETY: pure arithmetic.
    let space = unsafe {
        segment.map_or(0, |_| libc::CMSG_SPACE(SEGMENT))
            + local.map_or(0, |it| libc::CMSG_SPACE(it.len()))
    };
    if space == 0 {
        return;
    }
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = space as _;
    // SAFETY: `control` is zeroed, aligned, and has room for both messages (64 bytes), and the
    // macros stay inside of the space given in the header.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        if let Some(segment) = segment {
            (*at).cmsg_level = libc::SOL_UDP;
            (*at).cmsg_type = libc::UDP_SEGMENT;
            (*at).cmsg_len = libc::CMSG_LEN(SEGMENT) as _;
            libc::CMSG_DATA(at).cast::<u16>().write_unaligned(segment);
            at = libc::CMSG_NXTHDR(header, at);
        }
        if let Some(local) = local
            && !at.is_null()
        {
            (*at).cmsg_len = libc::CMSG_LEN(local.len()) as _;
            let data = libc::CMSG_DATA(at);
            match local {
                Leaving::V4(info) => {
                    (*at).cmsg_level = libc::IPPROTO_IP;
                    (*at).cmsg_type = libc::IP_PKTINFO;
                    data.cast::<libc::in_pktinfo>().write_unaligned(info);
                }
                Leaving::V6(info) => {
                    (*at).cmsg_level = libc::IPPROTO_IPV6;
                    (*at).cmsg_type = libc::IPV6_PKTINFO;
                    data.cast::<libc::in6_pktinfo>().write_unaligned(info);
                }
            }
        }
    }
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
    to: &Target,
) -> io::Result<()> {
    let mut control: Control = [0; 8];
    let mut part = part(bytes);
    // SAFETY: all-zero bytes are a valid message header.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = to.name.as_ptr().cast_mut().cast();
    header.msg_namelen = to.name.len();
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    attach(&mut header, &mut control, Some(segment), to);
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
pub(super) fn send_many<'a, 'b>(
    fd: BorrowedFd<'_>,
    datagrams: impl Iterator<Item = (&'a [u8], &'b Target)>,
) -> io::Result<usize> {
    // SAFETY: all-zero bytes are valid for these plain C structures.
    let (mut parts, mut messages): ([libc::iovec; MOST_SENT], [libc::mmsghdr; MOST_SENT]) =
        unsafe { (mem::zeroed(), mem::zeroed()) };
    let mut controls: [Control; MOST_SENT] = [[0; 8]; MOST_SENT];
    let mut count = 0;
    for (at, (bytes, to)) in datagrams.take(MOST_SENT).enumerate() {
        parts[at] = part(bytes);
        let header = &mut messages[at].msg_hdr;
        header.msg_name = to.name.as_ptr().cast_mut().cast();
        header.msg_namelen = to.name.len();
        header.msg_iov = &raw mut parts[at];
        header.msg_iovlen = 1;
        attach(header, &mut controls[at], None, to);
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
