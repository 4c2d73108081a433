//! Sending: as segments of one send where the kernel takes them, else many by one call.

use std::io;
use std::os::fd::AsFd;

use super::TunnelSocket;
use super::mmsg::{self, Target};
use crate::engine::{Account, Endpoint, Outbox, Outgoing};
use crate::meter::{DropReason, Drops};
use crate::spec::SendRung;

// Specification.
/// The most segments one send takes on every kernel (UDP_MAX_SEGMENTS).
const MOST_SEGMENTS: usize = 64;
/// The largest UDP payload.
const MOST_PAYLOAD: usize = 65_507;

/// The sending side of one thread.
#[derive(Debug)]
pub(crate) struct Sender<'s> {
    socket: &'s TunnelSocket,
    rung: SendRung,
    targets: Vec<Target>,
}

impl<'s> Sender<'s> {
    pub(crate) fn new(socket: &'s TunnelSocket) -> Self {
        Self {
            socket,
            rung: socket.send,
            targets: Vec::with_capacity(mmsg::MOST_SENT),
        }
    }

    fn target(&self, to: Endpoint) -> Target {
        Target {
            name: self.socket.reach(to.remote),
            local: to.local,
        }
    }

    pub(crate) fn rung(&self) -> SendRung {
        self.rung
    }

    /// Sends all of `out` and empties it, telling `sent` whose inner bytes the line took.
    pub(crate) fn flush(
        &mut self,
        out: &mut Outbox,
        drops: &Drops,
        mut sent: impl FnMut(Account, u64),
    ) {
        let mut from = 0;
        while from < out.items().len() {
            let rest = &out.items()[from..];
            let took = match self.rung {
                SendRung::Segments => self.send_run(out, rest, drops, &mut sent),
                SendRung::Many => self.send_batch(out, rest, drops, &mut sent),
            };
            let Some(took) = took else {
                // The wait was for nothing: another for each of the rest would only add delay.
                drops.add(DropReason::Refused, rest.len() as u64);
                break;
            };
            from += took;
        }
        out.clear();
    }

    /// Sends the first datagrams that are for one endpoint and of one size; says how many. `None` if the line took
    /// nothing in the time a send may wait.
    fn send_run(
        &mut self,
        out: &Outbox,
        rest: &[Outgoing],
        drops: &Drops,
        sent: &mut impl FnMut(Account, u64),
    ) -> Option<usize> {
        let run = &rest[..run_len(rest)];
        let (Some(first), Ok(segment)) = (run.first(), u16::try_from(rest[0].len)) else {
            return Some(rest.len());
        };
        if run.len() == 1 {
            return self.send_batch(out, run, drops, sent);
        }
        let mut to = self.target(first.to);
        let mut done = mmsg::send_segments(self.socket.as_fd(), out.span(run), segment, &to);
        if done.as_ref().is_err_and(|error| to.lost_its_local(error)) {
            to.local = None;
            done = mmsg::send_segments(self.socket.as_fd(), out.span(run), segment, &to);
        }
        match done {
            Ok(()) => {
                for item in run {
                    sent(item.account, out.inner_len(item));
                }
                Some(run.len())
            }
            Err(error) => {
                match refusal(&error) {
                    Refusal::Always => {
                        tracing::warn!(%error, "segmented sending refused, going on without");
                        self.rung = SendRung::Many;
                    }
                    Refusal::ThisPath => {}
                    Refusal::Loss => {
                        drops.add(DropReason::Refused, run.len() as u64);
                        return Some(run.len());
                    }
                    Refusal::Full => return None,
                }
                self.send_batch(out, run, drops, sent)
            }
        }
    }

    /// Sends the first datagrams one by one in one call; says how many are done with. `None` if the line took nothing in
    /// the time a send may wait.
    fn send_batch(
        &mut self,
        out: &Outbox,
        rest: &[Outgoing],
        drops: &Drops,
        sent: &mut impl FnMut(Account, u64),
    ) -> Option<usize> {
        let batch = &rest[..rest.len().min(mmsg::MOST_SENT)];
        self.targets.clear();
        for item in batch {
            let target = self.target(item.to);
            self.targets.push(target);
        }
        let fd = self.socket.as_fd();
        let datagrams = || batch.iter().map(|item| out.bytes(item));
        let mut done = mmsg::send_many(fd, datagrams().zip(&self.targets));
        if let (Err(error), Some(first)) = (&done, self.targets.first_mut())
            && first.lost_its_local(error)
        {
            first.local = None;
            done = mmsg::send_many(fd, datagrams().zip(&self.targets));
        }
        match done {
            Ok(count) => {
                for item in &batch[..count] {
                    sent(item.account, out.inner_len(item));
                }
                Some(count.max(1))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => {
                tracing::trace!(%error, to = ?batch.first().map(|it| it.to), "datagram refused");
                drops.count(DropReason::Refused);
                Some(1)
            }
        }
    }
}

impl Target {
    /// Whether the send may have failed because the address we were known by is no longer ours.
    fn lost_its_local(&self, error: &io::Error) -> bool {
        let code = error.raw_os_error();
        let may_be = [libc::EINVAL, libc::ENETUNREACH, libc::EADDRNOTAVAIL].map(Some);
        self.local.is_some() && may_be.contains(&code)
    }
}

/// What a refused send of segments means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Kernel or line card cannot: never again on this socket.
    Always,
    /// This path does not take it: it is narrower than thought, or its address is none. Single
    /// datagrams may still pass.
    ThisPath,
    /// Nothing to do with segments: no route.
    Loss,
    /// The line took nothing in the time a send may wait.
    Full,
}

pub(super) fn refusal(error: &io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(libc::EIO | libc::EOPNOTSUPP) => Refusal::Always,
        // EINVAL is also what a bad address gets: one guest's must not cost the others.
        Some(libc::EMSGSIZE | libc::EINVAL) => Refusal::ThisPath,
        _ if error.kind() == io::ErrorKind::WouldBlock => Refusal::Full,
        _ => Refusal::Loss,
    }
}

/// How many datagrams at the head of `rest` may go out as segments of one send.
fn run_len(rest: &[Outgoing]) -> usize {
    let Some(first) = rest.first() else { return 0 };
    let (mut count, mut bytes) = (1, first.len);
    for item in rest.iter().skip(1).take(MOST_SEGMENTS - 1) {
        let fits = item.to == first.to
            && item.len <= first.len
            && rest[count - 1].len == first.len
            && bytes + item.len <= MOST_PAYLOAD;
        if !fits {
            break;
        }
        count += 1;
        bytes += item.len;
    }
    count
}
