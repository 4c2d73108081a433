//! One look at the chain: what is new since the cursor, as far as its endpoints agree.

use std::collections::{BTreeMap, BTreeSet};

use warren_proto::{Amount, ChannelId, PaymentId, PayoutAddress, Preimage, TxHash};

use super::older::Older;
use crate::actor::Task;
use crate::actor::book::Cursor;
use crate::calls::taken_from_pot;
use crate::chain::{Chain, ChainError, ChainEvent, ChannelState, EventKind, Head, Interest};
use crate::channel::router::RoutedPayment;

// Our choices.
/// Blocks asked for at once: public nodes refuse more.
pub(super) const MAX_BLOCKS: u64 = 2000;
/// How far the first look goes back, unless it is told: a week of 12-second blocks.
const FIRST_LOOK: u64 = 50_000;
/// How far to go back when even confirmed history was rewritten.
pub(super) const REWIND: u64 = 256;
/// One look at the chain.
pub(in crate::actor) struct News {
    pub(super) head: Head,
    /// The newest block that counts; `None` while the chain is too short.
    pub(super) safe: Option<Head>,
    pub(super) events: Vec<ChainEvent>,
    pub(super) gas_price: Amount,
    /// There are more blocks than were asked for.
    pub(super) behind: bool,
    /// The first block that was heard; on record already, if history was rewritten.
    pub(super) from: u64,
    /// What this node's own calls moved from its pot into channels, by transaction.
    pub(super) from_pot: BTreeMap<TxHash, Amount>,
    /// If it was: each channel as the contract has it now; `None` if it never was opened.
    pub(super) reread: Vec<(ChannelId, Option<ChannelState>)>,
    /// How far older blocks were gone through, if they are to be.
    pub(super) older: Option<Older>,
    /// What some endpoint tells beyond that, maybe lies; `None` where what they agree on is all there is.
    pub(super) hearsay: Option<Hearsay>,
}

/// What some endpoint tells and not enough agree on.
#[derive(Default)]
pub(super) struct Hearsay {
    /// Maybe lies.
    pub(super) closings: Vec<ChainEvent>,
    /// Of payments that are routed: what proves itself.
    pub(super) words: Vec<(PaymentId, Preimage)>,
}

/// A look that gave no news.
pub(in crate::actor) struct Unheard {
    pub(super) error: ChainError,
    /// `None` where nobody was asked: what is wrong is not that they do not agree.
    pub(super) hearsay: Option<Hearsay>,
}

/// Why what they agree on is no news.
enum Missed {
    Trouble(ChainError),
    /// They agree on less than they showed before.
    Behind,
}

impl From<ChainError> for Missed {
    fn from(error: ChainError) -> Self {
        Self::Trouble(error)
    }
}

/// From where a look begins, and what it believes.
pub(super) struct Outlook {
    pub(super) cursor: Option<Cursor>,
    pub(super) confirmations: u64,
    /// Where the very first look begins; `None`: some way back.
    pub(super) first: Option<u64>,
    /// Whether chain, contract and token are looked at first.
    pub(super) is_unsure: bool,
    /// Whether what the endpoints agreed on last is old: one that stands still holds back all the others.
    pub(super) is_old: bool,
    /// Channels to read anew if history was rewritten.
    pub(super) held: Vec<ChannelId>,
    /// The account that is paid.
    pub(super) account: PayoutAddress,
    /// Older blocks that are to be gone through too.
    pub(super) older: Option<Older>,
    /// Payments that are routed and not over.
    pub(super) routes: Vec<RoutedPayment>,
    /// Channels that this node pays from, and the keys it does so with.
    pub(super) own: (BTreeSet<ChannelId>, BTreeSet<PayoutAddress>),
}

impl Task {
    /// Whether keys opened channels that were counted beyond those known; they are known now.
    pub(super) fn reaches_further(&mut self, news: &News) -> bool {
        let count = |task: &Self| task.ring.addresses().count();
        let before = count(self);
        loop {
            let known = count(self);
            let new = news.events.iter().filter_map(|it| match &it.kind {
                EventKind::Opened { params, .. } => Some(params),
                EventKind::Deposited { .. }
                | EventKind::Withdrawn { .. }
                | EventKind::BeneficiaryChanged { .. }
                | EventKind::ToppedUp { .. }
                | EventKind::Claimed { .. }
                | EventKind::Closed { .. }
                | EventKind::Closing { .. }
                | EventKind::Revealed { .. } => None,
            });
            let older = news.older.iter().flat_map(|it| it.told().opened());
            for params in new.chain(older.map(|(params, _, _)| params)) {
                if let Some(index) = self.ring.place_of(&params.payer)
                    && let Err(error) = self.ring.reach(index)
                {
                    tracing::error!(%error, "no keys beyond those known");
                    return false;
                }
            }
            if count(self) == known {
                return known > before;
            }
        }
    }
}

/// Looks; where the endpoints do not agree, or on what is old only, hears what any of them says of closings and words.
pub(super) async fn look(chain: &dyn Chain, outlook: Outlook) -> Result<News, Unheard> {
    let from = outlook.cursor.map(|it| it.number.saturating_add(1));
    let is_old = outlook.is_old;
    let hearing = (from, outlook.account, outlook.routes.clone());
    let known = if outlook.is_unsure {
        chain.verify_contract().await
    } else {
        Ok(())
    };
    let news = match known {
        Ok(()) => agreed(chain, outlook).await,
        Err(error) => Err(error.into()),
    };
    match news {
        Ok(mut news) => {
            if is_old || chain.endpoints().is_some_and(|it| it.holds_back()) {
                news.hearsay = Some(heard(chain, hearing).await);
            }
            Ok(news)
        }
        Err(Missed::Behind) => Err(Unheard {
            error: ChainError::Busy {
                code: 0,
                message: "it is behind what it showed before".to_owned(),
            },
            hearsay: Some(heard(chain, hearing).await),
        }),
        Err(Missed::Trouble(error)) => {
            let hearsay = if error.is_unagreed() {
                Some(heard(chain, hearing).await)
            } else {
                None
            };
            Err(Unheard { error, hearsay })
        }
    }
}

