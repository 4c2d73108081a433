//! What a configuration accepts, what it refuses, and how it says so.

use std::fs;

use super::*;

fn with_file(text: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    let sources = Sources {
        file: Some(path.clone()),
        ..Sources::default()
    };
    Config::load(&sources)
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// The error's text after the folder, which differs from run to run.
fn told(text: &str) -> String {
    let error = with_file(text).unwrap_err();
    assert_eq!(error.problem().exit_code, 10);
    error
        .to_string()
        .rsplit_once("config.toml")
        .unwrap()
        .1
        .to_owned()
}

#[test]
fn the_defaults_are_a_configuration_that_shares_nothing() {
    let config = Config::load(&Sources::default()).unwrap();
    assert!(!config.exit.enabled && config.chain.is_none() && config.consumer.kill_switch);
    assert_eq!(config.exit.policy, "web+dns");
    assert_eq!(config.exit.price.per_mib.wei(), 1_953_125_000_000);
    let exit = &config.exit;
    assert_eq!(exit.word(&exit.price), exit.price.per_mib);
}

#[test]
fn a_word_is_worth_a_mebibyte_or_where_only_time_is_asked_for_a_minute() {
    let exit = |prices: &str| with_file(&format!("[exit]\n{prices}")).unwrap().exit;
    let by_time = exit("price_per_gib = \"0\"\nprice_per_minute = \"0.5\"\n");
    assert_eq!(by_time.word(&by_time.price), by_time.price.per_minute);
    let both = exit("price_per_gib = \"1024\"\nprice_per_minute = \"0.5\"\n");
    assert_eq!(both.word(&both.price), both.price.per_mib);
    // A price that was asked for later has words of its own.
    let free = exit("price_per_gib = \"0\"\n");
    assert_eq!(free.word(&free.price).wei(), 1);
    assert_eq!(free.word(&both.price), both.price.per_mib);
    let fixed = exit("unit_price = \"0.25\"\n");
    assert_eq!(fixed.word(&both.price).wei(), 250_000_000_000_000_000);
}

#[test]
fn a_later_source_wins_and_explain_says_who_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(
        &path,
        "[exit]\n\npolicy = \"all\"\nguests_max = 3\ncountry = \"de\"\n",
    )
    .unwrap();
    let sources = Sources {
        file: Some(path.clone()),
        env: pairs(&[
            ("WARREN_EXIT__GUESTS_MAX", "5"),
            ("WARREN_EXIT__POLICY", "all-but-mail"),
            ("PATH", "x"),
        ]),
        flags: pairs(&[("exit.policy", "web+dns")]),
    };
    let config = Config::load(&sources).unwrap();
    let said = AsSaid::of(&sources);
    let who = |key: &str| said.explain(key).unwrap().setting;
    assert_eq!(
        (who("exit.policy").origin, config.exit.policy.as_str()),
        (Origin::Flag, "web+dns")
    );
    assert_eq!(
        (who("exit.guests_max").origin, config.exit.guests_max),
        (Origin::Env, 5)
    );
    assert_eq!(who("exit.country").place, Place::File { path, line: 5 });
    assert_eq!(who("exit.listen_port").origin, Origin::Default);
    assert_eq!(
        said.explain("exit.guests_max").unwrap().variable,
        "WARREN_EXIT__GUESTS_MAX"
    );
}

