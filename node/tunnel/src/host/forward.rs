//! Chains of others that drop forwarded packets by default, and whether they let guests' packets pass all the same.
//!
//! Every base chain of the hook must let a packet pass: an accept of ours overrules no drop of another, such as
//! that of Docker or ufw. What is read of a chain is what it accepts by device, by the guests' addresses and by
//! the state of a flow, in itself and where it leads all of these packets to. A named set of devices counts as
//! if ours were in it; what else cannot be read, as no accept.

use ipnet::IpNet;
use serde_json::Value;

use super::findings::Finding;
use super::nft::{self, EXIT_TABLE, ExitNatSpec, KILL_SWITCH_TABLE};
use super::{Carries, HostError};

/// Chains that lead to each other are followed so far; the kernel follows no more than 16.
const DEEPEST: u32 = 16;

/// Asks for the chains that drop what guests of this exit send, or are answered.
pub(super) async fn drops(spec: &ExitNatSpec, carries: Carries) -> Result<Vec<Finding>, HostError> {
    let chains = nft::list(&["chains"]).await?;
    let mut found = Vec::new();
    for chain in dropping(&chains, carries) {
        let (family, table) = (word(chain, "family"), word(chain, "table"));
        if !lets_pass(&nft::rules(family, table).await?, chain, spec) {
            found.push(Finding::ForwardDropped {
                family: family.to_owned(),
                table: table.to_owned(),
                chain: word(chain, "name").to_owned(),
                remedy: remedy(&chains, chain, &spec.device),
            });
        }
    }
    Ok(found)
}

/// Chains of others that drop by default what the exit carries.
pub(super) fn dropping(listing: &Value, carries: Carries) -> Vec<&Value> {
    let drops = |row: &&Value| {
        let ours = [KILL_SWITCH_TABLE, EXIT_TABLE].contains(&word(row, "table"));
        let routes = match word(row, "family") {
            "inet" => !ours,
            "ip" => carries != Carries::V6,
            "ip6" => carries != Carries::V4,
            _ => false,
        };
        routes && row["hook"] == "forward" && row["policy"] == "drop"
    };
    rows(listing, "chain").filter(drops).collect()
}

/// Whether guests' packets and their answers get through `chain`, as its table reads.
pub(super) fn lets_pass(table: &Value, chain: &Value, spec: &ExitNatSpec) -> bool {
    [Way::FromGuest, Way::ToGuest].iter().all(|way| {
        let packets = Packets {
            way: *way,
            spec,
            table,
        };
        packets.end_in(word(chain, "name"), 0) == Some(true)
    })
}

/// What mends it, to be typed. Docker keeps one chain for its owner's rules, and ufw has verbs of its own.
pub(super) fn remedy(listing: &Value, dropping: &Value, device: &str) -> String {
    let (family, table, chain) = (
        word(dropping, "family"),
        word(dropping, "table"),
        word(dropping, "name"),
    );
    let beside = |row: &&Value| word(row, "family") == family && word(row, "table") == table;
    let has = |name: &str| {
        let mut beside = rows(listing, "chain").filter(beside);
        beside.any(|row| word(row, "name") == name)
    };
    if family == "inet" || (table, chain) != ("filter", "FORWARD") {
        let insert = format!("nft insert rule {family} {table} {chain}");
        return format!("`{insert} iifname {device} accept; {insert} oifname {device} accept`");
    }
    if has("ufw-user-forward") || has("ufw6-user-forward") {
        return format!("`ufw route allow in on {device}; ufw route allow out on {device}`");
    }
    let (program, chain) = (
        if family == "ip6" {
            "ip6tables"
        } else {
            "iptables"
        },
        if has("DOCKER-USER") {
            "DOCKER-USER"
        } else {
            chain
        },
    );
    format!(
        "`{program} -I {chain} -i {device} -j ACCEPT; {program} -I {chain} -o {device} -j ACCEPT`"
    )
}

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    FromGuest,
    ToGuest,
}

/// Whether a rule is for the packets in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// For none of them, or nobody can tell.
    No,
    /// For some of them, or probably.
    Maybe,
    /// For all of them.
    Yes,
}

/// Packets of guests, one way.
struct Packets<'a> {
    way: Way,
    spec: &'a ExitNatSpec,
    table: &'a Value,
}

