//! The consumer's host: kill switch, routes, names.

mod settings;

use std::net::SocketAddr;
use std::path::Path;

use self::settings::{deaf, families, loose_reverse_path, quiet_arp};
use super::alone::{self, Alone};
use super::change::{close, make, take_back};
use super::journal::{Journal, JournalEntry};
use super::netlink::Netlink;
use super::nft::{self, GUARD_TABLE, KILL_SWITCH_TABLE, KillSwitchSpec, Standing};
use super::{Change, DnsSpec, Finding, HostError, NftTable, RecoverReport, ResolvConf, RouteSpec};
use super::{dns, nft::check_device, routes};

/// What was changed on a consumer's host, with the kill switch or, on request, without.
/// Dropping it undoes nothing.
#[derive(Debug)]
pub struct ConsumerHost {
    journal: Journal,
    wall: Wall,
    /// Where the tunnel's other end is said to be.
    named: Vec<SocketAddr>,
    /// How often somebody else's `resolv.conf` was written over; see [`MOST_REWRITES`].
    rewrites: u32,
    _alone: Alone,
}

/// Our choice: each is two lines of the journal, and nobody who rewrites the file that often has anything new to say.
const MOST_REWRITES: u32 = 100;

/// The firewall table as it was made, to be made again should somebody else take it away.
#[derive(Debug)]
struct Wall {
    spec: KillSwitchSpec,
    /// It is the kill switch; otherwise the guard of the tunnel alone.
    blocks: bool,
    standing: Standing,
}

impl Wall {
    fn name(&self) -> &'static str {
        if self.blocks {
            KILL_SWITCH_TABLE
        } else {
            GUARD_TABLE
        }
    }

    fn table(&self) -> Change {
        let script = if self.blocks {
            nft::kill_switch_script(&self.spec)
        } else {
            nft::guard_script(&self.spec.device)
        };
        let name = self.name().to_owned();
        Change::NftTable(NftTable { name, script })
    }

    async fn made(&mut self) {
        self.standing.made(self.name()).await;
    }
}

impl ConsumerHost {
    /// Puts the kill switch up. Call it before there is a tunnel, even before an exit is chosen.
    ///
    /// If a dead process left its changes, its kill switch is replaced without a gap and its
    /// routes and name servers are taken back.
    ///
    /// # Errors
    /// [`HostError::ExitHere`] if this host is an exit; [`HostError::ConsumerBeside`] if it has a tunnel or a
    /// kill switch that this journal does not tell of; [`HostError::JournalBusy`] if another process holds the
    /// journal; [`HostError::InTheWay`] if this host is itself where tunnels have their addresses; otherwise as the
    /// host gave, and nothing is changed.
    pub async fn protect(journal: &Path, spec: &KillSwitchSpec) -> Result<Self, HostError> {
        check_device(&spec.device)?;
        let (journal, alone) = alone::opened(journal, &spec.device).await?;
        if let Some(found) = Finding::tunnel_inner(spec) {
            journal.close()?;
            return Err(HostError::InTheWay(Box::new(found)));
        }
        Self::blocked((journal, alone), spec).await
    }

    async fn blocked(opened: (Journal, Alone), spec: &KillSwitchSpec) -> Result<Self, HostError> {
        let mut host = Self::walled(opened, spec, true).await?;
        host.release().await?;
        Ok(host)
    }

    async fn walled(
        (mut journal, alone): (Journal, Alone),
        spec: &KillSwitchSpec,
        blocks: bool,
    ) -> Result<Self, HostError> {
        let mut wall = Wall {
            spec: spec.clone(),
            blocks,
            standing: Standing::default(),
        };
        let table = wall.table();
        let mut left = journal.pending().iter();
        if left.any(|entry| is_table(&entry.change, wall.name())) {
            table.apply().await?;
        } else {
            make(&mut journal, &[table]).await?;
        }
        wall.made().await;
        Ok(Self {
            journal,
            named: wall.spec.endpoints.clone(),
            wall,
            rewrites: 0,
            _alone: alone,
        })
    }

    /// Takes over the kill switch that a dead process left: replaced without a gap, or made again where it
    /// is gone, the rest taken back. `None` if none was left: then what else was is taken back.
    ///
    /// # Errors
    /// As of [`protect`](Self::protect). [`HostError::LeftOver`] if something else was left and stays.
    pub async fn adopt(journal: &Path, spec: &KillSwitchSpec) -> Result<Option<Self>, HostError> {
        if !journal.exists() {
            return Ok(None);
        }
        let mut left = Journal::open(journal)?;
        let blocks = |it: &JournalEntry| is_table(&it.change, KILL_SWITCH_TABLE);
        if left.pending().iter().any(blocks) {
            drop(left); // Its lock is taken again.
            check_device(&spec.device)?;
            // Blocked it stays, wherever this host is by now.
            if let Some(found) = Finding::tunnel_inner(spec) {
                tracing::error!(%found, "the kill switch lets nothing in");
            }
            let opened = alone::opened(journal, &spec.device).await?;
            return Self::blocked(opened, spec).await.map(Some);
        }
        let mut made = left.pending().iter();
        let _alone = made
            .any(alone::is_of_consumer)
            .then(Alone::consumer)
            .transpose()?;
        // Whoever wanted no kill switch has no network through a tunnel that is gone.
        let mut report = take_back(&mut left, |_| true).await;
        close(left, &mut report);
        if !report.is_clean() {
            let left = report.to_string();
            return Err(HostError::LeftOver { left });
        }
        if !report.changes.is_empty() {
            tracing::warn!(undone = report.undone(), "a dead daemon's marks are gone");
        }
        Ok(None)
    }

