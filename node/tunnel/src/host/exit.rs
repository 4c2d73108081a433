//! The exit's host: forwarding, NAT, deny table.

mod ways;

use std::path::Path;

use ipnet::IpNet;

use super::change::{close, make, take_back};
use super::journal::Journal;
use super::netlink::Netlink;
use super::nft::{
    self, EXIT_TABLE, ExitNatSpec, ExitSurroundings, KILL_SWITCH_TABLE, Standing, check_device,
};
use super::{Carries, Change, DEVICE, Finding, HostError, NftTable, RecoverReport};
use super::{Sysctl, forward};

use self::ways::Ways;
pub(super) use self::ways::kinds_now;

/// IPv6 has one switch for all devices.
const FORWARD_V6: &str = "net/ipv6/conf/all/forwarding";

/// What was changed on an exit's host. Dropping it undoes nothing: guests are cut off by the
/// tunnel's end, and the deny table outlives a `kill -9`.
#[derive(Debug)]
pub struct ExitHost {
    journal: Journal,
    spec: ExitNatSpec,
    around: ExitSurroundings,
    carries: Carries,
    /// Whether the owner named the uplinks; else they are where the default routes lead.
    named: bool,
    ways: Ways,
    standing: Standing,
    /// The ruleset at which nothing dropped what guests send. `None` if none is known.
    passing: Option<u32>,
}

impl ExitHost {
    /// Turns this host into an exit: deny table and NAT first, forwarding last.
    ///
    /// The tunnel's device must exist. Changes a dead process left are taken back first; until the
    /// new table stands there is no forwarding.
    ///
    /// # Errors
    /// [`HostError::ConsumerHere`] if this host uses a tunnel, [`HostError::InTheWay`] if another firewall would drop
    /// what guests send, or the host is itself where they get their addresses; otherwise as the host gave; what was made until then is in the journal, and undone by
    /// [`recover`](super::recover) or the next try.
    pub async fn enable(journal: &Path, spec: ExitNatSpec) -> Result<Self, HostError> {
        let named = !spec.uplinks.is_empty();
        let mut spec = spec;
        let ways = Ways::now().await?;
        if !named {
            spec.uplinks = ways.uplinks();
        }
        spec.uplinks.retain(|uplink| *uplink != spec.device);
        if spec.uplinks.is_empty() {
            return Err(HostError::NoUplink);
        }
        for device in spec.uplinks.iter().chain([&spec.device]) {
            check_device(device)?;
            if !is_there(device) {
                let device = device.clone();
                return Err(HostError::NoDevice { device });
            }
        }
        no_consumer_here(&spec.device).await?;
        let mut found = forward::drops(&spec, ways.kinds(&spec.uplinks)).await?;
        found.extend(Finding::guests_inner(&spec).await);
        if let Some(found) = found.into_iter().next() {
            return Err(HostError::InTheWay(Box::new(found)));
        }
        let mut journal = Journal::open(journal)?;
        take_back(&mut journal, |_| true).await;
        let settings = forwarding(&spec, &ways.v6, false)?;
        let around = surroundings(&spec, &settings).await?;
        let script = nft::exit_script(&spec, &around);
        let table = Change::NftTable(NftTable {
            name: EXIT_TABLE.to_owned(),
            script,
        });
        make(&mut journal, &[table]).await?;
        let mut standing = Standing::default();
        standing.made(EXIT_TABLE).await;
        make(&mut journal, &settings).await?;
        Ok(Self {
            journal,
            around,
            carries: ways.carried_by(&spec.uplinks),
            spec,
            named,
            ways,
            standing,
            passing: None,
        })
    }

    /// Looks for what would keep this host from becoming an exit by now: a firewall, or Docker, may begin after the
    /// exit, and networks come. Cheap as long as nobody changes the firewall: to be asked every few seconds.
    ///
    /// # Errors
    /// As the host gave; nothing is known then.
    pub async fn in_the_way(&mut self) -> Result<Vec<Finding>, HostError> {
        let mut found = self.drops().await?;
        found.extend(Finding::guests_inner(&self.spec).await);
        Ok(found)
    }

    async fn drops(&mut self) -> Result<Vec<Finding>, HostError> {
        let at = nft::generation().ok();
        if at.is_some() && at == self.passing {
            return Ok(Vec::new());
        }
        let found = forward::drops(&self.spec, self.ways.kinds(&self.spec.uplinks)).await?;
        self.passing = at.filter(|_| found.is_empty());
        Ok(found)
    }

