//! What the two ends of a channel ask each other beside sessions.

use std::time::Duration;

use warren_overlay::{Overlay, SessionStream};
use warren_payments::Payments;
use warren_proto::{ChannelAnswer, ChannelAsk, ChannelId, NodeId, SessionFrame};

use super::{Purse, problem};
use crate::error::{ErrorCode, Problem};

/// How long a payer waits for the payee's answer.
const ANSWER_WAIT: Duration = Duration::from_secs(20);

fn unreachable(seen: String) -> Problem {
    Problem::new(ErrorCode::NodeUnreachable, seen)
}

/// Says one frame to a node on a fresh stream, and hears its answer: `None` if it hangs up. Whoever asks
/// bounds the time.
///
/// # Errors
/// [`Problem`] if it cannot be reached.
pub(crate) async fn say(
    overlay: &Overlay,
    node: NodeId,
    frame: SessionFrame,
) -> Result<(SessionStream, Option<SessionFrame>), Problem> {
    let stream = overlay.open_session(node).await;
    let mut stream = stream.map_err(|error| unreachable(error.to_string()))?;
    let sent = stream.send(frame).await;
    sent.map_err(|error| unreachable(error.to_string()))?;
    let answer = stream.recv().await;
    let answer = answer.map_err(|error| unreachable(error.to_string()))?;
    Ok((stream, answer))
}

/// Payer: asks the payee's node what it holds of a channel, on a stream of its own.
pub(crate) async fn ask_payee(
    overlay: &Overlay,
    payments: &Payments,
    node: NodeId,
    channel: ChannelId,
    close: bool,
) -> Result<ChannelAnswer, Problem> {
    let ask = payments.sign_ask(channel, node, close).await;
    let ask = ask.map_err(|it| problem(&it))?;
    let asked = say(overlay, node, SessionFrame::ChannelAsk(Box::new(ask)));
    let answer = tokio::time::timeout(ANSWER_WAIT, asked).await;
    let silent = |_| unreachable(format!("{} did not answer in time", node.short()));
    let (_, answer) = answer.map_err(silent)??;
    match answer {
        Some(SessionFrame::ChannelAnswer(answer)) if answer.channel == channel => Ok(*answer),
        Some(SessionFrame::PayError { code, .. }) => {
            Err(Problem::new(ErrorCode::PaymentRefused, code))
        }
        Some(other) => {
            let seen = format!("{} answered with {}", node.short(), other.name());
            Err(Problem::new(ErrorCode::PaymentRefused, seen))
        }
        None => Err(unreachable(format!("{} hung up", node.short()))),
    }
}

/// Payee: what it says to such a question.
pub(crate) async fn answer_payer(purse: &Purse, own: NodeId, ask: ChannelAsk) -> SessionFrame {
    let channel = ask.channel.id(&purse.payments().chain_ref());
    match purse.payments().answer_ask(ask, own).await {
        Ok(answer) => SessionFrame::ChannelAnswer(Box::new(answer)),
        Err(error) => SessionFrame::PayError {
            channel,
            code: error.code(),
            detail: error.code().to_string(),
        },
    }
}
