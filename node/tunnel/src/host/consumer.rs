//! The consumer's host: kill switch, routes, names.

use std::net::SocketAddr;
use std::path::Path;

use ipnet::IpNet;

use super::change::{make, take_back};
use super::journal::Journal;
use super::nft::{self, EXIT_TABLE, KILL_SWITCH_TABLE, KillSwitchSpec, Standing, check_device};
use super::{Change, DnsSpec, Family, HostError, NftTable, RecoverReport, RouteSpec, Sysctl};
use super::{dns, routes, sysctl};

/// What was changed on a consumer's host, with the kill switch or, on request, without.
/// Dropping it undoes nothing.
#[derive(Debug)]
pub struct ConsumerHost {
    journal: Journal,
    /// `None` without a kill switch.
    kill_switch: Option<KillSwitch>,
}

/// The kill switch as it was made, to be made again should somebody else take it away.
#[derive(Debug)]
struct KillSwitch {
    spec: KillSwitchSpec,
    standing: Standing,
}

impl ConsumerHost {
    /// Puts the kill switch up. Call it before there is a tunnel, even before an exit is chosen.
    ///
    /// If a dead process left its changes, its kill switch is replaced without a gap and its
    /// routes and name servers are taken back.
    ///
    /// # Errors
    /// [`HostError::ExitHere`] if this host is an exit; [`HostError::JournalBusy`] if another process
    /// holds the journal; otherwise as the host gave, and nothing is changed.
    pub async fn protect(journal: &Path, spec: &KillSwitchSpec) -> Result<Self, HostError> {
        check_device(&spec.device)?;
        if let Some(net) = spec.lan.iter().find(|net| !is_private(net)) {
            return Err(HostError::LanNotPrivate { net: *net });
        }
        no_exit_here().await?;
        let mut host = Self {
            journal: Journal::open(journal)?,
            kill_switch: None,
        };
        let script = nft::kill_switch_script(spec);
        let table = Change::NftTable(NftTable {
            name: KILL_SWITCH_TABLE.to_owned(),
            script,
        });
        let left = host.journal.pending().iter();
        if { left }.any(|entry| is_kill_switch(&entry.change)) {
            table.apply().await?;
        } else {
            make(&mut host.journal, &[table]).await?;
        }
        let mut standing = Standing::default();
        standing.made(KILL_SWITCH_TABLE).await;
        let spec = spec.clone();
        host.kill_switch = Some(KillSwitch { spec, standing });
        host.release().await?;
        Ok(host)
    }

    /// Takes over the kill switch that a dead process left: replaced without a gap, or made again where it
    /// is gone, the rest taken back. `None` if none was left; then nothing is changed.
    ///
    /// # Errors
    /// As of [`protect`](Self::protect).
    pub async fn adopt(journal: &Path, spec: &KillSwitchSpec) -> Result<Option<Self>, HostError> {
        if !journal.exists() {
            return Ok(None);
        }
        let left = Journal::open(journal)?;
        let is_left = left.pending().iter().any(|it| is_kill_switch(&it.change));
        drop(left); // Its lock is taken again.
        if !is_left {
            return Ok(None);
        }
        Self::protect(journal, spec).await.map(Some)
    }

    /// Begins without a kill switch, for an owner who wants none: whenever no tunnel is up, packets
    /// leave in the clear. What a dead process left is taken back, its kill switch too.
    ///
    /// # Errors
    /// As of [`protect`](Self::protect).
    pub async fn exposed(journal: &Path) -> Result<Self, HostError> {
        no_exit_here().await?;
        let mut journal = Journal::open(journal)?;
        take_back(&mut journal, |_| true).await;
        let kill_switch = None;
        Ok(Self {
            journal,
            kill_switch,
        })
    }

    /// Whether the kill switch still is as it was made; true without one. Cheap as long as nobody changes
    /// the firewall: to be asked each second. What cannot be told counts as not.
    pub async fn stands(&mut self) -> bool {
        match &mut self.kill_switch {
            Some(it) => it.standing.stands(KILL_SWITCH_TABLE).await,
            None => true,
        }
    }

    /// Makes the kill switch again, in one transaction, after [`stands`](Self::stands) said no.
    ///
    /// # Errors
    /// As the host gave; then nothing blocks but the routes, if they are up.
    pub async fn restore(&mut self) -> Result<(), HostError> {
        if let Some(it) = &mut self.kill_switch {
            nft::run(&nft::kill_switch_script(&it.spec)).await?;
            it.standing.made(KILL_SWITCH_TABLE).await;
        }
        Ok(())
    }

    async fn ensure(&mut self) -> Result<(), HostError> {
        if self.stands().await {
            return Ok(());
        }
        tracing::warn!("the kill switch was taken away by somebody else; it is made again");
        self.restore().await
    }

    /// Replaces the endpoints that marked packets may go to, in one transaction. Without a kill
    /// switch they may go anywhere.
    ///
    /// # Errors
    /// As the host gave; the old endpoints then stand.
    pub async fn allow_endpoints(&mut self, endpoints: &[SocketAddr]) -> Result<(), HostError> {
        self.ensure().await?;
        if let Some(it) = &mut self.kill_switch {
            nft::run(&nft::endpoints_script(endpoints)).await?;
            it.spec.endpoints = endpoints.to_vec();
            it.standing.made(KILL_SWITCH_TABLE).await;
        }
        Ok(())
    }

