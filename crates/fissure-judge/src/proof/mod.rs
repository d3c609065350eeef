//! Proof of a change: the program as it was and the program as it is, in turns, in the same minutes, on the same CPUs.
//!
//! Two runs at different times differ by all that changed on the machine meanwhile. Here every window of the one has a neighbour
//! of the other, and a second copy of the new program, which must not differ from the first, shows what chance does.

mod planner;

use std::collections::BTreeMap;

use fissure_facts::{Arrangement, Estimate, Fact, Purpose, Route, Run, Window};

use crate::capacity::CapacityFit;
use crate::evidence::{CONTROL, Evidence, WHOLE, open_load};
use crate::goal;
use crate::judgement::{Capacity, GoalView};
use crate::pairs::{self, Change};
use crate::stats;
pub use planner::ProofPlanner;

/// Name of the arrangement that is the program as it was.
pub const BEFORE: &str = "before";

#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    pub goal: GoalView,
    pub outcome: Outcome,
    pub before: Side,
    pub after: Side,
    /// after / before, where both lie inside what was tried.
    pub capacity_ratio: Option<Estimate>,
    /// Loads at which both stood in turns, the lowest first.
    pub loads: Vec<AtLoad>,
    pub windows: u32,
    pub windows_void: u32,
}

/// What the proof proves.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Better(Measure),
    Worse(Measure),
    /// Nothing that was measured changed for sure.
    NoClearChange,
    /// The old or the new program is the reason why nothing can be said.
    Failed {
        is_before: bool,
        sentence: String,
    },
    Interrupted,
    OutOfTime,
}

/// What the outcome rests on: the first of these that changed for sure. The order is fixed before anything is measured, because who
/// may choose among many measures afterwards always finds one that changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measure {
    /// The largest load that meets the goal; the ratio is open when one of both held, or missed, all that was tried.
    Capacity(Option<Estimate>),
    /// The quantile of the goal, over all routes, at the load with this index.
    Latency(usize, Estimate),
    /// CPU per request, at the load with this index.
    Cpu(usize, Estimate),
}

/// One of both programs.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    pub command: String,
    pub capacity: Option<Capacity>,
    pub meets_goal: Option<bool>,
}

/// Both programs under one load.
#[derive(Debug, Clone, PartialEq)]
pub struct AtLoad {
    pub users_per_s: f64,
    pub requests_per_s: f64,
    /// The quantile of each route that the goal speaks of, in milliseconds.
    pub latency_ms: BTreeMap<Route, Change>,
    /// The same over all routes: the geometric mean, weighted by requests.
    pub latency_ratio: Option<Estimate>,
    /// Two copies of the new program against each other.
    pub control_ratio: Option<Estimate>,
    /// CPU of a request, in milliseconds.
    pub cpu_ms: Option<Change>,
    /// Share of failed requests, before and after.
    pub error_share: (f64, f64),
    /// The old program does not stand this load: its latency grows for as long as it lasts, and so does the ratio.
    pub before_is_overloaded: bool,
}

pub fn judge(run: &Run) -> Proof {
    let evidence = Evidence::of(run);
    let fits = [BEFORE, WHOLE].map(|name| evidence.fit(name));
    let config = &run.header.config;
    let side = |name: &str, command: &str, fit: &Option<CapacityFit>| Side {
        command: command.to_owned(),
        capacity: fit.as_ref().map(|fit| goal::capacity(run, fit)),
        meets_goal: fit.as_ref().and_then(|fit| evidence.meets_goal(name, fit)),
    };
    let [before, after] = &fits;
    let capacity_ratio = before.as_ref().zip(after.as_ref()).and_then(|(before, after)| after.over(before));
    let loads = loads(&evidence, before.as_ref());
    let before_command = config.before.as_ref().map_or("", |before| &before.command);
    let (before, after) = (side(BEFORE, before_command, before), side(WHOLE, &config.app.command, after));
    Proof {
        goal: evidence.goal,
        outcome: outcome(run, [&before, &after], &fits, capacity_ratio, &loads),
        before,
        after,
        capacity_ratio,
        loads,
        windows: evidence.windows.len() as u32,
        windows_void: evidence.windows.iter().filter(|(_, void)| void.is_some()).count() as u32,
    }
}

