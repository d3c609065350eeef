//! The planner and the matrix of faults against an app whose answers to faults are planted.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeMap;
use std::time::Duration;

use fissure_facts::config::{Config, Goal, Percent, Slo};
use fissure_facts::fact::{CrowdSecond, ErrorClass, PlayedStep, ProbeSecond, RouteSecond, WindowEnd};
use fissure_facts::{
    Arrangement, Fact, FaultKind, FoundBy, Header, JourneyOutline, Latencies, Load, Machine, OutlineStep,
    Purpose, ReadBack, ReadCount, Reading, Route, Run, Stamped, Step, Target, Trigger, WindowPlan, WriteEnd,
    WriteSent,
};
use fissure_judge::chaos::{Campaign, Chaos, Class, Outcome, judge};

/// What a fault does to a route, in the app that is planted here.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Effect {
    Nothing,
    /// So many times as slow.
    Slower(u64),
    Fails(ErrorClass),
    /// Nobody comes any more, because an earlier step fails.
    Deserted,
    /// Fails, and does not stop failing.
    ForEver,
}

const ROUTES: [&str; 2] = ["GET /", "POST /orders"];
const PER_S: u64 = 20;
const USUAL_US: u64 = 10_000;

struct App {
    effect: fn(FaultKind, &Target, usize) -> Effect,
    /// Windows in which the crowd is late, by number.
    late: &'static [u32],
    /// Above so many users per second every answer misses the goal.
    stands: f64,
}

fn header() -> Header {
    let journey = |name: &str| JourneyOutline {
        name: name.to_owned(),
        weight: 1.0,
        steps: vec![OutlineStep { route: name.parse().unwrap(), think_s: 0.0 }],
    };
    let goal = Goal {
        requests_per_s: Some(40.0),
        slo: Slo::p95(Duration::from_millis(100)),
        errors: Percent(0.01),
        ..Goal::default()
    };
    let mut config = Config { goal, ..Config::default() };
    config.users.timeout = fissure_facts::config::Span(Duration::from_secs(2));
    Header {
        format: fissure_facts::run::FORMAT.to_owned(),
        fissure: "0.0.0".to_owned(),
        run: "fake".to_owned(),
        started_unix_s: 0,
        verb: "chaos".to_owned(),
        seed: 1,
        machine: Machine { app_cpus: vec![0], crowd_cpus: vec![1], ..Machine::default() },
        config,
        journeys: ROUTES.iter().map(|route| journey(route)).collect(),
    }
}

impl App {
    fn run(&self, campaign: &Campaign) -> (Chaos, Run) {
        let mut run = Run::new(header());
        for _ in 0..200 {
            let planned = campaign.next(&run);
            assert!(planned.remaining_s >= 0.0 && !planned.why.is_empty());
            let mut add = |fact| run.facts.push(Stamped { at_s: 0.0, fact });
            add(Fact::StepBegan { step: planned.step.clone(), why: planned.why });
            match planned.step {
                Step::Play { .. } => ROUTES.iter().for_each(|route| add(played(route))),
                Step::Hold(plan) => self.hold(&plan, add),
                Step::Finish => return (judge(&run), run),
                other => panic!("{other:?} is no step of a chaos run"),
            }
        }
        panic!("the planner does not come to an end");
    }

    fn hold(&self, plan: &WindowPlan, mut add: impl FnMut(Fact)) {
        let fault = match &plan.purpose {
            Purpose::Fault(fault) => Some(fault),
            _ => None,
        };
        let is_too_much = matches!(plan.load, Load::Open { users_per_s } if users_per_s > self.stands);
        for second in 0..plan.seconds {
            if let Some(fault) = fault {
                if second == fault.before_s {
                    add(Fact::FaultInjected { window: plan.window, second });
                }
                if second == fault.before_s + fault.lasts_s {
                    add(Fact::FaultLifted { window: plan.window, second });
                }
            }
            let mut routes: BTreeMap<Route, RouteSecond> = BTreeMap::new();
            for (at, route) in ROUTES.iter().enumerate() {
                let effect = fault.map_or(Effect::Nothing, |fault| {
                    let effect = (self.effect)(fault.kind, &fault.target, at);
                    let is_on = (fault.before_s..fault.before_s + fault.lasts_s).contains(&second);
                    let is_later = second >= fault.before_s + fault.lasts_s;
                    if is_on || (is_later && effect == Effect::ForEver) { effect } else { Effect::Nothing }
                });
                routes.insert(
                    route.parse().unwrap(),
                    answers(effect, if is_too_much { 200_000 } else { USUAL_US }),
                );
            }
            let mut lateness = Latencies::new();
            lateness.record_many_us(if self.late.contains(&plan.window) { 500_000 } else { 50 }, 2 * PER_S);
            let sent = routes.values().map(RouteSecond::ended).sum();
            add(Fact::SecondPassed(CrowdSecond {
                window: plan.window,
                second,
                routes,
                planned: sent,
                lateness,
                ..CrowdSecond::default()
            }));
            add(Fact::Sampled(ProbeSecond {
                window: plan.window,
                second,
                elapsed_s: 1.0,
                ..ProbeSecond::default()
            }));
        }
        add(Fact::WindowEnded(WindowEnd {
            window: plan.window,
            planned: 0,
            unanswered: BTreeMap::new(),
            users_planned: None,
            cut_short: None,
        }));
    }
}

