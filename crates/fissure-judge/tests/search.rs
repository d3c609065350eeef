//! The fake rig against what queueing theory says, and the capacity search against the fake rig: facts, windows, load points, fit.
#![allow(clippy::unwrap_used, reason = "a test may: its inputs are its own")]

mod fake_rig;

use std::time::Duration;

use fake_rig::{Cost, FakeRig, Model, plan};
use fissure_facts::config::{Goal, Percent, Slo};
use fissure_facts::{Arrangement, JourneyOutline, Load, OutlineStep, Purpose, Route, Run, Step, Window};
use fissure_judge::stats::{median, seeded};
use fissure_judge::{capacity, validity};
use rand::RngExt;

fn goal(p95_ms: u64) -> Goal {
    Goal { slo: Slo::p95(Duration::from_millis(p95_ms)), errors: Percent(0.01), ..Goal::default() }
}

fn route(text: &str) -> Route {
    text.parse().unwrap()
}

fn hold(model: &Model, arrangement: Arrangement, load: Load, seconds: u32, seed: u64) -> Window {
    let mut run = Run::new(model.header(goal(20), seed));
    FakeRig::new(model.clone(), seed)
        .take(&mut run, &Step::Hold(plan(1, Purpose::Asked, arrangement, load, seconds)));
    run.windows().remove(0)
}

fn p95_ms(window: &Window, of: &str) -> f64 {
    window.route(&route(of)).latency.quantile_us(0.95) as f64 / 1e3
}

/// Light requests behind a heavy one in an event loop: what a split is for.
fn photo_shop() -> Model {
    Model::event_loop(&[("GET /", 10.0, 1.0, 0.5), ("POST /photos", 1.0, 40.0, 0.1)])
}

#[test]
fn mm1_waits_as_the_formula_says() {
    let model = Model::event_loop(&[("GET /", 1.0, 2.0, 1.0)]);
    let window = hold(&model, Arrangement::whole(), Load::Open { users_per_s: 300.0 }, 120, 1);
    // T = 1 / (mu - lambda): 5 ms at 500/s and 300/s.
    let mean_ms = window.route(&route("GET /")).latency.mean_us() / 1e3;
    assert!((mean_ms / 5.0 - 1.0).abs() < 0.1, "{mean_ms}");
    assert!((window.app_cpu_s() / 120.0 / 0.6 - 1.0).abs() < 0.03, "utilization law: {}", window.app_cpu_s());
    assert!((window.done() as f64 / 36_000.0 - 1.0).abs() < 0.03);
}

#[test]
fn a_closed_loop_keeps_the_cpus_full_and_counts_every_request() {
    let model = Model { cpus: 2, threads: 4, ..photo_shop() };
    let window = hold(&model, Arrangement::whole(), Load::Closed { users: 16 }, 5, 1);
    assert!((window.app_cpu_s() / 10.0 - 1.0).abs() < 0.05, "{}", window.app_cpu_s());
    let planned: u64 = window.crowd.iter().map(|s| s.planned).sum();
    let first = window.crowd[0].in_flight;
    let flow = first as i64 + planned as i64 - window.crowd[0].planned as i64;
    let rest: u64 = window
        .crowd
        .iter()
        .skip(1)
        .flat_map(|s| s.routes.values())
        .map(fissure_facts::fact::RouteSecond::ended)
        .sum();
    assert_eq!(flow - rest as i64, window.crowd.last().unwrap().in_flight as i64, "requests do not get lost");
    assert_eq!(window.end.as_ref().unwrap().planned, planned);
}

