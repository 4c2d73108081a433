//! Makes the kernel forget the flows of guests that have left.
//!
//! An established TCP flow is remembered for days. While it is, it counts against whoever has the inner
//! address next, and what the other side still sends would be carried to them. Asked by ctnetlink: all
//! flows are listed once, and those that began at one of the addresses are deleted by what names them.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::net::IpAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

// Specification: linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nfnetlink_conntrack.h.
const NETLINK_NETFILTER: i32 = 12;
const NEW: u16 = 1 << 8;
const GET: u16 = (1 << 8) | 1;
const DELETE: u16 = (1 << 8) | 2;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
/// Bytes of a message's head, and of netfilter's own head behind it.
const HEAD: usize = 16;
const NETFILTER_HEAD: usize = 4;
const TUPLE_ORIG: u16 = 1;
const ZONE: u16 = 18;
const TUPLE_IP: u16 = 1;
const V4_SRC: u16 = 1;
const V6_SRC: u16 = 3;
/// The bits of an attribute's type that are no flags.
const TYPE: u16 = 0x3fff;

// Our choice.
/// The kernel answers at once; what takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(5);
/// Listings arrive in pieces of at most 32 KiB.
const PIECE: usize = 64 * 1024;

/// Deletes every flow that began at one of `addresses`; returns how many. Blocks for some milliseconds
/// on a host with few flows, some tenths of a second with hundreds of thousands.
///
/// # Errors
/// As the kernel gave; some flows may be deleted by then.
pub fn forget_flows(addresses: &BTreeSet<IpAddr>) -> Result<usize, Error> {
    let mut flows = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let is_asked = |it: &&IpAddr| it.is_ipv4() == (family == libc::AF_INET);
        if addresses.iter().any(|it| is_asked(&it)) {
            flows.extend(begun_at(addresses, u8::try_from(family).unwrap_or(0))?);
        }
    }
    let mut socket = open()?;
    let mut deleted = 0;
    for flow in flows {
        socket.write_all(&message(DELETE, REQUEST | ACK, flow.family, &flow.name))?;
        match answer(&mut socket)? {
            0 => deleted += 1,
            libc::ENOENT => {} // It ended by itself.
            code => return Err(Error::from_raw_os_error(code)),
        }
    }
    Ok(deleted)
}

/// A flow, by the attributes that name it.
struct Flow {
    family: u8,
    name: Vec<u8>,
}

fn begun_at(addresses: &BTreeSet<IpAddr>, family: u8) -> Result<Vec<Flow>, Error> {
    let mut socket = open()?;
    socket.write_all(&message(GET, REQUEST | DUMP, family, &[]))?;
    let (mut piece, mut found) = (vec![0; PIECE], Vec::new());
    loop {
        let length = socket.read(&mut piece)?;
        let mut rest = piece.get(..length).unwrap_or_default();
        while let Some((kind, body, behind)) = next_message(rest) {
            rest = behind;
            match kind {
                DONE => return Ok(found),
                ERROR => return Err(Error::from_raw_os_error(code(body))),
                NEW => {
                    let attributes = body.get(NETFILTER_HEAD..).unwrap_or_default();
                    found.extend(named(attributes, addresses).map(|name| Flow { family, name }));
                }
                _ => {}
            }
        }
    }
}

/// What names the flow of these attributes. `None` if it did not begin at one of `addresses`.
fn named(attributes: &[u8], addresses: &BTreeSet<IpAddr>) -> Option<Vec<u8>> {
    let (tuple, whole) = attribute(attributes, TUPLE_ORIG)?;
    let (ip, _) = attribute(tuple, TUPLE_IP)?;
    let v4 = || <[u8; 4]>::try_from(attribute(ip, V4_SRC)?.0).ok();
    let v6 = || <[u8; 16]>::try_from(attribute(ip, V6_SRC)?.0).ok();
    let from = v4().map(IpAddr::from).or_else(|| v6().map(IpAddr::from))?;
    let zone = attribute(attributes, ZONE).map_or(&[][..], |(_, whole)| whole);
    addresses.contains(&from).then(|| [whole, zone].concat())
}

/// The first attribute of this type: what it holds, and all of it with its padding.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<(&[u8], &[u8])> {
    loop {
        let length = usize::from(half(attributes, 0)?);
        let kind = half(attributes, 2)? & TYPE;
        let held = attributes.get(4..length)?;
        let padded = length.next_multiple_of(4).min(attributes.len());
        let (whole, behind) = attributes.split_at_checked(padded)?;
        if kind == wanted {
            return Some((held, whole));
        }
        attributes = behind;
    }
}

/// The first message: its type, what it holds, and what follows it.
fn next_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
    let body = bytes.get(HEAD..length)?;
    let padded = length.next_multiple_of(4).min(bytes.len());
    Some((half(bytes, 4)?, body, bytes.get(padded..)?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The positive error number of an answer; zero is success.
fn code(body: &[u8]) -> i32 {
    let code = body.first_chunk().copied().map_or(0, i32::from_ne_bytes);
    code.saturating_neg()
}

fn answer(socket: &mut Socket) -> Result<i32, Error> {
    let mut piece = [0; 4096];
    let length = socket.read(&mut piece)?;
    match next_message(piece.get(..length).unwrap_or_default()) {
        Some((ERROR, body, _)) => Ok(code(body)),
        Some(_) | None => Err(ErrorKind::InvalidData.into()),
    }
}

fn message(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Vec<u8> {
    let length = HEAD + NETFILTER_HEAD + attributes.len();
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]); // Sequence and port: one question at a time needs neither.
    bytes.extend([family, 0, 0, 0]);
    bytes.extend(attributes);
    bytes
}

fn open() -> Result<Socket, Error> {
    let netlink = Domain::from(libc::AF_NETLINK);
    let socket = Socket::new(netlink, Type::RAW, Some(Protocol::from(NETLINK_NETFILTER)))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn attr(kind: u16, held: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + held.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(held);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_flow_is_named_by_its_first_direction_and_its_zone() {
        let from: IpAddr = "10.77.0.2".parse().unwrap();
        let ip = attr(0x8000 | TUPLE_IP, &attr(V4_SRC, &[10, 77, 0, 2]));
        let (tuple, zone) = (attr(0x8000 | TUPLE_ORIG, &ip), attr(ZONE, &[0, 7]));
        let flow = [attr(3, &[1; 4]), tuple.clone(), zone.clone()].concat();
        let name = named(&flow, &BTreeSet::from([from])).unwrap();
        assert_eq!(name, [tuple, zone].concat());
        let other = "10.77.0.3".parse().unwrap();
        assert_eq!(named(&flow, &BTreeSet::from([other])), None);
    }

    #[test]
    fn cut_off_bytes_name_no_flow() {
        let any = BTreeSet::from(["10.77.0.2".parse().unwrap()]);
        let ip = attr(TUPLE_IP, &attr(V4_SRC, &[10, 77, 0, 2]));
        let flow = attr(TUPLE_ORIG, &ip);
        for length in 0..flow.len() {
            assert_eq!(named(&flow[..length], &any), None, "{length}");
            assert!(next_message(&flow[..length]).is_none() || length >= HEAD);
        }
    }
}
