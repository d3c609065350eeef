//! `report.json` of a chaos run: the contract's keys, with `blast_radius` filled and no verdict.

use fissure_facts::Run;
use fissure_judge::chaos::{Chaos, Outcome, Trial};
use serde_json::{Map, Value, json};

use super::{NOT_TESTED, doubts, exit_status, headline};
use crate::json::SCHEMA;

pub fn report(run: &Run, chaos: &Chaos) -> Value {
    let header = &run.header;
    json!({
        "schema": SCHEMA,
        "run": header.run,
        "valid": chaos.is_known(),
        "doubts": doubts(chaos),
        "verdict": null,
        "limit": null,
        "capacity": null,
        "demands": [],
        "remedies": [],
        "isolation": null,
        "blast_radius": {
            "sentence": headline(chaos),
            "exit_status": exit_status(chaos),
            "users_per_s": chaos.users_per_s,
            "mean": chaos
                .arrangements()
                .iter()
                .map(|name| ((*name).to_owned(), json!(chaos.blast_radius(name))))
                .collect::<Map<String, Value>>(),
            "trials": chaos.trials.iter().map(trial).collect::<Vec<_>>(),
            "interrupted": chaos.interrupted,
        },
        "forecast": null,
        "not_checked": NOT_TESTED,
        "machine": header.machine,
        "fissure": header.fissure,
        "verb": header.verb,
        "seed": header.seed,
        "started_unix_s": header.started_unix_s,
    })
}

fn trial(trial: &Trial) -> Value {
    let mut value = json!({
        "arrangement": trial.arrangement,
        "fault": trial.fault.kind.name(),
        "size": trial.fault.kind,
        "target": trial.fault.target.to_string(),
        "lasts_s": trial.fault.lasts_s,
        "outcome": "measured",
        "why": null,
        "blast_radius": null,
        "routes": [],
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
