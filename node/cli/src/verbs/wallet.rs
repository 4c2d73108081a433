//! `warren wallet …`.

use warren_daemon::error::{ErrorCode, Problem};

use super::{Desk, Told};
use crate::args::WalletVerb;

pub(super) async fn run(_desk: &mut Desk<'_>, _verb: &WalletVerb) -> Told {
    Err(Problem::new(
        ErrorCode::WalletMissing,
        "no wallet in this build",
    ))
}
