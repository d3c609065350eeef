//! The event loop: arrivals, completions and answers, in the order of time. Milliseconds throughout.
//!
//! All running jobs share the CPUs equally, so each has had the same service since it started: one counter of *service
//! per job* (virtual time) stands for all of them, a job is over when the counter has grown by its demand, and a heap
//! of those finishing points is all that an event has to touch.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::{ControlFlow, Range};

use fissure_facts::arrangement::WEB;
use fissure_facts::{Arrangement, Role};

use super::{Trace, WARM_UP};
use crate::model::{Model, RouteModel};

/// A model under an arrangement, by numbers instead of names.
pub(super) struct Layout {
    cpus: f64,
    workers: u32,
    slots: u32,
    routes: Vec<RouteLayout>,
    copies: usize,
    /// No load above this can be kept up, in requests per millisecond.
    pub bound_per_ms: f64,
}

struct RouteLayout {
    cpu_ms: f64,
    wait_ms: f64,
    /// The copies that may serve it.
    copies: Range<usize>,
    /// How many may be inside the app at once.
    at_once: Option<u32>,
}

impl Layout {
    pub fn new(model: &Model, arrangement: &Arrangement) -> Self {
        let mut next = 0;
        let roles: Vec<(&str, Range<usize>)> = arrangement
            .roles
            .iter()
            .map(|role| {
                let first = next;
                next += role.replicas.max(1) as usize;
                (role.name.as_str(), first..next)
            })
            .collect();
        let copies_of = |name: &str| roles.iter().find(|(role, _)| *role == name).map(|(_, c)| c.clone());
        let routes: Vec<RouteLayout> = model
            .routes
            .iter()
            .map(|r| RouteLayout {
                cpu_ms: cpu_ms(model, arrangement, r),
                wait_ms: r.wait_ms.max(0.0) * (1.0 - hits(model, arrangement, r)),
                copies: copies_of(arrangement.role_of(&r.route)).or_else(|| copies_of(WEB)).unwrap_or(0..1),
                at_once: arrangement.concurrency.get(&r.route).map(|&n| n.max(1)),
            })
            .collect();
        let bound_per_ms = bound_per_ms(model, &routes).min(admitted_per_ms(model, arrangement));
        Self {
            cpus: model.cpus,
            workers: model.workers.max(1),
            slots: model.slots.map_or(u32::MAX, |n| n.max(1)),
            routes,
            copies: next.max(1),
            bound_per_ms,
        }
    }
}

/// CPU that a cache takes for an answer that it has, a guess: what the rehearsed one takes depends on the answer's size.
const CACHE_MS: f64 = 0.1;

/// The share of a route's requests that never reach the app.
fn hits(model: &Model, arrangement: &Arrangement, route: &RouteModel) -> f64 {
    let of_route = || model.hits.get(&route.route).copied().unwrap_or(0.0);
    if arrangement.caches(&route.route) { of_route() } else { 0.0 }
}

/// CPU of a request of a route under an arrangement, on average over those that a cache answers and those that it does not.
///
/// That each of them costs the average is the model's simplification: where few are missed, the tail is theirs.
pub(crate) fn cpu_ms(model: &Model, arrangement: &Arrangement, route: &RouteModel) -> f64 {
    let more_ms = model.connection_ms * (connections(model, arrangement) - 1.0).max(0.0);
    let own_ms = (route.cpu_ms.max(0.0) + more_ms) * (1.0 - hits(model, arrangement, route));
    own_ms + if arrangement.caches(&route.route) { CACHE_MS } else { 0.0 }
}

/// How many connections a user opens who plays a journey: one to each process that has a request of it. Whose turn a request is, is as
/// good as chance, so of `r` copies `r (1 - (1 - 1/r)^n)` get at least one of `n` requests.
fn connections(model: &Model, arrangement: &Arrangement) -> f64 {
    if arrangement.closes {
        return model.requests_per_user;
    }
    let of_role = |role: &Role| {
        let mix: f64 =
            model.routes.iter().filter(|r| arrangement.role_of(&r.route) == role.name).map(|r| r.mix).sum();
        let (copies, requests) = (f64::from(role.replicas.max(1)), mix * model.requests_per_user);
        if copies < 2.0 { requests.min(1.0) } else { copies * (1.0 - (1.0 - copies.recip()).powf(requests)) }
    };
    arrangement.roles.iter().map(of_role).sum()
}

