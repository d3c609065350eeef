//! What the page promises: small, alone, safe, readable without script.

use fissure_facts::{JourneyOutline, OutlineStep, Route};
use fissure_judge::judgement::{CurveLatency, Missing};
use fissure_show::{html, terminal};

use crate::fixtures;
use crate::golden::plain;

const HOSTILE: &str = "GET /<script>alert(1)</script>\"'>&";

#[test]
fn the_page_needs_nothing_from_outside() {
    let run = fixtures::run();
    for (name, judgement) in fixtures::every_judgement() {
        let page = html::report(&run, &judgement);
        for forbidden in
            ["http://", "https://", "src=", "href=", "url(", "@import", "<script", "<link", "onload="]
        {
            assert!(!page.contains(forbidden), "{name} holds {forbidden}");
        }
        assert!(page.len() < 60_000, "{name}: {} bytes", page.len());
    }
}

#[test]
fn a_large_app_still_makes_a_page_below_300_kb() {
    let run = fixtures::run();
    let mut judgement = fixtures::split();
    let route =
        |i: usize| -> Route { format!("GET /a/rather/long/path/of/an/app/{{id}}/{i}").parse().unwrap() };
    let latency = CurveLatency { p50_ms: 1.0, p95_ms: 2.0, p99_ms: 3.0, slo_ratio: 0.1, requests: 100 };
    let change = *judgement.remedies[2].latency_ratio.values().next().unwrap();
    let demand = judgement.demands[0].clone();
    for i in 0..100 {
        judgement.demands.push(fissure_judge::judgement::RouteDemand { route: route(i), ..demand.clone() });
        judgement.curve.iter_mut().for_each(|p| {
            p.routes.insert(route(i), latency);
        });
        judgement.remedies.iter_mut().for_each(|r| {
            r.latency_ratio.insert(route(i), change);
        });
    }
    let curve = judgement.curve.clone();
    for _ in 0..4 {
        judgement.curve.extend(curve.iter().cloned());
    }
    let size = html::report(&run, &judgement).len();
    assert!(size < 300_000, "{size} bytes");
}

#[test]
fn hostile_names_stay_text() {
    let mut run = fixtures::run();
    let route = Route::new("GET", HOSTILE.strip_prefix("GET ").unwrap()).unwrap();
    run.header.config.app.command = "</style><script>alert(2)</script>".to_owned();
    run.header.journeys.push(JourneyOutline {
        name: "<img src=x onerror=alert(3)>".to_owned(),
        weight: 1.0,
        steps: vec![OutlineStep { route: route.clone(), think_s: 0.0 }],
    });
    let mut judgement = fixtures::split();
    judgement.demands[0].route = route.clone();
    judgement.remedies[2].area = vec![route.clone()];
    let limit = judgement.limit.as_mut().unwrap();
    limit.evidence = vec!["`<b>`\u{1b}[2J".to_owned()];
    limit.victims = vec![route.clone()];
    let change = *judgement.remedies[2].latency_ratio.values().next().unwrap();
    judgement.remedies[2].latency_ratio.insert(route.clone(), change);
    let latency = *judgement.curve[0].routes.values().next().unwrap();
    judgement.curve.iter_mut().for_each(|p| {
        p.routes.insert(route.clone(), CurveLatency { slo_ratio: 99.0, ..latency });
    });
    let page = html::report(&run, &judgement);
    for forbidden in ["<script", "<img", "<b>"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(page.matches("<style").count(), 1);
    assert_eq!(page.matches("</style").count(), 1);
    assert!(page.contains("&lt;script&gt;"));
    assert!(!plain(&terminal::report(&run, &judgement, 100)).contains('\u{1b}'));
}

#[test]
fn what_the_app_printed_cannot_drive_the_terminal() {
    let died =
        Missing::Died { how: "web\u{1b}[2J".to_owned(), last_lines: vec!["\u{1b}]0;mine\u{7}".to_owned()] };
    let text = plain(&terminal::report(&fixtures::run(), &fixtures::not_enough(vec![died]), 80));
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

#[test]
fn secrets_of_the_configuration_are_not_shown() {
    let page = html::report(&fixtures::run(), &fixtures::split());
    assert!(
        !page.contains("hush") && page.contains("NODE_ENV"),
        "the configuration is shown without its secrets"
    );
}

#[test]
fn the_verdict_comes_first_and_every_table_has_headers() {
    let page = html::report(&fixtures::run(), &fixtures::split());
    let order = [
        "<h1>",
        "How much it holds",
        "<h2>Remedies",
        "Latency against load",
        "What each route costs",
        "Doubts, and what",
        "How to reproduce",
        "your resume",
    ];
    let places: Vec<usize> =
        order.iter().map(|part| page.find(part).unwrap_or_else(|| panic!("no {part}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(page.matches("<table>").count(), page.matches("<thead>").count());
    // Every picture that is not decoration has a name.
    assert_eq!(
        page.matches("<svg").count(),
        page.matches("aria-label=").count() - page.matches("role=\"region\"").count()
            + page.matches("aria-hidden").count()
    );
}

#[test]
fn the_terminal_keeps_to_its_width() {
    let run = fixtures::run();
    for (name, judgement) in fixtures::every_judgement() {
        for width in [40, 60, 80, 110] {
            for line in plain(&terminal::report(&run, &judgement, width)).lines() {
                let heading = !line.starts_with(' ');
                assert!(heading || line.chars().count() <= width, "{name} at {width}: {line}");
            }
        }
    }
}
