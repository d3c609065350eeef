//! Service demands: CPU seconds per request of each route, from windows in which one route after another is made hot.
//!
//! The utilization law (Denning & Buzen, ACM Computing Surveys 10, 1978): CPU used = background x time + connections x cost of one + sum over
//! routes of requests x demand. Connections have a cost of their own because each user brings one, and nobody repeats it: without it the
//! first request of every journey would seem dear.
//! One row per window; weighted non-negative least squares. Rows are windows and not seconds, because a request counts in the second in
//! which it ended while its CPU may have been used in the second before: over a window only its two edges suffer.
//!
//! Windows with emphasis (one route takes about 70 % of the CPU) are about ten times better than natural traffic, whose routes rise and fall
//! together. The demand is the CPU's at that load: at rest an app wakes up from idle for every request, which costs more; where many threads
//! fight for a lock or an interpreter, it costs more under load. So demands hold near the loads at which they were measured.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::{Arrangement, Emphasis, Estimate, Fact, Load, Route, Run, Window};

use crate::judgement::{ConnectionDemand, RouteDemand};
use crate::{nnls, stats};

/// Share of the app's CPU that an emphasised route should get.
const HOT_SHARE: f64 = 0.80;
/// A request is repeated at most so often, so that a journey stays a journey.
const MOST_TIMES: u32 = 50;
/// A route with more errors than this in its own window tells what an error costs, not what an answer costs.
const MOST_ERRORS: f64 = 0.05;
/// Half width of a demand's interval, as a share, beyond which it is vague.
const VAGUE: f64 = 0.25;
/// Below this share of busy CPUs a window shows latency almost without queueing.
const LIGHT_SHARE: f64 = 0.30;
/// Answers from which a spread may be computed.
const ENOUGH_FOR_SPREAD: u64 = 30;

/// The scatter of a window's CPU is about proportional to it (caches, frequencies: 3 %), down to this many cores, below which clocks and
/// edges scatter more.
const QUIET_CORES: f64 = 0.05;
/// Weight of a guess: a window's residual of 3 % weighs as much as a guess that is wrong by its whole self.
const GUESS_WEIGHT: f64 = 0.03;
/// CPU that an app may burn without requests, as a guess.
const GUESSED_BACKGROUND_CORES: f64 = 0.03;
/// CPU that a new connection may cost, as a guess: an event loop that makes a dozen objects for it takes 0.5 ms, a process that forks a few.
const GUESSED_CONNECTION_S: f64 = 0.000_5;
/// CPU of a request under load over its latency alone, at most: caches are colder and locks dearer among many.
const MOST_OF_SOLO: f64 = 1.5;
/// Scatter of a window's weighted CPU that is there in any case.
const SCATTER: f64 = 0.03;
/// So many times the scatter's square (four standard deviations) speak against a bound.
const CONTRADICTS: f64 = 16.0;
/// With more connections per request than this the app (or its protocol) keeps none: then a connection is a part of every request.
const KEPT_NONE: f64 = 0.5;

/// What each route costs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Demands {
    /// Descending by share.
    pub routes: Vec<RouteDemand>,
    /// CPU that the app burns without requests.
    pub background_cores: Option<Estimate>,
    /// What a new connection costs, where the app keeps connections.
    pub connection: Option<ConnectionDemand>,
    /// Solo latency less CPU: what a request of the route waits for (disk, database, timers).
    pub wait_ms: BTreeMap<Route, f64>,
    /// Standard deviation of the service time over its mean, where light windows show it.
    pub service_cv: BTreeMap<Route, f64>,
    /// Routes whose cost could not be told well: errors in their own window, or an interval wider than +-25 %.
    pub vague: Vec<Route>,
}

impl Demands {
    /// CPU milliseconds of an average request that go to its part of a connection.
    pub fn connection_ms_per_request(&self) -> f64 {
        self.connection.map_or(0.0, |c| c.cpu_ms.mid * c.per_request)
    }

