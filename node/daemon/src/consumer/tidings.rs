//! What the consumer tells whoever follows the events of this node.

use super::Shell;
use crate::api::types::{Money, NodeEventKind as Kind};
use crate::error::Problem;
use crate::events::News;
use crate::session::{ConsumerEnd, ConsumerPhase};

impl Shell {
    /// Something of the session under way.
    pub(super) fn tell_of_session(&self, text: &str) {
        self.tell_about(Kind::Session, text);
    }

    /// Something of the tunnel, or of what blocks beside it.
    pub(super) fn tell_of_tunnel(&self, text: &str) {
        self.tell_about(Kind::Tunnel, text);
    }

    pub(super) fn tell_of_phase(&self, phase: ConsumerPhase) {
        let text = match phase {
            ConsumerPhase::Funding => "terms agreed and signed; what pays for it is looked for",
            ConsumerPhase::Starting => "it can be paid, and was started",
            ConsumerPhase::Connecting => "the exit is ready",
            ConsumerPhase::Active => "traffic flows",
            ConsumerPhase::Stalled if self.line.is_protected() => {
                "the exit is silent; traffic is blocked"
            }
            ConsumerPhase::Stalled => "the exit is silent; the kill switch is off",
            // Told where they come from.
            ConsumerPhase::Negotiating | ConsumerPhase::Closed => return,
        };
        self.tell_of_session(text);
    }

    /// What the session came to; `problem` is why it ended, unless it was asked for.
    pub(super) fn tell_of_end(&self, end: &ConsumerEnd, problem: &Problem) {
        let Some(live) = &self.live else { return };
        let paid = Money::of(live.machine().cost(), &self.parts.token);
        let why = match end {
            ConsumerEnd::Asked => "on request".to_owned(),
            ConsumerEnd::Refused(_)
            | ConsumerEnd::Ended(_)
            | ConsumerEnd::Unfunded
            | ConsumerEnd::PaymentRefused(_)
            | ConsumerEnd::BadGrant(_)
            | ConsumerEnd::TimedOut(_)
            | ConsumerEnd::ExitLost
            | ConsumerEnd::CapReached
            | ConsumerEnd::LineLost
            | ConsumerEnd::ChannelUsedUp => problem.to_string(),
        };
        self.tell_of_session(&format!("ended, {paid} paid: {why}"));
    }

    /// Whether this machine is blocked now that a plan is over.
    pub(super) fn tell_of_blocking(&self) {
        self.tell_of_tunnel(if self.line.is_protected() {
            "nothing goes out: the kill switch stays on"
        } else {
            "firewall, routes and names are as they were before"
        });
    }

    fn tell_about(&self, kind: Kind, text: &str) {
        let news = News::of(kind, text);
        let Some(live) = &self.live else {
            return self.parts.events.tell(news);
        };
        let news = news.node(live.machine().offer().offer().node);
        let news = news.session(live.id()).channel(live.channel);
        self.parts.events.tell(news);
    }
}
