//! The isolation check on simulated answers: chance never alarms, planted differences are always found.

#![allow(clippy::unwrap_used, reason = "a test may: its inputs are its own")]

use fissure_facts::run::FORMAT;
use fissure_facts::shadow::{Act, ColumnSeen, ShadowEnd, ShadowedStep, TableSeen, Twinned};
use fissure_facts::traffic::{Answered, Asked, Content};
use fissure_facts::{
    Arrangement, Config, Exchange, Fact, Header, JourneyOutline, Machine, OutlineStep, Run, Stamped, Step,
    Topology,
};
use fissure_judge::isolation::{Answer, By, Isolation, State, Wanted, assess, next};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

const STEPS: [&str; 4] = ["POST /login", "GET /me", "GET /page", "GET /list"];

/// What is wrong with the app when it runs as two copies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Planted {
    Nothing,
    /// The second request is turned away.
    Session,
    /// One number in a page.
    Word,
    /// A list is one shorter.
    List,
    /// A field that is always another id is nothing.
    Kind,
    /// Another random id than the one that the login gave.
    Renaming,
    /// Both of two who ask at the same instant are accepted, now and then.
    Lock,
    /// Both get the same number, now and then.
    Sequence,
    /// Each copy runs a job.
    Job,
    /// Two who start at the same instant both write, now and then.
    Migration,
    /// A row is written twice.
    Row,
}

/// Answers of an app with more than twenty kinds of chance.
fn answer(step: usize, planted: Planted, visitor: &str, random: &mut Pcg64Mcg) -> Answered {
    let hex = |random: &mut Pcg64Mcg| format!("{:016x}", random.random::<u64>());
    let (status, kind, body) = match step {
        0 => {
            let coin: bool = random.random();
            let mut order: Vec<u8> = (0..5).collect();
            order.rotate_left(random.random_range(0..5));
            let some: Vec<u8> = (0..random.random_range(0..4)).collect();
            let body = serde_json::json!({
                "ok": true, "visitor": visitor, "coin": coin, "order": order, "some": some,
                "now": random.random_range(1_700_000_000u64..1_800_000_000), "uuid": hex(random),
                "maybe": if coin { None } else { Some(hex(random)) }, "ms": random.random::<f64>(),
                "dice": random.random_range(0..6), "port": random.random::<u16>(), "pid": random.random::<u16>(),
                "iso": format!("2026-01-01T00:00:{:02}Z", random.random_range(0..60)),
                "keys": { hex(random): 1 }, "mixed": if coin { serde_json::json!(1) } else { serde_json::json!("x") },
                "nested": { "deep": [{ "id": hex(random), "name": "tea" }] }, "empty": if coin { "" } else { "x" },
                "load": random.random::<f32>(), "thread": random.random::<u64>(), "temp": format!("/tmp/{}", hex(random)),
            });
            (200, "application/json", body.to_string())
        }
        1 if planted == Planted::Session => (401, "application/json", "{\"error\":\"log in\"}".to_owned()),
        1 => {
            let own = if planted == Planted::Renaming { hex(random) } else { visitor.to_owned() };
            let last = if planted == Planted::Kind { serde_json::Value::Null } else { hex(random).into() };
            (
                200,
                "application/json",
                serde_json::json!({ "user": "ann", "visitor": own, "last": last }).to_string(),
            )
        }
        2 => {
            let quote = "so good ".repeat(random.random_range(1..4));
            let count = if planted == Planted::Word { 3 } else { 4 };
            (
                200,
                "text/html",
                format!("<p>{quote}</p><input name=csrf value={}><b>{count} items</b>", hex(random)),
            )
        }
        _ => {
            let mut items = vec![serde_json::json!({ "id": 1, "token": hex(random) }); 3];
            if planted == Planted::List {
                items.pop();
            }
            (200, "application/json", serde_json::json!(items).to_string())
        }
    };
    let headers = [("content-type", kind.to_owned()), ("etag", hex(random)), ("x-request-id", hex(random))];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Answered { status, headers, body: Content::whole(body) }
}

