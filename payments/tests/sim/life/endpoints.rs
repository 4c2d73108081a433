//! The endpoints of the chain that a party asks: three, of which one lies or lags as long as it is told to. What is
//! believed of what they say, the product's own counting decides (`chain/quorum/ballot.rs`, `height.rs`).

use warren_payments::chain::quorum::{Ballot, Heights, Verdict};
use warren_payments::chain::{BlockHash, ChainError, Head, Outcome};
use warren_payments::channel::ChainFact;
use warren_payments::tx::Seen;
use warren_proto::{Amount, TxHash};

use super::chain::{Block, Chain};
use super::contract::{Event, Said};
use super::host::{Breach, Host};
use super::names::secs;

/// Endpoints of each party.
const ENDPOINTS: usize = 3;
/// Of them, those that must agree.
const MUST_AGREE: usize = 2;

/// What a bad endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Shows a newest block that there is not.
    Ahead(u64),
    /// Shows an older chain, and nothing that happened since.
    Behind(u64),
    /// Leaves out what happened to channels, and what became of transactions.
    Hides,
    /// Tells of twice the deposit, of less claimed, of calls that failed, of nonces to come.
    Invents,
    /// Is another chain: other blocks, and none of our events.
    Elsewhere,
}

/// The bad one of a party's endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Liar {
    pub(crate) place: usize,
    pub(crate) manner: Manner,
}

impl Liar {
    /// What two bytes say; often enough that all are honest again.
    pub(crate) fn from_bytes(a: u8, b: u8) -> Option<Self> {
        let some = u64::from(b / 8 % 8) + 1;
        let manner = match b % 8 {
            0 => Manner::Ahead(some),
            1 => Manner::Behind(some),
            2 | 3 => Manner::Hides,
            4 | 5 => Manner::Invents,
            6 => Manner::Elsewhere,
            _ => return None,
        };
        let place = usize::from(a / 4) % ENDPOINTS;
        Some(Self { place, manner })
    }

    fn head(self, top: &Block) -> Head {
        let honest = head_of(top);
        match self.manner {
            Manner::Ahead(some) => Head {
                number: honest.number + some,
                hash: forged(honest.hash),
                parent: honest.hash,
                timestamp: secs(top.time + 12 * some),
            },
            Manner::Behind(some) => Head {
                number: honest.number.saturating_sub(some),
                ..honest
            },
            Manner::Elsewhere => Head {
                hash: forged(honest.hash),
                ..honest
            },
            Manner::Hides | Manner::Invents => honest,
        }
    }

    fn hash(self, honest: BlockHash) -> BlockHash {
        match self.manner {
            Manner::Elsewhere => forged(honest),
            Manner::Ahead(_) | Manner::Behind(_) | Manner::Hides | Manner::Invents => honest,
        }
    }

    fn events(self, honest: &[(u64, Event)], top: u64) -> Vec<(u64, Event)> {
        let kept = honest.iter().filter(|(number, _)| match self.manner {
            Manner::Hides | Manner::Elsewhere => false,
            Manner::Behind(some) => number + some <= top,
            Manner::Ahead(_) | Manner::Invents => true,
        });
        let mut told: Vec<_> = kept.cloned().collect();
        if self.manner == Manner::Invents {
            for (_, event) in &mut told {
                match &mut event.said {
                    Said::Fact(ChainFact::Deposit(it)) => *it = twice(*it),
                    Said::Fact(ChainFact::Claimed(it)) => *it = Amount::ZERO,
                    Said::Fact(_) | Said::Revealed(_) => {}
                }
            }
        }
        told
    }

    fn nonce(self, honest: u64) -> u64 {
        match self.manner {
            Manner::Invents => honest + 1,
            Manner::Elsewhere => 0,
            Manner::Behind(_) | Manner::Hides => honest.saturating_sub(1),
            Manner::Ahead(_) => honest,
        }
    }

    fn seen(self, honest: Option<Seen>) -> Option<Seen> {
        match self.manner {
            Manner::Hides | Manner::Elsewhere | Manner::Behind(_) => None,
            Manner::Invents => honest.map(|it| Seen {
                outcome: Outcome::Reverted,
                ..it
            }),
            Manner::Ahead(_) => honest,
        }
    }
}