/// The utilisation law, for the CPUs, for the workers and the slots of each role and for each limit. Infinite without demand.
fn bound_per_ms(model: &Model, routes: &[RouteLayout]) -> f64 {
    let mean_ms: f64 = model.routes.iter().zip(routes).map(|(r, own)| r.mix * own.cpu_ms).sum();
    let mut bound = model.cpus / mean_ms;
    for (route, layout) in model.routes.iter().zip(routes) {
        let role = || model.routes.iter().zip(routes).filter(|(_, other)| other.copies == layout.copies);
        let copies = layout.copies.len() as f64;
        let of_workers: f64 = role().map(|(r, own)| r.mix * own.cpu_ms).sum();
        bound = bound.min((copies * f64::from(model.workers.max(1))).min(model.cpus) / of_workers);
        if let Some(slots) = model.slots {
            let of_slots: f64 = role().map(|(r, own)| r.mix * (own.cpu_ms + own.wait_ms)).sum();
            bound = bound.min(copies * f64::from(slots.max(1)) / of_slots);
        }
        if let Some(at_once) = layout.at_once {
            bound = bound.min(f64::from(at_once) / (route.mix * (layout.cpu_ms + layout.wait_ms)));
        }
    }
    if bound.is_nan() { f64::INFINITY } else { bound }
}

/// Each copy admits as much as the one copy that was measured; of the mix, a role has its part.
fn admitted_per_ms(model: &Model, arrangement: &Arrangement) -> f64 {
    let Some(per_s) = model.admits_per_s.filter(|_| !arrangement.closes) else { return f64::INFINITY };
    let of_role = |role: &Role| {
        let mix: f64 =
            model.routes.iter().filter(|r| arrangement.role_of(&r.route) == role.name).map(|r| r.mix).sum();
        per_s / 1e3 * f64::from(role.replicas.max(1)) / mix
    };
    arrangement.roles.iter().map(of_role).fold(f64::INFINITY, f64::min)
}

#[derive(Clone, Default)]
struct Copy {
    running: u32,
    /// Requests sent to it and not answered.
    outstanding: u32,
    /// Those of them that have a slot.
    inside: u32,
    /// Those that want one, and those that have one and want a worker.
    for_slot: VecDeque<u32>,
    for_worker: VecDeque<u32>,
}

#[derive(Clone, Default)]
struct Gate {
    inside: u32,
    queue: VecDeque<u32>,
}

/// Ascending by a point on an axis that is never negative, where bits of floats order as the floats do.
#[derive(Default)]
struct Schedule(BinaryHeap<Reverse<(u64, u32)>>);

impl Schedule {
    fn push(&mut self, point: f64, job: u32) {
        self.0.push(Reverse((point.to_bits(), job)));
    }

    fn first(&self) -> Option<f64> {
        self.0.peek().map(|Reverse((bits, _))| f64::from_bits(*bits))
    }

    fn pop(&mut self) -> Option<u32> {
        self.0.pop().map(|Reverse((_, job))| job)
    }
}

/// Jobs are numbered by their place in the trace.
struct Engine<'a> {
    layout: &'a Layout,
    trace: &'a Trace,
    now: f64,
    /// Service that a job has had which runs since the beginning.
    served: f64,
    /// Jobs on a CPU, by the service at which they are over.
    running: Schedule,
    /// Jobs that only wait for their delay, by the instant of their answer.
    answering: Schedule,
    copies: Vec<Copy>,
    gates: Vec<Gate>,
    copy_of: Vec<u32>,
}