    /// CPU seconds that a window's requests should have cost.
    pub fn cpu_s(&self, window: &Window) -> f64 {
        let ended = ended(window);
        let of = |d: &RouteDemand| ended.get(&d.route).map_or(0.0, |&n| n as f64 * d.cpu_ms.mid / 1e3);
        let connections_s = self.connection.map_or(0.0, |c| c.cpu_ms.mid / 1e3) * connects(window);
        let background_s = self.background_cores.map_or(0.0, |b| b.mid) * elapsed_s(window);
        self.routes.iter().map(of).sum::<f64>() + connections_s + background_s
    }
}

/// The demands of every route that the windows of the whole show. Empty while there are fewer windows than unknowns.
///
/// Give it windows for which [`crate::validity::void_for_cpu`] finds nothing.
pub fn demands(run: &Run, windows: &[Window]) -> Demands {
    let mix = mix(run);
    let windows = evidence(windows);
    let all = columns(&windows);
    let columns: Vec<&Route> = all.iter().collect();
    let solo_ms = solo_ms(run, &windows);
    let mut found = Demands { service_cv: service_cv(&windows), ..Demands::default() };

    let keeps = keeps_connections(&windows);
    let (rows, cpu) = design(&windows, &columns, keeps);
    let most_s: Vec<Option<f64>> = columns
        .iter()
        .map(|route| solo_ms.get(*route).filter(|_| !windows.iter().any(|w| is_emphasised(w, route))))
        .map(|solo_ms| solo_ms.map(|ms| ms * MOST_OF_SOLO / 1e3))
        .collect();
    let Some((solution, most_s)) = within(&rows, &cpu, most_s) else { return found };
    let half = stats::t_975(solution.degrees);
    let estimate = |i: usize, unit: f64| {
        let (x, error) = (solution.coefficients[i], solution.errors[i]);
        let most = most_s.get(i).copied().flatten();
        let held = most.is_some_and(|most| x >= most);
        let low = if held { 0.0 } else { (x - half * error).max(0.0) };
        Estimate::new(x, low, most.unwrap_or(f64::INFINITY).min(x + half * error).max(x)).scaled(unit)
    };
    let total: f64 = columns
        .iter()
        .enumerate()
        .map(|(i, route)| mix.get(*route).copied().unwrap_or(0.0) * solution.coefficients[i])
        .sum();
    if keeps {
        let cpu_ms = estimate(columns.len() + CONNECTION, 1e3);
        found.connection = Some(ConnectionDemand { cpu_ms, per_request: connections_per_request(&windows) });
    }
    let total = total + found.connection_ms_per_request() / 1e3;
    for (i, &route) in columns.iter().enumerate() {
        let cpu_ms = estimate(i, 1e3);
        let mix = mix.get(route).copied().unwrap_or(0.0);
        let solo_ms = solo_ms.get(route).copied();
        let share = if total > 0.0 { mix * solution.coefficients[i] / total } else { 0.0 };
        if let Some(solo_ms) = solo_ms {
            found.wait_ms.insert(route.clone(), (solo_ms - cpu_ms.mid).max(0.0));
        }
        let fails = windows.iter().any(|w| is_emphasised(w, route) && fails_when_hot(w));
        if cpu_ms.half_width_share() > VAGUE || fails {
            found.vague.push(route.clone());
        }
        found.routes.push(RouteDemand { route: route.clone(), cpu_ms, share, solo_ms, mix });
    }
    found.background_cores = Some(estimate(columns.len() + BACKGROUND, 1.0));
    found.routes.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.route.cmp(&b.route)));
    found
}