fn table(rows: u64) -> Vec<TableSeen> {
    let columns = vec![ColumnSeen { name: "id".to_owned(), fingerprint: rows.to_string(), distinct: rows }];
    vec![TableSeen { file: "app.db".to_owned(), table: "reports".to_owned(), rows, columns }]
}

/// One is accepted, one is not, or each gets a number of its own; with much that differs, or not, by chance.
fn twins(pair: u32, planted: Planted, random: &mut Pcg64Mcg) -> Vec<Exchange> {
    let is_race = random.random_bool(0.25);
    let mut both = Vec::new();
    for i in 0..2 {
        let number = if is_race && planted == Planted::Sequence { 2 * pair } else { 2 * pair + i };
        let body = serde_json::json!({
            "number": number, "pid": random.random_range(100..102), "dice": random.random_range(0..6), "ms": random.random_range(1..4),
            "now": 1_700_000_000_000u64 + u64::from(pair * 50) + random.random_range(0..2), "same": pair, "fixed": "tea",
            "iso": format!("2026-01-01T00:00:{:02}Z", pair), "coin": random.random::<bool>(), "token": random.random::<u64>().to_string(),
        });
        let is_taken = i == 1 && planted != Planted::Sequence && !(is_race && planted == Planted::Lock);
        both.push(Exchange {
            request: Asked { method: "POST".to_owned(), target: "/login".to_owned(), ..Asked::default() },
            answer: Some(Answered {
                status: if is_taken { 409 } else { 201 },
                body: Content::whole(body.to_string()),
                ..Answered::default()
            }),
            ..Exchange::default()
        });
    }
    both
}

/// A step of the shop's only journey.
fn shadowed(shadow: u32, pass: u32, step: u32, route: &str, exchange: Exchange) -> Fact {
    Fact::Shadowed(ShadowedStep {
        shadow,
        pass,
        journey: "shop.hurl".to_owned(),
        step,
        line: step * 3 + 1,
        route: route.parse().unwrap(),
        exchanges: vec![exchange],
        problem: None,
        tables: None,
    })
}

fn header(seed: u64, steps: Vec<OutlineStep>) -> Header {
    Header {
        format: FORMAT.to_owned(),
        fissure: "0".to_owned(),
        run: "r".to_owned(),
        started_unix_s: 0,
        verb: "isolate".to_owned(),
        seed,
        machine: Machine::default(),
        config: Config::default(),
        journeys: vec![JourneyOutline { name: "shop.hurl".to_owned(), weight: 1.0, steps }],
    }
}

/// Plays what the planner asks for until it asks for nothing more.
fn isolate(seed: u64, planted: Planted) -> (Run, Isolation) {
    let steps = STEPS.map(|route| OutlineStep { route: route.parse().unwrap(), think_s: 0.0 }).to_vec();
    let mut run = Run::new(header(seed, steps));
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let wanted = Wanted { topology: Topology::Replicate, arrangement: Arrangement::replicas(2) };
    while let Some((plan, why)) = next(&run, &wanted, 1e9, false) {
        assert!(run.facts.len() < 2000, "it never ends");
        let mut tell = |fact| run.facts.push(Stamped { at_s: 0.0, fact });
        tell(Fact::StepBegan { step: Step::Shadow(plan.clone()), why });
        let planted = if plan.topology == Topology::Control { Planted::Nothing } else { planted };
        let ended = |rows: u64| ShadowEnd {
            shadow: plan.shadow,
            cut_short: None,
            tables: table(rows),
            links: Vec::new(),
        };
        match &plan.act {
            Act::Play | Act::Trace | Act::AskAgain => {}
            Act::Idle { at_once, .. } => {
                let races = *at_once && planted == Planted::Migration && random.random_bool(0.7);
                tell(Fact::ShadowEnded(ended(if planted == Planted::Job || races { 2 } else { 1 })));
                continue;
            }
            Act::Twins { pairs, .. } => {
                for pair in 1..=*pairs {
                    let exchanges = twins(pair, planted, &mut random);
                    let route = STEPS[0].parse().unwrap();
                    tell(Fact::Twinned(Twinned { shadow: plan.shadow, pair, route, exchanges }));
                }
                tell(Fact::ShadowEnded(ended(1)));
                continue;
            }
        }
        for pass in 1..=plan.passes {
            let visitor = format!("{:016x}", random.random::<u64>());
            for (step, route) in STEPS.iter().enumerate() {
                if plan.parts.iter().any(|part| !part.steps.contains(&(step as u32))) {
                    continue;
                }
                // Nobody is turned away who was not asked for a name before: the login is part of the journey.
                let exchange = Exchange {
                    request: Asked { method: "GET".to_owned(), target: "/".to_owned(), ..Asked::default() },
                    answer: Some(answer(step, planted, &visitor, &mut random)),
                    ..Exchange::default()
                };
                tell(shadowed(plan.shadow, pass, step as u32, route, exchange));
            }
        }
        tell(Fact::ShadowEnded(ended(if matches!(planted, Planted::Row | Planted::Job) { 2 } else { 1 })));
    }
    let isolation = assess(&run);
    (run, isolation)
}

