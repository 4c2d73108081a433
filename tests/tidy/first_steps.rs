//! First steps: what an operator is told to type may be typed again, and loses nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::house::root;

/// A shell that finds the programs of the system and none of ours.
fn shell(args: &[&str], more: &[(&str, &Path)]) -> Output {
    Command::new("sh")
        .args(args)
        .current_dir(root())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(more.iter().copied())
        .output()
        .expect("a shell")
}

/// README's commands that make the configuration and the passphrase, for folders of this test.
fn first_steps(folder: &Path) -> String {
    let text = fs::read_to_string(root().join("README.md")).expect("README.md");
    let makes = |it: &&str| it.contains("install -D -m 600") || it.contains("/dev/urandom");
    let lines: Vec<_> = text.lines().filter(makes).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let here = folder.display().to_string();
    lines
        .join("\n")
        .replace("sudo ", "")
        .replace("/etc/warren", &format!("{here}/etc"))
        .replace("/var/lib/warren", &format!("{here}/var"))
}

#[test]
fn the_first_steps_taken_again_keep_configuration_and_passphrase() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, passphrase) = (
        folder.path().join("etc/config.toml"),
        folder.path().join("var/passphrase"),
    );
    let steps = first_steps(folder.path());
    let take = || {
        let done = shell(&["-ec", &steps], &[]);
        assert!(done.status.success(), "{steps}\n{done:?}");
    };
    take();
    let made = fs::read_to_string(&passphrase).expect("a passphrase");
    assert!(made.len() > 24, "{made:?}");
    for file in [&config, &passphrase] {
        let mode = fs::metadata(file).expect("made").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    fs::write(&config, "# the owner's\n").expect("edited");
    take();
    assert_eq!(fs::read_to_string(&config).unwrap(), "# the owner's\n");
    assert_eq!(fs::read_to_string(&passphrase).unwrap(), made);

    // A wallet whose passphrase is lost is not helped by another one.
    fs::remove_file(&passphrase).expect("lost");
    fs::write(folder.path().join("var/wallet.age"), "sealed").expect("a wallet");
    shell(&["-ec", &steps], &[]);
    assert!(!passphrase.exists(), "a new passphrase for an old wallet");
}

#[test]
fn a_container_makes_no_passphrase_for_a_wallet_that_has_one() {
    let home = tempfile::tempdir().expect("a folder");
    fs::write(home.path().join("wallet.age"), "sealed").expect("a wallet");
    let said = shell(&["deploy/docker/node.sh"], &[("WARREN_HOME", home.path())]);
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(!home.path().join("passphrase").exists(), "{said:?}");
    assert!(
        !said.status.success() && told.contains("passphrase"),
        "{told}"
    );
}
