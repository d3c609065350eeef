//! The simulator against what queueing theory knows exactly, and against the stories that remedies tell.

use std::time::Duration;

use fissure_facts::Role;
use fissure_facts::config::{Goal, Slo, Span};
use proptest::prelude::*;

use super::*;
use crate::model::RouteModel;

fn route(text: &str) -> Route {
    text.parse().unwrap()
}

fn one_route(cpus: f64, workers: u32, cpu_ms: f64, cv: f64) -> Model {
    let only = RouteModel { route: route("GET /"), mix: 1.0, cpu_ms, wait_ms: 0.0, cv };
    Model {
        cpus,
        workers,
        slots: None,
        admits_per_s: None,
        hits: BTreeMap::new(),
        connection_ms: 0.0,
        routes: vec![only],
        requests_per_user: 1.0,
    }
}

/// Heavy 60 ms in 5 % of the requests, light 1 ms: 3.95 ms a request, so one CPU is full at 253 requests a second.
fn photo_shop(workers: u32) -> Model {
    let light = RouteModel { route: route("GET /"), mix: 0.95, cpu_ms: 1.0, wait_ms: 0.4, cv: 0.5 };
    let heavy = RouteModel { route: route("POST /photos"), mix: 0.05, cpu_ms: 60.0, wait_ms: 0.4, cv: 0.2 };
    Model {
        cpus: 1.0,
        workers,
        slots: None,
        admits_per_s: None,
        hits: BTreeMap::new(),
        connection_ms: 0.0,
        routes: vec![light, heavy],
        requests_per_user: 1.0,
    }
}

fn goal(light_ms: u64, heavy_ms: u64) -> Goal {
    let mut goal = Goal { slo: Slo::p95(Duration::from_millis(light_ms)), ..Goal::default() };
    goal.routes.insert(route("POST /photos"), Slo::p95(Duration::from_millis(heavy_ms)));
    goal
}

fn mean_ms(model: &Model, arrangement: &Arrangement, requests_per_s: f64, requests: usize) -> f64 {
    let seen = simulate(model, arrangement, requests_per_s, requests, 7);
    seen.routes[&model.routes[0].route].mean_us() / 1000.0
}

fn assert_near(got: f64, exact: f64, share: f64) {
    assert!((got - exact).abs() <= share * exact, "{got} is not within {share} of {exact}");
}

/// Response time of M/M/c with mean service 1 at `load` Erlang (Erlang C).
fn mmc(c: u32, load: f64) -> f64 {
    let mut blocked = 1.0; // Erlang B by its recursion
    for k in 1..=c {
        blocked = load * blocked / (f64::from(k) + load * blocked);
    }
    let c = f64::from(c);
    let waits = blocked / (1.0 - load / c * (1.0 - blocked));
    1.0 + waits / (c - load)
}

#[test]
fn mm1_is_exact() {
    // Mean 1/(1 - rho); the response time is exponential, so p95 is mean x ln 20.
    let model = one_route(1.0, 1, 10.0, 1.0);
    let seen = simulate(&model, &Arrangement::whole(), 60.0, 200_000, 7);
    let latencies = &seen.routes[&model.routes[0].route];
    assert_near(latencies.mean_us() / 1000.0, 25.0, 0.03);
    assert_near(latencies.quantile_us(0.95) as f64 / 1000.0, 25.0 * 20f64.ln(), 0.03);
    assert_near(seen.cpu_share, 0.6, 0.01);
}

#[test]
fn mmc_is_exact_for_threads_that_each_have_a_cpu() {
    for (c, load) in [(2, 1.6), (4, 2.8)] {
        let model = one_route(f64::from(c), c, 10.0, 1.0);
        let got = mean_ms(&model, &Arrangement::whole(), load * 100.0, 150_000);
        assert_near(got, 10.0 * mmc(c, load), 0.03);
    }
}

#[test]
fn mg1_waits_as_pollaczek_and_khinchine_say() {
    // W = rho s (1 + cv^2) / (2 (1 - rho))
    for cv in [0.0, 0.5, 2.0] {
        let model = one_route(1.0, 1, 10.0, cv);
        let exact = 10.0 + 0.6 * 10.0 * (1.0 + cv * cv) / (2.0 * 0.4);
        assert_near(mean_ms(&model, &Arrangement::whole(), 60.0, 200_000), exact, 0.035);
    }
}

