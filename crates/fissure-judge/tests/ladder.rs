//! Whole checks on a fake rig whose planted truth is one rung of the ladder each: lines, a lock, a cache, a link, two limits at once.
#![allow(clippy::unwrap_used, reason = "a test may: its inputs are its own")]

mod fake_rig;

use std::collections::{BTreeMap, BTreeSet};

use fake_rig::{Model, Plant, Waited, route};
use fissure_facts::fact::{ErrorClass, RouteSecond, Stamped};
use fissure_facts::profile::{Frame, Stack};
use fissure_facts::{Fact, JourneyOutline, Latencies, Load, OutlineStep, Profile, Purpose, Step, WindowPlan};
use fissure_judge::judgement::{Doubt, Grows, Missing, RemedyKind, Resource, Verdict};
use fissure_judge::{Judgement, judge};

fn reason(judgement: &Judgement) -> &Missing {
    match &judgement.verdict {
        Verdict::NotEnoughEvidence { reasons } => &reasons[0],
        verdict => panic!("a confident verdict: {verdict:?}"),
    }
}

/// Two workers, each held for the 100 ms that a slow service takes.
fn pool_of_two() -> Model {
    let mut model = Model::event_loop(&[("GET /", 1.0, 0.2, 0.3), ("GET /slow", 1.0, 0.2, 0.3)]);
    model.costs[1].wait_ms = 100.0;
    Model { threads: 2, slots: 2, ..model }
}

/// Copies wait for the same database, and most of the requests were seen to do so.
#[test]
fn a_database_that_nothing_helps_is_named() {
    let mut model = Model { slots: u32::MAX, shared_slots: 2, ..pool_of_two() };
    model.costs[1].cpu_ms *= 2.0;
    let mut plant = Plant::new(model, 400).at(80.0).within(170);
    for (port, is_database) in [(5432, true), (7408, false)] {
        let address = ([127, 0, 0, 1], port).into();
        plant.waited = Some(Waited::Peer { address, questions: 2.0 });
        // An ugly line that would do nothing: the CPU has time to spare.
        plant.own_line = BTreeMap::from([(route("GET /slow"), 0.95), (route("GET /"), 0.95)]);
        let judgement = judge(&plant.check(u64::from(port)));
        let Verdict::ItsTheLink { link, alone: None } = &judgement.verdict else {
            panic!("{:?}", judgement.verdict)
        };
        assert_eq!((link.address.port(), link.is_database), (Some(port), is_database));
        assert!(link.share.mid > 0.8, "{link:?}");
        assert!(judgement.questions.is_empty(), "{:?}", judgement.questions);
        // A page that asked 93 questions for its 100 rows was told to buy CPUs.
        plant.waited = Some(Waited::Peer { address, questions: 40.0 });
        let judgement = judge(&plant.check(u64::from(port)));
        assert_eq!(judgement.verdict, Verdict::FixTheseLines { routes: Vec::new() });
        let [questions] = &judgement.questions[..] else { panic!("{:?}", judgement.questions) };
        assert_eq!((questions.address.port(), questions.is_database), (Some(port), is_database));
        assert_eq!(questions.route, Some(route("GET /slow")), "{questions:?}");
        assert!((questions.per_request / 40.0 - 1.0).abs() < 0.1, "{questions:?}");
        assert!(questions.by_others.is_some_and(|asked| asked < 3.0), "{questions:?}");
    }
}

/// The pool is the app's own: its copies bring slots of their own, so the service behind it is not to blame.
#[test]
fn a_service_is_not_blamed_where_copies_help() {
    let mut plant = Plant::new(pool_of_two(), 400).at(80.0).within(170);
    plant.waited = Some(Waited::Peer { address: ([127, 0, 0, 1], 7408).into(), questions: 40.0 });
    let judgement = judge(&plant.check(1));
    assert!(!matches!(judgement.verdict, Verdict::ItsTheLink { .. }), "{:?}", judgement.verdict);
}