impl Packets<'_> {
    /// How they end in a chain: accepted, dropped, or `None`: they come back.
    fn end_in(&self, chain: &str, depth: u32) -> Option<bool> {
        if depth >= DEEPEST {
            return None;
        }
        for rule in rows(self.table, "rule").filter(|it| word(it, "chain") == chain) {
            let parts = rule["expr"].as_array().map_or(&[][..], Vec::as_slice);
            let mut fit = Fit::Yes;
            for part in parts {
                if let Some(test) = part.get("match") {
                    fit = fit.min(self.fits(test));
                } else if let Some(map) = part.get("vmap") {
                    for (test, verdict) in choices(map) {
                        match self.end_by(&verdict, fit.min(self.fits(&test)), depth) {
                            End::Goes => {}
                            End::Is(end) => return end,
                        }
                    }
                } else {
                    match self.end_by(part, fit, depth) {
                        End::Goes => fit = fit.min(self.fits_other(part)),
                        End::Is(end) => return end,
                    }
                }
            }
        }
        None
    }

    /// What one part of a rule decides. Where it may be for others alone, only an accept counts.
    fn end_by(&self, part: &Value, fit: Fit, depth: u32) -> End {
        let leads = |how: &str| {
            let to = part.get(how)?.get("target")?.as_str()?;
            Some(self.end_in(to, depth.saturating_add(1)))
        };
        let is = |name: &str| part.get(name).is_some();
        let refuses = is("drop") || is("reject") || part["xt"]["name"] == "REJECT";
        let end = if fit == Fit::No {
            return End::Goes;
        } else if is("accept") {
            Some(true)
        } else if refuses {
            Some(false)
        } else if is("return") {
            None
        } else if let Some(end) = leads("goto") {
            end
        } else {
            match leads("jump") {
                Some(Some(end)) => Some(end),
                Some(None) | None => return End::Goes,
            }
        };
        if fit == Fit::Yes || end == Some(true) {
            return End::Is(end);
        }
        End::Goes
    }

    fn fits(&self, test: &Value) -> Fit {
        let (left, right) = (&test["left"], &test["right"]);
        let not = test["op"] == "!=";
        match left["meta"]["key"].as_str() {
            Some("iif" | "iifname") => return self.fits_device(Way::FromGuest, right, not),
            Some("oif" | "oifname") => return self.fits_device(Way::ToGuest, right, not),
            Some("nfproto") => return Fit::Maybe,
            Some(_) | None => {}
        }
        if left["ct"]["key"] == "state" && !not {
            let asked = match self.way {
                Way::FromGuest => "new",
                Way::ToGuest => "established",
            };
            return yes(each(right).any(|it| it == asked));
        }
        let end = match self.way {
            Way::FromGuest => "saddr",
            Way::ToGuest => "daddr",
        };
        if left["payload"]["field"] == end && !not {
            let inner = [self.spec.inner4.into(), self.spec.inner6.into()];
            let holds = |net: IpNet| inner.iter().any(|it: &IpNet| net.contains(it));
            return yes(each(right).filter_map(net).any(holds));
        }
        Fit::No
    }

    /// `guests`: on which way the device named is the guests'; on the other one it is an uplink.
    fn fits_device(&self, guests: Way, right: &Value, not: bool) -> Fit {
        if right.as_str().is_some_and(|it| it.starts_with('@')) {
            return Fit::Maybe;
        }
        let ours = if self.way == guests {
            std::slice::from_ref(&self.spec.device)
        } else {
            &self.spec.uplinks[..]
        };
        let named = |device: &&String| {
            let is = |pattern: &str| match pattern.strip_suffix('*') {
                Some(begin) => device.starts_with(begin),
                None => *device == pattern,
            };
            each(right).filter_map(Value::as_str).any(is) != not
        };
        match ours.iter().filter(named).count() {
            0 => Fit::No,
            all if all == ours.len() => Fit::Yes,
            _ => Fit::Maybe,
        }
    }

    /// What iptables asks in its own way is told by name at most: that of a flow's state lets answers pass.
    fn fits_other(&self, part: &Value) -> Fit {
        let Some(own) = part.get("xt") else {
            return yes(part.get("limit").is_none());
        };
        match (own["name"].as_str(), self.way) {
            (Some("comment"), _) => Fit::Yes,
            (Some("conntrack" | "state") | None, Way::ToGuest) => Fit::Maybe,
            (Some(_) | None, _) => Fit::No,
        }
    }
}

enum End {
    /// The packets go on to the next part, or rule.
    Goes,
    Is(Option<bool>),
}

/// The choices of a verdict map, each as a test of its own; of a named one, none.
fn choices(map: &Value) -> impl Iterator<Item = (Value, Value)> {
    let pairs = map["data"]["set"].as_array().into_iter().flatten();
    pairs.map(|pair| {
        let test = serde_json::json!({ "op": "==", "left": map["key"], "right": pair[0] });
        (test, pair[1].clone())
    })
}

/// One value, or those of a list or of an unnamed set.
fn each(right: &Value) -> std::slice::Iter<'_, Value> {
    let many = right.as_array().or_else(|| right["set"].as_array());
    many.map_or_else(|| std::slice::from_ref(right), Vec::as_slice)
        .iter()
}

fn net(value: &Value) -> Option<IpNet> {
    let prefix = &value["prefix"];
    let (address, length) = match prefix["addr"].as_str() {
        Some(it) => (it, prefix["len"].as_u64()),
        None => (value.as_str()?, None),
    };
    let whole = IpNet::from(address.parse::<std::net::IpAddr>().ok()?);
    match length {
        Some(it) => IpNet::new(whole.addr(), u8::try_from(it).ok()?).ok(),
        None => Some(whole),
    }
}

const fn yes(it: bool) -> Fit {
    if it { Fit::Yes } else { Fit::No }
}

fn rows<'a>(listing: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    let rows = listing["nftables"].as_array().into_iter().flatten();
    rows.filter_map(move |row| row.get(kind))
}

fn word<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or("")
}

#[cfg(test)]
mod tests;