/// Plays the first `requests` of the trace, calling `sink(route, latency in ms)` for every answer after the warm-up until
/// it breaks off.
/// Answers the mean number of busy CPUs.
pub(super) fn run(
    layout: &Layout,
    trace: &Trace,
    requests: usize,
    requests_per_ms: f64,
    mut sink: impl FnMut(usize, f64) -> ControlFlow<()>,
) -> f64 {
    let count = requests.min(trace.at.len());
    let warm = (count as f64 * WARM_UP) as usize;
    let gap_ms = requests_per_ms.recip();
    let mut engine = Engine {
        layout,
        trace,
        now: 0.0,
        served: 0.0,
        running: Schedule::default(),
        answering: Schedule::default(),
        copies: vec![Copy::default(); layout.copies],
        gates: vec![Gate::default(); layout.routes.len()],
        copy_of: vec![0; count],
    };
    let mut busy_ms = 0.0;
    let mut next = 0;
    loop {
        let jobs = engine.running.0.len() as f64;
        let rate = if jobs > layout.cpus { layout.cpus / jobs } else { 1.0 };
        let completion = engine
            .running
            .first()
            .map_or(f64::INFINITY, |over| engine.now + (over - engine.served).max(0.0) / rate);
        let answer = engine.answering.first().unwrap_or(f64::INFINITY);
        let arrival = trace.at[..count].get(next).map_or(f64::INFINITY, |at| at * gap_ms);
        let now = completion.min(answer).min(arrival);
        if now == f64::INFINITY {
            break;
        }
        let elapsed = now - engine.now;
        engine.served += elapsed * rate;
        busy_ms += elapsed * jobs.min(layout.cpus);
        engine.now = now;
        if arrival <= now {
            engine.arrive(next as u32);
            next += 1;
        } else if completion <= now {
            let Some(job) = engine.running.pop() else { break };
            let index = job as usize;
            let route = trace.route[index] as usize;
            if index >= warm {
                let latency = now + layout.routes[route].wait_ms - trace.at[index] * gap_ms;
                if sink(route, latency).is_break() {
                    break;
                }
            }
            engine.complete(job);
        } else if let Some(job) = engine.answering.pop() {
            engine.leave(job);
        }
    }
    if engine.now > 0.0 { busy_ms / engine.now } else { 0.0 }
}

impl Engine<'_> {
    fn route(&self, job: u32) -> usize {
        self.trace.route[job as usize] as usize
    }

    fn arrive(&mut self, job: u32) {
        let route = self.route(job);
        if let Some(at_once) = self.layout.routes[route].at_once {
            let gate = &mut self.gates[route];
            if gate.inside >= at_once {
                gate.queue.push_back(job);
                return;
            }
            gate.inside += 1;
        }
        self.admit(job, route);
    }

    /// To the copy with the fewest outstanding requests, as a good proxy would.
    fn admit(&mut self, job: u32, route: usize) {
        let range = self.layout.routes[route].copies.clone();
        let first = range.start;
        let copy = range.min_by_key(|&c| self.copies[c].outstanding).unwrap_or(first);
        self.copy_of[job as usize] = copy as u32;
        self.copies[copy].outstanding += 1;
        if self.copies[copy].inside < self.layout.slots {
            self.enter(job, copy);
        } else {
            self.copies[copy].for_slot.push_back(job);
        }
    }

    fn enter(&mut self, job: u32, copy: usize) {
        self.copies[copy].inside += 1;
        if self.copies[copy].running < self.layout.workers {
            self.begin(job, copy);
        } else {
            self.copies[copy].for_worker.push_back(job);
        }
    }

    fn begin(&mut self, job: u32, copy: usize) {
        self.copies[copy].running += 1;
        let demand = self.trace.size[job as usize] * self.layout.routes[self.route(job)].cpu_ms;
        self.running.push(self.served + demand, job);
    }

    fn complete(&mut self, job: u32) {
        let copy = self.copy_of[job as usize] as usize;
        self.copies[copy].running -= 1;
        if let Some(next) = self.copies[copy].for_worker.pop_front() {
            self.begin(next, copy);
        }
        let route = &self.layout.routes[self.route(job)];
        let wait_ms = route.wait_ms;
        // Nobody looks at who is still inside when there is no limit, no slot and no other copy to choose.
        let is_missed = route.at_once.is_some() || route.copies.len() > 1 || self.layout.slots < u32::MAX;
        if wait_ms > 0.0 && is_missed {
            self.answering.push(self.now + wait_ms, job);
        } else {
            self.leave(job);
        }
    }

    fn leave(&mut self, job: u32) {
        let route = self.route(job);
        let copy = self.copy_of[job as usize] as usize;
        self.copies[copy].outstanding -= 1;
        self.copies[copy].inside -= 1;
        if let Some(next) = self.copies[copy].for_slot.pop_front() {
            self.enter(next, copy);
        }
        if self.layout.routes[route].at_once.is_some() {
            match self.gates[route].queue.pop_front() {
                Some(next) => self.admit(next, route),
                None => self.gates[route].inside -= 1,
            }
        }
    }
}
