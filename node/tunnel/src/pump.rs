//! The packet threads: one each way, and one for handshakes and timers.
//!
//! ```text
//! device ─▶ sealing thread ─▶ socket        socket ─▶ opening thread ─▶ device
//!                                                        │ handshakes (bounded)
//!                                          timers ─▶ control thread ─▶ socket
//! ```
//!
//! Each packet is carried from one descriptor to the other by one thread, so packets of a flow keep their order; as
//! long as several guests speak, it waits in between for its guest's turn. A flood of handshakes can only fill the
//! control thread's inbox; data passes.

mod arrivals;
mod backlog;
mod turns;

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver as Inlet, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use arrivals::Arrivals;
use backlog::Backlog;

use crate::device::{Device, DeviceWriter, Taken};
use crate::engine::{Engine, Inbox, Knock, Outbox};
use crate::error::TunnelError;
use crate::meter::DropReason;
use crate::offload::Splitter;
use crate::offload::vnet::VnetHeader;
use crate::socket::{Receiver, Sender, TunnelSocket};
use crate::spec::{DeviceRung, Rungs, SendRung};

// Our choice.
/// How often the handshake limit starts anew; boringtun ignores who comes a moment too early.
const SECOND: Duration = Duration::from_millis(1010);
/// Bytes read from the device before what was read is sent.
const DRAIN_BYTES: usize = 60_000;
/// Reads from the device before what was read is sent: super-packets, plain packets.
const DRAIN_READS: [usize; 2] = [16, 64];
/// The read buffer: the drain, and the largest read after its last byte.
const READ_BYTES: usize = 1 << 17;
/// Room for a drain sealed, however small its segments.
const OUTBOX_BYTES: usize = 1 << 20;
/// Datagrams or packets in one batch.
const BATCH: usize = 4096;
/// Room for opened packets that waited for their turn, beside a whole batch.
const HELD_BYTES: usize = 1 << 19;
/// Handshakes that wait for the control thread.
const KNOCKS: usize = 256;
/// Room for what one round of timers sends.
const CONTROL_BYTES: usize = 1 << 20;

/// What the threads of one tunnel share.
#[derive(Debug)]
struct Shared<E> {
    engine: Arc<E>,
    device: Device,
    socket: TunnelSocket,
    stop: PipeReader,
    stopping: AtomicBool,
    device_lost: AtomicBool,
    writes_plain: AtomicBool,
    sends_many: AtomicBool,
}

/// The running threads; they end, and the device is gone, when this is dropped.
#[derive(Debug)]
pub(crate) struct Pump<E: Engine> {
    shared: Option<Arc<Shared<E>>>,
    threads: Vec<JoinHandle<()>>,
    stop: Option<PipeWriter>,
}

impl<E: Engine> Pump<E> {
    pub(crate) fn start(
        engine: Arc<E>,
        device: Device,
        socket: TunnelSocket,
    ) -> Result<Self, TunnelError> {
        let fail = |name| move |source| TunnelError::Thread { name, source };
        let (stop, stopper) = io::pipe().map_err(fail("stop"))?;
        let shared = Arc::new(Shared {
            engine,
            device,
            socket,
            stop,
            stopping: AtomicBool::new(false),
            device_lost: AtomicBool::new(false),
            writes_plain: AtomicBool::new(false),
            sends_many: AtomicBool::new(false),
        });
        let (knocks, inlet) = sync_channel(KNOCKS);
        let mut pump = Self {
            shared: Some(Arc::clone(&shared)),
            threads: Vec::new(),
            stop: Some(stopper),
        };
        let for_seal = Arc::clone(&shared);
        pump.spawn("warren-seal", move || for_seal.seal_loop())?;
        let for_open = Arc::clone(&shared);
        pump.spawn("warren-open", move || for_open.open_loop(&knocks))?;
        pump.spawn("warren-control", move || shared.control_loop(&inlet))?;
        Ok(pump)
    }