#[test]
fn processor_sharing_does_not_care_about_the_variation() {
    // M/G/1-PS: s / (1 - rho) for every distribution.
    for cv in [0.0, 1.0, 2.0] {
        let model = one_route(1.0, 100_000, 10.0, cv);
        assert_near(mean_ms(&model, &Arrangement::whole(), 60.0, 150_000), 25.0, 0.03);
    }
}

#[test]
fn processor_sharing_gives_two_routes_the_same_slowdown() {
    let mut model = photo_shop(100_000);
    model.routes.iter_mut().for_each(|r| r.wait_ms = 0.0);
    let seen = simulate(&model, &Arrangement::whole(), 0.6 / 3.95e-3, 150_000, 7);
    for r in &model.routes {
        assert_near(seen.routes[&r.route].mean_us() / 1000.0, r.cpu_ms / 0.4, 0.04);
    }
}

#[test]
fn waits_are_added_and_hold_no_worker() {
    let mut model = one_route(1.0, 1, 10.0, 1.0);
    model.routes[0].wait_ms = 500.0;
    assert_near(mean_ms(&model, &Arrangement::whole(), 60.0, 50_000), 525.0, 0.01);
}

#[test]
fn a_limit_holds_its_place_while_the_request_waits() {
    // One at once, 1 ms CPU and 99 ms wait: M/G/1 with service 100 ms, although the CPU is idle.
    let mut model = one_route(1.0, 8, 1.0, 0.0);
    model.routes[0].wait_ms = 99.0;
    let limited = Arrangement::limited(&model.routes[0].route, 1);
    let exact = 100.0 + 0.5 * 100.0 / (2.0 * 0.5);
    assert_near(mean_ms(&model, &limited, 5.0, 100_000), exact, 0.03);
}

#[test]
fn a_limit_of_one_lets_light_requests_wait_for_one_heavy_job_only() {
    let mut model = photo_shop(1);
    model.routes[1].cv = 0.0;
    let heavy = model.routes[1].route.clone();
    let slowest = |arrangement: &Arrangement| {
        let seen = simulate(&model, arrangement, 150.0, 60_000, 7);
        seen.routes[&model.routes[0].route].quantile_us(0.99) as f64 / 1000.0
    };
    let whole = slowest(&Arrangement::whole());
    let limited = slowest(&Arrangement::limited(&heavy, 1));
    assert!(whole > 120.0, "without a limit, light requests queue behind several heavy ones: {whole}");
    assert!(limited < 75.0, "one residual heavy job and the light ones that came in it: {limited}");
}

#[test]
fn two_copies_block_light_requests_only_when_both_are_busy_with_heavy_ones() {
    let model = photo_shop(1);
    let over = |arrangement: &Arrangement| {
        let seen = simulate(&model, arrangement, 60.0, 60_000, 7);
        let light = &seen.routes[&model.routes[0].route];
        light.count_over(10_000) as f64 / light.count() as f64
    };
    let whole = over(&Arrangement::whole());
    let two = over(&Arrangement::replicas(2));
    let apart = over(&Arrangement::split("photos", &[model.routes[1].route.clone()]));
    assert!(whole > 0.15, "{whole}");
    assert!(two < whole / 3.0, "{two} of {whole}");
    assert!(apart < whole / 20.0, "{apart} of {whole}");
}

#[test]
fn a_split_frees_light_routes_from_a_heavy_one_on_the_same_cpu() {
    // Light within 25 ms, so that one heavy job ahead is one too many; heavy within a second.
    let model = photo_shop(1);
    let goal = goal(25, 1000);
    let heavy = model.routes[1].route.clone();
    let whole = capacity(&model, &Arrangement::whole(), &goal, 1);
    let limited = capacity(&model, &Arrangement::limited(&heavy, 1), &goal, 1);
    let two = capacity(&model, &Arrangement::replicas(2), &goal, 1);
    let apart = capacity(&model, &Arrangement::split("photos", &[heavy]), &goal, 1);
    assert!(whole < 0.2 * 253.0, "{whole}");
    assert!((0.9..1.2).contains(&(limited / whole)), "one heavy job is still too long: {limited} to {whole}");
    assert!(two > 2.0 * whole, "{two} to {whole}");
    assert!(apart > 1.5 * two, "{apart} to {two}");
    assert!(apart < 253.0, "no arrangement makes CPU");
}