fn outcome(
    run: &Run,
    [before, after]: [&Side; 2],
    fits: &[Option<CapacityFit>; 2],
    capacity_ratio: Option<Estimate>,
    loads: &[AtLoad],
) -> Outcome {
    if let Some((is_before, sentence)) = failure(run) {
        return Outcome::Failed { is_before, sentence };
    }
    let claim = |measure: Measure, is_better: bool| {
        if is_better { Outcome::Better(measure) } else { Outcome::Worse(measure) }
    };
    if let Some(ratio) = capacity_ratio.filter(is_sure) {
        return claim(Measure::Capacity(Some(ratio)), ratio.mid > 1.0);
    }
    let (was, is) = (before.meets_goal, after.meets_goal);
    // Where one of both held, or missed, every load, there is no ratio, but the intervals may lie apart.
    let lie_apart = fits[0].as_ref().zip(fits[1].as_ref()).is_some_and(|(a, b)| {
        let (a, b) = (a.users_per_s, b.users_per_s);
        a.high < b.low || b.high < a.low
    });
    if lie_apart && was != is && was.is_some() && is.is_some() {
        return claim(Measure::Capacity(None), is == Some(true));
    }
    for (index, load) in loads.iter().enumerate() {
        if let Some(ratio) = load.latency_ratio.filter(is_sure) {
            return claim(Measure::Latency(index, ratio), ratio.mid < 1.0);
        }
        if let Some(cpu) = load.cpu_ms.filter(|cpu| is_sure(&cpu.ratio)) {
            return claim(Measure::Cpu(index, cpu.ratio), cpu.ratio.mid < 1.0);
        }
    }
    if run.was_interrupted() {
        return Outcome::Interrupted;
    }
    if loads.iter().all(|load| load.latency_ratio.is_none()) {
        Outcome::OutOfTime
    } else {
        Outcome::NoClearChange
    }
}

/// Five measures may be looked at, one after the other, so each must be surer than 95 %: by Bonferroni 99 %, and the intervals of
/// that are 1.5 to 1.7 times as wide with the pairs of a proof (Student's t with 4 to 7 degrees of freedom).
const WIDER: f64 = 1.6;

/// The ratio differs from 1 for sure, although other ratios are looked at, too.
fn is_sure(ratio: &Estimate) -> bool {
    let (towards_one, away) = if ratio.mid > 1.0 { (ratio.low, ratio.mid) } else { (ratio.mid, ratio.high) };
    let half = (away / towards_one).ln();
    half.is_finite() && ratio.mid.ln().abs() > WIDER * half
}

/// A program that did not start, gave a wrong answer when nobody else was there, or died; with whose fault it is.
fn failure(run: &Run) -> Option<(bool, String)> {
    run.facts.iter().find_map(|stamped| {
        let (arrangement, sentence) = match &stamped.fact {
            Fact::StageFailed { arrangement, failure } => (arrangement, failure.sentence.clone()),
            Fact::ChildDied { arrangement, role, how, .. } => {
                (arrangement, format!("it died under load ({role}: {how})."))
            }
            Fact::JourneyPlayed { arrangement, journey, steps } => {
                let (step, problem) = steps.iter().find_map(|s| Some((s, s.problem.as_ref()?)))?;
                (arrangement, format!("{journey}:{}: {}: {problem}", step.line, step.route))
            }
            _ => return None,
        };
        Some((arrangement == BEFORE, sentence))
    })
}

/// The loads of the blocks, as planned.
fn planned_loads(evidence: &Evidence<'_>) -> Vec<f64> {
    let mut loads: Vec<f64> = evidence
        .windows
        .iter()
        .filter(|(w, _)| matches!(w.plan.purpose, Purpose::Rehearse { .. }))
        .filter_map(|(w, _)| open_load(w))
        .collect();
    loads.sort_by(f64::total_cmp);
    loads.dedup();
    loads
}

