//! The contract `fissure.load/1`. Every key is always there; what is not known is `null` or empty. Changes only add.

use fissure_facts::fact::{CrowdSecond, RouteSecond};
use fissure_facts::{Latencies, Run};
use fissure_judge::load::{LoadSummary, Outcome};
use fissure_judge::threshold::Quantity;
use serde_json::{Map, Value, json};

use super::{QUANTILES, asked, exit_status, headline};

pub const SCHEMA: &str = "fissure.load/1";

pub fn report(runs: &[Run], summary: &LoadSummary) -> Value {
    let Some(run) = runs.first() else { return Value::Null };
    let window = summary.window.as_ref();
    let rates = &summary.rates;
    json!({
        "schema": SCHEMA,
        "runs": runs.iter().map(|r| &r.header.run).collect::<Vec<_>>(),
        "valid": summary.outcome == Outcome::Held && !summary.interrupted,
        "void": match &summary.outcome { Outcome::Void { why, .. } => json!(why.to_string()), _ => Value::Null },
        "sentence": headline(summary),
        "exit_status": exit_status(summary),
        "target": run.header.config.load.base,
        "asked": asked(run, summary),
        "load": summary.plan().map(|p| &p.load),
        "seconds": window.map(fissure_facts::Window::seconds),
        "users": {
            "planned": window.and_then(|w| w.end.as_ref()).and_then(|e| e.users_planned),
            "arrived": window.map(|w| w.crowd.iter().map(|s| s.users_arrived).sum::<u64>()),
            "planned_per_s": rates.users_planned,
            "arrived_per_s": rates.users_arrived,
            "inside_mean": summary.users_inside,
        },
        "requests": {
            "planned": window.map(|w| w.crowd.iter().map(|s| s.planned).sum::<u64>()),
            "sent": summary.lateness.count(),
            "answered": summary.total.latency.count(),
            "failed": summary.total.error_count(),
            "planned_per_s": rates.planned,
            "sent_per_s": rates.sent,
            "answered_per_s": rates.answered,
        },
        "total": figures(&summary.total),
        "routes": summary.routes.iter().map(|(route, seen)| {
            let mut value = figures(seen);
            value["route"] = json!(route);
            value
        }).collect::<Vec<_>>(),
        "thresholds": summary.thresholds.iter().map(|t| {
            let (unit, scale) = match t.threshold.what {
                Quantity::Errors => ("share", 1.0),
                Quantity::Rate => ("requests_per_s", 1.0),
                _ => ("ms", 1e-3),
            };
            json!({
                "threshold": t.threshold.text,
                // null when too few answers were right for the quantile, or nothing was seen
                "value": t.value.map(|v| v * scale).filter(|v| v.is_finite()),
                "limit": t.threshold.limit * scale,
                "unit": unit,
                "route": t.worst,
                "holds": t.holds,
            })
        }).collect::<Vec<_>>(),
        "problems": summary.problems.iter().map(|p| json!({ "route": p.route, "class": p.class, "sentence": p.sentence })).collect::<Vec<_>>(),
        "foreseen": summary.foreseen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "crowd": {
            "lateness_ms": quantiles(&summary.lateness),
            "cpu_s": summary.crowd_cpu_s,
            "connects": summary.connects,
            "machines": summary.machines,
        },
        "app": { "cpu_s": summary.app_cpu_s },
        "series": window.map_or(Vec::new(), |w| w.crowd.iter().map(second).collect()),
        "machine": run.header.machine,
        "fissure": run.header.fissure,
        "seed": run.header.seed,
        "started_unix_s": run.header.started_unix_s,
    })
}

fn figures(seen: &RouteSecond) -> Value {
    json!({
        "requests": seen.ended(),
        "latency_ms": quantiles(&seen.latency),
        "service_ms": quantiles(&seen.service),
        "errors": seen.errors,
        "bytes": seen.bytes,
        // HdrHistogram, V2 + DEFLATE, base64; microseconds. Adds up without loss.
        "latency_histogram": seen.latency,
        "service_histogram": seen.service,
    })
}

fn quantiles(latencies: &Latencies) -> Value {
    let of = |us: f64| if latencies.is_empty() { Value::Null } else { json!(us / 1e3) };
    let mut value: Map<String, Value> = QUANTILES
        .iter()
        .map(|(name, q)| ((*name).to_owned(), of(latencies.quantile_us(*q) as f64)))
        .collect();
    value.insert("mean".to_owned(), of(latencies.mean_us()));
    Value::Object(value)
}

fn second(second: &CrowdSecond) -> Value {
    let mut all = RouteSecond::default();
    second.routes.values().for_each(|seen| all.add(seen));
    json!({
        "second": second.second,
        // A long test shows its older seconds together.
        "seconds": second.length_s(),
        "users_arrived": second.users_arrived,
        "users_inside": second.users_inside,
        "planned": second.planned,
        "sent": second.lateness.count(),
        "answered": all.latency.count(),
        "failed": all.error_count(),
        "in_flight": second.in_flight,
        "latency_ms": quantiles(&all.latency),
    })
}
