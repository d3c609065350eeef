//! Capacity: the largest load that still meets the SLO, with a 95 % interval, from a dozen short windows.
//!
//! A window's quantile is a poor witness: its scatter is 15 to 30 % near the knee. The *share of requests over the limit* is a better
//! one, because its logarithm is almost straight in load. For M/M/1, P(T > t) = exp(-(mu - lambda) t) exactly (Kleinrock, "Queueing
//! Systems" 1, 1975, §5.12; first come, first served); for M/G/1 and GI/G/1 the tail is exponential with a rate that is about linear in
//! the idle share (Kingman's heavy-traffic limit, 1961). So per route
//!
//! ```text
//! share over the limit at load x = target * exp(slope * (x / crossing - 1)),   at most 1
//! ```
//!
//! where `target` is 1 - quantile of the SLO. The crossing's posterior is computed on a grid over crossing and slope, with a weak
//! prior on the slope. Requests over the limit come in clusters (busy periods), so their scatter is far above binomial: a compound
//! Poisson (Tweedie) deviance of power 1.5 (Jørgensen, J. R. Statist. Soc. B 49, 1987), with its dispersion integrated out, which gives
//! the interval Student-t tails when windows are few.
//!
//! It does not hold where latency does not rise with load (then the bound is `AtLeast` or `AtMost`), nor far from the crossing, so
//! distant windows count little.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::config::Goal;
use fissure_facts::{Estimate, Load, Route, Window};

/// A route is judged when at least so many of its requests would be over the limit at the goal: fewer tell nothing.
const FEWEST_EXPECTED_OVER: f64 = 5.0;
/// An error goal of 0 % cannot be tested by finitely many requests; it is read as 1 in 1,000.
const LEAST_ERROR_SHARE: f64 = 0.001;
/// Searching ends when the interval's half width is below this share.
const PRECISE_ENOUGH: f64 = 0.05;

/// One window, as far as capacity is concerned.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadPoint {
    /// Users arriving per second, as planned.
    pub users_per_s: f64,
    /// Per route: requests over the SLO's limit or failed, of all requests.
    pub routes: BTreeMap<Route, (u64, u64)>,
    /// Failed requests, of all requests.
    pub errors: (u64, u64),
    /// Requests that were planned in the measured seconds: what the load really was.
    pub requests: u64,
    pub seconds: f64,
    /// More requests were inside at the end than chance explains: the load is more than the app can serve.
    pub growing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The capacity lies among the loads that were tried.
    Inside,
    /// Even the largest load that was tried met the goal: it is `mid`, and `high` is a guess.
    AtLeast,
    /// Even the smallest load that was tried missed the goal; `low` is zero.
    AtMost,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CapacityFit {
    pub users_per_s: Estimate,
    pub bound: Bound,
    /// Routes that miss their SLO first, the first one first. Empty when none does.
    pub victims: Vec<Route>,
    /// Routes met too rarely to be judged, with their requests.
    pub rare: Vec<(Route, u64)>,
}

/// What a window says about capacity.
pub fn load_point(window: &Window, goal: &Goal) -> LoadPoint {
    let mut routes = BTreeMap::new();
    let mut errors = (0, 0);
    for (route, seen) in window.routes() {
        let failed = seen.error_count();
        let over = seen.latency.count_over(goal.slo_of(&route).limit_us());
        errors.0 += failed;
        errors.1 += seen.ended();
        routes.insert(route, (over + failed, seen.ended()));
    }
    LoadPoint {
        users_per_s: match window.plan.load {
            Load::Open { users_per_s } => users_per_s,
            Load::Closed { .. } => {
                window.crowd.iter().map(|s| s.users_arrived).sum::<u64>() as f64 / window.seconds().max(1.0)
            }
        },
        routes,
        errors,
        requests: window.crowd.iter().map(|s| s.planned).sum(),
        seconds: window.seconds(),
        growing: is_growing(window),
    }
}

