//! A guest that the owner wants gone: its session ends as any that this side ends.

use warren_proto::{GoodbyeReason, NodeId, SessionId};

use super::Shell;
use crate::error::{ErrorCode, Problem};
use crate::session::ProviderEvent;

// Our choice.
/// Hex digits of an id at least, as where an exit is named.
const LEAST: usize = 8;

impl Shell {
    /// Ends the session of the guest that `whom` names; which that was.
    pub(super) async fn kick(&mut self, whom: &str) -> Result<(SessionId, NodeId), Problem> {
        let Some(guests) = self.guests() else {
            return Err(Problem::new(ErrorCode::ExitOff, "no exit runs"));
        };
        let (session, node) = named(whom, guests.iter().map(|(id, it)| (*id, it.peer)))?;
        tracing::info!(session = %session.short(), "its owner ends this session");
        let stop = ProviderEvent::Stop(GoodbyeReason::Asked);
        self.event(session, stop).await;
        Ok((session, node))
    }
}

/// Whom a session's or a node's id names, or the beginning of one.
fn named(
    whom: &str,
    guests: impl Iterator<Item = (SessionId, NodeId)>,
) -> Result<(SessionId, NodeId), Problem> {
    let shown = || whom.chars().take(80).collect::<String>();
    let is_hex = whom.chars().all(|it| it.is_ascii_hexdigit());
    if !is_hex || whom.len() < LEAST {
        let seen = format!(
            "`{}` is no id of a node or session, nor {LEAST} hex digits or more of one",
            shown()
        );
        return Err(Problem::new(ErrorCode::BadRequest, seen).with_next("warren exit guests"));
    }
    let begins = whom.to_ascii_lowercase();
    let is_it = |(session, node): &(SessionId, NodeId)| {
        session.to_string().starts_with(&begins) || node.to_string().starts_with(&begins)
    };
    let mut found = guests.filter(is_it);
    let Some(first) = found.next() else {
        let seen = format!("none of its guests is `{}`", shown());
        return Err(Problem::new(ErrorCode::NoSuchGuest, seen));
    };
    if found.next().is_some() {
        let seen = format!("`{}` names more than one guest", shown());
        return Err(Problem::new(ErrorCode::BadRequest, seen).with_next("warren exit guests"));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(session: u8, node: u8) -> (SessionId, NodeId) {
        (
            SessionId::from_bytes([session; 16]),
            NodeId::from_bytes([node; 32]),
        )
    }

    #[test]
    fn a_guest_is_named_by_its_node_or_its_session() {
        let guests = [guest(1, 0xa1), guest(2, 0xa2)];
        for whom in ["a2a2a2a2", "A2A2A2A2", "02020202", &"a2".repeat(32)] {
            assert_eq!(named(whom, guests.into_iter()), Ok(guests[1]), "{whom}");
        }
    }

    #[test]
    fn who_is_no_guest_or_could_be_two_is_not_ended() {
        let guests = [guest(1, 7), guest(7, 2)];
        for (whom, code) in [
            ("a2a2a2a2", ErrorCode::NoSuchGuest),
            ("07070707", ErrorCode::BadRequest),
            ("0101", ErrorCode::BadRequest),
            ("everybody", ErrorCode::BadRequest),
        ] {
            let told = named(whom, guests.into_iter()).expect_err("nobody");
            assert!(told.is(code), "{whom}: {told}");
        }
    }
}
