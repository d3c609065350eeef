//! Two runs side by side: what changed from A to B, with intervals, and when that cannot be said.
//!
//! Two runs at different times are weaker evidence than interleaved pairs within one run: whatever else changed on
//! the machine meanwhile counts as a difference. The text says so every time.

use std::collections::BTreeMap;

use fissure_facts::{Estimate, Latencies, Load, Route, Run};
use fissure_judge::Judgement;
use fissure_judge::judgement::{CurveLatency, CurvePoint};
use serde_json::{Value, json};

use crate::terminal::Page;
use crate::units::{brief, change, number};
use crate::words::{self, SAME_LOAD};

/// Width of the text: it is made without knowing a terminal.
const WIDTH: usize = 100;

/// The name of the JSON's contract.
pub const SCHEMA: &str = "fissure.comparison/1";

/// Runs at different times; said in every comparison.
const WEAKER: &str = "Two runs at different times are weaker evidence than interleaved pairs within one run: a change of a few per cent may be the machine's, not the app's.";

/// What changed from `a` to `b`: text for a terminal, and JSON.
pub fn report(a: (&Run, &Judgement), b: (&Run, &Judgement)) -> (String, Value) {
    let comparison = Comparison::new(a, b);
    (comparison.text(), comparison.json())
}

struct Comparison {
    names: [String; 2],
    verdicts: [String; 2],
    sentences: [String; 2],
    /// Why the numbers must not be compared.
    obstacles: Vec<String>,
    /// What else differs, and may be the reason for a difference.
    cautions: Vec<String>,
    /// What the compared numbers are called -> both values.
    capacity: Option<Pair>,
    saturation: Option<Pair>,
    demands: Vec<(Route, Pair)>,
    latencies: Vec<LatencyPair>,
    only_in_one: Vec<Route>,
}

#[derive(Clone, Copy)]
struct Pair {
    a: Estimate,
    b: Estimate,
    /// b over a; `None` when it cannot be told or must not be.
    ratio: Option<Estimate>,
}

struct LatencyPair {
    route: Route,
    requests_per_s: f64,
    quantile: String,
    pair: Pair,
}

impl Comparison {
    fn new((a, ja): (&Run, &Judgement), (b, jb): (&Run, &Judgement)) -> Self {
        let obstacles = obstacles(a, b);
        let comparable = obstacles.is_empty();
        let pair = |x: Option<Estimate>, y: Option<Estimate>| {
            let (a, b) = (x?, y?);
            Some(Pair { a, b, ratio: if comparable { ratio(a, b) } else { None } })
        };
        let demand = |j: &Judgement, route: &Route| {
            j.demands.iter().find(|d| d.route.matches(route)).map(|d| d.cpu_ms)
        };
        let routes = |j: &Judgement| j.demands.iter().map(|d| d.route.clone()).collect::<Vec<_>>();
        let both = routes(ja);
        let only = |mine: &Judgement, other: &Judgement| {
            let mut names = routes(mine);
            names.retain(|r| demand(other, r).is_none());
            names
        };
        let mut latencies = Vec::new();
        for (pa, pb) in common_loads(&ja.curve, &jb.curve) {
            for (route, la) in &pa.routes {
                let Some(lb) = pb.routes.get(route) else { continue };
                let (va, vb) = (reading(a, route, pa, la), reading(b, route, pb, lb));
                let ratio = if comparable { ratio(va, vb) } else { None };
                latencies.push(LatencyPair {
                    route: route.clone(),
                    requests_per_s: pa.requests_per_s,
                    quantile: words::quantile(a, route),
                    pair: Pair { a: va, b: vb, ratio },
                });
            }
        }
        Self {
            names: [a.header.run.clone(), b.header.run.clone()],
            verdicts: [words::title(ja).to_owned(), words::title(jb).to_owned()],
            sentences: [words::verdict_sentence(a, ja), words::verdict_sentence(b, jb)],
            cautions: cautions(a, b),
            capacity: pair(requests_per_s(ja), requests_per_s(jb)),
            saturation: pair(ja.saturation_per_s, jb.saturation_per_s),
            demands: both
                .iter()
                .filter_map(|r| Some((r.clone(), pair(demand(ja, r), demand(jb, r))?)))
                .collect(),
            latencies,
            only_in_one: only(ja, jb).into_iter().chain(only(jb, ja)).collect(),
            obstacles,
        }
    }

