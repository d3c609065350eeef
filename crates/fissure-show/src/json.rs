//! `report.json`: the contract `fissure.report/1`. Every key is always there; what is not known is `null`,
//! `"unknown"` or empty. Changes only add.

use std::collections::BTreeMap;

use fissure_facts::config::GoalLoad;
use fissure_facts::{Estimate, Route, Run};
use fissure_judge::Judgement;
use fissure_judge::judgement::{
    BlamedLink, Capacity, CurvePoint, DatabaseWork, Fix, Grows, Growth, Holder, LatencyChange, PeerLoad,
    Place, RemedyResult, RouteDemand, Spot, Verdict, Wait, Waits, WaitsFor,
};
use serde_json::{Map, Value, json};

use crate::{isolation, words};

/// The name of the contract.
pub const SCHEMA: &str = "fissure.report/1";

/// The whole report. Numbers that are not finite become `null`: JSON has no other word for them.
pub fn report(run: &Run, judgement: &Judgement) -> Value {
    let header = &run.header;
    json!({
        "schema": SCHEMA,
        "run": header.run,
        "valid": judgement.valid(),
        "doubts": words::doubts(&judgement.doubts),
        "verdict": verdict(run, judgement),
        "limit": limit(judgement),
        "capacity": capacity(judgement),
        "demands": judgement.demands.iter().map(demand).collect::<Vec<_>>(),
        "remedies": judgement.remedies.iter().map(|r| remedy(run, judgement, r)).collect::<Vec<_>>(),
        "isolation": isolation::json(&judgement.isolation),
        "blast_radius": null,
        "forecast": null,
        // Additions to the contract.
        "goal": goal(run, judgement),
        "control": judgement.control.as_ref().map(|c| json!({
            "cpu_ratio": c.cpu_ratio,
            "latency": latencies(run, &c.latency_ratio),
        })),
        "fix": judgement.fix.as_ref().map(fix),
        "growth": judgement.growth.iter().map(growth).collect::<Vec<_>>(),
        "held_workers": judgement.held_workers.map(|held| json!({
            "first_ms": held.first_ms,
            "later_ms": held.later_ms,
            "cpu_share": held.cpu_share,
        })),
        "held_back": judgement.held_back.iter().map(|held| json!({
            "route": held.route,
            "latency_ms": held.latency_ms,
            "acknowledged_ms": held.acknowledged_ms,
        })).collect::<Vec<_>>(),
        "waits": judgement.waits.as_ref().map(waits),
        "databases": judgement.databases.iter().map(database).collect::<Vec<_>>(),
        "questions": judgement.questions.iter().map(|q| json!({
            "address": q.address,
            "name": q.name,
            "is_database": q.is_database,
            "route": q.route,
            "per_request": q.per_request,
            "by_others": q.by_others,
            "asked_at": q.asked_at.as_ref().map(place),
        })).collect::<Vec<_>>(),
        "unasked": judgement.unasked.as_ref().map(|unasked| json!({
            "cores": unasked.cores,
            "places": unasked.places.iter().map(place).collect::<Vec<_>>(),
        })),
        "curve": judgement.curve.iter().map(curve_point).collect::<Vec<_>>(),
        "background_cores": judgement.background_cores,
        "connection_cpu_ms": judgement.connection.map(|c| c.cpu_ms),
        "not_checked": judgement.not_checked.iter().map(|s| words::full_stop(s)).collect::<Vec<_>>(),
        "windows": { "measured": judgement.windows, "void": judgement.windows_void },
        "machine": header.machine,
        "fissure": header.fissure,
        "verb": header.verb,
        "seed": header.seed,
        "started_unix_s": header.started_unix_s,
        "resume": words::resume(run, judgement),
    })
}

fn verdict(run: &Run, judgement: &Judgement) -> Value {
    let area = match judgement.verdict {
        Verdict::Remedy { index } => judgement.remedies.get(index).map_or(&[][..], |r| &r.area),
        _ => &[],
    };
    json!({
        "kind": words::kind(judgement),
        "rung": words::rung(judgement),
        "sentence": words::verdict_sentence(run, judgement),
        "goal_met": words::goal_met(judgement),
        "area": area,
        "place": judgement.limit.iter().flat_map(|l| &l.place).map(place).collect::<Vec<_>>(),
        "link": match &judgement.verdict {
            Verdict::ItsTheLink { link, .. } => Some(blamed(link)),
            _ => None,
        },
        "details": words::details(run, judgement),
        "exit_status": words::exit_status(judgement),
    })
}

