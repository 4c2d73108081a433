//! The exit that a user names: by its id, or by the beginning of an id that no other known exit has.
//!
//! Sans-IO.

use warren_proto::NodeId;

use super::Wanted;
use crate::error::{ErrorCode, Problem};

// Our choice.
/// Hex digits at least. Whoever wants to be taken for an exit can make ids until one begins as its id does, so
/// a beginning that two have is refused, and what is printed to be typed again is longer than this.
const LEAST: usize = 8;

/// The beginning of an exit's id: lower-case hex digits, [`LEAST`] or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExitName(String);

impl ExitName {
    /// # Errors
    /// [`ErrorCode::BadRequest`] if this is too short, too long, or not hex.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let whole = 2 * size_of::<NodeId>();
        let fits = (LEAST..=whole).contains(&text.len());
        if !fits || !text.chars().all(|it| it.is_ascii_hexdigit()) {
            let seen = format!("`{text}` is no exit's id, nor {LEAST} hex digits or more of one");
            return Err(Problem::new(ErrorCode::BadRequest, seen).with_next("warren exits"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The id, if all of it was said.
    pub(crate) fn whole(&self) -> Option<NodeId> {
        self.0.parse().ok()
    }

    /// Which of these exits it names. `None`: none of them.
    ///
    /// # Errors
    /// [`ErrorCode::BadRequest`] if it names several.
    pub(crate) fn among(
        &self,
        known: impl IntoIterator<Item = NodeId>,
    ) -> Result<Option<NodeId>, Problem> {
        let mut found = None;
        for node in known {
            if !node.to_string().starts_with(&self.0) || found == Some(node) {
                continue;
            }
            if found.replace(node).is_some() {
                let seen = format!("`{}` begins the id of more than one exit", self.0);
                return Err(Problem::new(ErrorCode::BadRequest, seen).with_next("warren exits"));
            }
        }
        Ok(found)
    }
}

impl Wanted {
    /// Holds on to the exit that is named, by its whole id, as soon as that is known: whoever comes later with an
    /// id that begins so is another.
    ///
    /// # Errors
    /// As [`ExitName::among`].
    pub(crate) fn settle(
        &mut self,
        known: impl IntoIterator<Item = NodeId>,
    ) -> Result<(), Problem> {
        let Some(name) = &self.named else {
            return Ok(());
        };
        let found = match name.whole() {
            Some(node) => Some(node),
            None => name.among(known)?,
        };
        if let Some(node) = found {
            self.query.nodes = vec![node];
            self.named = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(first: [u8; 4], last: u8) -> NodeId {
        let mut bytes = [last; 32];
        bytes[..4].copy_from_slice(&first);
        NodeId::from_bytes(bytes)
    }

    #[test]
    fn a_name_is_eight_hex_digits_or_more_in_either_case() {
        for bad in ["", "1a2b3c4", "1a2b3c4g", "exit1", &"a".repeat(65)] {
            let problem = ExitName::parse(bad).unwrap_err();
            assert!(problem.is(ErrorCode::BadRequest), "{bad}");
        }
        let it = node([0x1a, 0x2b, 0x3c, 0x4d], 0xee);
        for good in ["1A2B3C4D", "1a2b3c4dEE", &it.to_string()] {
            let name = ExitName::parse(good).unwrap();
            assert_eq!(name.among([it]).unwrap(), Some(it), "{good}");
        }
        let whole = ExitName::parse(&it.to_string().to_uppercase()).unwrap();
        assert_eq!(whole.whole(), Some(it));
    }

    #[test]
    fn a_beginning_that_two_exits_have_names_neither() {
        let first = [0x1a, 0x2b, 0x3c, 0x4d];
        let (honest, ground, other) = (node(first, 1), node(first, 2), node([9; 4], 3));
        let name = ExitName::parse("1a2b3c4d").unwrap();
        let problem = name.among([other, honest, ground]).unwrap_err();
        assert!(problem.is(ErrorCode::BadRequest));
        assert_eq!(name.among([other, honest, honest]).unwrap(), Some(honest));
        assert_eq!(name.among([other]).unwrap(), None);
        let longer = ExitName::parse("1a2b3c4d01").unwrap();
        assert_eq!(longer.among([ground, honest]).unwrap(), Some(honest));
    }
}