#[test]
fn arrangements_change_what_they_should() {
    let model = photo_shop();
    const LOAD: Load = Load::Open { users_per_s: 110.0 };
    let p95 = |arrangement| p95_ms(&hold(&model, arrangement, LOAD, 60, 1), "GET /");
    let whole = p95(Arrangement::whole());
    let split = p95(Arrangement::split("photos", &[route("POST /photos")]));
    let replicas = p95(Arrangement::replicas(2));
    assert!(
        split < whole / 5.0,
        "on its own process the light route no longer waits: {split} against {whole}"
    );
    assert!(replicas < whole, "least outstanding sends around the heavy request: {replicas} against {whole}");
    let same = hold(&model, Arrangement::whole(), LOAD, 5, 9);
    assert_eq!(same, hold(&model, Arrangement::whole(), LOAD, 5, 9), "a seed repeats");

    // Two heavy requests at once leave a light one a third of the CPU; limited to one, a half.
    let threads = Model { threads: 8, ..photo_shop() };
    const BUSY: Load = Load::Open { users_per_s: 180.0 };
    let free = p95_ms(&hold(&threads, Arrangement::whole(), BUSY, 60, 1), "GET /");
    let limited = Arrangement::limited(&route("POST /photos"), 1);
    let limited = p95_ms(&hold(&threads, limited, BUSY, 60, 1), "GET /");
    assert!(limited < free * 0.8, "{limited} against {free}");
}

#[test]
fn users_think_and_a_request_waits_without_cpu() {
    let step = |r: &str, think_s| OutlineStep { route: route(r), think_s };
    let model = Model {
        costs: vec![Cost { route: route("GET /"), cpu_ms: 1.0, cv: 0.0, wait_ms: 30.0 }],
        journeys: vec![JourneyOutline {
            name: "look".to_owned(),
            weight: 1.0,
            steps: vec![step("GET /", 0.0), step("GET /", 0.5)],
        }],
        ..Model::event_loop(&[])
    };
    let window = hold(&model, Arrangement::whole(), Load::Open { users_per_s: 20.0 }, 30, 1);
    let seen = window.route(&route("GET /"));
    assert!((seen.latency.mean_us() / 31_000.0 - 1.0).abs() < 0.05);
    // Little's law: a user is inside for two answers and one thought.
    let inside: f64 = window.crowd.iter().map(|s| s.users_inside as f64).sum::<f64>() / window.seconds();
    assert!((inside / (20.0 * 0.562) - 1.0).abs() < 0.25, "{inside}");
}

/// The whole chain: facts, windows, load points, next load, fit; for an event loop whose light route suffers from a heavy one, and for two
/// copies of it.
#[test]
fn a_planted_capacity_is_found_through_facts_and_windows() {
    let model = Model::event_loop(&[("GET /", 10.0, 1.0, 0.5), ("POST /photos", 1.0, 10.0, 0.1)]);
    let mut goal = goal(15);
    goal.routes.insert(route("POST /photos"), Slo::p95(Duration::from_millis(80)));
    for arrangement in [Arrangement::whole(), Arrangement::replicas(2)] {
        let truth = FakeRig::new(model.clone(), 0).capacity(&arrangement, &goal, 550.0, 40);
        let (mut errors, mut covered) = (Vec::new(), 0);
        for seed in 0..5 {
            let mut run = Run::new(model.header(goal.clone(), seed));
            let mut rig = FakeRig::new(model.clone(), seed);
            let saturation = 550.0 * (0.95 + 0.1 * seeded(seed).random::<f64>());
            let points = |run: &Run| -> Vec<_> {
                run.windows().iter().map(|w| capacity::load_point(w, &goal)).collect()
            };
            for window in 1..=12 {
                let Some(users_per_s) = capacity::next_load(&points(&run), &goal, saturation) else { break };
                let load = Load::Open { users_per_s };
                rig.take(
                    &mut run,
                    &Step::Hold(plan(window, Purpose::Capacity, arrangement.clone(), load, 4)),
                );
            }
            assert!(run.windows().iter().all(|w| validity::void(w, &run.header).is_none()));
            let fit = capacity::fit(&points(&run), &goal).unwrap();
            assert_eq!(fit.victims.first(), Some(&route("GET /")), "the light route suffers first");
            errors.push((fit.users_per_s.mid / truth - 1.0).abs());
            covered += u32::from(fit.users_per_s.contains(truth));
        }
        assert!(
            median(&errors).unwrap() < 0.06 && covered >= 4,
            "{errors:?}, {covered} of 5 intervals hold {truth}"
        );
    }
}