/// Three copies on a virtual machine that still compiled missed the goal in their first window and met it in the second; nobody looked
/// a third time.
#[test]
fn a_copy_that_was_cold_once_is_asked_again() {
    let plant = Plant::new(pool_of_two(), 400).at(60.0).within(400);
    let mut met = BTreeSet::new();
    let run = plant.check_with(
        1,
        |_, _| {},
        |step, seen| {
            let Step::Hold(WindowPlan { arrangement, .. }) = step else { return };
            let is_cold = arrangement.copies() > 1 && met.insert(arrangement.name.clone());
            for second in seen.iter_mut().filter(|_| is_cold).filter_map(|s| match &mut s.fact {
                Fact::SecondPassed(second) => Some(second),
                _ => None,
            }) {
                for route in second.routes.values_mut() {
                    route.latency.record_many_us(2_000_000, route.latency.count() / 5);
                }
            }
        },
    );
    let judgement = judge(&run);
    let copies = judgement.remedies.iter().find(|r| r.kind == RemedyKind::AddReplicas).unwrap();
    assert_eq!(copies.meets_goal, Some(true), "{copies:?}");
}

/// A library lends so many books and no more, and who asked for fifty in a row to see what one costs gave none back: from then on the
/// app refused everybody, and fewer at once were said to help.
#[test]
fn what_earlier_users_used_up_is_no_lack_of_capacity() {
    let model = Model::event_loop(&[("GET /titles", 4.0, 1.0, 0.3), ("POST /loans", 1.0, 1.0, 0.3)]);
    let (plant, loans) = (Plant::new(model, 100).at(200.0), route("POST /loans"));
    let (mut lent, mut renewed) = (0, 0);
    let run = plant.check_with(
        1,
        |_, _| {},
        |step, seen| {
            let plan = match step {
                Step::Hold(plan) if plan.arrangement.name == "whole" => plan,
                Step::Renew { .. } => {
                    (lent, renewed) = (0, renewed + 1);
                    return;
                }
                _ => return,
            };
            for fact in seen.iter_mut() {
                let Fact::SecondPassed(second) = &mut fact.fact else { continue };
                let Some(route) = second.routes.get_mut(&loans) else { continue };
                if lent > 500 {
                    route.errors.insert(ErrorClass::Status, route.latency.count());
                    route.latency = Latencies::new();
                } else if plan.emphasis.is_some() {
                    lent += route.latency.count();
                }
            }
        },
    );
    let judgement = judge(&run);
    assert!(matches!(judgement.verdict, Verdict::HoldingUp { .. }), "{:?}", judgement.verdict);
    assert_eq!(renewed, 1);
    assert!(judgement.doubts.iter().any(|d| matches!(d, Doubt::VoidWindows { void: 1, .. })));
}

/// It was "could not tell", with the lines in the small print.
#[test]
fn a_lock_that_is_held_across_something_slow_is_lines_to_fix() {
    let model = Model { threads: 8, slots: 1, ..pool_of_two() };
    let mut plant = Plant::new(model, 400).at(60.0).within(170);
    plant.waited = Some(Waited::Lock);
    for seed in 0..1 {
        let judgement = judge(&plant.check(seed));
        assert!(matches!(judgement.verdict, Verdict::FixTheseLines { .. }), "{:?}", judgement.verdict);
        let limit = judgement.limit.unwrap();
        assert_eq!(limit.resource, Resource::Lock);
        let lines: Vec<u32> = limit.place.iter().map(|p| p.line).collect();
        assert_eq!(lines, [53, 51], "the holder, then those that wait");
    }
}