fn played(route: &str) -> Fact {
    let step = PlayedStep {
        route: route.parse().unwrap(),
        line: 1,
        status: Some(200),
        latency_us: USUAL_US,
        bytes: 2,
        problem: None,
    };
    Fact::JourneyPlayed { arrangement: "whole".to_owned(), journey: route.to_owned(), steps: vec![step] }
}

fn answers(effect: Effect, usual_us: u64) -> RouteSecond {
    let mut seen = RouteSecond::default();
    let factor = match effect {
        Effect::Nothing => 1,
        Effect::Slower(factor) => factor,
        Effect::Deserted => return seen,
        Effect::Fails(class) => {
            seen.errors.insert(class, PER_S);
            return seen;
        }
        Effect::ForEver => {
            seen.errors.insert(ErrorClass::Refused, PER_S);
            return seen;
        }
    };
    for n in 0..PER_S {
        seen.latency.record_us(factor * (usual_us + 100 * n));
    }
    seen
}

fn campaign(kinds: &[FaultKind]) -> Campaign {
    Campaign {
        kinds: kinds.to_vec(),
        links: vec!["db".to_owned()],
        http_links: Vec::new(),
        trigger: Trigger::Always,
        route: None,
        on: Vec::new(),
        arrangements: vec![Arrangement::whole()],
        users_per_s: Some(40.0),
        timeout_s: 2.0,
        may_write: false,
        outage_most_s: None,
        within_s: None,
    }
}

fn classes(chaos: &Chaos) -> Vec<(String, Vec<Class>)> {
    let of = |trial: &fissure_judge::chaos::Trial| {
        let Outcome::Measured { cells, .. } = &trial.outcome else { panic!("{trial:?}") };
        (
            format!("{} on {}", trial.fault.kind.name(), trial.fault.target),
            cells.iter().map(|c| c.class).collect(),
        )
    };
    chaos.trials.iter().map(of).collect()
}

#[test]
fn the_matrix_is_what_was_planted() {
    let app = App {
        effect: |kind, target, route| match (kind, target, route) {
            (FaultKind::Pause, ..) => Effect::Fails(ErrorClass::Timeout),
            (FaultKind::Memory { .. }, ..) => Effect::ForEver,
            (FaultKind::Refuse, Target::Door(_), 0) => Effect::Fails(ErrorClass::Refused),
            (FaultKind::Refuse, Target::Door(_), _) => Effect::Deserted,
            (FaultKind::Refuse, Target::Link(_), 1) => Effect::Fails(ErrorClass::Assert),
            (FaultKind::Latency { .. }, Target::Door(_), _) => Effect::Slower(20),
            (FaultKind::Latency { .. }, Target::Link(_), 1) => Effect::Slower(3),
            _ => Effect::Nothing,
        },
        late: &[],
        stands: f64::INFINITY,
    };
    let kinds = [
        FaultKind::Pause,
        FaultKind::Memory { more_mib: 8 },
        FaultKind::Refuse,
        FaultKind::Latency { ms: 200 },
    ];
    let (chaos, _) = app.run(&campaign(&kinds));
    use Class::{FailsFast, Hangs, NeverHealed, NotReached, Slow, Unaffected, WithinSlo, WrongAnswer};
    let expected: Vec<(String, Vec<Class>)> = [
        ("pause on web", vec![Hangs, Hangs]),
        ("memory on web", vec![NeverHealed, NeverHealed]),
        ("refuse on users -> web", vec![FailsFast, NotReached]),
        ("refuse on web -> db", vec![Unaffected, WrongAnswer]),
        ("latency on users -> web", vec![Slow, Slow]),
        ("latency on web -> db", vec![Unaffected, WithinSlo]),
    ]
    .map(|(name, classes)| (name.to_owned(), classes))
    .to_vec();
    assert_eq!(classes(&chaos), expected);
    assert!(chaos.is_bad() && chaos.is_known());
    let radius = |at: usize| match &chaos.trials[at].outcome {
        Outcome::Measured { blast_radius, .. } => *blast_radius,
        other => panic!("{other:?}"),
    };
    // Half of the traffic goes to the route that the database's refusal spoils.
    assert!(radius(3).contains(0.5) && radius(0).mid > 0.99 && radius(5).mid < 0.01, "{:?}", radius(3));
}

