//! Whether programs can be told the resolvers of a tunnel: asked before an exit is paid for it.

use std::net::IpAddr;

use warren_tunnel::host::{DnsSpec, check_names};

use super::asked::tells_names;
use crate::error::Problem;

/// What would fail once a tunnel is up. `None` if programs can be told, or need not be with these resolvers of the
/// user's own.
pub(crate) async fn cannot_tell_names(own: &[IpAddr]) -> Option<Problem> {
    if !tells_names(own) {
        return None;
    }
    let finding = check_names(&DnsSpec::default()).await?;
    Some(Problem::of_finding(&finding))
}
