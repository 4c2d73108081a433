//! Several endpoints as one chain, none of which is believed alone where money depends on it.
//!
//! ```text
//! question ──▶ each Seat, in a task of its own ──▶ Ballot ──▶ answer │ Disputed │ NoQuorum
//!                 └─ pins, rest, latency: Health
//! ```
//!
//! The newest block is the highest that enough endpoints agree on (`height`); state is read as of
//! that block, so that those who are ahead answer as those who are not. Logs, receipts, nonces and
//! balances count only if enough say exactly the same (`ballot`). Transactions go to all.
//!
//! Invariant: fewer endpoints than must agree, whatever they say, make no answer.
//! Why: docs/adr/0016.

mod ballot;
mod chain;
mod fees;
mod health;
mod height;
mod seat;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use warren_proto::ChainRef;

use super::eth::EthNode;
use super::{Chain as _, ChainError, Endpoints, Head};
pub use ballot::{Ballot, Place, Verdict};
use health::Event;
pub use height::{Candidate, Heights};
use seat::{Question, Seat, question};

/// More endpoints make questions dear and nothing safer.
pub const MAX_ENDPOINTS: usize = 16;
/// How long others are waited for where enough have answered; our choice.
const GRACE: Duration = Duration::from_millis(500);

/// Why endpoints make no quorum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadQuorum {
    /// Too many, none, or more must agree than there are.
    #[error("of {of} endpoints {wanted} cannot agree; there may be 1 to {MAX_ENDPOINTS}")]
    Count {
        /// How many must agree.
        wanted: usize,
        /// How many there are.
        of: usize,
    },
    /// They are pinned to different chains.
    #[error("the endpoints are pinned to different chains")]
    Pins,
}

/// Several endpoints as one chain. Cheap to clone.
#[derive(Clone)]
pub struct Quorum {
    seats: Arc<[Arc<Seat>]>,
    wanted: usize,
    pins: ChainRef,
    /// The newest block agreed on; 0 before the first.
    agreed: Arc<AtomicU64>,
}

impl Quorum {
    /// How many of `of` endpoints must agree, unless told otherwise: two, where there are two.
    #[must_use]
    pub const fn usual(of: usize) -> usize {
        if of < 2 { of } else { 2 }
    }

    /// Asks nothing yet. Each endpoint comes with the name that people may read.
    ///
    /// # Errors
    /// [`BadQuorum`] if so many of them cannot agree.
    pub fn new(
        endpoints: Vec<(String, Arc<dyn EthNode>)>,
        must_agree: usize,
    ) -> Result<Self, BadQuorum> {
        let of = endpoints.len();
        let count = BadQuorum::Count {
            wanted: must_agree,
            of,
        };
        let pins = endpoints.first().map(|(_, node)| node.pins());
        let pins = pins.ok_or(count.clone())?;
        if of > MAX_ENDPOINTS || must_agree == 0 || must_agree > of {
            return Err(count);
        }
        if endpoints.iter().any(|(_, node)| node.pins() != pins) {
            return Err(BadQuorum::Pins);
        }
        let seats = endpoints
            .into_iter()
            .map(|(name, node)| Arc::new(Seat::new(name, node)));
        Ok(Self {
            seats: seats.collect(),
            wanted: must_agree,
            pins,
            agreed: Arc::default(),
        })
    }

    /// What is known of the endpoints; asks nothing.
    #[must_use]
    pub fn report(&self) -> Endpoints {
        let best = self.seats.iter().filter_map(|it| it.health().head).max();
        Endpoints {
            must_agree: self.wanted,
            agreed: Some(self.agreed.load(Ordering::Relaxed)).filter(|it| *it > 0),
            each: self.seats.iter().map(|it| it.report(best)).collect(),
        }
    }

    fn all(&self) -> Vec<Place> {
        (0..self.seats.len()).collect()
    }

    /// Who is asked: whoever is not resting, or everybody where those are too few.
    fn awake(&self) -> Vec<Place> {
        self.enough_or_all(|it| !it.is_resting())
    }

    /// Whoever is so, if those are enough to agree; else everybody.
    fn enough_or_all(&self, is_so: impl Fn(&Seat) -> bool) -> Vec<Place> {
        let seats = self.seats.iter().enumerate();
        let fit: Vec<Place> = seats.filter(|(_, it)| is_so(it)).map(|(i, _)| i).collect();
        if fit.len() < self.wanted {
            return self.all();
        }
        fit
    }

