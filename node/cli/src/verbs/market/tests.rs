use serde_json::{Value, json};

use super::*;

fn money(value: &str) -> Value {
    json!({ "value": value, "unit": "WRN", "base_units": "1" })
}

fn row(city: &str, price: &str) -> Value {
    json!({
        "node": "7f".repeat(32), "offer": "0a".repeat(32), "seq": 1,
        "region": { "country": "DE", "city": city },
        "price": { "per_gib": money(price), "per_minute": money("0") },
        "at_risk": money("0.00001"), "policy": { "name": "web+dns", "hash": "00".repeat(32) },
        "guests_max": 8, "guests_free": 7, "ipv4": true, "ipv6": true, "rootless": false,
        "rtt_millis": 18.25, "by_dht": true, "by_gossip": true,
        "valid_until": "2026-11-22T18:00:00Z", "reasons": [], "version": "0.1.0",
    })
}

#[test]
fn exits_are_a_sentence_a_table_and_a_next_step() {
    let list = json!({ "exits": [row("Leipzig", "0.002"), row("", "0.0035")], "known": 3 });
    let list: ExitList = serde_json::from_value(list).expect("a list");
    let expected = "\
2 exits match, best first (3 offers known). WHERE is what they claim.
  EXIT              WHERE         RTT      PRICE/GiB   PRICE/min  POLICY   FREE  SEEN BY
  7f7f7f7f7f7f7f7f  DE (Leipzig)  18.2 ms  0.002 WRN   0 WRN      web+dns  7/8   DHT+gossip
  7f7f7f7f7f7f7f7f  DE            18.2 ms  0.0035 WRN  0 WRN      web+dns  7/8   DHT+gossip
Next: warren up 7f7f7f7f7f7f7f7f
";
    let page = list_page(&list);
    assert_eq!(page.text(), expected);
    let document: Value = serde_json::from_str(&page.json()).expect("JSON");
    assert_eq!(document["schema"], "warren.exits/v1");
    assert_eq!(
        document["exits"][0]["node"],
        "7f".repeat(32),
        "ids are whole in JSON"
    );
}

#[test]
fn a_country_is_two_letters_in_any_case() {
    assert_eq!(
        country(Some("de")).map(|it| it.map(|it| it.to_string())),
        Ok(Some("DE".to_owned()))
    );
    assert_eq!(country(Some("Germany")).map_err(|it| it.exit_code), Err(2));
}
