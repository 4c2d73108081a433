//! What waits for a session's stream, and whether the stream that stands is its first.
//!
//! Sans-IO.

use warren_proto::SessionFrame;

/// Only the request waits for its stream: all else is said again once a session is resumed.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    request: Option<SessionFrame>,
    stood: bool,
}

impl Outbox {
    /// There is no stream to send `frame` on.
    pub(super) fn put(&mut self, frame: SessionFrame) {
        if !self.stood && self.request.is_none() && matches!(frame, SessionFrame::Request(_)) {
            self.request = Some(frame);
        }
    }

    /// A stream stands: the request to begin with on the first one. `None`: the session is to be resumed.
    pub(super) fn stream_stands(&mut self) -> Option<SessionFrame> {
        let first = !std::mem::replace(&mut self.stood, true);
        self.request.take().filter(|_| first)
    }
}

#[cfg(test)]
mod tests {
    use warren_proto::{
        ChainRef, Goodbye, GoodbyeReason, OfferHash, PayoutAddress, Price, SessionId,
        SessionRequest, TunnelPublicKey,
    };

    use super::*;

    fn goodbye() -> SessionFrame {
        let session = SessionId::from_bytes([3; 16]);
        let reason = GoodbyeReason::Asked;
        SessionFrame::Goodbye(Goodbye { session, reason })
    }

    fn request() -> SessionFrame {
        SessionFrame::Request(SessionRequest {
            session: SessionId::from_bytes([3; 16]),
            offer: OfferHash::from_bytes([4; 32]),
            price: Price::default(),
            tunnel_key: TunnelPublicKey::from_bytes([5; 32]),
            chain: ChainRef {
                chain_id: 1,
                contract: PayoutAddress::ZERO,
                token: PayoutAddress::ZERO,
            },
            resume: false,
        })
    }

    #[test]
    fn the_first_stream_begins_with_the_request_and_a_later_one_resumes() {
        let mut outbox = Outbox::default();
        outbox.put(goodbye());
        outbox.put(request());
        outbox.put(goodbye());
        assert_eq!(outbox.stream_stands(), Some(request()));
        // The stream breaks; words that are due before the next one stands do not take its place.
        outbox.put(goodbye());
        assert_eq!(outbox.stream_stands(), None);
        assert_eq!(outbox.stream_stands(), None);
    }
}
