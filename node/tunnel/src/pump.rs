//! The packet threads: one each way, and one for handshakes and timers.
//!
//! ```text
//! device ─▶ sealing thread ─▶ socket        socket ─▶ opening thread ─▶ device
//!                                                        │ handshakes (bounded)
//!                           timers every 100 ms ─▶ control thread ─▶ socket
//! ```
//!
//! Each packet is carried from one descriptor to the other by one thread, without a queue between,
//! so packets of a flow keep their order. A flood of handshakes can only fill the control thread's
//! inbox; data passes.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver as Inlet, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::device::{Device, DeviceWriter, Taken};
use crate::engine::{Engine, Inbox, Knock, Outbox};
use crate::error::TunnelError;
use crate::meter::DropReason;
use crate::offload::Splitter;
use crate::socket::{Receiver, Sender, TunnelSocket};
use crate::spec::{DeviceRung, Rungs, SendRung};

// Our choice.
/// How often timers are looked at; boringtun needs it at least every 250 ms.
const TICK: Duration = Duration::from_millis(100);
/// How often the handshake limit starts anew.
const SECOND: Duration = Duration::from_secs(1);
/// Bytes read from the device before what was read is sent.
const DRAIN_BYTES: usize = 60_000;
/// Reads from the device before what was read is sent: super-packets, plain packets.
const DRAIN_READS: [usize; 2] = [16, 64];
/// The read buffer: the drain, and the largest read after its last byte.
const READ_BYTES: usize = 1 << 17;
/// The largest packet.
const PACKET_BYTES: usize = 1 << 16;
/// Room for a drain sealed, however small its segments.
const OUTBOX_BYTES: usize = 1 << 20;
/// Datagrams or packets in one batch.
const BATCH: usize = 4096;
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

    /// Waits until `fd` has something, or the tunnel stops.
    fn wait(&self, fd: impl AsFd) {
        let mut both = [
            PollFd::new(fd.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
        ];
        // An interrupted wait is only an early look.
        let _ = poll(&mut both, PollTimeout::NONE);
    }

    fn seal_loop(&self) {
        let super_packets = self.device.rung() != DeviceRung::Plain;
        let most_reads = DRAIN_READS[usize::from(!super_packets)];
        let mut buffer = vec![0; READ_BYTES];
        let mut scratch = vec![0; PACKET_BYTES];
        let mut reads = Vec::with_capacity(most_reads);
        let mut out = Outbox::new(OUTBOX_BYTES, BATCH);
        let mut sender = Sender::new(&self.socket);
        let drops = self.engine.drops();
        while !self.is_stopping() {
            reads.clear();
            let mut at = 0;
            while reads.len() < most_reads && at < DRAIN_BYTES {
                match self.device.read(&mut buffer, at) {
                    Ok(Some(packet)) => {
                        at = packet.end;
                        reads.push(packet);
                    }
                    Ok(None) => break,
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                        drops.count(DropReason::Malformed);
                    }
                    Err(error) => {
                        tracing::error!(%error, "tunnel device is lost");
                        self.device_lost.store(true, Ordering::Relaxed);
                        return;
                    }
                }
            }
            if reads.is_empty() {
                self.wait(&self.device);
                continue;
            }
            let crowd = self.engine.crowd();
            for read in &reads {
                let packet = &mut buffer[read.start..read.end];
                match Splitter::new(&read.header, packet, &mut scratch) {
                    Some(mut splitter) => self.engine.seal(&crowd, &mut splitter, &mut out),
                    None => drops.count(DropReason::Malformed),
                }
            }
            sender.flush(&mut out, drops, |whose, bytes| {
                self.engine.sent(&crowd, whose, bytes)
            });
            if sender.rung() == SendRung::Many {
                self.sends_many.store(true, Ordering::Relaxed);
            }
        }
    }

    fn open_loop(&self, knocks: &SyncSender<Knock>) {
        let mut receiver = Receiver::new(&self.socket);
        let mut inbox = Inbox::new(receiver.most_bytes() + PACKET_BYTES, BATCH);
        let mut out = Outbox::new(OUTBOX_BYTES, BATCH);
        let mut sender = Sender::new(&self.socket);
        let mut writer = DeviceWriter::new(&self.device);
        let drops = self.engine.drops();
        while !self.is_stopping() {
            if !receiver.fetch() {
                self.wait(&self.socket);
                continue;
            }
            let (crowd, now) = (self.engine.crowd(), Instant::now());
            for received in receiver.batch(now, drops) {
                self.engine.open(&crowd, received, &mut inbox, &mut out);
            }
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

    /// Ends with the opening thread, which holds the other end of `inlet`.
    fn control_loop(&self, inlet: &Inlet<Knock>) {
        let mut out = Outbox::new(CONTROL_BYTES, BATCH);
        let mut sender = Sender::new(&self.socket);
        let drops = self.engine.drops();
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
                self.engine.tick(&crowd, &mut out);
                next_tick = now + TICK;
            }
            if now >= next_second {
                self.engine.new_second();
                next_second = now + SECOND;
            }
            sender.flush(&mut out, drops, |whose, bytes| {
                self.engine.sent(&crowd, whose, bytes)
            });
        }
    }
}
