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
//! Measured against simulated queues (`tests/capacity.rs`): intervals keep their promise; 12 windows of 4 s find the capacity of a queue of some
//! hundred requests per second within 2 % (half of the searches) and 6 % (nine of ten) where latency rises steeply, which it does for a p95
//! whose crossing is above half load. Flat curves and rare routes take more windows, and the interval says so. Above about 95 % load a queue
//! takes longer than a window to fill, so the capacity comes out some 5 % too high, and 88 instead of 95 in 100 intervals hold it.
//!
//! Tried and dropped: correcting each window's load by the work that arrived in it (a control variate). It narrowed the intervals without
//! making the estimates better, and coverage fell to 75 %.
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

impl CapacityFit {
    /// This capacity over another's. Both are estimates, so the interval of the ratio is the product of both (delta method
    /// on logs: relative half widths add in squares); it needs both capacities to be inside what was tried.
    pub fn over(&self, other: &Self) -> Option<Estimate> {
        if other.bound != Bound::Inside || other.users_per_s.mid <= 0.0 || self.bound == Bound::AtMost {
            return None;
        }
        let (a, b) = (self.users_per_s, other.users_per_s);
        let log_half = |e: Estimate| (half_log(e.high / e.mid), half_log(e.mid / e.low));
        let ((a_up, a_down), (b_up, b_down)) = (log_half(a), log_half(b));
        let mid = a.mid / b.mid;
        Some(Estimate::new(mid, mid * (-a_down.hypot(b_up)).exp(), mid * a_up.hypot(b_down).exp()))
    }

    /// The same, where no more than `most` can be served for long.
    pub fn at_most(self, most: Estimate) -> Self {
        let found = self.users_per_s;
        if found.mid <= most.mid {
            return self;
        }
        let high = found.high.min(most.high.max(found.mid));
        let users_per_s = Estimate::new(most.mid, found.low.min(most.low), high);
        Self { users_per_s, bound: Bound::Inside, ..self }
    }
}

/// Half a log interval; an open end counts as a doubling.
fn half_log(ratio: f64) -> f64 {
    if ratio.is_finite() && ratio > 0.0 { ratio.ln() } else { 2f64.ln() }
}