/// The solution in which no route costs more than the most that is given for it, and the bounds that hold.
///
/// While a request is alone, one thread cannot use more CPU for it than the answer takes. That bounds a route that no window made
/// hot, whose cost is otherwise anybody's among its neighbours in the journey. **It does not hold** where a request is worked on by
/// several threads or processes at once, or after it was answered; then the windows fit clearly worse with the bounds than
/// without, and the bounds are dropped.
fn within(
    rows: &[Vec<f64>],
    cpu: &[f64],
    mut most: Vec<Option<f64>>,
) -> Option<(nnls::Solution, Vec<Option<f64>>)> {
    let without = nnls::solve(rows, cpu)?;
    let mut held: Vec<Option<f64>> = vec![None; without.coefficients.len()];
    let mut with = without.clone();
    loop {
        let over =
            |i: &usize| held[*i].is_none() && most[*i].is_some_and(|most| with.coefficients[*i] > most);
        let over: Vec<usize> = (0..most.len()).filter(over).collect();
        if over.is_empty() {
            return Some((with, most));
        }
        over.into_iter().for_each(|i| held[i] = most[i]);
        let Some(solution) = nnls::solve_with_held(rows, cpu, &held) else { break };
        let scatter = (without.squares / without.degrees as f64).max(SCATTER.powi(2));
        if solution.squares - without.squares > CONTRADICTS * scatter {
            break;
        }
        with = solution;
    }
    most.fill(None);
    Some((without, most))
}

/// Requests of each route per request of the journeys' mix; they sum to 1.
pub fn mix(run: &Run) -> BTreeMap<Route, f64> {
    let mut counts: BTreeMap<Route, f64> = BTreeMap::new();
    for journey in &run.header.journeys {
        for step in &journey.steps {
            *counts.entry(step.route.clone()).or_default() += journey.weight;
        }
    }
    let total: f64 = counts.values().sum();
    counts.into_iter().filter(|_| total > 0.0).map(|(route, n)| (route, n / total)).collect()
}

/// Windows that tell what an answer costs. One in which the emphasised request was refused because it was sent twice is left out: there is
/// another, in which it is the last of its journey.
pub(crate) fn evidence(windows: &[Window]) -> Vec<&Window> {
    let is_evidence = |w: &&Window| {
        w.plan.arrangement.name == Arrangement::whole().name
            && w.done() > 0
            && w.app_cpu_s() > 0.0
            && !refuses_repetition(w)
    };
    windows.iter().filter(is_evidence).collect()
}

/// Does the app refuse the emphasised request when it is repeated, as it does a form whose token is used up?
pub fn refuses_repetition(window: &Window) -> bool {
    window.plan.emphasis.as_ref().is_some_and(|e| e.times > 1) && fails_when_hot(window)
}

/// The routes that the windows show.
pub(crate) fn columns(windows: &[&Window]) -> Vec<Route> {
    let seen: BTreeSet<&Route> = windows.iter().flat_map(|w| ended(w).into_keys()).collect();
    seen.into_iter().cloned().collect()
}

/// The regression of [`demands`]: a row for each window and some guesses behind them, a column for each route and some others
/// behind them; and the CPU.
pub(crate) fn design_of(windows: &[&Window], routes: &[Route]) -> (Vec<Vec<f64>>, Vec<f64>) {
    design(windows, &routes.iter().collect::<Vec<_>>(), keeps_connections(windows))
}

/// Columns behind the routes' columns.
const BACKGROUND: usize = 0;
const CONNECTION: usize = 1;

/// One row per window, one column per route, one for the background, and one for new connections where the app keeps them, against CPU
/// seconds; all weighted. Two weak rows expect little of the last two.
fn design(windows: &[&Window], routes: &[&Route], keeps_connections: bool) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut rows = Vec::with_capacity(windows.len());
    let mut cpu = Vec::with_capacity(windows.len());
    for window in windows {
        let used = window.app_cpu_s();
        let elapsed = elapsed_s(window);
        let weight = 1.0 / (used + QUIET_CORES * elapsed);
        let seen = ended(window);
        let mut row: Vec<f64> =
            routes.iter().map(|r| seen.get(*r).copied().unwrap_or(0) as f64 * weight).collect();
        row.push(elapsed * weight);
        if keeps_connections {
            row.push(connects(window) * weight);
        }
        rows.push(row);
        cpu.push(used * weight);
    }
    if !rows.is_empty() {
        // Windows in which the app is always busy cannot tell background from requests: CPU equals time in all of them, as it would for an
        // app that burns one core whatever it is asked. Nor can windows tell a connection from the first request of a journey.
        let width = routes.len() + 1 + usize::from(keeps_connections);
        let guesses = [(BACKGROUND, GUESSED_BACKGROUND_CORES), (CONNECTION, GUESSED_CONNECTION_S)];
        for (column, guess) in guesses.into_iter().filter(|(column, _)| routes.len() + column < width) {
            let mut row = vec![0.0; width];
            row[routes.len() + column] = GUESS_WEIGHT / guess;
            rows.push(row);
            cpu.push(0.0);
        }
    }
    (rows, cpu)
}

