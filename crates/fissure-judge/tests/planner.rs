//! Whole checks on a fake rig: plan, perform, judge, until the planner has had enough; then the verdict against the planted truth.
//!
//! What must never happen is a confident wrong verdict: a remedy that in truth misses the goal, or a goal that in truth does not hold.
#![allow(clippy::unwrap_used, reason = "a test may: its inputs are its own")]

mod fake_rig;

use std::sync::LazyLock;
use std::time::Duration;

use fake_rig::{Cost, FakeRig, Model, Plant, route};
use fissure_facts::config::Slo;
use fissure_facts::fact::StageFailure;
use fissure_facts::{Arrangement, Fact, JourneyOutline, OutlineStep, Purpose, Route, Run, Stamped, Step};
use fissure_judge::judgement::{Missing, RemedyKind, Verdict};
use fissure_judge::stats::seeded;
use fissure_judge::{Judgement, Planner, judge};
use rand::RngExt;

/// A verdict may take a capacity for the goal's when it is this much below: loads that near cannot be told apart.
const NEAR: f64 = 0.92;

/// A fresh planner that sees the facts before a step plans that step.
fn assert_pure(run: &Run, every: usize) {
    let begun = run.facts.iter().enumerate().filter(|(_, s)| matches!(s.fact, Fact::StepBegan { .. }));
    for (index, stamped) in begun.step_by(every) {
        let Fact::StepBegan { step, .. } = &stamped.fact else { continue };
        let prefix = Run { header: run.header.clone(), facts: run.facts[..index].to_vec() };
        assert_eq!(Planner::new().next(&prefix).step, *step, "at {index}");
    }
    assert_eq!(Planner::new().next(run).step, Step::Finish);
}

/// Light requests behind a heavy one in an event loop: the light ones suffer far below the CPU's limit.
fn photo_shop() -> Plant {
    let routes =
        [("GET /", 60.0, 0.2, 0.3), ("GET /photos", 36.5, 0.8, 0.5), ("POST /photos", 3.5, 50.0, 0.1)];
    let mut plant = Plant::new(Model::event_loop(&routes), 40);
    plant.goal.routes.insert(route("POST /photos"), Slo::p95(Duration::from_secs(1)));
    plant
}

static CAPACITY: LazyLock<f64> = LazyLock::new(|| photo_shop().capacity(&Arrangement::whole()));

/// Must not be: a goal that in truth does not hold, a remedy that in truth misses it, or no way where there is one.
fn assert_not_wrong(plant: &Plant, judgement: &Judgement, seed: u64) {
    let goal = plant.goal.journeys_per_s.unwrap();
    match &judgement.verdict {
        Verdict::HoldingUp { .. } => {
            assert!(*CAPACITY >= NEAR * goal, "seed {seed}: {:?}", judgement.verdict);
        }
        Verdict::Remedy { index } => {
            let remedy = &judgement.remedies[*index];
            assert!(plant.meets_goal(&remedy.arrangement, NEAR), "seed {seed}: {remedy:?}");
            assert!(*CAPACITY < goal / NEAR, "seed {seed}: no remedy was needed");
        }
        Verdict::FixTheseLines { .. }
        | Verdict::UnsafeToSplit { .. }
        | Verdict::ItsTheLink { .. }
        | Verdict::ScaleOut { .. } => panic!("seed {seed}: {:?}", judgement.verdict),
        Verdict::NotEnoughEvidence { .. } => {}
    }
}

fn remedy(judgement: &Judgement) -> Option<(RemedyKind, &Arrangement)> {
    match judgement.verdict {
        Verdict::Remedy { index } => {
            Some((judgement.remedies[index].kind, &judgement.remedies[index].arrangement))
        }
        _ => None,
    }
}

fn reason(judgement: &Judgement) -> &Missing {
    match &judgement.verdict {
        Verdict::NotEnoughEvidence { reasons } => &reasons[0],
        verdict => panic!("a confident verdict: {verdict:?}"),
    }
}

/// Puts a fact before the last one, which ends the window.
fn insert(seen: &mut Vec<Stamped>, fact: Fact) {
    let at_s = seen.last().unwrap().at_s;
    seen.insert(seen.len() - 1, Stamped { at_s, fact });
}

