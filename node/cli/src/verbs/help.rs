//! `warren help`, `warren version`: what this program knows without asking anybody.

use clap::CommandFactory;
use serde_json::json;
use warren_daemon::error::{ErrorCode, Problem};

use super::Told;
use crate::args::{Cli, HelpArgs};
use crate::page::Page;
use crate::table::Table;

pub(super) fn run(args: &HelpArgs) -> Told {
    match args.topic.as_slice() {
        [] => Ok(verb_page(Cli::command())),
        [topic] if is_code(topic) => code_page(topic),
        [topic] if topic == "errors" => Ok(codes_page()),
        verbs => find(verbs),
    }
}

fn is_code(topic: &str) -> bool {
    let digits = topic.trim_start_matches(['W', 'w']);
    digits.len() < topic.len() && !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit())
}

fn code_page(topic: &str) -> Told {
    let code: ErrorCode = topic
        .parse()
        .map_err(|it| Problem::new(ErrorCode::NotFound, it).with_next("warren help errors"))?;
    let row = code.explain();
    let json = json!({
        "schema": "warren.help/v1", "code": code.to_string(), "title": row.title,
        "cause": row.cause, "remedy": row.remedy, "exit_code": row.exit.number(),
    });
    Ok(Page::raw(json, format!("{code} {}.", row.title))
        .line(format!("  {}", row.cause))
        .line(format!("  The process ends with {}.", row.exit.number()))
        .next(row.remedy))
}

fn codes_page() -> Page {
    let mut table = Table::new(&["CODE", "EXIT", "MEANS"]);
    for code in ErrorCode::ALL {
        let row = code.explain();
        table.row([
            code.to_string(),
            row.exit.number().to_string(),
            row.title.to_owned(),
        ]);
    }
    let codes: Vec<String> = ErrorCode::ALL.iter().map(ToString::to_string).collect();
    let json = json!({ "schema": "warren.help/v1", "codes": codes });
    Page::raw(json, format!("{} error codes.", codes.len()))
        .table(&table)
        .next("warren help CODE")
}

fn find(verbs: &[String]) -> Told {
    let mut command = Cli::command();
    command.build();
    for verb in verbs {
        let Some(found) = command.find_subcommand(verb).cloned() else {
            let seen = format!(
                "`{}` is neither a verb nor a code such as W2107",
                verbs.join(" ")
            );
            return Err(Problem::new(ErrorCode::NotFound, seen).with_next("warren help"));
        };
        command = found;
    }
    Ok(verb_page(command))
}

fn verb_page(mut command: clap::Command) -> Page {
    let text = command.render_long_help().to_string();
    let json = json!({ "schema": "warren.help/v1", "topic": command.get_name(), "text": text });
    Page::raw(json, text.trim_end())
}

pub(super) fn version() -> Page {
    let version = env!("CARGO_PKG_VERSION");
    let json = json!({ "schema": "warren.version/v1", "version": version, "network": "warren/1" });
    Page::raw(json, format!("warren {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(topic: &[&str]) -> Told {
        let topic = topic.iter().map(|it| (*it).to_owned()).collect();
        run(&HelpArgs { topic })
    }

    #[test]
    fn a_code_is_explained_without_a_daemon() {
        let text = help(&["W2107"]).expect("a page").text();
        assert!(text.starts_with(
            "W2107 guests' packets are dropped by another firewall of this machine.\n"
        ));
        assert!(text.contains("Next: iptables"));
    }

    /// `warren VERB [VERB]` and the flags behind it, wherever a remedy names them.
    #[test]
    fn every_remedy_names_verbs_and_flags_that_exist() {
        for code in warren_daemon::error::ErrorCode::ALL {
            let remedy = code.explain().remedy;
            for typed in remedy.split("warren ").skip(1) {
                let mut command = Cli::command();
                command.build();
                for word in typed.split([' ', ',', ';']) {
                    if let Some(flag) = word.strip_prefix("--") {
                        let mut flags = command.get_arguments().filter_map(|it| it.get_long());
                        assert!(flags.any(|it| it == flag), "{code}: --{flag} in `{remedy}`");
                    } else if let Some(found) = command.find_subcommand(word).cloned() {
                        command = found;
                    } else if command.has_subcommands() && word.starts_with(char::is_lowercase) {
                        panic!("{code}: no verb `{word}` in `{remedy}`");
                    }
                }
            }
        }
    }

    #[test]
    fn every_verb_has_a_page_and_nonsense_has_none() {
        for verb in Cli::command().get_subcommands() {
            assert!(help(&[verb.get_name()]).is_ok(), "{}", verb.get_name());
        }
        assert!(help(&["channel", "claim"]).is_ok());
        assert_eq!(help(&["fly"]).map_err(|it| it.exit_code), Err(5));
        assert_eq!(
            help(&["W9999"]).map_err(|it| it.code),
            Err("W1502".to_owned())
        );
    }
}