fn elapsed_s(window: &Window) -> f64 {
    window.probes.iter().map(|p| p.elapsed_s).sum()
}

/// Connections that were opened.
fn connects(window: &Window) -> f64 {
    window.crowd.iter().map(|second| second.connects).sum::<u64>() as f64
}

/// Does the app let users keep their connections, so that the cost of one can be told from the cost of a request?
fn keeps_connections(windows: &[&Window]) -> bool {
    let opened: f64 = windows.iter().map(|w| connects(w)).sum();
    let ended: u64 = windows.iter().map(|w| w.done()).sum();
    opened > 0.0 && opened <= KEPT_NONE * ended as f64
}

/// In the journeys' own mix.
fn connections_per_request(windows: &[&Window]) -> f64 {
    let natural = windows.iter().filter(|w| w.plan.emphasis.is_none());
    let (opened, ended) = natural.fold((0.0, 0), |(opened, n), w| (opened + connects(w), n + w.done()));
    opened / ended.max(1) as f64
}

/// Requests of each route that ended within the window, right or wrong: the CPU of those that came behind it was used behind it.
fn ended(window: &Window) -> BTreeMap<&Route, u64> {
    let mut ended: BTreeMap<&Route, u64> = BTreeMap::new();
    for (route, seen) in window.crowd.iter().flat_map(|second| &second.routes) {
        *ended.entry(route).or_default() += seen.done();
    }
    ended.retain(|_, n| *n > 0);
    ended
}

fn is_emphasised(window: &Window, route: &Route) -> bool {
    window.plan.emphasis.as_ref().is_some_and(|e| e.route == *route)
}

fn fails_when_hot(window: &Window) -> bool {
    let Some(emphasis) = &window.plan.emphasis else { return false };
    let seen = window.route(&emphasis.route);
    seen.error_count() as f64 > MOST_ERRORS * seen.ended() as f64
}

/// Latency of a request that is alone: from the journeys that were played alone, or from light windows if those were faster (the first
/// request of a fresh process is often its slowest).
fn solo_ms(run: &Run, windows: &[&Window]) -> BTreeMap<Route, f64> {
    let mut solo = played_ms(run);
    for window in windows.iter().filter(|w| is_light(w)) {
        for (route, seen) in window.routes() {
            if seen.service.count() >= ENOUGH_FOR_SPREAD {
                let mean_ms = seen.service.mean_us() / 1e3;
                solo.entry(route).and_modify(|ms| *ms = ms.min(mean_ms)).or_insert(mean_ms);
            }
        }
    }
    solo
}

/// Median over the times that a route was played alone and answered rightly.
fn played_ms(run: &Run) -> BTreeMap<Route, f64> {
    let mut played: BTreeMap<Route, Vec<f64>> = BTreeMap::new();
    for stamped in &run.facts {
        if let Fact::JourneyPlayed { arrangement, steps, .. } = &stamped.fact
            && *arrangement == Arrangement::whole().name
        {
            for step in steps.iter().filter(|s| s.problem.is_none() && s.status.is_some()) {
                played.entry(step.route.clone()).or_default().push(step.latency_us as f64 / 1e3);
            }
        }
    }
    played.into_iter().filter_map(|(route, ms)| Some((route, stats::median(&ms)?))).collect()
}

/// Hardly any request meets another: one user, or one core mostly idle (which is light for one thread and for many).
fn is_light(window: &Window) -> bool {
    let elapsed = elapsed_s(window);
    window.plan.load == (Load::Closed { users: 1 }) || window.app_cpu_s() < LIGHT_SHARE * elapsed
}

