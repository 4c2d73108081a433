//! How numbers and places are written for people.
//!
//! Sans-IO.

use warren_daemon::api::types::{DropsView, OffloadView, PriceView, RouteUsed};
use warren_proto::{NodeId, Region};

/// Bytes in binary units, three digits.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (count, 0);
    let mut tenths = 0;
    while value >= 1024 && unit + 1 < UNITS.len() {
        tenths = value % 1024 * 10 / 1024;
        value /= 1024;
        unit += 1;
    }
    if unit == 0 || value >= 100 {
        return format!("{value} {}", UNITS[unit]);
    }
    format!("{value}.{tenths} {}", UNITS[unit])
}

/// Seconds as hours, minutes and seconds.
#[must_use]
pub fn span(secs: u64) -> String {
    match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// A price in one line.
#[must_use]
pub fn price(price: &PriceView) -> String {
    format!("{} per GiB, {} per minute", price.per_gib, price.per_minute)
}

/// A claimed place.
#[must_use]
pub fn place(region: &Region) -> String {
    if region.city.is_empty() {
        return region.country.to_string();
    }
    format!("{} ({})", region.country, region.city)
}

/// As much of a node's id as one types to name it: 64 bits, which nobody finds a second node for by trying.
#[must_use]
pub fn typed(node: &NodeId) -> String {
    hex::encode(&node.as_bytes()[..8])
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

/// Milliseconds, where they were measured.
#[must_use]
pub fn rtt(millis: Option<f64>) -> String {
    millis.map_or_else(|| "?".to_owned(), |it| format!("{it:.1} ms"))
}

/// Which internet an exit reaches.
#[must_use]
pub const fn carries(ipv4: bool, ipv6: bool) -> &'static str {
    match (ipv4, ipv6) {
        (true, true) => "4+6",
        (true, false) => "4",
        (false, true) => "6",
        (false, false) => "?",
    }
}

/// By which ways an offer was heard of lately.
#[must_use]
pub const fn seen_by(dht: bool, gossip: bool) -> &'static str {
    match (dht, gossip) {
        (true, true) => "DHT+gossip",
        (true, false) => "DHT",
        (false, true) => "gossip",
        (false, false) => "cache",
    }
}

/// The route that pays a session, and what it costs.
#[must_use]
pub fn route(it: &RouteUsed) -> String {
    let second = it.second.as_ref();
    let second = second.map(|it| format!(" and {}", it.router.short()));
    format!(
        "through {}{}: {} a word instead of {}, and {} for each lock",
        it.router.short(),
        second.unwrap_or_default(),
        it.unit_price,
        it.exit_price,
        it.hold_fee
    )
}

/// How a tunnel passes packets.
#[must_use]
pub fn offload(it: &OffloadView) -> String {
    format!(
        "device {}, sent as {}, received {}",
        it.device, it.send, it.receive
    )
}

/// What a tunnel did not carry. `None` if it carried all.
#[must_use]
pub fn dropped(it: &DropsView) -> Option<String> {
    let words = it.0.iter();
    let words: Vec<_> = words
        .map(|(reason, count)| format!("{} {count}", reason.replace('_', " ")))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(64 << 20), "64.0 MiB");
        assert_eq!(bytes(500 << 30), "500 GiB");
        assert_eq!(bytes(u64::MAX), "16777215 TiB");
    }

    #[test]
    fn what_was_dropped_is_said_by_reason() {
        assert_eq!(dropped(&DropsView::default()), None);
        let counts = [("wrong_source".to_owned(), 2), ("forged".to_owned(), 10)];
        let said = dropped(&DropsView(counts.into()));
        assert_eq!(said.as_deref(), Some("forged 10, wrong source 2"));
    }

    #[test]
    fn spans_are_said_as_people_say_them() {
        assert_eq!(span(59), "59 s");
        assert_eq!(span(61), "1 min 1 s");
        assert_eq!(span(7260), "2 h 1 min");
    }
}
