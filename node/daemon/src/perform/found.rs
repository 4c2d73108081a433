//! Channels that were found on the chain: their payees are asked what they hold, before another one is opened.
//!
//! A wallet that was restored knows its channels again, and not what it promised in them (ADR 0015). What is held of a
//! channel, the payer's own signatures prove; who is paid by it, any node may say, and whoever shows them is.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;
use warren_overlay::Overlay;
use warren_payments::{ChannelView, Phase, Role};
use warren_proto::{
    Amount, ChannelAnswer, ChannelId, NodeId, PayoutAddress, RouterHint, SessionTerms,
};

use super::{Purse, RouteWish, Ways, ask_payee, problem};
use crate::error::Problem;
use crate::route::Kind;

// Our choices. Together they are well within the time that a session's funding has.
/// For a payee to show what it holds of its channels.
const SHOW_WAIT: Duration = Duration::from_secs(20);
/// For routers to be found and to say by which account they are paid.
const SEARCH_WAIT: Duration = Duration::from_secs(30);
/// For a store that is new to hear what the chain has to say.
const HEAR_WAIT: Duration = Duration::from_secs(60);

/// A store that has not heard everything does not know which channels there are.
pub(crate) async fn hear_chain(purse: &Purse) -> Result<(), Problem> {
    let payments = purse.payments();
    let heard = async {
        while !payments.has_heard().await? {
            payments.refresh().await?;
        }
        Ok(())
    };
    match timeout(HEAR_WAIT, heard).await {
        Ok(heard) => heard.map_err(|it| problem(&it)),
        Err(_) => {
            tracing::info!("the chain has more to say than is waited for");
            Ok(())
        }
    }
}

/// Channels that this node pays by and of whose state it knows nothing.
async fn unknown(purse: &Purse) -> Result<Vec<ChannelView>, Problem> {
    let views = purse.payments().channels().await;
    let mut views = views.map_err(|it| problem(&it))?;
    views.retain(is_unknown);
    Ok(views)
}

fn is_unknown(it: &ChannelView) -> bool {
    it.role == Role::Payer && it.phase == Phase::Open && !it.usable && !it.shared
}

/// Whether this node may pay by a channel without a deposit: by what is left of it, or by what its payee will say
/// that is left.
fn may_pay(it: &ChannelView) -> bool {
    it.role == Role::Payer && it.usable && it.deposit > it.value || is_unknown(it)
}

/// Whom this node may pay without a deposit.
pub(crate) async fn payees(purse: &Purse) -> Result<Vec<PayoutAddress>, Problem> {
    let views = purse.payments().channels().await;
    let views = views.map_err(|it| problem(&it))?;
    let paying = views.iter().filter(|it| may_pay(it));
    Ok(paying.map(|it| it.params.payee).collect())
}

/// Asks the exit of this session for the state of each channel to it that is not known.
pub(super) async fn ask_exit(
    purse: &Purse,
    ways: &Ways<'_>,
    terms: &SessionTerms,
) -> Result<(), Problem> {
    let mut found = unknown(purse).await?;
    found.retain(|it| it.params.payee == terms.payee);
    let asked: Vec<_> = found.iter().map(|it| (it.id, terms.provider)).collect();
    ask(purse, ways, &asked).await;
    Ok(())
}

/// Own channels to routers that can pay, and each one's node: a router says itself that it is one.
///
/// What was found on the chain names an account and no node: which one it is, routers are asked.
pub(super) async fn routers(
    purse: &Purse,
    ways: &Ways<'_>,
) -> Result<Vec<(ChannelId, NodeId)>, Problem> {
    let routes = &ways.routes.routes;
    let found = unknown(purse).await?;
    let strange = found.iter().any(|it| routes.neighbour(it.id).is_none());
    let hints = if strange {
        timeout(SEARCH_WAIT, hints(ways)).await.unwrap_or_default()
    } else {
        Vec::new()
    };
    let mut asked = Vec::new();
    for it in &found {
        // One that pays for what this node routes stays that, though its payee routes too.
        match routes.neighbour(it.id) {
            Some(known) => asked.push((it.id, known.node)),
            None => find_router(purse, ways, it, &hints).await?,
        }
    }
    ask(purse, ways, &asked).await;

    let views = purse.payments().channels().await;
    let views = views.map_err(|it| problem(&it))?;
    let open = views
        .iter()
        .filter(|it| it.role == Role::Payer && it.phase == Phase::Open && it.usable);
    let known = open.filter_map(|it| Some((it.id, routes.neighbour(it.id)?)));
    let routers = known.filter(|(_, it)| it.kind == Kind::Router);
    Ok(routers.map(|(channel, it)| (channel, it.node)).collect())
}

