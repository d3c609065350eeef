//! What the facts of a run amount to: the readings on which planner and verdict both rest.
//!
//! Planner and verdict must never disagree about what was measured, so both look through this.

use std::cell::OnceCell;

use fissure_facts::arrangement::Arrangement;
use fissure_facts::fact::{ProbeSecond, RouteSecond};
use fissure_facts::{Estimate, Fact, Load, Purpose, Route, Run, Window};

use crate::capacity::{self, Bound, CapacityFit, LoadPoint};
use crate::demand::{self, Demands};
use crate::goal;
use crate::growth;
use crate::judgement::{GoalView, Growth, HeldWorkers, RouteDemand, SoloMiss};
use crate::keep_alive;
use crate::limit;
use crate::model::{self, Model};
use crate::own_steal;
use crate::remedy::{self, Candidate, Options};
use crate::repeats;
use crate::sim;
use crate::stats;
use crate::validity::{self, Void};
use crate::waits;
use crate::wear::Renewals;

/// Name of the arrangement that is the app as it is.
pub const WHOLE: &str = "whole";
/// Name of its second copy.
pub const CONTROL: &str = "control";
/// A route with less of the time is not worth a cache.
const DEAR: f64 = 0.25;
/// Remedies that one run rehearses at most; more would leave too little time for each.
const REMEDIES_MOST: usize = 3;
/// A request whose CPU is at least this share of its latency alone is slow because of its lines.
const CPU_BOUND_SHARE: f64 = 0.6;

/// A capacity's interval may reach this far below the goal when its middle is above ...
const ALMOST: f64 = 0.92;
/// ... and this far above when its middle is below.
const ALMOST_NOT: f64 = 1.08;

/// Users who must be waiting for an answer at the end of a window, of those who came while the CPUs were full.
const PILED_UP: f64 = 0.5;

/// A window counts as one at the goal's load from this share of it on ...
const AT_THE_GOAL: f64 = 0.98;
/// ... up to this.
const ABOVE_THE_GOAL: f64 = 1.1;
/// So many windows at the goal, together and most of them by themselves within the SLO, show that it is met ...
const WINDOWS_THAT_SHOW: usize = 3;
/// ... or two that last as long as four usual ones.
const SECONDS_THAT_SHOW: f64 = 24.0;

/// Windows to which less than this share of the goal's work came show nothing ...
const LUCKY: f64 = 0.9;
/// ... unless the goal takes less than this share of the CPUs.
const LITTLE: f64 = 0.2;

/// Held at the goal's load, or up to `most` times as much.
fn is_at(point: &LoadPoint, goal_users_per_s: f64, most: f64) -> bool {
    point.users_per_s >= goal_users_per_s * AT_THE_GOAL && point.users_per_s <= goal_users_per_s * most
}

/// The same with twice as many requests that were slow or failed.
fn twice_as_slow(point: &LoadPoint) -> LoadPoint {
    let mut twice = point.clone();
    twice.routes.values_mut().for_each(|(over, _)| *over *= 2);
    twice.errors.0 *= 2;
    twice
}

/// An open load with the journeys' own mix.
fn is_steady(window: &Window, arrangement: &str) -> bool {
    let plan = &window.plan;
    plan.arrangement.name == arrangement && matches!(plan.load, Load::Open { .. }) && plan.emphasis.is_none()
}

/// Sound windows flat out that are wanted.
const SATURATED_WINDOWS: usize = 2;
/// Four times the users get this much more done when it was users that the app was short of.
const ROSE: f64 = 1.5;
/// More users at once than this are another question than that of a laptop.
const MOST_USERS: u32 = 1024;
/// An app that used less CPU flat out than this share is not measured well enough to say how much is left.
const LEAST_BUSY: f64 = 0.01;

/// How often an arrangement that wears out is started anew: each time takes as long as the app does to start.
const MOST_RENEWALS: usize = 8;