/// In-flight drift, the quickest sign of a load above capacity: arrivals minus answers of a stable queue stay within about three
/// standard deviations of a Poisson count.
fn is_growing(window: &Window) -> bool {
    let seconds = &window.crowd;
    let (Some(first), Some(last)) = (seconds.first(), seconds.last()) else { return false };
    let middle = &seconds[seconds.len() / 2];
    let planned: u64 = seconds.iter().skip(1).map(|s| s.planned).sum();
    let growth = last.in_flight as f64 - first.in_flight as f64;
    // A slow app fills up during the first seconds at any load; a queue without end also grows in the second half.
    let late_growth = last.in_flight as f64 - middle.in_flight as f64;
    seconds.len() > 1
        && growth > 3.0 * (planned as f64).sqrt()
        && (seconds.len() < 3 || late_growth > growth / 3.0)
}

/// One line of evidence: share `over` of `n` requests at load `x`.
#[derive(Debug, Clone, Copy)]
struct Seen {
    load: f64,
    over: f64,
    n: f64,
}

/// The load at which one route (or the errors) crosses its target.
#[derive(Debug, Clone, Copy)]
struct Crossing {
    mid: f64,
    low: f64,
    high: f64,
}

/// The largest load that meets the goal on every route. None without points, or when every route is rare.
pub fn fit(points: &[LoadPoint], goal: &Goal) -> Option<CapacityFit> {
    let loads = real_loads(points);
    let lowest = points.iter().map(|p| p.users_per_s).min_by(f64::total_cmp)?;
    let highest = points.iter().map(|p| p.users_per_s).max_by(f64::total_cmp)?;
    let mut rare = Vec::new();
    let mut crossings: Vec<(Option<Route>, Crossing)> = Vec::new();

    let routes: BTreeSet<&Route> = points.iter().flat_map(|p| p.routes.keys()).collect();
    for route in routes {
        let target = 1.0 - goal.slo_of(route).quantile();
        let seen = series(points, &loads, |p| p.routes.get(route).copied().unwrap_or_default());
        let requests: f64 = seen.iter().map(|s| s.n).sum();
        if requests * target < FEWEST_EXPECTED_OVER {
            rare.push((route.clone(), requests as u64));
        } else if let Some(crossing) = crossing(&seen, target) {
            crossings.push((Some(route.clone()), crossing));
        }
    }
    let errors = series(points, &loads, |p| p.errors);
    let target = goal.errors.0.max(LEAST_ERROR_SHARE);
    if errors.iter().any(|e| e.over > 0.0)
        && let Some(crossing) = crossing(&errors, target)
    {
        crossings.push((None, crossing));
    }

    crossings.sort_by(|a, b| a.1.mid.total_cmp(&b.1.mid));
    let least = |of: fn(&Crossing) -> f64| crossings.iter().map(|(_, c)| of(c)).min_by(f64::total_cmp);
    let (mid, low, high) = (least(|c| c.mid)?, least(|c| c.low)?, least(|c| c.high)?);
    // Within a grid step of the edge, the posterior only repeats the prior.
    let (users_per_s, bound) = if mid > highest * EDGE {
        (Estimate::new(highest, low.min(highest), high.max(highest)), Bound::AtLeast)
    } else if mid < lowest / EDGE {
        (Estimate::new(mid, 0.0, high.clamp(mid, lowest.max(mid))), Bound::AtMost)
    } else {
        (Estimate::new(mid, low, high), Bound::Inside)
    };
    let victims = match bound {
        Bound::AtLeast => Vec::new(),
        _ => crossings.into_iter().filter(|(_, c)| c.mid <= high).filter_map(|(route, _)| route).collect(),
    };
    Some(CapacityFit { users_per_s, bound, victims, rare })
}

/// How far outside the loads that were tried a crossing may be claimed.
const EDGE: f64 = 1.03;

