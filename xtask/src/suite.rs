//! `cargo xtask test`: everything that must hold. Cheap parts first; one that fails does not hide the others.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
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

    // An unoptimised crowd would be the bottleneck of every end-to-end test.
    // By the README's first command, which once did not know which binary was meant.
    let build = ["run", "--release", "--locked", "--", "--version"];
    let built = run::cargo(root, "the program as users get it, for the end-to-end tests", &build, &[]);
    part("release build", built);
    let binary: Vec<(&str, OsString)> =
        if built { vec![("FISSURE_BIN", target(root).join("release/fissure").into())] } else { Vec::new() };
    let test = ["test", "--workspace", "--locked", "--no-fail-fast"];
    part("test", run::cargo(root, "units, properties, and the demo end to end", &test, &binary));

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

/// Where cargo puts what it builds: `target`, unless a variable or a configuration says otherwise.
fn target(root: &Path) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root);
    run::output(&mut command).and_then(|json| target_directory(&json)).unwrap_or_else(|| root.join("target"))
}

fn target_directory(metadata: &str) -> Option<PathBuf> {
    let (_, rest) = metadata.split_once("\"target_directory\":\"")?;
    Some(PathBuf::from(rest.split('"').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_folder_is_read_from_cargo_metadata() {
        let json = r#"{"packages":[],"target_directory":"/x/target","version":1}"#;
        assert_eq!(target_directory(json), Some(PathBuf::from("/x/target")));
        assert_eq!(target_directory("{}"), None);
    }
}