    fn spawn(
        &mut self,
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), TunnelError> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work);
        self.threads
            .push(thread.map_err(|source| TunnelError::Thread { name, source })?);
        Ok(())
    }

    /// The rungs in use now.
    pub(crate) fn rungs(&self) -> Rungs {
        let Some(shared) = &self.shared else {
            return Rungs::PLAIN;
        };
        let (send, receive) = shared.socket.rungs();
        let plain = shared.writes_plain.load(Ordering::Relaxed);
        let many = shared.sends_many.load(Ordering::Relaxed);
        Rungs {
            device: if plain {
                DeviceRung::Plain
            } else {
                shared.device.rung()
            },
            send: if many { SendRung::Many } else { send },
            receive,
        }
    }

    /// Whether the device is still there and every thread still runs.
    pub(crate) fn is_healthy(&self) -> bool {
        let lost = self
            .shared
            .as_ref()
            .is_none_or(|it| it.device_lost.load(Ordering::Relaxed));
        !lost && self.threads.iter().all(|thread| !thread.is_finished())
    }

    pub(crate) fn port(&self) -> Option<u16> {
        Some(self.shared.as_ref()?.socket.local()?.port())
    }
}

impl<E: Engine> Drop for Pump<E> {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.stopping.store(true, Ordering::Release);
        }
        drop(self.stop.take()); // Wakes all who wait.
        for thread in self.threads.drain(..) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                tracing::error!(thread = name, "packet thread died");
            }
        }
        self.shared = None;
    }
}

