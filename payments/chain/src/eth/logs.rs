//! The contract's events, asked for in pieces that the node is willing to give.
//!
//! Public nodes refuse more than some thousands of blocks, of logs, or of bytes, each its own number, and say
//! so in words of their own. So whatever is refused is asked for in smaller pieces, down to one block, and
//! then by name: whoever fills a block with events of its own makes nobody deaf.

use serde_json::{Value, json};

use super::EthNode;
use super::read::{Log, nonsense, read_log};
use crate::json::{hex_bytes, quantity};
use crate::{ChainError, ChainEvent, Interest};

const METHOD: &str = "eth_getLogs";
/// Blocks asked for at once; public nodes refuse more than some thousands. Our choice.
const MOST_BLOCKS: u64 = 1000;

/// The events in blocks `from..=to` that `whom` wants, in the order of the chain.
pub(super) async fn events<T: EthNode>(
    node: &T,
    (from, to): (u64, u64),
    mut whom: Interest,
) -> Result<Vec<ChainEvent>, ChainError> {
    let (mut all, mut start, mut span) = (Vec::new(), from, MOST_BLOCKS);
    while start <= to {
        let end = to.min(start.saturating_add(span.saturating_sub(1)));
        let heard = match ask(node, (start, end), &whom.wide()).await {
            Ok(answer) => read(node, (start, end), &answer)?,
            Err(error) if end > start && is_too_much(&error) => {
                // A node that does not answer in time is not asked ten times.
                let parts = if matches!(error, ChainError::TimedOut { .. }) {
                    8
                } else {
                    2
                };
                let asked = end.saturating_sub(start).saturating_add(1);
                span = (asked / parts).max(1);
                continue;
            }
            Err(error) if is_too_much(&error) => by_name(node, start, &mut whom, error).await?,
            Err(error) => return Err(error),
        };
        all.extend(whom.keep(heard));
        span = span.saturating_mul(2).min(MOST_BLOCKS);
        match end.checked_add(1) {
            Some(next) => start = next,
            None => break,
        }
    }
    Ok(all)
}

/// One block that is too much for the node as a whole.
async fn by_name<T: EthNode>(
    node: &T,
    block: u64,
    whom: &mut Interest,
    refused: ChainError,
) -> Result<Vec<ChainEvent>, ChainError> {
    if matches!(refused, ChainError::TimedOut { .. }) {
        return Err(refused);
    }
    let at = (block, block);
    let mut heard = Vec::new();
    for topics in whom.openings() {
        heard.extend(read(node, at, &ask(node, at, &topics).await?)?);
    }
    // What was opened in this very block is asked for by its name too.
    let _opened = whom.keep(heard.clone());
    for topics in whom.others() {
        heard.extend(read(node, at, &ask(node, at, &topics).await?)?);
    }
    heard.sort_by_key(|it| it.log_index);
    heard.dedup();
    Ok(heard)
}

async fn ask<T: EthNode>(
    node: &T,
    (from, to): (u64, u64),
    topics: &Value,
) -> Result<Value, ChainError> {
    let filter = json!({
        "address": hex_bytes(node.pins().contract.as_bytes()),
        "fromBlock": quantity(from),
        "toBlock": quantity(to),
        "topics": topics,
    });
    node.ask(METHOD, json!([filter])).await
}

fn read<T: EthNode>(
    node: &T,
    (from, to): (u64, u64),
    answer: &Value,
) -> Result<Vec<ChainEvent>, ChainError> {
    let contract = node.pins().contract;
    let logs = answer
        .as_array()
        .ok_or_else(|| nonsense(METHOD, "no list"))?;
    let mut events = Vec::with_capacity(logs.len());
    for log in logs {
        match read_log(log, contract) {
            Log::Ours(event) if (from..=to).contains(&event.block) => events.push(event),
            Log::Foreign => {}
            Log::Ours(_) => return Err(nonsense(METHOD, "a log outside the range asked for")),
            Log::Unreadable => return Err(nonsense(METHOD, "an unreadable log")),
        }
    }
    events.sort_by_key(|it| (it.block, it.log_index));
    Ok(events)
}

/// Whether the node may give a smaller piece: nodes agree neither on a code nor on words, so only what
/// surely has another reason is left out.
fn is_too_much(error: &ChainError) -> bool {
    match error {
        ChainError::Refused { .. } | ChainError::TimedOut { .. } | ChainError::Nonsense { .. } => {
            true
        }
        ChainError::Busy { code, message } => {
            let said = message.to_lowercase();
            let other = ["rate", "too many requests", "syncing", "header not found"];
            !matches!(code, 0 | 429) && !other.iter().any(|it| said.contains(it))
        }
        ChainError::Unreachable { .. }
        | ChainError::Mismatch { .. }
        | ChainError::NoQuorum { .. }
        | ChainError::Disputed { .. }
        | ChainError::Reverted(_)
        | ChainError::NonceTooLow
        | ChainError::Underpriced
        | ChainError::NoGasMoney
        | ChainError::BadUrl { .. } => false,
    }
}