#[test]
fn an_app_that_closes_its_connections_is_told_so() {
    let model = Model::event_loop(&[("GET /titles", 4.0, 1.0, 0.3), ("GET /loans", 1.0, 1.0, 0.3)]);
    let plant = Plant::new(model, 100).at(200.0).within(170);
    let told = |closed_share: f64| {
        let run = plant.check_with(
            1,
            |_, _| {},
            |_, seen| {
                for fact in seen.iter_mut() {
                    let Fact::SecondPassed(second) = &mut fact.fact else { continue };
                    let ended: u64 = second.routes.values().map(RouteSecond::ended).sum();
                    second.reconnects = (ended as f64 * closed_share) as u64;
                    second.connects = second.users_arrived + second.reconnects;
                }
            },
        );
        let doubts = judge(&run).doubts;
        doubts.iter().any(|d| matches!(d, Doubt::ConnectionChurn { per_request } if *per_request > 0.9))
    };
    assert!(told(0.98) && !told(0.1));
}

/// Eight workers, each held by a user who reads for a second between two pages: the CPU is nearly idle and eight users are served.
#[test]
fn workers_that_are_held_by_users_who_think_are_released() {
    let mut model = Model::event_loop(&[("GET /", 1.0, 2.0, 0.3), ("GET /offers/{id}", 1.0, 2.0, 0.3)]);
    let step = |text: &str, think_s| OutlineStep { route: route(text), think_s };
    let steps = vec![step("GET /", 0.0), step("GET /offers/{id}", 1.0), step("GET /offers/{id}", 1.0)];
    model.journeys = vec![JourneyOutline { name: "look.hurl".to_owned(), weight: 1.0, steps }];
    (model.threads, model.seats) = (8, 8);
    let judged = |seats: u32, users_per_s: f64| {
        let model = Model { seats, ..model.clone() };
        judge(&Plant::new(model, 100).at(users_per_s).within(240).check(1))
    };
    let judgement = judged(8, 20.0);
    let Verdict::Remedy { index } = judgement.verdict else { panic!("{:?}", judgement.verdict) };
    assert_eq!(judgement.remedies[index].kind, RemedyKind::ReleaseWorkers);
    assert_eq!(judgement.limit.map(|limit| limit.resource), Some(Resource::Pool));
    let held = judgement.held_workers.unwrap();
    assert!(held.first_ms > 100.0 && held.later_ms < 20.0 && held.cpu_share < 0.5, "{held:?}");

    // The same app with a worker for everybody holds as much, and where it does not the CPU is short.
    let roomy = judged(u32::MAX, 20.0);
    assert!(matches!(roomy.verdict, Verdict::HoldingUp { .. }) && roomy.held_workers.is_none());
    let overrun = judged(u32::MAX, 400.0);
    assert!(matches!(overrun.verdict, Verdict::ScaleOut { .. }) && overrun.held_workers.is_none());
}

/// One CPU is full, and most requests wait for somebody else all the same: to mend one of the two may change nothing.
#[test]
fn two_limits_at_once_are_told_and_nothing_is_promised() {
    let mut plant = hot_line(0.99, 240.0);
    plant.waited = Some(Waited::Peer { address: ([127, 0, 0, 1], 5432).into(), questions: 1.0 });
    let judgement = judge(&plant.check(1));
    let Missing::TwoLimits { cpu_share, other: Resource::Database, link: Some(_), .. } = reason(&judgement)
    else {
        panic!("{:?}", judgement.verdict)
    };
    assert!(cpu_share.mid > 0.9);
}

/// Everybody gets the same dear menu: three copies of a CPU would stand the load, and so does a cache.
#[test]
fn answers_that_repeat_are_cached_and_others_are_not() {
    let model = Model::event_loop(&[("GET /menu", 3.0, 20.0, 0.3), ("GET /orders/{id}", 1.0, 1.0, 0.3)]);
    let mut plant = Plant::new(model, 200).at(120.0).within(170);
    for seed in 0..1 {
        let judgement = judge(&plant.check(seed));
        assert!(matches!(judgement.verdict, Verdict::ScaleOut { .. }), "{:?}", judgement.verdict);
        assert!(judgement.remedies.iter().all(|r| r.kind != RemedyKind::CacheAnswers), "none repeats");
    }
    plant.repeats.insert(route("GET /menu"));
    for seed in 0..1 {
        let judgement = judge(&plant.check(seed));
        let Verdict::Remedy { index } = judgement.verdict else { panic!("{:?}", judgement.verdict) };
        let remedy = &judgement.remedies[index];
        assert_eq!(remedy.kind, RemedyKind::CacheAnswers);
        assert!(remedy.arrangement.caches(&route("GET /menu")));
    }
}

