//! The queueing model of the app: what each route costs, and how many threads and CPUs carry it.
//!
//! A role is `workers` servers in front of which requests queue first come first served: one for an event loop or an
//! interpreter lock, many for threads or processes. Every job that runs, in whatever role or replica, shares the
//! arrangement's CPUs by processor sharing, as the kernel's fair scheduler does.
//!
//! Where the app waits although CPU is left, `slots` stand for whatever it is short of: workers of a pool, connections,
//! permits. Whether each copy has its own or all share them, only a rehearsal can tell; the model takes them for its own.
//!
//! **Left out**, so a prediction is wrong where these matter: locks between some routes only, a database or service that
//! saturates, garbage collection, memory, caches that grow cold when the work is spread. The rehearsal is the referee.

use std::collections::BTreeMap;

use fissure_facts::step::Purpose;
use fissure_facts::{Route, Window};

use crate::demand::Demands;

/// Share of the CPU above which the busiest thread counts as the one that carries the work. The threads beside an event
/// loop (garbage collection, compilation, a logger) can take a third; two threads that really share work stay below this.
const ONE_CARRIES: f64 = 0.6;
/// Users queued when fewer than this share of them was served at once.
const QUEUED: f64 = 0.7;
/// More workers than this behave like this many: the CPUs are long shared by all of them.
const MOST_WORKERS: u32 = 64;
/// Coefficient of variation of a route's CPU time when nobody measured it: handlers of one route differ by their data,
/// but less than exponentially.
pub const USUAL_CV: f64 = 0.5;
/// A larger one, seen in a short window, is one straggler and not the route's nature.
const LARGEST_CV: f64 = 2.0;

#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// CPUs that all roles of an arrangement share, less what the app burns without requests.
    pub cpus: f64,
    /// Threads that carry the work of one copy of the app.
    pub workers: u32,
    /// Requests that one copy serves at once, the time in which they wait included. None where nothing shows a limit.
    pub slots: Option<u32>,
    /// Requests per second at which the workers of one copy are all held, most of them by users who think, where connections stay open.
    pub admits_per_s: Option<f64>,
    pub routes: Vec<RouteModel>,
    /// The share of a route's requests that a cache would answer itself, of those whose answers repeat.
    pub hits: BTreeMap<Route, f64>,
    /// CPU of a request's part of its user's connection; it is in the routes' CPU, too.
    pub connection_ms: f64,
    /// Requests of an average journey: turns requests into users.
    pub requests_per_user: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RouteModel {
    pub route: Route,
    /// Share of the requests; all shares together are 1.
    pub mix: f64,
    pub cpu_ms: f64,
    /// Latency alone less CPU: a delay that holds a slot, where there are any, but no worker.
    pub wait_ms: f64,
    /// Coefficient of variation of the CPU time of one request.
    pub cv: f64,
}

impl Model {
    /// CPU milliseconds of an average request.
    pub fn mean_cpu_ms(&self) -> f64 {
        self.routes.iter().map(|r| r.mix * r.cpu_ms).sum()
    }

    /// Milliseconds that an average request takes alone.
    pub fn mean_alone_ms(&self) -> f64 {
        self.routes.iter().map(|r| r.mix * (r.cpu_ms + r.wait_ms)).sum()
    }

    /// Share of the time that requests take alone which goes to `route`.
    pub fn share_of_time(&self, route: &RouteModel) -> f64 {
        let all = self.mean_alone_ms();
        if all > 0.0 { route.mix * (route.cpu_ms + route.wait_ms) / all } else { 0.0 }
    }

    /// Share of the CPU that `route` uses at the mix.
    pub fn share(&self, route: &RouteModel) -> f64 {
        let all = self.mean_cpu_ms();
        if all > 0.0 { route.mix * route.cpu_ms / all } else { 0.0 }
    }
}

/// The routes of the measured demands.
pub fn routes(demands: &Demands) -> Vec<RouteModel> {
    let total: f64 = demands.routes.iter().map(|d| d.mix).sum();
    demands
        .routes
        .iter()
        .map(|d| RouteModel {
            route: d.route.clone(),
            mix: if total > 0.0 { d.mix / total } else { 0.0 },
            // Each request carries its part of its user's connection.
            cpu_ms: (d.cpu_ms.mid + demands.connection_ms_per_request()).max(0.0),
            wait_ms: demands.wait_ms.get(&d.route).copied().unwrap_or(0.0).max(0.0),
            cv: demands.service_cv.get(&d.route).copied().unwrap_or(USUAL_CV).clamp(0.0, LARGEST_CV),
        })
        .collect()
}

/// How many threads carry the work of one copy of the app, as seen while it was flat out (windows that saturate the
/// whole; when there are none, all windows of the whole).
///
/// In each second: 1 when one thread uses most of the CPU, else the participation ratio of the threads' CPU,
/// `1 / sum(share^2)` (the inverse Simpson index; k equal threads give k), rounded; the median over the seconds.
///
/// Does not hold for an interpreter lock: many threads take turns, one at a time, and look like many workers. On one CPU
/// that is the same thing; on more, the model then promises too much of the whole and too little of replicas.
pub fn workers(windows: &[Window]) -> u32 {
    let of_the_whole = |saturated: bool| -> Vec<f64> {
        windows
            .iter()
            .filter(|w| w.plan.arrangement.copies() == 1)
            .filter(|w| !saturated || w.plan.purpose == Purpose::Saturate)
            .flat_map(|w| &w.probes)
            .filter_map(|p| carriers(&p.thread_cpu_s))
            .collect()
    };
    let mut seconds = of_the_whole(true);
    if seconds.is_empty() {
        seconds = of_the_whole(false);
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).copied().unwrap_or(1.0);
    (median.round() as u32).clamp(1, MOST_WORKERS)
}

