//! What the exit tells whoever follows the events of this node.

use warren_proto::SessionId;

use super::Shell;
use super::guest::Guest;
use crate::api::types::NodeEventKind as Kind;
use crate::error::Problem;
use crate::events::News;
use crate::session::{ProviderEnd, ProviderPhase};

impl Shell {
    /// Something of its device, its deny table, or both.
    pub(super) fn tell_of_exit(&self, text: &str) {
        self.parts.events.tell(News::of(Kind::Tunnel, text));
    }

    pub(super) fn warn_of(&self, problem: &Problem) {
        self.parts.events.tell(News::warning(problem));
    }

    /// Where guests stand, of each that stands elsewhere than when it was looked at last: what lasts for less than a
    /// second is not told, so that no guest fills the events.
    pub(super) fn tell_of_guests(&mut self) {
        let guests = self.exit.iter_mut().flat_map(|it| &mut it.guests);
        for (session, guest) in guests {
            let phase = guest.machine.phase();
            if guest.told.replace(phase) == Some(phase) {
                continue;
            }
            let text = match phase {
                ProviderPhase::Granted => "a guest was granted its terms",
                ProviderPhase::AwaitingFunds => "a guest has started; its deposit is waited for",
                ProviderPhase::AwaitingWord => {
                    "a guest may shake hands; its first word is waited for"
                }
                ProviderPhase::Serving => "a guest is served",
                ProviderPhase::Paused => "a guest is paused until it has paid more",
                ProviderPhase::Closed => continue, // Told by its end.
            };
            self.parts.events.tell(about(text, *session, guest));
        }
    }

    /// Of a guest that nothing was told of, nothing is told.
    pub(super) fn tell_of_end(&self, session: SessionId, end: ProviderEnd) {
        let guest = self.guests().and_then(|it| it.get(&session));
        let Some(guest) = guest.filter(|it| it.told.is_some()) else {
            return;
        };
        let why = match end {
            ProviderEnd::NotStarted => "it did not start in time".to_owned(),
            ProviderEnd::BadPayment(code) => format!("its payment was refused: {code}"),
            ProviderEnd::NotFunded => "its deposit was not confirmed in time".to_owned(),
            ProviderEnd::Goodbye(reason) => reason.to_string(),
            ProviderEnd::Unpaid => "it did not pay for too long".to_owned(),
            ProviderEnd::Vanished => "it is gone and did not come back".to_owned(),
            ProviderEnd::Protocol => "it said what it must not".to_owned(),
        };
        let text = format!("a guest's session ended: {why}");
        self.parts.events.tell(about(&text, session, guest));
    }
}

fn about(text: &str, session: SessionId, guest: &Guest) -> News {
    let news = News::of(Kind::Session, text).node(guest.peer);
    news.session(session).channel(guest.channel)
}
