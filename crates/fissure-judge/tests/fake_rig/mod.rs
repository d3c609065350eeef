//! A fake rig: performs windows on a queueing model with known demands and answers with the facts that a real rig would add, so that planners
//! and estimators can be held to a planted truth.
//!
//! Every process of an arrangement has a queue served first come, first served by its threads (one is an event loop). All running requests share
//! the app's CPUs equally (processor sharing), whatever process they are in, as arrangements on one CPU set do. A request uses its CPU first and
//! then waits, without a thread, for whatever it waits for. Requests go to the role of their route and there to the process with the fewest
//! outstanding. A concurrency limit lets requests wait in front, first come, first served. Users play journeys with think times; closed-loop users
//! do not think. After the window nothing new is sent, and answers are awaited for [`GRACE_S`].
//!
//! Left out: the network, connections, errors, warm caches, and the crowd's own limits (it is always on time).
#![allow(
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    reason = "a test may unwrap, and each test file uses another part of this"
)]

mod model;
mod plant;
mod profile;
mod shadow;

use model::CpuTime;
pub use model::{Cost, Model};
pub use plant::{Plant, route};
pub use profile::Waited;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use fissure_facts::config::Goal;
use fissure_facts::fact::{
    CrowdSecond, ErrorClass, PlayedStep, ProbeSecond, RouteSecond, StagedProcess, WindowEnd,
};
use fissure_facts::{
    Arrangement, Fact, JourneyOutline, Load, Purpose, Route, Run, Stamped, Step, WindowPlan,
};
use fissure_judge::stats::seeded;
use rand::RngExt;
use rand_distr::{Distribution, Normal};
use rand_pcg::Pcg64;

/// How long answers are awaited after the last measured second.
const GRACE_S: f64 = 2.0;
/// CPU of an answer that a cache has.
const HIT_S: f64 = 0.0001;
/// CPU of a refusal.
const REFUSAL_S: f64 = 0.0002;

/// Performs steps on a model.
pub struct FakeRig {
    pub model: Model,
    /// CPUs that a neighbour takes from the app in every second.
    pub neighbour_cores: f64,
    /// A route that answers only once in a row, as a form with a token does; it refuses at hardly any cost.
    pub once: Option<Route>,
    /// CPU that a user's first request costs besides its own, because the user connects.
    pub connection_ms: f64,
    /// Copies other than one whole answer differently.
    pub forgets: bool,
    /// The share of each route's CPU that goes to one line of the app's own; nobody looks at lines where nothing is planted.
    pub own_line: BTreeMap<Route, f64>,
    /// Routes whose answer is the same for everybody: a cache computes it once a second.
    pub repeats: BTreeSet<Route>,
    /// What all requests under way wait for that no CPU works for.
    pub waited: Option<Waited>,
    /// A route whose requests cost so many milliseconds more after each thousand of them that the whole has served, and how much
    /// memory each of them keeps.
    pub grows: Option<(Route, f64, u64)>,
    grown: u64,
    random: Pcg64,
    /// Seconds since the run began.
    now_s: f64,
}

impl FakeRig {
    pub fn new(model: Model, seed: u64) -> Self {
        let (random, now_s) = (seeded(seed), 0.0);
        Self {
            model,
            neighbour_cores: 0.0,
            once: None,
            connection_ms: 0.0,
            forgets: false,
            own_line: BTreeMap::new(),
            repeats: BTreeSet::new(),
            waited: None,
            grows: None,
            grown: 0,
            random,
            now_s,
        }
    }

    /// Performs a step and adds its facts to the run, as the lab does.
    pub fn take(&mut self, run: &mut Run, step: &Step) {
        let began = Fact::StepBegan { step: step.clone(), why: "a test".to_owned() };
        let facts = match step {
            Step::Play { arrangement } => self.play(arrangement),
            Step::PlayAcknowledging { .. } => Vec::new(),
            Step::Hold(plan) if plan.purpose == Purpose::Profile => self.look_inside(plan),
            Step::Hold(plan) => self.perform(plan),
            Step::Shadow(plan) => shadow::answers(run, plan, self.forgets, &self.repeats),
            Step::Renew { .. } | Step::Finish => Vec::new(),
        };
        run.facts.push(Stamped { at_s: self.now_s, fact: began });
        self.now_s += match step {
            Step::Hold(plan) => plan.warmup_s + f64::from(plan.seconds) + 0.5,
            _ => 0.5,
        };
        run.facts.extend(facts.into_iter().map(|fact| Stamped { at_s: self.now_s, fact }));
    }

