//! Where the default routes lead, and what that carries.

use super::FORWARD_V6;
use crate::host::netlink::default_uplinks_of;
use crate::host::{Carries, Family, HostError, sysctl};

/// Devices that a default route leads to, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ways {
    pub(super) v4: Vec<String>,
    pub(super) v6: Vec<String>,
}

impl Ways {
    pub(super) async fn now() -> Result<Self, HostError> {
        let (mut v4, mut v6) = (
            default_uplinks_of(Family::V4).await?,
            default_uplinks_of(Family::V6).await?,
        );
        v4.sort_unstable();
        v6.sort_unstable();
        Ok(Self { v4, v6 })
    }

    pub(super) fn uplinks(&self) -> Vec<String> {
        let mut all = [&self.v4[..], &self.v6[..]].concat();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What these uplinks carry.
    pub(super) fn carried_by(&self, uplinks: &[String]) -> Carries {
        let forwards = sysctl::read(FORWARD_V6).is_ok_and(|now| now == "1");
        match self.kinds(uplinks) {
            Carries::Both | Carries::V6 if !forwards => Carries::V4,
            kinds @ (Carries::Both | Carries::V6 | Carries::V4) => kinds,
        }
    }

    /// The kinds of IP that these uplinks have a way out for. An owner who named some may lead IPv4 there without a
    /// default route.
    pub(super) fn kinds(&self, uplinks: &[String]) -> Carries {
        let leads = |ways: &[String]| uplinks.iter().any(|it| ways.contains(it));
        match (leads(&self.v4), leads(&self.v6)) {
            (true, true) => Carries::Both,
            (false, true) => Carries::V6,
            (true | false, false) => Carries::V4,
        }
    }
}

/// The kinds of IP that an exit by these uplinks would carry.
pub(in crate::host) async fn kinds_now(uplinks: &[String]) -> Result<Carries, HostError> {
    Ok(Ways::now().await?.kinds(uplinks))
}
