//! What several endpoints say to one question, counted: when an answer is believed, and why not.
//!
//! Sans-IO.
//!
//! Invariant: an answer is believed only if enough endpoints gave exactly it, and no other answer
//! was given, or could still be given, by as many.

use crate::ChainError;

/// An endpoint, by its place in the list.
pub type Place = usize;

/// The voices to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot<T> {
    /// What is asked, for people.
    what: &'static str,
    /// Endpoints that must agree.
    wanted: usize,
    /// Endpoints there are.
    of: usize,
    voices: Vec<(Place, Result<T, ChainError>)>,
}

/// Where a ballot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<T> {
    /// Those who were not heard yet can still change it.
    Open,
    /// It is decided.
    Decided {
        /// The answer; or the contract's refusal, which is an answer too; or why there is none.
        answer: Result<T, ChainError>,
        /// Who said something else than what is believed.
        overruled: Vec<Place>,
    },
}

impl<T: Clone + PartialEq> Ballot<T> {
    /// No voice yet: `what` is asked of `of` endpoints, of which `wanted` must agree.
    #[must_use]
    pub const fn new(what: &'static str, wanted: usize, of: usize) -> Self {
        Self {
            what,
            wanted,
            of,
            voices: Vec::new(),
        }
    }

    /// Writes down what one endpoint said; only its first word counts.
    pub fn hear(&mut self, from: Place, voice: Result<T, ChainError>) {
        if !self.voices.iter().any(|(it, _)| *it == from) {
            self.voices.push((from, voice));
        }
    }

    /// Counts; `pending` endpoints were asked and have not answered.
    #[must_use]
    pub fn verdict(&self, pending: usize) -> Verdict<T> {
        let (best, first) = self.most(None);
        let (rival, _) = self.most(first);
        let is_certain = best >= self.wanted && rival.saturating_add(pending) < self.wanted;
        if let Some(answer) = first.filter(|_| is_certain) {
            let otherwise =
                |it: &&(Place, Result<T, ChainError>)| is_word(&it.1) && it.1 != *answer;
            let overruled = self.voices.iter().filter(otherwise);
            return Verdict::Decided {
                answer: answer.clone(),
                overruled: overruled.map(|(place, _)| *place).collect(),
            };
        }
        let is_hopeless = best.saturating_add(pending) < self.wanted;
        if pending > 0 && !is_hopeless {
            return Verdict::Open;
        }
        Verdict::Decided {
            answer: Err(self.failure()),
            overruled: Vec::new(),
        }
    }

    /// The answer that most gave, other than `than`, and how many gave it.
    fn most(
        &self,
        than: Option<&Result<T, ChainError>>,
    ) -> (usize, Option<&Result<T, ChainError>>) {
        let words = self
            .voices
            .iter()
            .map(|(_, it)| it)
            .filter(|it| is_word(it));
        let others = words.filter(|it| than != Some(*it));
        let count = |word: &Result<T, ChainError>| {
            let same = |it: &&(Place, Result<T, ChainError>)| it.1 == *word;
            self.voices.iter().filter(same).count()
        };
        let counted = others.map(|it| (count(it), Some(it)));
        counted.fold((0, None), |best, it| if it.0 > best.0 { it } else { best })
    }

    /// Why there is no answer.
    fn failure(&self) -> ChainError {
        let words = self.voices.iter().filter(|(_, it)| is_word(it)).count();
        let silent = || {
            self.voices
                .iter()
                .filter_map(|(place, it)| Some((place, it.as_ref().err()?)))
        };
        if words >= self.wanted {
            return ChainError::Disputed {
                what: self.what,
                answered: words,
                wanted: self.wanted,
            };
        }
        if words == 0 {
            // All alike: what one of them says is what there is to say. A chain that is another one
            // is said only if nobody has a better excuse.
            let is_other = |it: &&ChainError| matches!(it, ChainError::Mismatch { .. });
            let errors = || silent().map(|(_, it)| it);
            let excuse = errors()
                .find(|it| !is_other(it))
                .or_else(|| errors().next());
            if let Some(error) = excuse {
                return error.clone();
            }
        }
        let reasons: Vec<String> = silent()
            .filter(|(_, it)| !is_answer(it))
            .map(|(place, it)| format!("endpoint {}: {it}", place.saturating_add(1)))
            .collect();
        ChainError::NoQuorum {
            what: self.what,
            answered: words,
            of: self.of,
            wanted: self.wanted,
            detail: reasons.join("; ").chars().take(300).collect(),
        }
    }
}

/// Whether this counts as an answer: the contract's refusal does, an endpoint's own trouble does not.
fn is_word<T>(voice: &Result<T, ChainError>) -> bool {
    voice.as_ref().err().is_none_or(is_answer)
}

const fn is_answer(error: &ChainError) -> bool {
    matches!(error, ChainError::Reverted(_))
}

#[cfg(test)]
mod tests;