/// The loads as they really were: arrivals are random, and a window that happened to get 3 % more of them is a window at a higher load.
/// It takes most of the scatter off short windows (a control variate).
fn real_loads(points: &[LoadPoint]) -> Vec<f64> {
    let steady = || points.iter().filter(|p| !p.growing);
    let planned: f64 = steady().map(|p| p.users_per_s * p.seconds).sum();
    let requests: u64 = steady().map(|p| p.requests).sum();
    points
        .iter()
        .map(|p| {
            let expected = p.users_per_s * p.seconds * requests as f64 / planned;
            if p.growing || expected.is_nan() || expected <= 0.0 {
                return p.users_per_s;
            }
            let more = p.requests as f64 / expected - 1.0;
            p.users_per_s * (1.0 + REAL_LOAD_WEIGHT * more.clamp(-0.2, 0.2))
        })
        .collect()
}

/// How much of a window's surplus of arrivals counts: less than all, since a queue does not have the time to follow.
const REAL_LOAD_WEIGHT: f64 = 0.7;

fn series(points: &[LoadPoint], loads: &[f64], of: impl Fn(&LoadPoint) -> (u64, u64)) -> Vec<Seen> {
    points
        .iter()
        .zip(loads)
        .map(|(point, &load)| {
            let (over, n) = of(point);
            // A queue that grows has no steady latency: sooner or later every request would be over.
            let over = if point.growing { n } else { over };
            Seen { load, over: over as f64, n: n as f64 }
        })
        .filter(|s| s.n > 0.0)
        .collect()
}

/// Steps of the grid over crossings and over slopes.
const CROSSINGS: usize = 96;
const SLOPES: usize = 14;
/// The prior of the slope: for M/M/1 it is ln(1/target) * rho / (1 - rho); rho/(1-rho) is about 4 (a crossing at 80 % load), within a
/// factor of three either way.
const TYPICAL_ODDS: f64 = 4.0;
const ODDS_SPREAD: f64 = 1.1;
/// Windows that the prior of the dispersion is worth.
const PRIOR_WINDOWS: f64 = 2.0;
/// Relative distance from the crossing at which a window counts half.
const BANDWIDTH: f64 = 0.3;

/// Posterior of the crossing: middle and 95 % interval.
fn crossing(seen: &[Seen], target: f64) -> Option<Crossing> {
    let lowest = seen.iter().map(|s| s.load).min_by(f64::total_cmp)?;
    let highest = seen.iter().map(|s| s.load).max_by(f64::total_cmp)?;
    let mut range = (lowest * 0.5, highest * 1.6);
    let mut centre = None;
    let mut found = None;
    // First the whole range, then where the mass is, with distant windows counting less.
    for _ in 0..3 {
        let posterior = Posterior::over(seen, target, range, centre);
        let crossing = Crossing {
            mid: posterior.quantile(0.5),
            low: posterior.quantile(0.025),
            high: posterior.quantile(0.975),
        };
        let (low, high) = (posterior.quantile(0.0005), posterior.quantile(0.9995));
        range = (low * 0.98, high * 1.02);
        centre = Some(crossing.mid);
        found = Some(crossing);
    }
    found
}

/// Marginal posterior of the crossing on a grid.
struct Posterior {
    /// Ascending loads, evenly spaced in their logarithm.
    loads: Vec<f64>,
    /// Sums to 1.
    weights: Vec<f64>,
}

