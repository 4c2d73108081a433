//! What went wrong on this machine's network, as its users see it.

use warren_tunnel::host::{Finding, HostError, guests_key};

use super::machine::one_line;
use super::{ErrorCode, Problem};

/// How one is allowed to change the network without being root all the time. Files of root's stay out of reach.
const RIGHTS: &str = "sudo warren daemon, or: sudo setcap cap_net_admin,cap_setuid+ep on the program, and for a tunnel \
     consumer.dns = [\"127.0.0.1\"]";
/// What to do where `resolv.conf` cannot be replaced.
const NAMES: &str =
    "sudo warren daemon, or, with a resolver of this machine's own: consumer.dns = [\"127.0.0.1\"]";
/// What to do where a network of the machine has the tunnels' addresses: those are for every tunnel the same.
const ELSEWHERE: &str = "give this machine's network other addresses; until then, without a kill switch: warren up --kill-switch off";

impl Problem {
    /// Tells what of this machine could not be taken back, said in lines; the journal has it.
    pub(crate) fn left_over(seen: &str) -> Self {
        Self::new(ErrorCode::LeftOvers, seen.replace('\n', "; "))
    }

    /// Tells what of this machine stands in the way, with what mends it.
    #[must_use]
    pub fn of_finding(it: &Finding) -> Self {
        let (code, next) = match it {
            Finding::CapabilityMissing { .. } => (ErrorCode::NoNft, Some(RIGHTS.to_owned())),
            Finding::ResolvConf { .. } => (ErrorCode::NoNft, Some(NAMES.to_owned())),
            Finding::TunDevice { .. } => (ErrorCode::NoTun, None),
            Finding::Nft { .. } => (ErrorCode::NoNft, None),
            Finding::ForwardDropped { remedy, .. } => {
                let next = remedy.trim_matches('`').to_owned();
                (ErrorCode::ForwardDropped, Some(next))
            }
            Finding::LegacyIptables { table } => {
                let next = format!("see what they drop: iptables-legacy -t {table} -S");
                (ErrorCode::ExitCheckFailed, Some(next))
            }
            Finding::SysctlReadOnly { key, .. } => {
                let key = key.replace('/', ".");
                let next = format!("start the container with --sysctl {key}=1");
                (ErrorCode::NoForwarding, Some(next))
            }
            Finding::RulesRefused { .. } => {
                let next = "use a kernel with all of nftables; uname -r says which this is";
                (ErrorCode::NoNft, Some(next.to_owned()))
            }
            Finding::ControlUidTaken { name, .. } => {
                let next = format!("give the account {name} another user id");
                (ErrorCode::HostChangeFailed, Some(next))
            }
            Finding::GuestsInner { inner, .. } => {
                let next = format!("warren config explain {}", guests_key(inner));
                (ErrorCode::InnerTaken, Some(next))
            }
            Finding::TunnelInner { .. } => (ErrorCode::InnerTaken, Some(ELSEWHERE.to_owned())),
            Finding::NoUplink => (ErrorCode::NoUplink, None),
        };
        let problem = Self::new(code, one_line(it));
        match next {
            Some(next) => problem.with_next(next),
            None => problem,
        }
    }

    /// Tells why this machine's network could not be changed.
    #[must_use]
    pub fn of_host(error: &HostError) -> Self {
        let code = match error {
            HostError::ExitHere { .. } | HostError::ConsumerHere { .. } => ErrorCode::OneRole,
            HostError::ConsumerBeside { .. } => {
                let next = "end the other one: warren down, or if it is dead: sudo warren recover";
                return Self::new(ErrorCode::OneRole, error).with_next(next);
            }
            HostError::Alive { .. } => {
                let next =
                    "end it first, as its user: warren down --daemon, with its --home or --config";
                return Self::new(ErrorCode::OneRole, error).with_next(next);
            }
            HostError::InTheWay(found) => return Self::of_finding(found),
            HostError::NoUplink => ErrorCode::NoUplink,
            HostError::LeftOver { .. } => ErrorCode::LeftOvers,
            HostError::ProgramMissing { .. } => {
                return Self::new(ErrorCode::NoNft, error).with_next("apt-get install nftables");
            }
            HostError::Refused {
                program, stderr, ..
            } if *program == "nft" && stderr.contains("not permitted") => {
                return Self::new(ErrorCode::NoNft, one_line(error)).with_next(RIGHTS);
            }
            HostError::JournalBusy { .. } => {
                return Self::new(ErrorCode::HomeLocked, error).with_next("warren down --daemon");
            }
            HostError::Spawn { .. }
            | HostError::Refused { .. }
            | HostError::TimedOut { .. }
            | HostError::Answer { .. }
            | HostError::NetlinkSocket(_)
            | HostError::Netlink { .. }
            | HostError::NoDevice { .. }
            | HostError::BadDeviceName { .. }
            | HostError::Sysctl { .. }
            | HostError::File { .. }
            | HostError::JournalEncode(_) => ErrorCode::HostChangeFailed,
        };
        Self::new(code, one_line(error))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_a_check_found_is_mended_by_more_than_the_same_check() {
        let drops = |remedy: &str| Finding::ForwardDropped {
            family: "ip".to_owned(),
            table: "filter".to_owned(),
            chain: "FORWARD".to_owned(),
            remedy: remedy.to_owned(),
        };
        let read_only = Finding::SysctlReadOnly {
            key: "net/ipv4/ip_forward".to_owned(),
            now: "0".to_owned(),
        };
        let docker = "`iptables -I DOCKER-USER -i warren-exit -j ACCEPT`";
        for (finding, code, next) in [
            (
                drops(docker),
                ErrorCode::ForwardDropped,
                "iptables -I DOCKER-USER",
            ),
            (
                read_only,
                ErrorCode::NoForwarding,
                "--sysctl net.ipv4.ip_forward=1",
            ),
            (Finding::NoUplink, ErrorCode::NoUplink, "ip route"),
            (
                Finding::GuestsInner {
                    own: "fd77:7761::9 of eth0".to_owned(),
                    inner: "fd77:7761::/64".parse().unwrap(),
                },
                ErrorCode::InnerTaken,
                "exit.inner_v6",
            ),
        ] {
            let told = Problem::of_finding(&finding);
            assert!(told.is(code) && told.next.contains(next), "{told:?}");
            assert!(!told.next.contains('`'), "{told:?}");
        }
    }
}
