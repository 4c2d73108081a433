//! What overlay and payments tell, in words for whoever follows the events.
//!
//! Sans-IO.

use warren_overlay::OverlayEvent;
use warren_payments::{PaymentEvent, StopReason};

use crate::api::types::{Money, NodeEventKind as Kind};
use crate::config::Token;
use crate::error::{ErrorCode, Problem};
use crate::events::News;

/// `None` for what is not told: a stream that somebody opened is a session once it is granted.
pub(super) fn of_overlay(event: &OverlayEvent) -> Option<News> {
    Some(match event {
        OverlayEvent::OfferSeen { node, seq, .. } => {
            let text = format!("its offer number {seq} was heard of");
            News::of(Kind::Offer, text).node(*node)
        }
        OverlayEvent::OfferLost { node } => {
            News::of(Kind::Offer, "its offer has expired").node(*node)
        }
        OverlayEvent::OfferRenewed(offer) => {
            let it = offer.offer();
            let text = format!("this node's own offer was renewed as number {}", it.seq);
            News::of(Kind::Offer, text).node(it.node)
        }
        OverlayEvent::PeerJoined(peer) => News::of(Kind::Peer, "it is connected").node(*peer),
        OverlayEvent::PeerLeft(peer) => {
            News::of(Kind::Peer, "its last connection ended").node(*peer)
        }
        OverlayEvent::InboundSession { .. } | OverlayEvent::Listening(_) => return None,
    })
}

/// `None` for what only neighbours on a route are told.
pub(super) fn of_payment(event: &PaymentEvent, token: &Token) -> Option<News> {
    let channel = |id, text: &str| News::of(Kind::Channel, text).channel(Some(id));
    Some(match event {
        PaymentEvent::ChannelUsable(id) => channel(*id, "its deposit is confirmed: it can pay"),
        PaymentEvent::RunningLow(id) => channel(*id, "little is left of its deposit"),
        PaymentEvent::TopUpNeeded {
            channel: id,
            units_short,
        } => {
            let text = format!("its deposit is used up: {units_short} words could not be paid");
            channel(*id, &text)
        }
        PaymentEvent::Stop {
            channel: id,
            reason,
        } => channel(
            *id,
            match reason {
                StopReason::Closing => "it is closing: what it pays for ends",
                StopReason::Undone => "the chain took its deposit back: what it pays for ends",
            },
        ),
        PaymentEvent::Closed(id) => channel(*id, "it is settled"),
        PaymentEvent::Claimed { channel: id, total } => {
            let total = Money::of(*total, token);
            let text = format!("a claim is confirmed: {total} of it in all");
            News::of(Kind::Payment, text).channel(Some(*id))
        }
        PaymentEvent::ActionFailed {
            channel: id,
            reason,
        } => {
            let problem = Problem::new(ErrorCode::TransactionFailed, reason);
            News::warning(&problem).channel(Some(*id))
        }
        PaymentEvent::WalletShared(id) => {
            let seen = "its payee holds what this machine did not sign";
            let problem = Problem::new(ErrorCode::WalletShared, seen);
            News::warning(&problem).channel(Some(*id))
        }
        PaymentEvent::ChainStale(true) => {
            let text = "its news are old: nothing that is paid counts until they are new again";
            News::of(Kind::Chain, text)
        }
        PaymentEvent::ChainStale(false) => News::of(Kind::Chain, "its news are new again"),
        PaymentEvent::ChainLost => {
            let text = "its news were old for too long: the sessions that are paid end";
            News::of(Kind::Chain, text)
        }
        PaymentEvent::Route(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use warren_proto::{Amount, ChannelId};

    use super::*;
    use crate::api::types::NodeEvent;
    use crate::clock::Clock;
    use crate::events::Events;

    #[tokio::test]
    async fn money_is_told_in_words_of_people_and_about_its_channel() {
        let token = Token {
            symbol: "WRN".to_owned(),
            decimals: 3,
        };
        let id = ChannelId::from_bytes([4; 32]);
        let all = [
            (PaymentEvent::ChannelUsable(id), Kind::Channel),
            (PaymentEvent::RunningLow(id), Kind::Channel),
            (PaymentEvent::Closed(id), Kind::Channel),
            (
                PaymentEvent::TopUpNeeded {
                    channel: id,
                    units_short: 7,
                },
                Kind::Channel,
            ),
            (
                PaymentEvent::Stop {
                    channel: id,
                    reason: StopReason::Closing,
                },
                Kind::Channel,
            ),
            (
                PaymentEvent::Claimed {
                    channel: id,
                    total: Amount::from_wei_u64(1500),
                },
                Kind::Payment,
            ),
            (
                PaymentEvent::ActionFailed {
                    channel: id,
                    reason: "no gas".to_owned(),
                },
                Kind::Warning,
            ),
            (PaymentEvent::WalletShared(id), Kind::Warning),
            (PaymentEvent::ChainStale(true), Kind::Chain),
            (PaymentEvent::ChainStale(false), Kind::Chain),
            (PaymentEvent::ChainLost, Kind::Chain),
        ];
        let events = Events::start(Arc::new(Clock::start()));
        let mut reader = events.follow();
        for (event, kind) in all {
            events.tell(of_payment(&event, &token).expect("told"));
            let told: NodeEvent = reader.recv().await.expect("an event");
            assert_eq!(told.kind, kind, "{told:?}");
            let is_of_chain = kind == Kind::Chain;
            assert_eq!(told.channel, Some(id).filter(|_| !is_of_chain));
            let looks_like_code = told.text.contains(['{', '(', '_']);
            assert!(!looks_like_code, "{}", told.text);
        }
        let claimed = PaymentEvent::Claimed {
            channel: id,
            total: Amount::from_wei_u64(1500),
        };
        events.tell(of_payment(&claimed, &token).expect("told"));
        let text = reader.recv().await.map(|it| it.text);
        assert_eq!(
            text.as_deref(),
            Some("a claim is confirmed: 1.5 WRN of it in all")
        );
    }
}