/// An app that sleeps between two requests and is woken for each was told to become dearer with every write: users pause in the later windows.
#[test]
fn what_users_who_pause_cost_more_is_no_growth() {
    let model = Model::event_loop(&[("GET /", 4.0, 0.2, 0.3), ("POST /entries", 1.0, 0.3, 0.3)]);
    let plant = Plant::new(Model { slots: 4, ..model }, 100).at(900.0).within(170);
    let run = plant.check_with(
        1,
        |_, _| {},
        |step, seen| {
            let Step::Hold(WindowPlan { load: Load::Open { .. }, .. }) = step else { return };
            let per_second: BTreeMap<u32, u64> = seen
                .iter()
                .filter_map(|s| match &s.fact {
                    Fact::SecondPassed(second) => {
                        Some((second.second, second.routes.values().map(RouteSecond::ended).sum()))
                    }
                    _ => None,
                })
                .collect();
            for fact in seen.iter_mut() {
                let Fact::Sampled(sample) = &mut fact.fact else { continue };
                sample.app_cpu_s += per_second.get(&sample.second).copied().unwrap_or(0) as f64 * 0.4e-3;
            }
        },
    );
    assert_eq!(judge(&run).growth, []);
}

#[test]
fn what_grows_with_the_data_is_told_and_what_does_not_is_not() {
    let model = Model::event_loop(&[("GET /", 4.0, 1.0, 0.3), ("POST /entries", 1.0, 2.0, 0.3)]);
    let plant = Plant::new(model, 100).at(900.0).within(170);
    let entries = route("POST /entries");
    for seed in 0..1 {
        assert_eq!(judge(&plant.check(seed)).growth, [], "nothing was planted");
        let run =
            plant.check_with(seed, |rig, _| rig.grows = Some((entries.clone(), 4.0, 100 << 10)), |_, _| {});
        let growth = judge(&run).growth;
        let cpu = growth.iter().find(|g| matches!(g.of, Grows::Cpu(_))).unwrap();
        assert_eq!(cpu.of, Grows::Cpu(entries.clone()));
        assert!(cpu.is_by_writes && (cpu.first / 2.0 - 1.0).abs() < 0.5, "{cpu:?}");
        // Warm-ups are not counted, so a little more than what the counted writes explain.
        let truly = 4.0 * cpu.requests as f64 / 1e3;
        assert!(cpu.more.mid > 0.8 * truly && cpu.more.mid < 1.7 * truly, "{cpu:?}, truly {truly}");
        assert!(growth.iter().any(|g| g.of == Grows::Memory), "{growth:?}");
    }
}

/// One line of the app's own takes this share of the CPU of `GET /`, whose load needs three times the CPU that is there.
fn hot_line(share: f64, users_per_s: f64) -> Plant {
    let model = Model { threads: 8, ..Model::event_loop(&[("GET /", 1.0, 10.0, 0.5)]) };
    let plant = Plant::new(model, 300).at(users_per_s).within(170);
    Plant { own_line: BTreeMap::from([(route("GET /"), share)]), ..plant }
}

fn profiles_in(facts: &mut [Stamped]) -> impl Iterator<Item = &mut Profile> {
    facts.iter_mut().filter_map(|s| match &mut s.fact {
        Fact::Profiled(profile) => Some(profile),
        _ => None,
    })
}