/// Fixed, because chance that is strange enough fools everybody: five coins may fall alike.
const SEEDS: std::ops::Range<u64> = 0..30;

#[test]
fn a_clean_app_never_alarms_whatever_chance_does() {
    for seed in SEEDS {
        let (_, isolation) = isolate(seed, Planted::Nothing);
        assert_eq!(isolation.answer(Topology::Replicate), Answer::Safe, "seed {seed}: {isolation:?}");
    }
}

#[test]
fn a_planted_difference_is_always_found_where_it_is() {
    let planted = [
        (Planted::Session, 1),
        (Planted::Word, 2),
        (Planted::List, 3),
        (Planted::Kind, 1),
        (Planted::Renaming, 1),
    ];
    for (seed, (planted, step)) in SEEDS.flat_map(|seed| planted.map(|p| (seed, p))) {
        let (_, isolation) = isolate(seed, planted);
        assert_eq!(isolation.answer(Topology::Replicate), Answer::Unsafe, "seed {seed}, {planted:?}");
        let finding = isolation.findings().next().unwrap();
        assert_eq!(
            finding.route.as_ref().unwrap().to_string(),
            STEPS[step],
            "seed {seed}, {planted:?}: {finding:?}"
        );
    }
}

#[test]
fn what_happens_at_the_same_time_or_by_itself_is_found_and_named() {
    let planted = [
        (Planted::Lock, State::Lock, By::Twins),
        (Planted::Sequence, State::Lock, By::Twins),
        (Planted::Job, State::Scheduled, By::Idle),
        (Planted::Migration, State::Migration, By::StartedAtOnce),
        (Planted::Row, State::Twice, By::Database),
    ];
    for (planted, state, by) in planted {
        let found = SEEDS.filter(|&seed| {
            let (_, isolation) = isolate(seed, planted);
            let found = isolation.findings().any(|f| (f.state, f.by) == (state, by));
            assert!(
                found == (isolation.answer(Topology::Replicate) == Answer::Unsafe),
                "{planted:?}, seed {seed}"
            );
            found
        });
        // A race that shows in a quarter of the pairs, or in most starts, may hide once.
        assert!(found.count() >= 25, "{planted:?}");
    }
}

#[test]
fn a_visitor_who_is_turned_away_has_lost_a_session() {
    let (_, isolation) = isolate(1, Planted::Session);
    let finding = isolation.findings().next().unwrap();
    assert_eq!((finding.state, &*finding.expected, &*finding.got), (State::Session, "200", "401"));
}

#[test]
fn the_journey_is_cut_down_to_what_shows_the_difference() {
    let (_, isolation) = isolate(2, Planted::List);
    let steps = &isolation.findings().next().unwrap().steps;
    assert_eq!(steps.len(), 1, "{steps:?}");
}