impl Posterior {
    fn over(seen: &[Seen], target: f64, (low, high): (f64, f64), centre: Option<f64>) -> Self {
        let steps = (CROSSINGS - 1) as f64;
        let loads: Vec<f64> = (0..CROSSINGS).map(|i| low * (high / low).powf(i as f64 / steps)).collect();
        let weight_of = |s: &Seen| match centre {
            Some(centre) => 1.0 / (1.0 + ((s.load / centre - 1.0) / BANDWIDTH).powi(4)),
            None => 1.0,
        };
        let windows: Vec<Weighted> = seen
            .iter()
            .map(|s| Weighted {
                load: s.load,
                root_share: (s.over / s.n).sqrt(),
                weight: weight_of(s),
                n: s.n,
            })
            .collect();
        let count: f64 = windows.iter().map(|w| w.weight).sum();
        let bits = (1.0 / target).ln();
        let mut logs = vec![Vec::with_capacity(SLOPES); CROSSINGS];
        for j in 0..SLOPES {
            // Log-odds from -2.2 to 2.2 spreads around the typical: 0.36 to 45 times as steep as the flattest useful curve.
            let z = -2.2 + 4.4 * j as f64 / (SLOPES - 1) as f64;
            let odds = TYPICAL_ODDS * (z * ODDS_SPREAD).exp();
            let slope = bits * odds;
            // What the scatter would be for M/M/1: clusters of odds requests, geometric-like, so 1 + 2 odds^2 times Poisson.
            let dispersion = (1.0 + 2.0 * odds * odds) / target.sqrt();
            for (i, &crossing) in loads.iter().enumerate() {
                let deviance: f64 = windows.iter().map(|w| w.deviance(target, slope, crossing)).sum();
                logs[i].push(
                    -z * z / 2.0 + PRIOR_WINDOWS / 2.0 * dispersion.ln()
                        - (PRIOR_WINDOWS + count) / 2.0 * (PRIOR_WINDOWS * dispersion + deviance).ln(),
                );
            }
        }
        let most = logs.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut weights: Vec<f64> =
            logs.iter().map(|row| row.iter().map(|l| (l - most).exp()).sum()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= total);
        Self { loads, weights }
    }

    fn quantile(&self, quantile: f64) -> f64 {
        let mut below = 0.0;
        for i in 0..self.weights.len() {
            let with = below + self.weights[i];
            if with >= quantile {
                // Each weight stands for the cell around its load.
                let inside =
                    if self.weights[i] > 0.0 { (quantile - below) / self.weights[i] - 0.5 } else { 0.0 };
                let step = self.loads[1] / self.loads[0];
                return self.loads[i] * step.powf(inside);
            }
            below = with;
        }
        self.loads.last().copied().unwrap_or(f64::NAN)
    }
}

struct Weighted {
    load: f64,
    root_share: f64,
    weight: f64,
    n: f64,
}

impl Weighted {
    /// Tweedie deviance of power 1.5 in closed form: 4 n (sqrt y - sqrt mu)^2 / sqrt mu.
    fn deviance(&self, target: f64, slope: f64, crossing: f64) -> f64 {
        let root = (target.ln() + slope * (self.load / crossing - 1.0)).min(0.0).exp().sqrt().max(1e-6);
        self.weight * 4.0 * self.n * (self.root_share - root).powi(2) / root
    }
}

/// The next load worth measuring, in users per second; None when the interval is narrow enough, or more windows cannot tell.
///
/// Brackets the crossing from both sides within a few windows, then stays beside it, where a window tells most.
pub fn next_load(points: &[LoadPoint], goal: &Goal, saturation_users_per_s: f64) -> Option<f64> {
    let Some(fit) = fit(points, goal) else { return Some(saturation_users_per_s * 0.7) };
    let highest = points.iter().map(|p| p.users_per_s).fold(0.0, f64::max);
    let lowest = points.iter().map(|p| p.users_per_s).fold(f64::INFINITY, f64::min);
    match fit.bound {
        // Beyond what the app does flat out there is nothing to find.
        Bound::AtLeast if highest >= saturation_users_per_s * 1.08 => None,
        Bound::AtLeast => Some((highest * 1.15).min(saturation_users_per_s * 1.1)),
        Bound::AtMost if lowest <= saturation_users_per_s * 0.02 => None,
        Bound::AtMost => Some(fit.users_per_s.mid.clamp(lowest * 0.5, lowest * 0.85)),
        Bound::Inside => {
            let enough = points.len() >= 6 && fit.users_per_s.half_width_share() <= PRECISE_ENOUGH;
            const BESIDE: [f64; 4] = [0.97, 1.02, 0.94, 1.0];
            (!enough).then(|| fit.users_per_s.mid * BESIDE[points.len() % BESIDE.len()])
        }
    }
}
