//! Words and their places.

use super::*;
use crate::channel::fixture::words;

fn at(k: u32) -> Preimage {
    words(40, 10).word(k).unwrap().clone()
}

#[test]
fn a_word_is_found_by_hashing_and_only_so_far() {
    assert_eq!(steps_to(&at(7), &at(4), 10), Some(3));
    assert_eq!(steps_to(&at(7), &at(4), 2), None);
    assert_eq!(steps_to(&at(4), &at(7), 10), None);
}