#[test]
fn a_run_that_was_cut_off_is_no_proof() {
    let (mut run, _) = isolate(3, Planted::Session);
    // Two controls, one run of two copies: the planner's first three.
    let third = run
        .facts
        .iter()
        .enumerate()
        .filter(|(_, s)| matches!(s.fact, Fact::ShadowEnded(_)))
        .nth(2)
        .unwrap()
        .0;
    run.facts.truncate(third + 1);
    let isolation = assess(&run);
    assert_eq!(isolation.answer(Topology::Replicate), Answer::Unknown);
    assert_eq!(assess(&Run::new(run.header)).answer(Topology::Replicate), Answer::Unknown);
}

/// What may be wrong with the shop when it runs as two copies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// The list links to an order that nobody made.
    Link,
    /// The second visitor gets the order of the first.
    Twice,
    /// The list shows an earlier time than the answer before it.
    Clock,
    /// The page holds another form's token.
    Form,
}

/// A plain shop, whose answers hold ids, tokens and times, as most apps' do: its journey in one stack, for one visitor.
fn shop(pass: u32, wrong: Wrong, random: &mut Pcg64Mcg) -> Vec<(&'static str, String, Answered)> {
    let mut hex = |digits: usize| format!("{:032x}", random.random::<u128>())[..digits].to_owned();
    let (session, csrf) = (format!("~{}", hex(16)), format!("~{}", hex(16)));
    let order = if wrong == Wrong::Twice { "4f0c1d2e3b4a5968".to_owned() } else { hex(16) };
    let linked = if wrong == Wrong::Link { hex(16) } else { order.clone() };
    let form = if wrong == Wrong::Form { format!("~{}", hex(16)) } else { csrf.clone() };
    let ids: Vec<String> = (0..6).map(|_| hex(32)).collect();
    let mut at_s = 1_790_000_000 + u64::from(pass) * 3600 + u64::from(random.random_range(0..3000u32));
    let mut now = |goes_back: bool| {
        at_s += u64::from(random.random_range(1..3u32));
        let shown = if goes_back { at_s - 30 } else { at_s };
        format!("2026-09-21T{:02}:{:02}:{:02}Z", shown / 3600 % 24, shown / 60 % 60, shown % 60)
    };
    let (made, asked, listed) = (now(false), now(wrong == Wrong::Clock), now(false));
    let json = |value: serde_json::Value| ("application/json", value.to_string());
    let answers = [
        ("POST /login", "/login".to_owned(), 200, json(serde_json::json!({ "hello": "ann", "csrf": csrf }))),
        (
            "GET /me",
            "/me".to_owned(),
            200,
            json(serde_json::json!({ "name": "ann", "plan": "free", "since": 2019 })),
        ),
        (
            "POST /orders",
            format!("/orders?csrf={csrf}"),
            201,
            json(serde_json::json!({ "id": order, "at": made, "state": "new" })),
        ),
        (
            "GET /orders/{id}",
            format!("/orders/{order}"),
            200,
            json(serde_json::json!({
                "id": order, "at": made, "items": ["tea", "milk"], "links": { "pay": format!("/orders/{order}/pay") },
            })),
        ),
        (
            "GET /orders",
            "/orders".to_owned(),
            200,
            json(
                serde_json::json!({ "at": asked, "orders": [{ "href": format!("/orders/{linked}"), "state": "new" }] }),
            ),
        ),
        (
            "GET /page",
            "/page".to_owned(),
            200,
            (
                "text/html",
                format!("<p>{listed}</p><input name=csrf value={form}><b>4 items</b><i>tea and milk</i>"),
            ),
        ),
    ];
    let mut told = Vec::new();
    for ((route, target, status, (kind, body)), id) in answers.into_iter().zip(ids) {
        let mut headers = vec![("content-type".to_owned(), kind.to_owned()), ("x-request-id".to_owned(), id)];
        if route == "POST /login" {
            headers.push(("set-cookie".to_owned(), format!("sid={session}; Path=/; HttpOnly")));
        }
        told.push((route, target, Answered { status, headers, body: Content::whole(body) }));
    }
    told
}

