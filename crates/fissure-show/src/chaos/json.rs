//! `report.json` of a chaos run: a schema of its own, because no capacity, limit or remedy is in it. What it shares with the
//! other reports has the same key.

use fissure_facts::Run;
use fissure_judge::chaos::{Chaos, Class, Durability, Outcome, Trial};
use serde_json::{Map, Value, json};

use super::{NOT_TESTED, doubts, exit_status, headline};

/// Additive changes only.
const SCHEMA: &str = "fissure.chaos/1";

pub fn report(run: &Run, chaos: &Chaos) -> Value {
    let header = &run.header;
    json!({
        "schema": SCHEMA,
        "run": header.run,
        "valid": chaos.is_known(),
        "doubts": doubts(chaos),
        "verdict": {
            "kind": verdict(chaos),
            "sentence": headline(chaos),
            "exit_status": exit_status(chaos),
        },
        "load": { "users_per_s": chaos.users_per_s },
        "blast_radius": {
            "sentence": headline(chaos),
            "exit_status": exit_status(chaos),
            "users_per_s": chaos.users_per_s,
            "mean": chaos
                .arrangements()
                .iter()
                .map(|name| ((*name).to_owned(), json!(chaos.blast_radius(name))))
                .collect::<Map<String, Value>>(),
            "outage_s": chaos.outage_s(),
            "trials": chaos.trials.iter().map(trial).collect::<Vec<_>>(),
            "foreseen": chaos.foreseen,
            "interrupted": chaos.interrupted,
        },
        "not_checked": NOT_TESTED,
        "writes_not_checked": chaos.not_checked,
        "machine": header.machine,
        "fissure": header.fissure,
        "verb": header.verb,
        "seed": header.seed,
        "started_unix_s": header.started_unix_s,
    })
}

/// What is worst about it, in a word.
fn verdict(chaos: &Chaos) -> &'static str {
    let worst = chaos.cells().map(|cell| cell.class).max();
    let any =
        |count: fn(&Durability) -> u64| chaos.trials.iter().flat_map(|t| &t.written).any(|w| count(w) > 0);
    match (exit_status(chaos), worst) {
        _ if any(|w| w.lost) => "lost_writes",
        _ if any(|w| w.duplicated) => "duplicated_writes",
        (1, Some(Class::NeverHealed)) => "not_healed",
        (1, _) => "wrong_answers",
        (0, _) => "healed",
        _ => "unknown",
    }
}

fn trial(trial: &Trial) -> Value {
    let mut value = json!({
        "arrangement": trial.arrangement,
        "fault": trial.fault.kind.name(),
        "size": trial.fault.kind,
        "target": trial.fault.target.to_string(),
        "trigger": trial.fault.trigger,
        "only_route": trial.fault.route,
        "lasts_s": trial.fault.lasts_s,
        "outcome": "measured",
        "why": null,
        "blast_radius": null,
        "routes": [],
        "writes": trial.written,
    });
    match &trial.outcome {
        Outcome::NotTried { why } => {
            value["outcome"] = json!("not_tried");
            value["why"] = json!(why);
        }
        Outcome::Void { why } => {
            value["outcome"] = json!("void");
            value["why"] = json!(why);
        }
        Outcome::Measured { cells, blast_radius, doubts } => {
            value["blast_radius"] = json!(blast_radius);
            value["doubts"] = json!(doubts);
            value["routes"] = cells
                .iter()
                .map(|cell| {
                    json!({
                        "route": cell.route,
                        "class": cell.class,
                        "spoiled": cell.spoiled,
                        "error_share": cell.error_share,
                        "p95_ratio": cell.p95_ratio,
                        "recovery_s": cell.recovery_s,
                    })
                })
                .collect();
        }
    }
    value
}