#[test]
fn a_limit_helps_when_one_heavy_job_is_bearable_but_not_several() {
    let model = photo_shop(1);
    let goal = goal(80, 3000);
    let heavy = model.routes[1].route.clone();
    let whole = capacity(&model, &Arrangement::whole(), &goal, 1);
    let limited = capacity(&model, &Arrangement::limited(&heavy, 1), &goal, 1);
    assert!(limited > 1.5 * whole, "{limited} to {whole}");
}

#[test]
fn copies_do_not_help_equal_jobs_on_one_cpu() {
    let model = one_route(1.0, 1, 10.0, 0.5);
    let goal = goal(60, 60);
    let whole = capacity(&model, &Arrangement::whole(), &goal, 1);
    let two = capacity(&model, &Arrangement::replicas(2), &goal, 1);
    assert!(two < 1.03 * whole, "{two} to {whole}");
}

#[test]
fn a_route_that_is_too_slow_alone_leaves_no_capacity() {
    let model = photo_shop(1);
    let seen = capacity(&model, &Arrangement::whole(), &goal(25, 50), 1);
    assert_eq!(seen, 0.0);
    let trace = Trace::new(&model, 2_000, 1);
    let (targets, left_out) = Targets::new(&model, &goal(25, 50)).attainable(&model, &trace);
    assert_eq!(left_out, 1);
    assert!(capacity_with(&model, &Arrangement::whole(), &targets, &trace, 0.01) > 1.0);
}

#[test]
fn capacity_in_users_counts_the_requests_of_a_journey() {
    let mut model = one_route(1.0, 1, 10.0, 1.0);
    // p95 = ln 20 s / (1 - rho): 100 ms is met up to rho = 0.7.
    let requests = capacity(&model, &Arrangement::whole(), &goal(100, 100), 1);
    assert_near(requests, 70.0, 0.03);
    model.requests_per_user = 5.0;
    assert_near(capacity(&model, &Arrangement::whole(), &goal(100, 100), 1), requests / 5.0, 1e-9);
}

#[test]
fn a_model_without_demand_has_no_end() {
    let model = one_route(1.0, 1, 0.0, 0.5);
    assert_eq!(capacity(&model, &Arrangement::whole(), &goal(25, 25), 1), f64::INFINITY);
}

