//! The sections of the page, in its order. Each takes what it shows and leaves itself out when there is nothing.

use std::cmp::Reverse;

use fissure_facts::{Estimate, Route, Run};
use fissure_judge::Judgement;
use fissure_judge::judgement::{CurveLatency, CurvePoint, RemedyResult, Verdict};
use maud::{Markup, html};

use super::prose;
use crate::chart::{self, LatencyChart, Scale, Series};
use crate::units::{brief, claim, count, ms, number, percent};
use crate::words;

/// As many lines as a reader can tell apart by colour; the others are grey, and the table has their names.
const LINES_NAMED: usize = 4;
const LINES_GREY: usize = 12;

/// A wide table scrolls in itself, also by keyboard.
pub(crate) fn table(label: &str, content: Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { table { (content) } } }
}

/// Capacity before and after, on one scale with the goal.
pub fn capacity(judgement: &Judgement) -> Markup {
    let unit = words::unit(&judgement.goal);
    let goal = words::amount(judgement.goal.asked);
    let whole =
        judgement.capacity.map(|c| ("As it is".to_owned(), "whole", words::asked(&judgement.goal, &c)));
    let remedies = judgement.remedies.iter().filter_map(|r| {
        let held = words::asked(&judgement.goal, &r.capacity?);
        Some((words::remedy_name(r), "remedy", held))
    });
    let rows: Vec<(String, &str, Estimate)> = whole.into_iter().chain(remedies).collect();
    if rows.is_empty() {
        return html! {};
    }
    let scale = Scale::linear(rows.iter().flat_map(|(_, _, e)| [e.mid, e.high]).chain([goal]));
    html! {
        section {
            h2 { "How much it holds" }
            p.soft { "The largest load at which latency and errors still keep to the goal, with 95 % intervals. The dashed line is the goal."
                @if rows.iter().any(|(_, _, e)| e.high.is_infinite()) { " Where every load that was tried met the goal the bar has no end." } }
            figure {
                div.rows {
                    div.blank {}
                    (chart::goal_label(scale, goal, &format!("goal {}", number(goal))))
                    @for (name, class, held) in &rows {
                        @let told = claim(*held, unit);
                        div.name { (prose(name)) small { (brief(*held, unit)) } }
                        (chart::interval(scale, held.mid, held.low, held.high, goal, class, &format!("{}: {told}", name.replace('`', ""))))
                    }
                    div.blank {}
                    div { (chart::axis(&scale)) p.axis-label { (unit) } }
                }
            }
            @if let Some(flat_out) = judgement.saturation_per_s {
                p.soft { "Flat out, with every user pressing on without pause and no regard for latency: " (brief(flat_out, "requests/s")) "." }
            }
        }
    }
}

/// Every remedy, predicted beside measured.
pub fn remedies(run: &Run, judgement: &Judgement) -> Markup {
    let chosen = match judgement.verdict {
        Verdict::Remedy { index } => Some(index),
        _ => None,
    };
    let compared = judgement.remedies.iter().any(|r| !r.latency_ratio.is_empty());
    html! {
        section {
            h2 { "Remedies" }
            @if judgement.remedies.is_empty() {
                p { "None was tried in this run." }
            } @else {
                p.soft { "Rehearsed on the same CPUs, side by side with the app as it is. Capacity is relative to the app as it is; predictions are a queueing model's with the measured demands." }
                (table("Remedies", html! {
                    thead { tr {
                        th scope="col" { "Remedy" } th scope="col" { "Outcome" } th scope="col" { "Predicted" }
                        th scope="col" { "Measured" } @if compared { th scope="col" { "Latency" } }
                    } }
                    tbody { @for (i, remedy) in judgement.remedies.iter().enumerate() {
                        tr.chosen[chosen == Some(i)] {
                            th scope="row" {
                                (prose(&words::remedy_name(remedy)))
                                small { "rung " (remedy.kind.rung()) @if chosen == Some(i) { ", advised" } }
                            }
                            td.wrap { (outcome(remedy)) }
                            td { (words::predicted(remedy)) }
                            td { (words::measured(remedy)) }
                            @if compared { td { (latency_cell(run, judgement, remedy)) } }
                        }
                    } }
                }))
                (all_latencies(run, judgement))
            }
            @if let Some(control) = &judgement.control { p.soft { (words::control(control.cpu_ratio)) } }
        }
    }
}