fn service_cv(windows: &[&Window]) -> BTreeMap<Route, f64> {
    let mut light: Vec<&&Window> = windows.iter().filter(|w| is_light(w)).collect();
    let cores = |w: &Window| w.app_cpu_s() / elapsed_s(w);
    light.sort_by(|a, b| cores(b).total_cmp(&cores(a)));
    let mut spread = BTreeMap::new();
    // The lightest window comes last and wins.
    for window in light {
        for (route, seen) in window.routes() {
            if seen.service.count() >= ENOUGH_FOR_SPREAD {
                spread.insert(route, seen.service.stdev_us() / seen.service.mean_us().max(1.0));
            }
        }
    }
    spread
}

/// A guess of CPU milliseconds per request, to design the next window by: latency alone, scaled so that the mix costs what it costs flat out,
/// and corrected by every window so far.
///
/// Latency alone is wrong for routes that mostly wait: they would not be repeated often enough to show. So give it all windows, also those
/// of the demands: the first in which such a route should have been hot tells that it was not.
pub fn first_guess_ms(run: &Run, windows: &[Window]) -> BTreeMap<Route, f64> {
    let mut guess = played_ms(run);
    let mix = mix(run);
    let windows = evidence(windows);
    let by_latency_ms: f64 =
        guess.iter().map(|(route, ms)| ms * mix.get(route).copied().unwrap_or(0.0)).sum();
    let natural = windows.iter().filter(|w| w.plan.emphasis.is_none());
    let (cpu_s, requests) = natural.fold((0.0, 0), |(cpu, n), w| (cpu + w.app_cpu_s(), n + w.done()));
    if requests > 0 && by_latency_ms > 0.0 {
        let scale = cpu_s * 1e3 / requests as f64 / by_latency_ms;
        guess.values_mut().for_each(|ms| *ms *= scale);
    }

    let routes: Vec<Route> =
        guess.iter().filter(|(_, ms)| **ms > 0.0).map(|(route, _)| route.clone()).collect();
    let keeps = keeps_connections(&windows);
    let (mut rows, mut cpu) = design(&windows, &routes.iter().collect::<Vec<_>>(), keeps);
    // The guess joins as one weak row per unknown, so that few windows already correct it.
    for (i, route) in routes.iter().enumerate() {
        let mut row = vec![0.0; routes.len() + 1 + usize::from(keeps)];
        row[i] = GUESS_WEIGHT * 1e3 / guess[route];
        rows.push(row);
        cpu.push(GUESS_WEIGHT);
    }
    if let Some(solution) = nnls::solve(&rows, &cpu).filter(|_| !windows.is_empty()) {
        for (route, x) in routes.into_iter().zip(solution.coefficients) {
            guess.insert(route, x * 1e3);
        }
    }
    guess
}

/// The windows that tell every route's cost, in the order in which to run them: each route hot once, then once more the other way round, so
/// that what drifts (caches, heaps, neighbours) falls on all alike.
///
/// A route is repeated until it gets about 70 % of the CPU; one that has it by itself is not repeated (`times` 1).
pub fn emphases(cpu_ms: &BTreeMap<Route, f64>, mix: &BTreeMap<Route, f64>) -> Vec<Emphasis> {
    let cost = |route: &Route, share: f64| share * cpu_ms.get(route).copied().unwrap_or(0.0);
    let total: f64 = mix.iter().map(|(route, &share)| cost(route, share)).sum();
    let once = mix.iter().filter(|(_, share)| **share > 0.0).map(|(route, &share)| {
        let own = cost(route, share);
        let times = HOT_SHARE / (1.0 - HOT_SHARE) * (total - own) / own;
        // A route without a guess costs nothing as far as is known, so it is repeated as often as may be.
        let times = if times.is_nan() {
            f64::from(MOST_TIMES)
        } else {
            times.ceil().clamp(1.0, f64::from(MOST_TIMES))
        };
        Emphasis { route: route.clone(), times: times as u32, ends: false }
    });
    let there: Vec<Emphasis> = once.collect();
    there.iter().rev().cloned().collect::<Vec<_>>().into_iter().fold(there.clone(), |mut all, e| {
        all.push(e);
        all
    })
}
