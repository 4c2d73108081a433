//! Names go through the tunnel: by systemd-resolved where it answers, else by `resolv.conf`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::report::Outcome;
use super::resolv_conf::ResolvConf;
use super::{Change, DEVICE, HostError, command};

/// Who tells programs the name servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsWay {
    /// systemd-resolved if `resolv.conf` points to it and it answers, else the file.
    Auto,
    /// systemd-resolved.
    Resolved,
    /// The file.
    File,
}

/// What name resolution is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsSpec {
    /// The tunnel's device.
    pub device: String,
    /// Name servers, reached through the tunnel.
    pub servers: Vec<IpAddr>,
    /// Who tells programs.
    pub way: DnsWay,
    /// The file, usually `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
}

impl Default for DnsSpec {
    fn default() -> Self {
        Self {
            device: DEVICE.to_owned(),
            servers: vec![IpAddr::V4(super::routes::GATEWAY4)],
            way: DnsWay::Auto,
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
        }
    }
}

/// Name servers given to systemd-resolved for one device; gone with the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedLink {
    /// The device.
    pub device: String,
    /// Its name servers; they answer every name.
    pub servers: Vec<IpAddr>,
}

/// Name servers this host asks itself: those behind systemd-resolved's stub, else `resolv.conf`'s.
pub fn own_name_servers() -> Vec<IpAddr> {
    ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"]
        .iter()
        .map(|path| name_servers(&std::fs::read_to_string(path).unwrap_or_default()))
        .find(|servers| !servers.is_empty())
        .unwrap_or_default()
}

/// The name servers in the text of a `resolv.conf`, in their order.
pub(super) fn name_servers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let address = (words.next() == Some("nameserver")).then(|| words.next())??;
        // A link-local one names its device: it is nobody else's.
        address.parse().ok()
    };
    text.lines().filter_map(server).collect()
}

/// Plans the change that leads names through the tunnel.
pub(crate) async fn plan(spec: &DnsSpec) -> Result<Change, HostError> {
    if by_resolved(spec).await {
        let (device, servers) = (spec.device.clone(), spec.servers.clone());
        return Ok(Change::Resolved(ResolvedLink { device, servers }));
    }
    ResolvConf::plan(&spec.resolv_conf, &spec.servers).map(Change::ResolvConf)
}

/// Whether systemd-resolved tells programs, and not the file.
pub(super) async fn by_resolved(spec: &DnsSpec) -> bool {
    match spec.way {
        DnsWay::Auto => resolved_answers(spec).await,
        DnsWay::Resolved => true,
        DnsWay::File => false,
    }
}

/// A running resolved that nobody asks is no help: `resolv.conf` must name its stub.
async fn resolved_answers(spec: &DnsSpec) -> bool {
    let text = std::fs::read_to_string(&spec.resolv_conf).unwrap_or_default();
    let mut words = text.lines().map(str::split_whitespace);
    let stub = words.any(|mut it| {
        it.next() == Some("nameserver") && matches!(it.next(), Some("127.0.0.53" | "127.0.0.54"))
    });
    stub && command::run("resolvectl", &["--no-pager", "dns"], "")
        .await
        .is_ok()
}

impl ResolvedLink {
    pub(super) async fn apply(&self) -> Result<(), HostError> {
        let servers: Vec<String> = self.servers.iter().map(IpAddr::to_string).collect();
        let mut words = vec!["dns", self.device.as_str()];
        words.extend(servers.iter().map(String::as_str));
        command::run("resolvectl", &words, "").await?;
        // `~.` asks this device for every name, so no other device is asked for any.
        command::run("resolvectl", &["domain", &self.device, "~."], "").await?;
        command::run("resolvectl", &["default-route", &self.device, "yes"], "").await?;
        command::run("resolvectl", &["flush-caches"], "")
            .await
            .map(drop)
    }

    pub(super) async fn undo(&self) -> Result<Outcome, HostError> {
        if nix::net::if_::if_nametoindex(self.device.as_str()).is_err() {
            return Ok(Outcome::AlreadyGone);
        }
        command::run("resolvectl", &["revert", &self.device], "").await?;
        Ok(Outcome::Undone)
    }
}

impl fmt::Display for ResolvedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name servers of {} in systemd-resolved", self.device)
    }
}