fn died(arrangement: &Arrangement) -> Fact {
    Fact::ChildDied {
        arrangement: arrangement.name.clone(),
        role: "web".to_owned(),
        replica: 0,
        how: "ended with status 137".to_owned(),
        last_lines: vec!["out of memory".to_owned()],
    }
}

#[test]
fn light_load_on_a_fast_app_holds_up_and_the_check_ends_early() {
    let model = Model::event_loop(&[("GET /", 3.0, 2.0, 0.5), ("GET /about", 1.0, 1.0, 0.5)]);
    let plant = Plant::new(model, 100).at(30.0);
    for seed in 0..8 {
        let run = plant.check(seed);
        let judgement = judge(&run);
        let Verdict::HoldingUp { headroom } = judgement.verdict else { panic!("{:?}", judgement.verdict) };
        assert!(headroom.low > 5.0, "{headroom:?}");
        assert!(run.elapsed_s() < 0.6 * plant.budget_s(), "{} s", run.elapsed_s());
        assert!(judgement.remedies.is_empty(), "nothing was rehearsed");
        if seed == 0 {
            assert_pure(&run, 1);
        }
    }
}

#[test]
fn a_goal_below_the_capacity_holds_up_and_intervals_hold_the_capacity() {
    let plant = photo_shop().at(*CAPACITY * 0.4);
    let seeds = 20;
    let mut covered = 0;
    for seed in 0..seeds {
        let run = plant.check(seed);
        let judgement = judge(&run);
        let Verdict::HoldingUp { headroom } = judgement.verdict else { panic!("{:?}", judgement.verdict) };
        assert!(headroom.low > 1.0 && run.elapsed_s() < 0.6 * plant.budget_s());
        covered += u32::from(judgement.capacity.unwrap().users_per_s.contains(*CAPACITY));
    }
    assert!(covered * 10 >= seeds as u32 * 9, "{covered} of {seeds} intervals hold {}", *CAPACITY);
}

/// In truth a limit gives 1.3 times the capacity, four replicas give 3, a split 4.8.
#[test]
fn the_lowest_rung_that_meets_the_goal_is_found() {
    for (times, lowest) in [(2.0, RemedyKind::AddReplicas), (4.0, RemedyKind::SplitThisArea)] {
        let plant = photo_shop().at(*CAPACITY * times);
        // One check at full length, the others in a hurry.
        let seeds = [(0, (times == 2.0).then_some(170)), (1, Some(170)), (2, Some(170)), (3, Some(170))];
        let mut found = 0;
        for (seed, budget_s) in seeds {
            let plant = Plant { budget_s, ..plant.clone() };
            let run = plant.check(seed);
            let judgement = judge(&run);
            assert_not_wrong(&plant, &judgement, seed);
            found += usize::from(remedy(&judgement).is_some_and(|(kind, _)| kind == lowest));
            if budget_s.is_none() {
                assert!(
                    judgement.control.is_some()
                        && judgement.remedies.iter().filter(|r| r.capacity.is_some()).count() >= 2
                );
                // What is decided is not measured until the budget is spent.
                assert!(run.elapsed_s() < 0.75 * plant.budget_s(), "{} s", run.elapsed_s());
                assert_pure(&run, 25);
            }
        }
        assert!(
            found >= 3,
            "{found} of {} checks at {times} times the capacity find {lowest:?}",
            seeds.len()
        );
    }
}

/// Two workers, each held for the 100 ms that a slow service takes.
fn pool_of_two() -> Model {
    let mut model = Model::event_loop(&[("GET /", 1.0, 0.2, 0.3), ("GET /slow", 1.0, 0.2, 0.3)]);
    model.costs[1].wait_ms = 100.0;
    Model { threads: 2, slots: 2, ..model }
}

