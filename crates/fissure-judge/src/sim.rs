//! A discrete-event simulator of the [model](crate::model) under any arrangement.
//!
//! Requests arrive singly by a Poisson process, by the mix. Users that wait for an answer before they ask again are left
//! out: at the loads of a goal, many users overlap and their requests together are close to Poisson.
//!
//! It is checked against what queueing theory knows exactly (M/M/1, M/M/c, M/G/1, processor sharing), see the tests.

mod capacity;
mod engine;
mod trace;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use fissure_facts::{Arrangement, Latencies, Route};

pub use capacity::{Effort, Targets, capacity, capacity_of_whole, capacity_with};
use engine::Layout;
pub(crate) use engine::cpu_ms;
pub use trace::Trace;

use crate::model::Model;

/// Share of the requests that pass before anything is recorded, because the app starts empty.
const WARM_UP: f64 = 0.1;

/// What a simulation saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    pub routes: BTreeMap<Route, Latencies>,
    /// Share of the CPUs that was busy.
    pub cpu_share: f64,
}

/// Plays `requests` requests at `requests_per_s` against an arrangement.
pub fn simulate(
    model: &Model,
    arrangement: &Arrangement,
    requests_per_s: f64,
    requests: usize,
    seed: u64,
) -> Simulated {
    let trace = Trace::new(model, requests, seed);
    let layout = Layout::new(model, arrangement);
    let mut latencies = vec![Latencies::new(); model.routes.len()];
    let busy_cpus = engine::run(&layout, &trace, requests, requests_per_s / 1000.0, |route, latency_ms| {
        latencies[route].record_us((latency_ms * 1000.0).round() as u64);
        ControlFlow::Continue(())
    });
    let routes = model.routes.iter().map(|r| r.route.clone()).zip(latencies).collect();
    Simulated { routes, cpu_share: busy_cpus / model.cpus }
}

#[cfg(test)]
mod tests;
