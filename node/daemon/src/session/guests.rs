//! Whom an exit serves at all, as its owner named them.
//!
//! Sans-IO. By the node's id, which is proven by the stream it asks on; ids cost nothing, so only a list of those who
//! may come keeps strangers out, and a ban holds until its node makes itself another id.

use std::collections::BTreeSet;

use warren_proto::NodeId;

/// Who may be a guest. The default: everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuestList {
    /// Nobody but these. Empty: everybody.
    pub allowed: BTreeSet<NodeId>,
    /// None of these, whatever else is said.
    pub banned: BTreeSet<NodeId>,
}

impl GuestList {
    /// Whether `node` may be a guest.
    #[must_use]
    pub fn serves(&self, node: &NodeId) -> bool {
        let allowed = self.allowed.is_empty() || self.allowed.contains(node);
        allowed && !self.banned.contains(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(allowed: &[u8], banned: &[u8]) -> GuestList {
        let nodes = |of: &[u8]| of.iter().map(|n| node(*n)).collect();
        GuestList {
            allowed: nodes(allowed),
            banned: nodes(banned),
        }
    }

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    #[test]
    fn without_a_list_everybody_is_served_and_with_one_nobody_else() {
        assert!(list(&[], &[]).serves(&node(1)));
        assert!(list(&[1, 2], &[]).serves(&node(2)));
        assert!(!list(&[1, 2], &[]).serves(&node(3)));
    }

    #[test]
    fn a_ban_stands_above_the_list() {
        assert!(!list(&[], &[1]).serves(&node(1)));
        assert!(!list(&[1], &[1]).serves(&node(1)));
        assert!(list(&[], &[1]).serves(&node(2)));
    }
}
