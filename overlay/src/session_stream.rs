//! One session's stream: frames each way, bounded in size and in time.
//!
//! On the wire a frame is its length, four bytes, big-endian, and then the frame. Whoever announces
//! more than [`MAX_FRAME_BYTES`] is cut off before a byte of it is stored.
//!
//! A quiet stream lives as long as its connection: the deadlines run only while half a frame is on
//! its way, or while the other side does not read. After any error the stream is broken for good.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use ipnet::IpNet;
use libp2p::Stream;
use tokio::time::{Instant, timeout, timeout_at};
use warren_proto::{MAX_FRAME_BYTES, NodeId, SessionFrame};

use crate::error::StreamError;
use crate::porter::{Admitted, Place};

// Specification.
const LENGTH_BYTES: usize = 4;

// Our choice.
/// Read from the connection at most so much at once.
const CHUNK_BYTES: usize = 2048;

/// A session's stream to one peer.
#[derive(Debug)]
pub struct SessionStream {
    sender: SessionSender,
    receiver: SessionReceiver,
}

/// The half that sends.
#[derive(Debug)]
pub struct SessionSender {
    peer: NodeId,
    stream: WriteHalf<Stream>,
    broken: bool,
    limit: Duration,
    _place: Option<Arc<Place<NodeId>>>,
}

/// The half that receives.
#[derive(Debug)]
pub struct SessionReceiver {
    peer: NodeId,
    stream: ReadHalf<Stream>,
    buffer: FrameBuffer,
    broken: bool,
    limit: Duration,
    _place: Option<Arc<Place<NodeId>>>,
    /// Given back with the first frame. `None` from then on.
    silent: Option<Place<IpNet>>,
}

impl SessionStream {
    /// A stream that this node opened.
    pub(crate) fn new(peer: NodeId, stream: Stream, patience: Duration) -> Self {
        Self::with(peer, stream, None, patience)
    }

    /// A stream that a peer opened, with what it holds here.
    pub(crate) fn inbound(
        peer: NodeId,
        stream: Stream,
        admitted: Admitted,
        patience: Duration,
    ) -> Self {
        Self::with(peer, stream, Some(admitted), patience)
    }

    fn with(peer: NodeId, stream: Stream, admitted: Option<Admitted>, patience: Duration) -> Self {
        let (reader, writer) = stream.split();
        let (place, silent) = match admitted {
            Some(it) => (Some(Arc::new(it.place)), it.silent),
            None => (None, None),
        };
        Self {
            sender: SessionSender {
                peer,
                stream: writer,
                broken: false,
                limit: patience,
                _place: place.clone(),
            },
            receiver: SessionReceiver {
                peer,
                stream: reader,
                buffer: FrameBuffer::default(),
                broken: false,
                limit: patience,
                _place: place,
                silent,
            },
        }
    }

    /// Who is at the other end; proven by the connection's handshake.
    #[must_use]
    pub const fn peer(&self) -> NodeId {
        self.sender.peer
    }

    /// Sends a frame: see [`SessionSender::send`].
    ///
    /// # Errors
    /// [`StreamError`], after which the stream is of no use.
    pub async fn send(&mut self, frame: SessionFrame) -> Result<(), StreamError> {
        self.sender.send(frame).await
    }

    /// Waits for a frame: see [`SessionReceiver::recv`].
    ///
    /// # Errors
    /// [`StreamError`], after which the stream is of no use.
    pub async fn recv(&mut self) -> Result<Option<SessionFrame>, StreamError> {
        self.receiver.recv().await
    }

    /// Parts the two directions, so that two tasks can use them.
    #[must_use]
    pub fn split(self) -> (SessionSender, SessionReceiver) {
        (self.sender, self.receiver)
    }

    /// Ends this side of the stream in good order.
    ///
    /// # Errors
    /// [`StreamError`] if the other side did not take what was sent before.
    pub async fn close(&mut self) -> Result<(), StreamError> {
        self.sender.close().await
    }
}

impl SessionSender {
    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> NodeId {
        self.peer
    }