    /// Reads the networks the host is in again and denies those it has come into, and follows the default routes
    /// to other uplinks; says whether anything changed, [`carries`](Self::carries) included. To be called every
    /// few seconds: providers change prefixes, owners plug cables, router advertisements come late.
    ///
    /// # Errors
    /// As the host gave; what was denied then stays so. Each of the two is done though the other one fails.
    pub async fn refresh(&mut self) -> Result<bool, HostError> {
        match (self.follow().await, self.deny_own().await) {
            // What failed beside it fails again at the next call.
            (Ok(true), _) | (_, Ok(true)) => Ok(true),
            (followed, denied) => Ok(followed? || denied?),
        }
    }

    /// Denies the networks that the host is in now, wherever it leads out.
    async fn deny_own(&mut self) -> Result<bool, HostError> {
        let own = Netlink::open()?.own_networks(&self.spec.device).await?;
        if own == self.around.own {
            return Ok(false);
        }
        let around = ExitSurroundings {
            own,
            ..self.around.clone()
        };
        self.make(nft::own_script, self.spec.clone(), around)
            .await?;
        Ok(true)
    }

    /// Forwards to where the default routes lead now, and again where a device that was made anew does not.
    /// Without any the exit waits where it is.
    async fn follow(&mut self) -> Result<bool, HostError> {
        let ways = Ways::now().await?;
        let mut spec = self.spec.clone();
        if !self.named {
            spec.uplinks = ways.uplinks();
            spec.uplinks.retain(|uplink| *uplink != spec.device);
        }
        if spec.uplinks.is_empty() {
            return Ok(false);
        }
        for device in &spec.uplinks {
            check_device(device)?;
        }
        let settings = forwarding(&spec, &ways.v6, self.around.opened_v6)?;
        let theirs = self.forwarding_of_others();
        if ways == self.ways && settings.is_empty() && theirs.is_empty() {
            return Ok(false);
        }
        let mut around = surroundings(&spec, &settings).await?;
        // What forwards because of us does so for guests alone, whenever it began, and as long as it is there, or until
        // somebody else lets all devices forward, as Docker does when it begins.
        let ours = |device: &str| !theirs.iter().any(|(_, key)| *key == forward_v4(device));
        let before = self.around.opened_v4.iter();
        let before = before.filter(|it| ours(it) && is_there(it) && !around.opened_v4.contains(it));
        let before: Vec<_> = before.cloned().collect();
        around.opened_v4.extend(before);
        around.opened_v4.sort_unstable();
        around.opened_v6 |= self.around.opened_v6;
        // As at the start: the table first, forwarding last.
        if spec.uplinks != self.spec.uplinks || around != self.around {
            self.make(nft::exit_script, spec, around).await?;
        }
        for (seq, _) in theirs {
            if let Err(unwritten) = self.journal.forget(seq) {
                tracing::warn!(%unwritten, "the journal is owed a line");
            }
        }
        self.set(&settings).await?;
        self.carries = ways.carried_by(&self.spec.uplinks);
        self.ways = ways;
        Ok(true)
    }

    /// Journal lines and keys of what we switched on, and somebody else since did for all devices.
    fn forwarding_of_others(&self) -> Vec<(u64, String)> {
        let pending = self.journal.pending().iter();
        let theirs = pending.filter_map(|it| match &it.change {
            Change::Sysctl(setting) if setting.is_for_all() => Some((it.seq, setting.key.clone())),
            Change::Sysctl(_)
            | Change::NftTable(_)
            | Change::Rule(_)
            | Change::Route(_)
            | Change::Resolved(_)
            | Change::ResolvConf(_) => None,
        });
        theirs.collect()
    }

    /// A setting of a device that was made anew is in the journal already: the same line takes both back.
    async fn set(&mut self, settings: &[Change]) -> Result<(), HostError> {
        for setting in settings {
            let pending = self.journal.pending();
            if pending.iter().any(|it| it.change == *setting) {
                setting.apply().await?;
            } else {
                make(&mut self.journal, std::slice::from_ref(setting)).await?;
            }
        }
        Ok(())
    }

    /// Replaces what guests may not reach besides the policy's blocks and the host's own networks: the
    /// addresses at which this exit is known, which may be its router's.
    ///
    /// # Errors
    /// As the host gave; what was denied then stays so.
    pub async fn also_deny(&mut self, nets: Vec<IpNet>) -> Result<(), HostError> {
        if nets == self.spec.also_deny {
            return Ok(());
        }
        let spec = ExitNatSpec {
            also_deny: nets,
            ..self.spec.clone()
        };
        self.make(nft::own_script, spec, self.around.clone()).await
    }

