//! Which name servers an exit gives its guests.

use std::net::IpAddr;

use warren_tunnel::policy::{ExitPolicy, Transport};

use crate::error::{ErrorCode, Problem};

/// As many as session terms may name.
const MOST: usize = 4;
const PORT: u16 = 53;

/// Those of the configuration, or else those that `own` asks itself and guests may reach too.
///
/// # Errors
/// A configured one that the policy keeps guests from: the exit would give them names in vain. None at all: then
/// no name would be found through this exit.
pub(super) fn for_guests(
    configured: &[String],
    own: &[IpAddr],
    policy: &ExitPolicy,
) -> Result<Vec<IpAddr>, Problem> {
    let reached = |it: &IpAddr| policy.allows(*it, Transport::Udp, PORT);
    let asked: Vec<IpAddr> = configured.iter().filter_map(|it| it.parse().ok()).collect();
    if let Some(hidden) = asked.iter().find(|it| !reached(it)) {
        let seen = format!(
            "exit.dns {hidden}: policy {} lets no guest reach its port {PORT}",
            policy.name()
        );
        return Err(Problem::new(ErrorCode::ConfigBadValue, seen));
    }
    if !asked.is_empty() {
        return Ok(asked);
    }
    let found: Vec<IpAddr> = own.iter().copied().filter(reached).take(MOST).collect();
    if found.is_empty() {
        let seen = format!(
            "exit.dns is not set, and guests reach none of this machine's own resolvers {own:?}: they would find no names"
        );
        let lack = Problem::new(ErrorCode::ConfigMissing, seen);
        return Err(lack.with_next("warren config explain exit.dns"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use warren_tunnel::policy::Preset;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_resolver_inside_the_owners_home_is_refused_aloud_or_left_out() {
        let policy = ExitPolicy::preset(Preset::WebAndDns);
        let given = |configured: &[&str], own: &[&str]| {
            let texts: Vec<_> = configured.iter().map(|it| (*it).to_owned()).collect();
            let own: Vec<_> = own.iter().map(|it| ip(it)).collect();
            for_guests(&texts, &own, &policy)
        };
        let router = "192.168.1.1";
        assert_eq!(given(&["9.9.9.9"], &[router]).unwrap(), [ip("9.9.9.9")]);
        let problem = given(&["9.9.9.9", router], &[]).unwrap_err();
        assert!(problem.seen.contains(router), "{}", problem.seen);
        let own = [router, "127.0.0.53", "1.1.1.1", "fd00::1", "2620:fe::fe"];
        let kept = [ip("1.1.1.1"), ip("2620:fe::fe")];
        assert_eq!(given(&[], &own).unwrap(), kept);
        // Docker's own, a home router, none: an exit that gives no names is told before anybody pays it.
        for own in [&["127.0.0.11"][..], &[router], &[]] {
            let problem = given(&[], own).unwrap_err();
            assert!(problem.is(ErrorCode::ConfigMissing), "{problem}");
            assert!(problem.seen.contains("exit.dns"), "{}", problem.seen);
        }
    }
}
