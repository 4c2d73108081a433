//! The download through the exit, and what the exit sees meanwhile.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use warren_daemon::api::types::ExitStatus;
use warren_proto::Amount;

use super::super::body::Body;
use super::super::cast::{Cast, DemoError};
use super::super::node::Node;
use super::super::plan::{WEB_NAME, WEB_PORT};
use super::super::report::Report;
use super::super::web::Download;
use super::super::world::World;
use super::Task;

/// From which the web server makes its bytes.
const SEED: u64 = 0x5741_5252_454e;

/// The look at which the exit had the largest part of what it risks delivered unpaid. Both are of one look: what it risks
/// grows with what is paid.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Worst {
    /// Delivered and not yet paid.
    pub(super) unpaid: Amount,
    /// How much that may be.
    pub(super) bound: Amount,
}

/// Downloads while watching, at the exit, how much is delivered and not yet paid.
pub(super) fn watched(
    task: &Task,
    world: &World,
    cast: &Cast,
    index: usize,
    report: &mut Report,
) -> Result<Worst, DemoError> {
    let web = &world.plan().web;
    let path = format!("/body/{SEED}/{}", task.bytes);
    let server = format!("{WEB_NAME}:{WEB_PORT}");
    let args = ["demo", "fetch", &server, &path, "--patience", "60"];
    let (consumer, exit) = (&cast.consumer, &cast.exits[index]);
    let (download, worst) = std::thread::scope(|scope| {
        let fetching = scope.spawn(|| consumer.part::<Download>(&args));
        let mut worst = Worst::default();
        while !fetching.is_finished() {
            worst.watch(exit);
            std::thread::sleep(Duration::from_millis(100));
        }
        (fetching.join(), worst)
    });
    let download = download.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    report.bytes_delivered = download.bytes;
    report.sha256_match = download.sha256 == Body::new(SEED, task.bytes).sha256();
    report.download_bits_per_second = download.bytes * 8 * 1000 / download.millis.max(1);
    for address in web.public() {
        let server = SocketAddr::new(address, WEB_PORT).to_string();
        consumer.part::<Download>(&["demo", "fetch", &server, "/who"])?;
    }
    let mut sources: Vec<IpAddr> = cast.visits().iter().map(|it| it.from).collect();
    sources.sort();
    sources.dedup();
    let own = world.plan().exits[index].public();
    let only_own = |seen: &[IpAddr]| !seen.is_empty() && seen.iter().all(|it| own.contains(it));
    report.source_is_exit = only_own(&sources);
    report.source_seen_by_server = sources;
    report.names_asked_from = cast.askers();
    report.names_by_exit = only_own(&report.names_asked_from);
    Ok(worst)
}

impl Worst {
    fn watch(&mut self, exit: &Node) {
        let Ok(status) = exit.ask::<ExitStatus>(&["exit", "status"]) else {
            return; // Too busy to answer now: the next look counts.
        };
        for guest in &status.guests {
            let look = Self {
                unpaid: guest.due.base_units.saturating_sub(guest.paid.base_units),
                bound: guest.at_risk.base_units,
            };
            if look.share() >= self.share() {
                *self = look;
            }
        }
    }

    /// Millionths of the bound that are unpaid.
    fn share(&self) -> u128 {
        let unpaid = self.unpaid.wei().saturating_mul(1_000_000);
        unpaid.checked_div(self.bound.wei()).unwrap_or(unpaid)
    }
}
