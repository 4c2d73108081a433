//! Firewall tables: plans rendered to text, and the one place that runs `nft`.
//!
//! The renderers ([`kill_switch_script`], [`exit_script`]) are sans-IO; a script replaces its
//! table in one kernel transaction, so there is no moment with half a table.

mod exit_nat;
mod kill_switch;
mod standing;

pub use exit_nat::{ExitNatSpec, ExitSurroundings, GuestLimits, exit_script, own_script};
pub(crate) use standing::{Standing, generation};

pub use kill_switch::{KillSwitchSpec, endpoints_script, guard_script, kill_switch_script};

use ipnet::IpNet;

use super::report::Outcome;
use super::{HostError, command};

/// The consumer's table.
pub const KILL_SWITCH_TABLE: &str = "warren";
/// The consumer's table without a kill switch.
pub const GUARD_TABLE: &str = "warren_guard";
/// The exit's table.
pub const EXIT_TABLE: &str = "warren_exit";

/// Gives `script` to the kernel, all of it or nothing.
pub(crate) async fn run(script: &str) -> Result<(), HostError> {
    command::run("nft", &["-f", "-"], script).await.map(drop)
}

/// Asks the kernel whether it would take `script`; changes nothing.
pub(crate) async fn check(script: &str) -> Result<(), HostError> {
    command::run("nft", &["-c", "-f", "-"], script)
        .await
        .map(drop)
}

/// Lists chains or counters as JSON.
pub(crate) async fn list(arguments: &[&str]) -> Result<serde_json::Value, HostError> {
    ask(&[&["-j", "list"], arguments].concat()).await
}

/// Lists a table's rules as JSON, without what its sets hold.
pub(crate) async fn rules(family: &str, table: &str) -> Result<serde_json::Value, HostError> {
    ask(&["-j", "-t", "list", "table", family, table]).await
}

async fn ask(words: &[&str]) -> Result<serde_json::Value, HostError> {
    let answer = command::run("nft", words, "").await?;
    serde_json::from_slice(&answer).map_err(|source| HostError::Answer {
        program: "nft",
        source,
    })
}

/// Says whether a table of ours is there.
///
/// # Errors
/// As the host gave, as without the right to ask.
pub async fn has_table(name: &str) -> Result<bool, HostError> {
    let tables = list(&["tables"]).await?;
    let rows = tables["nftables"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let ours =
        |row: &serde_json::Value| row["table"]["family"] == "inet" && row["table"]["name"] == name;
    Ok(rows.iter().any(ours))
}

/// Removes a table of ours if it is there.
pub(crate) async fn remove_table(name: &str) -> Result<Outcome, HostError> {
    if !has_table(name).await? {
        return Ok(Outcome::AlreadyGone);
    }
    run(&format!("table inet {name}\ndelete table inet {name}\n")).await?;
    Ok(Outcome::Undone)
}

/// Refuses a name that the kernel would refuse or that would break out of a quoted string.
pub(crate) fn check_device(name: &str) -> Result<(), HostError> {
    let fits = !name.is_empty() && name.len() < 16 && name != "." && name != "..";
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+');
    if fits && name.chars().all(plain) {
        return Ok(());
    }
    Err(HostError::BadDeviceName {
        name: name.to_owned(),
    })
}

/// A set of networks; empty sets are legal and match nothing.
fn net_set(name: &str, family: &str, nets: impl IntoIterator<Item = IpNet>) -> String {
    let elements: Vec<String> = nets.into_iter().map(|net| net.to_string()).collect();
    let elements = elements_line(&elements);
    format!("\tset {name} {{\n\t\ttype {family}\n\t\tflags interval\n{elements}\t}}\n")
}

fn elements_line(elements: &[String]) -> String {
    if elements.is_empty() {
        return String::new();
    }
    format!("\t\telements = {{ {} }}\n", elements.join(", "))
}

#[cfg(test)]
mod tests;
