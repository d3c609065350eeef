//! The goal's load in every unit.
//!
//! Windows are planned in users arriving per second, because that is what an open workload controls. Requests follow
//! from the journeys' mix; users at once follow by Little's law (1961): N = arrivals per second x seconds inside. That
//! holds for any stable system; beyond its capacity users pile up and N has no bound, so the seconds inside are taken
//! from the journeys played alone: think times plus latencies without a queue. Users who never pause are a closed loop: the faster
//! the app, the more they ask for, and N of them would keep N workers busy for good. They are met when the answers keep the SLO, so
//! for them a request takes as long as the SLO allows.

use fissure_facts::config::{GoalLoad, Slo};
use fissure_facts::fact::PlayedStep;
use fissure_facts::{Fact, JourneyOutline, Run};

use crate::capacity::{Bound, CapacityFit};
use crate::judgement::{Capacity, GoalView};

/// Requests that one user makes on average.
pub fn requests_per_user(run: &Run) -> f64 {
    requests_of(&run.header.journeys)
}

/// The same before there is a run.
pub fn requests_of(journeys: &[JourneyOutline]) -> f64 {
    weighted(journeys, |journey| journey.steps.len() as f64)
}

/// Seconds that one user spends inside a journey without any queueing: think times plus latencies alone.
pub fn seconds_per_user(run: &Run) -> f64 {
    inside(run, |_, step| step.latency_us)
}

/// The same of the goal's users: those who never pause wait as long as the goal allows.
fn seconds_allowed(run: &Run) -> f64 {
    inside(run, |journey, step| {
        let slo = run.header.config.goal.slo_of(&step.route);
        let waits = journey.think_s() <= 0.0 && slo != Slo::default();
        if waits { step.latency_us.max(slo.limit_us()) } else { step.latency_us }
    })
}

/// Think times, and of each step what counts of it, in microseconds.
fn inside(run: &Run, counts_us: impl Fn(&JourneyOutline, &PlayedStep) -> u64) -> f64 {
    weighted(&run.header.journeys, |journey| {
        // The last time that it was played: the first also pays for a cold app.
        let played = run.facts.iter().rev().find_map(|stamped| match &stamped.fact {
            Fact::JourneyPlayed { journey: name, steps, .. } if *name == journey.name => {
                steps.iter().all(|step| step.problem.is_none()).then_some(steps)
            }
            _ => None,
        });
        let steps_us: u64 = played.into_iter().flatten().map(|step| counts_us(journey, step)).sum();
        journey.think_s() + steps_us as f64 / 1e6
    })
}

/// The goal of the run in every unit.
pub fn view(run: &Run) -> GoalView {
    let asked = run.header.config.goal.load();
    let requests = requests_per_user(run);
    let seconds = seconds_allowed(run).max(1e-6);
    let users_per_s = match asked {
        GoalLoad::Users(users) => users / seconds,
        GoalLoad::RequestsPerS(rate) => rate / requests,
        GoalLoad::JourneysPerS(rate) => rate,
    };
    GoalView {
        asked,
        users_per_s,
        requests_per_s: users_per_s * requests,
        users_at_once: users_per_s * seconds,
    }
}

/// A capacity in every unit.
pub fn capacity(run: &Run, fit: &CapacityFit) -> Capacity {
    let users_per_s = fit.users_per_s;
    Capacity {
        at_least: fit.bound == Bound::AtLeast,
        users_per_s,
        requests_per_s: users_per_s.scaled(requests_per_user(run)),
        users_at_once: users_per_s.scaled(seconds_allowed(run)),
    }
}

/// The mean over journeys, weighted as users choose them.
fn weighted(journeys: &[JourneyOutline], value: impl Fn(&JourneyOutline) -> f64) -> f64 {
    let weights: f64 = journeys.iter().map(|j| j.weight).sum();
    if weights <= 0.0 {
        return 1.0;
    }
    journeys.iter().map(|j| j.weight * value(j)).sum::<f64>() / weights
}