fn closed_users(window: &Window) -> Option<u32> {
    match window.plan.load {
        Load::Closed { users } => Some(users),
        Load::Open { .. } | Load::Arriving(_) => None,
    }
}

/// Few values that scatter widely give an interval that reaches below what can be.
fn not_negative(claim: Estimate) -> Estimate {
    Estimate::new(claim.mid, claim.low.max(0.0), claim.high)
}

fn right_per_s(window: &Window) -> f64 {
    window.right() as f64 / window.seconds().max(1.0)
}

/// CPU that others used while the app waited for one: it wanted that, too, so it is no CPU that was left.
pub fn taken_s(probe: &ProbeSecond) -> f64 {
    probe.app_run_delay_s.min(probe.other_cpu_s)
}

pub struct Evidence<'r> {
    pub run: &'r Run,
    pub goal: GoalView,
    /// Measured windows that have ended, with the reason for which a window is void. What the user cut short is no
    /// window: neither the machine nor the app is to blame for it.
    pub windows: Vec<(Window, Option<Void>)>,
    demands: OnceCell<Demands>,
}

impl<'r> Evidence<'r> {
    pub fn of(run: &'r Run) -> Self {
        let renewals = Renewals::of(run);
        let mut windows: Vec<(Window, Option<Void>)> = Vec::new();
        for window in own_steal::left_out(run.windows()) {
            let is_over =
                window.end.as_ref().is_some_and(|end| end.cut_short.is_none() || !run.was_interrupted());
            if window.plan.purpose.is_profile() || !is_over {
                continue;
            }
            let worn = || renewals.worn(&window, windows.iter().map(|(w, _)| w));
            let void =
                validity::void(&window, &run.header).or_else(|| worn().map(|route| Void::WornOut { route }));
            windows.push((window, void));
        }
        Self { run, goal: goal::view(run), windows, demands: OnceCell::new() }
    }

    /// The same, as it stood before the first rehearsal: the shortlist must not change while it is rehearsed.
    pub fn before_rehearsals(&self) -> Self {
        self.as_long_as(|purpose| !matches!(purpose, Purpose::Rehearse { .. }))
    }

    /// The same, as it stood before the first window at an open load.
    pub fn before_capacity(&self) -> Self {
        self.as_long_as(|purpose| matches!(purpose, Purpose::Saturate | Purpose::Demand))
    }

    fn as_long_as(&self, is_before: impl Fn(&Purpose) -> bool) -> Self {
        let before = self.windows.iter().take_while(|(w, _)| is_before(&w.plan.purpose));
        Self { run: self.run, goal: self.goal, windows: before.cloned().collect(), demands: OnceCell::new() }
    }

    /// The whole's capacity by the model, in users per second.
    pub fn predicted_users_per_s(&self) -> f64 {
        let model = self.model(self.demands());
        sim::capacity(&model, &Arrangement::whole(), &self.run.header.config.goal, self.run.header.seed)
    }

    /// What the arrangement's last window was refused because earlier ones used it up, as long as it was not started anew since.
    pub fn worn(&self, arrangement: &Arrangement) -> Option<&Route> {
        let (last, void) = self.windows.iter().rev().find(|(w, _)| w.plan.arrangement == *arrangement)?;
        let renewals = Renewals::of(self.run);
        let is_known = renewals.is_since(arrangement, last) || renewals.count(arrangement) >= MOST_RENEWALS;
        match void {
            Some(Void::WornOut { route }) if !is_known => Some(route),
            _ => None,
        }
    }

