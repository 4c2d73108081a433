//! What left the consumer, seen from outside: a capture on its home router, each packet sorted into a class.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::netns::Namespace;
use super::packet::{Packet, Transport};
use super::plan::{CHAIN_PORT, OVERLAY_PORT, Plan, TUNNEL_PORT};
use super::process::{Process, ProcessError};
use super::wait::{self, WaitError};

/// How many foreign packets are described; the rest is counted.
const MAX_SAMPLES: usize = 10;
/// The kernel hands over an unfinished block of frames after a second.
const CATCH_UP: Duration = Duration::from_secs(20);

/// Why there is no capture.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// tcpdump did not run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It did not become ready.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// Its file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel lost packets before they were written, so that the count proves nothing.
    #[error("the capture lost packets: {said}")]
    Lost {
        /// What tcpdump said at its end.
        said: String,
    },
    /// The file is no capture.
    #[error("{path} is no capture of Ethernet frames")]
    Format {
        /// The file.
        path: PathBuf,
    },
}

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// To or from a node's libp2p port (QUIC or TCP).
    Libp2p,
    /// A WireGuard message to or from an exit.
    Wireguard,
    /// To or from the chain's JSON-RPC.
    ChainRpc,
    /// ARP, neighbour discovery, multicast listener reports: the line itself.
    Neighbour,
    /// Anything else, that is: a leak.
    Foreign,
}

/// What a capture shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Packets per class, both directions.
    pub packets: BTreeMap<Class, u64>,
    /// Bytes on the line per class.
    pub bytes: BTreeMap<Class, u64>,
    /// Packets that are foreign, both directions.
    pub foreign: u64,
    /// Of them, those that the consumer sent.
    pub foreign_sent: u64,
    /// Of them, those to or from a name server, plain or by TLS.
    pub names: u64,
    /// The first of them, described.
    pub samples: Vec<String>,
}

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    file: PathBuf,
}

impl Capture {
    /// Starts to write down every frame on `device` of `host`; returns when it listens.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub fn start(
        host: &Namespace,
        device: &str,
        dir: &Path,
        name: &str,
    ) -> Result<Self, CaptureError> {
        let file = dir.join(format!("{name}.pcap"));
        let path = file.display().to_string();
        // Enough of each frame for its headers; a buffer that outlasts a busy machine.
        let args = [
            "-i", device, "-s", "160", "-B", "65536", "-n", "-U", "-Z", "root", "-w", &path,
        ];
        let log = dir.join(format!("{name}.log"));
        let mut process = Process::start(host, name, Path::new("tcpdump"), &args, &log)?;
        wait::until("the capture to listen", Duration::from_secs(20), || {
            process.must_run().map_err(|it| it.to_string())?;
            let printed = process.printed();
            if printed.contains("listening on") {
                return Ok(());
            }
            Err(printed)
        })?;
        Ok(Self { process, file })
    }

    /// Ends the capture and sorts what it has.
    ///
    /// # Errors
    /// [`CaptureError`]; above all [`CaptureError::Lost`], for a capture with gaps proves nothing.
    pub fn finish(self, plan: &Plan) -> Result<Summary, CaptureError> {
        self.catch_up()?;
        let log = self.process_log();
        self.process.stop(Duration::from_secs(20))?;
        let said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        if !said.contains("\n0 packets dropped by kernel") {
            return Err(CaptureError::Lost { said });
        }
        read(&self.file, plan)
    }

    /// Waits until every frame that the device saw before this call is in the file: the kernel hands
    /// frames over in blocks, and a block that is not full yet would be lost at the end.
    fn catch_up(&self) -> Result<(), CaptureError> {
        let mut seen = None;
        wait::until("the capture to write down what it saw", CATCH_UP, || {
            let printed = self.process.printed();
            let reports: Vec<_> = printed.lines().filter_map(counts).collect();
            seen = seen.or_else(|| reports.first().map(|it| it.received));
            let written = reports.last().map_or(0, |it| it.captured);
            if seen.is_some_and(|it| written >= it) {
                return Ok(());
            }
            self.process.ask_counts();
            Err(format!("{written} of {seen:?} frames"))
        })?;
        Ok(())
    }

    /// Sorts what was captured up to now, while it goes on.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub fn so_far(&self, plan: &Plan) -> Result<Summary, CaptureError> {
        read(&self.file, plan)
    }

    fn process_log(&self) -> PathBuf {
        self.file.with_extension("log")
    }
}

/// What tcpdump says when asked how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    captured: u64,
    received: u64,
}

/// Reads `tcpdump: 7 packets captured, 9 packets received by filter, …`.
fn counts(line: &str) -> Option<Counts> {
    let mut parts = line.strip_prefix("tcpdump: ")?.split(", ");
    let mut number = |what: &str| {
        let part = parts.next().filter(|it| it.ends_with(what))?;
        part.split(' ').next()?.parse().ok()
    };
    Some(Counts {
        captured: number(" captured")?,
        received: number(" received by filter")?,
    })
}

