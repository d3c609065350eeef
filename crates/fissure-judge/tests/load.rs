//! What a load run says, alone and together with those of other machines.
#![allow(clippy::unwrap_used, reason = "a test may: its inputs are its own")]

mod fake_rig;

use std::collections::BTreeMap;

use fake_rig::Model;
use fissure_facts::config::Goal;
use fissure_facts::fact::{CrowdSecond, ErrorClass, PlayedStep, ProbeSecond, RouteSecond, WindowEnd};
use fissure_facts::{Fact, Latencies, Load, Route, Run, Stamped, Step};
use fissure_judge::asked::{Asked, AskedLoad};
use fissure_judge::foresight;
use fissure_judge::load::{NotOne, Outcome, summarise};
use fissure_judge::validity::Void;
use proptest::prelude::*;

const SECONDS: u32 = 2;

fn home() -> Route {
    "GET /".parse().unwrap()
}

/// A run that was asked for `load`, up to its journey played alone.
fn begun(name: &str) -> Run {
    let mut header = Model::event_loop(&[("GET /", 1.0, 1.0, 0.0)]).header(Goal::default(), 1);
    header.verb = "load".to_owned();
    header.run = name.to_owned();
    header.config.load.require = vec!["p50<1s".to_owned(), "errors<1%".to_owned()];
    let journey = header.journeys[0].name.clone();
    let mut run = Run::new(header);
    let step =
        PlayedStep { route: home(), line: 1, status: Some(200), latency_us: 4_000, bytes: 1, problem: None };
    add(&mut run, Fact::JourneyPlayed { arrangement: "whole".to_owned(), journey, steps: vec![step] });
    run
}

fn add(run: &mut Run, fact: Fact) {
    run.facts.push(Stamped { at_s: run.facts.len() as f64, fact });
}

fn asked(users_per_s: f64) -> Asked {
    Asked { load: AskedLoad::As(Load::Open { users_per_s }), warmup_s: 0.0, seconds: SECONDS }
}

/// A run in which these latencies were seen in each second, and so many wrong answers.
fn held(name: &str, users_per_s: f64, seconds: &[Vec<u64>], wrong: u64) -> Run {
    let mut run = begun(name);
    let planned = asked(users_per_s).next(&run);
    add(&mut run, Fact::StepBegan { step: planned.step, why: planned.why });
    let mut all = 0;
    for (second, latencies_us) in (0..).zip(seconds) {
        let mut latency = Latencies::new();
        latencies_us.iter().for_each(|us| latency.record_us(*us));
        let count = latency.count() + wrong;
        all += count;
        let mut lateness = Latencies::new();
        lateness.record_many_us(10, count);
        let errors = if wrong > 0 { [(ErrorClass::Status, wrong)].into() } else { BTreeMap::new() };
        let route =
            RouteSecond { service: latency.clone(), latency, errors, bytes: count, ..RouteSecond::default() };
        let crowd = CrowdSecond {
            window: 1,
            second,
            folded: 0,
            routes: [(home(), route)].into(),
            users_arrived: count,
            users_inside: 0,
            planned: count,
            in_flight: 0,
            lateness,
            connects: 0,
            reconnects: 0,
            connect: Latencies::new(),
            handshake: Latencies::new(),
        };
        add(&mut run, Fact::SecondPassed(crowd));
        let probe =
            ProbeSecond { window: 1, second, elapsed_s: 1.0, crowd_cpu_s: 0.1, ..ProbeSecond::default() };
        add(&mut run, Fact::Sampled(probe));
    }
    let end = WindowEnd {
        window: 1,
        planned: all,
        unanswered: BTreeMap::new(),
        users_planned: Some(all),
        cut_short: None,
    };
    add(&mut run, Fact::WindowEnded(end));
    run
}

#[test]
fn a_load_is_played_alone_then_held_then_over() {
    let mut run = begun("a");
    run.facts.clear();
    assert!(matches!(asked(9.0).next(&run).step, Step::Play { .. }));
    let run = begun("a");
    assert!(
        matches!(asked(9.0).next(&run).step, Step::Hold(plan) if plan.load == Load::Open { users_per_s: 9.0 })
    );
    assert_eq!(asked(9.0).next(&held("a", 9.0, &[vec![1], vec![1]], 0)).step, Step::Finish);
}

/// Little's law: 50 users at once who each stay for 4 ms are 12,500 arrivals per second.
#[test]
fn users_at_once_become_arrivals_by_the_stay_of_one_alone() {
    let asked = Asked { load: AskedLoad::UsersAtOnce(50.0), warmup_s: 0.0, seconds: 1 };
    let planned = asked.next(&begun("a"));
    let Step::Hold(plan) = planned.step else { panic!("{planned:?}") };
    let Load::Open { users_per_s } = plan.load else { panic!("{plan:?}") };
    assert!((users_per_s - 12_500.0).abs() < 1e-6 && planned.why.contains("Little's law"), "{}", planned.why);
}