    /// Does an arrangement with this capacity meet the goal? None: its capacity is somewhere about the goal.
    ///
    /// Where latency hardly rises with load, the load at which it crosses the limit is vague although the goal's own load
    /// is clear; so several windows at the goal speak for themselves.
    pub fn meets_goal(&self, arrangement: &str, fit: &CapacityFit) -> Option<bool> {
        let goal = self.goal.users_per_s;
        let capacity = fit.users_per_s;
        if capacity.mid < goal {
            // What held at every load that was tried may hold at more, as far as the CPUs allow.
            let may_hold =
                fit.bound == Bound::AtLeast && self.ceiling_by_name(arrangement) >= goal / ALMOST_NOT;
            let misses =
                capacity.high < goal * ALMOST_NOT && !may_hold && !self.disagrees_at_goal(arrangement);
            return misses.then_some(false);
        }
        (capacity.low >= ALMOST * goal || self.holds_at_goal(arrangement, fit)).then_some(true)
    }

    /// As far as windows at the goal's own load tell, few as they may be, it holds.
    pub fn held_the_goal(&self, arrangement: &str) -> bool {
        let at_goal = self.points_at_goal(arrangement, f64::INFINITY);
        !at_goal.is_empty() && capacity::hold(&at_goal, &self.run.header.config.goal)
    }

    /// Of the loads that were tried, the goal's own, or up to `most` times as much.
    fn points_at_goal(&self, arrangement: &str, most: f64) -> Vec<LoadPoint> {
        let mut points = self.points(arrangement);
        points.retain(|p| is_at(p, self.goal.users_per_s, most));
        points
    }

    fn holds_at_goal(&self, arrangement: &str, fit: &CapacityFit) -> bool {
        let goal = self.goal.users_per_s;
        // When every load that was tried held, the higher ones are witnesses too.
        let most = if fit.bound == Bound::AtLeast { f64::INFINITY } else { ABOVE_THE_GOAL };
        let (points, in_spite) = (self.points(arrangement), self.held_in_spite(arrangement));
        let near: Vec<LoadPoint> =
            points.into_iter().chain(in_spite).filter(|p| is_at(p, goal, most)).collect();
        let (kept, all) = (self.kept(&near), near.len());
        let seconds: f64 = near.iter().map(|p| p.seconds).sum();
        let are_enough = all >= WINDOWS_THAT_SHOW || all > 1 && seconds >= SECONDS_THAT_SHOW;
        // In the few seconds of a slow app fewer of its dear requests may come than the journeys have.
        let is_much = goal >= LITTLE * self.ceiling_by_name(arrangement);
        if is_much && self.work_share(&near).is_some_and(|share| share < LUCKY) {
            return false;
        }
        // Where one window missed it the others must make up for it: a remedy that just holds is none if the next one holds clearly.
        let witnesses = if kept == all { near } else { near.iter().map(twice_as_slow).collect() };
        are_enough && 4 * kept >= 3 * all && capacity::hold(&witnesses, &self.run.header.config.goal)
    }

    /// How many of these windows keep the goal, each by itself. Few that are far within it would outweigh many that miss it narrowly.
    fn kept(&self, points: &[LoadPoint]) -> usize {
        let holds = |p: &&LoadPoint| capacity::hold(std::slice::from_ref(*p), &self.run.header.config.goal);
        points.iter().filter(holds).count()
    }

    /// At the goal's own load most windows kept it and some did not, and there are too few of them to say which were chance.
    fn disagrees_at_goal(&self, arrangement: &str) -> bool {
        let at_goal = self.points_at_goal(arrangement, ABOVE_THE_GOAL);
        let (kept, all) = (self.kept(&at_goal), at_goal.len());
        2 * kept >= all && kept < all && all < 2 * WINDOWS_THAT_SHOW
    }

    /// Windows that are void because somebody else slowed the answers down, and that kept the goal all the same, with half of the slow
    /// requests that it allows: the disturbance can only have made them worse. Of those that missed nothing can be said.
    fn held_in_spite(&self, arrangement: &str) -> impl Iterator<Item = LoadPoint> {
        let goal = &self.run.header.config.goal;
        self.windows
            .iter()
            .filter(move |(w, void)| void.as_ref().is_some_and(Void::only_slows) && is_steady(w, arrangement))
            .map(|(w, _)| capacity::load_point(w, goal))
            .filter(|point| capacity::hold(&[twice_as_slow(point)], goal))
    }

