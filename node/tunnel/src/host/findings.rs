//! What on this host stands in the way, found before anything is changed.

use std::io;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Serialize;

use super::caps::{Capability, held_capabilities};
use super::nft::{ExitNatSpec, ExitSurroundings, KillSwitchSpec};
use super::{CONTROL_UID, Carries, DnsSpec, HostError, default_uplinks};
use super::{dns, exit, forward, inner, nft, resolv_conf, sysctl};

/// Something on this host that stands in the way. `Display` says what was seen and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// The process lacks a capability.
    #[error(
        "{capability} is missing: run as root, or `setcap cap_net_admin,cap_setuid+ep` on the program, which does not let it replace resolv.conf"
    )]
    CapabilityMissing {
        /// Its name.
        capability: String,
    },
    /// The file that tells programs their resolvers cannot be replaced by this process.
    #[error(
        "{} cannot be replaced ({reason}): run as root, or name a resolver of this machine itself in consumer.dns, such as 127.0.0.1, and the file stays as it is", path.display()
    )]
    ResolvConf {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// There is no TUN device node.
    #[error("{} cannot be opened ({reason}): `modprobe tun`, or pass the device into the container", path.display())]
    TunDevice {
        /// The node.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The firewall program is missing or refuses us.
    #[error("nft does not work ({reason}): install the package nftables")]
    Nft {
        /// What was said.
        reason: String,
    },
    /// Another table drops forwarded packets by default; ours cannot overrule it.
    #[error("chain {chain} of table {family} {table} drops forwarded packets: {remedy}")]
    ForwardDropped {
        /// The chain's family, as `ip`.
        family: String,
        /// Its table.
        table: String,
        /// Its name.
        chain: String,
        /// What mends it.
        remedy: String,
    },
    /// Rules of the old iptables are loaded beside nftables; they may drop, and we cannot see.
    #[error("rules of legacy iptables are loaded ({table}): they may drop what nftables lets pass")]
    LegacyIptables {
        /// The table's name.
        table: String,
    },
    /// Forwarding is off and cannot be turned on from here.
    #[error("kernel setting {key} is {now} and read-only here: start the container with --sysctl {}=1", key.replace('/', "."))]
    SysctlReadOnly {
        /// Path below `/proc/sys`.
        key: String,
        /// Its value.
        now: String,
    },
    /// The kernel would refuse our rules: it lacks a part of nftables.
    #[error("the kernel refuses our firewall rules ({reason}): it lacks a part of nftables")]
    RulesRefused {
        /// What nft said.
        reason: String,
    },
    /// The control threads' user id belongs to an account, whose programs would pass too.
    #[error("user id {uid} belongs to {name}: its programs would pass the kill switch")]
    ControlUidTaken {
        /// The number.
        uid: u32,
        /// The account.
        name: String,
    },
    /// This host is where guests get their addresses: what comes for it would be dropped.
    #[error(
        "{own} lies in {inner}, where guests get their addresses: what comes for it would be dropped. Set {} to another net",
        guests_key(inner)
    )]
    GuestsInner {
        /// The address or network, and whose it is.
        own: String,
        /// The guests' net it lies in.
        inner: IpNet,
    },
    /// This host is where tunnels have their addresses: the kill switch would drop what comes for it.
    #[error(
        "{own} lies in {inner}, where tunnels have their addresses: the kill switch would drop what comes for it, the tunnel's own packets too"
    )]
    TunnelInner {
        /// The address, and whose it is.
        own: String,
        /// The tunnels' net it lies in.
        inner: IpNet,
    },
    /// No default route of either family.
    #[error("no default route: this host has no internet to share")]
    NoUplink,
}

impl Finding {
    /// Looks whether this host is where guests would get their addresses.
    pub(super) async fn guests_inner(spec: &ExitNatSpec) -> Option<Self> {
        let nets = [spec.inner4.into(), spec.inner6.into()];
        let (own, inner) = inner::own(&nets, &spec.device).await?;
        Some(Self::GuestsInner { own, inner })
    }

    /// Looks whether this host is where tunnels have their addresses.
    pub(super) fn tunnel_inner(spec: &KillSwitchSpec) -> Option<Self> {
        let (own, inner) = inner::own_address(&spec.inner, &spec.device)?;
        Some(Self::TunnelInner { own, inner })
    }
}

/// The setting that names the guests' net.
#[must_use]
pub const fn guests_key(inner: &IpNet) -> &'static str {
    match inner {
        IpNet::V4(_) => "exit.inner_v4",
        IpNet::V6(_) => "exit.inner_v6",
    }
}