impl<E: Engine> Shared<E> {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits until `fd` has something, the time has come, or the tunnel stops.
    fn wait(&self, fd: impl AsFd, until: Option<Instant>) {
        let mut both = [
            PollFd::new(fd.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
        ];
        let timeout = until.map_or(PollTimeout::NONE, |then| {
            // Rounded up: a look too early would be followed by another.
            let left = then.saturating_duration_since(Instant::now());
            let left = left + Duration::from_micros(999);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        // An interrupted wait is only an early look.
        let _ = poll(&mut both, timeout);
    }

    fn seal_loop(&self) {
        let super_packets = self.device.rung() != DeviceRung::Plain;
        let most_reads = DRAIN_READS[usize::from(!super_packets)];
        let mut buffer = vec![0; READ_BYTES];
        let mut reads = Vec::with_capacity(most_reads);
        let mut out = Outbox::new(OUTBOX_BYTES, BATCH);
        let mut sender = Sender::new(&self.socket);
        let mut backlog = Backlog::new(self.device.rung());
        let drops = self.engine.drops();
        while !self.is_stopping() {
            if backlog.is_used() {
                let crowd = self.engine.crowd();
                let lost = self.read_ahead(&crowd, &mut buffer, &mut backlog).err();
                let due = self.engine.seal_held(&crowd, &mut out);
                // What was sealed may wait for its turn since: when that comes is asked on the way round.
                let mut sealed = 0;
                while sealed < DRAIN_BYTES && !backlog.turns.is_empty() {
                    sealed += backlog.turns.turn(|header, packet| {
                        self.seal_read(&crowd, header, packet, &mut out);
                    });
                }
                let idle = backlog.turns.is_empty() && sealed == 0 && out.items().is_empty();
                self.send(&crowd, &mut sender, &mut out);
                drop(crowd);
                if let Some(error) = lost {
                    return self.lose_device(&error);
                }
                if idle {
                    self.wait(&self.device, due);
                }
                continue;
            }
            reads.clear();
            let (mut at, mut emptied) = (0, false);
            while reads.len() < most_reads && at < DRAIN_BYTES {
                match self.device.read(&mut buffer, at) {
                    Ok(Some(packet)) => {
                        at = packet.end;
                        reads.push(packet);
                    }
                    Ok(None) => {
                        emptied = true;
                        break;
                    }
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                        drops.count(DropReason::Malformed);
                    }
                    Err(error) => return self.lose_device(&error),
                }
            }
            backlog.drained(reads.len(), at, emptied);
            let crowd = self.engine.crowd();
            let due = self.engine.seal_held(&crowd, &mut out);
            if reads.is_empty() && out.items().is_empty() {
                drop(crowd); // A guest removed meanwhile is not kept.
                self.wait(&self.device, due);
                continue;
            }
            let now = Instant::now();
            for read in &reads {
                let packet = &mut buffer[read.start..read.end];
                let whose = self.engine.whose(&crowd, packet);
                backlog.speakers.hear(whose, now);
                self.seal_read(&crowd, &read.header, packet, &mut out);
            }
            self.send(&crowd, &mut sender, &mut out);
        }
    }

    /// Sends what was sealed, and notes on which rung.
    fn send(&self, crowd: &E::Crowd, sender: &mut Sender<'_>, out: &mut Outbox) {
        sender.flush(out, self.engine.drops(), |whose, bytes| {
            self.engine.sent(crowd, whose, bytes)
        });
        if sender.rung() == SendRung::Many {
            self.sends_many.store(true, Ordering::Relaxed);
        }
    }

    fn seal_read(
        &self,
        crowd: &E::Crowd,
        header: &VnetHeader,
        packet: &mut [u8],
        out: &mut Outbox,
    ) {
        match Splitter::new(header, packet) {
            Some(mut splitter) => self.engine.seal(crowd, &mut splitter, out),
            None => self.engine.drops().count(DropReason::Malformed),
        }
    }

    fn lose_device(&self, error: &io::Error) {
        tracing::error!(%error, "tunnel device is lost");
        self.device_lost.store(true, Ordering::Relaxed);
    }

    fn open_loop(&self, knocks: &SyncSender<Knock>) {
        let mut receiver = Receiver::new(&self.socket);
        let mut arrivals = Arrivals::default();
        let mut inbox = Inbox::new(receiver.most_bytes() + HELD_BYTES, BATCH);
        let mut out = Outbox::new(OUTBOX_BYTES, BATCH);
        let mut sender = Sender::new(&self.socket);
        let mut writer = DeviceWriter::new(&self.device);
        let drops = self.engine.drops();
        while !self.is_stopping() {
            let crowd = self.engine.crowd();
            let whose = |it: &[u8]| self.engine.spoken_by(&crowd, it);
            arrivals.fetch(&mut receiver, drops, whose, |received| {
                self.engine.open(&crowd, received, &mut inbox, &mut out);
            });
            let due = self.engine.open_held(&crowd, &mut inbox);
            if arrivals.is_empty() && inbox.is_empty() && out.items().is_empty() {
                drop(crowd); // A guest removed meanwhile is not kept.
                self.wait(&self.socket, due);
                continue;
            }
            arrivals.hand_out(&receiver, |received| {
                self.engine.open(&crowd, received, &mut inbox, &mut out);
            });
            for knock in inbox.knocks() {
                if knocks.try_send(*knock).is_err() {
                    drops.count(DropReason::Handshake); // It comes again.
                }
            }
            let written = |whose, bytes| self.engine.written(&crowd, whose, bytes);
            if writer.write(&inbox, drops, written) == Taken::PlainFromNow {
                self.writes_plain.store(true, Ordering::Relaxed);
            }
            inbox.clear();
            sender.flush(&mut out, drops, |whose, bytes| {
                self.engine.sent(&crowd, whose, bytes)
            });
        }
    }

    /// Gives the device the MTU that the way was found to have.
    fn fit_device(&self, set: &mut Option<u16>) {
        let found = self.engine.device_mtu();
        if found == *set {
            return;
        }
        *set = found;
        if let Some(mtu) = found {
            match self.device.set_mtu(mtu) {
                Ok(()) => tracing::info!(mtu, "the way's MTU is found"),
                Err(error) => tracing::warn!(%error, mtu, "device keeps its MTU"),
            }
        }
    }

    /// Ends with the opening thread, which holds the other end of `inlet`.
    fn control_loop(&self, inlet: &Inlet<Knock>) {
        let mut out = Outbox::new(CONTROL_BYTES, BATCH);
        let mut sender = Sender::new(&self.socket);
        let drops = self.engine.drops();
        let mut mtu = None;
        let (mut next_tick, mut next_second) = (Instant::now(), Instant::now() + SECOND);
        loop {
            let now = Instant::now();
            let heard = inlet.recv_timeout(next_tick.saturating_duration_since(now));
            // Only now: a guest taken in while this thread slept must find its door.
            let crowd = self.engine.crowd();
            match heard {
                Ok(knock) => self.engine.answer(&crowd, &knock, Instant::now(), &mut out),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            if now >= next_tick {
                if let Some(place) = self.engine.measures(now)
                    && let Some((bytes, from)) = self.socket.path_mtu(place)
                {
                    self.engine.way_takes(place, from, bytes);
                }
                next_tick = now + self.engine.tick(&mut out);
                self.fit_device(&mut mtu);
            }
            if now >= next_second {
                self.engine.new_second();
                self.device.keep_addresses();
                next_second = now + SECOND;
            }
            sender.flush(&mut out, drops, |whose, bytes| {
                self.engine.sent(&crowd, whose, bytes)
            });
        }
    }
}