    /// Whether one more window at the goal's own load could show that it is met: as far as can be told it is, but not for sure.
    pub fn asks_for_the_goal(&self, arrangement: &str, fit: &CapacityFit) -> bool {
        let at_goal = self.points_at_goal(arrangement, ABOVE_THE_GOAL).len();
        (fit.users_per_s.mid >= self.goal.users_per_s || self.disagrees_at_goal(arrangement))
            && self.meets_goal(arrangement, fit).is_none()
            && at_goal < 2 * WINDOWS_THAT_SHOW
    }

    /// Windows of an arrangement on which a claim may rest.
    pub fn valid(&self, arrangement: &str) -> impl Iterator<Item = &Window> {
        self.windows
            .iter()
            .filter(move |(w, void)| void.is_none() && w.plan.arrangement.name == arrangement)
            .map(|(w, _)| w)
    }

    /// Windows with a steady mix at an open load: those that say something about latency.
    pub fn open(&self, arrangement: &str) -> impl Iterator<Item = &Window> {
        self.valid(arrangement).filter(move |w| is_steady(w, arrangement))
    }

    /// What the whole does flat out, in users per second: right requests over the requests of one user.
    pub fn saturation_users_per_s(&self) -> Option<Estimate> {
        let per_user = goal::requests_per_user(self.run);
        let rates: Vec<f64> = self
            .saturated()
            .into_iter()
            .flat_map(|w| {
                w.crowd.iter().map(|s| s.routes.values().map(RouteSecond::right).sum::<u64>() as f64)
            })
            .map(|right| right / per_user)
            .collect();
        stats::mean_estimate(&rates, self.run.header.seed).map(not_negative)
    }

    /// Answers in a second at the goal's load, or flat out where that is less.
    pub fn answers_per_s(&self) -> f64 {
        let flat_out = self.saturated().into_iter().map(right_per_s).reduce(f64::max);
        flat_out
            .filter(|rate| *rate > 0.0)
            .map_or(self.goal.requests_per_s, |rate| rate.min(self.goal.requests_per_s))
    }

    /// The windows flat out: the valid ones, or all where none is, because a rough figure is better than none to plan by.
    /// Those with too few users to keep the app busy are left out, and those with more than it takes.
    pub fn saturated(&self) -> Vec<&Window> {
        let all = || self.windows.iter().filter(|(w, _)| w.plan.purpose == Purpose::Saturate);
        let mut windows: Vec<&Window> = all().filter(|(_, void)| void.is_none()).map(|(w, _)| w).collect();
        if windows.is_empty() {
            windows = all().map(|(w, _)| w).collect();
        }
        let most = windows.iter().map(|w| right_per_s(w)).fold(0.0, f64::max);
        windows.retain(|w| right_per_s(w) * ROSE >= most);
        let fewest = windows.iter().filter_map(|w| closed_users(w)).min();
        windows.retain(|w| closed_users(w) == fewest);
        windows
    }

    /// Users without pauses that the next window flat out wants; None when enough is known.
    ///
    /// `first` users keep the CPUs of most apps busy. Where CPU is left, the app waits: for users, as long as four times as
    /// many get clearly more done, or else for something of its own.
    pub fn users_flat_out(&self, first: u32) -> Option<u32> {
        let sound: Vec<(u32, &Window)> = self
            .valid(WHOLE)
            .filter(|w| w.plan.purpose == Purpose::Saturate)
            .filter_map(|w| Some((closed_users(w)?, w)))
            .collect();
        let Some(&(users, last)) = sound.last() else { return Some(first) };
        if self.cpu_share_of(last) >= limit::FULL {
            let alike = sound.iter().filter(|(u, _)| *u == users).count();
            return (alike < SATURATED_WINDOWS).then_some(users);
        }
        let with_fewer =
            sound.iter().filter(|(u, _)| *u < users).map(|(_, w)| right_per_s(w)).fold(0.0, f64::max);
        let rose = right_per_s(last) > ROSE * with_fewer;
        (rose && users < MOST_USERS).then_some(users * 4)
    }

