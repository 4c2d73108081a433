//! The consumer's words stop: its way to the exit's libp2p port is cut while the tunnel's is not.

use std::time::Duration;

use warren::demo::settings::{CREDIT_UNITS, MAX_CREDIT_UNITS};
use warren::demo::wait;
use warren_daemon::api::types::ExitStatus;
use warren_proto::{Amount, Credit};

use crate::stage::{Stage, one_exit};

/// Drops the overlay on the consumer's home router, and nothing else.
const CUT: &str = "table inet cut {\nchain through {\ntype filter hook forward priority -10\n\
    udp dport 4077 drop\nudp sport 4077 drop\ntcp dport 4077 drop\ntcp sport 4077 drop\n}\n}\n";

#[test]
fn an_exit_that_is_paid_no_more_serves_at_most_its_credit() {
    let Some(stage) = Stage::set("nopay", &one_exit()) else {
        return;
    };
    let view = stage.up(&["up", "--fallback", "none"]);
    let channel = view.channel.expect("a paid session");
    assert!(stage.download(4 << 20, 60).is_some());

    stage
        .world
        .router(&stage.world.plan().consumer)
        .nft(CUT)
        .expect("the cut");
    let served_before = served(&stage);
    assert!(
        stage.download(256 << 20, 10).is_none(),
        "it stops long before the end"
    );
    let unpaid_at_worst = wait::until(
        "a guest that is served no more",
        Duration::from_secs(60),
        || {
            let first = served(&stage);
            std::thread::sleep(Duration::from_millis(500)); // Long enough for a served guest to move on.
            if served(&stage) == first {
                Ok(unpaid(&stage))
            } else {
                Err(format!("{first} bytes"))
            }
        },
    );
    let guests = exit_status(&stage).guests;
    let bound = guests.iter().map(|it| it.at_risk.base_units).max();
    assert!(unpaid_at_worst.expect("a pause") <= bound.expect("a guest"));
    // One unit is 1 MiB here. Beside the credit, the word paid ahead and the rest of the unit begun are served.
    let credit = Credit {
        first: CREDIT_UNITS,
        most: MAX_CREDIT_UNITS,
    };
    let most = (credit.units(served_before >> 20) + 2) << 20;
    let extra = served(&stage).saturating_sub(served_before);
    assert!(extra <= most, "{extra} bytes were served unpaid");
    let held = stage.held_by_exit(0, channel).paid.base_units;
    stage.cast.claim(0).expect("a claim");
    stage.claimed_when(channel, held);
    stage.strike();
}

fn exit_status(stage: &Stage) -> ExitStatus {
    stage.cast.exits[0]
        .ask(&["exit", "status"])
        .expect("a status")
}

fn served(stage: &Stage) -> u64 {
    let guests = exit_status(stage).guests;
    guests
        .iter()
        .map(|it| it.used.up_bytes.bytes() + it.used.down_bytes.bytes())
        .sum()
}

fn unpaid(stage: &Stage) -> Amount {
    let guests = exit_status(stage).guests;
    let unpaid = guests
        .iter()
        .map(|it| it.due.base_units.saturating_sub(it.paid.base_units));
    unpaid.max().unwrap_or(Amount::ZERO)
}
