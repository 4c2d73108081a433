//! An exit's daemon ends and begins again: it is what it was, and nobody else reads what it keeps.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use warren_daemon::api::types::ExitStatus;

use crate::stage::{STEP, Stage, one_exit};

#[test]
fn an_exit_is_one_again_after_a_restart_until_its_owner_says_otherwise() {
    let Some(mut stage) = Stage::set("again", &one_exit()) else {
        return;
    };
    let exit = &mut stage.cast.exits[0];
    let kept = exit.home().join("exit.json");
    // What is refused changes nothing, not what was agreed to either.
    let phrase = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let wider = ["exit", "enable", "--policy", "all", "--yes-i-consent"];
    let wider = [&wider[..], &[phrase.trim()]].concat();
    let refused = exit.ask::<ExitStatus>(&wider).expect_err("it is on");
    assert!(refused.to_string().contains("W4111"), "{refused}");
    exit.stop().expect("it stops");
    exit.start().expect("it begins");
    let on = |it: &ExitStatus| it.enabled.then_some(()).ok_or(format!("{it:?}"));
    exit.wait_for("the exit to be on", STEP, &["exit", "status"], on)
        .expect("an exit");
    assert_eq!(open_to_others(exit.home()), Vec::<String>::new());

    exit.ask::<ExitStatus>(&["exit", "disable"]).expect("off");
    exit.stop().expect("it stops");
    assert!(!kept.exists(), "wanted no more");
    exit.start().expect("it begins");
    let status: ExitStatus = exit.ask(&["exit", "status"]).expect("a status");
    assert!(!status.enabled);

    // Nor does it come back because the configuration begins one, if that was said later.
    exit.stop().expect("it stops");
    let file = exit.home().join("config.toml");
    let text = fs::read_to_string(&file).expect("a configuration");
    let enabled = text.replace("[exit]\n", "[exit]\nenabled = true\n");
    fs::write(&file, enabled).expect("written");
    exit.start().expect("it begins");
    exit.wait_for("the exit to be on", STEP, &["exit", "status"], on)
        .expect("as configured");
    exit.ask::<ExitStatus>(&["exit", "disable"]).expect("off");
    exit.stop().expect("it stops");
    exit.start().expect("it begins");
    let status: ExitStatus = exit.ask(&["exit", "status"]).expect("a status");
    assert!(!status.enabled && kept.exists());
    // A narrower policy than the one agreed to needs no word, nor does the way back as far as that.
    let on: ExitStatus = exit.ask(&wider).expect("on");
    assert_eq!(on.policy.name, "all");
    for policy in ["web+dns", "all"] {
        exit.ask::<ExitStatus>(&["exit", "disable"]).expect("off");
        exit.ask::<ExitStatus>(&["exit", "enable", "--yes", "--policy", policy])
            .expect(policy);
    }
    exit.ask::<ExitStatus>(&["exit", "disable"]).expect("off");
    // A price of now has words of now, whatever is configured.
    let args = ["exit", "enable", "--yes", "--price", "0"];
    let free: ExitStatus = exit.ask(&args).expect("on");
    exit.ask::<ExitStatus>(&["exit", "disable"]).expect("off");
    let args = ["exit", "enable", "--yes", "--price", "2048"];
    let dear: ExitStatus = exit.ask(&args).expect("on");
    let [free, dear] = [free, dear].map(|it| it.at_risk.base_units);
    let words = free.wei();
    let two_tokens = 2_000_000_000_000_000_000_u128;
    assert_eq!(dear.wei(), words * two_tokens, "a word is a MiB");
    stage.strike();
}

/// What others may read or change in a home.
fn open_to_others(folder: &Path) -> Vec<String> {
    let mut open = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let kind = fs::symlink_metadata(&path).expect("its kind");
        let mode = kind.permissions().mode() & 0o7777;
        let file = kind.is_file() || kind.is_dir();
        if file && mode & 0o077 != 0 {
            open.push(format!("{} {mode:o}", path.display()));
        }
        if kind.is_dir() {
            open.extend(open_to_others(&path));
        }
    }
    open
}