    /// Users of the windows flat out.
    pub fn saturating_users(&self) -> Option<u32> {
        self.saturated().first().and_then(|w| closed_users(w))
    }

    /// Share of the app's CPUs that was busy, with what others took of it.
    pub fn cpu_share_of(&self, window: &Window) -> f64 {
        let elapsed_s: f64 = window.probes.iter().map(|p| p.elapsed_s).sum();
        let wanted_s = window.app_cpu_s() + window.probes.iter().map(taken_s).sum::<f64>();
        if elapsed_s > 0.0 { wanted_s / elapsed_s / self.cpus() } else { 0.0 }
    }

    /// Share of the app's CPUs that was busy flat out, with what others took of it.
    pub fn saturated_cpu_share(&self) -> Option<Estimate> {
        let cpus = self.cpus();
        let shares: Vec<f64> = self
            .saturated()
            .into_iter()
            .flat_map(|w| &w.probes)
            .filter(|p| p.elapsed_s > 0.0)
            .map(|p| ((p.app_cpu_s + taken_s(p)) / p.elapsed_s / cpus).min(1.0))
            .collect();
        stats::mean_estimate(&shares, self.run.header.seed).map(not_negative)
    }

    /// What the CPUs would stand if nothing else were short, in users per second: no arrangement can do more.
    pub fn ceiling_users_per_s(&self) -> Option<f64> {
        let busy = self.saturated_cpu_share()?.mid.clamp(LEAST_BUSY, 1.0);
        Some(self.saturation_users_per_s()?.mid / if busy >= limit::FULL { 1.0 } else { busy })
    }

    /// The same for an arrangement: what a cache answers needs no CPU of the app.
    pub fn ceiling_of(&self, arrangement: &Arrangement) -> Option<f64> {
        let ceiling = self.ceiling_users_per_s()?;
        if !self.run.routes().iter().any(|route| arrangement.caches(route)) {
            return Some(ceiling);
        }
        let model = self.model(self.demands());
        let cached_ms: f64 = model.routes.iter().map(|r| r.mix * sim::cpu_ms(&model, arrangement, r)).sum();
        Some(if cached_ms > 0.0 { ceiling * (model.mean_cpu_ms() / cached_ms).max(1.0) } else { ceiling })
    }

    fn ceiling_by_name(&self, arrangement: &str) -> f64 {
        let known = self.windows.iter().map(|(w, _)| &w.plan.arrangement).find(|a| a.name == arrangement);
        known.and_then(|arrangement| self.ceiling_of(arrangement)).unwrap_or(f64::INFINITY)
    }

    /// A GET that much of the time goes to: if its answers repeat, a cache is worth a thought.
    pub fn has_dear_get(&self) -> bool {
        let model = self.model(self.demands());
        model.routes.iter().any(|r| r.route.method() == "GET" && model.share_of_time(r) >= DEAR)
    }

    /// CPUs that every arrangement may use.
    pub fn cpus(&self) -> f64 {
        self.run.header.machine.app_cpus.len().max(1) as f64
    }

    pub fn points(&self, arrangement: &str) -> Vec<LoadPoint> {
        self.open(arrangement).map(|w| capacity::load_point(w, &self.run.header.config.goal)).collect()
    }

    pub fn fit(&self, arrangement: &str) -> Option<CapacityFit> {
        let fit = capacity::fit(&self.points(arrangement), &self.run.header.config.goal)?;
        Some(match self.filled_to(arrangement) {
            Some(most) => fit.at_most(most),
            None => fit,
        })
    }

