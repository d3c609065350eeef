//! Everything a contributor runs: `cargo xtask <verb>`. No dependencies, so that it is built in a second.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the contributor")]

mod packages;
mod run;
mod suite;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "\
cargo xtask test   everything that must hold before a change is merged; installs what the tests need
cargo xtask ci     the same
cargo xtask tidy   only the rules of the house (seconds)
cargo xtask fmt    format the code
cargo xtask bench  the crowd against other load generators (bench/README.md; --help)
cargo xtask bench diagnosis  what check says of the lessons, against what is true of them";

fn main() -> ExitCode {
    let root = root();
    let verbs: Vec<String> = std::env::args().skip(1).collect();
    match verbs.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test" | "ci"] => suite::run(&root),
        ["tidy"] => status(tidy::report(&root)),
        ["fmt"] => {
            status(run::cargo(&root, "so that a diff shows only what changed", &["fmt", "--all"], &[]))
        }
        ["bench", "diagnosis", words @ ..] => status(bench(
            &root,
            "diagnosis.py",
            "what check says of the lessons, against what is true",
            words,
        )),
        ["bench", words @ ..] => {
            status(bench(&root, "run.py", "fissure's crowd against other load generators", words))
        }
        ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(64)
        }
    }
}

/// Python, because two of the other generators and half of the lessons are Python anyway. An old `fissure` would be measured without a word, so it is built.
fn bench(root: &Path, name: &str, why: &str, words: &[&str]) -> bool {
    let build = ["build", "--release", "--locked", "--package", "fissure"];
    if !run::cargo(root, "the program as users get it", &build, &[]) {
        return false;
    }
    let mut script = Command::new("python3");
    script.arg(root.join("bench").join(name)).args(words);
    run::shown(script, &format!("bench/{name} {}", words.join(" ")), why)
}

fn status(went_well: bool) -> ExitCode {
    if went_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The workspace: the folder above this package. Cargo says where that is, also when the binary is run by hand.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
