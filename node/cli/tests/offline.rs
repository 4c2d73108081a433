//! The program as a process, without a daemon: what it prints where, and with what number it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// Runs `warren` with this home and nothing else from the environment.
fn warren(home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_warren"))
        .env_clear()
        .env("WARREN_HOME", home)
        .args(args)
        .output()
        .expect("the program starts")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

fn out(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn err(output: &Output) -> Value {
    serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{output:?}"))
}

/// A home with a passphrase that only its owner can read.
fn home_with_passphrase() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let passphrase = home.path().join("passphrase");
    fs::write(&passphrase, "correct horse\n").expect("a file");
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).expect("a mode");
    let config = format!("[wallet]\npassphrase_file = {passphrase:?}\n");
    fs::write(home.path().join("config.toml"), config).expect("a file");
    home
}

#[test]
fn without_a_daemon_every_verb_that_needs_one_ends_with_three() {
    let home = tempfile::tempdir().expect("a folder");
    for verb in [
        vec!["status"],
        vec!["events"],
        vec!["exits"],
        vec!["exits", "show", "1a2b3c4d"],
        vec!["up"],
        vec!["down"],
        vec!["exit", "check"],
        vec!["exit", "status"],
        vec!["wallet", "show"],
        vec!["channel", "ls"],
        vec!["earn"],
        vec!["ledger"],
        vec!["net", "peers"],
        vec!["fund"],
    ] {
        let output = warren(home.path(), &[&["--json"], verb.as_slice()].concat());
        assert_eq!(code(&output), 3, "{verb:?}");
        assert!(output.stdout.is_empty(), "errors are no data: {verb:?}");
        let problem = err(&output);
        assert_eq!(problem["schema"], "warren.error/v1");
        assert_eq!(problem["code"], "W1103");
        assert_eq!(problem["exit_code"], 3);
    }
}