    /// What the CPUs stand, where more was tried and users piled up by what is more: with a limit of seconds a queue takes longer
    /// than a window to be seen in latencies. An app that gets less done flat out than before (a lock that is fought for) is none:
    /// there nobody piles up.
    fn filled_to(&self, arrangement: &str) -> Option<Estimate> {
        let flat_out = self.saturation_users_per_s()?;
        let ceiling = flat_out.scaled(self.ceiling_by_name(arrangement) / flat_out.mid);
        let is_full = self.saturated_cpu_share()?.mid >= limit::FULL;
        let (mut came_too_many, mut piled_up) = (0.0, 0.0);
        for window in self.open(arrangement).filter(|_| is_full && ceiling.mid.is_finite()) {
            let Load::Open { users_per_s } = window.plan.load else { continue };
            let over = (users_per_s - ceiling.mid).max(0.0);
            if let (Some(first), Some(last)) = (window.crowd.first(), window.crowd.last())
                && over > 0.0
            {
                came_too_many += over * (window.crowd.len() - 1) as f64;
                piled_up += last.in_flight as f64 - first.in_flight as f64;
            }
        }
        (came_too_many > 0.0 && piled_up >= PILED_UP * came_too_many).then_some(ceiling)
    }

    pub fn demands(&self) -> &Demands {
        self.demands.get_or_init(|| demand::demands(self.run, &self.for_cpu()))
    }

    /// The CPU that the requests of these windows should have cost, over what those of as many seconds at the goal's load do. None
    /// where that is not known.
    fn work_share(&self, points: &[LoadPoint]) -> Option<f64> {
        let demands = self.demands();
        let per_user_ms = goal::requests_per_user(self.run)
            * demands.routes.iter().map(|d| d.mix * d.cpu_ms.mid).sum::<f64>();
        let of = |p: &LoadPoint, d: &RouteDemand| {
            p.routes.get(&d.route).map_or(0.0, |(_, n)| *n as f64) * d.cpu_ms.mid
        };
        let came_ms: f64 = points.iter().flat_map(|p| demands.routes.iter().map(move |d| of(p, d))).sum();
        let expected_ms: f64 = points.iter().map(|p| self.goal.users_per_s * p.seconds * per_user_ms).sum();
        (expected_ms > 0.0).then(|| came_ms / expected_ms)
    }

    /// What grew within the run.
    pub fn growth(&self) -> Vec<Growth> {
        growth::growth(self.run, &self.for_cpu())
    }

    /// Windows of the whole whose CPU counts, whatever else was wrong with them.
    fn for_cpu(&self) -> Vec<Window> {
        self.windows
            .iter()
            .map(|(w, _)| w)
            .filter(|w| {
                w.plan.arrangement.name == WHOLE
                    && validity::void_for_cpu(w, &self.run.header).is_none()
                    && !validity::is_given_up(w)
            })
            .cloned()
            .collect()
    }

    pub fn model(&self, demands: &Demands) -> Model {
        let saturated: Vec<Window> = self.saturated().into_iter().cloned().collect();
        let background = demands.background_cores.map_or(0.0, |cores| cores.mid);
        let mut model = Model {
            cpus: (self.cpus() - background).max(0.1),
            workers: model::workers(&saturated),
            slots: None,
            admits_per_s: None,
            connection_ms: demands.connection_ms_per_request(),
            hits: repeats::hits(self.run, self.goal.requests_per_s),
            routes: model::routes(demands),
            requests_per_user: goal::requests_per_user(self.run),
        };
        // On one CPU threads that take turns and threads that share it are the same.
        if self.cpus() > 1.0 && waits::waits(self.run).is_some_and(|w| limit::interpreter(&w).is_some()) {
            model.workers = 1;
        }
        model.slots = self.slots(&model);
        // What the whole was seen to hold then is what its workers can be held for.
        if self.held_workers().is_some() {
            model.admits_per_s = self.fit(WHOLE).map(|fit| fit.users_per_s.mid * model.requests_per_user);
        }
        model
    }

    pub fn held_workers(&self) -> Option<HeldWorkers> {
        keep_alive::held_workers(self)
    }