#[test]
fn a_pool_that_is_too_small_is_cured_by_copies_although_the_cpu_idles() {
    // One copy lets 40 requests through in a second.
    let plant = Plant::new(pool_of_two(), 400).at(80.0).within(170);
    let mut cured = 0;
    for seed in 0..3 {
        let judgement = judge(&plant.check(seed));
        match judgement.verdict {
            Verdict::Remedy { index } => {
                let remedy = &judgement.remedies[index];
                assert_eq!(remedy.kind, RemedyKind::AddReplicas);
                assert!(plant.meets_goal(&remedy.arrangement, NEAR), "{remedy:?}");
                cured += 1;
            }
            Verdict::NotEnoughEvidence { .. } => {}
            wrong => panic!("seed {seed}: {wrong:?}"),
        }
    }
    assert!(cured >= 2, "{cured} of 3");
}

#[test]
fn copies_that_answer_otherwise_are_not_advised() {
    let plant = Plant::new(pool_of_two(), 400).at(80.0).within(170).forgets();
    let judgement = judge(&plant.check(0));
    let Verdict::UnsafeToSplit { index } = judgement.verdict else { panic!("{:?}", judgement.verdict) };
    let remedy = &judgement.remedies[index];
    assert_eq!((remedy.kind, remedy.meets_goal), (RemedyKind::AddReplicas, Some(true)));
    assert!(!judgement.unsafe_answers(remedy).is_empty());
}

#[test]
fn copies_do_not_help_where_all_wait_for_the_same() {
    let model = Model { slots: u32::MAX, shared_slots: 2, ..pool_of_two() };
    let plant = Plant::new(model, 400).at(80.0).within(170);
    for seed in 0..3 {
        let judgement = judge(&plant.check(seed));
        assert!(matches!(reason(&judgement), Missing::SomethingWaits { .. }), "{:?}", judgement.verdict);
    }
}

/// Sixteen users without pauses keep no app busy that mostly waits, and what they get done was taken for what it can.
#[test]
fn an_app_that_waits_for_others_without_holding_anything_holds_up() {
    let mut model = Model::event_loop(&[("GET /", 1.0, 0.5, 0.3)]);
    model.costs[0].wait_ms = 200.0;
    let plant = Plant::new(model, 400).at(500.0).within(170);
    for seed in 0..3 {
        let judgement = judge(&plant.check(seed));
        assert!(matches!(judgement.verdict, Verdict::HoldingUp { .. }), "{:?}", judgement.verdict);
    }
}

#[test]
fn a_goal_that_needs_three_cpus_of_one_is_to_scale_out() {
    let model = Model { threads: 8, ..Model::event_loop(&[("GET /", 1.0, 10.0, 0.5)]) };
    // 240 requests of 10 ms are 2.4 CPUs, at most 80 % busy.
    let plant = Plant::new(model, 300).at(240.0).within(170);
    for seed in 0..5 {
        let judgement = judge(&plant.check(seed));
        let Verdict::ScaleOut { cpus_needed, cpus_given, .. } = judgement.verdict else {
            panic!("{:?}", judgement.verdict)
        };
        assert!((cpus_needed.mid / 3.0 - 1.0).abs() < 0.1 && cpus_given == 1, "{cpus_needed:?}");
    }
}

#[test]
fn a_route_that_is_slow_alone_has_lines_to_fix_or_waits() {
    for waits in [false, true] {
        let mut model = Model::event_loop(&[("GET /", 20.0, 1.0, 0.3), ("GET /report", 1.0, 90.0, 0.05)]);
        if waits {
            model.costs[1] = Cost { route: route("GET /report"), cpu_ms: 5.0, cv: 0.3, wait_ms: 85.0 };
        }
        let plant = Plant::new(model, 60).at(10.0);
        for seed in 0..5 {
            let run = plant.check(seed);
            let judgement = judge(&run);
            match &judgement.verdict {
                Verdict::FixTheseLines { routes } if !waits => {
                    assert!(routes.len() == 1 && routes[0].route == route("GET /report"), "{routes:?}");
                    assert!((routes[0].cpu_ms / 90.0 - 1.0).abs() < 0.15, "{routes:?}");
                }
                verdict => {
                    assert!(waits, "seed {seed}: {verdict:?}");
                    let missing = reason(&judgement);
                    assert!(
                        matches!(missing, Missing::SoloWaits { route: of, .. } if *of == route("GET /report")),
                        "seed {seed}: {missing:?}"
                    );
                }
            }
            assert!(judgement.remedies.is_empty(), "no arrangement helps a request that is slow alone");
        }
    }
}

