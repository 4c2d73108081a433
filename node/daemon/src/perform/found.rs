//! Channels that were found on the chain: their payees are asked what they hold, before another one is opened.
//!
//! A wallet that was restored knows its channels again, and not what it promised in them (ADR 0015). Who is paid by
//! a channel, its node says by its signed terms; what is held of it, the payer's own signatures prove.

use std::time::Duration;

use tokio::time::timeout;
use warren_overlay::Overlay;
use warren_payments::{ChannelView, Phase, Role};
use warren_proto::{ChannelId, NodeId, RouterHint, SessionTerms};

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
pub(super) async fn hear_chain(purse: &Purse) -> Result<(), Problem> {
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
    let is_open = |it: &ChannelView| it.role == Role::Payer && it.phase == Phase::Open;
    views.retain(|it| is_open(it) && !it.usable && !it.shared);
    Ok(views)
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
        if let Some(known) = routes.neighbour(it.id) {
            asked.push((it.id, known.node));
            continue;
        }
        match hints.iter().find(|hint| hint.payee == it.params.payee) {
            Some(hint) => {
                routes.meets_router(it.id, hint.node).await?;
                asked.push((it.id, hint.node));
            }
            None => (ways.tell)(format!(
                "found channel {}, but no router says that it is paid by it; going on without it",
                it.id.short()
            )),
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
            Ok(Ok(())) => (ways.tell)(format!(
                "found channel {id} again; {name} says what it holds of it"
            )),
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

fn not_shown(node: &str, channel: &str, seen: &str) -> String {
    format!(
        "found channel {channel}, but {node} does not say what it holds of it ({seen}); going on without it. \
         Its deposit comes back with: warren channel close {channel} --now"
    )
}
