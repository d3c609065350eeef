//! The lessons are what they claim to be: their papers agree with their code, and their journeys work. What fissure says about them is
//! another matter: two are asked in `diagnosis.rs`, all of them by `cargo xtask bench diagnosis`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use std::process::{Command, Stdio};

use fissure_facts::Route;
use fissure_facts::config::Config;
use support::lesson::lessons;
use support::program;

/// The words of report.json that a truth may use.
const VERDICTS: &[&str] = &[
    "HoldingUp",
    "FixTheseLines",
    "ReleaseWorkers",
    "LimitConcurrency",
    "CacheAnswers",
    "AddReplicas",
    "SplitThisArea",
    "ItsTheDatabase",
    "ItsDownstream",
    "ScaleOut",
    "UnsafeToSplit",
    "NotEnoughEvidence",
];
const RESOURCES: &[&str] =
    &["cpu", "one_thread", "lock", "pool", "database", "downstream", "disk", "memory", "not_the_app"];

#[test]
fn every_truth_speaks_the_words_of_the_report_and_of_its_own_fissure_toml() {
    for lesson in lessons() {
        let name = &lesson.name;
        let verdicts = lesson.strings("verdict");
        assert!(
            !verdicts.is_empty() && verdicts.iter().all(|v| VERDICTS.contains(&v.as_str())),
            "{name}: {verdicts:?}"
        );
        assert!(lesson.strings("resource").iter().all(|r| RESOURCES.contains(&r.as_str())), "{name}");
        assert!(lesson.truth["reason"].as_str().unwrap().len() > 40, "{name}: a verdict needs its reason");
        assert!(lesson.read("lesson.md").starts_with("# "), "{name}");

        let config: Config =
            Config::parse(&lesson.read("fissure.toml")).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(config.limits.app_cpus.is_some(), "{name}: what is true depends on the number of CPUs");
        let journeys: String = std::fs::read_dir(lesson.folder.join("journeys"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "hurl"))
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        for route in lesson.strings("routes") {
            let wanted: Route = route.parse().unwrap();
            let there =
                journeys.lines().filter_map(|line| line.split_once(" {{base}}")).any(|(method, path)| {
                    format!("{method} {}", path.replace("{{", "{").replace("}}", "}"))
                        .parse::<Route>()
                        .is_ok_and(|r| r.matches(&wanted))
                });
            assert!(there, "{name}: no journey asks for {route}");
        }
    }
}

#[test]
fn every_truth_names_lines_that_say_what_it_claims() {
    for lesson in lessons() {
        let name = &lesson.name;
        let Some(lines) = lesson.truth.get("lines") else {
            panic!("{name}: no lines, not even `lines = []`")
        };
        for place in lines.as_array().unwrap() {
            let text = |key: &str| place[key].as_str().unwrap();
            let code = lesson.read(text("file"));
            let line = place["line"].as_integer().unwrap() as usize;
            let said = code.lines().nth(line - 1).unwrap_or_default();
            assert!(said.contains(text("says")), "{name}: {}:{line} says `{said}`", text("file"));
            // The function begins above it: the last line at a smaller depth that could begin one names it.
            let begins = |l: &&str| {
                let at = l.find(&format!("{}(", text("function")));
                at.is_some_and(|at| !l[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            };
            assert!(
                code.lines().take(line).any(|l| begins(&l)),
                "{name}: `{}` does not begin above line {line}",
                text("function")
            );
        }
    }
}

/// Setup, start, every journey alone, one second of two users: nothing fails.
#[test]
fn every_lesson_starts_and_all_its_journeys_work() {
    for lesson in lessons().iter().filter(|lesson| !lesson.flag("embedded")) {
        let folder = lesson.copy();
        let _beside = lesson.start_beside();
        let seen = Command::new(program())
            .args(["load", ".", "--closed", "2", "--for", "1s", "--json", "--require", "errors<1%"])
            .current_dir(folder.path())
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&seen.stdout), String::from_utf8_lossy(&seen.stderr));
        let json: serde_json::Value =
            serde_json::from_slice(&seen.stdout).unwrap_or_else(|e| panic!("{}: {e}\n{said}", lesson.name));
        assert_eq!(json["requests"]["failed"], 0, "{}: {said}", lesson.name);
        assert!(json["requests"]["answered"].as_u64().unwrap() > 0, "{}: {said}", lesson.name);
    }
}
