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
        "valid_until": "2026-11-22T18:00:00Z", "points": 86,
        "reasons": [
            { "by": "round_trip", "points": 36, "text": "18 ms there and back" },
            { "by": "one_way_only", "points": 50, "text": "only gossip tells of it" },
        ],
        "version": "0.1.0",
    })
}

#[test]
fn exits_are_a_sentence_a_table_and_a_next_step() {
    let list = json!({ "exits": [row("Leipzig", "0.002"), row("", "0.0035")], "known": 3 });
    let list: ExitList = serde_json::from_value(list).expect("a list");
    let expected = "\
2 exits match, best first (3 offers known). WHERE is what they claim.
  EXIT              WHERE         RTT      PRICE/GiB   PRICE/min  AT RISK      POLICY   IP   FREE  SEEN BY
  7f7f7f7f7f7f7f7f  DE (Leipzig)  18.2 ms  0.002 WRN   0 WRN      0.00001 WRN  web+dns  4+6  7/8   DHT+gossip
  7f7f7f7f7f7f7f7f  DE            18.2 ms  0.0035 WRN  0 WRN      0.00001 WRN  web+dns  4+6  7/8   DHT+gossip
Next: warren up 7f7f7f7f7f7f7f7f · warren exits show 7f7f7f7f7f7f7f7f
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
fn one_exit_is_shown_with_why_it_stands_where_it_stands() {
    let mut document = json!({
        "exit": row("Leipzig", "0.002"), "place": 2, "choice": 5, "left_out": [],
        "issued": "2026-11-22T17:00:00Z", "addresses": ["/ip4/192.0.2.1/udp/4077/quic-v1"],
        "chain_id": 7761, "contract": format!("0x{}", "01".repeat(20)),
        "token": format!("0x{}", "02".repeat(20)), "payee": format!("0x{}", "03".repeat(20)),
        "unit_price": money("0.000005"), "prepay_units": 2, "credit_units": 8, "close_window_secs": 86400,
    });
    let of = |document: &Value| {
        let shown = serde_json::from_value(document.clone()).expect("an exit");
        super::shown::page(&shown)
    };
    let text = of(&document).text();
    for line in [
        "Exit 7f7f7f7f7f7f7f7f is tried as number 2 of 5.\n",
        "  stands by      36 points   18 ms there and back\n",
        "                 50 points   only gossip tells of it\n",
        "  at risk     at most 0.00001 WRN: 2 words paid ahead\n",
        "  version     0.1.0\n",
        "Next: warren up 7f7f7f7f7f7f7f7f\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let json: Value = serde_json::from_str(&of(&document).json()).expect("JSON");
    assert_eq!(json["schema"], "warren.exit/v1");
    assert_eq!(json["exit"]["reasons"][0]["by"], "round_trip");

    for price in ["per_gib", "per_minute"] {
        document["exit"]["price"][price]["base_units"] = "0".into();
    }
    document["chain_id"] = Value::Null;
    let text = of(&document).text();
    for line in [
        "at risk     nothing: it is free\n",
        "paid        nothing: it is free and has no chain\n",
    ] {
        assert!(
            text.contains(line) && !text.contains("ahead"),
            "{line}{text}"
        );
    }

    document["place"] = Value::Null;
    document["left_out"] = json!([{ "by": "full", "text": "no place is free" }]);
    let text = of(&document).text();
    assert!(
        text.starts_with("Exit 7f7f7f7f7f7f7f7f is not tried: no place is free.\n"),
        "{text}"
    );
    assert!(!text.contains("Next: warren up"), "{text}");
}

#[test]
fn a_country_is_two_letters_in_any_case() {
    assert_eq!(
        country(Some("de")).map(|it| it.map(|it| it.to_string())),
        Ok(Some("DE".to_owned()))
    );
    assert_eq!(country(Some("Germany")).map_err(|it| it.exit_code), Err(2));
}
