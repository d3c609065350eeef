//! Programs that tests need, and the Debian packages that bring them.

use std::path::Path;
use std::process::Command;

use crate::run;

struct Need {
    program: &'static str,
    package: &'static str,
    /// What is not tested without it.
    without: &'static str,
}

const NEEDS: &[Need] = &[
    Need { program: "cc", package: "gcc", without: "everything: SQLite of the demo app cannot be compiled" },
    Need {
        program: "python3",
        package: "python3",
        without: "apps that behave badly (crates/fissure/tests/bad_input.rs)",
    },
    Need {
        program: "node",
        package: "nodejs",
        without: "the profiler of Node (crates/fissure-rig/tests/profile)",
    },
    Need {
        program: "ruby",
        package: "ruby",
        without: "the profiler of Ruby (crates/fissure-rig/tests/profile)",
    },
    Need {
        program: "go",
        package: "golang-go",
        without: "what waits in Go (crates/fissure-rig/tests/profile)",
    },
    Need {
        program: "php",
        package: "php-cli",
        without: "the profiler of PHP (crates/fissure-rig/tests/profile)",
    },
    Need { program: "mkfifo", package: "coreutils", without: "folders with a pipe in them (init)" },
    Need { program: "kill", package: "procps", without: "ends by signal (crates/fissure/tests)" },
];

/// Installs what is missing, when this user may, and says what stays missing and what is not tested therefore.
pub fn provide() {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !is_there(need.program)).collect();
    if missing.is_empty() {
        println!("==> every program that the tests use is here");
        return;
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    match installer() {
        Some(sudo) => {
            // A fresh machine has no package lists yet.
            run::shown(apt(&sudo, &["update"]), "apt-get update", "to know where packages are");
            let mut args = vec!["install", "--yes", "--no-install-recommends"];
            args.extend(&packages);
            run::shown(
                apt(&sudo, &args),
                &format!("apt-get install {}", packages.join(" ")),
                "the tests use them",
            );
        }
        None => println!(
            "==> cannot install {} here: no apt-get, or neither root nor sudo without a password",
            packages.join(", ")
        ),
    }
    for need in missing.iter().filter(|need| !is_there(need.program)) {
        println!(
            "    MISSING {} (Debian package {}): not tested, or failing: {}",
            need.program, need.package, need.without
        );
    }
}

fn is_there(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Words to put before apt-get: none for root, sudo where it asks for nothing.
fn installer() -> Option<Vec<&'static str>> {
    if !is_there("apt-get") {
        return None;
    }
    if is_root() {
        return Some(Vec::new());
    }
    let asks_nothing = is_there("sudo") && run::output(Command::new("sudo").args(["-n", "true"])).is_some();
    asks_nothing.then(|| vec!["sudo", "-n"])
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    // A process's own folder in /proc belongs to the user that it runs as.
    Path::new("/proc/self").metadata().is_ok_and(|own| own.uid() == 0)
}

fn apt(sudo: &[&str], args: &[&str]) -> Command {
    let words: Vec<&str> =
        sudo.iter().copied().chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(args);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_on_the_path_only() {
        assert!(is_there("sh"));
        assert!(!is_there("no-program-has-this-name"));
    }
}