    fn text(&self) -> String {
        let mut page = Page::new(WIDTH);
        for (i, letter) in ["A", "B"].iter().enumerate() {
            page.paragraph(
                "",
                anstyle::Style::new(),
                &format!("{letter} = {}: {}", self.names[i], self.sentences[i]),
            );
        }
        if self.obstacles.is_empty() {
            page.heading("From A to B");
        } else {
            page.heading("These two runs cannot be compared");
            for line in &self.obstacles {
                page.item(line);
            }
            page.item(
                "Check both again under the same conditions. Below, the numbers only stand side by side.",
            );
            page.heading("Side by side");
        }
        let mut rows = vec![["", "A", "B", "change"].map(str::to_owned)];
        let mut row = |name: String, pair: &Pair, unit: &str| {
            rows.push([name, brief(pair.a, unit), brief(pair.b, unit), told(pair)]);
        };
        if let Some(pair) = &self.capacity {
            row("capacity".to_owned(), pair, "requests/s");
        }
        if let Some(pair) = &self.saturation {
            row("flat out".to_owned(), pair, "requests/s");
        }
        for (route, pair) in &self.demands {
            row(format!("CPU of {route}"), pair, "ms");
        }
        for l in &self.latencies {
            row(
                format!("{} of {} at {} requests/s", l.quantile, l.route, number(l.requests_per_s)),
                &l.pair,
                "ms",
            );
        }
        page.table(&rows);
        page.heading("Mind");
        if self.latencies.is_empty() {
            page.item("The two runs have no load in common, so their latencies are not compared.");
        } else {
            page.item("Intervals of latencies take requests as independent, which neighbours in a queue are not: they are rather too narrow.");
        }
        if !self.only_in_one.is_empty() {
            page.item(&format!("Only one of the runs knows {}.", words::routes_text(&self.only_in_one)));
        }
        for line in &self.cautions {
            page.item(line);
        }
        page.item(WEAKER);
        page.text
    }

    fn json(&self) -> Value {
        let pair = |p: &Pair| json!({ "a": p.a, "b": p.b, "ratio": p.ratio });
        let mut latencies: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for l in &self.latencies {
            latencies.entry(l.route.to_string()).or_default().push(json!({
                "requests_per_s": l.requests_per_s,
                "quantile": l.quantile,
                "a_ms": l.pair.a,
                "b_ms": l.pair.b,
                "ratio": l.pair.ratio,
            }));
        }
        let demands: serde_json::Map<String, Value> =
            self.demands.iter().map(|(route, p)| (route.to_string(), pair(p))).collect();
        let side = |i: usize| json!({ "run": self.names[i], "verdict": self.verdicts[i], "sentence": self.sentences[i] });
        json!({
            "schema": SCHEMA,
            "a": side(0),
            "b": side(1),
            "comparable": self.obstacles.is_empty(),
            "obstacles": self.obstacles,
            "cautions": self.cautions.iter().map(String::as_str).chain([WEAKER]).collect::<Vec<_>>(),
            "capacity": self.capacity.as_ref().map(pair),
            "saturation": self.saturation.as_ref().map(pair),
            "cpu_ms": demands,
            "latency": latencies,
            "only_in_one": self.only_in_one,
        })
    }
}

/// Capacity, open where only its least is known: of such a one no ratio can be told.
fn requests_per_s(judgement: &Judgement) -> Option<Estimate> {
    judgement.capacity.map(|c| words::open(c.requests_per_s, c.at_least))
}

fn told(pair: &Pair) -> String {
    pair.ratio.map_or("not compared".to_owned(), change)
}

/// Differences that make numbers incomparable.
fn obstacles(a: &Run, b: &Run) -> Vec<String> {
    let (ma, mb) = (&a.header.machine, &b.header.machine);
    let mut found = Vec::new();
    if (&ma.cpu_model, ma.memory_bytes) != (&mb.cpu_model, mb.memory_bytes) {
        found.push(format!("Other machines: {}; {}.", words::machine(ma), words::machine(mb)));
    }
    if ma.app_cpus.len() != mb.app_cpus.len() {
        let had = |cpus: &[usize]| words::cpu_list(cpus);
        found.push(format!("The app had other CPUs: {}; {}.", had(&ma.app_cpus), had(&mb.app_cpus)));
    }
    let (ga, gb) = (&a.header.config.goal, &b.header.config.goal);
    if (ga.slo, &ga.routes, ga.errors) != (gb.slo, &gb.routes, gb.errors) {
        found.push(format!(
            "The goals ask for other latencies or errors ({}; {}), and capacity depends on them.",
            words::slo(a),
            words::slo(b)
        ));
    }
    if a.header.journeys != b.header.journeys {
        found.push(
            "The journeys, their weights or their think times differ, so the mix of requests does too."
                .to_owned(),
        );
    }
    found
}

/// Differences that may explain others.
fn cautions(a: &Run, b: &Run) -> Vec<String> {
    let (ha, hb) = (&a.header, &b.header);
    let mut found = Vec::new();
    let mut differs = |what: &str, x: &str, y: &str| {
        if x != y {
            found.push(format!("{what} differs: `{x}`; `{y}`."));
        }
    };
    differs("The version of fissure", &ha.fissure, &hb.fissure);
    differs("The kernel", &ha.machine.kernel, &hb.machine.kernel);
    differs("The app's command", &ha.config.app.command, &hb.config.app.command);
    differs("The goal's load", &words::load(ha.config.goal.load()), &words::load(hb.config.goal.load()));
    if ha.machine.app_cpus.len() == hb.machine.app_cpus.len() {
        differs(
            "The set of CPUs",
            &words::cpu_list(&ha.machine.app_cpus),
            &words::cpu_list(&hb.machine.app_cpus),
        );
    }
    if ha.config.app.env != hb.config.app.env {
        found.push("The app's environment differs.".to_owned());
    }
    found
}

