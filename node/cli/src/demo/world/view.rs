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
            text.lines().map(without_age).collect()
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

/// A line without the time that is left to it: routes that a router advertised have one, and it passes.
fn without_age(line: &str) -> String {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if let Some(at) = words.iter().position(|it| *it == "expires") {
        words.drain(at..words.len().min(at + 2));
    }
    words.join(" ")
}

fn beyond(now: &[String], before: &[String]) -> Vec<String> {
    now.iter()
        .filter(|it| !before.contains(it))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_grows_older_is_the_same_route() {
        let route = |text: &str| {
            let line = format!(
                "default via fe80::1 dev eth0 proto ra metric 1024 {text}hoplimit 64 pref medium"
            );
            vec![without_age(&line)]
        };
        let before = route("expires 99sec ");
        assert_eq!(
            beyond(&route("expires 97sec "), &before),
            Vec::<String>::new()
        );
        assert_eq!(route(""), before);
        let other = vec![without_age(
            "default via fe80::2 dev eth0 proto ra expires 97sec",
        )];
        assert_eq!(
            beyond(&other, &before),
            ["default via fe80::2 dev eth0 proto ra"]
        );
        assert_eq!(
            without_age("10.0.0.0/8 dev eth0 expires"),
            "10.0.0.0/8 dev eth0"
        );
    }
}