    /// Flat out neither the CPUs nor the threads are full: then it is a number of requests at once that limits the app.
    fn slots(&self, model: &Model) -> Option<u32> {
        let requests_per_s = self.saturation_users_per_s()?.mid * model.requests_per_user;
        let busy = requests_per_s * model.mean_cpu_ms() / 1e3;
        // Measured of all together, where what each route costs may be vague.
        let is_full = limit::cpu_resource(self, self.saturated_cpu_share()?.mid).is_some();
        if is_full || busy >= limit::FULL * f64::from(model.workers).min(model.cpus) {
            return None;
        }
        model::slots(requests_per_s, model.mean_alone_ms(), self.saturating_users()?)
    }

    /// The remedies worth rehearsing, and those that are not with the reason; lowest rung first.
    pub fn candidates(&self) -> Vec<Candidate> {
        let demands = self.demands();
        let header = &self.run.header;
        let config = &header.config;
        let options = Options {
            copies_allowed: if header.only_port().is_some() { 1 } else { u32::MAX },
            most: REMEDIES_MOST,
            goal_users_per_s: self.goal.users_per_s,
        };
        let shortlist = |model: &Model| {
            remedy::shortlist(
                model,
                &demands.routes,
                &config.goal,
                &config.areas,
                &options,
                self.run.header.seed,
            )
        };
        let mut model = self.model(demands);
        let candidates = shortlist(&model);
        if !candidates.is_empty() {
            return candidates;
        }
        // By the model the whole holds nothing at all, which was not seen: waits and scatter are overrated (they are read
        // off latencies), so predict without them rather than try nothing.
        for route in &mut model.routes {
            (route.wait_ms, route.cv) = (0.0, route.cv.min(model::USUAL_CV));
        }
        shortlist(&model)
    }

    /// Routes that miss their goal even alone, when nobody else is there.
    pub fn solo_misses(&self) -> Vec<SoloMiss> {
        let demands = self.demands();
        let mut misses = Vec::new();
        for route in self.run.routes() {
            let slo = self.run.header.config.goal.slo_of(&route);
            let Some(latency_us) = self.solo_us(&route) else { continue };
            if latency_us <= slo.limit_us() as f64 {
                continue;
            }
            let cpu_ms = demands.routes.iter().find(|d| d.route == route).map_or(0.0, |d| d.cpu_ms.mid);
            misses.push(SoloMiss {
                route,
                latency_ms: latency_us / 1e3,
                cpu_ms,
                limit_ms: slo.limit_us() as f64 / 1e3,
            });
        }
        misses
    }

    /// Latency of a route without a queue: the least of what was seen alone and the median under the lightest load.
    /// The least, because the first request of a journey played alone also pays for a cold app.
    pub fn solo_us(&self, route: &Route) -> Option<f64> {
        let played = self.run.facts.iter().filter_map(|stamped| match &stamped.fact {
            Fact::JourneyPlayed { steps, .. } => Some(steps),
            _ => None,
        });
        let alone = played
            .flatten()
            .filter(|s| s.route == *route && s.problem.is_none())
            .map(|s| s.latency_us as f64);
        let medians = self.open(WHOLE).filter_map(|w| {
            let seen = w.route(route);
            (seen.service.count() >= 5).then(|| seen.service.quantile_us(0.5) as f64)
        });
        alone.chain(medians).reduce(f64::min)
    }
}

/// Is a route's time alone mostly CPU?
pub fn is_cpu_bound(miss: &SoloMiss) -> bool {
    miss.cpu_ms >= CPU_BOUND_SHARE * miss.latency_ms
}

/// The load of a window in users per second, if it is open.
pub fn open_load(window: &Window) -> Option<f64> {
    match window.plan.load {
        Load::Open { users_per_s } => Some(users_per_s),
        Load::Closed { .. } | Load::Arriving(_) => None,
    }
}

/// The whole and its control, as arrangements.
pub fn controls() -> [Arrangement; 2] {
    [Arrangement::whole(), Arrangement::control()]
}
