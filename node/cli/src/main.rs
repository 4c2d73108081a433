//! `warren`: reads what was typed, does it, shows what came of it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use warren::cli;

fn main() -> ExitCode {
    cli::main(std::env::args_os())
}
