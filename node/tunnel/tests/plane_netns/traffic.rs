//! What is sent through the tunnel, and the check that it came through whole.
#![allow(dead_code, reason = "shared by a test and an example")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's traffic")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};

use super::world::World;

const PATIENCE: Duration = Duration::from_secs(60);

/// A stream of bytes that never repeats within a transfer.
struct Pattern(u64);

impl Pattern {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}

fn send(stream: &mut TcpStream, seed: u64, bytes: usize) {
    let (mut pattern, mut block) = (Pattern(seed), vec![0; 1 << 16]);
    for _ in 0..bytes / block.len() {
        pattern.fill(&mut block);
        stream.write_all(&block).unwrap();
    }
}

fn check(stream: &mut TcpStream, seed: u64, bytes: usize) {
    let mut pattern = Pattern(seed);
    let (mut block, mut wanted) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    for at in 0..bytes / block.len() {
        stream.read_exact(&mut block).unwrap();
        pattern.fill(&mut wanted);
        assert!(block == wanted, "block {at} came through changed");
    }
}

/// Sends `bytes` from consumer to server and as many back, by TCP; every byte is compared.
pub(crate) fn tcp_both_ways(world: &World, server: IpAddr, bytes: usize) {
    let (tell, told) = sync_channel(1);
    let serving = world.spawn("s", move || {
        let listener = TcpListener::bind((server, 0)).unwrap();
        tell.send(listener.local_addr().unwrap()).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        check(&mut stream, 1, bytes);
        send(&mut stream, 2, bytes);
        stream.flush().unwrap();
    });
    let address: SocketAddr = told.recv().unwrap();
    world.inside("c", move || {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        send(&mut stream, 1, bytes);
        check(&mut stream, 2, bytes);
    });
    serving.join().unwrap();
}

/// Sends one datagram after the other and waits for its echo each time.
pub(crate) fn udp_echo(world: &World, server: IpAddr, sizes: &[usize]) {
    let (tell, told) = sync_channel(1);
    let (count, most) = (sizes.len(), sizes.iter().copied().max().unwrap_or(0));
    let serving = world.spawn("s", move || {
        let socket = UdpSocket::bind((server, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        tell.send(socket.local_addr().unwrap()).unwrap();
        let mut buffer = vec![0; most];
        for _ in 0..count {
            let (len, from) = socket.recv_from(&mut buffer).unwrap();
            socket.send_to(&buffer[..len], from).unwrap();
        }
    });
    let address: SocketAddr = told.recv().unwrap();
    let sizes = sizes.to_vec();
    world.inside("c", move || {
        let socket = UdpSocket::bind(any_like(address)).unwrap();
        socket.connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        for size in sizes {
            let (mut sent, mut got) = (vec![0; size], vec![0; size + 1]);
            Pattern(size as u64 + 7).fill(&mut sent);
            socket.send(&sent).unwrap();
            let len = socket
                .recv(&mut got)
                .unwrap_or_else(|error| panic!("echo of {size} bytes: {error}"));
            assert!(
                got[..len] == sent,
                "a datagram of {size} bytes came back changed"
            );
        }
    });
    serving.join().unwrap();
}

/// Hands the kernel one UDP super-packet of `count` datagrams of `size` bytes; the server must get
/// each of them, in order.
pub(crate) fn udp_segments(world: &World, server: IpAddr, size: u16, count: usize) {
    let (tell, told) = sync_channel(1);
    let len = usize::from(size);
    let mut all = vec![0; len * count - len / 2]; // The last is half as long.
    Pattern(99).fill(&mut all);
    let wanted = all.clone();
    let serving = world.spawn("s", move || {
        let socket = UdpSocket::bind((server, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        tell.send(socket.local_addr().unwrap()).unwrap();
        let mut buffer = vec![0; len + 1];
        for (at, piece) in wanted.chunks(len).enumerate() {
            let got = socket
                .recv(&mut buffer)
                .unwrap_or_else(|error| panic!("datagram {at} of {len}: {error}"));
            assert!(
                buffer[..got] == *piece,
                "datagram {at} came through changed"
            );
        }
    });
    let address: SocketAddr = told.recv().unwrap();
    world.inside("c", move || {
        let socket = UdpSocket::bind(any_like(address)).unwrap();
        let (parts, control) = (
            [std::io::IoSlice::new(&all)],
            [ControlMessage::UdpGsoSegments(&size)],
        );
        let to = SockaddrStorage::from(address);
        sendmsg(
            socket.as_raw_fd(),
            &parts,
            &control,
            MsgFlags::empty(),
            Some(&to),
        )
        .unwrap();
    });
    serving.join().unwrap();
}

/// Sends a datagram to nobody in particular.
pub(crate) fn udp_shout(world: &World, server: IpAddr) {
    world.inside("c", move || {
        let socket = UdpSocket::bind(any_like(SocketAddr::new(server, 9))).unwrap();
        socket.send_to(b"is anybody there?", (server, 9)).unwrap();
    });
}

/// Sends a datagram to the consumer that it did not ask for.
pub(crate) fn udp_down(world: &World, guest: IpAddr) {
    world.inside("s", move || {
        let socket = UdpSocket::bind(any_like(SocketAddr::new(guest, 9))).unwrap();
        socket.send_to(b"news from the server", (guest, 9)).unwrap();
    });
}

fn any_like(address: SocketAddr) -> SocketAddr {
    let any = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    any.parse().unwrap()
}

/// Sends by TCP for `time`, up or down; the bytes that arrived.
pub(crate) fn tcp_for(world: &World, server: IpAddr, up: bool, time: Duration) -> u64 {
    let (tell, told) = sync_channel(1);
    let serving = world.spawn("s", move || {
        let listener = TcpListener::bind((server, 0)).unwrap();
        tell.send(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        if up {
            drain(stream)
        } else {
            pour(stream, time)
        }
    });
    let address: SocketAddr = told.recv().unwrap();
    let mine = world.inside("c", move || {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        if up {
            pour(stream, time)
        } else {
            drain(stream)
        }
    });
    let theirs = serving.join().unwrap();
    if up { theirs } else { mine }
}

fn pour(mut stream: TcpStream, time: Duration) -> u64 {
    let (end, block, mut bytes) = (std::time::Instant::now() + time, vec![7; 1 << 17], 0);
    while std::time::Instant::now() < end {
        stream.write_all(&block).unwrap();
        bytes += block.len() as u64;
    }
    bytes
}

fn drain(mut stream: TcpStream) -> u64 {
    let (mut block, mut bytes) = (vec![0; 1 << 17], 0);
    loop {
        match stream.read(&mut block).unwrap() {
            0 => return bytes,
            len => bytes += len as u64,
        }
    }
}
