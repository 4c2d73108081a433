//! What of the host's own network a world must not change.

use super::super::netns;

/// Devices, rules and routes of the host as the tools print them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostView {
    devices: Vec<String>,
    lines: Vec<String>,
}

impl HostView {
    pub(super) fn look() -> Self {
        let seen = |program: &str, args: &[&str]| -> Vec<String> {
            let text = netns::run(program, args).unwrap_or_default();
            text.lines().map(|it| it.trim().to_owned()).collect()
        };
        let mut lines = Vec::new();
        for args in [["-4", "rule"], ["-6", "rule"]] {
            lines.extend(seen("ip", &args));
        }
        for family in ["-4", "-6"] {
            lines.extend(seen("ip", &[family, "route", "show", "table", "all"]));
        }
        lines.extend(seen("nft", &["-s", "list", "ruleset"]));
        let devices = seen("ip", &["-br", "link"]);
        Self {
            devices: devices
                .iter()
                .filter_map(|it| it.split_whitespace().next().map(str::to_owned))
                .collect(),
            lines,
        }
    }

    pub(super) fn devices_beyond(&self, before: &Self) -> Vec<String> {
        beyond(&self.devices, &before.devices)
    }

    pub(super) fn lines_beyond(&self, before: &Self) -> Vec<String> {
        beyond(&self.lines, &before.lines)
    }
}

fn beyond(now: &[String], before: &[String]) -> Vec<String> {
    now.iter()
        .filter(|it| !before.contains(it))
        .cloned()
        .collect()
}
