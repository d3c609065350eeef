//! Whole proofs on a fake rig: an old and a new program with planted costs.
#![allow(clippy::unwrap_used, reason = "a test may: its inputs are its own")]

mod fake_rig;

use std::time::Duration;

use fake_rig::{FakeRig, Model};
use fissure_facts::config::{Before, Goal, Percent, Slo, Span};
use fissure_facts::fact::StageFailure;
use fissure_facts::{Arrangement, Fact, Run, Stamped, Step};
use fissure_judge::proof::{Measure, Outcome, Proof, ProofPlanner, judge};

const BUDGET_S: u64 = 150;

/// What `cpu_ms` of the hot route makes of the app.
fn app(hot_cpu_ms: f64) -> Model {
    Model::event_loop(&[("GET /", 4.0, 1.0, 0.5), ("GET /report", 1.0, hot_cpu_ms, 0.5)])
}

/// Proves the change from `old` to `new`; what the app must stand is `users_per_s`.
fn prove(old: &Model, new: &Model, users_per_s: f64, seed: u64) -> (Run, Proof) {
    let goal = Goal {
        slo: Slo::p95(Duration::from_millis(100)),
        errors: Percent(0.01),
        journeys_per_s: Some(users_per_s),
        ..Goal::default()
    };
    let mut header = new.header(goal, seed);
    header.config.limits.budget = Some(Span(Duration::from_secs(BUDGET_S)));
    header.config.before = Some(Before { command: "old".to_owned(), folder: None });
    let mut run = Run::new(header);
    let mut rig = FakeRig::new(new.clone(), seed);
    let mut planner = ProofPlanner::default();
    loop {
        let step = planner.next(&run).step;
        let arrangement = match &step {
            Step::Finish => break,
            Step::Play { arrangement } => arrangement,
            Step::Hold(plan) => &plan.arrangement,
            Step::PlayAcknowledging { .. } | Step::Shadow(_) | Step::Renew { .. } => {
                panic!("a proof asks for neither")
            }
        };
        rig.model = if arrangement.before { old.clone() } else { new.clone() };
        rig.take(&mut run, &step);
    }
    let proof = judge(&run);
    (run, proof)
}

#[test]
fn a_program_with_half_of_the_cost_is_proved_better() {
    // CPU of a user: 4/5 of 1 ms and 1/5 of 36 or 16 ms.
    let (old, new) = (app(36.0), app(16.0));
    let truth = 4.0_f64.mul_add(1.0, 36.0) / 4.0_f64.mul_add(1.0, 16.0);
    let goal = Goal { slo: Slo::p95(Duration::from_millis(100)), errors: Percent(0.01), ..Goal::default() };
    let capacity =
        |model: &Model| FakeRig::new(model.clone(), 0).capacity(&Arrangement::whole(), &goal, 300.0, 100);
    let of_capacity = capacity(&new) / capacity(&old);
    let (mut told, mut held) = (0, 0);
    for seed in 1..=6 {
        let (run, proof) = prove(&old, &new, 150.0, seed);
        assert!(run.elapsed_s() <= BUDGET_S as f64 + 1.0, "{} s", run.elapsed_s());
        // There is no ratio when one of both missed every load that there was time for; then the intervals lie apart.
        let Outcome::Better(Measure::Capacity(ratio)) = proof.outcome else {
            panic!("seed {seed}: {:?}", proof.outcome)
        };
        told += u32::from(ratio.is_some());
        // The SLO takes more of a slow program's capacity than of a fast one's: more than the ratio of the costs.
        let right = ratio.is_none_or(|ratio| ratio.high > truth && ratio.low < of_capacity);
        assert!(right, "seed {seed}: {ratio:?}");
        let at = &proof.loads[0];
        let cpu = at.cpu_ms.unwrap();
        held += u32::from(cpu.ratio.contains(1.0 / truth));
        assert!(at.latency_ms.values().all(|changed| changed.ratio.mid < 1.0), "seed {seed}: {at:?}");
    }
    assert!(told >= 4, "the ratio is told in {told} of 6");
    // One in twenty may miss the truth, so two of six hardly ever do.
    assert!(held >= 5, "{held} of 6 intervals hold the truth");
}

#[test]
fn a_program_that_costs_more_is_proved_worse() {
    let (_, proof) = prove(&app(16.0), &app(24.0), 150.0, 3);
    assert!(matches!(proof.outcome, Outcome::Worse(_)), "{:?}", proof.outcome);
    assert_eq!(proof.before.command, "old");
}

/// Looking at five measures finds a difference between twins more often than one in twenty, unless each must be surer.
#[test]
fn the_same_program_twice_is_not_proved_better_or_worse() {
    let app = app(20.0);
    let proofs: Vec<Proof> = (1..=40).map(|seed| prove(&app, &app, 120.0, seed).1).collect();
    let claims =
        proofs.iter().filter(|p| matches!(p.outcome, Outcome::Better(_) | Outcome::Worse(_))).count();
    assert!(claims <= 4, "{claims} of {} twins are told apart", proofs.len());
    assert!(proofs.iter().all(|p| p.loads.iter().any(|at| at.latency_ratio.is_some())));
}

#[test]
fn both_hold_all_that_is_asked_and_the_cheaper_one_is_still_proved_better() {
    let (_, proof) = prove(&app(10.0), &app(5.0), 5.0, 2);
    assert!(matches!(proof.outcome, Outcome::Better(_)), "{:?}", proof.outcome);
    assert_eq!(proof.after.meets_goal, Some(true));
}

#[test]
fn a_goal_that_only_the_new_program_stands_is_tried_by_both() {
    let (_, proof) = prove(&app(36.0), &app(12.0), 180.0, 5);
    let [both_stand, goal] = &proof.loads[..] else { panic!("{:?}", proof.loads) };
    assert!(!both_stand.before_is_overloaded && goal.before_is_overloaded);
    assert!(goal.latency_ratio.unwrap().high < 0.5, "{goal:?}");
    assert_eq!((proof.before.meets_goal, proof.after.meets_goal), (Some(false), Some(true)));
}

#[test]
fn an_old_program_that_does_not_start_is_named() {
    let (mut run, _) = prove(&app(10.0), &app(5.0), 5.0, 2);
    let failure = StageFailure { sentence: "node: not found.".to_owned(), last_lines: Vec::new() };
    run.facts.push(Stamped {
        at_s: 1.0,
        fact: Fact::StageFailed { arrangement: Arrangement::before().name, failure },
    });
    let expected = Outcome::Failed { is_before: true, sentence: "node: not found.".to_owned() };
    assert_eq!(judge(&run).outcome, expected);
    assert_eq!(ProofPlanner::default().next(&run).step, Step::Finish);
}