    /// Puts a question to each of `whom`; their answers come as they are given.
    ///
    /// Each is asked in a task of its own, which ends with its endpoint's timeout and writes down
    /// what it learnt of the endpoint, whether or not anybody waits for it any more.
    fn put<T: Send + 'static>(
        &self,
        whom: &[Place],
        block: Option<u64>,
        question: &Question<T>,
    ) -> Voices<T> {
        let (tell, told) = mpsc::channel(whom.len().max(1));
        for place in whom.iter().copied() {
            let Some(seat) = self.seats.get(place).map(Arc::clone) else {
                continue;
            };
            let (tell, question) = (tell.clone(), Arc::clone(question));
            tokio::spawn(async move {
                let voice = seat.ask(block, question).await;
                let _nobody_waits = tell.send((place, voice)).await;
            });
        }
        Voices {
            told,
            pending: whom.len(),
        }
    }

    /// One answer that enough agree on.
    async fn vote<T>(
        &self,
        what: &'static str,
        whom: &[Place],
        block: Option<u64>,
        question: &Question<T>,
    ) -> Result<T, ChainError>
    where
        T: Clone + PartialEq + Send + 'static,
    {
        let ballot = Ballot::new(what, self.wanted, self.seats.len());
        let voices = self.put(whom, block, question);
        self.decide(ballot, voices).await
    }

    async fn decide<T>(&self, mut ballot: Ballot<T>, mut voices: Voices<T>) -> Result<T, ChainError>
    where
        T: Clone + PartialEq + Send + 'static,
    {
        loop {
            if let Verdict::Decided { answer, overruled } = ballot.verdict(voices.pending) {
                for seat in overruled.iter().filter_map(|it| self.seats.get(*it)) {
                    seat.note(&Event::Overruled);
                }
                if voices.pending > 0 && answer.is_ok() {
                    self.judge_late(answer.clone(), voices);
                }
                return answer;
            }
            if let Some((place, voice)) = voices.next().await {
                ballot.hear(place, voice);
            }
        }
    }

    /// Whoever speaks when all is decided is judged by what was decided.
    fn judge_late<T>(&self, answer: Result<T, ChainError>, mut voices: Voices<T>)
    where
        T: PartialEq + Send + 'static,
    {
        let seats = Arc::clone(&self.seats);
        tokio::spawn(async move {
            while let Some((place, voice)) = voices.next().await {
                let otherwise = voice.is_ok() && voice != answer;
                if let Some(seat) = seats.get(place).filter(|_| otherwise) {
                    seat.note(&Event::Overruled);
                }
            }
        });
    }

    /// Everything that is said until `enough` have answered and the grace for the others is over.
    async fn gather<T>(&self, mut voices: Voices<T>, enough: usize) -> Heard<T> {
        let mut heard = Heard::default();
        while voices.pending > 0 {
            let more = if heard.answers.len() >= enough {
                match tokio::time::timeout(GRACE, voices.next()).await {
                    Ok(more) => more,
                    Err(_) => break,
                }
            } else {
                voices.next().await
            };
            match more {
                Some((place, Ok(answer))) => heard.answers.push((place, answer)),
                Some((place, Err(error))) => heard.errors.push((place, error)),
                None => {}
            }
        }
        heard
    }

    /// The newest block that enough agree on.
    async fn agreed_head(&self) -> Result<Head, ChainError> {
        const WHAT: &str = "the newest block";
        let newest = question(|at| async move { at.head().await });
        let heard = self.gather(self.put(&self.awake(), None, &newest), self.wanted);
        let heard = heard.await;
        for (place, head) in &heard.answers {
            if let Some(seat) = self.seats.get(*place) {
                seat.note(&Event::Head(head.number));
            }
        }
        let mut failure = self.too_few(WHAT, &heard);
        for candidate in Heights::new(heard.answers).candidates(self.wanted) {
            let number = candidate.number;
            let lower = question(move |at| async move {
                let lost = || ChainError::Busy {
                    code: 0,
                    message: "it has lost a block that it had".to_owned(),
                };
                at.block(number).await?.ok_or_else(lost)
            });
            let mut ballot = Ballot::new(WHAT, self.wanted, self.seats.len());
            for (place, head) in candidate.said {
                ballot.hear(place, Ok(head));
            }
            let voices = self.put(&candidate.ask, None, &lower);
            match self.decide(ballot, voices).await {
                Ok(head) => {
                    self.agreed.store(head.number, Ordering::Relaxed);
                    return Ok(head);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Why what was heard is not enough, should it not be.
    fn too_few<T>(&self, what: &'static str, heard: &Heard<T>) -> ChainError {
        let mut ballot = Ballot::new(what, self.wanted, self.seats.len());
        for (place, _) in &heard.answers {
            ballot.hear(*place, Ok(*place));
        }
        for (place, error) in &heard.errors {
            ballot.hear(*place, Err(error.clone()));
        }
        match ballot.verdict(0) {
            Verdict::Decided {
                answer: Err(it), ..
            } => it,
            Verdict::Decided { .. } | Verdict::Open => ChainError::Disputed {
                what,
                answered: heard.answers.len(),
                wanted: self.wanted,
            },
        }
    }

    /// The answer of the best endpoint that gives one: for what costs nothing if it is a lie.
    async fn any<T: Send + 'static>(&self, question: &Question<T>) -> Result<T, ChainError> {
        let mut places = self.all();
        places.sort_by_key(|it| self.seats.get(*it).map(|it| it.health().rank()));
        let mut failure = None;
        for seat in places.iter().filter_map(|it| self.seats.get(*it)) {
            match seat.ask(None, Arc::clone(question)).await {
                Err(error) if error.remedy() != super::error::Remedy::Final => {
                    failure = failure.or(Some(error));
                }
                answer => return answer,
            }
        }
        Err(failure.unwrap_or_else(|| self.too_few::<()>("a call", &Heard::default())))
    }
}

impl fmt::Debug for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quorum({} of {})", self.wanted, self.seats.len())
    }
}

/// Answers on their way.
struct Voices<T> {
    told: mpsc::Receiver<(Place, Result<T, ChainError>)>,
    pending: usize,
}

impl<T> Voices<T> {
    /// `None` when nobody will say anything any more.
    async fn next(&mut self) -> Option<(Place, Result<T, ChainError>)> {
        let more = self.told.recv().await;
        self.pending = match more {
            Some(_) => self.pending.saturating_sub(1),
            None => 0,
        };
        more
    }
}

/// What was said to one question.
struct Heard<T> {
    answers: Vec<(Place, T)>,
    errors: Vec<(Place, ChainError)>,
}

impl<T> Default for Heard<T> {
    fn default() -> Self {
        Self {
            answers: Vec::new(),
            errors: Vec::new(),
        }
    }
}