/// What a window says about capacity.
pub fn load_point(window: &Window, goal: &Goal) -> LoadPoint {
    // Counted by second: to add up histograms first would take ten times as long.
    let mut routes: BTreeMap<Route, (u64, u64)> = BTreeMap::new();
    let mut errors = (0, 0);
    let mut count = |route: &Route, over: u64, failed: u64, ended: u64| {
        let sum = routes.entry(route.clone()).or_default();
        *sum = (sum.0 + over + failed, sum.1 + ended);
        errors = (errors.0 + failed, errors.1 + ended);
    };
    for (route, seen) in window.crowd.iter().flat_map(|second| &second.routes) {
        let over = seen.latency.count_over(goal.slo_of(route).limit_us());
        count(route, over, seen.error_count(), seen.ended());
    }
    for (route, &unanswered) in window.end.iter().flat_map(|end| &end.unanswered) {
        count(route, 0, unanswered, unanswered);
    }
    LoadPoint {
        users_per_s: match window.plan.load {
            Load::Open { users_per_s } => users_per_s,
            Load::Closed { .. } | Load::Arriving(_) => {
                window.crowd.iter().map(|s| s.users_arrived).sum::<u64>() as f64 / window.seconds().max(1.0)
            }
        },
        routes,
        errors,
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

/// Do these windows together keep the goal, route by route? Routes met too rarely to tell are left out.
pub fn hold(points: &[LoadPoint], goal: &Goal) -> bool {
    let mut routes: BTreeMap<&Route, (u64, u64)> = BTreeMap::new();
    let mut errors = (0, 0);
    for point in points {
        errors = (errors.0 + point.errors.0, errors.1 + point.errors.1);
        for (route, (over, n)) in &point.routes {
            let sum = routes.entry(route).or_default();
            *sum = (sum.0 + over, sum.1 + n);
        }
    }
    let within = |over: u64, n: u64, target: f64| over as f64 <= target * n as f64;
    within(errors.0, errors.1, goal.errors.0.max(LEAST_ERROR_SHARE))
        && !points.iter().any(|p| p.growing)
        && routes.iter().all(|(route, &(over, n))| {
            let target = 1.0 - goal.slo_of(route).quantile();
            (n as f64 * target < FEWEST_EXPECTED_OVER && over as f64 <= FEWEST_EXPECTED_OVER)
                || within(over, n, target)
        })
}

/// How far outside the loads that were tried a crossing may be claimed.
const EDGE: f64 = 1.03;

/// The largest load that meets the goal on every route. None without requests.
pub fn fit(points: &[LoadPoint], goal: &Goal) -> Option<CapacityFit> {
    let points: Vec<&LoadPoint> = points.iter().filter(|p| p.users_per_s > 0.0 && p.errors.1 > 0).collect();
    let lowest = points.iter().map(|p| p.users_per_s).min_by(f64::total_cmp)?;
    let highest = points.iter().map(|p| p.users_per_s).max_by(f64::total_cmp)?;
    let all: f64 = points.iter().map(|p| p.errors.1 as f64).sum();

    let mut rare = Vec::new();
    let mut crossings = Vec::new();
    let routes: BTreeSet<&Route> = points.iter().flat_map(|p| p.routes.keys()).collect();
    for route in routes {
        let target = 1.0 - goal.slo_of(route).quantile();
        let seen = series(&points, |p| p.routes.get(route).copied().unwrap_or_default());
        let (requests, over) = seen.iter().fold((0.0, 0.0), |sum, s| (sum.0 + s.n, sum.1 + s.over));
        if requests * target < FEWEST_EXPECTED_OVER && over <= FEWEST_EXPECTED_OVER {
            rare.push((route.clone(), requests as u64));
        } else {
            crossings.extend(Crossing::of(Some(route), &seen, target, requests / all));
        }
    }
    // What is rare by itself says something together.
    let of_rare = |p: &LoadPoint| {
        let seen = rare.iter().filter_map(|(route, _)| p.routes.get(route));
        seen.fold((0, 0), |sum, r| (sum.0 + r.0, sum.1 + r.1))
    };
    let (target, seen) = (1.0 - goal.slo.quantile(), series(&points, of_rare));
    let requests: f64 = seen.iter().map(|s| s.n).sum();
    if crossings.is_empty() || requests * target >= FEWEST_EXPECTED_OVER {
        crossings.extend(Crossing::of(None, &seen, target, requests / all));
    }
    draw_together(&mut crossings);
    if points.iter().any(|p| p.errors.0 > 0) {
        let seen: Vec<Seen> = points
            .iter()
            .map(|p| Seen { load: p.users_per_s, over: p.errors.0 as f64, n: p.errors.1 as f64 })
            .collect();
        crossings.extend(Crossing::of(None, &seen, goal.errors.0.max(LEAST_ERROR_SHARE), 1.0));
    }

    crossings.sort_by(|a, b| a.at.mid.total_cmp(&b.at.mid));
    let least = |of: fn(&Estimate) -> f64| crossings.iter().map(|c| of(&c.at)).min_by(f64::total_cmp);
    let (mid, low, high) = (least(|c| c.mid)?, least(|c| c.low)?, least(|c| c.high)?);
    let (users_per_s, bound) = if mid > highest * EDGE {
        (Estimate::new(highest, low.min(highest), high.max(highest)), Bound::AtLeast)
    } else if mid < lowest / EDGE {
        (Estimate::new(mid, 0.0, high.clamp(mid, lowest.max(mid))), Bound::AtMost)
    } else {
        (Estimate::new(mid, low, high), Bound::Inside)
    };
    let victims = match bound {
        Bound::AtLeast => Vec::new(),
        _ => crossings.iter().filter(|c| c.at.mid <= high).filter_map(|c| c.route.cloned()).collect(),
    };
    Some(CapacityFit { users_per_s, bound, victims, rare })
}

/// One window of one route: `over` of `n` requests at `load` missed the limit.
#[derive(Debug, Clone, Copy)]
struct Seen {
    load: f64,
    over: f64,
    n: f64,
}

fn series(points: &[&LoadPoint], of: impl Fn(&LoadPoint) -> (u64, u64)) -> Vec<Seen> {
    points
        .iter()
        .map(|point| {
            let (over, n) = of(point);
            // A queue that grows has no steady latency: sooner or later every request would be over.
            let over = if point.growing { n } else { over };
            Seen { load: point.users_per_s, over: over as f64, n: n as f64 }
        })
        .filter(|s| s.n > 0.0)
        .collect()
}

/// The load at which one route (or the errors, or all routes together) crosses its target.
struct Crossing<'r> {
    route: Option<&'r Route>,
    at: Estimate,
    /// Variance of ln(crossing) by the few requests of this route alone, apart from what all routes of a window share.
    own_variance: f64,
}

/// Steps of the grid over crossings and over slopes.
const CROSSINGS: usize = 64;
const SLOPES: usize = 12;
/// The prior of the slope: for M/M/1 it is ln(1/target) * odds, where odds = rho / (1 - rho) at the crossing. 2 is a crossing at 67 % load;
/// one spread either way is 45 % to 83 %, two are 25 % to 92 %.
const TYPICAL_ODDS: f64 = 2.0;
const SPREAD_OF_LN_ODDS: f64 = 0.9;
/// The grid ends at so many spreads.
const MOST_SPREADS: f64 = 2.2;
/// Windows that the prior of the dispersion is worth.
const PRIOR_WINDOWS: f64 = 2.0;
/// Distance from the crossing, as a share of it, at which a window counts half.
const BANDWIDTH: f64 = 0.4;

impl<'r> Crossing<'r> {
    /// `part`: the share of all requests that is of this kind.
    fn of(route: Option<&'r Route>, seen: &[Seen], target: f64, part: f64) -> Option<Self> {
        let lowest = seen.iter().map(|s| s.load).min_by(f64::total_cmp)?;
        let highest = seen.iter().map(|s| s.load).max_by(f64::total_cmp)?;
        // First the whole range; then where the mass is, with distant windows counting less and the dispersion that fits the slope.
        let wide = Posterior::over(
            seen,
            target,
            (lowest * 0.5, highest * 1.6),
            |_| 1.0,
            dispersion(TYPICAL_ODDS, part),
        );
        let mut found = wide;
        for _ in 0..2 {
            let centre = found.quantile(0.5);
            let near = |load: f64| 1.0 / (1.0 + ((load / centre - 1.0) / BANDWIDTH).powi(4));
            let range = (found.quantile(0.0005) * 0.98, found.quantile(0.9995) * 1.02);
            found = Posterior::over(seen, target, range, near, dispersion(found.odds, part));
        }
        let expected: f64 = seen.iter().map(|s| s.n * target).sum();
        let slope = (1.0 / target).ln() * found.odds;
        Some(Self {
            route,
            at: Estimate::new(found.quantile(0.5), found.quantile(0.025), found.quantile(0.975)),
            own_variance: 1.0 / (expected * slope * slope),
        })
    }
}

/// Variance over mean of a window's count of requests over the limit: they come in clusters. For M/M/1 a cluster holds about `odds`
/// requests, as unequal as busy periods are, which gives 1 + 2 odds^2; of those this route has its part.
fn dispersion(odds: f64, part: f64) -> f64 {
    1.0 + 2.0 * odds * odds * part
}

/// The least of many uncertain numbers is biased downwards: of ten routes that cross at the same load, the one with the worst luck would
/// name the capacity. So crossings are drawn towards their mean as far as their own noise explains their distance from it (empirical
/// Bayes; Efron & Morris, JASA 70, 1975).
fn draw_together(crossings: &mut [Crossing<'_>]) {
    if crossings.len() < 2 {
        return;
    }
    let precision: f64 = crossings.iter().map(|c| 1.0 / c.own_variance).sum();
    let mean: f64 = crossings.iter().map(|c| c.at.mid.ln() / c.own_variance).sum::<f64>() / precision;
    let count = crossings.len() as f64;
    let scatter = crossings.iter().map(|c| (c.at.mid.ln() - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let noise = crossings.iter().map(|c| c.own_variance).sum::<f64>() / count;
    let real = (scatter - noise).max(0.0);
    for crossing in crossings {
        let towards = crossing.own_variance / (real + crossing.own_variance);
        crossing.at = crossing.at.scaled((towards * (mean - crossing.at.mid.ln())).exp());
    }
}

/// Posterior of the crossing on a grid, the slope and the dispersion integrated out.
struct Posterior {
    /// Ascending loads, evenly spaced in their logarithm.
    loads: Vec<f64>,
    /// Sums to 1.
    weights: Vec<f64>,
    /// Typical slope, as the odds of an M/M/1.
    odds: f64,
}

impl Posterior {
    fn over(
        seen: &[Seen],
        target: f64,
        (low, high): (f64, f64),
        near: impl Fn(f64) -> f64,
        dispersion: f64,
    ) -> Self {
        let step = (high / low).powf(1.0 / (CROSSINGS - 1) as f64);
        let loads: Vec<f64> = (0..CROSSINGS).map(|i| low * step.powi(i as i32)).collect();
        let windows: f64 = seen.iter().map(|s| near(s.load)).sum();
        // (load, root of the share seen, weight in the deviance)
        let rows: Vec<(f64, f64, f64)> =
            seen.iter().map(|s| (s.load, (s.over / s.n).sqrt(), 4.0 * s.n * near(s.load))).collect();
        // In units of a variance function mu^1.5, which agrees with `dispersion * mu` at the target.
        let prior = PRIOR_WINDOWS * dispersion / target.sqrt();

        let ln_target = target.ln();
        let mut logs = Vec::with_capacity(CROSSINGS * SLOPES);
        for &crossing in &loads {
            for j in 0..SLOPES {
                let z = spreads(j as f64);
                let slope = -ln_target * odds_at(z);
                let mut deviance = 0.0;
                for &(load, root_seen, weight) in &rows {
                    let ln_share = (ln_target + slope * (load / crossing - 1.0)).min(0.0);
                    let root = (ln_share / 2.0).exp().max(1e-6);
                    // Tweedie deviance of power 1.5 in closed form.
                    deviance += weight * (root_seen - root).powi(2) / root;
                }
                logs.push(-z * z / 2.0 - (PRIOR_WINDOWS + windows) / 2.0 * (prior + deviance).ln());
            }
        }
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let cells: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
        let total: f64 = cells.iter().sum();
        let mean_step: f64 =
            cells.iter().enumerate().map(|(i, cell)| (i % SLOPES) as f64 * cell).sum::<f64>() / total;
        let weights = cells.chunks(SLOPES).map(|row| row.iter().sum::<f64>() / total).collect();
        Self { loads, weights, odds: odds_at(spreads(mean_step)) }
    }

    fn quantile(&self, quantile: f64) -> f64 {
        let step = self.loads[1] / self.loads[0];
        let mut below = 0.0;
        for (load, weight) in self.loads.iter().zip(&self.weights) {
            if *weight > 0.0 && below + weight >= quantile {
                // Each weight stands for the cell around its load.
                return load * step.powf((quantile - below) / weight - 0.5);
            }
            below += weight;
        }
        self.loads[CROSSINGS - 1]
    }
}

/// Position on the grid of slopes, in spreads of the prior.
fn spreads(step: f64) -> f64 {
    MOST_SPREADS * (2.0 * step / (SLOPES - 1) as f64 - 1.0)
}

fn odds_at(spreads: f64) -> f64 {
    TYPICAL_ODDS * (spreads * SPREAD_OF_LN_ODDS).exp()
}

/// The search begins at this share of the saturation.
const BEGIN: f64 = 0.7;
/// Beyond this share of the saturation there is nothing to find, below the other no use.
const MOST_OF_SATURATION: f64 = 1.08;
const LEAST_OF_SATURATION: f64 = 0.02;
/// Windows below which an interval that happens to be narrow is not believed.
const FEWEST_WINDOWS: usize = 6;
/// Where to measure beside the crossing, in turns: mostly below it, because above it windows scatter more.
const BESIDE: [f64; 4] = [0.94, 1.04, 0.88, 1.0];

/// The next load worth measuring, in users per second; None when the interval is narrow enough, or more windows cannot tell.
///
/// Brackets the crossing from both sides within a few windows, then stays beside it, where a window tells most.
pub fn next_load(points: &[LoadPoint], goal: &Goal, saturation_users_per_s: f64) -> Option<f64> {
    if !(saturation_users_per_s.is_finite() && saturation_users_per_s > 0.0) {
        return None;
    }
    let Some(fit) = fit(points, goal) else { return Some(saturation_users_per_s * BEGIN) };
    let highest = points.iter().map(|p| p.users_per_s).fold(0.0, f64::max);
    let lowest = points.iter().map(|p| p.users_per_s).fold(f64::INFINITY, f64::min);
    match fit.bound {
        Bound::AtLeast if highest >= saturation_users_per_s * MOST_OF_SATURATION => None,
        Bound::AtLeast => Some((highest * 1.15).min(saturation_users_per_s * 1.1)),
        Bound::AtMost if lowest <= saturation_users_per_s * LEAST_OF_SATURATION => None,
        Bound::AtMost => Some(fit.users_per_s.mid.clamp(lowest * 0.5, lowest * 0.85)),
        Bound::Inside => {
            let enough =
                points.len() >= FEWEST_WINDOWS && fit.users_per_s.half_width_share() <= PRECISE_ENOUGH;
            (!enough).then(|| fit.users_per_s.mid * BESIDE[points.len() % BESIDE.len()])
        }
    }
}
