//! Plants a capacity in a queue and lets the search find it: the errors that `capacity.rs` promises, and intervals that keep their word.
//!
//! The queues are first come, first served (Lindley's recursion), because that is the fastest thing to simulate that has a knee; `search.rs`
//! does the same through facts, windows and load points.
#![allow(clippy::unwrap_used, reason = "a test may: its inputs are its own")]

use std::time::Duration;

use fissure_facts::config::{Goal, Percent, Slo, Span};
use fissure_facts::{Estimate, Route};
use fissure_judge::capacity::{self, Bound, CapacityFit, LoadPoint};
use fissure_judge::stats::{median, quantile, seeded};
use rand::RngExt;
use rand_pcg::Pcg64;

const MOST_WINDOWS: usize = 12;
const WINDOW_S: f64 = 4.0;

/// How service times vary around their mean.
#[derive(Clone, Copy)]
enum Service {
    Constant,
    Exponential,
    /// 9 in 10 are short, the rest long: a coefficient of variation of about 3.
    Mixed,
}
use Service::{Constant, Exponential, Mixed};

impl Service {
    fn sample(self, mean_s: f64, random: &mut Pcg64) -> f64 {
        match self {
            Constant => mean_s,
            Exponential => mean_s * exponential(random),
            Mixed => mean_s * exponential(random) * if random.random::<f64>() < 0.9 { 0.4 } else { 6.4 },
        }
    }
}

fn exponential(random: &mut Pcg64) -> f64 {
    -(1.0 - random.random::<f64>()).ln()
}

/// One server, Poisson arrivals, classes of requests.
struct Queue {
    /// Share of the requests, mean service in seconds, spread.
    classes: Vec<(f64, f64, Service)>,
    routes: Vec<Route>,
    goal: Goal,
}

impl Queue {
    fn new(classes: &[(f64, f64, Service)], slo: Slo) -> Self {
        let routes =
            (0..classes.len()).map(|class| Route::new("GET", &format!("/{class}")).unwrap()).collect();
        Self {
            classes: classes.to_vec(),
            routes,
            goal: Goal { slo, errors: Percent(0.01), ..Goal::default() },
        }
    }

    fn saturation(&self) -> f64 {
        1.0 / self.classes.iter().map(|(share, mean, _)| share * mean).sum::<f64>()
    }

    /// Begins empty, as a window on a fresh load does.
    fn window(&self, load: f64, warmup_s: f64, seconds: f64, random: &mut Pcg64) -> LoadPoint {
        let limit_s = self.goal.slo.limit_us() as f64 / 1e6;
        let mut counts = vec![(0, 0); self.classes.len()];
        let (mut now, mut free_at, mut requests) = (0.0_f64, 0.0_f64, 0);
        loop {
            now += exponential(random) / load;
            if now > warmup_s + seconds {
                break;
            }
            let mut pick = random.random::<f64>();
            let mut class = 0;
            while class + 1 < self.classes.len() && pick >= self.classes[class].0 {
                pick -= self.classes[class].0;
                class += 1;
            }
            let (_, mean, service) = self.classes[class];
            free_at = free_at.max(now) + service.sample(mean, random);
            if now >= warmup_s {
                requests += 1;
                counts[class].1 += 1;
                counts[class].0 += u64::from(free_at - now > limit_s);
            }
        }
        LoadPoint {
            users_per_s: load,
            routes: self.routes.iter().cloned().zip(counts).collect(),
            errors: (0, requests),
            seconds,
            growing: (free_at - now).max(0.0) * self.saturation() > 3.0 * (requests as f64).sqrt(),
        }
    }

    /// The planted capacity: bisection over long simulations that all use the same random numbers.
    fn truth(&self) -> f64 {
        let allowed = 1.0 - self.goal.slo.quantile();
        let (mut low, mut high) = (0.1, 0.99);
        for _ in 0..8 {
            let share = (low + high) / 2.0;
            let load = share * self.saturation();
            let point = self.window(load, 100.0 / load, 250_000.0 / load, &mut seeded(99));
            let misses = point.routes.values().any(|(over, n)| *over as f64 > allowed * *n as f64);
            if misses { high = share } else { low = share }
        }
        (low + high) / 2.0 * self.saturation()
    }

    fn search(&self, seed: u64) -> CapacityFit {
        let mut random = seeded(seed);
        // What the app does flat out is known within a few percent.
        let saturation = self.saturation() * (0.95 + 0.1 * random.random::<f64>());
        let mut points = Vec::new();
        while points.len() < MOST_WINDOWS
            && let Some(load) = capacity::next_load(&points, &self.goal, saturation)
        {
            points.push(self.window(load, 1.0, WINDOW_S, &mut random));
        }
        capacity::fit(&points, &self.goal).unwrap()
    }

    /// Errors of the middle (median, 9 in 10) and how many intervals hold the truth.
    fn searches(&self, searches: u64) -> (f64, f64, u64) {
        let truth = self.truth();
        let mut covered = 0;
        let errors: Vec<f64> = (1000..1000 + searches)
            .map(|seed| {
                let found = self.search(seed).users_per_s;
                covered += u64::from(found.contains(truth));
                (found.mid / truth - 1.0).abs()
            })
            .collect();
        (median(&errors).unwrap(), quantile(&errors, 0.9).unwrap(), covered)
    }