/// b over a with a 95 % interval, for independent estimates that are about log-normal: half widths of the logarithms
/// add in squares (the delta method). Does not hold for values at or below zero, nor for two exact numbers' noise.
fn ratio(a: Estimate, b: Estimate) -> Option<Estimate> {
    if ![a.low, a.mid, a.high, b.low, b.mid, b.high].iter().all(|v| v.is_finite() && *v > 0.0) {
        return None;
    }
    let spread = |x: f64, y: f64| (x / y).ln().powi(2);
    let mid = b.mid / a.mid;
    // The ratio is low when b is low and a is high.
    let down = (spread(b.mid, b.low) + spread(a.high, a.mid)).sqrt();
    let up = (spread(b.high, b.mid) + spread(a.mid, a.low)).sqrt();
    Some(Estimate::new(mid, mid * (-down).exp(), mid * up.exp()))
}

/// Points of both curves at the same load, each used once.
fn common_loads<'a>(a: &'a [CurvePoint], b: &'a [CurvePoint]) -> Vec<(&'a CurvePoint, &'a CurvePoint)> {
    let mut pairs: Vec<(&CurvePoint, &CurvePoint)> = Vec::new();
    for pa in a {
        let apart = |pb: &CurvePoint| (pb.users_per_s / pa.users_per_s - 1.0).abs();
        let free = b.iter().filter(|pb| !pairs.iter().any(|(_, taken)| std::ptr::eq(*taken, *pb)));
        let nearest = free.min_by(|x, y| apart(x).total_cmp(&apart(y)));
        pairs.extend(nearest.filter(|pb| apart(pb) <= SAME_LOAD).map(|pb| (pa, pb)));
    }
    pairs
}

/// The SLO's quantile of a route at one load. Its middle is the judge's, which knows the void windows; its relative
/// width comes from the facts of the windows at that load. Without such facts the value stands as it is.
fn reading(run: &Run, route: &Route, point: &CurvePoint, latency: &CurveLatency) -> Estimate {
    let quantile = run.header.config.goal.slo_of(route).quantile();
    let mid = match words::quantile(run, route).as_str() {
        "p50" => latency.p50_ms,
        "p99" => latency.p99_ms,
        _ => latency.p95_ms,
    };
    let mut seen = Latencies::new();
    for window in run.windows() {
        let plan = &window.plan;
        let same = match plan.load {
            Load::Open { users_per_s } => (users_per_s / point.users_per_s - 1.0).abs() < 0.005,
            Load::Closed { .. } | Load::Arriving(_) => false,
        };
        if same && plan.arrangement.name == "whole" && plan.emphasis.is_none() {
            seen.add(&window.route(route).latency);
        }
    }
    match order_statistics(&seen, quantile) {
        Some((low, high)) => Estimate::new(mid, mid * low, mid * high),
        None => Estimate::exact(mid),
    }
}

/// The distribution-free 95 % interval of a quantile, relative to it: the ranks n q ± 1.96 sqrt(n q (1 - q))
/// (Conover, Practical Nonparametric Statistics, 3.2). Holds for independent requests and needs some on both sides.
fn order_statistics(latencies: &Latencies, quantile: f64) -> Option<(f64, f64)> {
    let n = latencies.count() as f64;
    let half = 1.96 * (quantile * (1.0 - quantile) / n).sqrt();
    if n < 20.0 || quantile + half >= 1.0 {
        return None;
    }
    let at = |q: f64| latencies.quantile_us(q) as f64;
    let mid = at(quantile);
    (mid > 0.0).then(|| (at(quantile - half) / mid, at(quantile + half) / mid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_as_wide_as_both_of_its_parts() {
        let a = Estimate::new(100.0, 90.0, 110.0);
        let r = ratio(a, a).unwrap();
        assert!(r.contains(1.0) && r.high - r.low > 0.2, "{r:?}");
        let exact = ratio(Estimate::exact(2.0), Estimate::exact(3.0)).unwrap();
        assert_eq!((exact.low, exact.mid, exact.high), (1.5, 1.5, 1.5));
        assert!(ratio(Estimate::exact(0.0), a).is_none());
        assert!(ratio(a, Estimate::new(1.0, 0.5, f64::INFINITY)).is_none());
    }

    #[test]
    fn few_requests_make_no_interval_and_many_a_narrow_one() {
        let mut latencies = Latencies::new();
        latencies.record_many_us(1_000, 15);
        assert!(order_statistics(&latencies, 0.95).is_none());
        for us in 1..=20_000u64 {
            latencies.record_us(us);
        }
        let (low, high) = order_statistics(&latencies, 0.95).unwrap();
        assert!(low < 1.0 && high > 1.0 && high - low < 0.02, "{low} {high}");
    }
}
