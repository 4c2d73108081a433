//! Packets that wait, back to back in one piece of memory.
//!
//! Sans-IO. The bound is its owner's.

use std::collections::VecDeque;

// Our choice.
/// Memory that an empty queue keeps.
const KEPT_BYTES: usize = 16 << 10;

/// Packets in the order they came.
#[derive(Debug, Default)]
pub(super) struct Queue {
    memory: Vec<u8>,
    /// Where the first packet begins.
    head: usize,
    lens: VecDeque<usize>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.lens.is_empty()
    }

    /// Bytes of all packets.
    pub(super) fn bytes(&self) -> usize {
        self.memory.len() - self.head
    }

    pub(super) fn push(&mut self, packet: &[u8]) {
        // Moved only once it is at least half gone: each byte is moved once at most.
        if self.head > self.memory.len() / 2 {
            self.memory.drain(..self.head);
            self.head = 0;
        }
        self.memory.extend_from_slice(packet);
        self.lens.push_back(packet.len());
    }

    pub(super) fn front(&self) -> Option<&[u8]> {
        let len = *self.lens.front()?;
        self.memory.get(self.head..self.head + len)
    }

    pub(super) fn pop(&mut self) {
        self.head += self.lens.pop_front().unwrap_or(0);
        if self.lens.is_empty() {
            self.memory.clear();
            self.memory.shrink_to(KEPT_BYTES);
            self.lens.shrink_to(KEPT_BYTES / size_of::<usize>());
            self.head = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It is a queue, whatever is pushed and popped.
        #[test]
        fn what_goes_in_comes_out_in_order(
            steps in proptest::collection::vec((any::<bool>(), 0_usize..3000), 0..200),
        ) {
            let (mut queue, mut model, mut most) = (Queue::default(), VecDeque::new(), 0);
            for (at, (push, len)) in steps.into_iter().enumerate() {
                if push {
                    let packet = vec![at.to_le_bytes()[0]; len];
                    queue.push(&packet);
                    model.push_back(packet);
                } else {
                    queue.pop();
                    model.pop_front();
                }
                prop_assert_eq!(queue.front(), model.front().map(Vec::as_slice));
                prop_assert_eq!(queue.bytes(), model.iter().map(Vec::len).sum::<usize>());
                most = most.max(queue.bytes());
                prop_assert!(queue.memory.len() <= 2 * most + 3000);
            }
        }
    }
}
