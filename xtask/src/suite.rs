//! `cargo xtask test`: everything that must hold. Cheap parts first; one that fails does not hide the others.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use crate::{packages, run, tidy};

pub fn run(root: &Path) -> ExitCode {
    let began = Instant::now();
    packages::provide();
    let mut failed = Vec::new();
    let mut part = |name: &'static str, went_well: bool| {
        if !went_well {
            failed.push(name);
        }
    };

    part("fmt", run::cargo(root, "one way to lay out code", &["fmt", "--all", "--check"], &[]));
    part("tidy", tidy::report(root));
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    part("clippy", run::cargo(root, "the lints of Cargo.toml and clippy.toml", &clippy, &[]));

    // By the README's words, which once did not say which binary was meant. The end-to-end tests play with this program: Cargo.toml
    // has the crowd optimised in every profile, and a second build of everything would cost as much as all tests.
    let start = ["run", "--locked", "--", "--version"];
    part("start", run::cargo(root, "the program starts by the README's words", &start, &[]));
    let test = ["test", "--workspace", "--locked", "--no-fail-fast"];
    part("test", run::cargo(root, "units, properties, and the demo end to end", &test, &[]));

    let strict = [("RUSTDOCFLAGS", OsString::from("-D warnings"))];
    let doc = ["doc", "--workspace", "--no-deps", "--locked"];
    part("doc", run::cargo(root, "no link in the documentation leads nowhere", &doc, &strict));

    let minutes = began.elapsed().as_secs_f64() / 60.0;
    if failed.is_empty() {
        println!("\n==> all parts went well, after {minutes:.1} minutes");
        ExitCode::SUCCESS
    } else {
        println!("\n==> FAILED after {minutes:.1} minutes: {}", failed.join(", "));
        ExitCode::FAILURE
    }
}
