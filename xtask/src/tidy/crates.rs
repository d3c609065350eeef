//! Rules about crates: who knows whom, what the judge may not touch, why a dependency is there.

use super::Offence;
use super::tree::Tree;

/// Who may know whom, as DESIGN draws it. A crate that is not named here knows nobody of the house.
const ARROWS: &[(&str, &[&str])] = &[
    ("fissure-facts", &[]),
    ("fissure-judge", &["fissure-facts"]),
    ("fissure-rig", &["fissure-facts"]),
    ("fissure-show", &["fissure-judge", "fissure-facts"]),
    ("fissure", &["fissure-rig", "fissure-judge", "fissure-show", "fissure-facts"]),
];

/// What a function of facts has no use for. Time and seeds come in as facts.
const FORBIDDEN_IN_JUDGE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::process",
    "std::env",
    "std::net",
    "std::thread",
    "std::io",
    "Instant",
    "SystemTime",
    "rand::rng",
    "thread_rng",
    "from_os_rng",
    "rand::random",
];

pub fn arrows(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree
        .files
        .iter()
        .filter(|file| file.path.starts_with("crates/") && file.path.ends_with("/Cargo.toml"))
    {
        let name = file.path.trim_start_matches("crates/").trim_end_matches("/Cargo.toml");
        let allowed = ARROWS.iter().find(|(from, _)| *from == name).map_or(&[][..], |(_, to)| to);
        for (_, dependency) in
            dependencies(&file.text, |section| section == "dependencies" || section.starts_with("target."))
        {
            if dependency.starts_with("fissure") && !allowed.contains(&dependency) {
                offences.push(Offence::new(
                    &file.path,
                    format!("{name} -> {dependency} is no arrow of the design"),
                ));
            }
        }
    }
    offences
}

pub fn judge_is_pure(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.rust().filter(|file| file.path.starts_with("crates/fissure-judge/src/")) {
        for (number, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            // `use std::{fs, env}` names them as `std::fs` does.
            let spread = line.trim_start().strip_prefix("use std::{").unwrap_or_default();
            let grouped = spread
                .split([',', '}', ' ', ':'])
                .any(|part| FORBIDDEN_IN_JUDGE.contains(&format!("std::{part}").as_str()));
            let word = FORBIDDEN_IN_JUDGE.iter().find(|word| has_word(line, word));
            if let Some(word) = word.copied().or(grouped.then_some("std::{...}")) {
                offences.push(Offence::new(
                    format!("{}:{}", file.path, number + 1),
                    format!(
                        "`{word}` in the judge: it is a function of facts, without I/O, clock and chance"
                    ),
                ));
            }
        }
    }
    offences
}

pub fn dependencies_have_reasons(tree: &Tree) -> Vec<Offence> {
    let Some(manifest) = tree.text("Cargo.toml") else {
        return vec![Offence::new("Cargo.toml", "is not there")];
    };
    dependencies(manifest, |section| section == "workspace.dependencies")
        .into_iter()
        .filter(|(line, _)| {
            !line.contains("path =")
                && line.split_once('#').is_none_or(|(_, reason)| reason.trim().is_empty())
        })
        .map(|(_, name)| Offence::new("Cargo.toml", format!("{name} has no comment: what does it save us?")))
        .collect()
}

/// Line and name of each dependency in the sections that `wanted` picks, also of those written as a table of their own.
fn dependencies(manifest: &str, wanted: impl Fn(&str) -> bool) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = wanted(section);
            // `[dependencies.tokio]` is one dependency.
            if let Some((_, name)) = section.rsplit_once('.').filter(|(parent, _)| wanted(parent)) {
                inside = false;
                found.push((line, name));
            }
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            found.extend(line.split(['=', '.', ' ']).next().map(|name| (line, name)));
        }
    }
    found
}

fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_arrow_is_found() {
        let judge = "[dependencies]\nfissure-facts.workspace = true\nserde = \"1\"\n";
        assert_eq!(arrows(&Tree::of(&[("crates/fissure-judge/Cargo.toml", judge)])), []);
        for wrong in [
            "[dependencies]\nfissure-rig.workspace = true\n",
            "[dependencies]\nfissure-rig = { path = \"x\" }\n",
            "[dependencies.fissure-rig]\npath = \"x\"\n",
        ] {
            let offences = arrows(&Tree::of(&[("crates/fissure-judge/Cargo.toml", wrong)]));
            assert_eq!(offences.len(), 1, "{wrong}");
            assert!(offences[0].what.contains("fissure-judge -> fissure-rig"));
        }
        let newcomer = "[dependencies]\nfissure-facts.workspace = true\n";
        assert_eq!(arrows(&Tree::of(&[("crates/fissure-new/Cargo.toml", newcomer)])).len(), 1);
    }

    #[test]
    fn hands_and_clocks_in_the_judge_are_found() {
        let judge = |code: &str| judge_is_pure(&Tree::of(&[("crates/fissure-judge/src/x.rs", code)])).len();
        for wrong in [
            "use std::fs;",
            "use std::{fmt, fs};",
            "let t = Instant::now();",
            "tokio::spawn(x)",
            "use std::time::{Duration, SystemTime};",
        ] {
            assert_eq!(judge(wrong), 1, "{wrong}");
        }
        for right in [
            "// std::fs is not for us",
            "use std::fmt;",
            "let InstantCoffee = 1;",
            "use std::time::Duration;",
            "//! no clock, no Instant",
        ] {
            assert_eq!(judge(right), 0, "{right}");
        }
        assert_eq!(judge_is_pure(&Tree::of(&[("crates/fissure-rig/src/x.rs", "use std::fs;")])), []);
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let manifest = |line: &str| {
            Tree::of(&[(
                "Cargo.toml",
                &format!(
                    "[workspace.dependencies]\n# above\na = {{ path = \"a\" }}\n{line}\n[profile.dev]\nopt-level = 1\n"
                ),
            )])
        };
        assert_eq!(dependencies_have_reasons(&manifest("b = \"1\" # reads b")), []);
        assert_eq!(dependencies_have_reasons(&manifest("b = \"1\"")).len(), 1);
        assert_eq!(dependencies_have_reasons(&manifest("b = \"1\" #")).len(), 1);
        assert_eq!(dependencies_have_reasons(&Tree::of(&[])).len(), 1);
    }
}