    /// Whether the deny table still is as it was made. Cheap as long as nobody changes the firewall: to be
    /// asked each second. What cannot be told counts as not.
    pub async fn stands(&mut self) -> bool {
        self.standing.stands(EXIT_TABLE).await
    }

    /// Makes the deny table again, in one transaction, after [`stands`](Self::stands) said no. Guests must
    /// be shut out until it stands: forwarding does not end with the table. Its counters begin anew.
    ///
    /// # Errors
    /// As the host gave; then nothing is denied.
    pub async fn restore(&mut self) -> Result<(), HostError> {
        let own = Netlink::open()?.own_networks(&self.spec.device).await;
        self.around.own = own?;
        nft::run(&nft::exit_script(&self.spec, &self.around)).await?;
        self.standing.made(EXIT_TABLE).await;
        Ok(())
    }

    /// Runs `script`; only then is the table known to be of this `spec` and `around`.
    async fn make(
        &mut self,
        script: fn(&ExitNatSpec, &ExitSurroundings) -> String,
        spec: ExitNatSpec,
        around: ExitSurroundings,
    ) -> Result<(), HostError> {
        nft::run(&script(&spec, &around)).await?;
        (self.spec, self.around) = (spec, around);
        self.standing.made(EXIT_TABLE).await;
        Ok(())
    }

    /// Returns the devices that lead to the internet.
    pub fn uplinks(&self) -> &[String] {
        &self.spec.uplinks
    }

    /// Returns what guests can reach: IPv6 only where the host itself has a way out and may forward, IPv4 unless
    /// the only way out is an IPv6 one.
    pub fn carries(&self) -> Carries {
        self.carries
    }

    /// Takes everything back: forwarding first, the deny table last.
    ///
    /// # Errors
    /// None today; what failed is in the report.
    pub async fn undo(mut self) -> Result<RecoverReport, HostError> {
        let mut report = take_back(&mut self.journal, |_| true).await;
        close(self.journal, &mut report);
        Ok(report)
    }
}

/// The other half of the consumer's refusal: one role at a time.
async fn no_consumer_here(own_device: &str) -> Result<(), HostError> {
    let seen = if nft::has_table(KILL_SWITCH_TABLE).await? {
        format!("firewall table inet {KILL_SWITCH_TABLE}")
    } else if own_device != DEVICE && is_there(DEVICE) {
        format!("device {DEVICE}")
    } else {
        return Ok(());
    };
    Err(HostError::ConsumerHere { seen })
}

fn forward_v4(device: &str) -> String {
    format!("net/ipv4/conf/{device}/forwarding")
}

fn is_there(device: &str) -> bool {
    nix::net::if_::if_nametoindex(device).is_ok()
}

/// Plans the settings that make the kernel forward between the tunnel and the uplinks.
///
/// IPv4 forwards per device, and an exit is none without it. IPv6 knows only all or nothing, so it
/// is turned on only where there is a way out, and done without where it cannot be. Forwarding
/// makes a host deaf to router advertisements unless `accept_ra` is 2: that comes first, or the
/// default route is lost, of an uplink that comes later too if it was we (`v6_is_ours`).
fn forwarding(
    spec: &ExitNatSpec,
    v6_uplinks: &[String],
    v6_is_ours: bool,
) -> Result<Vec<Change>, HostError> {
    let mut changes = Vec::new();
    let v6 = Sysctl::plan_optional(FORWARD_V6.to_owned(), "1")?;
    let v6 = v6.filter(|_| spec.uplinks.iter().any(|it| v6_uplinks.contains(it)));
    if v6.is_some() || v6_is_ours {
        for uplink in &spec.uplinks {
            let key = format!("net/ipv6/conf/{uplink}/accept_ra");
            if super::sysctl::read(&key).is_ok_and(|now| now == "1") {
                changes.extend(Sysctl::plan(key, "2")?);
            }
        }
    }
    changes.extend(v6);
    for device in spec.uplinks.iter().chain([&spec.device]) {
        changes.extend(Sysctl::plan(forward_v4(device), "1")?);
    }
    Ok(changes)
}

async fn surroundings(
    spec: &ExitNatSpec,
    settings: &[Change],
) -> Result<ExitSurroundings, HostError> {
    let turned_on = |key: &str| {
        settings
            .iter()
            .any(|it| matches!(it, Change::Sysctl(setting) if setting.key == key))
    };
    let opened = |name: &&String| turned_on(&forward_v4(name));
    Ok(ExitSurroundings {
        own: Netlink::open()?.own_networks(&spec.device).await?,
        opened_v4: spec.uplinks.iter().filter(opened).cloned().collect(),
        opened_v6: turned_on(FORWARD_V6),
    })
}
