//! The exit: tunnel, guests, host part, and the purse their words come into.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use warren_proto::{ByteCount, Credit};
use warren_tunnel::host::{ExitHost, ExitNatSpec};
use warren_tunnel::policy::{ExitPolicy, Preset};
use warren_tunnel::{
    DEFAULT_HANDSHAKE_LIMIT, DEFAULT_MTU, ExitSpec, ExitTunnel, Gate, GuestId, GuestSpec, Offload,
};

use crate::args::Args;
use crate::known;
use crate::words::{Frame, Purse, TICK, UNIT};

/// Carries its guests until the process ends.
pub(crate) fn run(args: &Args) {
    let exit = ExitTunnel::start(ExitSpec {
        device: args.text("device", "warren-exit"),
        listen: args.text("listen", "[::]:0").parse().unwrap(),
        private_key: known::key("exit", 0),
        mtu: DEFAULT_MTU,
        gateway_v4: known::GATEWAY_V4.parse().unwrap(),
        gateway_v6: known::GATEWAY_V6.parse().unwrap(),
        mark: None,
        handshake_limit: DEFAULT_HANDSHAKE_LIMIT,
        offload: Offload::Auto,
    });
    let exit = Arc::new(exit.unwrap());
    let add = |number| exit.add_guest(guest(number)).unwrap();
    let guests: Vec<_> = (0..args.number("guests", 1)).map(add).collect();
    protect(args);
    let control = TcpListener::bind(args.text("control", "127.0.0.1:0")).unwrap();
    let paid = args.is_on("words");
    let free = PathBuf::from(args.text("free", ""));
    let open = {
        let (exit, guests) = (Arc::clone(&exit), guests.clone());
        move || {
            let open = |it: &GuestId| exit.set_gate(*it, Gate::Open).unwrap();
            guests.iter().for_each(open);
        }
    };
    if !paid {
        open();
    }
    let looks_at = free.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(TICK);
            if looks_at.exists() {
                open();
            }
        }
    });
    println!("up {:?}", exit.rungs());
    for stream in control.incoming() {
        let (exit, guests) = (Arc::clone(&exit), guests.clone());
        let till = Till {
            exit,
            guests,
            delay: args.millis("delay-ms"),
            credit: Credit {
                first: args.number("credit", 8),
                most: args.number("max-credit", 256),
            },
            folder: args.text("folder", "/tmp").into(),
            free: free.clone(),
        };
        std::thread::spawn(move || till.serve(stream.unwrap()));
    }
}

fn guest(number: u16) -> GuestSpec {
    GuestSpec {
        peer_key: known::key("guest", number).public(),
        v4: known::v4(number),
        v6: known::v6(number),
    }
}

/// Deny table, NAT and forwarding, as `warren exit enable` makes them.
fn protect(args: &Args) {
    let spec = ExitNatSpec {
        device: args.text("device", "warren-exit"),
        uplinks: vec![args.text("uplink", "e1")],
        policy: ExitPolicy::preset(Preset::All).allow_documentation(),
        ..ExitNatSpec::default()
    };
    let journal = PathBuf::from(args.text("folder", "/tmp")).join("host.journal");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let host = runtime.block_on(ExitHost::enable(&journal, spec)).unwrap();
    drop(host); // What it made stays until the namespace goes.
}

/// Takes words and gives allowance, or tells the meters.
struct Till {
    exit: Arc<ExitTunnel>,
    guests: Vec<GuestId>,
    delay: Duration,
    /// Units served unpaid.
    credit: Credit,
    folder: PathBuf,
    /// As long as this file is there, nothing needs to be paid.
    free: PathBuf,
}

/// The first byte of a connection that only asks.
const ASK: u8 = 0xff;

impl Till {
    fn serve(&self, mut stream: TcpStream) {
        let mut first = [0];
        stream.peek(&mut first).unwrap();
        if first[0] == ASK {
            stream.read_exact(&mut first).unwrap();
            for guest in &self.guests {
                let usage = self.exit.usage(*guest).unwrap();
                let both = usage.up.plus(usage.down).bytes();
                stream.write_all(&both.to_le_bytes()).unwrap();
            }
            return;
        }
        let purse = |number: usize| {
            let path = self.folder.join(format!("words.{number}"));
            Purse::new(number as u16, std::fs::File::create(path).unwrap())
        };
        let mut purses: Vec<_> = (0..self.guests.len()).map(purse).collect();
        while let Ok(frame) = Frame::read(&mut stream) {
            frame.wait_for(self.delay);
            let at = usize::from(frame.guest);
            let paid = purses[at].take(&frame).bytes();
            let allowed = ByteCount::from_bytes(paid + self.credit.units(paid / UNIT) * UNIT);
            let gate = match self.free.exists() {
                true => Gate::Open,
                false => Gate::Until(allowed),
            };
            self.exit.set_gate(self.guests[at], gate).unwrap();
        }
    }
}

/// Prints what each guest has used, both ways together, in bytes; one line.
pub(crate) fn ask_usage(args: &Args) {
    let at: SocketAddr = args
        .text("control", "")
        .parse()
        .expect("--control ADDRESS:PORT");
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(&[ASK]).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let numbers = bytes.chunks_exact(8);
    let numbers = numbers.map(|it| u64::from_le_bytes(it.try_into().unwrap()).to_string());
    println!("{}", numbers.collect::<Vec<_>>().join(" "));
}