fn blamed(link: &BlamedLink) -> Value {
    json!({ "name": link.name, "address": link.address, "is_database": link.is_database, "share": link.share })
}

/// What grows within the run; the unit is in the name of what does.
fn growth(growth: &Growth) -> Value {
    let (of, route) = match &growth.of {
        Grows::Cpu(route) => ("cpu_ms", Some(route)),
        Grows::Memory => ("memory_bytes", None),
        Grows::Files => ("open_files", None),
    };
    json!({
        "of": of,
        "route": route,
        "first": growth.first,
        "last": growth.last,
        "more": growth.more,
        "requests": growth.requests,
        "is_by_writes": growth.is_by_writes,
    })
}

fn limit(judgement: &Judgement) -> Value {
    match &judgement.limit {
        Some(limit) => json!({
            "resource": limit.resource,
            "routes": limit.routes,
            "evidence": limit.evidence,
            "victims": limit.victims,
            "place": limit.place.iter().map(place).collect::<Vec<_>>(),
        }),
        None => json!({ "resource": "unknown", "routes": [], "evidence": [], "victims": [], "place": [] }),
    }
}

fn place(place: &Place) -> Value {
    json!({
        "function": place.function,
        "file": place.file,
        "line": place.line,
        "share": place.share,
        "lines": place.lines,
        "own_share": place.own_share,
        "many_statements": place.many_statements,
        "inside": place.inside,
        "called_at": place.called_at.as_ref().map(spot),
        "is_library": place.is_library,
        "route": place.route,
    })
}

fn spot(spot: &Spot) -> Value {
    json!({ "function": spot.function, "file": spot.file, "line": spot.line })
}

/// Where requests wait when the CPU is not what gives way.
fn waits(waits: &Waits) -> Value {
    let place = |wait: &Wait| {
        let held = wait.holder.as_ref().map(|Holder { taken, at, what }| {
            json!({ "taken": spot(taken), "at": spot(at), "waits_for": what.as_ref().map(words::waits_for) })
        });
        json!({
            "kind": wait_kind(&wait.what),
            "waits_for": words::waits_for(&wait.what),
            "at": wait.at.as_ref().map(spot),
            "share": wait.share,
            "held_at": held,
        })
    };
    let peer = |peer: &PeerLoad| json!({ "address": peer.address, "connections": peer.connections, "awaited": peer.awaited, "resting": peer.resting });
    json!({
        "under_way": waits.under_way,
        "running": waits.running,
        "interpreter_held": waits.interpreter_held,
        "places": waits.places.iter().map(place).collect::<Vec<_>>(),
        "peers": waits.peers.iter().map(peer).collect::<Vec<_>>(),
        "idle_threads": waits.idle_threads,
        "event_loop": waits.event_loop,
    })
}

fn wait_kind(what: &WaitsFor) -> &'static str {
    match what {
        WaitsFor::Lock => "lock",
        WaitsFor::Interpreter => "interpreter",
        WaitsFor::Wake => "wake",
        WaitsFor::Peer(_) => "peer",
        WaitsFor::File(_) => "file",
        WaitsFor::Child => "child",
        WaitsFor::Time => "time",
        WaitsFor::Kernel(_) => "kernel",
    }
}

/// What the dearest lines would give if they cost nothing; a prediction.
fn fix(fix: &Fix) -> Value {
    json!({
        "lines": fix.lines,
        "share": fix.share,
        "capacity_ratio": fix.capacity_ratio,
        "cpus_needed": fix.cpus_needed,
    })
}

fn capacity(judgement: &Judgement) -> Value {
    let of = |unit: fn(&Capacity) -> Estimate| judgement.capacity.as_ref().map(unit);
    json!({
        "unit": "requests_per_s",
        "monolith": of(|c| c.requests_per_s),
        "users_at_once": of(|c| c.users_at_once),
        "users_per_s": of(|c| c.users_per_s),
        "saturation": judgement.saturation_per_s,
        // True: every load that was tried met the goal, so only `mid` is known, and it is the least.
        "at_least": judgement.capacity.map(|c| c.at_least),
    })
}