fn read(path: &Path, plan: &Plan) -> Result<Summary, CaptureError> {
    let bytes = fs::read(path).map_err(|source| CaptureError::File {
        path: path.to_owned(),
        source,
    })?;
    summarize(&bytes, plan).ok_or_else(|| CaptureError::Format {
        path: path.to_owned(),
    })
}

/// Reads a pcap file; `None` when it is none, or not of Ethernet. A torn last record is left out.
fn summarize(pcap: &[u8], plan: &Plan) -> Option<Summary> {
    const LITTLE_ENDIAN_MICROS: [u8; 4] = [0xd4, 0xc3, 0xb2, 0xa1];
    const ETHERNET: u32 = 1;
    if pcap.get(..4)? != LITTLE_ENDIAN_MICROS || le32(pcap, 20)? != ETHERNET {
        return None;
    }
    let mut summary = Summary::default();
    let mut at = 24;
    while let (Some(kept), Some(length)) = (le32(pcap, at + 8), le32(pcap, at + 12)) {
        let start = at + 16;
        let Some(frame) = pcap.get(start..start + kept as usize) else {
            break;
        };
        summary.add(frame, u64::from(length), plan);
        at = start + kept as usize;
    }
    Some(summary)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

impl Summary {
    fn add(&mut self, frame: &[u8], length: u64, plan: &Plan) {
        let packet = Packet::read(frame);
        let class = classify(&packet, plan);
        *self.packets.entry(class).or_default() += 1;
        *self.bytes.entry(class).or_default() += length;
        if class != Class::Foreign {
            return;
        }
        self.foreign += 1;
        self.names += u64::from(is_about_names(&packet));
        let own = [
            IpAddr::from(plan.consumer.host_v4()),
            IpAddr::from(plan.consumer.host_v6()),
        ];
        if packet
            .addresses()
            .is_none_or(|(from, _)| own.contains(&from))
        {
            self.foreign_sent += 1;
        }
        if self.samples.len() < MAX_SAMPLES {
            self.samples.push(packet.to_string());
        }
    }
}

/// Sorts one packet; what is not known for certain is foreign.
#[must_use]
pub fn classify(packet: &Packet, plan: &Plan) -> Class {
    let (from, to, transport) = match packet {
        Packet::Neighbour => return Class::Neighbour,
        Packet::Ip {
            from,
            to,
            transport,
        } => (from, to, transport),
        Packet::Other { .. } => return Class::Foreign,
    };
    let node = |it: &IpAddr| plan.is_node(*it);
    let ends = |ports: &(u16, u16), port: u16, known: &dyn Fn(&IpAddr) -> bool| {
        (ports.0 == port && known(from)) || (ports.1 == port && known(to))
    };
    let exit = |it: &IpAddr| plan.exit_at(*it).is_some();
    let chain = |it: &IpAddr| plan.chain.public().contains(it);
    match transport {
        Transport::Udp { ports, start } => {
            if ends(ports, OVERLAY_PORT, &node) {
                Class::Libp2p
            } else if ends(ports, TUNNEL_PORT, &exit) && is_wireguard(*start) {
                Class::Wireguard
            } else {
                Class::Foreign
            }
        }
        Transport::Tcp { ports } => {
            if ends(ports, OVERLAY_PORT, &node) {
                Class::Libp2p
            } else if ends(ports, CHAIN_PORT, &chain) {
                Class::ChainRpc
            } else {
                Class::Foreign
            }
        }
        // A dead exit's host says that nobody listens any more: an answer, and nothing of the consumer's.
        Transport::Other {
            protocol: ICMP | ICMP6,
        } if exit(from) && !exit(to) => Class::Neighbour,
        Transport::Other { .. } => Class::Foreign,
    }
}

/// Protocol numbers of ICMP (RFC 792) and ICMPv6 (RFC 4443).
const ICMP: u8 = 1;
const ICMP6: u8 = 58;

/// Ports of name servers: plain (RFC 1035) and by TLS or QUIC (RFC 7858, RFC 9250).
const NAME_PORTS: [u16; 2] = [53, 853];

fn is_about_names(packet: &Packet) -> bool {
    let (Packet::Ip { transport, .. }, is_one) = (packet, |it| NAME_PORTS.contains(&it)) else {
        return false;
    };
    match transport {
        Transport::Udp { ports, .. } | Transport::Tcp { ports } => {
            is_one(ports.0) || is_one(ports.1)
        }
        Transport::Other { .. } => false,
    }
}

/// A WireGuard message begins with its type, 1 to 4, and three zero bytes.
fn is_wireguard(start: [u8; 4]) -> bool {
    matches!(start, [1..=4, 0, 0, 0])
}

#[cfg(test)]
mod tests;