#[test]
fn what_heals_says_when_and_what_does_not_says_never() {
    let app = App {
        effect: |_, _, route| if route == 0 { Effect::ForEver } else { Effect::Fails(ErrorClass::Reset) },
        late: &[],
        stands: f64::INFINITY,
    };
    let (chaos, _) = app.run(&campaign(&[FaultKind::Pause]));
    let recoveries: Vec<Option<u32>> = chaos.cells().map(|cell| cell.recovery_s).collect();
    assert_eq!(recoveries, [None, Some(0)]);
}

#[test]
fn a_void_window_is_repeated_once_and_then_left() {
    let app = App { effect: |_, _, _| Effect::Nothing, late: &[1], stands: f64::INFINITY };
    let (chaos, run) = app.run(&campaign(&[FaultKind::Pause]));
    assert_eq!(run.windows().len(), 2);
    assert_eq!(classes(&chaos), [("pause on web".to_owned(), vec![Class::Unaffected, Class::Unaffected])]);
    let app = App { effect: |_, _, _| Effect::Nothing, late: &[1, 2, 3], stands: f64::INFINITY };
    let (chaos, run) = app.run(&campaign(&[FaultKind::Pause]));
    assert_eq!(run.windows().len(), 2);
    assert!(matches!(chaos.trials.as_slice(), [t] if matches!(t.outcome, Outcome::Void { .. })), "{chaos:?}");
    assert!(!chaos.is_known());
}

#[test]
fn a_load_that_misses_the_goal_by_itself_is_halved() {
    let app = App { effect: |_, _, _| Effect::Nothing, late: &[], stands: 25.0 };
    let (chaos, run) = app.run(&campaign(&[FaultKind::Pause, FaultKind::Restart]));
    assert_eq!(chaos.users_per_s, 20.0);
    assert_eq!(run.windows().len(), 3);
    assert!(chaos.is_known() && !chaos.is_bad());
}

#[test]
fn without_a_capacity_it_probes_and_stays_below_the_goal() {
    let app = App { effect: |_, _, _| Effect::Nothing, late: &[], stands: f64::INFINITY };
    let mut campaign = campaign(&[FaultKind::Pause]);
    campaign.users_per_s = None;
    let (chaos, run) = app.run(&campaign);
    assert_eq!(run.windows()[0].plan.purpose, Purpose::Saturate);
    // 40 requests a second flat out, one of each user: four tenths of them.
    assert!((chaos.users_per_s - 16.0).abs() < 0.5, "{}", chaos.users_per_s);
}

#[test]
fn a_split_doubles_the_targets_of_its_own_arrangement_only() {
    let mut campaign = campaign(&[FaultKind::Pause]);
    campaign.arrangements.push(Arrangement::split("orders", &[ROUTES[1].parse().unwrap()]));
    let app = App {
        effect: |_, target, route| match (target.name(), route) {
            ("web", _) => Effect::Fails(ErrorClass::Timeout),
            (_, 1) => Effect::Fails(ErrorClass::Timeout),
            _ => Effect::Nothing,
        },
        late: &[],
        stands: f64::INFINITY,
    };
    let (chaos, _) = app.run(&campaign);
    let names: Vec<String> = classes(&chaos).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["pause on web", "pause on web", "pause on orders"]);
    assert_eq!(chaos.arrangements(), ["whole", "orders apart"]);
    assert!(chaos.blast_radius("orders apart").unwrap() < chaos.blast_radius("whole").unwrap());
}