/// Looks for what stands in the way of a consumer.
pub async fn check_consumer() -> Vec<Finding> {
    let mut findings = check_process(&[Capability::NetAdmin, Capability::SetUid]);
    let listed = nft::list(&["chains"]).await;
    findings.extend(listed.err().map(|error| refused(&error)));
    let spec = KillSwitchSpec::default();
    findings.extend(check_rules(&nft::kill_switch_script(&spec)).await);
    findings.extend(Finding::tunnel_inner(&spec));
    findings.extend(legacy_iptables());
    findings.extend(control_uid_taken());
    findings
}

/// Looks whether names could be led through a tunnel: by systemd-resolved, or by a file that this process may
/// replace. File capabilities for the network are not enough for a file of root's.
pub async fn check_names(spec: &DnsSpec) -> Option<Finding> {
    if dns::by_resolved(spec).await {
        return None;
    }
    let path = spec.resolv_conf.clone();
    let reason = resolv_conf::may_replace(&path).err()?.to_string();
    Some(Finding::ResolvConf { path, reason })
}

/// Looks for what stands in the way of an exit that would be made of `spec`.
pub async fn check_exit(spec: &ExitNatSpec) -> Vec<Finding> {
    let mut findings = check_process(&[Capability::NetAdmin]);
    let uplinks = default_uplinks().await;
    let mut spec = spec.clone();
    if spec.uplinks.is_empty() {
        spec.uplinks = uplinks.as_ref().cloned().unwrap_or_default();
        spec.uplinks.retain(|uplink| *uplink != spec.device);
    }
    findings.extend(Finding::guests_inner(&spec).await);
    // A kind of IP without a way out is carried for nobody.
    let carries = exit::kinds_now(&spec.uplinks).await;
    let dropped = forward::drops(&spec, carries.unwrap_or(Carries::Both)).await;
    findings.extend(dropped.unwrap_or_else(|error| vec![refused(&error)]));
    let any = ExitNatSpec {
        uplinks: vec!["lo".to_owned()],
        ..spec
    };
    findings.extend(check_rules(&nft::exit_script(&any, &ExitSurroundings::default())).await);
    findings.extend(legacy_iptables());
    findings.extend(
        ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"]
            .map(stuck)
            .into_iter()
            .flatten(),
    );
    if uplinks.is_ok_and(|uplinks| uplinks.is_empty()) {
        findings.push(Finding::NoUplink);
    }
    findings
}

fn check_process(needed: &[Capability]) -> Vec<Finding> {
    let held = held_capabilities().unwrap_or_default();
    let missing = needed.iter().filter(|it| !held.contains(it));
    let mut findings: Vec<Finding> = missing
        .map(|it| Finding::CapabilityMissing {
            capability: it.to_string(),
        })
        .collect();
    let path = Path::new("/dev/net/tun");
    if let Err(error) = std::fs::File::options().read(true).write(true).open(path) {
        findings.push(Finding::TunDevice {
            path: path.into(),
            reason: error.to_string(),
        });
    }
    findings
}

fn refused(error: &HostError) -> Finding {
    Finding::Nft {
        reason: error.to_string(),
    }
}

/// Tries the rules without making them. `None` too if nft itself does not work: said already.
async fn check_rules(script: &str) -> Option<Finding> {
    match nft::check(script).await {
        Err(HostError::Refused { stderr, .. }) if !stderr.contains("not permitted") => {
            Some(Finding::RulesRefused { reason: stderr })
        }
        Ok(()) | Err(_) => None,
    }
}

fn control_uid_taken() -> Option<Finding> {
    let user = nix::unistd::User::from_uid(CONTROL_UID.into())
        .ok()
        .flatten()?;
    Some(Finding::ControlUidTaken {
        uid: CONTROL_UID,
        name: user.name,
    })
}

fn legacy_iptables() -> Vec<Finding> {
    ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|names| names.lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|table| Finding::LegacyIptables { table })
        .collect()
}

/// Finds a setting that is off and on a read-only file system, as in containers.
fn stuck(key: &str) -> Option<Finding> {
    let now = sysctl::read(key).ok().filter(|now| now != "1")?;
    let open = std::fs::File::options()
        .write(true)
        .open(Path::new("/proc/sys").join(key));
    let refused = open.err().map(|error| error.kind());
    let stuck = matches!(
        refused,
        Some(io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
    );
    stuck.then(|| Finding::SysctlReadOnly {
        key: key.to_owned(),
        now,
    })
}
