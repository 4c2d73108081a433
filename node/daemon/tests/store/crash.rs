//! What was confirmed survives kill -9; two processes never share a home.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use warren_daemon::lockfile::{HomeLock, LockError};
use warren_proto::UnixTime;

use crate::fixture::{assert_whole, open, write_next};

const ROUNDS: u64 = 30;
const HOME: &str = "WARREN_TEST_STORE_HOME";

/// Not a test by itself: the process that is killed. Writes until it dies, and says what is confirmed.
#[test]
fn writer_process() {
    let Some(home) = std::env::var_os(HOME) else {
        return;
    };
    let store = open(home.as_ref()).unwrap();
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nopen").unwrap();
    loop {
        let number = write_next(&store).unwrap();
        writeln!(out, "confirmed {number}").unwrap();
        out.flush().unwrap();
    }
}

fn start(home: &std::path::Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::writer_process", "--nocapture"])
        .env(HOME, home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

#[test]
fn what_was_confirmed_survives_a_kill() {
    let home = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..ROUNDS {
        let (mut child, mut out) = start(home.path());
        let mut lines = 0;
        let mut line = String::new();
        // Another number of batches each round; the kill falls somewhere into the next one.
        while lines < 1 + round * 7 % 23 {
            line.clear();
            assert_ne!(
                out.read_line(&mut line).unwrap(),
                0,
                "the writer ended by itself"
            );
            lines += u64::from(line.starts_with("confirmed "));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let rest = out
            .lines()
            .map_while(Result::ok)
            .filter(|it| it.starts_with("confirmed "));
        let confirmed = rest.last().unwrap_or_else(|| line.trim().to_owned());
        let confirmed: u64 = confirmed
            .trim_start_matches("confirmed ")
            .parse()
            .unwrap_or(last);
        let kept = assert_whole(&open(home.path()).unwrap());
        assert!(
            kept == confirmed || kept == confirmed + 1,
            "round {round}: {kept} of {confirmed}"
        );
        assert!(kept > last);
        last = kept;
    }
}

#[test]
fn a_second_process_is_told_who_holds_the_home() {
    let home = tempfile::tempdir().unwrap();
    let (mut child, mut out) = start(home.path());
    let mut line = String::new();
    while !line.starts_with("confirmed ") {
        line.clear();
        assert_ne!(
            out.read_line(&mut line).unwrap(),
            0,
            "the writer ended by itself"
        );
    }
    let error = HomeLock::take(home.path(), UnixTime::from_secs(2)).unwrap_err();
    let LockError::Held { holder, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        holder,
        &format!("{}, started 1970-01-01T00:00:01.000Z", child.id())
    );
    assert_eq!(error.problem().exit_code, 9);
    child.kill().unwrap();
    child.wait().unwrap();
    HomeLock::take(home.path(), UnixTime::from_secs(3)).expect("a dead holder holds nothing");
}
