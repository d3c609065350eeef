//! Made-up answers whose renamings, merges and splits are known.

use fissure_facts::Exchange;
use fissure_facts::shadow::ShadowedStep;
use fissure_facts::traffic::{Answered, Asked, Content};
use proptest::prelude::*;

use super::super::compare::{Answers, Comparison, Place, compare};

/// A stack's answers, one after the other: what was asked for, and the body.
type Told = Vec<(String, String)>;

fn steps(told: &Told) -> Vec<ShadowedStep> {
    let step = |(i, (target, body)): (usize, &(String, String))| ShadowedStep {
        shadow: 1,
        pass: 1,
        journey: "shop.hurl".to_owned(),
        step: i as u32,
        line: 1,
        route: "GET /".parse().unwrap(),
        exchanges: vec![Exchange {
            request: Asked { method: "GET".to_owned(), target: target.clone(), ..Asked::default() },
            answer: Some(Answered { status: 200, headers: Vec::new(), body: Content::whole(body.clone()) }),
            ..Exchange::default()
        }],
        problem: None,
        tables: None,
    };
    told.iter().enumerate().map(step).collect()
}

fn compared(controls: &[Told], candidate: &Told) -> Comparison {
    let all: Vec<Vec<ShadowedStep>> = controls.iter().chain([candidate]).map(steps).collect();
    let place = |step: &ShadowedStep| Place { pass: 1, turn: 0, step: step.step };
    let stacks: Vec<Answers<'_>> =
        all.iter().map(|steps| steps.iter().map(|step| (place(step), step)).collect()).collect();
    let (controls, candidates) = stacks.split_at(controls.len());
    compare(controls, candidates)
}

/// The places at which the candidate differs, and how many values were ignored. Stacks tell the same with names of their own:
/// `#0` and so on in what is told.
fn named(told: &[(&str, &str)], names: [&[&str]; 3]) -> (Vec<(u32, String)>, usize) {
    let stack = |names: &[&str]| -> Told {
        let fill = |text: &str| {
            let number = |text: String, (i, name): (usize, &&str)| text.replace(&format!("#{i}"), name);
            names.iter().enumerate().fold(text.to_owned(), number)
        };
        told.iter().map(|(target, body)| (fill(target), fill(body))).collect()
    };
    seen(&compared(&[stack(names[0]), stack(names[1])], &stack(names[2])))
}

fn seen(comparison: &Comparison) -> (Vec<(u32, String)>, usize) {
    let path = |path: &str| path.trim_start_matches("3 body ").to_owned();
    let found = comparison.differences[0].iter().map(|d| (d.place.step, path(&d.path))).collect();
    (found, comparison.noise.values().map(|(_, noise)| noise).sum())
}

fn at(step: u32, path: &str) -> (u32, String) {
    (step, path.to_owned())
}