fn latency_cell(run: &Run, judgement: &Judgement, remedy: &RemedyResult) -> Markup {
    match words::headline(run, judgement, remedy) {
        Some((route, change)) => html! {
            (words::quantile(run, route)) " of " code { (route) } br;
            (ms(change.whole_ms)) " → " (ms(change.remedy_ms)) br;
            "ratio " (brief(change.ratio, ""))
        },
        None => html! { (words::NOTHING) },
    }
}

fn outcome(remedy: &RemedyResult) -> Markup {
    let (class, sign) = match remedy.meets_goal {
        Some(true) => ("good", "✓ "),
        Some(false) => ("bad", "✗ "),
        None => ("open", ""),
    };
    html! {
        span.(class) { (sign) (words::outcome(remedy)) }
        @if let Some(why) = words::why_not(remedy) { ": " (prose(why)) }
    }
}

/// The latency of every route under every remedy, folded away.
fn all_latencies(run: &Run, judgement: &Judgement) -> Markup {
    if judgement.remedies.iter().all(|r| r.latency_ratio.len() < 2) {
        return html! {};
    }
    html! {
        details {
            summary { "Latency of every route under every remedy" }
            (table("Latency of every route under every remedy", html! {
                thead { tr { th scope="col" { "Route" } th scope="col" { "Remedy" } th scope="col" { "As it is" } th scope="col" { "With the remedy" } th scope="col" { "Ratio" } } }
                tbody { @for remedy in &judgement.remedies { @for (route, change) in &remedy.latency_ratio {
                    tr {
                        th scope="row" { code { (route) } }
                        td.wrap { (prose(&words::remedy_name(remedy))) }
                        td { (words::quantile(run, route)) " " (ms(change.whole_ms)) }
                        td { (ms(change.remedy_ms)) }
                        td { (brief(change.ratio, "")) }
                    }
                } } }
            }))
        }
    }
}

/// The quantile that the route's SLO names, of what was measured.
fn slo_latency(run: &Run, route: &Route, latency: &CurveLatency) -> f64 {
    match words::quantile(run, route).as_str() {
        "p50" => latency.p50_ms,
        "p99" => latency.p99_ms,
        _ => latency.p95_ms,
    }
}

/// Latency against load: a picture and its numbers.
pub fn latency(run: &Run, judgement: &Judgement) -> Markup {
    if judgement.curve.is_empty() {
        return html! {};
    }
    let goal = words::amount(judgement.goal.asked);
    // All units are the same load, so one factor turns arriving users into the unit of the goal.
    let factor = goal / judgement.goal.users_per_s;
    let load = |point: &CurvePoint| point.users_per_s * factor;
    let drawn = worst_routes(judgement);
    let slo = run.header.config.goal.slo;
    let series: Vec<Series> = drawn
        .iter()
        .take(LINES_NAMED + LINES_GREY)
        .enumerate()
        .map(|(i, route)| one_series(run, judgement, route, i, &load))
        .collect();
    let chart = LatencyChart {
        title: format!("{} of each route against load, of the app as it is", slo.name()),
        x_label: x_label(judgement),
        limit: slo.limit_us() as f64 / 1_000.0,
        limit_label: words::slo(run),
        goal,
        goal_label: format!("goal {}", number(goal)),
        capacity: judgement.capacity.map(|c| {
            let held = words::asked(&judgement.goal, &c);
            (held.mid, held.low, held.high)
        }),
        series,
    };
    html! {
        section {
            h2 { "Latency against load, as it is" }
            figure {
                figcaption {
                    (slo.name()) " in milliseconds. "
                    @match judgement.capacity {
                        Some(c) if c.at_least => "The shade begins at the largest load that was tried and met the goal: the capacity lies somewhere in it. ",
                        Some(_) => "The shaded band is the capacity with its interval. ",
                        None => "",
                    }
                    @if chart.series.len() > LINES_NAMED { "In colour are the routes nearest to their limits; the table has all." }
                }
                ul.legend { @for s in chart.series.iter().filter(|s| s.class != chart::GREY) {
                    li {
                        svg aria-hidden="true" { line.(format!("curve {}", s.class)) x1="0" x2="100%" y1="50%" y2="50%" {} circle.(format!("point {}", s.class)) cx="50%" cy="50%" r="3.5" {} }
                        code { (s.name) }
                    }
                }
                @if let Some(others) = chart.series.len().checked_sub(LINES_NAMED).filter(|n| *n > 0) {
                    li { svg aria-hidden="true" { line.curve.grey x1="0" x2="100%" y1="50%" y2="50%" {} } (count(others as u64, "other route", "other routes")) }
                } }
                (chart.draw())
            }
            details {
                summary { "The numbers" }
                (table("Latency against load", html! {
                    thead { tr {
                        th scope="col" { (words::unit(&judgement.goal)) } th scope="col" { "requests/s" } th scope="col" { "CPU busy" } th scope="col" { "errors" }
                        @for route in &drawn { th scope="col" { (words::quantile(run, route)) " of " (route) } }
                    } }
                    tbody { @for point in &judgement.curve {
                        tr {
                            th scope="row" { (number(load(point))) }
                            td { (number(point.requests_per_s)) }
                            td { (percent(point.cpu_share)) }
                            td { (percent(point.error_share)) }
                            @for route in &drawn { td { (point.routes.get(*route).map_or(words::NOTHING.to_owned(), |l| ms(slo_latency(run, route, l)))) } }
                        }
                    } }
                }))
            }
        }
    }
}

