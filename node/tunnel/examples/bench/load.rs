//! TCP for many guests at once: one connection from each inner address.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::args::Args;
use crate::known;

const UP: u8 = b'u';
const DOWN: u8 = b'd';
/// Who sends goes by this, whatever the system's own choice is.
const CONGESTION: &[u8] = b"cubic";

/// Takes or gives bytes, as each connection asks, until the process ends.
pub(crate) fn serve(args: &Args) {
    let listener = TcpListener::bind(args.text("at", "0.0.0.0:5300")).unwrap();
    // What it accepts sends in the same manner as who connects.
    SockRef::from(&listener)
        .set_tcp_congestion(CONGESTION)
        .unwrap();
    println!("up");
    for stream in listener.incoming() {
        std::thread::spawn(move || {
            let mut stream = stream.unwrap();
            let mut way = [0];
            if stream.read_exact(&mut way).is_ok() {
                carry(stream, way[0] == DOWN);
            }
        });
    }
}

/// Connects for each guest, more than once if there are more flows, and lets run for some seconds.
pub(crate) fn run(args: &Args) {
    let to: SocketAddr = args.text("to", "").parse().expect("--to ADDRESS:PORT");
    let way = if args.text("way", "up") == "down" {
        DOWN
    } else {
        UP
    };
    let guests = args.number("guests", 1);
    let connect = |flow: u16| {
        let guest = flow % guests;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_tcp_congestion(CONGESTION).unwrap();
        // By its own guest's tunnel, whichever else leads there.
        let device = format!("{}{guest}", args.text("device", "warren"));
        socket.bind_device(Some(device.as_bytes())).unwrap();
        socket
            .bind(&SocketAddr::new(known::v4(guest).into(), 0).into())
            .unwrap();
        socket.connect(&to.into()).unwrap();
        TcpStream::from(socket)
    };
    // All connect before any sends, as people who have been there for a while: what a flow takes for the way's delay
    // is that of a quiet way.
    let streams: Vec<_> = (0..args.number("flows", guests)).map(connect).collect();
    for mut stream in streams {
        stream.write_all(&[way]).unwrap();
        std::thread::spawn(move || carry(stream, way == UP));
    }
    println!("up");
    std::thread::sleep(Duration::from_secs(args.number("secs", 4)));
}

/// Ends when the other side does.
fn carry(mut stream: TcpStream, giving: bool) {
    let mut block = vec![7; 1 << 17];
    let mut more = true;
    while more {
        more = if giving {
            stream.write_all(&block).is_ok()
        } else {
            stream.read(&mut block).is_ok_and(|len| len > 0)
        };
    }
}