    /// Begins without a kill switch, for an owner who wants none: whenever no tunnel is up, packets
    /// leave in the clear. What a dead process left is taken back, its kill switch too. What comes out of the
    /// tunnel is guarded all the same.
    ///
    /// # Errors
    /// As of [`protect`](Self::protect).
    pub async fn exposed(journal: &Path) -> Result<Self, HostError> {
        let spec = KillSwitchSpec::default();
        let (mut journal, alone) = alone::opened(journal, &spec.device).await?;
        take_back(&mut journal, |_| true).await;
        Self::walled((journal, alone), &spec, false).await
    }

    /// Whether the firewall table still is as it was made: the kill switch, or without one the guard of the
    /// tunnel. Cheap as long as nobody changes the firewall: to be asked each second. What cannot be told
    /// counts as not.
    pub async fn stands(&mut self) -> bool {
        let name = self.wall.name();
        self.wall.standing.stands(name).await
    }

    /// Makes the firewall table again, in one transaction, after [`stands`](Self::stands) said no.
    ///
    /// # Errors
    /// As the host gave; then nothing blocks but the routes, if they are up.
    pub async fn restore(&mut self) -> Result<(), HostError> {
        self.wall.table().apply().await?;
        self.wall.made().await;
        Ok(())
    }

    /// Makes again what else somebody took away: rules and routes (as a network service that starts anew does)
    /// and `resolv.conf` (as a new lease does; what stood there is then what comes back). Says what was gone,
    /// oldest first. To be asked each second.
    ///
    /// Without the rules nothing gets through a kill switch, and without a kill switch all gets out beside the tunnel.
    ///
    /// # Errors
    /// As the host gave, the first of them; all else is made again even so.
    pub async fn mend(&mut self) -> Result<Vec<String>, HostError> {
        let (mut mended, mut failed) = (Vec::new(), None);
        let netlink = Netlink::open()?;
        for entry in self.journal.pending().to_vec() {
            let done = if let Change::ResolvConf(it) = &entry.change {
                self.mend_names(entry.seq, it)
            } else {
                entry.change.mend(&netlink).await
            };
            match done {
                Ok(true) => mended.push(entry.change.to_string()),
                Ok(false) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(mended), Err)
    }

    fn mend_names(&mut self, seq: u64, file: &ResolvConf) -> Result<bool, HostError> {
        if file.stands()? {
            return Ok(false);
        }
        let theirs = file
            .over_theirs()?
            .filter(|_| self.rewrites < MOST_REWRITES);
        let Some(over) = theirs else {
            return file.apply().map(|()| true);
        };
        // Both are pending for a moment: undone newest first, the older one then finds it is not its own.
        self.journal.record(&Change::ResolvConf(over.clone()))?;
        self.rewrites += 1;
        over.apply()?;
        if let Err(unwritten) = self.journal.forget(seq) {
            tracing::warn!(%unwritten, "the journal is owed a line");
        }
        Ok(true)
    }

    async fn ensure(&mut self) -> Result<(), HostError> {
        if self.stands().await {
            return Ok(());
        }
        let table = self.wall.name();
        tracing::warn!(
            table,
            "it was taken away by somebody else and is made again"
        );
        self.restore().await
    }

    /// Replaces the endpoints that marked packets may go to, in one transaction. Without a kill
    /// switch they may go anywhere.
    ///
    /// # Errors
    /// As the host gave; the old endpoints then stand.
    pub async fn allow_endpoints(&mut self, endpoints: &[SocketAddr]) -> Result<(), HostError> {
        self.let_through(endpoints).await?;
        self.named = endpoints.to_vec();
        Ok(())
    }

    async fn let_through(&mut self, endpoints: &[SocketAddr]) -> Result<(), HostError> {
        self.ensure().await?;
        if self.wall.blocks {
            nft::run(&nft::endpoints_script(endpoints)).await?;
            self.wall.spec.endpoints = endpoints.to_vec();
            self.wall.made().await;
        }
        Ok(())
    }

    /// Lets marked packets go to where the tunnel's other end was found too, beside those named last, and no
    /// longer where it was found before: the tunnel follows who authenticates. Says whether that was news.
    ///
    /// # Errors
    /// As of [`allow_endpoints`](Self::allow_endpoints).
    pub async fn follow(&mut self, endpoint: SocketAddr) -> Result<bool, HostError> {
        let same = |it: &SocketAddr| (it.ip(), it.port()) == (endpoint.ip(), endpoint.port());
        if !self.wall.blocks || self.wall.spec.endpoints.iter().any(same) {
            return Ok(false);
        }
        let mut all = self.named.clone();
        all.push(endpoint);
        self.let_through(&all).await.map(|()| true)
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
        changes.extend(deaf(&spec.device)?);
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
        match self.ensure().await {
            Err(error) if self.wall.blocks => return Err(error),
            Err(error) => tracing::warn!(%error, "the tunnel is not guarded"),
            Ok(()) => {}
        }
        let wall = self.wall.name();
        Ok(take_back(&mut self.journal, |change| !is_table(change, wall)).await)
    }

    /// Takes everything back, the kill switch last.
    ///
    /// # Errors
    /// None today; what failed is in the report.
    pub async fn undo(mut self) -> Result<RecoverReport, HostError> {
        let mut report = take_back(&mut self.journal, |_| true).await;
        close(self.journal, &mut report);
        Ok(report)
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
        self.wall.blocks
    }
}

fn is_table(change: &Change, name: &str) -> bool {
    matches!(change, Change::NftTable(table) if table.name == name)
}