fn demand(demand: &RouteDemand) -> Value {
    json!({
        "route": demand.route,
        "cpu_ms": demand.cpu_ms,
        "share": demand.share,
        "solo_ms": demand.solo_ms,
        "mix": demand.mix,
    })
}

fn remedy(run: &Run, judgement: &Judgement, remedy: &RemedyResult) -> Value {
    // The contract's key says p95: a route whose SLO is on another quantile stands under `latency` only.
    let p95: BTreeMap<&Route, Estimate> = remedy
        .latency_ratio
        .iter()
        .filter(|(route, _)| words::quantile(run, route) == "p95")
        .map(|(route, change)| (route, change.ratio))
        .collect();
    json!({
        "kind": remedy.kind.name(),
        "rung": remedy.kind.rung(),
        "predicted": remedy.predicted,
        "capacity_ratio": remedy.capacity_ratio,
        "p95_ratio": by_route(p95.into_iter().map(|(route, ratio)| (route, json!(ratio)))),
        "meets_goal": remedy.meets_goal,
        "unsafe": judgement.unsafe_answers(remedy).iter().map(isolation::finding).collect::<Vec<_>>(),
        "name": remedy.arrangement.name,
        "area": remedy.area,
        "capacity": remedy.capacity.map(|c| json!({
            "requests_per_s": c.requests_per_s,
            "users_at_once": c.users_at_once,
            "users_per_s": c.users_per_s,
            "at_least": c.at_least,
        })),
        "latency": latencies(run, &remedy.latency_ratio),
        "not_rehearsed": remedy.not_rehearsed,
        "wrong": remedy.wrong.as_ref().map(|wrong| json!({
            "route": wrong.route,
            "share": wrong.share,
            "problem": wrong.problem,
        })),
    })
}

fn database(work: &DatabaseWork) -> Value {
    json!({
        "link": work.link,
        "at_work": work.at_work,
        "statement": work.dear.as_ref().map(|dear| json!({
            "text": dear.text,
            "share": dear.share,
            "locked_share": dear.locked_share,
            "reads": dear.reads.as_ref().map(|reads| json!({
                "table": reads.table,
                "rows": reads.rows,
                "times_per_s": reads.times_per_s,
            })),
        })),
        "resting": work.resting,
        "rests_behind": work.rests_behind,
    })
}

fn latencies(run: &Run, changes: &BTreeMap<Route, LatencyChange>) -> Value {
    by_route(changes.iter().map(|(route, change)| {
        let value = json!({
            "quantile": words::quantile(run, route),
            "whole_ms": change.whole_ms,
            "remedy_ms": change.remedy_ms,
            "ratio": change.ratio,
        });
        (route, value)
    }))
}

fn goal(run: &Run, judgement: &Judgement) -> Value {
    let asked = match judgement.goal.asked {
        GoalLoad::Users(_) => "users",
        GoalLoad::RequestsPerS(_) => "requests_per_s",
        GoalLoad::JourneysPerS(_) => "journeys_per_s",
    };
    json!({
        "sentence": words::goal(run, judgement),
        "asked": asked,
        "requests_per_s": judgement.goal.requests_per_s,
        "users_per_s": judgement.goal.users_per_s,
        "users_at_once": judgement.goal.users_at_once,
        "slo": run.header.config.goal.slo,
        "errors": run.header.config.goal.errors.0,
    })
}

fn curve_point(point: &CurvePoint) -> Value {
    json!({
        "users_per_s": point.users_per_s,
        "requests_per_s": point.requests_per_s,
        "cpu_share": point.cpu_share,
        "error_share": point.error_share,
        "routes": by_route(point.routes.iter().map(|(route, l)| {
            let value = json!({
                "p50_ms": l.p50_ms,
                "p95_ms": l.p95_ms,
                "p99_ms": l.p99_ms,
                "slo_ratio": l.slo_ratio,
                "requests": l.requests,
            });
            (route, value)
        })),
    })
}

fn by_route<'a>(pairs: impl Iterator<Item = (&'a Route, Value)>) -> Value {
    Value::Object(pairs.map(|(route, value)| (route.to_string(), value)).collect::<Map<_, _>>())
}
