//! The make-believe internet, built from a [`Plan`] out of network namespaces, and taken down whatever happens.
//!
//! Nothing of it touches the host's own network: devices are made inside the namespaces, and no route leads out.
//! A state file names the owner's process, so that what a killed owner left behind is found and removed by the next.

mod record;
mod view;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use thiserror::Error;

use super::netns::{self, Namespace, ToolError};
use super::plan::{Line, Plan, Site};
use super::router;

pub use record::{Remains, sweep};

use record::{Record, resolver_dir};
use view::HostView;

/// Why a world could not be made or taken down.
#[derive(Debug, Error)]
pub enum WorldError {
    /// Network namespaces are root's.
    #[error("namespaces can only be made by root")]
    NotRoot,
    /// A tool of the host refused.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A file could not be written or read.
    #[error("{path}: {source}")]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A standing make-believe internet. Takes itself down when dropped.
#[derive(Debug)]
pub struct World {
    record: Record,
    plan: Plan,
    before: HostView,
    standing: bool,
}

impl World {
    /// Removes what dead owners left, then builds `plan`.
    ///
    /// # Errors
    /// [`WorldError`]; what was built until then is taken down again.
    pub fn build(label: &str, plan: Plan) -> Result<Self, WorldError> {
        if !geteuid().is_root() {
            return Err(WorldError::NotRoot);
        }
        sweep()?;
        let record = Record::begin(label)?;
        let before = HostView::look();
        let it = Self {
            record,
            plan,
            before,
            standing: true,
        };
        it.raise()?; // On an error `it` is dropped, and with it what stood so far.
        Ok(it)
    }

    /// What it was built from.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The folder in which its nodes keep their files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.record.dir
    }

    /// With what the names of all its namespaces begin.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.record.prefix
    }

    /// The namespace of a place.
    #[must_use]
    pub fn host(&self, site: &Site) -> Namespace {
        self.namespace(&site.name)
    }

    /// The namespace of the home router before a place; of the backbone for an open one.
    #[must_use]
    pub fn router(&self, site: &Site) -> Namespace {
        match site.line {
            Line::Open => self.namespace("backbone"),
            Line::Home | Line::HomeForwarded => self.namespace(&format!("{}-router", site.name)),
        }
    }

    /// Ends every process in it, removes every namespace and folder, and says what still remained.
    #[must_use]
    pub fn tear_down(mut self) -> Remains {
        self.fall();
        let mut remains = record::remains_of(&self.record);
        let after = HostView::look();
        remains.devices = after.devices_beyond(&self.before);
        remains.host_lines = after.lines_beyond(&self.before);
        remains
    }

    fn namespace(&self, name: &str) -> Namespace {
        Namespace::known(&format!("{}-{name}", self.record.prefix))
    }

    fn raise(&self) -> Result<(), WorldError> {
        make_own_dir(&self.record.dir)?;
        let backbone = Namespace::create(self.namespace("backbone").name())?;
        forwarding(&backbone)?;
        for site in self.plan.sites() {
            self.raise_site(&backbone, site)?;
        }
        self.host(&self.plan.web)
            .nft(&router::web_firewall(&self.plan))?;
        Ok(())
    }

    fn raise_site(&self, backbone: &Namespace, site: &Site) -> Result<(), WorldError> {
        self.own_resolver(site)?;
        let host = Namespace::create(self.host(site).name())?;
        if site.line == Line::Open {
            netns::wire((backbone, &site.name), (&host, "eth0"))?;
            address(
                backbone,
                &site.name,
                (site.backbone_v4(), 28),
                site.backbone_v6(),
            )?;
            address(&host, "eth0", (site.host_v4(), 28), site.host_v6())?;
            default_route(&host, site.backbone_v4(), site.backbone_v6())?;
            return Ok(());
        }
        let home = Namespace::create(self.router(site).name())?;
        forwarding(&home)?;
        netns::wire((backbone, &site.name), (&home, "wan"))?;
        netns::wire((&home, "lan"), (&host, "eth0"))?;
        address(
            backbone,
            &site.name,
            (site.backbone_v4(), 28),
            site.backbone_v6(),
        )?;
        address(&home, "wan", (site.public_v4(), 28), site.wan_v6())?;
        address(&home, "lan", (site.home_v4(), 24), site.home_v6())?;
        address(&host, "eth0", (site.host_v4(), 24), site.host_v6())?;
        default_route(&home, site.backbone_v4(), site.backbone_v6())?;
        default_route(&host, site.home_v4(), site.home_v6())?;
        let inside = site.host_v6().segments();
        backbone.ip(&format!(
            "route add {:x}:{:x}:{:x}::/64 via {}",
            inside[0],
            inside[1],
            inside[2],
            site.wan_v6()
        ))?;
        home.nft(&router::home_router(site))?;
        Ok(())
    }

    /// `ip netns exec` lays this file over /etc/resolv.conf, so that no program inside changes the host's.
    fn own_resolver(&self, site: &Site) -> Result<(), WorldError> {
        let dir = resolver_dir(self.host(site).name());
        make_dir(&dir)?;
        let path = dir.join("resolv.conf");
        let text = format!("nameserver {}\n", site.home_v4());
        fs::write(&path, text).map_err(|source| WorldError::File { path, source })
    }

    fn fall(&mut self) {
        if std::mem::take(&mut self.standing) {
            record::remove(&self.record);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.fall();
    }
}

/// A folder that nobody made before, and nobody else looks into: its name can be guessed, and links in one that was
/// there already would be followed as root.
fn make_own_dir(path: &Path) -> Result<(), WorldError> {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    builder.create(path).map_err(|source| WorldError::File {
        path: path.to_owned(),
        source,
    })
}

fn make_dir(path: &Path) -> Result<(), WorldError> {
    fs::create_dir_all(path).map_err(|source| WorldError::File {
        path: path.to_owned(),
        source,
    })
}

fn forwarding(namespace: &Namespace) -> Result<(), ToolError> {
    namespace.set("net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
}

fn address(
    namespace: &Namespace,
    device: &str,
    v4: (Ipv4Addr, u8),
    v6: Ipv6Addr,
) -> Result<(), ToolError> {
    namespace.ip(&format!("addr add {}/{} dev {device}", v4.0, v4.1))?;
    namespace
        .ip(&format!("addr add {v6}/64 dev {device}"))
        .map(|_| ())
}

fn default_route(namespace: &Namespace, v4: Ipv4Addr, v6: Ipv6Addr) -> Result<(), ToolError> {
    namespace.ip(&format!("route add default via {v4}"))?;
    namespace
        .ip(&format!("route add default via {v6}"))
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_folder_that_somebody_made_before_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let (own, theirs) = (folder.path().join("own"), folder.path().join("theirs"));
        make_own_dir(&own).unwrap();
        assert_eq!(
            fs::metadata(&own).unwrap().permissions().mode() & 0o777,
            0o700
        );
        symlink(&own, &theirs).unwrap();
        for path in [&own, &theirs] {
            assert!(make_own_dir(path).is_err(), "{}", path.display());
        }
    }
}