/// The candidate's last name stands where controls have their one name again.
const AGAIN: &[(&str, &str)] = &[("/", r##"{"id":"#0"}"##), ("/", r##"{"order":"#1"}"##)];

#[test]
fn a_value_that_is_met_once_is_ignored_and_counted() {
    let told = &[("/", r##"{"token":"#0"}"##), ("/", r##"{"other":"#1"}"##)];
    assert_eq!(
        named(told, [&["a1b2c3", "d4e5f6"], &["a7b8c9", "d1e2f3"], &["x1y2z3", "x1y2z3"]]),
        (vec![], 2)
    );
}

#[test]
fn a_value_that_is_met_again_must_be_one_elsewhere() {
    let controls: [&[&str]; 2] = [&["a1b2c3", "a1b2c3"], &["d4e5f6", "d4e5f6"]];
    let told = |last| named(AGAIN, [controls[0], controls[1], last]);
    assert_eq!(told(&["x1y2z3", "x1y2z3"]), (vec![], 0));
    assert_eq!(told(&["x1y2z3", "u4v5w6"]), (vec![at(1, "$.order")], 0));
}

#[test]
fn where_two_controls_are_no_renaming_of_each_other_nothing_is_compared() {
    let controls: [&[&str]; 2] = [&["a1b2c3", "a1b2c3"], &["d4e5f6", "g7h8i9"]];
    assert_eq!(named(AGAIN, [controls[0], controls[1], &["x1y2z3", "u4v5w6"]]), (vec![], 2));
}

#[test]
fn an_id_is_followed_into_links_and_texts() {
    let told = &[
        ("/", r##"{"id":"#0"}"##),
        ("/orders/#0", r##"{"self":"/orders/#1/items","note":"order #1 is on its way"}"##),
    ];
    let controls: [&[&str]; 2] = [&["a1b2c3", "a1b2c3"], &["d4e5f6", "d4e5f6"]];
    let told = |last| named(told, [controls[0], controls[1], last]);
    assert_eq!(told(&["x1y2z3", "x1y2z3"]), (vec![], 0));
    assert_eq!(told(&["x1y2z3", "u4v5w6"]), (vec![at(1, "$.note"), at(1, "$.self")], 0));
}

#[test]
fn a_link_that_leads_elsewhere_is_found_though_its_id_is_gone() {
    let told = &[("/", r##"{"id":"#0"}"##), ("/", r##"{"self":"#1"}"##)];
    let controls: [&[&str]; 2] = [&["a1b2c3", "/orders/a1b2c3"], &["d4e5f6", "/orders/d4e5f6"]];
    let told = |last| named(told, [controls[0], controls[1], last]);
    assert_eq!(told(&["x1y2z3", "/orders/x1y2z3"]), (vec![], 0));
    assert_eq!(told(&["x1y2z3", "/login"]), (vec![at(1, "$.self")], 0));
}

#[test]
fn a_number_is_a_name_only_where_it_was_sent_back() {
    let measured = &[("/", r##"{"heap":#0}"##), ("/", r##"{"heap":#1}"##)];
    let sent = &[("/", r##"{"id":#0}"##), ("/orders/#0", r##"{"order":#1}"##)];
    let controls: [&[&str]; 2] = [&["6537216", "6537216"], &["6541312", "6541312"]];
    // Two copies have two heaps.
    let last: &[&str] = &["6500352", "6545408"];
    assert_eq!(named(measured, [controls[0], controls[1], last]), (vec![], 2));
    assert_eq!(named(sent, [controls[0], controls[1], last]), (vec![at(1, "$.order")], 0));
    let short: [&[&str]; 3] = [&["17", "17"], &["18", "18"], &["21", "17"]];
    assert_eq!(named(sent, short), (vec![at(1, "$.order")], 0));
}

#[test]
fn what_a_user_sends_must_come_back_as_it_was_sent() {
    let told = &[("/search?for=#0", r##"{"found":"#1"}"##)];
    let controls: [&[&str]; 2] = [&["a1", "a1"], &["b2", "b2"]];
    assert_eq!(named(told, [controls[0], controls[1], &["c3", "c3"]]), (vec![], 0));
    assert_eq!(named(told, [controls[0], controls[1], &["c3", "b2"]]), (vec![at(0, "$.found")], 0));
}

#[test]
fn ports_are_another_one_in_every_process() {
    let told = &[
        ("/?back=http://localhost:#0/", r##"{"id":"#2","self":"http://localhost:#0/orders/#2"}"##),
        ("/?back=http://localhost:#1/", r##"{"self":"http://localhost:#1/orders/#2"}"##),
    ];
    let controls: [&[&str]; 2] = [&["40001", "40001", "a1b2c3"], &["40002", "40002", "d4e5f6"]];
    assert_eq!(named(told, [controls[0], controls[1], &["40003", "40004", "x1y2z3"]]), (vec![], 0));
}

#[test]
fn names_that_a_virtual_machine_gives_are_none_wherever_they_stand() {
    let told = &[("/", r##"{"by":"served by #0"}"##), ("/", r##"{"by":"asked of #1"}"##)];
    let one = "app.Bean@1b6d3586";
    let two = "app.Bean@2c7e4697";
    assert_eq!(named(told, [&[one, one], &[two, two], &[one, two]]), (vec![], 2));
}

#[test]
fn moments_that_fall_together_are_no_names() {
    let told = &[("/?after=#0", r##"{"created":#0,"seen":#1}"##)];
    let controls: [&[&str]; 2] = [&["1700000001", "1700000001"], &["1700000009", "1700000009"]];
    assert_eq!(named(told, [controls[0], controls[1], &["1700000020", "1700000021"]]), (vec![], 2));
}

#[test]
fn picks_out_of_a_short_list_are_no_names() {
    // In both controls the first two answers happen to show one name, as do the third and the fourth.
    let answer = |name: &str| ("/".to_owned(), format!(r#"{{"variant":"{name}"}}"#));
    let stack = |picks: &str| -> Told {
        picks.chars().map(|c| answer(if c == 'a' { "variant-1" } else { "variant-2" })).collect()
    };
    let controls = [stack("aabbabba"), stack("bbaabbaa"), stack("bbabaabb")];
    let (found, ignored) = seen(&compared(&controls, &stack("abababab")));
    assert_eq!((found, ignored), (vec![], 8));
}

#[test]
fn an_id_that_is_given_twice_is_found() {
    let told =
        &[("/", r##"{"id":"#0"}"##), ("/#0", r##"{"ok":true}"##), ("/", r##"{"id":"#1"}"##), ("/#1", "{}")];
    let controls: [&[&str]; 2] = [&["a1b2c3", "a7b8c9"], &["d4e5f6", "d1e2f3"]];
    assert_eq!(named(told, [controls[0], controls[1], &["x1y2z3", "u4v5w6"]]), (vec![], 0));
    assert_eq!(named(told, [controls[0], controls[1], &["x1y2z3", "x1y2z3"]]), (vec![at(2, "$.id")], 0));
}

#[test]
fn short_names_may_fall_together() {
    let told = &[("/", r##"{"code":#0}"##), ("/#0", "{}"), ("/", r##"{"code":#1}"##), ("/#1", "{}")];
    assert_eq!(named(told, [&["4711", "4712"], &["1234", "4321"], &["5555", "5555"]]), (vec![], 0));
}

/// Which thing a field of an answer shows, by itself or within a link; which thing the request names.
#[derive(Debug, Clone)]
struct Shown {
    asks: Option<usize>,
    fields: Vec<(usize, bool)>,
}

const THINGS: usize = 5;

fn shown() -> impl Strategy<Value = Vec<Shown>> {
    let fields = prop::collection::vec((0..THINGS, any::<bool>()), 1..4);
    let answer = (prop::option::of(0..THINGS), fields).prop_map(|(asks, fields)| Shown { asks, fields });
    prop::collection::vec(answer, 2..8)
}

/// As many different names as there are things, and one more.
fn names() -> impl Strategy<Value = Vec<String>> {
    let name = prop_oneof!["[a-f]{3}[0-9]{3}[a-f0-9]{4}", "[0-9]{2}[a-z]{6}", "~[0-9a-f]{8}a[0-9]{7}"];
    let all =
        prop::collection::btree_set(name, THINGS + 1).prop_map(|all| all.into_iter().collect::<Vec<_>>());
    all.prop_shuffle()
}

fn tell(run: &[Shown], name: impl Fn(usize, usize, usize) -> String) -> Told {
    let tell = |(step, shown): (usize, &Shown)| {
        let target =
            shown.asks.map_or("/".to_owned(), |thing| format!("/things/{}", name(step, usize::MAX, thing)));
        let mut fields = serde_json::Map::new();
        for (i, (thing, is_link)) in shown.fields.iter().enumerate() {
            let name = name(step, i, *thing);
            let value = if *is_link { format!("/things/{name}/page") } else { name };
            fields.insert(format!("f{i}"), value.into());
        }
        (target, serde_json::Value::from(fields).to_string())
    };
    run.iter().enumerate().map(tell).collect()
}

fn times_answered(run: &[Shown], thing: usize) -> usize {
    run.iter().flat_map(|shown| &shown.fields).filter(|(shown, _)| *shown == thing).count()
}

fn is_met_again(run: &[Shown], thing: usize) -> bool {
    let is_sent = run.iter().any(|shown| shown.asks == Some(thing));
    times_answered(run, thing) > 1 || times_answered(run, thing) == 1 && is_sent
}

proptest! {
    #[test]
    fn no_renaming_ever_alarms_and_what_is_met_once_is_ignored(
        run in shown(), one in names(), two in names(), three in names()
    ) {
        // A name that two stacks share would be no chance.
        prop_assume!(one.iter().zip(&two).all(|(a, b)| a != b));
        let stack = |names: &[String]| tell(&run, |_, _, thing| names[thing].clone());
        let (found, ignored) = seen(&compared(&[stack(&one), stack(&two)], &stack(&three)));
        prop_assert_eq!(found, vec![]);
        let once: usize = (0..THINGS).filter(|t| !is_met_again(&run, *t)).map(|t| times_answered(&run, t)).sum();
        prop_assert_eq!(ignored, once);
    }

    #[test]
    fn two_things_that_become_one_are_found(
        run in shown(), one in names(), two in names(), three in names(),
        a: prop::sample::Index, b: prop::sample::Index
    ) {
        let met: Vec<usize> = (0..THINGS).filter(|thing| is_met_again(&run, *thing)).collect();
        prop_assume!(met.len() > 1);
        let a = *a.get(&met);
        let others: Vec<usize> = met.into_iter().filter(|thing| *thing != a).collect();
        let b = *b.get(&others);
        prop_assume!(one.iter().zip(&two).all(|(a, b)| a != b));
        let stack = |names: &[String]| tell(&run, |_, _, thing| names[thing].clone());
        let mut merged = three.clone();
        merged[a] = three[b].clone();
        let (found, _) = seen(&compared(&[stack(&one), stack(&two)], &stack(&merged)));
        prop_assert!(!found.is_empty());
    }

    #[test]
    fn one_thing_that_becomes_two_is_found(
        run in shown(), one in names(), two in names(), three in names(), at: prop::sample::Index
    ) {
        prop_assume!(one.iter().zip(&two).all(|(a, b)| a != b));
        let stack = |names: &[String]| tell(&run, |_, _, thing| names[thing].clone());
        let places: Vec<(usize, usize, usize)> = run
            .iter()
            .enumerate()
            .flat_map(|(step, shown)| shown.fields.iter().enumerate().map(move |(i, (thing, _))| (step, i, *thing)))
            .filter(|(_, _, thing)| times_answered(&run, *thing) > 1)
            .collect();
        prop_assume!(!places.is_empty());
        let odd = *at.get(&places);
        let split = tell(&run, |step, i, thing| three[if (step, i, thing) == odd { THINGS } else { thing }].clone());
        let (found, _) = seen(&compared(&[stack(&one), stack(&two)], &split));
        prop_assert!(!found.is_empty());
    }
}
