//! Comparing two runs: what is claimed, and when nothing may be.

use fissure_facts::Estimate;
use fissure_show::compare;
use serde_json::Value;

use crate::fixtures;
use crate::golden::plain;

fn faster(by: f64) -> fissure_judge::Judgement {
    let mut judgement = fixtures::split();
    judgement.capacity.as_mut().unwrap().requests_per_s =
        judgement.capacity.unwrap().requests_per_s.scaled(by);
    for demand in &mut judgement.demands {
        demand.cpu_ms = demand.cpu_ms.scaled(1.0 / by);
    }
    for point in &mut judgement.curve {
        point.routes.values_mut().for_each(|l| l.p95_ms /= by);
    }
    judgement
}

fn ratio(value: &Value) -> Estimate {
    serde_json::from_value(value["ratio"].clone()).unwrap()
}

#[test]
fn a_run_compared_with_itself_has_not_changed() {
    let (run, judgement) = (fixtures::run(), fixtures::split());
    let (text, json) = compare::report((&run, &judgement), (&run, &judgement));
    assert_eq!(json["comparable"], true);
    assert!(ratio(&json["capacity"]).contains(1.0));
    assert!(plain(&text).contains("did not clearly change"));
    assert!(text.contains("weaker evidence"), "always said");
}

#[test]
fn a_planted_change_is_found_in_capacity_demand_and_latency() {
    let run = fixtures::run();
    let (text, json) = compare::report((&run, &fixtures::split()), (&run, &faster(2.0)));
    let capacity = ratio(&json["capacity"]);
    assert!((capacity.mid - 2.0).abs() < 1e-9 && capacity.low > 1.0, "{capacity:?}");
    assert!((ratio(&json["cpu_ms"]["POST /photos"]).mid - 0.5).abs() < 1e-9);
    let latency = json["latency"]["GET /"].as_array().unwrap();
    assert_eq!(latency.len(), 6, "one for each load in common");
    assert!(latency.iter().all(|l| (ratio(l).mid - 0.5).abs() < 1e-9));
    assert!(plain(&text).contains("fell 50 %"), "{text}");
}

#[test]
fn runs_under_other_conditions_are_not_compared() {
    let (run, judgement) = (fixtures::run(), fixtures::split());
    type Edit = fn(&mut fissure_facts::Run);
    let edits: [(Edit, &str); 4] = [
        (|r| r.header.machine.cpu_model = "another".to_owned(), "Other machines"),
        (|r| r.header.machine.app_cpus = vec![0, 1], "other CPUs"),
        (
            |r| r.header.config.goal.slo = fissure_facts::config::Slo::p95(std::time::Duration::from_secs(9)),
            "other latencies",
        ),
        (|r| r.header.journeys[0].weight = 9.0, "journeys"),
    ];
    for (edit, part) in edits {
        let mut other = run.clone();
        edit(&mut other);
        let (text, json) = compare::report((&run, &judgement), (&other, &faster(2.0)));
        assert_eq!(json["comparable"], false);
        assert!(json["capacity"]["ratio"].is_null(), "no claim is made");
        let text = plain(&text);
        assert!(
            text.contains("cannot be compared") && text.contains(part) && !text.contains("fell 50"),
            "{text}"
        );
    }
}

#[test]
fn loads_that_only_one_run_played_are_left_out() {
    let run = fixtures::run();
    let mut elsewhere = fixtures::split();
    elsewhere.curve.iter_mut().for_each(|p| p.users_per_s *= 1.15);
    elsewhere.curve.truncate(1);
    let (text, json) = compare::report((&run, &fixtures::split()), (&run, &elsewhere));
    assert_eq!(json["latency"], serde_json::json!({}));
    assert!(plain(&text).contains("no load in common"));
}