    /// Starts an arrangement and plays each journey once, alone.
    pub fn play(&mut self, arrangement: &Arrangement) -> Vec<Fact> {
        let mut processes = Vec::new();
        for role in &arrangement.roles {
            for replica in 0..role.replicas {
                let port = 9000 + processes.len() as u16;
                processes.push(StagedProcess { role: role.name.clone(), replica, pid: 1, port });
            }
        }
        let mut facts =
            vec![Fact::Staged { arrangement: arrangement.name.clone(), processes, ready_ms: 100.0 }];
        for journey in &self.model.journeys.clone() {
            let steps = journey
                .steps
                .iter()
                .map(|step| PlayedStep {
                    route: step.route.clone(),
                    line: 1,
                    status: Some(200),
                    latency_us: self.alone_us(&step.route),
                    bytes: 100,
                    problem: None,
                })
                .collect();
            facts.push(Fact::JourneyPlayed {
                arrangement: arrangement.name.clone(),
                journey: journey.name.clone(),
                steps,
            });
        }
        facts
    }

    fn alone_us(&mut self, route: &Route) -> u64 {
        let cost = self.model.cost(route);
        ((cost.cpu_s().sample(&mut self.random) + cost.wait_ms / 1e3) * 1e6) as u64
    }

    /// Holds a load; every second's facts and the window's end.
    pub fn perform(&mut self, plan: &WindowPlan) -> Vec<Fact> {
        Hold::new(self, plan).run()
    }

    /// A window for the profilers.
    fn look_inside(&mut self, plan: &WindowPlan) -> Vec<Fact> {
        let mut facts = self.perform(plan);
        let (mut seen, model) = (Vec::new(), &self.model);
        if !self.own_line.is_empty() {
            seen.push(profile::running(model, &self.own_line, plan, &facts));
        }
        seen.extend(self.waited.map(|what| profile::waiting(what, plan, &facts)));
        facts.extend(seen);
        facts
    }

    /// The planted capacity of an arrangement in users per second, by bisection over long windows that use the same random numbers. `most`:
    /// a load above it.
    pub fn capacity(&self, arrangement: &Arrangement, goal: &Goal, most: f64, seconds: u32) -> f64 {
        let (mut low, mut high) = (0.0, most);
        for _ in 0..8 {
            let users_per_s = (low + high) / 2.0;
            let plan = plan(0, Purpose::Asked, arrangement.clone(), Load::Open { users_per_s }, seconds);
            let mut run = Run::new(self.model.header(goal.clone(), 1));
            Self::new(self.model.clone(), 77).take(&mut run, &Step::Hold(plan));
            let misses = run.windows()[0].routes().iter().any(|(route, seen)| {
                let slo = goal.slo_of(route);
                let over = seen.latency.count_over(slo.limit_us()) + seen.error_count();
                over as f64 > (1.0 - slo.quantile()) * seen.ended() as f64
            });
            if misses { high = users_per_s } else { low = users_per_s }
        }
        (low + high) / 2.0
    }
}

/// A window without emphasis.
pub fn plan(window: u32, purpose: Purpose, arrangement: Arrangement, load: Load, seconds: u32) -> WindowPlan {
    WindowPlan {
        window,
        purpose,
        arrangement,
        load,
        emphasis: None,
        warmup_s: 1.0,
        visit_max_s: None,
        seconds,
        seed: u64::from(window),
    }
}

/// Where a user is in a journey.
struct User {
    journey: usize,
    step: usize,
    /// How often the step's request was already sent in a row.
    sent: u32,
}

struct Request {
    user: usize,
    /// Index into the model's costs, as everywhere in here.
    route: usize,
    /// When it was planned and sent, in seconds since the warm-up began.
    planned_s: f64,
    process: usize,
    is_first: bool,
    left_s: f64,
    refused: bool,
    answered: bool,
}

