//! `options` of the script: who arrives when, and what must hold.

use fissure_facts::Load;
use fissure_facts::journey::Journey;
use fissure_judge::threshold::{Quantity, Scope, Threshold};
use serde_json::{Map, Value, json};

use super::{Export, NotTranslated};

/// k6 takes whole users per unit of time; in an hour even rare ones are whole.
const TIME_UNIT_S: f64 = 3600.0;
/// A server that stands still for so long must not run k6 out of users (it would drop the others).
const STALL_S: f64 = 1.0;

pub(super) fn options(export: &Export<'_>, functions: &[String]) -> Result<Value, NotTranslated> {
    let weights: f64 = export.journeys.iter().map(|j| j.weight).sum();
    let mut scenarios = Map::new();
    for (source, function) in export.journeys.iter().zip(functions) {
        let mut scenario = executor(export, source.weight / weights, source.journey)?;
        scenario.insert("exec".to_owned(), function.as_str().into());
        let stay_s = (think_s(export, source.journey) + export.timeout.as_secs_f64()).ceil();
        scenario.insert("gracefulStop".to_owned(), format!("{}s", stay_s.max(30.0)).into());
        scenarios.insert(function.clone(), scenario.into());
    }
    let mut options = Map::new();
    options.insert("scenarios".to_owned(), scenarios.into());
    options.insert("thresholds".to_owned(), thresholds(export)?);
    // A user has connections of its own, unless they are handed on.
    options.insert("noVUConnectionReuse".to_owned(), (!export.hand_on).into());
    let shown = ["avg", "min", "med", "p(90)", "p(95)", "p(99)", "p(99.9)", "max", "count"];
    options.insert("summaryTrendStats".to_owned(), json!(shown));
    Ok(options.into())
}

fn think_s(export: &Export<'_>, journey: &Journey) -> f64 {
    journey.steps.iter().map(|s| s.think.min(export.think_max).as_secs_f64()).sum()
}

fn closed(export: &Export<'_>) -> Result<Map<String, Value>, NotTranslated> {
    let mut executor = Map::new();
    if let Load::Closed { users } = export.load {
        if export.journeys.len() > 1 {
            let sentence = "in a closed loop k6 cannot let users choose among several journeys: export one of them, or say --rate.";
            return Err(NotTranslated { place: None, sentence: sentence.to_owned() });
        }
        executor.insert("executor".to_owned(), "constant-vus".into());
        executor.insert("vus".to_owned(), users.into());
        executor.insert("duration".to_owned(), duration(export.seconds).into());
    }
    Ok(executor)
}

fn duration(seconds: f64) -> String {
    format!("{}ms", (seconds * 1e3).round())
}

fn executor(export: &Export<'_>, share: f64, journey: &Journey) -> Result<Map<String, Value>, NotTranslated> {
    let whole = |per_s: f64| (per_s * share * TIME_UNIT_S).round() as u64;
    let time_unit = format!("{TIME_UNIT_S}s");
    let Some(arrivals) = export.load.arrivals() else { return closed(export) };
    let length = export.seconds;
    // What the load is, cut or continued to its length.
    let mut stretches = Vec::new();
    let mut begin_s = 0.0;
    for stretch in &arrivals.stretches {
        let seconds = stretch.seconds.min(length - begin_s);
        if seconds > 0.0 {
            let to_per_s = if seconds < stretch.seconds {
                arrivals.intensity(begin_s + seconds)
            } else {
                stretch.to_per_s
            };
            stretches.push((seconds, stretch.from_per_s, to_per_s));
        }
        begin_s += stretch.seconds;
    }
    if begin_s < length
        && let Some(last) = arrivals.stretches.last()
    {
        stretches.push((length - begin_s, last.to_per_s, last.to_per_s));
    }
    let Some(&(_, first, _)) = stretches.first() else {
        return Err(NotTranslated { place: None, sentence: "nobody arrives.".to_owned() });
    };
    let peak = arrivals.peak(length) * share;
    let think_s = think_s(export, journey);
    let vus = |seconds: f64| (peak * (think_s + seconds)).ceil().max(1.0) as u64;
    let mut executor = if stretches.iter().all(|(_, from, to)| from == to && *from == first) {
        json!({ "executor": "constant-arrival-rate", "rate": whole(first), "duration": duration(length) })
    } else {
        let mut stages = Vec::new();
        let mut at = first;
        for (seconds, from, to) in stretches {
            if from != at {
                stages.push(json!({ "target": whole(from), "duration": "0s" }));
            }
            stages.push(json!({ "target": whole(to), "duration": duration(seconds) }));
            at = to;
        }
        json!({ "executor": "ramping-arrival-rate", "startRate": whole(first), "stages": stages })
    };
    executor["timeUnit"] = time_unit.into();
    executor["preAllocatedVUs"] = vus(STALL_S).into();
    executor["maxVUs"] = vus(export.timeout.as_secs_f64().max(STALL_S)).into();
    Ok(executor.as_object().cloned().unwrap_or_default())
}

fn thresholds(export: &Export<'_>) -> Result<Value, NotTranslated> {
    let mut routes: Vec<String> =
        export.journeys.iter().flat_map(|j| &j.journey.steps).map(|s| s.route.to_string()).collect();
    routes.sort();
    routes.dedup();
    let mut thresholds: Map<String, Value> = Map::new();
    for text in export.require {
        let refuse =
            |why: &str| NotTranslated { place: None, sentence: format!("the threshold `{text}` {why}.") };
        let threshold: Threshold = text.parse().map_err(|_| refuse("cannot be read"))?;
        let limit = |scale: f64| format!("{}", threshold.limit / scale);
        let or_equal = if threshold.or_equal { "=" } else { "" };
        let (metric, condition) = match threshold.what {
            Quantity::Quantile(1.0) => ("http_req_duration", format!("max<{or_equal}{}", limit(1e3))),
            Quantity::Quantile(q) => {
                // 0.999 is no whole number of hundredths, and 99.9 must not become 99.90000000000001.
                let percentile = (q * 1e6).round() / 1e4;
                ("http_req_duration", format!("p({percentile})<{or_equal}{}", limit(1e3)))
            }
            Quantity::Mean => ("http_req_duration", format!("avg<{or_equal}{}", limit(1e3))),
            Quantity::Errors => ("errors", format!("rate<{or_equal}{}", limit(1.0))),
            Quantity::Rate => {
                return Err(refuse("has no equal in k6, which counts wrong answers with the right ones"));
            }
        };
        let metrics = match &threshold.of {
            Scope::All => vec![metric.to_owned()],
            Scope::Every => routes.iter().map(|route| tagged(metric, route)).collect(),
            Scope::Route(wanted) => {
                let steps = || export.journeys.iter().flat_map(|j| &j.journey.steps);
                let route = steps().find(|s| s.route.matches(wanted)).map_or(wanted, |s| &s.route);
                vec![tagged(metric, &route.to_string())]
            }
        };
        for metric in metrics {
            if let Value::Array(conditions) = thresholds.entry(metric).or_insert_with(|| json!([])) {
                conditions.push(condition.clone().into());
            }
        }
    }
    Ok(thresholds.into())
}

/// Requests have their route as the tag `name`.
fn tagged(metric: &str, route: &str) -> String {
    format!("{metric}{{name:{route}}}")
}