/// The unit of the load, and what the goal is in requests where it was asked in something else.
fn x_label(judgement: &Judgement) -> String {
    let unit = words::unit(&judgement.goal);
    if unit == "requests/s" {
        return format!("load in {unit}");
    }
    format!(
        "load in {unit}; the goal of {} is about {} requests/s",
        number(words::amount(judgement.goal.asked)),
        number(judgement.goal.requests_per_s)
    )
}

/// Routes by how near they came to their limit, nearest first.
fn worst_routes(judgement: &Judgement) -> Vec<&Route> {
    let mut worst: Vec<(&Route, f64)> = Vec::new();
    for (route, latency) in judgement.curve.iter().flat_map(|p| &p.routes) {
        match worst.iter_mut().find(|(r, _)| *r == route) {
            Some((_, ratio)) => *ratio = ratio.max(latency.slo_ratio),
            None => worst.push((route, latency.slo_ratio)),
        }
    }
    worst.sort_by(|(r, a), (s, b)| b.total_cmp(a).then_with(|| r.cmp(s)));
    worst.into_iter().map(|(route, _)| route).collect()
}

fn one_series(
    run: &Run,
    judgement: &Judgement,
    route: &Route,
    number_of: usize,
    load: &impl Fn(&CurvePoint) -> f64,
) -> Series {
    let goal = &run.header.config.goal;
    let slo = goal.slo_of(route);
    let points = judgement.curve.iter().filter_map(|point| {
        let latency = slo_latency(run, route, point.routes.get(route)?);
        let told = format!(
            "{route} at {} {}: {} {}, {} errors",
            number(load(point)),
            words::unit(&judgement.goal),
            slo.name(),
            ms(latency),
            percent(point.error_share)
        );
        latency.is_finite().then(|| (load(point), latency, point.error_share > goal.errors.0, told))
    });
    Series {
        name: route.to_string(),
        class: if number_of < LINES_NAMED { format!("s{number_of}") } else { chart::GREY.to_owned() },
        points: points.collect(),
        own_limit: (slo != goal.slo).then(|| slo.limit_us() as f64 / 1_000.0),
    }
}

/// What a request of each route costs.
pub fn demands(judgement: &Judgement) -> Markup {
    if judgement.demands.is_empty() {
        return html! {};
    }
    let demands = &judgement.demands;
    let known = demands.iter().filter(|d| words::is_cost_known(d));
    let scale = Scale::linear(known.flat_map(|d| [d.cpu_ms.mid, d.cpu_ms.high]));
    html! {
        section {
            h2 { "What each route costs" }
            p.soft { "CPU time of one request, and the route's share of all CPU in the journeys' mix." }
            (table("CPU per request of each route", html! {
                thead { tr { th scope="col" { "Route" } th scope="col" { "Share of CPU" } th scope="col" { "CPU per request" } th scope="col" { "" } th scope="col" { "Alone" } th scope="col" { "Of all requests" } } }
                tbody { @for demand in demands {
                    tr {
                        th scope="row" { code { (demand.route) } }
                        td { (percent(demand.share)) }
                        td { (words::cost(demand)) }
                        td { @if words::is_cost_known(demand) { (chart::bar(scale, demand.cpu_ms.mid, demand.cpu_ms.low, demand.cpu_ms.high, &format!("{}: {} of CPU", demand.route, claim(demand.cpu_ms, "ms")))) } }
                        td { (demand.solo_ms.map_or(words::NOTHING.to_owned(), ms)) }
                        td { (percent(demand.mix)) }
                    }
                } }
            }))
            @if let Some(connection) = judgement.connection {
                p.soft { "A new connection costs another " (brief(connection.cpu_ms, "ms")) "." }
            }
            @if let Some(background) = judgement.background_cores {
                p.soft {
                    @if background.low > 0.0 {
                        "Without any request the app keeps " (brief(background, "cores")) " busy."
                    } @else {
                        "Without any request the app is idle, as far as could be told (at most " (number(background.high)) " cores)."
                    }
                }
            }
        }
    }
}

