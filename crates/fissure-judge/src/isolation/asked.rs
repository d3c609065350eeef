//! The planner of `fissure isolate`: play the journeys once, then every way to run the app that was asked for.

use fissure_facts::{Arrangement, Fact, Run, Step, Topology};

use super::coupling;
use super::plan::{Wanted, next};
use crate::planner::Planned;

/// How long it may take when nobody says otherwise, in seconds.
pub const BUDGET_S: f64 = 120.0;
/// With less than this differences are repeated less often, and journeys are not cut down.
const HURRIED_BELOW_S: f64 = 20.0;

/// Two copies, each area apart, and a restart between the requests.
pub fn plan(run: &Run) -> Planned {
    let config = &run.header.config;
    let budget_s = config.limits.budget.map_or(BUDGET_S, |b| b.0.as_secs_f64());
    let left_s = budget_s - run.elapsed_s();
    let planned = |step: Step, why: String| Planned { step, why, remaining_s: left_s.max(0.0) };
    let is_over = |fact: &Fact| match fact {
        Fact::Interrupted | Fact::StageFailed { .. } => true,
        Fact::JourneyPlayed { steps, .. } => steps.iter().any(|s| s.problem.is_some()),
        _ => false,
    };
    if run.facts.is_empty() {
        let why = "start the app and play each journey once, alone: every answer must be as expected";
        return planned(Step::Play { arrangement: Arrangement::whole() }, why.to_owned());
    }
    if run.facts.iter().any(|s| is_over(&s.fact)) || left_s <= 0.0 {
        return planned(Step::Finish, String::new());
    }
    let found = wanted(run).into_iter().find_map(|w| next(run, &w, left_s, budget_s < HURRIED_BELOW_S));
    match found {
        Some((shadow, why)) => planned(Step::Shadow(shadow), why),
        None => match coupling::next(run, left_s) {
            Some((shadow, why)) => planned(Step::Shadow(shadow), why),
            None => planned(Step::Finish, String::new()),
        },
    }
}

/// What the verb tries. An app on a port that cannot be moved can only be restarted.
pub fn wanted(run: &Run) -> Vec<Wanted> {
    let config = &run.header.config;
    let mut wanted = Vec::new();
    if run.header.only_port().is_none() {
        wanted.push(Wanted { topology: Topology::Replicate, arrangement: Arrangement::replicas(2) });
        wanted.extend(config.areas.iter().map(|(role, routes)| Wanted {
            topology: Topology::Split,
            arrangement: Arrangement::split(role, routes),
        }));
    }
    wanted.push(Wanted { topology: Topology::Restart, arrangement: Arrangement::whole() });
    wanted
}