/// Finds the node that is paid by a channel among those that say so.
///
/// # Errors
/// [`Problem`] if it cannot be saved.
async fn find_router(
    purse: &Purse,
    ways: &Ways<'_>,
    it: &ChannelView,
    hints: &[RouterHint],
) -> Result<(), Problem> {
    let (payments, id) = (purse.payments(), it.id.short());
    let said = hints.iter().filter(|hint| hint.payee == it.params.payee);
    let asked = said.map(|hint| async {
        let answer = ask_payee(ways.overlay, payments, hint.node, it.id, false);
        let answer = timeout(SHOW_WAIT, answer).await.ok()?.ok()?;
        Some((hint.node, answer))
    });
    let asked = join_all(asked).await;
    let alone = asked.len() == 1;
    let answers = asked.into_iter().flatten();
    for (node, answer) in answers.filter(|(_, answer)| is_believed(answer, alone, it.claimed)) {
        if let Err(error) = payments.payee_shows(answer).await {
            (ways.tell)(not_shown(&node.short(), &id, &error.to_string()));
            continue;
        }
        ways.routes.routes.meets_router(it.id, node).await?;
        (ways.tell)(found_again(&node.short(), &id));
        return Ok(());
    }
    (ways.tell)(format!(
        "found channel {id}, but no router shows that it is paid by it; going on without it. \
         Its deposit comes back with: warren channel close {id} --now"
    ));
    Ok(())
}

/// Whether a node that says that it is paid by a channel is believed: it shows what this wallet signed. One that has
/// nothing to show is, as long as nothing was claimed and no other node says the same.
fn is_believed(answer: &ChannelAnswer, alone: bool, claimed: Amount) -> bool {
    answer.voucher.is_some() || (alone && claimed == Amount::ZERO)
}

/// The terms of the router that is wished for, or of all that are known of.
async fn hints(ways: &Ways<'_>) -> Vec<RouterHint> {
    let routes = &ways.routes.routes;
    let named = match &ways.routes.wish {
        RouteWish::Through(text) => text.to_ascii_lowercase().parse::<NodeId>().ok(),
        RouteWish::Auto | RouteWish::Direct => None,
    };
    let said = match named {
        Some(node) => routes.terms_of(node).await.map(|it| vec![it]),
        None => routes.found().await,
    };
    match said {
        Ok(said) => said.iter().map(|it| *it.hint()).collect(),
        Err(problem) => {
            tracing::info!(seen = %problem.seen, "no router says by which account it is paid");
            Vec::new()
        }
    }
}

/// Asks each payee's node; whoever does not answer is passed over, aloud.
async fn ask(purse: &Purse, ways: &Ways<'_>, asked: &[(ChannelId, NodeId)]) {
    for (channel, node) in asked.iter().copied() {
        let (name, id) = (node.short(), channel.short());
        match timeout(SHOW_WAIT, see(ways.overlay, purse, (channel, node))).await {
            Ok(Ok(())) => (ways.tell)(found_again(&name, &id)),
            Ok(Err(problem)) => (ways.tell)(not_shown(&name, &id, &problem.seen)),
            Err(_) => (ways.tell)(not_shown(&name, &id, "it did not answer in time")),
        }
    }
}

/// Has a payee show what it holds of a channel.
///
/// # Errors
/// [`Problem`] if its node does not, or shows what is no proof.
pub(crate) async fn see(
    overlay: &Overlay,
    purse: &Purse,
    (channel, node): (ChannelId, NodeId),
) -> Result<(), Problem> {
    let payments = purse.payments();
    let answer = ask_payee(overlay, payments, node, channel, false).await?;
    let taken = payments.payee_shows(answer).await;
    taken.map(|_| ()).map_err(|it| problem(&it))
}

fn found_again(node: &str, channel: &str) -> String {
    format!("found channel {channel} again; {node} says what it holds of it")
}

fn not_shown(node: &str, channel: &str, seen: &str) -> String {
    format!(
        "found channel {channel}, but {node} does not say what it holds of it ({seen}); going on without it. \
         Its deposit comes back with: warren channel close {channel} --now"
    )
}

#[cfg(test)]
mod tests {
    use warren_proto::Voucher;

    use super::*;

    /// Anybody may name the account that a channel pays.
    #[test]
    fn a_node_that_shows_nothing_is_believed_only_where_there_is_nothing_to_show() {
        let channel = ChannelId::from_bytes([1; 32]);
        let bare = ChannelAnswer {
            channel,
            voucher: None,
            best: Vec::new(),
            consent: None,
        };
        let voucher = Voucher {
            channel,
            seq: 1,
            base: Amount::ZERO,
            locks: Vec::new(),
            signature: [0; 64],
        };
        let signed = ChannelAnswer {
            voucher: Some(voucher),
            ..bare.clone()
        };
        let one = Amount::from_wei_u64(1);
        assert!(is_believed(&signed, false, one));
        assert!(is_believed(&bare, true, Amount::ZERO));
        assert!(!is_believed(&bare, false, Amount::ZERO), "which of them?");
        assert!(!is_believed(&bare, true, one), "something was signed");
    }
}
