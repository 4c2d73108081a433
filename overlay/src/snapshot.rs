//! The exchange of known offers with one peer: what we know goes out, what we lack comes in.
//!
//! ```text
//! asker ──▶ count u16, then count × (node 32 bytes, newest sequence u64), end of stream
//! asker ◀── count × (length u16, signed offer), end of stream
//! ```
//! All numbers are big-endian. Nothing that comes in is believed: it goes the way of gossip, through
//! [`crate::offers::OfferIndex`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::{PeerId, StreamProtocol};
use libp2p_stream::{Control, IncomingStreams};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use warren_proto::{MAX_OFFER_BYTES, NodeId};

use crate::command::Command;
use crate::counters::Counters;
use crate::peer;

// Our choice.
/// Offers in one answer, and entries in one question: 1 MiB at most.
pub(crate) const MAX_OFFERS: usize = 512;
/// One exchange, from the first byte to the last.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(10);
/// Exchanges answered at once.
const ANSWERED_AT_ONCE: usize = 8;

/// Whom to ask, and what we know.
pub(crate) struct Question {
    pub(crate) node: NodeId,
    pub(crate) peer: PeerId,
    pub(crate) protocol: String,
    pub(crate) digest: Vec<(NodeId, u64)>,
}

/// Asks one peer, and hands what it told to the actor.
pub(crate) async fn ask(
    control: Control,
    question: Question,
    actor: mpsc::WeakSender<Command>,
    counters: Counters,
) {
    let node = question.node;
    let told = match timeout(EXCHANGE_LIMIT, exchange(control, question)).await {
        Ok(Ok(offers)) => Command::Told { peer: node, offers },
        Ok(Err(error)) => {
            tracing::debug!(peer = %node.short(), %error, "no snapshot");
            counters.count("snapshot", "failed");
            Command::Untold
        }
        Err(_) => {
            counters.count("snapshot", "timed_out");
            Command::Untold
        }
    };
    if let Some(actor) = actor.upgrade() {
        // The actor may be gone; then nobody needs to know.
        let _ = actor.send(told).await;
    }
}

async fn exchange(mut control: Control, question: Question) -> io::Result<Vec<Vec<u8>>> {
    let protocol = StreamProtocol::try_from_owned(question.protocol).map_err(io::Error::other)?;
    let stream = control
        .open_stream(question.peer, protocol)
        .await
        .map_err(io::Error::other)?;
    let mut stream = stream;
    stream.write_all(&question_bytes(&question.digest)).await?;
    stream.close().await?;
    read_answer(&mut stream).await
}

/// Answers whoever asks, a few at a time; the rest are refused and counted.
pub(crate) async fn serve(
    mut incoming: IncomingStreams,
    actor: mpsc::WeakSender<Command>,
    counters: Counters,
) {
    let places = Arc::new(Semaphore::new(ANSWERED_AT_ONCE));
    while let Some((peer, mut stream)) = incoming.next().await {
        let (Ok(place), Some(_)) = (places.clone().try_acquire_owned(), peer::node_id(&peer))
        else {
            counters.count("snapshot", "refused");
            continue;
        };
        let (actor, counters) = (actor.clone(), counters.clone());
        tokio::spawn(async move {
            let answered = timeout(EXCHANGE_LIMIT, answer(&mut stream, actor)).await;
            let what = if matches!(answered, Ok(Ok(()))) {
                "answered"
            } else {
                "not_answered"
            };
            counters.count("snapshot", what);
            drop(place);
        });
    }
}

async fn answer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    actor: mpsc::WeakSender<Command>,
) -> io::Result<()> {
    let digest = read_question(stream).await?;
    let (reply, told) = oneshot::channel();
    let gone = || io::Error::from(io::ErrorKind::NotConnected);
    let actor = actor.upgrade().ok_or_else(gone)?;
    actor
        .send(Command::Unknown { digest, reply })
        .await
        .map_err(|_| gone())?;
    let offers = told.await.map_err(|_| gone())?.map_err(io::Error::other)?;
    stream.write_all(&answer_bytes(&offers)).await?;
    stream.close().await
}

fn question_bytes(digest: &[(NodeId, u64)]) -> Vec<u8> {
    let digest = digest
        .get(..digest.len().min(MAX_OFFERS))
        .unwrap_or_default();
    let count = u16::try_from(digest.len()).unwrap_or(0).to_be_bytes();
    let entry = |(node, seq): &(NodeId, u64)| [&node.as_bytes()[..], &seq.to_be_bytes()].concat();
    count
        .into_iter()
        .chain(digest.iter().flat_map(entry))
        .collect()
}

async fn read_question(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<(NodeId, u64)>> {
    let mut count = [0; 2];
    stream.read_exact(&mut count).await?;
    let count = usize::from(u16::from_be_bytes(count));
    if count > MAX_OFFERS {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut digest = Vec::with_capacity(count);
    for _ in 0..count {
        let (mut node, mut seq) = ([0; 32], [0; 8]);
        stream.read_exact(&mut node).await?;
        stream.read_exact(&mut seq).await?;
        digest.push((NodeId::from_bytes(node), u64::from_be_bytes(seq)));
    }
    Ok(digest)
}

fn answer_bytes(offers: &[Vec<u8>]) -> Vec<u8> {
    let fits = offers
        .iter()
        .filter(|it| it.len() <= MAX_OFFER_BYTES)
        .take(MAX_OFFERS);
    let entry =
        |it: &Vec<u8>| [&u16::try_from(it.len()).unwrap_or(0).to_be_bytes()[..], it].concat();
    fits.flat_map(entry).collect()
}

async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<Vec<u8>>> {
    let mut offers = Vec::new();
    let mut length = [0; 2];
    while offers.len() < MAX_OFFERS && stream.read(&mut length[..1]).await? == 1 {
        stream.read_exact(&mut length[1..]).await?;
        let length = usize::from(u16::from_be_bytes(length));
        if length > MAX_OFFER_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut offer = vec![0; length];
        stream.read_exact(&mut offer).await?;
        offers.push(offer);
    }
    Ok(offers)
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    #[tokio::test]
    async fn a_question_and_an_answer_survive_the_wire() {
        let digest = vec![
            (NodeId::from_bytes([1; 32]), 7),
            (NodeId::from_bytes([2; 32]), u64::MAX),
        ];
        let bytes = question_bytes(&digest);
        assert_eq!(
            read_question(&mut Cursor::new(bytes)).await.unwrap(),
            digest
        );
        let offers = vec![vec![1, 2, 3], vec![], vec![9; MAX_OFFER_BYTES]];
        let bytes = answer_bytes(&offers);
        assert_eq!(read_answer(&mut Cursor::new(bytes)).await.unwrap(), offers);
    }

    #[tokio::test]
    async fn what_is_too_long_is_refused_before_it_is_read() {
        assert!(read_question(&mut Cursor::new([0xff, 0xff])).await.is_err());
        assert!(
            read_answer(&mut Cursor::new([0xff, 0xff, 0]))
                .await
                .is_err()
        );
        assert!(read_answer(&mut Cursor::new([0, 9, 1])).await.is_err());
    }
}