struct Process {
    role: String,
    /// Requests that want CPU; the first ones run.
    queue: VecDeque<usize>,
    /// Requests with a slot, and those that want one.
    inside: u32,
    for_slot: VecDeque<usize>,
    /// Also those that wait without CPU.
    outstanding: u32,
    /// CPU in the current second.
    cpu_s: f64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    SecondOver,
    UserArrives,
    RequestDue { user: usize },
    Answered { request: usize },
}

/// A point in time, ordered.
#[derive(PartialEq)]
struct At(f64);

impl Eq for At {}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// One window while it is held.
struct Hold<'r> {
    rig: &'r mut FakeRig,
    plan: &'r WindowPlan,
    now_s: f64,
    end_s: f64,
    events: BinaryHeap<Reverse<(At, u64, Event)>>,
    pushed: u64,
    users: Vec<User>,
    requests: Vec<Request>,
    processes: Vec<Process>,
    /// Requests of a limited route inside the app, and those that wait in front.
    inside: Vec<u32>,
    in_front: Vec<VecDeque<usize>>,
    /// What users do in this window.
    journeys: Vec<JourneyOutline>,
    /// Routes of each journey's steps.
    steps: Vec<Vec<usize>>,
    /// Of each route: its cost in CPU seconds, the most requests inside at once, how often it is repeated, the processes that serve it.
    cpu_s: Vec<CpuTime>,
    most_inside: Vec<u32>,
    times: Vec<u32>,
    served_by: Vec<Vec<usize>>,
    second: CrowdSecond,
    seen: Vec<RouteSecond>,
    users_inside: u64,
    in_flight: u64,
    facts: Vec<Fact>,
    /// How long the cache's answer is fresh.
    kept_until_s: f64,
    /// Users who have a worker, and the first requests of those who wait for one.
    seated: u32,
    for_seat: VecDeque<usize>,
}

impl<'r> Hold<'r> {
    fn new(rig: &'r mut FakeRig, plan: &'r WindowPlan) -> Self {
        let arrangement = &plan.arrangement;
        let processes: Vec<Process> = arrangement
            .roles
            .iter()
            .flat_map(|role| (0..role.replicas).map(|_| role.name.clone()))
            .map(|role| Process {
                role,
                queue: VecDeque::new(),
                inside: 0,
                for_slot: VecDeque::new(),
                outstanding: 0,
                cpu_s: 0.0,
            })
            .collect();
        let model = &rig.model;
        let routes: Vec<&Route> = model.costs.iter().map(|cost| &cost.route).collect();
        let index = |route: &Route| routes.iter().position(|r| *r == route).unwrap();
        let of_role =
            |role: &str| (0..processes.len()).filter(|&p| processes[p].role == role).collect::<Vec<_>>();
        let emphasis = |route: &Route| plan.emphasis.as_ref().filter(|e| e.route == *route);
        let mut journeys = model.journeys.clone();
        if let Some(last) = plan.emphasis.as_ref().filter(|e| e.ends) {
            for journey in &mut journeys {
                let end = journey.steps.iter().rposition(|s| s.route == last.route).map_or(0, |i| i + 1);
                journey.steps.truncate(end);
            }
            journeys.retain(|j| !j.steps.is_empty());
        }
        Self {
            now_s: 0.0,
            end_s: plan.warmup_s + f64::from(plan.seconds),
            events: BinaryHeap::new(),
            pushed: 0,
            users: Vec::new(),
            requests: Vec::new(),
            inside: vec![0; routes.len()],
            in_front: vec![VecDeque::new(); routes.len()],
            steps: journeys.iter().map(|j| j.steps.iter().map(|s| index(&s.route)).collect()).collect(),
            cpu_s: model.costs.iter().map(Cost::cpu_s).collect(),
            most_inside: routes
                .iter()
                .map(|r| arrangement.concurrency.get(r).copied().unwrap_or(u32::MAX))
                .collect(),
            times: routes.iter().map(|r| emphasis(r).map_or(1, |e| e.times)).collect(),
            served_by: routes.iter().map(|r| of_role(arrangement.role_of(r))).collect(),
            seen: vec![RouteSecond::default(); routes.len()],
            journeys,
            second: empty_second(plan.window, 0),
            users_inside: 0,
            in_flight: 0,
            facts: Vec::new(),
            kept_until_s: 0.0,
            seated: 0,
            for_seat: VecDeque::new(),
            processes,
            rig,
            plan,
        }
    }

