//! Workers that are held by users who think: an app that gives each connection a worker for as long as it is kept open (or for a while
//! after each answer) is full although nobody works.
//!
//! It shows where the CPUs have time, the first request on a connection waits long, because nobody takes the connection, later
//! ones do not, because their user has a worker, and users who never pause get far more done. A pool that is too small for its requests is no
//! such case: there the users without pauses are held up as well.

use fissure_facts::Window;

use crate::evidence::{Evidence, WHOLE};
use crate::judgement::HeldWorkers;
use crate::{capacity, goal, stats};

/// Share of the CPUs above which a wait may be for them.
const IDLE: f64 = 0.7;
/// Flat out without pauses at least this many times as much is done.
const FASTER_WITHOUT_PAUSES: f64 = 1.5;
/// First requests wait this many times as long as later ones, and as they themselves take alone.
const LONGER: f64 = 5.0;
/// A shorter wait is no reason to change anything.
const LEAST_WAIT_MS: f64 = 20.0;
/// Fewer requests of either kind show nothing.
const LEAST_REQUESTS: u64 = 20;

/// Where workers of the whole are held by users who think; what is seen at loads that it does not stand.
pub fn held_workers(evidence: &Evidence<'_>) -> Option<HeldWorkers> {
    let goal = &evidence.run.header.config.goal;
    let per_user = goal::requests_per_user(evidence.run);
    let flat_out_per_s = evidence.saturation_users_per_s()?.mid * per_user;
    let is_short_of_something = |window: &&Window| {
        let per_s = window.right() as f64 / window.seconds().max(1.0);
        let misses = !capacity::hold(&[capacity::load_point(window, goal)], goal);
        misses && evidence.cpu_share_of(window) < IDLE && per_s * FASTER_WITHOUT_PAUSES <= flat_out_per_s
    };
    let windows: Vec<&Window> = evidence.open(WHOLE).filter(is_short_of_something).collect();
    let (mut first, mut later) = (Requests::default(), Requests::default());
    for (route, seen) in windows.iter().flat_map(|w| w.routes()) {
        let alone_ms = evidence.solo_us(&route)? / 1e3;
        let all_ms = seen.service.mean_us() * seen.service.count() as f64 / 1e3;
        let first_ms = seen.first_us as f64 / 1e3;
        first.add(seen.first, first_ms, alone_ms);
        later.add(seen.service.count().saturating_sub(seen.first), (all_ms - first_ms).max(0.0), alone_ms);
    }
    let waits_ms = |requests: &Requests| requests.mean_ms() - requests.mean_alone_ms();
    let is_known = first.count.min(later.count) >= LEAST_REQUESTS;
    let least_ms = LONGER * waits_ms(&later).max(first.mean_alone_ms()).max(LEAST_WAIT_MS / LONGER);
    let busy: Vec<f64> = windows.iter().map(|w| evidence.cpu_share_of(w)).collect();
    (is_known && waits_ms(&first) >= least_ms).then(|| HeldWorkers {
        first_ms: first.mean_ms(),
        later_ms: later.mean_ms(),
        cpu_share: stats::mean(&busy),
    })
}

/// Requests of one kind, on all routes.
#[derive(Default)]
struct Requests {
    count: u64,
    took_ms: f64,
    alone_ms: f64,
}

impl Requests {
    fn add(&mut self, count: u64, took_ms: f64, alone_ms: f64) {
        self.count += count;
        self.took_ms += took_ms;
        self.alone_ms += alone_ms * count as f64;
    }

    fn mean_ms(&self) -> f64 {
        self.took_ms / self.count.max(1) as f64
    }

    /// Of the same requests, were each alone.
    fn mean_alone_ms(&self) -> f64 {
        self.alone_ms / self.count.max(1) as f64
    }
}