    /// Sends a frame and waits until the connection has taken it.
    ///
    /// Not cancel-safe: a send that is abandoned may have been cut inside the frame, so the
    /// direction counts as broken from then on.
    ///
    /// # Errors
    /// [`StreamError`], after which this direction is of no use.
    pub async fn send(&mut self, frame: SessionFrame) -> Result<(), StreamError> {
        let bytes = frame.encode();
        if bytes.len() > MAX_FRAME_BYTES {
            return Err(StreamError::TooLarge {
                bytes: bytes.len(),
                limit: MAX_FRAME_BYTES,
            });
        }
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.write([&length[..], &bytes].concat()).await
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), StreamError> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(StreamError::Broken);
        }
        let limit = self.limit;
        let stream = &mut self.stream;
        timeout(limit, async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        })
        .await
        .map_err(|_| StreamError::NotRead { after: limit })??;
        self.broken = false;
        Ok(())
    }

    /// Ends this side of the stream in good order.
    ///
    /// # Errors
    /// [`StreamError`] if the other side did not take what was sent before.
    pub async fn close(&mut self) -> Result<(), StreamError> {
        self.broken = true;
        let limit = self.limit;
        timeout(limit, self.stream.close())
            .await
            .map_err(|_| StreamError::NotRead { after: limit })?
            .map_err(StreamError::Io)
    }
}

impl SessionReceiver {
    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> NodeId {
        self.peer
    }

    /// Waits for a frame. `None` when the other side ended the stream in good order.
    ///
    /// Cancel-safe: what has arrived of a frame is kept for the next call.
    ///
    /// # Errors
    /// [`StreamError`], after which this direction is of no use.
    pub async fn recv(&mut self) -> Result<Option<SessionFrame>, StreamError> {
        if self.broken {
            return Err(StreamError::Broken);
        }
        let received = self.receive().await;
        self.broken = received.is_err();
        received
    }

    async fn receive(&mut self) -> Result<Option<SessionFrame>, StreamError> {
        loop {
            if let Some(bytes) = self.buffer.take_frame()? {
                let frame = SessionFrame::decode(&bytes)?;
                self.silent = None;
                return Ok(Some(frame));
            }
            let mut chunk = [0; CHUNK_BYTES];
            let read = self.stream.read(&mut chunk);
            let count = match self.buffer.begun {
                None => read.await,
                Some(begun) => timeout_at(begun + self.limit, read)
                    .await
                    .map_err(|_| StreamError::HalfFrame { after: self.limit })?,
            }?;
            match (count, self.buffer.begun) {
                (0, None) => return Ok(None),
                (0, Some(_)) => return Err(StreamError::CutOff),
                (_, _) => self.buffer.add(chunk.get(..count).unwrap_or_default()),
            }
        }
    }
}

/// What has arrived and is not yet a frame: at most one frame and one chunk.
#[derive(Debug, Default)]
struct FrameBuffer {
    bytes: Vec<u8>,
    /// When the first byte of the frame at the front arrived. `None` while there is none.
    begun: Option<Instant>,
}

impl FrameBuffer {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.begun = self.begun.or_else(|| Some(Instant::now()));
    }

    fn take_frame(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        let Some((length, rest)) = self.bytes.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_FRAME_BYTES {
            return Err(StreamError::TooLarge {
                bytes: length,
                limit: MAX_FRAME_BYTES,
            });
        }
        let Some(frame) = rest.get(..length).map(<[u8]>::to_vec) else {
            return Ok(None);
        };
        self.bytes.drain(..LENGTH_BYTES + length);
        self.begun = (!self.bytes.is_empty()).then(Instant::now);
        Ok(Some(frame))
    }
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Io(error) => error,
            other @ (StreamError::TooLarge { .. }
            | StreamError::Malformed(_)
            | StreamError::HalfFrame { .. }
            | StreamError::NotRead { .. }
            | StreamError::CutOff
            | StreamError::Broken) => Self::other(other),
        }
    }
}