/// Where in the app's own files the CPU goes.
pub fn lines(judgement: &Judgement) -> Markup {
    let of_cpu = judgement.limit.as_ref().filter(|limit| !limit.is_waited_for);
    let places = of_cpu.map_or(&[][..], |l| &l.place);
    if places.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "The lines" }
            p.soft { "Share of the app's CPU at the journeys' mix, by the innermost line in the app's own files. Seen by profilers in windows of their own, on a copy of the app; 95 % intervals." }
            (table("Lines that run", html! {
                thead { tr { th scope="col" { "Function" } th scope="col" { "Line" } th scope="col" { "Share of CPU" } th scope="col" { "Work" } th scope="col" { "Route" } } }
                tbody { @for place in places {
                    tr {
                        th scope="row" { code { (place.function) } }
                        td { code { (place.file) ":" (place.line) } }
                        td { (words::place_share(place)) }
                        td.wrap { (prose(&words::place_work(place))) }
                        td { @match &place.route { Some(route) => code { (route) }, None => (words::NOTHING) } }
                    }
                } }
            }))
        }
    }
}

/// Doubts, void windows, and what nobody looked at.
pub fn doubts(judgement: &Judgement) -> Markup {
    html! {
        section {
            h2 { "Doubts, and what was not checked" }
            @if let Some(windows) = words::windows(judgement) { p { (windows) } }
            @if judgement.doubts.is_empty() {
                p { "No reason was found to doubt a number." }
            } @else {
                ul { @for doubt in words::doubts(&judgement.doubts) { li { (prose(&doubt)) } } }
            }
            @if !judgement.not_checked.is_empty() {
                p { "Not checked:" }
                ul { @for line in &judgement.not_checked { li { (prose(&words::full_stop(line))) } } }
            }
        }
    }
}

/// What somebody else needs to see the same.
pub fn reproduce(run: &Run, judgement: &Judgement) -> Markup {
    let header = &run.header;
    let machine = &header.machine;
    let mut journeys: Vec<_> = header.journeys.iter().collect();
    journeys.sort_by_key(|j| Reverse(j.steps.len()));
    html! {
        section {
            h2 { "How to reproduce" }
            dl {
                dt { "Command" } dd { code { "fissure " (header.verb) } }
                dt { "Version" } dd { "fissure " (header.fissure) }
                dt { "Run" } dd { (header.run) ", seed " (header.seed) ", " (words::minutes(run.elapsed_s())) }
                dt { "Goal" } dd { (prose(&words::goal(run, judgement))) }
                dt { "Machine" } dd { (words::machine(machine)) }
                dt { "CPUs" } dd { "app " (words::cpu_list(&machine.app_cpus)) "; load generator " (words::cpu_list(&machine.crowd_cpus)) }
                dt { "Journeys" } dd {
                    @for (i, journey) in journeys.iter().enumerate() {
                        @if i > 0 { ", " }
                        code { (journey.name) } " (" (count(journey.steps.len() as u64, "request", "requests")) ", weight " (number(journey.weight)) ")"
                    }
                    @if journeys.is_empty() { "none" }
                }
            }
            details {
                summary { "The configuration, without secrets" }
                pre tabindex="0" { code { (config(run)) } }
            }
        }
    }
}

fn config(run: &Run) -> String {
    let config = run.header.config.redacted();
    toml::to_string(&config).unwrap_or_else(|_| format!("{config:#?}"))
}

/// One line to take along.
pub fn resume(run: &Run, judgement: &Judgement) -> Markup {
    match words::resume(run, judgement) {
        Some(line) => html! { section { h2 { "One line for your resume" } blockquote { p { (line) } } } },
        None => html! {},
    }
}
