//! From what was typed to the number with which the process ends.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use nix::unistd::geteuid;
use warren_daemon::error::{ErrorCode, Problem};
use warren_tunnel::host::{Capability, raise_ambient};

use crate::args::{Cli, Verb};
use crate::screen::{Form, Screen, cut};
use crate::verbs;

/// With what a process ends that was interrupted: 128 and the number of SIGINT.
pub const INTERRUPTED: u8 = 130;

/// Runs the program.
#[must_use]
pub fn main(typed: impl Iterator<Item = OsString>) -> ExitCode {
    let typed: Vec<OsString> = typed.collect();
    let cli = match Cli::try_parse_from(&typed) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(misunderstood(&error, asked_for(&typed))),
    };
    let mut screen = Screen::new(form(&cli), cli.globals.quiet);
    ExitCode::from(run(&cli, &mut screen))
}

/// With a file for its JSON, the demo talks to people while it runs.
fn form(cli: &Cli) -> Form {
    let has_file = matches!(&cli.verb, Verb::Demo(args) if args.file.is_some());
    if cli.globals.json && !has_file {
        Form::Json
    } else {
        Form::Text
    }
}

/// The form of an answer to what cannot be parsed.
fn asked_for(typed: &[OsString]) -> Form {
    if typed.iter().any(|it| it == "--json") {
        Form::Json
    } else {
        Form::Text
    }
}

/// A daemon that is not root passes its right to the network on to `nft`, while it has no other threads.
fn pass_rights_on() {
    if !geteuid().is_root() {
        // Without the right there is nothing to pass on; what needs it then says so.
        let _ = raise_ambient(Capability::NetAdmin);
    }
}

fn run(cli: &Cli, screen: &mut Screen) -> u8 {
    if matches!(cli.verb, Verb::Daemon(_)) {
        pass_rights_on();
    }
    // The daemon brings runtimes of its own; what is left here only asks and waits.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(it) => it,
        Err(error) => return screen.problem(&Problem::new(ErrorCode::Internal, error)),
    };
    let told = runtime.block_on(async {
        if matches!(cli.verb, Verb::Up(_)) {
            return tokio::select! {
                told = verbs::run(cli, screen) => told,
                _ = tokio::signal::ctrl_c() => Ok(verbs::left_alone()),
            };
        }
        // These end in an order of their own.
        let ends_itself = matches!(
            cli.verb,
            Verb::Daemon(_) | Verb::Devchain(_) | Verb::Demo(_)
        );
        if !ends_itself {
            end_when_interrupted();
        }
        verbs::run(cli, screen).await
    });
    match told {
        Ok(page) => screen.answer(&page),
        Err(problem) => screen.problem(&problem),
    }
}

/// From now on SIGINT ends this process at once: beside the verb, which may wait for a person or compute.
fn end_when_interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut interrupt) = signal(SignalKind::interrupt()) else {
        return; // Then it ends it anyway.
    };
    tokio::spawn(async move {
        if interrupt.recv().await.is_some() {
            std::process::exit(INTERRUPTED.into());
        }
    });
}

/// Help and version are answers; the rest was typed wrongly.
fn misunderstood(error: &clap::Error, form: Form) -> u8 {
    let is_answer = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if is_answer || form == Form::Text {
        let cut = cut(error.print()).filter(|_| is_answer);
        return match cut {
            Some(problem) => Screen::new(form, true).problem(&problem),
            None if is_answer => 0,
            None => 2,
        };
    }
    let text = error.to_string();
    let seen = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned();
    Screen::new(form, true)
        .problem(&Problem::new(ErrorCode::BadRequest, seen).with_next("warren help"))
}