#[test]
fn a_load_that_needs_more_files_than_there_are_is_not_begun() {
    let mut run = begun("a");
    run.header.machine.files_max = Some(100);
    let next = |run: &Run, per_s| asked(per_s).next(run);
    // At 4 ms each, 1,000/s are 4 at once, but 1,004 when the server stands still: worth a word. 50,000/s are 200.
    let calm = next(&run, 1_000.0);
    assert!(matches!(calm.step, Step::Hold(_)) && calm.why.contains("--connections"), "{}", calm.why);
    let planned = next(&run, 50_000.0);
    assert_eq!(planned.step, Step::Finish);
    add(&mut run, Fact::StepBegan { step: planned.step, why: planned.why });
    assert!(
        matches!(summarise(&[run.clone()]).unwrap().outcome, Outcome::Hopeless { why } if why.contains("ulimit"))
    );
    run.header.config.load.connections = Some(50);
    assert!(!asked(50_000.0).next(&run).why.contains("ulimit"));
}

#[test]
fn ports_that_are_still_waiting_are_foreseen_unless_connections_are_handed_on() {
    let mut run = begun("a");
    run.header.machine.ports = Some(28_000);
    // A user who leaves keeps the port for a minute; nobody else is there for longer than the load.
    let foreseen = |run: &Run, per_s, seconds| {
        foresight::of(run, &Load::Open { users_per_s: per_s }, seconds)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let said = foreseen(&run, 1_000.0, 60.0);
    assert!(said.len() == 1 && said[0].contains("60000 ports") && said[0].contains("TIME_WAIT"), "{said:?}");
    assert!(foreseen(&run, 1_000.0, 20.0).is_empty() && foreseen(&run, 400.0, 600.0).is_empty());
    run.header.config.load.hand_on = true;
    assert!(foreseen(&run, 1_000.0, 60.0).is_empty());
}

#[test]
fn wrong_answers_break_their_threshold_and_a_void_run_says_nothing() {
    let summary = summarise(&[held("a", 9.0, &[vec![900; 9], vec![900; 9]], 1)]).unwrap();
    assert_eq!(summary.outcome, Outcome::Held);
    assert_eq!(summary.thresholds.iter().map(|t| t.holds).collect::<Vec<_>>(), [Some(true), Some(false)]);
    assert_eq!((summary.rates.answered, summary.rates.users_planned), (9.0, Some(10.0)));

    let mut late = held("a", 9.0, &[vec![900; 900], vec![900; 900]], 0);
    for stamped in &mut late.facts {
        if let Fact::SecondPassed(second) = &mut stamped.fact {
            second.lateness.record_many_us(30_000, 100);
        }
    }
    // The strictest threshold is 1 s, so 10 ms may be; 30 ms may not.
    assert!(matches!(summarise(&[late]).unwrap().outcome, Outcome::Void { why: Void::CrowdLate { .. }, .. }));
}

#[test]
fn users_that_never_came_make_a_run_void() {
    let mut run = held("a", 9.0, &[vec![900; 900], vec![900; 900]], 0);
    for stamped in &mut run.facts {
        if let Fact::WindowEnded(end) = &mut stamped.fact {
            end.users_planned = Some(2_000);
        }
    }
    assert!(matches!(
        summarise(&[run]).unwrap().outcome,
        Outcome::Void { why: Void::CrowdUnderSent { .. }, .. }
    ));
}

#[test]
fn only_runs_with_one_plan_are_added_up() {
    let run = |name, per_s| held(name, per_s, &[vec![1], vec![1]], 0);
    let refused = |runs: &[Run]| summarise(runs).unwrap_err();
    assert!(matches!(refused(&[run("a", 9.0), run("b", 8.0)]), NotOne::Different { what: "their load", .. }));
    assert!(matches!(refused(&[run("a", 9.0), run("a", 9.0)]), NotOne::SameRun { .. }));
    let mut check = run("b", 9.0);
    check.header.verb = "check".to_owned();
    assert!(matches!(refused(&[run("a", 9.0), check]), NotOne::NotALoad { .. }));
    let mut other = run("b", 9.0);
    other.header.config.load.require.clear();
    assert!(matches!(refused(&[run("a", 9.0), other]), NotOne::Different { what: "their thresholds", .. }));
    assert!(matches!(refused(&[]), NotOne::Nothing));
}

proptest! {
    /// The sum of the machines is the histogram of all samples, in every second, quantile for quantile.
    #[test]
    fn merged_runs_hold_every_sample(samples in prop::collection::vec(prop::collection::vec(prop::collection::vec(1u64..5_000_000, 0..40), 2), 1..4)) {
        let runs: Vec<Run> = samples.iter().enumerate().map(|(n, seconds)| held(&n.to_string(), 9.0, seconds, 2)).collect();
        let summary = summarise(&runs).unwrap();
        let mut all = Latencies::new();
        for second in 0..2 {
            let mut expected = Latencies::new();
            samples.iter().flat_map(|machine| &machine[second]).for_each(|us| expected.record_us(*us));
            let window = summary.window.as_ref().unwrap();
            prop_assert_eq!(&window.crowd[second].routes[&home()].latency, &expected);
            all.add(&expected);
        }
        prop_assert_eq!(&summary.total.latency, &all);
        prop_assert_eq!(summary.total.error_count(), 4 * runs.len() as u64);
        let planned = summary.window.unwrap().end.unwrap().users_planned.unwrap();
        prop_assert_eq!(planned, all.count() + 4 * runs.len() as u64);
    }
}
