//! The largest load at which every route keeps its SLO, by simulation.

use std::ops::ControlFlow;

use fissure_facts::Arrangement;
use fissure_facts::config::Goal;

use super::engine::{self, Layout};
use super::{Trace, WARM_UP};
use crate::model::Model;

/// How much work an answer is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    /// Requests of each simulation.
    pub requests: usize,
    /// The search ends when the capacity is known within this share.
    pub precision: f64,
}

impl Effort {
    /// For an answer: repeats differ by about 3 % (sd) where a rare heavy route decides, by 1 % otherwise.
    pub const CAREFUL: Self = Self { requests: 60_000, precision: 0.003 };
    /// For one draw of many.
    pub const QUICK: Self = Self { requests: 8_000, precision: 0.02 };
}

/// The search first looks at so many requests, to find the neighbourhood of the capacity cheaply.
const PREVIEW: usize = 6_000;
/// Half the width of that neighbourhood, as a share.
const NEIGHBOURHOOD: f64 = 0.15;
/// Below this share of what saturates the arrangement, a load counts as none.
const LEAST_LOAD: f64 = 1e-3;

/// For each route of a model: which latency which share of its requests may exceed.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets(Vec<Target>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Target {
    limit_ms: f64,
    may_exceed: f64,
}

impl Targets {
    pub fn new(model: &Model, goal: &Goal) -> Self {
        let target = |slo: fissure_facts::config::Slo| Target {
            limit_ms: slo.limit_us() as f64 / 1000.0,
            may_exceed: 1.0 - slo.quantile(),
        };
        Self(model.routes.iter().map(|r| target(goal.slo_of(&r.route))).collect())
    }

    /// The same without the routes that miss their SLO even alone (no arrangement can help those), and how many they are.
    pub fn attainable(mut self, model: &Model, trace: &Trace) -> (Self, usize) {
        let mut seen = vec![(0u32, 0u32); self.0.len()];
        for (&route, &size) in trace.route.iter().zip(&trace.size) {
            let index = route as usize;
            let alone = size * model.routes[index].cpu_ms + model.routes[index].wait_ms;
            seen[index].0 += 1;
            seen[index].1 += u32::from(alone > self.0[index].limit_ms);
        }
        let mut left_out = 0;
        for (target, (requests, over)) in self.0.iter_mut().zip(seen) {
            if f64::from(over) > target.may_exceed * f64::from(requests) {
                target.limit_ms = f64::INFINITY;
                left_out += 1;
            }
        }
        (self, left_out)
    }

    /// Does every route keep its SLO in the first `requests` of the trace?
    fn kept(&self, layout: &Layout, trace: &Trace, requests: usize, requests_per_ms: f64) -> bool {
        let mut counts = vec![0u32; self.0.len()];
        for &route in trace.route.iter().take(requests).skip((requests as f64 * WARM_UP) as usize) {
            counts[route as usize] += 1;
        }
        // A hair above, so that 1 - 0.95 of 100 is 5 and not 4.
        let mut left: Vec<i64> =
            self.0.iter().zip(counts).map(|(t, n)| (t.may_exceed * f64::from(n) + 1e-6) as i64).collect();
        engine::run(layout, trace, requests, requests_per_ms, |route, latency_ms| {
            if latency_ms > self.0[route].limit_ms {
                left[route] -= 1;
                if left[route] < 0 {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        left.iter().all(|&n| n >= 0)
    }
}

/// Users per second that `arrangement` takes while every route keeps its SLO. Zero when a route misses it even alone;
/// infinite for a model without demand.
pub fn capacity(model: &Model, arrangement: &Arrangement, goal: &Goal, seed: u64) -> f64 {
    let trace = Trace::new(model, Effort::CAREFUL.requests, seed);
    capacity_with(model, arrangement, &Targets::new(model, goal), &trace, Effort::CAREFUL.precision)
}

/// What the whole holds by this model, and by others that differ from it in what things cost: of the routes that can keep their SLO,
/// because one that misses it even alone would leave nothing to compare with.
pub fn capacity_of_whole(model: &Model, goal: &Goal, seed: u64) -> impl Fn(&Model) -> f64 {
    let trace = Trace::new(model, Effort::CAREFUL.requests, seed);
    let (targets, _) = Targets::new(model, goal).attainable(model, &trace);
    move |other| capacity_with(other, &Arrangement::whole(), &targets, &trace, Effort::CAREFUL.precision)
}

/// The same on a given trace, so that arrangements are compared on the same users.
///
/// Bisection: with the same arrivals and sizes, more load makes nearly every answer later. A run has an end, so an
/// overload that has not yet queued up to the SLO could pass: the utilisation law bounds the search.
pub fn capacity_with(
    model: &Model,
    arrangement: &Arrangement,
    targets: &Targets,
    trace: &Trace,
    precision: f64,
) -> f64 {
    let layout = Layout::new(model, arrangement);
    let bound = layout.bound_per_ms;
    if bound.is_infinite() {
        return f64::INFINITY;
    }
    let all = trace.at.len();
    let kept = |requests: usize| {
        let layout = &layout;
        move |load: f64| targets.kept(layout, trace, requests, load)
    };
    let least = LEAST_LOAD * bound;
    let (mut low, mut high) = (0.0, bound);
    if all > 2 * PREVIEW {
        let near = bisect(kept(PREVIEW), (low, high), NEIGHBOURHOOD / 2.0, least);
        for edge in [near * (1.0 - NEIGHBOURHOOD), (near * (1.0 + NEIGHBOURHOOD)).min(bound)] {
            if edge > low && edge < high {
                *(if kept(all)(edge) { &mut low } else { &mut high }) = edge;
            }
        }
    }
    bisect(kept(all), (low, high), precision, least) * 1000.0 / model.requests_per_user.max(f64::MIN_POSITIVE)
}

/// The largest load that is kept: `low` is, `high` is not (or cannot be).
fn bisect(kept: impl Fn(f64) -> bool, (mut low, mut high): (f64, f64), precision: f64, least: f64) -> f64 {
    while high - low > precision * high && high > least {
        let middle = f64::midpoint(low, high);
        *(if kept(middle) { &mut low } else { &mut high }) = middle;
    }
    low
}
