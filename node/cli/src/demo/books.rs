//! Reads the contract's books from a chain: every channel and every account that its events name.

use std::collections::{BTreeMap, BTreeSet};

use warren_payments::chain::rpc::RpcChain;
use warren_payments::chain::{Chain, ChainError, ChannelStatus, EventKind};
use warren_proto::{Amount, AmountOverflow, ChainRef, ChannelId, PayoutAddress};

use super::report::Books;

/// Blocks asked for at a time.
const STRIDE: u64 = 500;

/// Why the books could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The chain did not answer, or is another one.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The sums are beyond what the contract can hold.
    #[error(transparent)]
    Overflow(#[from] AmountOverflow),
}

/// Reads them as of the newest block.
///
/// # Errors
/// [`BooksError`].
pub async fn read(url: &str, pins: ChainRef) -> Result<Books, BooksError> {
    let chain = RpcChain::connect(url, pins).await?;
    let head = chain.head().await?;
    let mut channels: BTreeSet<ChannelId> = BTreeSet::new();
    let mut owners: BTreeSet<PayoutAddress> = BTreeSet::new();
    let mut from = 0;
    while from <= head.number {
        let to = (from + STRIDE - 1).min(head.number);
        for event in chain.events(from, to).await? {
            note(&event.kind, &mut channels, &mut owners);
        }
        from = to + 1;
    }
    let mut books = Books {
        block: head.number,
        contract_tokens: chain.token_balance(pins.contract).await?,
        ..Books::default()
    };
    for id in channels {
        let Some(state) = chain.channel(id).await? else {
            continue; // Its opening was taken back by a reorganisation.
        };
        books.claimed.insert(id, state.claimed);
        if state.status == ChannelStatus::Open {
            let locked = state.deposit.checked_sub(state.claimed)?;
            books.locked_in_channels = books.locked_in_channels.checked_add(locked)?;
        }
    }
    for owner in owners {
        let free = chain.balance(owner).await?;
        books.free_in_contract = books.free_in_contract.checked_add(free)?;
    }
    Ok(books)
}

fn note(
    event: &EventKind,
    channels: &mut BTreeSet<ChannelId>,
    owners: &mut BTreeSet<PayoutAddress>,
) {
    match event {
        EventKind::Deposited { owner, .. }
        | EventKind::Withdrawn { owner, .. }
        | EventKind::BeneficiaryChanged { owner, .. } => {
            owners.insert(*owner);
        }
        EventKind::Opened {
            channel, params, ..
        } => {
            channels.insert(*channel);
            owners.extend([params.payer, params.payee]);
        }
        EventKind::ToppedUp { channel, payee, .. }
        | EventKind::Claimed { channel, payee, .. }
        | EventKind::Closing { channel, payee, .. }
        | EventKind::Closed { channel, payee, .. } => {
            channels.insert(*channel);
            owners.insert(*payee);
        }
        EventKind::Revealed { channel, .. } => {
            channels.insert(*channel);
        }
    }
}

/// The sum of all claims, for a channel list that one party knows.
#[must_use]
pub fn claimed_on(books: &Books, channel: ChannelId) -> Amount {
    let claimed: &BTreeMap<ChannelId, Amount> = &books.claimed;
    claimed.get(&channel).copied().unwrap_or(Amount::ZERO)
}
