//! The guard at the socket: which users may talk to the node, and how many at a time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use nix::unistd::{Gid, Group, Uid, User};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::unix::{SocketAddr, UCred};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::types::Document;
use crate::error::{ErrorCode, Problem};

/// Connections served at a time; more wait in the kernel's queue.
pub(super) const MAX_CONNECTIONS: usize = 64;

/// How long to wait when the system has no descriptor left, before asking again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How long a stranger is listened to before it is dropped unanswered.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

/// Which users may talk to the node: root, the daemon's own, and the members of one group.
#[derive(Debug, Clone)]
pub(super) struct PeerGuard {
    own: Uid,
    group: Option<Gid>,
}

impl PeerGuard {
    pub(super) const fn new(own: Uid, group: Option<Gid>) -> Self {
        Self { own, group }
    }

    /// Judges by what the kernel says about the peer (SO_PEERCRED), never by what the peer says.
    fn lets_in(&self, peer: &UCred) -> bool {
        let uid = Uid::from_raw(peer.uid());
        let in_group = |group: Gid| peer.gid() == group.as_raw() || is_member(uid, group);
        uid.is_root() || uid == self.own || self.group.is_some_and(in_group)
    }
}

/// Whether the system's user database lists `uid` in `group`.
fn is_member(uid: Uid, group: Gid) -> bool {
    let Ok(Some(user)) = User::from_uid(uid) else {
        return false;
    };
    let Ok(Some(group)) = Group::from_gid(group) else {
        return false;
    };
    group.mem.contains(&user.name)
}

/// A listener that gives out only guarded connections, and no more than [`MAX_CONNECTIONS`].
#[derive(Debug)]
pub(super) struct GuardedListener {
    listener: UnixListener,
    guard: PeerGuard,
    permits: Arc<Semaphore>,
}

impl GuardedListener {
    pub(super) fn new(listener: UnixListener, guard: PeerGuard) -> Self {
        Self {
            listener,
            guard,
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }
    }
}

impl Listener for GuardedListener {
    type Io = GuardedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (GuardedStream, SocketAddr) {
        loop {
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                // Never closed: whoever holds the listener holds the permits.
                std::future::pending::<()>().await;
                continue;
            };
            let (stream, address) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection to the API could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            match stream.peer_cred() {
                Ok(peer) if self.guard.lets_in(&peer) => {
                    return (
                        GuardedStream {
                            stream,
                            _permit: permit,
                        },
                        address,
                    );
                }
                Ok(peer) => turn_away(
                    stream,
                    permit,
                    format!("uid {} is not one of them", peer.uid()),
                ),
                Err(error) => turn_away(
                    stream,
                    permit,
                    format!("the peer's user is unknown: {error}"),
                ),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Says why, counted as a connection until it is said.
fn turn_away(stream: UnixStream, permit: OwnedSemaphorePermit, seen: String) {
    tracing::warn!(seen, "refused a connection to the API");
    tokio::spawn(async move {
        // Best effort: a peer that may not talk has no right to an answer either.
        let _ = tokio::time::timeout(REFUSAL_LIMIT, refuse(stream, &seen)).await;
        drop(permit);
    });
}

/// Answers once something was asked: an HTTP client takes an answer before its request, or a
/// connection that closes under it, for a broken daemon.
async fn refuse(mut stream: UnixStream, seen: &str) -> io::Result<()> {
    let problem = Document::of(Problem::new(ErrorCode::SocketDenied, seen));
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // What it asked is thrown away unseen.
    let _ = stream.read(&mut [0; 4096]).await?;
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// A connection that counts against the bound until it is dropped.
#[derive(Debug)]
pub(super) struct GuardedStream {
    stream: UnixStream,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
