//! `warren swarm …`: experiments in virtual time.

use warren_daemon::error::{ErrorCode, Problem};

use super::{Desk, Told};
use crate::args::SwarmVerb;

pub(super) fn run(desk: &mut Desk<'_>, verb: &SwarmVerb) -> Told {
    let SwarmVerb::Run {
        scenario,
        seed,
        out,
    } = verb;
    desk.screen
        .doing(&format!("running {} with seed {seed}", scenario.display()));
    let seen = format!(
        "no lab in this build to run {} into {}",
        scenario.display(),
        out.display()
    );
    Err(Problem::new(ErrorCode::BadScenario, seen))
}