/// How many requests an app serves at once that answers `requests_per_s` flat out, while `users` asked without pauses:
/// L = X R (Little, Operations Research 9, 1961), with the time that a request takes alone, because whatever it takes longer it
/// has queued. None when nobody queued: then there were too few users to meet a limit.
pub fn slots(requests_per_s: f64, alone_ms: f64, users: u32) -> Option<u32> {
    let inside = requests_per_s * alone_ms / 1e3;
    (inside < QUEUED * f64::from(users)).then(|| inside.round().max(1.0) as u32)
}

fn carriers(thread_cpu_s: &[f64]) -> Option<f64> {
    let total: f64 = thread_cpu_s.iter().sum();
    let busiest = thread_cpu_s.iter().copied().fold(0.0, f64::max);
    if total <= 0.0 {
        return None;
    }
    if busiest >= ONE_CARRIES * total {
        return Some(1.0);
    }
    Some(total * total / thread_cpu_s.iter().map(|cpu| cpu * cpu).sum::<f64>())
}

#[cfg(test)]
mod tests {
    use fissure_facts::fact::ProbeSecond;
    use fissure_facts::{Arrangement, Load, WindowPlan};
    use proptest::prelude::*;

    use super::*;
    use crate::judgement::RouteDemand;

    fn window(purpose: Purpose, arrangement: Arrangement, seconds: &[&[f64]]) -> Window {
        let probes = seconds
            .iter()
            .map(|threads| ProbeSecond { thread_cpu_s: threads.to_vec(), ..ProbeSecond::default() })
            .collect();
        let plan = WindowPlan {
            window: 1,
            purpose,
            arrangement,
            load: Load::Closed { users: 16 },
            emphasis: None,
            warmup_s: 0.0,
            visit_max_s: None,
            seconds: seconds.len() as u32,
            seed: 0,
        };
        Window { plan, crowd: Vec::new(), probes, end: None, deaths: Vec::new() }
    }

    fn workers_of(seconds: &[&[f64]]) -> u32 {
        workers(&[window(Purpose::Saturate, Arrangement::whole(), seconds)])
    }

    #[test]
    fn measured_demands_become_routes_whose_shares_are_a_whole() {
        let route: fissure_facts::Route = "GET /".parse().unwrap();
        let demand = |mix| RouteDemand {
            route: route.clone(),
            cpu_ms: fissure_facts::Estimate::new(2.0, 1.0, 3.0),
            share: 0.5,
            solo_ms: Some(3.0),
            mix,
        };
        let mut demands = Demands { routes: vec![demand(0.2), demand(0.6)], ..Demands::default() };
        demands.service_cv.insert(route.clone(), 40.0);
        let routes = routes(&demands);
        assert!((routes[0].mix - 0.25).abs() < 1e-9 && (routes[1].mix - 0.75).abs() < 1e-9);
        assert!(routes.iter().all(|r| r.cpu_ms == 2.0 && r.wait_ms == 0.0 && r.cv == LARGEST_CV));
    }

    #[test]
    fn an_event_loop_with_its_garbage_collectors_is_one_worker() {
        assert_eq!(workers_of(&[&[0.75, 0.0625, 0.0625, 0.0625, 0.0625]]), 1);
        assert_eq!(workers_of(&[&[0.66, 0.34]]), 1);
    }

    #[test]
    fn threads_that_share_the_work_are_counted_although_they_are_uneven() {
        assert_eq!(workers_of(&[&[0.52, 0.44], &[0.57, 0.40], &[0.5, 0.5]]), 2);
        assert_eq!(workers_of(&[&[0.3, 0.26, 0.24, 0.2, 0.02]]), 4);
    }

    #[test]
    fn a_pool_shows_by_what_it_lets_through() {
        assert_eq!(slots(20.0, 100.0, 16), Some(2));
        assert_eq!(slots(1.0, 100.0, 16), Some(1));
        assert_eq!(slots(158.0, 100.0, 16), None, "everybody was served at once");
    }

    #[test]
    fn one_odd_second_does_not_decide() {
        assert_eq!(workers_of(&[&[0.9, 0.1], &[0.3, 0.3, 0.3], &[0.95]]), 1);
    }

    #[test]
    fn only_the_saturated_whole_is_asked() {
        let windows = [
            window(Purpose::Demand, Arrangement::whole(), &[&[0.3, 0.3], &[0.3, 0.3]]),
            window(Purpose::Saturate, Arrangement::replicas(2), &[&[0.5, 0.5], &[0.5, 0.5]]),
            window(Purpose::Saturate, Arrangement::whole(), &[&[0.98]]),
        ];
        assert_eq!(workers(&windows), 1);
        assert_eq!(workers(&windows[..2]), 2, "without saturation, what else is known of the whole");
        assert_eq!(workers(&[]), 1);
    }

    proptest! {
        #[test]
        fn equal_threads_are_all_counted(k in 2usize..40, cpu in 0.001f64..4.0) {
            prop_assert_eq!(workers_of(&[&vec![cpu; k]]), k as u32);
        }

        #[test]
        fn there_is_always_a_worker(threads in prop::collection::vec(0.0f64..1.0, 0..200)) {
            prop_assert!((1..=MOST_WORKERS).contains(&workers_of(&[&threads])));
        }
    }
}