fn loads(evidence: &Evidence<'_>, before: Option<&CapacityFit>) -> Vec<AtLoad> {
    planned_loads(evidence).into_iter().map(|load| at_load(evidence, load, before)).collect()
}

fn at_load(evidence: &Evidence<'_>, users_per_s: f64, before: Option<&CapacityFit>) -> AtLoad {
    let (run, seed) = (evidence.run, evidence.run.header.seed);
    let goal = &run.header.config.goal;
    let is_here = |w: &Window| open_load(w) == Some(users_per_s);
    let pairs = |name: &str, others: &[&str], read: &dyn Fn(&Window) -> Option<f64>| {
        pairs::pairs(evidence, name, others, |w| read(w).filter(|_| is_here(w)))
    };
    // (new, old): the control is the new program, too, and both of them are the better witness.
    let against_before = |read: &dyn Fn(&Window) -> Option<f64>| {
        let turned: Vec<(f64, f64)> =
            pairs(BEFORE, &[WHOLE, CONTROL], read).into_iter().map(|(old, new)| (new, old)).collect();
        pairs::change(&turned, seed)
    };
    let mean_latency = |w: &Window| {
        let of = |route: &Route| {
            let requests = w.route(route).latency.count() as f64;
            Some((requests, pairs::slo_latency_ms(w, route, goal)?.max(1e-3).ln() * requests))
        };
        let (requests, logs) =
            run.routes().iter().filter_map(of).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        (requests > 0.0).then(|| (logs / requests).exp())
    };
    let cpu_ms = |w: &Window| {
        let answered = w.right() as f64;
        (answered > 0.0).then(|| w.app_cpu_s() / answered * 1e3)
    };
    let latency_ms = run.routes().into_iter().filter_map(|route| {
        let change = against_before(&|w: &Window| pairs::slo_latency_ms(w, &route, goal))?;
        Some((route, change))
    });
    let error_share = |name: &str| {
        let (failed, ended) = evidence
            .points(name)
            .iter()
            .filter(|p| p.users_per_s == users_per_s)
            .fold((0, 0), |sum, p| (sum.0 + p.errors.0, sum.1 + p.errors.1));
        if ended > 0 { failed as f64 / ended as f64 } else { 0.0 }
    };
    AtLoad {
        users_per_s,
        requests_per_s: users_per_s * goal::requests_per_user(run),
        latency_ms: latency_ms.collect(),
        latency_ratio: against_before(&mean_latency).map(|change| change.ratio),
        control_ratio: pairs::change(&pairs(CONTROL, &[WHOLE], &mean_latency), seed)
            .map(|change| change.ratio),
        cpu_ms: against_before(&cpu_ms),
        error_share: (error_share(BEFORE), error_share(WHOLE)),
        before_is_overloaded: before.is_some_and(|fit| fit.users_per_s.high < users_per_s)
            || evidence.points(BEFORE).iter().any(|p| p.users_per_s == users_per_s && p.growing),
    }
}

/// The programs that stand in a block.
fn contestants() -> [Arrangement; 3] {
    [Arrangement::before(), Arrangement::whole(), Arrangement::control()]
}

/// The middle of what is known about a program's capacity, in users per second.
fn middle(evidence: &Evidence<'_>, name: &str) -> Option<f64> {
    Some(evidence.fit(name)?.users_per_s.mid)
}

/// What an arrangement did flat out, in users per second.
fn flat_out(evidence: &Evidence<'_>, name: &str) -> Option<f64> {
    let per_user = goal::requests_per_user(evidence.run).max(1.0);
    let rates: Vec<f64> = evidence
        .windows
        .iter()
        .filter(|(w, _)| w.plan.purpose == Purpose::Saturate && w.plan.arrangement.name == name)
        .map(|(w, _)| w.right() as f64 / w.seconds().max(1.0) / per_user)
        .collect();
    stats::median(&rates).filter(|rate| *rate > 0.0)
}
