//! The contract `fissure.report/1`: every key, with its type, whatever was judged. Changes only add.

use fissure_show::{json, words};
use serde_json::Value;

use crate::fixtures;

/// Type of every key of the contract: `e` an estimate, `s` text, `n` a number, `b` truth, `[x]` a list; `?` also null.
const CONTRACT: &[(&str, &str)] = &[
    ("schema", "s"),
    ("run", "s"),
    ("valid", "b"),
    ("doubts", "[s]"),
    ("verdict.kind", "s"),
    ("verdict.rung", "n?"),
    ("verdict.sentence", "s"),
    ("verdict.goal_met", "b?"),
    ("verdict.area", "[s]"),
    ("verdict.place.*.function", "s"),
    ("verdict.place.*.file", "s"),
    ("verdict.place.*.line", "n"),
    ("verdict.place.*.share", "e"),
    ("limit.resource", "s"),
    ("limit.routes", "[s]"),
    ("limit.evidence", "[s]"),
    ("capacity.unit", "s"),
    ("capacity.monolith", "e?"),
    ("capacity.users_at_once", "e?"),
    ("demands.*.route", "s"),
    ("demands.*.cpu_ms", "e"),
    ("demands.*.share", "n"),
    ("remedies.*.kind", "s"),
    ("remedies.*.rung", "n"),
    ("remedies.*.predicted", "e?"),
    ("remedies.*.capacity_ratio", "e?"),
    ("remedies.*.p95_ratio.*", "e"),
    ("remedies.*.meets_goal", "b?"),
    ("remedies.*.unsafe", "[s]"),
    ("isolation.replicate", "s"),
    ("isolation.split", "s"),
    ("isolation.restart", "s"),
    ("isolation.findings", "[s]"),
    ("blast_radius", "null"),
    ("forecast", "null"),
];

fn is(value: &Value, kind: &str) -> bool {
    if let Some(kind) = kind.strip_suffix('?') {
        return value.is_null() || is(value, kind);
    }
    match kind {
        "s" => value.as_str().is_some_and(|s| !s.is_empty()),
        "n" => value.is_number(),
        "b" => value.is_boolean(),
        "e" => {
            ["mid", "low", "high"].iter().all(|k| value.get(k).is_some_and(|v| v.is_number() || v.is_null()))
        }
        "[s]" => value.as_array().is_some_and(|a| a.iter().all(Value::is_string)),
        "null" => value.is_null(),
        _ => panic!("no such type: {kind}"),
    }
}

fn check(value: &Value, path: &str, kind: &str, whole: &str) {
    let Some((key, rest)) = path.split_once('.').or((!path.is_empty()).then_some((path, ""))) else {
        assert!(is(value, kind), "{whole} should be {kind}, is {value}");
        return;
    };
    if key == "*" {
        let children: Vec<&Value> = match value {
            Value::Array(list) => list.iter().collect(),
            Value::Object(map) => map.values().collect(),
            _ => panic!("{whole}: neither list nor object: {value}"),
        };
        children.into_iter().for_each(|child| check(child, rest, kind, whole));
    } else {
        let child = value.get(key).unwrap_or_else(|| panic!("{whole} is missing in {value}"));
        check(child, rest, kind, whole);
    }
}

#[test]
fn every_key_is_there_with_its_type() {
    let run = fixtures::run();
    for (name, judgement) in fixtures::every_judgement() {
        let report = json::report(&run, &judgement);
        for (path, kind) in CONTRACT {
            check(&report, path, kind, &format!("{name}: {path}"));
        }
        assert_eq!(report["schema"], "fissure.report/1");
        assert!(serde_json::from_str::<Value>(&report.to_string()).is_ok());
    }
}

#[test]
fn the_verdict_in_json_is_the_one_that_was_given() {
    let run = fixtures::run();
    let said: Vec<(String, Value, Value, u8)> = fixtures::every_judgement()
        .iter()
        .map(|(_, j)| {
            let verdict = &json::report(&run, j)["verdict"];
            let kind = verdict["kind"].as_str().unwrap().to_owned();
            (kind, verdict["rung"].clone(), verdict["goal_met"].clone(), words::exit_status(j))
        })
        .collect();
    let wanted = [
        ("HoldingUp", Value::from(0), Value::from(true), 0),
        ("FixTheseLines", Value::from(1), Value::from(false), 1),
        ("FixTheseLines", Value::from(1), Value::from(false), 1),
        ("LimitConcurrency", Value::from(2), Value::from(true), 1),
        ("ReleaseWorkers", Value::from(2), Value::from(true), 1),
        ("CacheAnswers", Value::from(3), Value::from(true), 1),
        ("AddReplicas", Value::from(4), Value::from(true), 1),
        ("SplitThisArea", Value::from(5), Value::from(true), 1),
        ("ScaleOut", Value::from(7), Value::from(false), 1),
        ("NotEnoughEvidence", Value::Null, Value::Null, 2),
        ("FixTheseLines", Value::from(1), Value::from(false), 1),
        ("ItsTheDatabase", Value::from(6), Value::from(false), 1),
        ("NotEnoughEvidence", Value::Null, Value::Null, 130),
    ];
    for (said, (kind, rung, goal_met, exit)) in said.into_iter().zip(wanted) {
        assert_eq!(said, (kind.to_owned(), rung, goal_met, exit));
    }
}

#[test]
fn a_quantile_that_is_not_p95_is_not_called_p95() {
    let mut run = fixtures::run();
    let slo = &mut run.header.config.goal.slo;
    slo.p99 = slo.p95.take();
    let remedy = &json::report(&run, &fixtures::split())["remedies"][2];
    assert_eq!(remedy["p95_ratio"], serde_json::json!({}));
    assert_eq!(remedy["latency"]["GET /"]["quantile"], "p99");
}
