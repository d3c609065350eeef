//! An app whose timer has everybody wait, at any load: the planner has profilers look while hardly anybody asks, and the verdict is the job.
#![allow(clippy::unwrap_used, reason = "a test may: its inputs are its own")]

mod fake_rig;

use fake_rig::{Model, Plant};
use fissure_facts::profile::{Frame, Stack};
use fissure_facts::{Fact, Profile, Purpose, Stamped, Step, WindowPlan};
use fissure_judge::judge;
use fissure_judge::judgement::Verdict;

/// CPU of the job.
const JOB_CORES: f64 = 0.2;
/// Of a hundred answers so many wait for it ...
const WAIT: u64 = 15;
/// ... so long.
const WAIT_US: u64 = 250_000;
/// Samples of a second of CPU.
const RATE: f64 = 500.0;

fn app() -> Plant {
    let model = Model::event_loop(&[("GET /", 3.0, 1.0, 0.5), ("GET /tickets", 1.0, 2.0, 0.5)]);
    Plant::new(Model { background_cores: JOB_CORES, ..model }, 100).at(100.0)
}

/// What a step's facts would be if the background were a job that nobody can interrupt.
fn has_everybody_wait(step: &Step, facts: &mut Vec<Stamped>) {
    let Step::Hold(plan) = step else { return };
    let mut cpu_s = 0.0;
    for stamped in facts.iter_mut() {
        match &mut stamped.fact {
            Fact::SecondPassed(second) if plan.load.is_open() => {
                for seen in second.routes.values_mut() {
                    let waited = seen.latency.count() * WAIT / (100 - WAIT);
                    seen.latency.record_many_us(WAIT_US, waited);
                }
            }
            Fact::Sampled(probe) => cpu_s += probe.app_cpu_s,
            _ => {}
        }
    }
    if plan.purpose.is_profile() {
        let at_s = facts.last().unwrap().at_s;
        facts.insert(facts.len() - 1, Stamped { at_s, fact: Fact::Profiled(profile(plan, cpu_s)) });
    }
}

fn profile(plan: &WindowPlan, cpu_s: f64) -> Profile {
    let of_job = JOB_CORES * f64::from(plan.seconds);
    let own = |function: &str, line| Frame {
        function: function.to_owned(),
        file: Some("src/app.js".to_owned()),
        line: Some(line),
        in_app: true,
        ..Frame::default()
    };
    let stack = |frame, cpu_s: f64| Stack {
        process: 1,
        thread: "app".to_owned(),
        frames: vec![frame],
        count: (cpu_s * RATE).round() as u64,
        ..Stack::default()
    };
    Profile {
        window: plan.window,
        instrument: "node".to_owned(),
        period_s: 1.0 / RATE,
        frames: vec![own("refresh", 12), own("show", 40)],
        stacks: vec![stack(0, of_job), stack(1, (cpu_s - of_job).max(0.0))],
        ..Profile::default()
    }
}

#[test]
fn a_timer_that_has_everybody_wait_is_the_verdict_and_nothing_is_rehearsed() {
    for seed in 0..4 {
        let run = app().check_with(seed, |_, _| {}, has_everybody_wait);
        let looked = |purpose: Purpose| run.windows().iter().filter(|w| w.plan.purpose == purpose).count();
        assert_eq!(looked(Purpose::ProfileAtRest), 1, "seed {seed}");
        let judgement = judge(&run);
        assert_eq!(judgement.verdict, Verdict::FixTheseLines { routes: Vec::new() }, "seed {seed}");
        assert!(judgement.remedies.is_empty(), "seed {seed}: nothing was rehearsed");
        let unasked = judgement.unasked.unwrap();
        let functions: Vec<&str> = unasked.places.iter().map(|place| place.function.as_str()).collect();
        assert_eq!(functions, ["refresh"], "seed {seed}");
        assert!((unasked.cores / JOB_CORES - 1.0).abs() < 0.2, "seed {seed}: {unasked:?}");
    }
}

/// A background that has nobody wait is a few CPUs less, and no reason to look.
#[test]
fn a_background_that_has_nobody_wait_is_not_looked_for() {
    let run = app().check(1);
    assert!(run.windows().iter().all(|w| w.plan.purpose != Purpose::ProfileAtRest));
    assert!(judge(&run).unasked.is_none());
}