/// A run in which writes were read back: what the unharmed window and the window of a fault told of them.
fn read_back(unharmed: &[ReadCount], fault: &[ReadCount], found_by: FoundBy) -> Chaos {
    let app = App { effect: |_, _, _| Effect::Nothing, late: &[], stands: f64::INFINITY };
    let reading =
        Reading { journey: ROUTES[1].to_owned(), write: 0, read: 1, found_by, value: Some(0), times: 1 };
    let mut run = Run::new(header());
    let campaign = campaign(&[FaultKind::Restart]);
    for _ in 0..20 {
        let planned = campaign.next(&run);
        let mut add = |fact| run.facts.push(Stamped { at_s: 0.0, fact });
        add(Fact::StepBegan { step: planned.step.clone(), why: planned.why });
        match planned.step {
            Step::Play { .. } => {
                let write = WriteSent {
                    journey: ROUTES[1].to_owned(),
                    step: 0,
                    route: ROUTES[1].parse().unwrap(),
                    line: 1,
                    fresh: 1,
                };
                add(Fact::WriteSent(write));
                add(Fact::WriteShown(reading.clone()));
                ROUTES.iter().for_each(|route| add(played(route)));
            }
            Step::Hold(plan) => {
                app.hold(&plan, &mut add);
                assert_eq!(plan.read_back(), std::slice::from_ref(&reading));
                let is_unharmed = matches!(plan.purpose, Purpose::Unharmed { .. });
                add(Fact::ReadBack(ReadBack {
                    window: plan.window,
                    reading: reading.clone(),
                    route: ROUTES[1].parse().unwrap(),
                    by: "GET /orders".parse().unwrap(),
                    counts: if is_unharmed { unharmed } else { fault }.to_vec(),
                    unreadable: None,
                }));
            }
            Step::Finish => return judge(&run),
            other => panic!("{other:?} is no step of a chaos run"),
        }
    }
    panic!("the planner does not come to an end");
}

fn seen(end: WriteEnd, second: i32, times: Option<u32>, count: u64) -> ReadCount {
    ReadCount { end, second, times, count }
}

#[test]
fn writes_that_are_gone_or_there_twice_are_told_and_open_ones_are_not() {
    use WriteEnd::{Acknowledged, Failed, Unknown};
    let unharmed = [seen(Acknowledged, 3, Some(1), 300)];
    let verdict = |fault: &[ReadCount]| {
        let chaos = read_back(&unharmed, fault, FoundBy::Answer);
        assert!(chaos.not_checked.is_empty(), "{:?}", chaos.not_checked);
        (chaos.cells().last().unwrap().class, chaos.is_bad())
    };
    let kept = seen(Acknowledged, 2, Some(1), 100);
    assert_eq!(verdict(std::slice::from_ref(&kept)), (Class::Unaffected, false));
    // Either is right for those whose end nobody knows, and for one that failed not to be there.
    let open = [seen(Unknown, 6, Some(0), 5), seen(Unknown, 6, Some(1), 5), seen(Failed, 7, Some(0), 9)];
    assert_eq!(verdict(&[std::slice::from_ref(&kept), &open[..]].concat()), (Class::Unaffected, false));
    // A page that cannot be read proves nothing.
    assert_eq!(verdict(&[kept.clone(), seen(Acknowledged, 6, None, 50)]), (Class::Unaffected, false));
    assert_eq!(verdict(&[kept.clone(), seen(Acknowledged, 6, Some(0), 1)]), (Class::LostWrite, true));
    assert_eq!(verdict(&[kept.clone(), seen(Unknown, 6, Some(2), 1)]), (Class::DuplicatedWrite, true));
    assert_eq!(verdict(&[kept, seen(Failed, 6, Some(1), 1)]), (Class::WrongAnswer, true));
}

#[test]
fn a_page_that_lacks_writes_without_a_fault_is_no_witness() {
    let gone = seen(WriteEnd::Acknowledged, 6, Some(0), 40);
    let some_missing =
        [seen(WriteEnd::Acknowledged, 1, Some(1), 90), seen(WriteEnd::Acknowledged, 2, Some(0), 3)];
    let unread = [seen(WriteEnd::Acknowledged, 1, Some(1), 50), seen(WriteEnd::Acknowledged, 2, None, 50)];
    let few = [seen(WriteEnd::Acknowledged, 1, Some(1), 4)];
    for (unharmed, says) in
        [(&some_missing[..], "3 of 93"), (&unread, "could not be read"), (&few, "too few")]
    {
        let chaos = read_back(unharmed, std::slice::from_ref(&gone), FoundBy::Answer);
        assert!(!chaos.is_bad());
        assert!(chaos.not_checked[0].why.contains(says), "{:?}", chaos.not_checked);
    }
}