async fn heard(
    chain: &dyn Chain,
    (from, account, routes): (Option<u64>, PayoutAddress, Vec<RoutedPayment>),
) -> Hearsay {
    let mut hearsay = Hearsay::default();
    let Some(from) = from else {
        return hearsay; // Nobody has paid this node yet.
    };
    let channels = routes.iter().map(RoutedPayment::down).collect();
    let whom = Interest::hearsay(BTreeSet::from([account]), channels);
    for event in chain.hearsay(from, whom).await.unwrap_or_default() {
        if let EventKind::Revealed { channel, word, .. } = &event.kind {
            let fits = |it: &&RoutedPayment| it.down() == *channel && it.place_of(word).is_some();
            let known = routes.iter().find(fits).map(RoutedPayment::payment);
            hearsay.words.extend(known.map(|it| (it, word.clone())));
            // Words that fit nothing cost many hashes.
            tokio::task::yield_now().await;
        }
        if matches!(event.kind, EventKind::Closing { .. }) {
            hearsay.closings.push(event);
        }
    }
    hearsay
}

async fn agreed(chain: &dyn Chain, outlook: Outlook) -> Result<News, Missed> {
    let head = chain.head().await?;
    let mut from = outlook
        .first
        .unwrap_or(head.number.saturating_sub(FIRST_LOOK));
    let mut rewound = false;
    if let Some(cursor) = outlook.cursor {
        if head.number < cursor.number {
            // One of several nodes behind one door lags: it takes nothing back, it knows less.
            return Err(Missed::Behind);
        }
        from = cursor.number.saturating_add(1);
        if chain
            .block(cursor.number)
            .await?
            .is_none_or(|it| it.hash != cursor.hash)
        {
            from = from.saturating_sub(REWIND);
            rewound = true;
        }
    }
    let mut older = outlook.older;
    if let (Some(older), Some(cursor)) = (&mut older, outlook.cursor)
        && !rewound
        && let Err(error) = older.look(chain, cursor.number, &outlook.own).await
    {
        tracing::warn!(%error, "older blocks are not heard yet");
    }
    // Who is paid, and who pays.
    let mut channels = outlook.own.0.clone();
    channels.extend(older.iter().flat_map(Older::found));
    channels.extend(outlook.held.iter().copied());
    let whom = Interest::of(outlook.own.1.clone(), channels);
    let mut reread = Vec::new();
    for id in outlook.held.into_iter().filter(|_| rewound) {
        reread.push((id, chain.channel(id).await?));
    }
    let to = head.number.min(from.saturating_add(MAX_BLOCKS - 1));
    let events = if from <= to {
        chain.events_of(from, to, whom).await?
    } else {
        Vec::new()
    };
    let from_pot = from_pot(chain, &events, outlook.own).await?;
    let deep = head
        .number
        .saturating_add(1)
        .checked_sub(outlook.confirmations);
    let safe = match deep.map(|it| it.min(to)) {
        Some(number) if number >= from || rewound => chain.block(number).await?,
        Some(_) | None => None,
    };
    let fees = chain.fees_heard().await?;
    let gas_price = fees.base_fee.checked_add(fees.tip).unwrap_or(Amount::MAX);
    // If the newest block changed meanwhile, the events may be of another history.
    let same = chain
        .block(head.number)
        .await?
        .is_some_and(|it| it.hash == head.hash);
    let behind = to < head.number;
    if same {
        Ok(News {
            head,
            safe,
            events,
            gas_price,
            behind,
            from,
            from_pot,
            reread,
            older,
            hearsay: None,
        })
    } else {
        let message = "the newest block changed under the question".to_owned();
        Err(ChainError::Busy { code: 0, message }.into())
    }
}

/// An event says that a channel was filled, not from where; the call that did it does.
async fn from_pot(
    chain: &dyn Chain,
    events: &[ChainEvent],
    (mut channels, keys): (BTreeSet<ChannelId>, BTreeSet<PayoutAddress>),
) -> Result<BTreeMap<TxHash, Amount>, ChainError> {
    let mut sums = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::Opened {
                channel, params, ..
            } if keys.contains(&params.payer) => {
                channels.insert(*channel);
            }
            EventKind::ToppedUp { channel, .. } if channels.contains(channel) => {}
            EventKind::Opened { .. }
            | EventKind::ToppedUp { .. }
            | EventKind::Deposited { .. }
            | EventKind::Withdrawn { .. }
            | EventKind::BeneficiaryChanged { .. }
            | EventKind::Claimed { .. }
            | EventKind::Closed { .. }
            | EventKind::Closing { .. }
            | EventKind::Revealed { .. } => continue,
        }
        let call = match chain.calldata(event.tx).await {
            Ok(call) => call,
            // It is for the books alone: one that keeps no index of transactions must not stop all news.
            Err(error) if error.is_unagreed() => None,
            Err(error) => return Err(error),
        };
        sums.extend(
            call.and_then(|it| taken_from_pot(&it))
                .map(|it| (event.tx, it)),
        );
    }
    Ok(sums)
}