#[test]
fn an_app_that_does_not_start_ends_the_check_at_once() {
    let run = photo_shop().check_with(
        1,
        |_, _| {},
        |_, seen| {
            let at_s = seen[0].at_s;
            let failure = StageFailure {
                sentence: "It ended.".to_owned(),
                last_lines: vec!["no such file".to_owned()],
            };
            seen.truncate(1);
            seen.push(Stamped { at_s, fact: Fact::StageFailed { arrangement: "whole".to_owned(), failure } });
        },
    );
    assert!(run.windows().is_empty());
    let judgement = judge(&run);
    assert!(matches!(reason(&judgement), Missing::NotStarted { sentence, .. } if sentence == "It ended."));
}

#[test]
fn a_journey_that_fails_alone_ends_the_check_at_once() {
    let run = photo_shop().check_with(
        1,
        |_, _| {},
        |_, seen| {
            for stamped in seen {
                if let Fact::JourneyPlayed { steps, .. } = &mut stamped.fact {
                    steps
                        .iter_mut()
                        .filter(|s| s.route == route("POST /photos"))
                        .for_each(|s| s.problem = Some("it says 500".to_owned()));
                }
            }
        },
    );
    assert!(run.windows().is_empty());
    let judgement = judge(&run);
    assert!(
        matches!(reason(&judgement), Missing::JourneyFails { route: of, .. } if *of == route("POST /photos"))
    );
}

/// A sign-up that was played again with the same name ended the check of a registry with "does not work even alone".
#[test]
fn a_journey_that_fails_only_when_it_is_played_again_is_played_under_load() {
    let mut plays = 0;
    let run = photo_shop().at(*CAPACITY * 0.5).within(100).check_with(
        1,
        |_, _| {},
        |step, seen| {
            plays += u32::from(matches!(step, Step::Play { .. }));
            for stamped in seen.iter_mut().filter(|_| plays > 1) {
                if let Fact::JourneyPlayed { steps, .. } = &mut stamped.fact {
                    steps.iter_mut().for_each(|s| s.problem = Some("it says 409".to_owned()));
                }
            }
        },
    );
    assert!(plays > 1 && !run.windows().is_empty());
    assert!(matches!(judge(&run).verdict, Verdict::HoldingUp { .. }));
}

#[test]
fn an_interrupted_check_says_so_unless_the_answer_is_known() {
    let plant = photo_shop().at(*CAPACITY * 2.0).within(170);
    for last in [0, 1, 4, 9, 20, 40] {
        let mut windows = 0;
        let run = plant.check_with(
            last,
            |_, _| {},
            |step, seen| {
                windows += u64::from(matches!(step, Step::Hold(_)));
                if windows == last {
                    let at_s = seen.last().unwrap().at_s;
                    seen.push(Stamped { at_s, fact: Fact::Interrupted });
                    let in_the_middle = seen.iter_mut().rev().find_map(|s| match &mut s.fact {
                        Fact::WindowEnded(end) => Some(end),
                        _ => None,
                    });
                    if let Some(end) = in_the_middle {
                        end.cut_short = Some("interrupted".to_owned());
                    }
                }
            },
        );
        assert!(run.windows().len() as u64 <= last, "nothing is planned after an interruption");
        let judgement = judge(&run);
        assert_not_wrong(&plant, &judgement, last);
        if last < 20 {
            let missing = reason(&judgement);
            assert!(*missing == Missing::Interrupted, "after {last} windows: {missing:?}");
        }
    }
}

#[test]
fn an_app_that_dies_under_load_is_not_judged() {
    let plant = photo_shop().at(*CAPACITY * 2.0).within(170);
    for seed in 0..3 {
        let mut deaths = 0;
        let run = plant.check_with(
            seed,
            |_, _| {},
            |step, seen| {
                if let Step::Hold(plan) = step
                    && plan.window > 3
                {
                    deaths += 1;
                    insert(seen, died(&plan.arrangement));
                }
            },
        );
        assert_eq!(deaths, 1, "nothing more is tried");
        let judgement = judge(&run);
        assert!(
            matches!(reason(&judgement), Missing::Died { last_lines, .. } if last_lines[0] == "out of memory")
        );
        assert_eq!(judgement.windows_void, 1);
    }
}

