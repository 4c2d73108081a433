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

/// README installs the program where the service starts it, and the service where it is enabled.
#[test]
fn the_service_is_what_the_first_steps_installed() {
    let unit = fs::read_to_string(root().join("deploy/systemd/warren.service")).expect("a unit");
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let starts = unit.lines().find_map(|it| it.strip_prefix("ExecStart="));
    let mut words = starts.expect("a program").split(' ');
    let folder = words.next().and_then(|it| it.strip_suffix("warren"));
    assert!(readme.contains(&format!("release/warren\" {}", folder.expect("a folder"))));
    assert_eq!(words.collect::<Vec<_>>(), ["daemon"]);
    assert!(readme.contains("deploy/systemd/warren.service /etc/systemd/system/"));
    // The service manager's own opinion, where it is installed; the program need not be.
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("warren.service");
    fs::write(&copy, unit.replace("/usr/local/bin/warren", "/bin/true")).expect("a copy");
    let line = format!(
        "command -v systemd-analyze || exit 0; systemd-analyze verify {}",
        copy.display()
    );
    let said = shell(&["-c", &line], &[]);
    assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
}

/// Wallet and passphrase lie side by side in it.
#[test]
fn a_copy_is_readable_by_who_made_it_and_nobody_else() {
    let text = fs::read_to_string(root().join("docs/operating.md")).expect("docs");
    let makes =
        |it: &&str| it.contains(">warren-backup.tgz") || it.contains("-czf warren-backup.tgz");
    let lines: Vec<_> = text.lines().filter(makes).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join("warren-backup.tgz");
        // Programs of the same names that write something instead of what they read.
        let stubs = "docker() { echo copied; }; tar() { echo copied >\"$4\"; }; sudo() { shift 2; eval \"$1\"; }";
        let line = line.replace("warren-backup.tgz", &copy.display().to_string());
        let done = shell(&["-ec", &format!("umask 022; {stubs}; {line}")], &[]);
        assert!(done.status.success(), "{line}: {done:?}");
        let mode = fs::metadata(&copy).expect("made").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{line}");
    }
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

/// Who installs packages by sudo has the toolchain in a home of his own.
#[test]
fn packages_can_be_installed_by_somebody_who_has_no_toolchain() {
    let home = tempfile::tempdir().expect("a folder");
    let tools = home.path().join("tools");
    fs::create_dir(&tools).expect("a folder");
    // All that the build needs is there, or it would not have come to this; a cargo is not.
    for tool in ["cc", "git", "clang"] {
        std::os::unix::fs::symlink("/bin/true", tools.join(tool)).expect("a link");
    }
    let line = "PATH=$TOOLS; cd() { :; }; dirname() { :; }; ls() { :; }; . tests/install.sh build";
    let install = |sudo_user: &str| {
        Command::new("bash")
            .args(["-c", line])
            .current_dir(root())
            .env_clear()
            .env("HOME", home.path())
            .env("TOOLS", &tools)
            .env("SUDO_USER", sudo_user)
            .output()
            .expect("a shell")
    };
    let by_sudo = install("somebody");
    assert!(by_sudo.status.success(), "{by_sudo:?}");
    let said = install("");
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(
        !said.status.success() && told.contains("rustup"),
        "{said:?}"
    );
}

/// docs/operating.md's command for a container's volume, for a folder of this test.
fn comes_back(folder: &Path) -> String {
    let text = fs::read_to_string(root().join("docs/operating.md")).expect("docs/operating.md");
    let line = text.lines().find(|it| it.contains("mkdir .old"));
    let quoted = line
        .and_then(|it| it.split('\'').nth(1))
        .expect("a command in quotes");
    let here = folder.display().to_string();
    quoted
        .replace("/var/lib/warren", &format!("{here}/var/lib/warren"))
        .replace("-C / ", &format!("-C {here} "))
}

#[test]
fn a_copy_comes_into_a_volume_that_is_new_and_into_one_that_is_not() {
    for left in [&[][..], &["node.key", "db"]] {
        let folder = tempfile::tempdir().expect("a folder");
        let (home, copy) = (
            folder.path().join("var/lib/warren"),
            folder.path().join("copy.tgz"),
        );
        fs::create_dir_all(&home).expect("a folder");
        fs::write(home.join("wallet.age"), "the copy's").expect("a file");
        let here = folder.path().display();
        let pack = format!(
            "tar -C {here} -czf {} var && rm {here}/var/lib/warren/*",
            copy.display()
        );
        assert!(shell(&["-ec", &pack], &[]).status.success());
        for name in left {
            fs::write(home.join(name), "of another day").expect("a file");
        }
        let line = format!("({}) <{}", comes_back(folder.path()), copy.display());
        let done = shell(&["-ec", &line], &[]);
        assert!(done.status.success(), "{line}\n{done:?}");
        assert_eq!(
            fs::read_to_string(home.join("wallet.age")).unwrap(),
            "the copy's"
        );
        for name in left {
            assert!(home.join(".old").join(name).exists() && !home.join(name).exists());
        }
    }
}
