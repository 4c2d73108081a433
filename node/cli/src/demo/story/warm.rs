//! `up` on a channel that is there already.

use std::time::Instant;

use warren_daemon::api::types::{ConsumerView, DownReport, Ledger, LedgerKind};

use super::super::cast::{Cast, DemoError};
use super::super::node::{Node, NodeError};
use super::super::plan::WEB_PORT;
use super::super::report::Report;
use super::super::web::Download;
use super::super::world::World;
use super::{Teller, millis, up};

/// A second `up` to the same exit: the channel is there already, so the chain is not asked for anything.
pub(super) fn up_again(
    world: &World,
    cast: &Cast,
    cold: &ConsumerView,
    report: &mut Report,
    teller: &mut dyn Teller,
) -> Result<(), DemoError> {
    let before = transactions(&cast.consumer)?;
    let exit = cold.exit.to_string();
    teller.doing("bringing up the tunnel again");
    let begun = Instant::now();
    let warm = up(&cast.consumer, &["up", &exit])?;
    report.up_warm_ms = millis(begun);
    report.up_warm_transactions = transactions(&cast.consumer)?.saturating_sub(before);
    let server = format!("{}:{WEB_PORT}", world.plan().web.public_v4());
    cast.consumer
        .part::<Download>(&["demo", "fetch", &server, "/who"])?;
    if warm.channel != cold.channel {
        report
            .unmet
            .push("the second `up` took another channel".to_owned());
    }
    cast.consumer.ask::<DownReport>(&["down"])?;
    teller.done(&format!(
        "up again    {} ms on the same channel, {} transactions",
        report.up_warm_ms, report.up_warm_transactions
    ));
    Ok(())
}

fn transactions(node: &Node) -> Result<u64, NodeError> {
    let ledger: Ledger = node.ask(&["ledger"])?;
    let fees = ledger
        .entries
        .iter()
        .filter(|it| it.kind == LedgerKind::Fee || it.transaction.is_some());
    Ok(fees.count() as u64)
}
