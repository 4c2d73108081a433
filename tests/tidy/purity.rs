//! Purity: a file that says `Sans-IO.` in its header has no clock, no randomness, no disk, no task.

use crate::house::{Finding, Source, before_tests, code_only, demand_none, sources};

const MARK: &str = "Sans-IO.";

/// What would tie a decision to the world it is made in.
const WORLDLY: [&str; 19] = [
    "tokio",
    "async",
    ".await",
    "futures",
    "Instant::now",
    "SystemTime",
    "UnixTime::now",
    "rand",
    "OsRng",
    "getrandom",
    "std::fs",
    "std::env",
    "std::io",
    "std::thread",
    "std::process",
    "TcpStream",
    "UdpSocket",
    "println!",
    "eprintln!",
];

const REMEDY: &str = "let the shell bring time and randomness in as part of an event, and let the core \
    ask for IO by an effect (docs/adr/0002); a file whose function returns a Step is a core and says so \
    by `Sans-IO.` in its header";

fn findings(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources {
        let code = code_only(&source.text);
        let code = before_tests(&code);
        if !is_core(source) {
            if code.contains("-> Step<") {
                found.push(Finding::new(
                    &source.path,
                    "returns a Step without saying `Sans-IO.`",
                ));
            }
            continue;
        }
        for (number, line) in code.lines().enumerate() {
            for word in WORLDLY.iter().filter(|it| names(line, it)) {
                let place = format!("{}:{}", source.path, number + 1);
                found.push(Finding::new(place, format!("a core names `{word}`")));
            }
        }
    }
    found
}

fn is_core(source: &Source) -> bool {
    let header = source
        .text
        .lines()
        .take_while(|it| it.starts_with("//!") || it.is_empty());
    header.into_iter().any(|it| it.contains(MARK))
}

/// Whether `line` names `word` as a whole word, so that `operand` is not `rand`.
fn names(line: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let starts_alone = word.starts_with('.') || !part(line[..at].chars().next_back());
        let ends_alone = word.ends_with('!') || !part(line[at + word.len()..].chars().next());
        starts_alone && ends_alone
    })
}

#[test]
fn every_core_is_pure() {
    demand_none(&findings(&sources(&["rs"])), REMEDY);
}

#[test]
fn a_core_with_a_clock_is_caught() {
    let text = "//! Decides.\n//!\n//! Sans-IO. No clock.\n\nfn a(operand: u8) { let t = Instant::now(); }\n\
        // tokio is only spoken of\n#[cfg(test)]\nmod tests { use tokio::test; }\n";
    let found = findings(&[Source::planted("overlay/src/offers.rs", text)]);
    assert_eq!(
        found,
        [Finding::new(
            "overlay/src/offers.rs:5",
            "a core names `Instant::now`"
        )]
    );
}

#[test]
fn a_core_without_the_mark_is_caught() {
    let text = "//! Decides.\nfn handle() -> Step<Self, Effect> { todo }";
    assert_eq!(
        findings(&[Source::planted("payments/src/channel.rs", text)]).len(),
        1
    );
}

#[test]
fn a_shell_may_do_as_it_likes() {
    let text = "//! Acts.\nasync fn run() { tokio::spawn(x) }";
    assert_eq!(
        findings(&[Source::planted("overlay/src/actor.rs", text)]),
        []
    );
}
