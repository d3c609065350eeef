//! The goal, its units, and loads measured against it.

use fissure_facts::config::GoalLoad;
use fissure_facts::{Estimate, Route, Run};
use fissure_judge::Judgement;
use fissure_judge::judgement::{Capacity, GoalView};

use super::grammar::code;
use crate::units::{claim, ms, number, parts, percent};

/// `400 users at once`.
pub fn load(asked: GoalLoad) -> String {
    match asked {
        GoalLoad::Users(n) => {
            format!("{} at once", if n == 1.0 { "1 user".to_owned() } else { format!("{} users", number(n)) })
        }
        GoalLoad::RequestsPerS(n) => format!("{} requests/s", number(n)),
        GoalLoad::JourneysPerS(n) => format!("{} journeys/s", number(n)),
    }
}

/// The unit in which the goal was asked.
pub fn unit(goal: &GoalView) -> &'static str {
    match goal.asked {
        GoalLoad::Users(_) => "users at once",
        GoalLoad::RequestsPerS(_) => "requests/s",
        GoalLoad::JourneysPerS(_) => "journeys/s",
    }
}

/// The goal's number in the unit in which it was asked.
pub fn amount(asked: GoalLoad) -> f64 {
    match asked {
        GoalLoad::Users(n) | GoalLoad::RequestsPerS(n) | GoalLoad::JourneysPerS(n) => n,
    }
}

/// A capacity in the unit in which the goal was asked; every arriving user plays one journey.
pub fn asked(goal: &GoalView, capacity: &Capacity) -> Estimate {
    let held = match goal.asked {
        GoalLoad::Users(_) => capacity.users_at_once,
        GoalLoad::RequestsPerS(_) => capacity.requests_per_s,
        GoalLoad::JourneysPerS(_) => capacity.users_per_s,
    };
    open(held, capacity.at_least)
}

/// An estimate of which only `mid` was reached has no upper end: it is told as `at least 260 requests/s`.
pub fn open(e: Estimate, at_least: bool) -> Estimate {
    if at_least { Estimate::new(e.mid, e.mid, f64::INFINITY) } else { e }
}

/// Capacity over goal, as a verdict holds it, open like the capacity itself.
pub(super) fn headroom_of(judgement: &Judgement, headroom: Estimate) -> Estimate {
    open(headroom, judgement.capacity.is_some_and(|c| c.at_least))
}

pub(super) fn asked_claim(goal: &GoalView, capacity: &Capacity) -> String {
    claim(asked(goal, capacity), unit(goal))
}

/// `1.8 times the goal (1.7 to 2.0)`.
pub(super) fn times_the_goal(ratio: Estimate) -> String {
    let p = parts(ratio);
    let interval = p.interval.map(|i| format!(" ({i})")).unwrap_or_default();
    format!("{} times the goal{interval}", p.mid)
}

/// `p95`: the quantile that the route's SLO names.
pub fn quantile(run: &Run, route: &Route) -> String {
    run.header.config.goal.slo_of(route).name()
}

/// `p95 within 300 ms`.
pub fn slo(run: &Run) -> String {
    let slo = run.header.config.goal.slo;
    format!("{} within {}", slo.name(), ms(slo.limit_us() as f64 / 1_000.0))
}

/// The whole goal: load, SLO, exceptions, errors.
pub fn goal(run: &Run, judgement: &Judgement) -> String {
    let mut text = load(judgement.goal.asked);
    if !matches!(judgement.goal.asked, GoalLoad::RequestsPerS(_)) {
        text.push_str(&format!(" (about {} requests/s)", number(judgement.goal.requests_per_s)));
    }
    text.push_str(&format!(" with {}", slo(run)));
    for (route, slo) in &run.header.config.goal.routes {
        text.push_str(&format!(
            ", {} {} within {}",
            code(route),
            slo.name(),
            ms(slo.limit_us() as f64 / 1_000.0)
        ));
    }
    text.push_str(&format!(" and at most {} errors", percent(run.header.config.goal.errors.0)));
    text
}