impl Host {
    /// The newest block that is believed, `top` being what honest endpoints show.
    pub(super) fn believed_head(&self, chain: &Chain, top: usize) -> Option<usize> {
        let Some(liar) = self.liar else {
            return Some(top);
        };
        let newest = |place: usize| {
            let block = &chain.blocks[top];
            if place == liar.place {
                liar.head(block)
            } else {
                head_of(block)
            }
        };
        if self.breach == Some(Breach::BelievesOne) {
            let said = usize::try_from(newest(liar.place).number).unwrap();
            return Some(said.min(top));
        }
        let heads = (0..ENDPOINTS).map(|it| (it, newest(it))).collect();
        let candidates = Heights::new(heads).candidates(MUST_AGREE);
        candidates.into_iter().find_map(|candidate| {
            let at = usize::try_from(candidate.number).unwrap().min(top);
            let mut ballot = Ballot::new("the newest block", MUST_AGREE, ENDPOINTS);
            candidate
                .said
                .iter()
                .for_each(|it| ballot.hear(it.0, Ok(it.1)));
            for place in candidate.ask {
                let honest = head_of(&chain.blocks[at]);
                let hash = if place == liar.place {
                    liar.hash(honest.hash)
                } else {
                    honest.hash
                };
                ballot.hear(place, Ok(Head { hash, ..honest }));
            }
            let head = decided(&ballot)?;
            usize::try_from(head.number).ok().filter(|it| *it <= top)
        })
    }

    /// What the blocks after `from` say, up to the believed head.
    pub(super) fn believed_events(
        &self,
        chain: &Chain,
        from: usize,
        head: usize,
    ) -> Option<Vec<(u64, Event)>> {
        let blocks = &chain.blocks[from.min(head + 1)..=head];
        let told = blocks
            .iter()
            .flat_map(|block| block.events.iter().map(|it| (block.number, it.clone())));
        let (honest, top) = (told.collect::<Vec<_>>(), chain.blocks[head].number);
        self.believed("events", honest, |liar, honest| liar.events(honest, top))
    }

    pub(super) fn believed_hash(&self, block: &Block) -> Option<BlockHash> {
        self.believed("a block", block.hash, |liar, honest| liar.hash(*honest))
    }

    pub(super) fn believed_nonce(&self, honest: u64) -> Option<u64> {
        self.believed("a nonce", honest, |liar, honest| liar.nonce(*honest))
    }

    /// What became of a transaction. Where it is not agreed on, it is as if it had not been asked.
    pub(super) fn believed_seen(&self, chain: &Chain, at: usize, tx: TxHash) -> Option<Seen> {
        let honest = chain.seen(at, tx);
        self.believed("a receipt", honest, |liar, honest| liar.seen(*honest))?
    }

    /// One question to all; `None` if not enough say the same.
    fn believed<T: Clone + PartialEq>(
        &self,
        what: &'static str,
        honest: T,
        lie: impl Fn(Liar, &T) -> T,
    ) -> Option<T> {
        let Some(liar) = self.liar else {
            return Some(honest);
        };
        if self.breach == Some(Breach::BelievesOne) {
            return Some(lie(liar, &honest));
        }
        let mut ballot = Ballot::new(what, MUST_AGREE, ENDPOINTS);
        for place in 0..ENDPOINTS {
            let is_liar = place == liar.place;
            let said = if is_liar {
                lie(liar, &honest)
            } else {
                honest.clone()
            };
            ballot.hear(place, Ok(said));
        }
        decided(&ballot)
    }
}

fn decided<T: Clone + PartialEq>(ballot: &Ballot<T>) -> Option<T> {
    match ballot.verdict(0) {
        Verdict::Decided { answer, .. } => answer.map_err(|it: ChainError| drop(it)).ok(),
        Verdict::Open => None,
    }
}

fn head_of(block: &Block) -> Head {
    Head {
        number: block.number,
        hash: block.hash,
        parent: block.hash,
        timestamp: secs(block.time),
    }
}

fn forged(hash: BlockHash) -> BlockHash {
    let mut bytes = *hash.as_bytes();
    bytes[31] ^= 1;
    BlockHash::from_bytes(bytes)
}

fn twice(it: Amount) -> Amount {
    it.checked_add(it).unwrap_or(it)
}