#[test]
fn a_remedy_that_does_not_start_leaves_the_others_their_turn() {
    let plant = photo_shop().at(*CAPACITY * 2.0).within(170);
    let run = plant.check_with(
        1,
        |_, _| {},
        |step, seen| {
            if let Step::Hold(plan) = step
                && plan.arrangement.name.contains("replicas")
            {
                let failure =
                    StageFailure { sentence: "The port is taken.".to_owned(), last_lines: Vec::new() };
                seen.truncate(1);
                let at_s = seen[0].at_s;
                seen.push(Stamped {
                    at_s,
                    fact: Fact::StageFailed { arrangement: plan.arrangement.name.clone(), failure },
                });
            }
        },
    );
    let failed = run.facts.iter().filter(|s| matches!(s.fact, Fact::StageFailed { .. })).count();
    assert_eq!(failed, 1, "it is not tried again");
    let judgement = judge(&run);
    let replicas = judgement.remedies.iter().find(|r| r.kind == RemedyKind::AddReplicas).unwrap();
    assert_eq!(replicas.not_rehearsed.as_deref(), Some("The port is taken."));
    assert_eq!(remedy(&judgement).map(|(kind, _)| kind), Some(RemedyKind::SplitThisArea));
}

/// A neighbour takes 40 % of the CPU in some windows, and the probes see it.
#[test]
fn windows_with_a_neighbour_are_void_and_no_verdict_is_wrong() {
    for (times, share) in [(0.4, 0.3), (2.0, 0.3), (0.85, 0.6), (0.4, 1.0)] {
        for seed in 0..if times == 2.0 { 2 } else { 5 } {
            let plant = photo_shop().at(*CAPACITY * times).within(170);
            let mut dice = seeded(seed + 900);
            let run = plant.check_with(
                seed,
                |rig, _| rig.neighbour_cores = if dice.random::<f64>() < share { 0.4 } else { 0.0 },
                |_, _| {},
            );
            let judgement = judge(&run);
            assert_not_wrong(&plant, &judgement, seed);
            let noisy = run.windows().iter().filter(|w| w.probes.iter().any(|p| p.other_cpu_s > 0.0)).count();
            assert!(noisy > 0 && judgement.windows_void as usize <= noisy, "only noisy windows are void");
            if share == 1.0 {
                assert!(matches!(reason(&judgement), Missing::Void { .. }), "{:?}", judgement.verdict);
            } else {
                let (mut sound, mut begun) = (0, 0);
                for window in run.windows().iter().filter(|w| w.plan.purpose == Purpose::Saturate) {
                    begun += 1;
                    sound += u32::from(window.probes.iter().all(|p| p.other_cpu_s == 0.0));
                }
                assert!(
                    sound == 2 || begun - sound == 3,
                    "windows flat out are repeated: {sound} of {begun}"
                );
            }
        }
    }
}

/// A neighbour can only slow answers down, so what is held beside it is held. With only the sound windows as witnesses an app that used a
/// twentieth of its CPU was "too close to tell".
#[test]
fn a_goal_that_is_far_away_is_met_although_most_windows_are_noisy() {
    let verdicts: Vec<Verdict> = (0..20)
        .map(|seed| {
            let plant = photo_shop().at(*CAPACITY * 0.1).within(100);
            let mut dice = seeded(seed + 70);
            let noise = |rig: &mut FakeRig, _: &Step| {
                rig.neighbour_cores = if dice.random::<f64>() < 0.8 { 0.4 } else { 0.0 };
            };
            judge(&plant.check_with(seed, noise, |_, _| {})).verdict
        })
        .collect();
    let holding = verdicts.iter().filter(|v| matches!(v, Verdict::HoldingUp { .. })).count();
    assert!(holding >= 12, "{holding} of 20: {verdicts:?}");
}

