//! The newest block that enough endpoints agree on, found from what each says its newest is.
//!
//! Sans-IO. Nobody's highest block counts: the search begins at the highest one that enough could
//! have, and goes down where they fork, to the depth that a reorganisation may have.

use super::ballot::Place;
use crate::Head;

/// How far below the first candidate agreement is looked for; our choice.
const DEPTHS: [u64; 8] = [0, 1, 2, 4, 8, 16, 32, 64];

/// The heads that endpoints told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heights {
    /// Highest first.
    heads: Vec<(Place, Head)>,
}

/// A height to ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The height.
    pub number: u64,
    /// Whose newest block it is: they have answered already.
    pub said: Vec<(Place, Head)>,
    /// Who is higher, and must be asked.
    pub ask: Vec<Place>,
}

impl Heights {
    /// Of what each says its newest block is.
    #[must_use]
    pub fn new(mut heads: Vec<(Place, Head)>) -> Self {
        heads.sort_by_key(|(place, it)| (std::cmp::Reverse(it.number), *place));
        Self { heads }
    }

    /// Heights at which `wanted` endpoints could agree, best first; none if too few spoke.
    #[must_use]
    pub fn candidates(&self, wanted: usize) -> Vec<Candidate> {
        let Some((_, top)) = wanted.checked_sub(1).and_then(|it| self.heads.get(it)) else {
            return Vec::new();
        };
        let numbers = DEPTHS.iter().filter_map(|it| top.number.checked_sub(*it));
        numbers.map(|number| self.candidate(number)).collect()
    }

    fn candidate(&self, number: u64) -> Candidate {
        let at = self.heads.iter().filter(|(_, it)| it.number == number);
        let above = self.heads.iter().filter(|(_, it)| it.number > number);
        Candidate {
            number,
            said: at.copied().collect(),
            ask: above.map(|(place, _)| *place).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use warren_proto::UnixTime;

    use super::*;
    use crate::BlockHash;

    fn head(number: u64) -> Head {
        Head {
            number,
            hash: BlockHash::from_bytes([7; 32]),
            parent: BlockHash::from_bytes([6; 32]),
            timestamp: UnixTime::from_secs(number),
        }
    }

    fn first(heads: &[u64], wanted: usize) -> Option<Candidate> {
        let heads = heads.iter().map(|it| head(*it)).enumerate().collect();
        Heights::new(heads).candidates(wanted).into_iter().next()
    }

    #[test]
    fn an_invented_height_is_not_even_asked_about() {
        let candidate = first(&[100, 1_000_000, 101], 2).unwrap();
        assert_eq!(candidate.number, 101);
        assert_eq!(candidate.said, [(2, head(101))]);
        assert_eq!(candidate.ask, [1]);
    }

    #[test]
    fn one_that_lags_holds_nobody_back_where_others_suffice() {
        let candidate = first(&[100, 3, 100], 2).unwrap();
        assert_eq!(candidate.number, 100);
        assert_eq!(candidate.said.len(), 2);
        assert!(candidate.ask.is_empty());
        assert_eq!(first(&[100, 3], 2).unwrap().number, 3);
    }

    #[test]
    fn a_fork_is_followed_down_but_not_for_ever() {
        let heads = Heights::new(vec![(0, head(100)), (1, head(100))]);
        let numbers: Vec<u64> = heads.candidates(2).iter().map(|it| it.number).collect();
        assert_eq!(numbers, [100, 99, 98, 96, 92, 84, 68, 36]);
        let young = Heights::new(vec![(0, head(1)), (1, head(2))]);
        let numbers: Vec<u64> = young.candidates(2).iter().map(|it| it.number).collect();
        assert_eq!(numbers, [1, 0]);
    }

    #[test]
    fn too_few_heads_agree_on_nothing() {
        assert_eq!(first(&[100], 2), None);
        assert_eq!(first(&[], 1), None);
        assert_eq!(first(&[100], 1).unwrap().number, 100);
    }
}
