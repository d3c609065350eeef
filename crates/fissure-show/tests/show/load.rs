//! What a load run says: golden texts of one that kept some of its thresholds, and the sentences of those that could not tell.

use std::collections::BTreeMap;

use fissure_facts::fact::{CrowdSecond, ErrorClass, PlayedStep, ProbeSecond, RouteSecond, WindowEnd};
use fissure_facts::{
    Arrangement, Arrivals, Fact, Latencies, Load, Purpose, Run, Spacing, Stamped, Step, Stretch, WindowPlan,
};
use fissure_judge::load::summarise;
use fissure_show::load::{exit_status, headline, html, json, terminal};

use crate::fixtures::{self, route};
use crate::golden::{compare, page_lines, plain};

const SECONDS: u32 = 2;

/// Two seconds of a ramp on two routes; one answer in fifty of the second one was wrong.
fn run(require: &[&str]) -> Run {
    let mut run = Run::new(fixtures::run().header);
    run.header.verb = "load".to_owned();
    run.header.config.goal.users = None;
    run.header.config.load.require = require.iter().map(|t| (*t).to_owned()).collect();
    let mut facts = Vec::new();
    for journey in &run.header.journeys {
        let alone = |latency_us| PlayedStep {
            route: route("GET /"),
            line: 1,
            status: Some(200),
            latency_us,
            bytes: 9,
            problem: None,
        };
        facts.push(Fact::JourneyPlayed {
            arrangement: "whole".to_owned(),
            journey: journey.name.clone(),
            steps: vec![alone(3_000)],
        });
    }
    let plan = WindowPlan {
        window: 1,
        purpose: Purpose::Asked,
        arrangement: Arrangement::whole(),
        load: Load::Arriving(Arrivals {
            spacing: Spacing::Even,
            stretches: vec![Stretch { seconds: 2.0, from_per_s: 50.0, to_per_s: 150.0 }],
        }),
        emphasis: None,
        warmup_s: 0.0,
        visit_max_s: None,
        seconds: SECONDS,
        seed: 1,
    };
    facts.push(Fact::StepBegan { step: Step::Hold(plan), why: "hold the load".to_owned() });
    for (second, users) in [(0, 75), (1, 125)] {
        let spread = |milliseconds: u64| {
            let mut latencies = Latencies::new();
            (0..users).for_each(|n| latencies.record_us(1_000 * (milliseconds + n % 10)));
            latencies
        };
        let fast = RouteSecond {
            latency: spread(2),
            service: spread(1),
            bytes: 900 * users,
            ..RouteSecond::default()
        };
        let slow = RouteSecond {
            latency: spread(40),
            service: spread(30),
            errors: BTreeMap::from([(ErrorClass::Status, users / 50)]),
            bytes: 20 * users,
            ..RouteSecond::default()
        };
        let mut lateness = Latencies::new();
        lateness.record_many_us(80, 2 * users);
        facts.push(Fact::SecondPassed(CrowdSecond {
            window: 1,
            second,
            routes: [(route("GET /"), fast), (route("POST /photos"), slow)].into(),
            users_arrived: users,
            users_inside: 4,
            planned: 2 * users + users / 50,
            in_flight: 1,
            lateness,
            connects: users,
            ..CrowdSecond::default()
        }));
        facts.push(Fact::Sampled(ProbeSecond {
            window: 1,
            second,
            elapsed_s: 1.0,
            crowd_cpu_s: 0.05,
            ..ProbeSecond::default()
        }));
    }
    facts.push(Fact::WindowEnded(WindowEnd {
        window: 1,
        planned: 403,
        unanswered: BTreeMap::new(),
        users_planned: Some(200),
        cut_short: None,
    }));
    run.facts = facts.into_iter().map(|fact| Stamped { at_s: 1.0, fact }).collect();
    run
}

/// One histogram has many texts, because builds with other features compress it by another library. What is in it is the same.
fn open_histograms(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                if name.ends_with("_histogram") {
                    let latencies: Latencies = serde_json::from_value(value.take()).unwrap();
                    let quantiles = [0.5, 0.95, 0.99].map(|q| latencies.quantile_us(q));
                    *value = format!("{} latencies, p50 p95 p99 {quantiles:?} us", latencies.count()).into();
                } else {
                    open_histograms(value);
                }
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(open_histograms),
        _ => {}
    }
}

#[test]
fn a_load_run_says_what_it_said() {
    let run = run(&["p95<300ms", "p99 of every route<45ms", "errors<1%", "rate>=150"]);
    let summary = summarise(std::slice::from_ref(&run)).unwrap();
    assert_eq!((headline(&summary).as_str(), exit_status(&summary)), ("1 of 4 thresholds broken.", 1));
    compare("load.txt", &plain(&terminal::report(&run, &summary, 100)));
    let mut value = json::report(std::slice::from_ref(&run), &summary);
    open_histograms(&mut value);
    compare("load.json", &(serde_json::to_string_pretty(&value).unwrap() + "\n"));
    compare("load.html", &page_lines(&html::report(&run, &summary)));
}

#[test]
fn a_load_run_that_cannot_tell_says_why_and_never_that_it_held() {
    let says = |run: &Run, status: u8, part: &str| {
        let summary = summarise(std::slice::from_ref(run)).unwrap();
        assert_eq!(exit_status(&summary), status, "{}", headline(&summary));
        let said = plain(&terminal::report(run, &summary, 100));
        assert!(said.contains(part), "{said}");
    };
    let held = run(&["p95<300ms"]);
    says(&held, 0, "1 threshold held");
    says(&run(&[]), 0, "no threshold was set");

    let mut late = held.clone();
    for stamped in &mut late.facts {
        if let Fact::SecondPassed(second) = &mut stamped.fact {
            second.lateness.record_many_us(90_000, 100);
        }
    }
    says(&late, 2, "Void:");

    let mut wrong_alone = held.clone();
    wrong_alone.facts.truncate(2);
    if let Fact::JourneyPlayed { steps, .. } = &mut wrong_alone.facts[0].fact {
        steps[0].problem = Some("line 1: expected status 200, got 500".to_owned());
    }
    says(&wrong_alone, 2, "got no right answer");
    wrong_alone.facts.clear();
    says(&wrong_alone, 2, "Interrupted before anything was measured");
}
