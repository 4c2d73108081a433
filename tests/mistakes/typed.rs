//! Mistyped: flags, verbs, configuration.

use std::fs;

use crate::home::Home;

#[test]
fn a_flag_or_verb_that_does_not_exist_ends_with_two() {
    let home = Home::bare();
    for typed in [
        &["status", "--sidewards"][..],
        &["fly"],
        &["channel", "burn"],
        &["up", "--timeout", "soon"],
        &["daemon", "--set"],
        &["recover", "--accept", "12345678"],
    ] {
        let told = home.run(typed);
        assert_eq!(told.exit, 2, "{told:?}");
        assert!(
            told.out.is_empty() && told.err.starts_with("error: "),
            "{told:?}"
        );
        assert!(told.err.contains("--help"), "{told:?}");
        home.ask(typed).problem(2, "W1501");
    }
    assert!(!home.file("node.key").exists(), "nothing was made");
}

#[test]
fn a_key_that_does_not_exist_is_named_with_its_file_and_line() {
    let home = Home::bare();
    home.config_text("[exit]\n\npolcy = \"all\"\n");
    for verb in [&["daemon"][..], &["status"], &["config", "validate"]] {
        let problem = home.refused(verb, 10, "W1003");
        let seen = problem["seen"].as_str().unwrap();
        assert!(
            seen.contains("config.toml:3") && seen.contains("`exit.policy`"),
            "{seen}"
        );
        assert_eq!(problem["next"], "warren config explain exit.policy");
    }
    home.refused(&["daemon", "--set", "exit.polcy=all"], 10, "W1003");
    assert!(!home.file("node.key").exists(), "nothing was made");
}

/// What the remedy names works, also while the daemon does not start.
#[test]
fn the_remedy_of_a_bad_key_explains_the_right_one() {
    let home = Home::bare();
    let told = home.ask(&["config", "explain", "exit.policy"]).data();
    assert_eq!(
        (told["key"].as_str(), told["value"].as_str()),
        (Some("exit.policy"), Some("web+dns"))
    );
    assert_eq!(told["variable"], "WARREN_EXIT__POLICY");
    let shown = home.ask(&["config", "show"]).data();
    let listen = shown["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["key"] == "overlay.listen");
    assert!(
        listen.unwrap()["said_by"]
            .as_str()
            .unwrap()
            .ends_with("config.toml:2"),
        "{listen:?}"
    );
    assert_eq!(home.ask(&["config", "validate"]).data()["set"], 3);
    home.refused(&["config", "explain", "exit.polcy"], 10, "W1003");
}

#[test]
fn a_value_that_does_not_fit_is_named_with_what_would() {
    let home = Home::bare();
    for (text, code) in [
        ("[exit]\nguests_max = \"many\"\n", "W1004"),
        ("[exit]\nprice_per_gib = \"-1\"\n", "W1004"),
        ("[exit]\ncountry = \"Atlantis\"\n", "W1004"),
        ("[chain]\nrpc_url = \"somewhere\"\n", "W1004"),
        ("[chain]\nrpc_url = \"http://127.0.0.1:1\"\n", "W1005"),
        ("[node]\nnetwork = \"\"\n", "W1004"),
        ("[node]\nlog = \"info,,=\"\n", "W1004"),
        ("[overlay]\nlisten = [\"everywhere\"]\n", "W1004"),
        ("[overlay]\nlisten = [\"/dns/here/tcp/1\"]\n", "W1004"),
        ("[overlay]\nlisten = []\nexternal = [\"here:1\"]\n", "W1004"),
        (
            "[overlay]\nlisten = []\nbootstrap = [\"/ip4/127.0.0.1/tcp/1\"]\n",
            "W3102",
        ),
        ("[exit\n", "W1002"),
    ] {
        home.config_text(text);
        for verb in [&["daemon"][..], &["config", "validate"]] {
            let problem = home.refused(verb, 10, code);
            let next = problem["next"].as_str().unwrap();
            assert!(next.starts_with("warren config "), "{problem}");
        }
    }
    home.refused(&["--config", "/nowhere.toml", "daemon"], 10, "W1001");
}

#[test]
fn an_api_socket_that_cannot_be_one_is_refused() {
    let home = Home::bare();
    fs::write(home.file("notes"), "mine").unwrap();
    let socket = home.path().join("notes");
    home.configure(&format!("[api]\nsocket = {socket:?}\n"));
    home.refused(&["daemon"], 10, "W1004");
    assert_eq!(fs::read_to_string(home.file("notes")).unwrap(), "mine");
}
