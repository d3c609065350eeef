//! `report.json` of a proof.

use fissure_facts::Run;
use fissure_judge::pairs::Change;
use fissure_judge::proof::{AtLoad, Measure, Outcome, Proof, Side};
use serde_json::{Map, Value, json};

use super::{doubts, exit_status, headline, word};
use crate::words;

/// The name of the contract. Additive changes only.
pub const SCHEMA: &str = "fissure.proof/1";

pub fn report(run: &Run, proof: &Proof) -> Value {
    let header = &run.header;
    json!({
        "schema": SCHEMA,
        "run": header.run,
        "outcome": {
            "kind": word(&proof.outcome).replace(' ', "_"),
            "sentence": headline(proof),
            "rests_on": rests_on(&proof.outcome),
            "exit_status": exit_status(run, proof),
        },
        "doubts": doubts(proof),
        "before": side(&proof.before),
        "after": side(&proof.after),
        "capacity_ratio": proof.capacity_ratio,
        "loads": proof.loads.iter().map(|at| at_load(run, at)).collect::<Vec<_>>(),
        "windows": proof.windows,
        "windows_void": proof.windows_void,
        "machine": header.machine,
        "fissure": header.fissure,
        "seed": header.seed,
        "started_unix_s": header.started_unix_s,
    })
}

fn rests_on(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Better(measure) | Outcome::Worse(measure) => Some(match measure {
            Measure::Capacity(_) => "capacity",
            Measure::Latency(..) => "latency",
            Measure::Cpu(..) => "cpu",
        }),
        Outcome::NoClearChange | Outcome::Failed { .. } | Outcome::Interrupted | Outcome::OutOfTime => None,
    }
}

fn side(side: &Side) -> Value {
    json!({
        "command": side.command,
        "meets_goal": side.meets_goal,
        "requests_per_s": side.capacity.map(|c| words::open(c.requests_per_s, c.at_least)),
        "users_at_once": side.capacity.map(|c| words::open(c.users_at_once, c.at_least)),
    })
}

fn change(change: &Change) -> Value {
    json!({ "before": change.was, "after": change.is, "ratio": change.ratio })
}

fn at_load(run: &Run, at: &AtLoad) -> Value {
    let routes: Map<String, Value> = at
        .latency_ms
        .iter()
        .map(|(route, changed)| {
            let mut value = change(changed);
            value["quantile"] = json!(words::quantile(run, route));
            (route.to_string(), value)
        })
        .collect();
    json!({
        "requests_per_s": at.requests_per_s,
        "latency_ms": routes,
        "latency_ratio": at.latency_ratio,
        "control_ratio": at.control_ratio,
        "cpu_ms": at.cpu_ms.as_ref().map(change),
        "error_share": { "before": at.error_share.0, "after": at.error_share.1 },
        "before_is_overloaded": at.before_is_overloaded,
    })
}
