//! Runs a program in the open: what, why, and how long it took.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Runs cargo in the workspace. True when it went well.
pub fn cargo(root: &Path, why: &str, args: &[&str], env: &[(&str, OsString)]) -> bool {
    // The cargo that runs us knows the pinned toolchain.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).envs(env.iter().map(|(name, value)| (name, value))).current_dir(root);
    shown(command, &format!("cargo {}", args.join(" ")), why)
}

/// Runs `command`, which nobody can answer: its standard input is empty.
pub fn shown(mut command: Command, what: &str, why: &str) -> bool {
    println!("\n==> {what}\n    {why}");
    let began = Instant::now();
    let outcome = command.stdin(Stdio::null()).status();
    let seconds = began.elapsed().as_secs();
    match outcome {
        Ok(status) if status.success() => {
            println!("    done after {seconds} s");
            true
        }
        Ok(status) => {
            println!("    FAILED after {seconds} s ({status})");
            false
        }
        Err(error) => {
            println!("    FAILED: {what} cannot be started: {error}");
            false
        }
    }
}

/// What `command` prints on standard output, if it goes well.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