/// It was `ScaleOut`, beside a prediction that the line costs everything.
#[test]
fn nobody_buys_cpus_for_one_line_of_the_apps_own() {
    // Without the line 24 ms of each second's 240 requests are left, or 1.2 of one CPU: enough, and not enough.
    for (share, does) in [(0.99, true), (0.55, false)] {
        let plant = hot_line(share, 240.0);
        for seed in 0..1 {
            let judgement = judge(&plant.check(seed));
            assert!(matches!(judgement.verdict, Verdict::FixTheseLines { .. }), "{:?}", judgement.verdict);
            let fix = judgement.fix.unwrap();
            let (holds, goal) = (judgement.capacity.unwrap().users_per_s, judgement.goal.users_per_s);
            assert_eq!(holds.mid * fix.capacity_ratio.mid >= goal, does, "{fix:?}");
            let left = 240.0 * 0.010 * (1.0 - share) / 0.8;
            assert!((fix.cpus_needed.mid / left - 1.0).abs() < 0.3, "{fix:?}, truly {left}");
        }
    }
}

/// A page of ten small computations, each in a function of its own, was to be rewritten, and nobody tried whether its answer could be kept.
#[test]
fn lines_in_many_functions_wait_until_other_remedies_were_tried() {
    let plant = hot_line(0.95, 120.0);
    let is_tried = |functions: u32| {
        let run = plant.check_with(
            1,
            |_, _| {},
            |_, facts| {
                for profile in profiles_in(facts) {
                    let (frame, stack) = (profile.frames[0].clone(), profile.stacks.remove(0));
                    for n in 0..functions {
                        let frames = vec![profile.frames.len() as u32];
                        profile.frames.push(Frame { function: format!("part_{n}"), ..frame.clone() });
                        profile.stacks.push(Stack {
                            frames,
                            count: stack.count / u64::from(functions),
                            ..stack.clone()
                        });
                    }
                }
            },
        );
        assert!(matches!(judge(&run).verdict, Verdict::FixTheseLines { .. }), "nothing else helps");
        // Each remedy is seen once in any case, to compare with.
        run.windows().iter().any(|w| matches!(w.plan.purpose, Purpose::Rehearse { block } if block > 0))
    };
    assert_eq!([1, 3, 5].map(is_tried), [false, false, true]);
}

#[test]
fn a_line_that_is_not_most_of_it_is_no_reason_against_more_cpus() {
    let plant = hot_line(0.3, 240.0);
    let judgement = judge(&plant.check(1));
    assert!(matches!(judgement.verdict, Verdict::ScaleOut { .. }), "{:?}", judgement.verdict);
}

/// A Perl app with a missing index was told to buy CPUs: nobody had seen a line of it, only the database in its process.
#[test]
fn nobody_buys_cpus_for_lines_that_no_instrument_saw() {
    let plant = hot_line(0.0, 240.0);
    for (module, seen) in [("libz.so", None), ("SQLite.so", Some("SQLite"))] {
        let run = plant.check_with(
            1,
            |_, _| {},
            |_, facts| {
                profiles_in(facts)
                    .flat_map(|p| &mut p.frames)
                    .for_each(|f| f.module = f.module.take().map(|_| module.to_owned()));
            },
        );
        let judgement = judge(&run);
        let Missing::LinesUnseen { engine, cpus_needed, .. } = reason(&judgement) else {
            panic!("{:?}", judgement.verdict)
        };
        assert_eq!(engine.map(|(name, _)| name), seen);
        assert!(cpus_needed.mid > 2.0, "{cpus_needed:?}");
    }
}

/// More CPUs were advised by a check that was interrupted before it had tried anything cheaper to its end.
#[test]
fn nobody_buys_cpus_after_half_a_check() {
    let mut run = hot_line(0.3, 240.0).check(1);
    let interrupted = Stamped { at_s: run.facts.last().unwrap().at_s, fact: Fact::Interrupted };
    run.facts.push(interrupted);
    assert!(matches!(reason(&judge(&run)), Missing::Interrupted));
}
