//! TCP for many guests at once: one connection from each inner address.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::args::Args;
use crate::known;

const UP: u8 = b'u';
const DOWN: u8 = b'd';

/// Takes or gives bytes, as each connection asks, until the process ends.
pub(crate) fn serve(args: &Args) {
    let listener = TcpListener::bind(args.text("at", "0.0.0.0:5300")).unwrap();
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

/// Connects for each guest, and lets run for some seconds.
pub(crate) fn run(args: &Args) {
    let to: SocketAddr = args.text("to", "").parse().expect("--to ADDRESS:PORT");
    let way = if args.text("way", "up") == "down" {
        DOWN
    } else {
        UP
    };
    for guest in 0..args.number("guests", 1) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_tcp_congestion(b"cubic").unwrap();
        // By its own guest's tunnel, whichever else leads there.
        let device = format!("{}{guest}", args.text("device", "warren"));
        socket.bind_device(Some(device.as_bytes())).unwrap();
        socket
            .bind(&SocketAddr::new(known::v4(guest).into(), 0).into())
            .unwrap();
        socket.connect(&to.into()).unwrap();
        let mut stream = TcpStream::from(socket);
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