    fn run(mut self) -> Vec<Fact> {
        for second in 0..=self.plan.seconds {
            self.push(self.plan.warmup_s + f64::from(second), Event::SecondOver);
        }
        match self.plan.load {
            Load::Open { .. } | Load::Arriving(_) => self.next_arrival(),
            Load::Closed { users } => (0..users).for_each(|_| self.begin_user(0.0)),
        }
        let give_up_s = self.end_s + GRACE_S;
        loop {
            let event_s = self.events.peek().map_or(f64::INFINITY, |Reverse((At(at), ..))| *at);
            match self.next_done() {
                Some((process, place, at)) if at <= event_s && at <= give_up_s => {
                    self.advance(at);
                    self.finish_cpu(process, place);
                }
                _ if event_s <= give_up_s => {
                    self.advance(event_s);
                    if let Some(Reverse((_, _, event))) = self.events.pop() {
                        self.handle(event);
                    }
                }
                _ => break,
            }
        }
        let mut unanswered: BTreeMap<Route, u64> = BTreeMap::new();
        let mut planned = 0;
        for request in self.requests.iter().filter(|r| r.planned_s >= self.plan.warmup_s) {
            planned += 1;
            if !request.answered {
                *unanswered.entry(self.rig.model.costs[request.route].route.clone()).or_default() += 1;
            }
        }
        self.facts.push(Fact::WindowEnded(WindowEnd {
            window: self.plan.window,
            planned,
            unanswered,
            users_planned: None,
            cut_short: None,
        }));
        self.facts
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::SecondOver => self.end_second(),
            Event::UserArrives => {
                self.second.users_arrived += 1;
                self.begin_user(self.now_s);
                self.next_arrival();
            }
            Event::RequestDue { user } => self.send(user),
            Event::Answered { request } => self.answer(request),
        }
    }

    fn push(&mut self, at: f64, event: Event) {
        self.pushed += 1;
        self.events.push(Reverse((At(at), self.pushed, event)));
    }

    fn next_arrival(&mut self) {
        if let Load::Open { users_per_s } = self.plan.load {
            let at = self.now_s - (1.0 - self.rig.random.random::<f64>()).ln() / users_per_s;
            if at < self.end_s {
                self.push(at, Event::UserArrives);
            }
        }
    }

    fn begin_user(&mut self, at: f64) {
        let journeys = &self.journeys;
        let mut pick = self.rig.random.random::<f64>() * journeys.iter().map(|j| j.weight).sum::<f64>();
        let journey = journeys.iter().position(|j| {
            pick -= j.weight;
            pick < 0.0
        });
        self.users.push(User { journey: journey.unwrap_or(0), step: 0, sent: 0 });
        self.users_inside += 1;
        self.plan_request(self.users.len() - 1, at);
    }

    /// The user's next request, or the end of the journey.
    fn plan_request(&mut self, user: usize, at: f64) {
        let place = &self.users[user];
        let Some(step) = self.journeys[place.journey].steps.get(place.step) else {
            self.users_inside -= 1;
            self.leave_seat();
            if matches!(self.plan.load, Load::Closed { .. }) && at < self.end_s {
                self.begin_user(at);
            }
            return;
        };
        let thinks = matches!(self.plan.load, Load::Open { .. }) && place.sent == 0;
        let due = at + if thinks { step.think_s } else { 0.0 };
        if due < self.end_s {
            self.push(due, Event::RequestDue { user });
        }
    }

    fn send(&mut self, user: usize) {
        let place = &self.users[user];
        let route = self.steps[place.journey][place.step];
        let refused = place.sent > 0 && self.rig.once.as_ref() == Some(&self.rig.model.costs[route].route);
        let left_s = if refused { REFUSAL_S } else { self.cpu_s[route].sample(&mut self.rig.random) };
        let connects = place.step == 0 && place.sent == 0;
        let left_s = left_s + self.grown_s(route);
        let is_kept = self.rig.repeats.contains(&self.rig.model.costs[route].route)
            && self.plan.arrangement.caches(&self.rig.model.costs[route].route)
            && self.now_s < self.kept_until_s;
        let left_s = if is_kept { HIT_S } else { left_s };
        if !is_kept {
            self.kept_until_s = self.now_s + 1.0;
        }
        let left_s = left_s + if connects { self.rig.connection_ms / 1e3 } else { 0.0 };
        let (closes, copies) = (self.plan.arrangement.closes, self.processes.len() as u32);
        let needs_seat = connects && !closes;
        let has_seat = self.seated < self.rig.model.seats.saturating_mul(copies);
        self.seated += u32::from(needs_seat && has_seat);
        self.second.connects += u64::from(connects || closes);
        self.second.planned += 1;
        self.in_flight += 1;
        let request = self.requests.len();
        self.requests.push(Request {
            user,
            route,
            planned_s: self.now_s,
            process: 0,
            is_first: connects || closes,
            left_s,
            refused,
            answered: false,
        });
        if needs_seat && !has_seat {
            self.for_seat.push_back(request);
        } else {
            self.enter(request);
        }
    }

    fn enter(&mut self, request: usize) {
        let route = self.requests[request].route;
        if self.inside[route] < self.most_inside[route] {
            self.admit(request);
        } else {
            self.in_front[route].push_back(request);
        }
    }

    /// The next user who waits for a worker has it.
    fn leave_seat(&mut self) {
        match self.for_seat.pop_front() {
            Some(request) => self.enter(request),
            None => self.seated = self.seated.saturating_sub(1),
        }
    }

    /// What the requests of the whole's past add to this one's cost.
    fn grown_s(&mut self, route: usize) -> f64 {
        let rig = &mut self.rig;
        let Some((grows, ms, _)) = &rig.grows else { return 0.0 };
        if rig.model.costs[route].route != *grows || self.plan.arrangement.name != "whole" {
            return 0.0;
        }
        rig.grown += 1;
        ms / 1e3 * rig.grown as f64 / 1e3
    }

    fn admit(&mut self, number: usize) {
        let request = &mut self.requests[number];
        let processes = &mut self.processes;
        let least = self.served_by[request.route].iter().copied().min_by_key(|&p| processes[p].outstanding);
        request.process = least.unwrap();
        self.inside[request.route] += 1;
        processes[request.process].outstanding += 1;
        processes[request.process].for_slot.push_back(number);
        self.fill_slots();
    }

    fn fill_slots(&mut self) {
        let (slots, shared) = (self.rig.model.slots, self.rig.model.shared_slots);
        let mut inside: u32 = self.processes.iter().map(|p| p.inside).sum();
        for process in &mut self.processes {
            while process.inside < slots
                && inside < shared
                && let Some(request) = process.for_slot.pop_front()
            {
                process.queue.push_back(request);
                (process.inside, inside) = (process.inside + 1, inside + 1);
            }
        }
    }

    /// Requests that run at this moment share the CPUs that background and neighbour leave, none more than one CPU.
    fn rate(&self) -> f64 {
        let running: usize = self.processes.iter().map(|p| p.queue.len().min(self.rig.model.threads)).sum();
        let free = self.rig.model.cpus as f64 - self.rig.model.background_cores - self.rig.neighbour_cores;
        (free / running as f64).min(1.0)
    }

    /// The running request that will be done first: process, place in its queue, time.
    fn next_done(&self) -> Option<(usize, usize, f64)> {
        let mut first: Option<(usize, usize, f64)> = None;
        for (process, p) in self.processes.iter().enumerate() {
            for place in 0..p.queue.len().min(self.rig.model.threads) {
                let left_s = self.requests[p.queue[place]].left_s;
                if first.is_none_or(|(_, _, least)| left_s < least) {
                    first = Some((process, place, left_s));
                }
            }
        }
        first.map(|(process, place, left_s)| (process, place, self.now_s + left_s / self.rate()))
    }

    fn advance(&mut self, to: f64) {
        let work_s = (to - self.now_s) * self.rate();
        for process in &mut self.processes {
            for &request in process.queue.iter().take(self.rig.model.threads) {
                self.requests[request].left_s -= work_s;
                process.cpu_s += work_s;
            }
        }
        self.now_s = to;
    }

    fn finish_cpu(&mut self, process: usize, place: usize) {
        let Some(request) = self.processes[process].queue.remove(place) else { return };
        let wait_s = self.rig.model.costs[self.requests[request].route].wait_ms / 1e3;
        self.push(self.now_s + wait_s, Event::Answered { request });
    }

    fn answer(&mut self, number: usize) {
        let request = &mut self.requests[number];
        request.answered = true;
        let (user, route, refused) = (request.user, request.route, request.refused);
        let latency_us = ((self.now_s - request.planned_s) * 1e6) as u64;
        self.processes[request.process].outstanding -= 1;
        self.processes[request.process].inside -= 1;
        self.in_flight -= 1;
        if refused {
            *self.seen[route].errors.entry(ErrorClass::Status).or_default() += 1;
        } else {
            self.seen[route].latency.record_us(latency_us);
            if request.is_first {
                self.seen[route].first += 1;
                self.seen[route].first_us += latency_us;
            }
        }
        self.seen[route].bytes += 100;

        self.fill_slots();
        self.inside[route] -= 1;
        if let Some(next) = self.in_front[route].pop_front() {
            self.admit(next);
        }

        let place = &mut self.users[user];
        place.sent += 1;
        if refused {
            place.step = usize::MAX; // a wrong answer ends the journey
        } else if place.sent >= self.times[route] {
            (place.step, place.sent) = (place.step + 1, 0);
        }
        self.plan_request(user, self.now_s);
    }

    /// The first second to end is the warm-up; its facts are not kept.
    fn end_second(&mut self) {
        let measured = self.now_s > self.plan.warmup_s + 0.5;
        let number = self.second.second;
        let mut second = empty_second(self.plan.window, number + u32::from(measured));
        std::mem::swap(&mut second, &mut self.second);
        second.in_flight = self.in_flight;
        second.users_inside = self.users_inside;
        second.lateness.record_many_us(20, second.planned);
        for (cost, seen) in self.rig.model.costs.iter().zip(&mut self.seen) {
            let mut seen = std::mem::take(seen);
            seen.service = seen.latency.clone();
            if seen.ended() > 0 {
                second.routes.insert(cost.route.clone(), seen);
            }
        }
        if measured {
            let sample = self.sample(number, second.planned);
            self.facts.push(Fact::Sampled(sample));
            self.facts.push(Fact::SecondPassed(second));
        }
        self.processes.iter_mut().for_each(|p| p.cpu_s = 0.0);
    }

    fn sample(&mut self, second: u32, planned: u64) -> ProbeSecond {
        let noise = Normal::new(1.0, self.rig.model.cpu_noise).unwrap().sample(&mut self.rig.random).max(0.1);
        let mut role_cpu_s: BTreeMap<String, f64> = BTreeMap::new();
        for process in &self.processes {
            *role_cpu_s.entry(process.role.clone()).or_default() += process.cpu_s * noise;
        }
        let mut thread_cpu_s: Vec<f64> =
            self.processes.iter().map(|p| p.cpu_s * noise / self.rig.model.threads as f64).collect();
        thread_cpu_s.sort_by(|a, b| b.total_cmp(a));
        let background_s = self.rig.model.background_cores * noise;
        ProbeSecond {
            window: self.plan.window,
            second,
            elapsed_s: 1.0,
            app_cpu_s: role_cpu_s.values().sum::<f64>() + background_s,
            role_cpu_s,
            thread_cpu_s,
            rss_bytes: (100 << 20) + self.rig.grows.as_ref().map_or(0, |(.., bytes)| bytes * self.rig.grown),
            fds: 20,
            threads: (self.processes.len() * self.rig.model.threads) as u64,
            processes: self.processes.len() as u64,
            app_run_delay_s: self.rig.neighbour_cores,
            other_cpu_s: self.rig.neighbour_cores,
            crowd_cpu_s: planned as f64 * 30e-6,
            memory_available_bytes: 4 << 30,
            ..ProbeSecond::default()
        }
    }
}

fn empty_second(window: u32, second: u32) -> CrowdSecond {
    CrowdSecond {
        window,
        second,
        folded: 0,
        routes: BTreeMap::new(),
        users_arrived: 0,
        users_inside: 0,
        planned: 0,
        in_flight: 0,
        lateness: fissure_facts::Latencies::new(),
        connects: 0,
        connect: Default::default(),
        handshake: Default::default(),
        reconnects: 0,
    }
}