/// Plays what the planner asks for in a hurry: the journeys only. `journey` tells what one visitor asks and is answered; on
/// two copies, or on one.
fn hurried(
    seed: u64,
    journey: impl Fn(u32, bool, &mut Pcg64Mcg) -> Vec<(&'static str, String, Answered)>,
) -> Isolation {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let steps = journey(1, false, &mut random).into_iter();
    let steps =
        steps.map(|(route, ..)| OutlineStep { route: route.parse().unwrap(), think_s: 0.0 }).collect();
    let mut run = Run::new(header(seed, steps));
    let wanted = Wanted { topology: Topology::Replicate, arrangement: Arrangement::replicas(2) };
    while let Some((plan, why)) = next(&run, &wanted, 1e9, true) {
        assert!(run.facts.len() < 2000, "it never ends");
        let mut tell = |fact| run.facts.push(Stamped { at_s: 0.0, fact });
        tell(Fact::StepBegan { step: Step::Shadow(plan.clone()), why });
        for pass in 1..=plan.passes {
            let answers = journey(pass, plan.topology != Topology::Control, &mut random);
            let mut cookies = Vec::new();
            for (step, (route, target, answered)) in answers.into_iter().enumerate() {
                let method = route.split(' ').next().unwrap().to_owned();
                let headers = cookies.clone();
                if let Some((cookie, _)) = answered.header("set-cookie").and_then(|c| c.split_once(';')) {
                    cookies = vec![("cookie".to_owned(), cookie.to_owned())];
                }
                let exchange = Exchange {
                    request: Asked { method, target, headers, ..Asked::default() },
                    answer: Some(answered),
                    ..Exchange::default()
                };
                tell(shadowed(plan.shadow, pass, step as u32, route, exchange));
            }
        }
        let end = ShadowEnd { shadow: plan.shadow, cut_short: None, tables: table(1), links: Vec::new() };
        tell(Fact::ShadowEnded(end));
    }
    assess(&run)
}

fn shop_of(seed: u64, wrong: Wrong) -> Isolation {
    let wrong_on = |is_copies: bool| if is_copies { wrong } else { Wrong::Nothing };
    hurried(seed, |pass, is_copies, random| shop(pass, wrong_on(is_copies), random))
}

#[test]
fn little_of_a_clean_shop_is_ignored() {
    for seed in SEEDS {
        let isolation = shop_of(seed, Wrong::Nothing);
        let tried = &isolation.tried[0];
        assert_eq!(tried.answer, Answer::Safe, "seed {seed}: {isolation:?}");
        assert!(tried.noise_share <= 0.15, "seed {seed}: {}", tried.noise_share);
    }
}

#[test]
fn what_no_renaming_explains_is_found_where_it_is() {
    let wrong = [
        (Wrong::Link, "GET /orders", "$.orders[0].href"),
        (Wrong::Twice, "POST /orders", "$.id"),
        (Wrong::Clock, "GET /orders", "$.at"),
        (Wrong::Form, "GET /page", "the text"),
    ];
    for (seed, (wrong, route, what)) in SEEDS.flat_map(|seed| wrong.map(|w| (seed, w))) {
        let isolation = shop_of(seed, wrong);
        let finding =
            isolation.findings().next().unwrap_or_else(|| panic!("seed {seed}, {wrong:?}: {isolation:?}"));
        let found = (finding.route.as_ref().unwrap().to_string(), &*finding.what);
        assert_eq!(found, (route.to_owned(), what), "seed {seed}, {wrong:?}");
    }
}

#[test]
fn an_app_that_answers_little_but_tokens_that_are_met_once_cannot_be_told() {
    for seed in SEEDS {
        let isolation = hurried(seed, |_, _, random| {
            let mut token = || format!("{:016x}", random.random::<u64>());
            let body =
                serde_json::json!({ "a": token(), "b": token(), "c": token(), "d": token(), "e": token() });
            let answered =
                Answered { status: 200, headers: Vec::new(), body: Content::whole(body.to_string()) };
            vec![("GET /token", "/token".to_owned(), answered)]
        });
        let tried = &isolation.tried[0];
        assert_eq!(tried.answer, Answer::Unknown, "seed {seed}: {isolation:?}");
        assert!(tried.noise_share > 0.7, "seed {seed}: {}", tried.noise_share);
    }
}