#[test]
fn a_list_of_the_latest_only_loses_nothing_and_a_list_with_a_hole_does() {
    let there = |second, count| seen(WriteEnd::Acknowledged, second, Some(1), count);
    let gone = |second, count| seen(WriteEnd::Acknowledged, second, Some(0), count);
    let unharmed = [there(1, 100)];
    let of = |fault: &[ReadCount]| read_back(&unharmed, fault, FoundBy::List).is_bad();
    // More writes than ever before, and the eldest are those that are missing: it may show a hundred.
    assert!(!of(&[gone(0, 10), gone(1, 5), there(1, 5), there(2, 95)]));
    // Something older is there.
    assert!(of(&[there(0, 50), gone(4, 10), there(5, 50)]));
    // It has shown as many before.
    assert!(of(&[gone(0, 40), there(5, 50)]));
}

#[test]
fn a_hurried_campaign_keeps_what_teaches_most_and_says_what_it_leaves_out() {
    let mut all = campaign(&FaultKind::ALL[..FaultKind::QUICK]);
    all.links = ["db", "cache", "mail", "search"].map(str::to_owned).to_vec();
    let hurried = Campaign { within_s: Some(270.0), ..all.clone() };
    assert!(all.seconds() > 300.0 && hurried.seconds() <= 300.0, "{} s", hurried.seconds());
    assert_eq!(hurried.trials(), all.trials()[..hurried.trials().len()]);
    assert_eq!(hurried.left_out() + hurried.trials().len(), all.trials().len());
    assert!(hurried.left_out() > 0);
}

#[test]
fn a_link_over_which_nobody_goes_is_left_alone_but_for_a_tenth() {
    let app = App { effect: |_, _, _| Effect::Nothing, late: &[], stands: f64::INFINITY };
    let touched = |links: &[&str], seed: u64| {
        let campaign = campaign(&FaultKind::ALL);
        let mut run = Run::new(Header { seed, ..header() });
        let link = fissure_facts::config::Link {
            env: Some("DB".to_owned()),
            kind: fissure_facts::config::LinkKind::Tcp,
            disposable: false,
            path: None,
        };
        run.header.config.links.insert("db".to_owned(), link);
        loop {
            let planned = campaign.next(&run);
            let mut add = |fact| run.facts.push(Stamped { at_s: 0.0, fact });
            add(Fact::StepBegan { step: planned.step.clone(), why: planned.why });
            match planned.step {
                Step::Play { .. } => {
                    ROUTES.iter().for_each(|route| add(played(route)));
                    for route in ROUTES {
                        let (links, watched) =
                            (links.iter().map(|l| (*l).to_owned()).collect(), vec!["db".to_owned()]);
                        add(Fact::LinksTouched { route: route.parse().unwrap(), links, watched });
                    }
                }
                Step::Hold(plan) => app.hold(&plan, &mut add),
                _ => return judge(&run),
            }
        }
    };
    let of_link =
        |chaos: &Chaos| chaos.trials.iter().filter(|t| matches!(t.fault.target, Target::Link(_))).count();
    let all = FaultKind::ALL.iter().filter(|kind| kind.is_of_link() && !kind.is_of_http()).count();
    assert_eq!(of_link(&touched(&["db"], 1)), all);
    let few: Vec<usize> = (1..=8).map(|seed| of_link(&touched(&[], seed))).collect();
    let tried: usize = few.iter().sum();
    assert!((1..all * 8 / 4).contains(&tried), "{few:?}");
    assert_eq!(touched(&[], 1).foreseen.untouched, ["db"]);
}

#[test]
fn nothing_more_is_broken_when_the_budget_is_spent() {
    let app = App { effect: |_, _, _| Effect::Fails(ErrorClass::Refused), late: &[], stands: f64::INFINITY };
    let all = campaign(&[FaultKind::Refuse, FaultKind::Pause, FaultKind::Kill, FaultKind::Terminate]);
    let (whole, _) = app.run(&all);
    assert_eq!(whole.ended_early, None);
    let of_one = whole.outage_s() / whole.trials.len() as f64;
    assert!((4.0..=6.0).contains(&of_one), "5 s in which nobody is answered: {of_one}");
    let (stopped, _) = app.run(&Campaign { outage_most_s: Some(1.5 * of_one), ..all });
    assert_eq!(stopped.trials.len(), 2);
    assert!(stopped.ended_early.as_ref().is_some_and(|why| why.contains("s were allowed")), "{stopped:?}");
    assert!(!stopped.is_known());
}
