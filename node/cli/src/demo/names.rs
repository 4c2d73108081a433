//! The demo's name server: dnsmasq beside the web server, and whom it was asked by.

use std::net::IpAddr;
use std::path::Path;

use super::plan::{Plan, WEB_NAME};
use super::process::{Process, ProcessError};
use super::world::World;

/// Starts it; it says `started` when it listens.
///
/// # Errors
/// [`ProcessError::Io`] when dnsmasq is not installed.
pub fn start(world: &World, log: &Path) -> Result<Process, ProcessError> {
    let plan = world.plan();
    let record = host_record(plan);
    let args = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--group=root",
        "--pid-file",
        "--log-facility=-",
        "--log-queries",
        "--local=/example/",
        &record,
    ];
    Process::start(
        &world.host(&plan.web),
        "names",
        Path::new("dnsmasq"),
        &args,
        log,
    )
}

fn host_record(plan: &Plan) -> String {
    let (v4, v6) = (plan.web.public_v4(), plan.web.host_v6());
    format!("--host-record={WEB_NAME},{v4},{v6}")
}

/// Whether the log of a name server says that it is ready.
#[must_use]
pub fn is_ready(log: &str) -> bool {
    log.lines()
        .any(|it| it.contains("dnsmasq") && it.contains(": started"))
}

/// The addresses that asked for the web server's name, by the log of the name server; each once.
#[must_use]
pub fn asked_from(log: &str) -> Vec<IpAddr> {
    let asker = |line: &str| {
        let (_, asked) = line.split_once(": query[")?;
        let (name, from) = asked.split_once("] ")?.1.split_once(" from ")?;
        let from: IpAddr = from.trim().parse().ok()?;
        (name == WEB_NAME).then_some(from.to_canonical())
    };
    let mut from: Vec<IpAddr> = log.lines().filter_map(asker).collect();
    from.sort();
    from.dedup();
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_is_read_from_what_dnsmasq_writes() {
        let log = format!(
            "dnsmasq: started, version 2.90 cachesize 150\n\
             dnsmasq: query[A] {WEB_NAME} from 203.0.113.2\n\
             dnsmasq: config {WEB_NAME} is 198.51.100.34\n\
             dnsmasq: query[AAAA] {WEB_NAME} from 203.0.113.2\n\
             dnsmasq: query[AAAA] {WEB_NAME} from 2001:db8:300::2\n\
             dnsmasq: query[A] other.example from 192.0.2.1\n"
        );
        assert!(is_ready(&log) && !is_ready("dnsmasq: failed to create listening socket"));
        let wanted: [IpAddr; 2] = [
            "203.0.113.2".parse().unwrap(),
            "2001:db8:300::2".parse().unwrap(),
        ];
        assert_eq!(asked_from(&log), wanted);
    }
}