#[test]
fn an_error_for_people_has_its_code_what_was_seen_and_what_mends_it() {
    let home = tempfile::tempdir().expect("a folder");
    let output = warren(home.path(), &["status"]);
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.starts_with("W1103 no daemon answers\n"), "{text}");
    for part in ["  seen   ", "  fix    warren daemon", "warren help W1103"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn what_is_typed_wrongly_ends_with_two() {
    let home = tempfile::tempdir().expect("a folder");
    for typed in [
        vec!["fly"],
        vec!["up", "--sidewards"],
        vec!["exits", "--sort", "beauty"],
        vec!["exits", "show"],
        vec!["exits", "--refresh", "show", "1a2b3c4d"],
        vec![],
    ] {
        assert_eq!(code(&warren(home.path(), &typed)), 2, "{typed:?}");
        let output = warren(home.path(), &[&["--json"], typed.as_slice()].concat());
        assert_eq!(code(&output), 2, "{typed:?}");
        assert_eq!(err(&output)["code"], "W1501", "{typed:?}");
    }
}

#[test]
fn a_key_that_is_not_known_ends_with_ten_and_names_its_line() {
    let home = tempfile::tempdir().expect("a folder");
    fs::write(
        home.path().join("config.toml"),
        "[exit]\n\npolcy = \"all\"\n",
    )
    .expect("a file");
    for verb in [vec!["status"], vec!["config", "validate"], vec!["daemon"]] {
        let output = warren(home.path(), &[&["--json"], verb.as_slice()].concat());
        assert_eq!(code(&output), 10, "{verb:?}");
        let problem = err(&output);
        assert_eq!(problem["code"], "W1003");
        let seen = problem["seen"].as_str().expect("text");
        assert!(
            seen.contains("config.toml:3") && seen.contains("exit.policy"),
            "{seen}"
        );
    }
}

#[test]
fn a_value_that_does_not_fit_ends_with_ten() {
    let home = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_warren"))
        .env_clear()
        .env("WARREN_HOME", home.path())
        .env("WARREN_EXIT__GUESTS_MAX", "many")
        .args(["--json", "status"])
        .output()
        .expect("the program starts");
    assert_eq!(code(&output), 10);
    assert_eq!(err(&output)["code"], "W1004");
    let missing = home.path().join("nowhere.toml").display().to_string();
    let output = warren(home.path(), &["--json", "status", "--config", &missing]);
    assert_eq!(
        (code(&output), err(&output)["code"].as_str()),
        (10, Some("W1001"))
    );
}

/// What every such error says to type, and what gives a machine its network back.
#[test]
fn what_mends_a_configuration_needs_none_that_fits() {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("config.toml");
    for (text, key, sought) in [
        ("[exit]\n\npolcy = \"all\"\n", "exit.policy", "W1003"),
        (
            "[exit]\nguests_max = \"many\"\n",
            "exit.guests_max",
            "W1004",
        ),
        (
            "[consumer]\nmax_spend = \"x\"\n",
            "consumer.max_spend",
            "W1004",
        ),
        ("[exit\n", "exit.policy", "W1002"),
    ] {
        fs::write(&file, text).expect("a file");
        let explained = warren(home.path(), &["--json", "config", "explain", key]);
        assert_eq!(code(&explained), 0, "{explained:?}");
        let explained = out(&explained);
        assert_eq!(explained["key"], key);
        assert_eq!(explained["fault"]["code"], sought, "{explained}");
        let shown = warren(home.path(), &["config", "show"]);
        let text = String::from_utf8(shown.stdout.clone()).expect("text");
        assert_eq!(code(&shown), 0, "{shown:?}");
        assert!(text.contains("config.toml:"), "{text}");
        let recovered = warren(home.path(), &["--json", "recover"]);
        assert_eq!(code(&recovered), 0, "{recovered:?}");
    }
    // Unless what does not fit is where the home is.
    for text in ["[node]\nhomee = \"/x\"\n", "[exit\n"] {
        fs::write(&file, text).expect("a file");
        let path = file.to_str().expect("text");
        let lost = Command::new(env!("CARGO_BIN_EXE_warren"))
            .env_clear()
            .args(["--json", "--config", path, "recover"])
            .output()
            .expect("the program starts");
        assert_eq!(code(&lost), 10, "{lost:?}");
        assert_eq!(err(&lost)["next"], "warren --home DIR recover");
    }
}

#[test]
fn a_wallet_is_made_once_backed_up_and_restored_elsewhere() {
    let home = home_with_passphrase();
    let made = warren(
        home.path(),
        &["--json", "wallet", "new", "--work-factor", "4"],
    );
    assert_eq!(code(&made), 0, "{made:?}");
    let address = out(&made)["address"].clone();
    let file = home.path().join("wallet.age");
    let mode = fs::metadata(&file)
        .expect("the wallet's file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let again = warren(
        home.path(),
        &["--json", "wallet", "new", "--work-factor", "4"],
    );
    assert_eq!(
        (code(&again), err(&again)["code"].as_str()),
        (9, Some("W1203"))
    );

    let backup = out(&warren(home.path(), &["--json", "wallet", "backup"]));
    assert_eq!(backup["address"], address);
    let words = backup["words"].as_str().expect("words");
    assert_eq!(words.split(' ').count(), 12);
    let sealed = fs::read(&file).expect("the wallet's file");
    let first = words.split(' ').next().expect("a word").as_bytes();
    assert!(
        !sealed
            .windows(first.len() + 1)
            .any(|it| it == [first, b" "].concat())
    );

    let elsewhere = home_with_passphrase();
    assert_eq!(out(&restore(elsewhere.path(), words))["address"], address);
    let nonsense = restore(home_with_passphrase().path(), "one two three");
    assert_eq!(
        (code(&nonsense), err(&nonsense)["code"].as_str()),
        (2, Some("W1501"))
    );
    assert!(
        !String::from_utf8_lossy(&nonsense.stderr).contains("two"),
        "words are never quoted"
    );
}

fn restore(home: &Path, words: &str) -> Output {
    use std::io::Write;
    let mut child = Command::new(env!("CARGO_BIN_EXE_warren"))
        .env_clear()
        .env("WARREN_HOME", home)
        .args(["--json", "wallet", "restore", "--work-factor", "4"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    writeln!(stdin, "{words}").expect("it reads");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_wallet_with_a_wrong_or_missing_passphrase_stays_shut() {
    let home = home_with_passphrase();
    assert_eq!(
        code(&warren(
            home.path(),
            &["wallet", "new", "--work-factor", "4"]
        )),
        0
    );
    fs::write(home.path().join("passphrase"), "wrong\n").expect("a file");
    let wrong = warren(home.path(), &["--json", "wallet", "backup"]);
    assert_eq!(
        (code(&wrong), err(&wrong)["code"].as_str()),
        (4, Some("W1205"))
    );
    let bare = tempfile::tempdir().expect("a folder");
    let none = warren(bare.path(), &["--json", "wallet", "backup"]);
    assert_eq!(
        (code(&none), err(&none)["code"].as_str()),
        (4, Some("W1205"))
    );
}

#[test]
fn help_and_version_need_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let help = warren(home.path(), &["--json", "help", "W2107"]);
    assert_eq!(code(&help), 0);
    assert_eq!(out(&help)["code"], "W2107");
    assert_eq!(code(&warren(home.path(), &["help"])), 0);
    assert_eq!(code(&warren(home.path(), &["--version"])), 0);
    assert_eq!(
        out(&warren(home.path(), &["version", "--json"]))["schema"],
        "warren.version/v1"
    );
}

/// As on a full disk; a reader that went away is no error.
#[test]
fn an_answer_that_could_not_be_written_is_no_success() {
    let home = tempfile::tempdir().expect("a folder");
    for typed in [
        vec!["help", "errors"],
        vec!["--help"],
        vec!["--version"],
        vec!["--json", "version"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let (reader, gone) = std::io::pipe().expect("a pipe");
        drop(reader);
        for (out, is_fine) in [
            (Stdio::from(full.expect("a device")), false),
            (Stdio::from(gone), true),
        ] {
            let output = Command::new(env!("CARGO_BIN_EXE_warren"))
                .env_clear()
                .env("WARREN_HOME", home.path())
                .args(&typed)
                .stdout(out)
                .stderr(Stdio::piped())
                .spawn()
                .and_then(std::process::Child::wait_with_output)
                .expect("the program starts");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(code(&output) == 0, is_fine, "{typed:?}: {said}");
            assert_eq!(said.contains("W1508"), !is_fine, "{typed:?}: {said}");
        }
    }
}

#[test]
fn recover_on_an_untouched_machine_has_nothing_to_do() {
    let home = tempfile::tempdir().expect("a folder");
    let output = warren(home.path(), &["recover", "--json"]);
    assert_eq!(code(&output), 0);
    let report = out(&output);
    assert_eq!(
        (report["clean"].as_bool(), report["undone"].as_u64()),
        (Some(true), Some(0))
    );
}

#[test]
fn a_receipt_is_verified_without_a_daemon_and_what_is_none_is_said_so() {
    let home = tempfile::tempdir().expect("a folder");
    let missing = warren(home.path(), &["--json", "receipt", "verify", "/nowhere"]);
    assert_eq!(
        (code(&missing), err(&missing)["code"].as_str()),
        (1, Some("W1508"))
    );
    let file = home.path().join("file");
    fs::write(&file, "warren-receipt/1\nzz\n").expect("a file");
    let path = file.to_str().expect("text");
    let none = warren(home.path(), &["--json", "receipt", "verify", path]);
    assert_eq!(
        (code(&none), err(&none)["code"].as_str()),
        (2, Some("W5201"))
    );
    assert!(
        err(&none)["next"]
            .as_str()
            .is_some_and(|it| it.contains("receipt export"))
    );
}

#[test]
fn a_verb_that_computes_is_interrupted_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let scenario = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/scenarios/first-hour.toml"
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_warren"))
        .args(["swarm", "run", scenario, "--out"])
        .arg(&out)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    // It is written while the world runs, for minutes.
    let events = out.join("events.csv");
    while !events.exists() {
        assert_eq!(child.try_wait().expect("a child"), None, "it ended early");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = i32::try_from(child.id()).expect("a process id");
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("a signal");
    let ended = child.wait().expect("a child");
    assert_eq!(ended.code(), Some(130), "{ended:?}");
}