fn quick(model: &Model, arrangement: &Arrangement, goal: &Goal, seed: u64) -> f64 {
    let trace = Trace::new(model, 2_000, seed);
    capacity_with(model, arrangement, &Targets::new(model, goal), &trace, 0.01)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn more_demand_never_raises_the_capacity(factor in 1.05f64..3.0, which in 0usize..2, workers in 1u32..4, seed: u64) {
        let model = photo_shop(workers);
        let mut slower = model.clone();
        slower.routes[which].cpu_ms *= factor;
        let goal = goal(90, 1500);
        let before = quick(&model, &Arrangement::whole(), &goal, seed);
        let after = quick(&slower, &Arrangement::whole(), &goal, seed);
        prop_assert!(after <= before * 1.03, "{after} after {before}");
    }

    #[test]
    fn to_split_everything_is_to_rename(workers in 1u32..4, seed: u64) {
        let model = photo_shop(workers);
        let all: Vec<Route> = model.routes.iter().map(|r| r.route.clone()).collect();
        let moved = Arrangement::split("all", &all);
        let goal = goal(50, 1000);
        prop_assert_eq!(quick(&model, &moved, &goal, seed), quick(&model, &Arrangement::whole(), &goal, seed));
    }

    #[test]
    fn a_copy_on_a_cpu_of_its_own_never_hurts(cv in 0.0f64..2.0, limit_ms in 30u64..300, seed: u64) {
        let model = one_route(2.0, 1, 10.0, cv);
        let goal = goal(limit_ms, limit_ms);
        let whole = quick(&model, &Arrangement::whole(), &goal, seed);
        let two = quick(&model, &Arrangement::replicas(2), &goal, seed);
        prop_assert!(two >= whole * 0.97, "{two} of {whole}");
    }

    #[test]
    fn every_answer_comes_once_and_after_its_own_work(
        workers in 1u32..4,
        replicas in 1u32..4,
        at_once in 1u32..4,
        load in 0.1f64..1.3,
        seed: u64,
    ) {
        let model = photo_shop(workers);
        let heavy = model.routes[1].route.clone();
        let mut arrangement = Arrangement::split("photos", std::slice::from_ref(&heavy));
        arrangement.roles = vec![
            Role { name: "web".into(), replicas },
            Role { name: "photos".into(), replicas: 2 },
        ];
        arrangement.concurrency.insert(heavy, at_once);
        let trace = Trace::new(&model, 500, seed);
        let mut answers = 0;
        engine::run(&Layout::new(&model, &arrangement), &trace, 500, load / 3.95, |route, latency| {
            answers += 1;
            assert!(latency >= model.routes[route].wait_ms);
            ControlFlow::Continue(())
        });
        prop_assert_eq!(answers, 450);
    }

    #[test]
    fn the_same_seed_gives_the_same_answer(seed: u64) {
        let model = photo_shop(2);
        let a = simulate(&model, &Arrangement::replicas(2), 100.0, 300, seed);
        prop_assert_eq!(&a, &simulate(&model, &Arrangement::replicas(2), 100.0, 300, seed));
        prop_assert_ne!(a, simulate(&model, &Arrangement::replicas(2), 100.0, 300, seed.wrapping_add(1)));
    }
}

#[test]
fn the_trace_has_exactly_the_mix_and_the_demands() {
    let model = photo_shop(1);
    let trace = Trace::new(&model, 1_000, 3);
    assert_eq!(trace.route.iter().filter(|&&r| r == 1).count(), 50);
    let heavy: f64 = trace.size.iter().zip(&trace.route).filter(|(_, r)| **r == 1).map(|(s, _)| s).sum();
    assert_near(heavy, 50.0, 1e-9);
    assert_near(*trace.at.last().unwrap(), 1_000.0, 1e-9);
}

#[test]
fn an_slo_of_p50_or_p99_is_judged_at_its_quantile() {
    // M/M/1 response times are exponential: the quantile q is mean x ln(1/(1-q)).
    let model = one_route(1.0, 1, 10.0, 1.0);
    let with = |slo| capacity(&model, &Arrangement::whole(), &Goal { slo, ..Goal::default() }, 1);
    let span = |ms: f64| Some(Span(Duration::from_micros((ms * 1000.0) as u64)));
    let p50 = with(Slo { p50: span(20.0 * 2f64.ln()), ..Slo::default() });
    let p99 = with(Slo { p99: span(20.0 * 100f64.ln()), ..Slo::default() });
    assert_near(p50, 50.0, 0.03);
    assert_near(p99, 50.0, 0.06);
}

/// Held workers admit as many users as there are copies of them, whatever the CPUs could do; closed connections hold none.
#[test]
fn held_workers_admit_so_much_and_no_more() {
    let held = Model { admits_per_s: Some(10.0), ..photo_shop(8) };
    let holds = |arrangement: &Arrangement| capacity(&held, arrangement, &goal(300, 600), 7);
    assert_near(holds(&Arrangement::whole()), 10.0, 0.01);
    assert_near(holds(&Arrangement::replicas(3)), 30.0, 0.01);
    // Photos are one request in twenty, so what is left holds 20/19 of it.
    assert_near(holds(&Arrangement::split("photos", &[route("POST /photos")])), 10.0 / 0.95, 0.01);
    let free = capacity(&photo_shop(8), &Arrangement::whole(), &goal(300, 600), 7);
    assert_near(holds(&Arrangement::closing()), free, 0.02);
}