#[test]
fn an_unknown_key_is_an_error_with_its_line_and_the_nearest_key() {
    assert_eq!(
        told("[exit]\npolicy = \"all\"\nguest_max = 3\n"),
        ":3: unknown key `exit.guest_max`; did you mean `exit.guests_max`?"
    );
    assert_eq!(
        told("[chian]\nrpc_url = \"\"\n"),
        ":2: unknown key `chian.rpc_url`; did you mean `chain.rpc_url`?"
    );
    let env = pairs(&[("WARREN_OVERLAY__LISTENS", "")]);
    let error = Config::load(&Sources {
        env,
        ..Sources::default()
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment variable WARREN_OVERLAY__LISTENS: unknown key `overlay.listens`; did you mean `overlay.listen`?"
    );
}

#[test]
fn a_value_that_does_not_fit_says_what_would() {
    assert_eq!(
        told("[exit]\nprice_per_gib = 0.002\n"),
        ":2: exit.price_per_gib = 0.002: a sum is written as text, so that no digit is lost: \"0.002\""
    );
    assert_eq!(
        told("[exit]\nguests_max = 0\n"),
        ":2: exit.guests_max = 0: a whole number from 1 to 4096 is needed"
    );
    assert_eq!(
        told("[exit]\npolicy = \"mail\"\n"),
        ":2: exit.policy = mail: one of web+dns, all-but-mail, all is needed"
    );
    assert_eq!(
        told("[exit]\nenabled = \"yes\"\n"),
        ":2: exit.enabled = \"yes\": true or false is needed, without quotes"
    );
    assert_eq!(
        told("[exit]\ninner_v6 = \"2001:db8:7::/64\"\n")
            .split(" is")
            .next(),
        Some(":2: exit.inner_v6 = 2001:db8:7::/64: a net such as fd77:7761::/64"),
    );
    assert_eq!(
        told("[exit]\ninner_v4 = \"10.77.0.1/16\"\n"),
        ":2: exit.inner_v4 = 10.77.0.1/16: a net such as 10.77.0.0/16 is needed, /8 to /24"
    );
}

#[test]
fn an_exit_may_have_one_endpoint_or_several() {
    let of = |text: &str| with_file(&format!("[exit]\nendpoint = {text}\n"));
    let one = of("\"exit.example:41820\"").unwrap();
    assert_eq!(one.exit.endpoints, ["exit.example:41820"]);
    let two = of("[\"198.51.100.7:41820\", \"[2001:db8::7]:41820\"]").unwrap();
    let wanted = ["198.51.100.7:41820", "[2001:db8::7]:41820"];
    assert_eq!(two.exit.endpoints, wanted);
    for wrong in [
        "\"exit.example\"",
        "[\"198.51.100.7:41820\", \"2001:db8::7:41820\"]",
        "\":41820\"",
        "[\"a:0\"]",
    ] {
        assert!(of(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn broken_toml_is_told_with_its_line() {
    assert!(told("[exit]\npolicy = \n").starts_with(":2: "));
}

#[test]
fn a_chain_is_used_only_with_its_contract_pinned() {
    let error =
        with_file("[chain]\nrpc_url = \"http://127.0.0.1:8545\"\nchain_id = 31337\n").unwrap_err();
    assert!(
        matches!(
            error,
            ConfigError::Missing {
                key: "chain.contract",
                ..
            }
        ),
        "{error}"
    );
    let address = "0x00000000000000000000000000000000000000aa";
    let text = format!(
        "[chain]\nrpc_url = \"http://127.0.0.1:8545\"\nchain_id = 31337\ncontract = \"{address}\"\ntoken = \"{address}\"\n"
    );
    let chain = with_file(&text).unwrap().chain.unwrap();
    assert_eq!(
        (
            chain.pinned.chain_id,
            chain.pinned.contract.to_string().as_str()
        ),
        (31337, address)
    );
}

#[test]
fn every_default_fits_its_own_key_and_every_key_explains_itself() {
    let said = AsSaid::of(&Sources::default());
    assert!(said.clone().fits().is_ok());
    for key in KEYS {
        let explained = said.explain(key.name).unwrap();
        assert_eq!(explained.setting.value, key.default);
        assert!(
            key.meaning.ends_with('.') && key.name.contains('.'),
            "{}",
            key.name
        );
    }
}

#[test]
fn guests_are_named_by_whole_ids() {
    let (friend, stranger) = ("1".repeat(64), "2".repeat(64));
    let env = pairs(&[
        ("WARREN_EXIT__GUESTS_ALLOWED", &friend),
        (
            "WARREN_EXIT__GUESTS_BANNED",
            &format!("{friend},{stranger}"),
        ),
    ]);
    let sources = Sources {
        env,
        ..Sources::default()
    };
    let guests = Config::load(&sources).unwrap().exit.guests;
    assert_eq!((guests.allowed.len(), guests.banned.len()), (1, 2));
    assert_eq!(
        told("[exit]\nguests_allowed = [\"11111111\"]\n"),
        ":2: exit.guests_allowed = 11111111: at most 1024 node ids of 64 hex digits are needed"
    );
}