    /// Leads everything into the tunnel whose device exists by now, IPv6 included or blocked.
    ///
    /// # Errors
    /// As the host gave; what was made until then is undone by [`release`](Self::release).
    pub async fn route(&mut self, spec: &RouteSpec) -> Result<(), HostError> {
        check_device(&spec.device)?;
        let mut changes = routes::plan(spec, &families());
        changes.extend(loose_reverse_path()?);
        changes.extend(quiet_arp()?);
        make(&mut self.journal, &changes).await
    }

    /// Leads names through the tunnel.
    ///
    /// # Errors
    /// As the host gave.
    pub async fn dns(&mut self, spec: &DnsSpec) -> Result<(), HostError> {
        check_device(&spec.device)?;
        let change = dns::plan(spec).await?;
        make(&mut self.journal, &[change]).await
    }

    /// Takes routes and name servers back and leaves the kill switch up: between two sessions
    /// nothing leaks. If somebody took the kill switch away, it is made again before.
    ///
    /// # Errors
    /// If the kill switch is gone and cannot be made again: nothing is then taken back, for the routes
    /// are all that still blocks. What else failed is in the report.
    pub async fn release(&mut self) -> Result<RecoverReport, HostError> {
        self.ensure().await?;
        Ok(take_back(&mut self.journal, |change| !is_kill_switch(change)).await)
    }

    /// Takes everything back, the kill switch last.
    ///
    /// # Errors
    /// Only if the journal cannot be removed; what else failed is in the report.
    pub async fn undo(mut self) -> Result<RecoverReport, HostError> {
        let report = take_back(&mut self.journal, |_| true).await;
        self.journal.close()?;
        Ok(report)
    }

    /// Returns how many packets the kill switch has stopped: own, forwarded, probes from outside.
    ///
    /// # Errors
    /// As the host gave.
    pub async fn blocked(&self) -> Result<u64, HostError> {
        if !self.has_kill_switch() {
            return Ok(0);
        }
        let counters = nft::counters(KILL_SWITCH_TABLE).await?;
        Ok(counters.values().sum())
    }

    /// Returns what was changed and not taken back, oldest first, in words.
    pub fn changes(&self) -> Vec<String> {
        self.journal
            .pending()
            .iter()
            .map(|entry| entry.change.to_string())
            .collect()
    }

    /// Whether there is a kill switch. Whether it still [`stands`](Self::stands) is another question.
    pub fn has_kill_switch(&self) -> bool {
        self.kill_switch.is_some()
    }
}

/// Rules and routes of a consumer are for every packet of the host: guests' packets too would go
/// into the tunnel, at the owner's cost, or stop at the kill switch. So it is one role at a time,
/// whichever daemon has it; a dead exit's table counts, until it is recovered.
async fn no_exit_here() -> Result<(), HostError> {
    if nft::has_table(EXIT_TABLE).await? {
        return Err(HostError::ExitHere { table: EXIT_TABLE });
    }
    Ok(())
}

fn is_kill_switch(change: &Change) -> bool {
    matches!(change, Change::NftTable(table) if table.name == KILL_SWITCH_TABLE)
}

/// A kernel without IPv6 has nothing to block.
fn families() -> Vec<Family> {
    let v6 = Path::new("/proc/sys/net/ipv6/conf/all")
        .exists()
        .then_some(Family::V6);
    [Some(Family::V4), v6].into_iter().flatten().collect()
}

/// Answers of the exit come in at a device the routes no longer point to: the strict check of
/// the return path would drop them. The kernel takes the larger of `all` and the device's own.
fn loose_reverse_path() -> Result<Option<Change>, HostError> {
    let value = |name: &str| {
        let key = format!("net/ipv4/conf/{name}/rp_filter");
        sysctl::read(&key)
            .ok()
            .and_then(|it| it.parse::<u8>().ok())
            .unwrap_or(0)
    };
    let all = value("all");
    if sysctl::devices()
        .iter()
        .any(|device| value(device).max(all) == 1)
    {
        return Sysctl::plan_optional("net/ipv4/conf/all/rp_filter".to_owned(), "2");
    }
    Ok(None)
}

/// By default the kernel answers ARP for every address on every device: somebody on the wire could
/// ask for ours inside the tunnel. With 1 it answers for those of the device alone.
fn quiet_arp() -> Result<Option<Change>, HostError> {
    let key = "net/ipv4/conf/all/arp_ignore";
    if sysctl::read(key).is_ok_and(|now| now == "0") {
        return Sysctl::plan_optional(key.to_owned(), "1");
    }
    Ok(None)
}

/// Private in the sense of RFC 1918, RFC 4193, or link-local; nothing else is anybody's LAN.
pub(super) fn is_private(net: &IpNet) -> bool {
    let blocks = [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    ];
    blocks
        .iter()
        .filter_map(|it| it.parse::<IpNet>().ok())
        .any(|block| block.contains(net))
}