#[test]
fn a_run_that_was_cut_off_anywhere_can_be_judged_and_planned_on() {
    let plant = photo_shop().at(*CAPACITY * 2.0).within(100);
    let run = plant.check(3);
    let rehearsed = run.facts.iter().position(|s| {
        matches!(&s.fact, Fact::StepBegan { step: Step::Hold(plan), .. } if matches!(plan.purpose, Purpose::Rehearse { .. }))
    });
    // From the first rehearsal on every judgement simulates all remedies: some cuts must do.
    let rehearsed = rehearsed.unwrap() + 2;
    for cut in (0..rehearsed).chain((rehearsed..=run.facts.len()).step_by(41)) {
        let prefix = Run { header: run.header.clone(), facts: run.facts[..cut].to_vec() };
        let judgement = judge(&prefix);
        assert!(judgement.windows as usize <= prefix.windows().len());
        if cut < rehearsed {
            assert!(!judgement.valid(), "nothing is known at {cut}: {:?}", judgement.verdict);
        }
        let planned = Planner::new().next(&prefix);
        if let Step::Hold(plan) = planned.step {
            assert!(plan.window as usize == prefix.windows().len() + 1, "windows count up, at {cut}");
        }
    }
}

/// A login form whose token is used up by the first use: sent twice in a row it is refused, at hardly any cost.
#[test]
fn a_request_that_is_refused_when_repeated_still_gets_its_true_cost() {
    let (form, login, page) = (route("GET /login"), route("POST /login"), route("GET /"));
    let cost = |route: &Route, cpu_ms| Cost { route: route.clone(), cpu_ms, cv: 0.3, wait_ms: 0.0 };
    let journey = |weight, routes: &[&Route]| JourneyOutline {
        name: format!("journeys/{}.hurl", routes.len()),
        weight,
        steps: routes.iter().map(|r| OutlineStep { route: (*r).clone(), think_s: 0.1 }).collect(),
    };
    let model = Model {
        costs: vec![cost(&form, 2.0), cost(&login, 20.0), cost(&page, 3.0)],
        journeys: vec![journey(1.0, &[&form, &login, &page]), journey(4.0, &[&page, &page])],
        ..Model::event_loop(&[])
    };
    let plant = Plant::new(model, 200).at(20.0).within(110);
    let run = plant.check_with(3, |rig, _| rig.once = Some(login.clone()), |_, _| {});
    let ends =
        |w: &fissure_facts::Window| w.plan.emphasis.as_ref().is_some_and(|e| e.ends && e.route == login);
    assert!(run.windows().iter().any(ends), "nobody looked at it apart");
    let found = judge(&run).demands.into_iter().find(|d| d.route == login).unwrap().cpu_ms;
    assert!((found.mid / 20.0 - 1.0).abs() < 0.08 && found.contains(20.0), "{found:?}");
}

/// Every user connects once, at a cost that no repetition multiplies: it must not be taken for the cost of the first page.
#[test]
fn the_first_request_of_a_journey_is_not_charged_for_the_connection() {
    let (page, item) = (route("GET /"), route("GET /items/{id}"));
    let cost = |route: &Route| Cost { route: route.clone(), cpu_ms: 0.5, cv: 0.3, wait_ms: 0.0 };
    let steps = [&page, &item, &item].map(|r| OutlineStep { route: r.clone(), think_s: 0.1 });
    let model = Model {
        costs: vec![cost(&page), cost(&item)],
        journeys: vec![JourneyOutline { name: "browse".to_owned(), weight: 1.0, steps: steps.to_vec() }],
        ..Model::event_loop(&[])
    };
    let plant = Plant::new(model, 200).at(100.0).within(110);
    let judgement = judge(&plant.check_with(3, |rig, _| rig.connection_ms = 1.0, |_, _| {}));
    for demand in &judgement.demands {
        assert!((demand.cpu_ms.mid / 0.5 - 1.0).abs() < 0.15, "{demand:?}");
    }
    let connection = judgement.connection.unwrap();
    assert!((connection.cpu_ms.mid - 1.0).abs() < 0.2 && connection.cpu_ms.contains(1.0), "{connection:?}");
    assert!((connection.per_request - 1.0 / 3.0).abs() < 0.05, "{connection:?}");
}