    fn assert_found(&self, searches: u64, most_median: f64, most_p90: f64) {
        let (half, nine_in_ten, covered) = self.searches(searches);
        assert!(
            half <= most_median && nine_in_ten <= most_p90,
            "errors: median {half:.3}, p90 {nine_in_ten:.3}"
        );
        assert!(covered >= searches * 9 / 10, "{covered} of {searches} intervals hold the truth");
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn p50(limit: Duration) -> Slo {
    Slo { p50: Some(Span(limit)), ..Slo::default() }
}

fn p99(limit: Duration) -> Slo {
    Slo { p99: Some(Span(limit)), ..Slo::default() }
}

#[test]
fn the_capacity_of_mm1_is_found_within_6_percent() {
    Queue::new(&[(1.0, 1.0 / 500.0, Exponential)], Slo::p95(ms(20))).assert_found(100, 0.03, 0.06);
}

#[test]
fn the_capacity_near_saturation_is_found_within_6_percent() {
    Queue::new(&[(1.0, 1.0 / 600.0, Exponential)], Slo::p95(ms(30))).assert_found(100, 0.03, 0.06);
}

#[test]
fn the_capacity_of_constant_services_is_found_within_6_percent() {
    Queue::new(&[(1.0, 1.0 / 400.0, Constant)], Slo::p95(ms(10))).assert_found(100, 0.03, 0.06);
}

#[test]
fn an_slo_of_p50_is_found_within_6_percent() {
    Queue::new(&[(1.0, 1.0 / 500.0, Exponential)], p50(ms(6))).assert_found(100, 0.03, 0.06);
}

/// Twelve windows hold only some 200 requests over a p99's limit, so the promise is a little weaker.
#[test]
fn an_slo_of_p99_is_found_within_8_percent() {
    Queue::new(&[(1.0, 1.0 / 700.0, Exponential)], p99(ms(20))).assert_found(60, 0.04, 0.08);
}

/// Ten routes that cross at the same load: the least of ten uncertain numbers was 5 to 10 % too low.
#[test]
fn many_equal_routes_do_not_pull_the_capacity_down() {
    Queue::new(&[(0.1, 1.0 / 500.0, Exponential); 10], Slo::p95(ms(20))).assert_found(30, 0.03, 0.06);
}

/// Requests of a cv of 3 wait in heaps at 43 % load, where latency rises slowly with load: no method can tell much in twelve windows, but
/// the interval must say so.
#[test]
fn a_flat_curve_gets_an_honest_interval() {
    Queue::new(&[(1.0, 1.0 / 800.0, Mixed)], Slo::p95(ms(25))).assert_found(60, 0.08, 0.16);
}

/// A light route behind a heavy one, as in the demo: 1 request in 5 takes six times as long.
#[test]
fn a_light_route_behind_a_heavy_one_gets_an_honest_interval() {
    Queue::new(&[(0.8, 0.001, Exponential), (0.2, 0.006, Constant)], Slo::p95(ms(15)))
        .assert_found(60, 0.04, 0.10);
}

fn point(users_per_s: f64, over: u64, n: u64) -> LoadPoint {
    let route: Route = "GET /".parse().unwrap();
    LoadPoint {
        users_per_s,
        routes: [(route, (over, n))].into(),
        errors: (0, n),
        seconds: 4.0,
        growing: false,
    }
}

fn goal(slo: Slo) -> Goal {
    Goal { slo, errors: Percent(0.01), ..Goal::default() }
}

#[test]
fn nothing_measured_is_nothing_found() {
    let goal = goal(Slo::p95(ms(20)));
    assert_eq!(capacity::fit(&[], &goal), None);
    assert_eq!(capacity::fit(&[point(10.0, 0, 0)], &goal), None);
    assert_eq!(capacity::next_load(&[], &goal, f64::NAN), None);
    assert_eq!(capacity::next_load(&[], &goal, 0.0), None);
    assert!(capacity::next_load(&[], &goal, 100.0).is_some_and(|load| load > 50.0 && load < 100.0));
}

#[test]
fn a_goal_that_always_holds_is_a_lower_bound_and_the_search_ends() {
    let goal = goal(Slo::p95(ms(20)));
    let mut points = Vec::new();
    while let Some(load) = capacity::next_load(&points, &goal, 100.0) {
        points.push(point(load, 0, 1000));
        assert!(points.len() < 10, "the search does not end");
    }
    let fit = capacity::fit(&points, &goal).unwrap();
    assert_eq!((fit.bound, fit.victims.len()), (Bound::AtLeast, 0));
    assert!(fit.users_per_s.mid > 100.0 && fit.users_per_s.high.is_finite());
}

#[test]
fn a_goal_that_never_holds_names_its_victims_and_the_search_ends() {
    let goal = goal(Slo::p95(ms(20)));
    let mut points = Vec::new();
    while let Some(load) = capacity::next_load(&points, &goal, 100.0) {
        points.push(point(load, 900, 1000));
        assert!(points.len() < 30, "the search does not end");
    }
    let fit = capacity::fit(&points, &goal).unwrap();
    assert_eq!((fit.bound, fit.victims.len()), (Bound::AtMost, 1));
    assert!(fit.users_per_s.low == 0.0 && fit.users_per_s.mid < 5.0, "{fit:?}");
}

/// A queue that grows by 10 % of the load for four seconds is not yet over a limit of two seconds: such loads passed for good ones.
#[test]
fn a_load_that_piles_up_is_above_capacity_even_while_latency_is_below_the_limit() {
    let goal = goal(Slo::p95(Duration::from_secs(2)));
    let mut points: Vec<LoadPoint> = [70.0, 80.0, 90.0].map(|load| point(load, 0, load as u64 * 4)).to_vec();
    assert_eq!(capacity::fit(&points, &goal).unwrap().bound, Bound::AtLeast);
    points.push(LoadPoint { growing: true, ..point(110.0, 0, 440) });
    let fit = capacity::fit(&points, &goal).unwrap();
    assert_eq!(fit.bound, Bound::Inside);
    assert!(fit.users_per_s.mid > 85.0 && fit.users_per_s.mid < 110.0, "{fit:?}");
}

#[test]
fn errors_end_the_capacity_although_answers_are_fast() {
    let goal = goal(Slo::p95(ms(20)));
    let points: Vec<LoadPoint> = [(60.0, 0), (80.0, 1), (100.0, 20), (120.0, 60)]
        .map(|(load, failed)| LoadPoint { errors: (failed, 1000), ..point(load, failed, 1000) })
        .to_vec();
    let fit = capacity::fit(&points, &goal).unwrap();
    assert!(fit.users_per_s.mid > 75.0 && fit.users_per_s.mid < 103.0, "{fit:?}");
}

#[test]
fn a_route_met_too_rarely_is_listed_and_not_judged() {
    let goal = goal(Slo::p95(ms(20)));
    let rare: Route = "GET /rare".parse().unwrap();
    let points: Vec<LoadPoint> = [70.0, 80.0, 90.0]
        .map(|load| {
            let mut point = point(load, if load > 85.0 { 100 } else { 10 }, 1000);
            point.routes.insert(rare.clone(), (1, 3));
            point
        })
        .to_vec();
    let fit = capacity::fit(&points, &goal).unwrap();
    assert_eq!(fit.rare, [(rare, 9)]);
    assert_eq!(fit.bound, Bound::Inside);
}

/// Ninety requests were too few to judge a route, even if sixty of them were late.
#[test]
fn a_rare_route_that_is_mostly_late_is_judged() {
    let goal = goal(Slo::p95(ms(20)));
    let rare: Route = "GET /rare".parse().unwrap();
    let points: Vec<LoadPoint> = [70.0, 80.0, 90.0]
        .map(|load| {
            let mut point = point(load, 0, 1000);
            point.routes.insert(rare.clone(), (20, 30));
            point
        })
        .to_vec();
    let fit = capacity::fit(&points, &goal).unwrap();
    assert!(fit.rare.is_empty() && fit.bound == Bound::AtMost, "{fit:?}");
    assert_eq!(fit.victims, [rare]);
}

/// A small app of many routes had no capacity at all, because each of its routes was rare.
#[test]
fn when_every_route_is_rare_they_are_judged_together() {
    let goal = goal(Slo::p95(ms(20)));
    let points: Vec<LoadPoint> = [(4.0, 0), (8.0, 0), (12.0, 3), (14.0, 12)]
        .map(|(users_per_s, over)| LoadPoint {
            users_per_s,
            routes: (0..10)
                .map(|i| (Route::new("GET", &format!("/{i}")).unwrap(), (u64::from(i < over), 4)))
                .collect(),
            errors: (0, 40),
            seconds: 4.0,
            growing: false,
        })
        .to_vec();
    let fit = capacity::fit(&points, &goal).unwrap();
    assert_eq!(fit.rare.len(), 10);
    assert!(fit.users_per_s.mid > 6.0 && fit.users_per_s.mid < 14.0, "{fit:?}");
}

/// What more users than the CPUs stand did not show in six seconds, because the limit was two.
#[test]
fn no_more_is_held_than_can_be_served_for_long() {
    let fit = |mid, low, high, bound| CapacityFit {
        users_per_s: Estimate::new(mid, low, high),
        bound,
        victims: Vec::new(),
        rare: Vec::new(),
    };
    let most = Estimate::new(31.0, 29.0, 33.0);
    let held = fit(34.0, 34.0, 58.0, Bound::AtLeast).at_most(most);
    assert_eq!((held.users_per_s, held.bound), (Estimate::new(31.0, 29.0, 34.0), Bound::Inside));
    let below = fit(20.0, 18.0, 22.0, Bound::Inside);
    assert_eq!(below.clone().at_most(most), below);
}
