//! The demo's web server and the program that downloads from it: HTTP/1.1 by hand, over plain sockets.
//!
//! `GET /body/SEED/LENGTH` gives bytes, `GET /who` gives the address it sees. Each request is one line of JSON on
//! standard output, so that the world can read whom the server saw.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::body::{Body, hex};

/// Requests served at a time; more are turned away.
const MAX_REQUESTS: usize = 64;
/// Bytes of a request's or answer's head that are read.
const MAX_HEAD: u64 = 8 * 1024;
/// How long either side may keep silent.
const SILENCE: Duration = Duration::from_secs(20);

/// One request, as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// From where.
    pub from: IpAddr,
    /// What was asked for.
    pub path: String,
    /// Bytes of the body that were written.
    pub bytes: u64,
}

/// What a download brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// The status of the answer.
    pub status: u16,
    /// Bytes of the body that arrived.
    pub bytes: u64,
    /// Their digest, in hex.
    pub sha256: String,
    /// How long it took from dialling to the last byte.
    pub millis: u64,
    /// The body's beginning, where it is text.
    pub text: String,
}

/// Serves for ever; prints one line per request.
///
/// # Errors
/// What the system says when it cannot listen.
pub fn serve(listen: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    let busy = Arc::new(AtomicUsize::new(0));
    say(&serde_json::json!({ "listening": listener.local_addr()? }));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            continue; // The visitor went away before it was let in.
        };
        if busy.fetch_add(1, Ordering::SeqCst) >= MAX_REQUESTS {
            busy.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let busy = Arc::clone(&busy);
        std::thread::spawn(move || {
            if let Ok(visit) = answer(stream) {
                say(&visit);
            }
            busy.fetch_sub(1, Ordering::SeqCst);
        });
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<Visit> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let from = stream.peer_addr()?.ip().to_canonical();
    let path = request_path(&stream)?;
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let mut bytes = 0;
    match parts.as_slice() {
        ["who"] => bytes = reply(&mut stream, 200, from.to_string().as_bytes())?,
        ["body", seed, length] => {
            let (Ok(seed), Ok(length)) = (seed.parse(), length.parse()) else {
                reply(&mut stream, 400, b"seed and length are numbers")?;
                return Ok(Visit { from, path, bytes });
            };
            head(&mut stream, 200, length)?;
            for piece in Body::new(seed, length) {
                if stream.write_all(&piece).is_err() {
                    break; // The visitor left; the visit still counts.
                }
                bytes += piece.len() as u64;
            }
        }
        _ => bytes = reply(&mut stream, 404, b"no such path")?,
    }
    Ok(Visit { from, path, bytes })
}

fn request_path(stream: &TcpStream) -> io::Result<String> {
    let mut reader = BufReader::new(stream.take(MAX_HEAD));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
    while line.trim_end() != "" {
        line.clear();
        reader.read_line(&mut line)?;
    }
    Ok(path)
}

fn head(stream: &mut TcpStream, status: u16, length: u64) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} -\r\nContent-Length: {length}\r\nContent-Type: application/octet-stream\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())
}

fn reply(stream: &mut TcpStream, status: u16, body: &[u8]) -> io::Result<u64> {
    head(stream, status, body.len() as u64)?;
    stream.write_all(body)?;
    Ok(body.len() as u64)
}

fn say(line: &impl Serialize) {
    let text = serde_json::to_string(line).unwrap_or_default();
    let _ = writeln!(io::stdout().lock(), "{text}"); // Nobody reads any more: nothing to do about it.
}

/// Downloads `path` from `server` (`host:port`, by name or address) and digests it on the way.
///
/// # Errors
/// What the system says: no such name, unreachable, refused, silent, or ended early.
pub fn fetch(server: &str, path: &str, patience: Duration) -> io::Result<Download> {
    let begun = Instant::now();
    let stream = dial(server, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    (&stream).write_all(request.as_bytes())?;
    let mut reader = BufReader::with_capacity(256 * 1024, &stream);
    let (status, length) = answer_head(&mut reader)?;
    let mut download = Download {
        status,
        bytes: 0,
        sha256: String::new(),
        millis: 0,
        text: String::new(),
    };
    let mut hash = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    while download.bytes < length {
        let read = reader.read(&mut piece)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if download.bytes == 0 && read < 256 {
            download.text = String::from_utf8_lossy(&piece[..read]).into_owned();
        }
        hash.update(&piece[..read]);
        download.bytes += read as u64;
    }
    download.sha256 = hex(&hash.finalize());
    download.millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(download)
}

/// Asks the system's resolver, as every program does, and takes the first address that answers.
fn dial(server: &str, patience: Duration) -> io::Result<TcpStream> {
    let mut refused = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in server.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn answer_head(reader: &mut impl BufRead) -> io::Result<(u16, u64)> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP");
    let mut reader = reader.take(MAX_HEAD);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|it| it.parse().ok());
    let mut length = None;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(bad());
        }
        match line.trim_end().split_once(':') {
            Some((key, value)) if key.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok();
            }
            Some(_) => {}
            None => break,
        }
    }
    status.zip(length).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_arrives_whole() {
        let listener = TcpListener::bind("[::1]:0").expect("loopback");
        let server = listener.local_addr().expect("an address").to_string();
        let serving = std::thread::spawn(move || {
            (0..2)
                .map(|_| answer(listener.accept().expect("a visitor").0).expect("an answer"))
                .collect::<Vec<Visit>>()
        });
        let patience = Duration::from_secs(10);
        let body = fetch(&server, "/body/5/200000", patience).expect("a download");
        let who = fetch(&server, "/who", patience).expect("a download");
        assert_eq!((body.status, body.bytes), (200, 200_000));
        assert_eq!(body.sha256, Body::new(5, 200_000).sha256());
        assert_eq!(who.text, "::1");
        let visits = serving.join().expect("the server ends");
        assert_eq!(visits[0].bytes, 200_000);
        assert_eq!(visits[1].path, "/who");
    }
}
