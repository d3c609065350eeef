//! A load run as a page.

use fissure_facts::Run;
use fissure_facts::fact::RouteSecond;
use fissure_judge::load::LoadSummary;
use maud::{Markup, html};

use super::{QUANTILES, asked, crowd, errors, exit_status, filling, headline, holds, latency, little, value};
use crate::chart::{TimeChart, TimeLine};
use crate::html::{page, prose, sections::table};
use crate::units::{count, number, percent};
use crate::words;

pub fn report(run: &Run, summary: &LoadSummary) -> String {
    let (class, sign) = match holds(summary) {
        Some(true) => ("good", "✓"),
        Some(false) => ("bad", "✗"),
        None => ("open", "?"),
    };
    let target = run.header.config.load.base.as_ref().unwrap_or(&run.header.config.app.command);
    let body = html! {
        header {
            p.eyebrow { "fissure load of " code { (target) } " · run " (run.header.run) }
            div { span.badge.(class) { (sign) " exit status " (exit_status(summary)) } }
            h1 { (prose(&headline(summary))) }
            @if summary.plan().is_some() { p { (words::full_stop(&asked(run, summary))) } }
            @for line in [little(run, summary), filling(run, summary)].into_iter().flatten() { p { (line) } }
        }
        (thresholds(summary))
        (over_time(summary))
        (figures(summary))
        @if !summary.total.errors.is_empty() {
            section { h2 { "Errors" } ul { @for line in errors(summary) { li { (prose(&line)) } } } }
        }
        section {
            h2 { "Can this be believed?" }
            p { (crowd(summary)) }
            @for foreseen in &summary.foreseen { p { (prose(&words::full_stop(&format!("Foreseen: {foreseen}")))) } }
        }
    };
    page(&run.header, &headline(summary), body)
}

fn thresholds(summary: &LoadSummary) -> Markup {
    if summary.thresholds.is_empty() {
        return html! {};
    }
    let is_void = exit_status(summary) == 2;
    html! {
        section {
            h2 { "Thresholds" }
            (table("Thresholds", html! {
                thead { tr { th scope="col" { "Threshold" } th scope="col" { "Measured" } th scope="col" { "Holds" } } }
                tbody { @for checked in &summary.thresholds {
                    @let (class, sign) = match checked.holds {
                        Some(true) if !is_void => ("good", "✓"),
                        Some(false) if !is_void => ("bad", "✗"),
                        _ => ("open", "?"),
                    };
                    tr { th scope="row" { code { (checked.threshold.text) } } td { (prose(&value(checked))) } td { span.(class) { (sign) } } }
                } }
            }))
        }
    }
}

/// Latency and rates, second by second.
fn over_time(summary: &LoadSummary) -> Markup {
    let Some(window) = summary.window.as_ref().filter(|w| w.crowd.len() > 1) else { return html! {} };
    let seconds: Vec<(f64, RouteSecond)> = window
        .crowd
        .iter()
        .map(|s| {
            let mut all = RouteSecond::default();
            s.routes.values().for_each(|seen| all.add(seen));
            (f64::from(s.second) + s.length_s() / 2.0, all)
        })
        .collect();
    let line = |name: &str, class, q: f64| {
        let points = seconds.iter().filter(|(_, s)| !s.latency.is_empty());
        let points = points.map(|(at, s)| (*at, s.latency.quantile_us(q) as f64 / 1e3)).collect();
        TimeLine { name: name.to_owned(), class, points }
    };
    let rate = |name: &str, class, of: &dyn Fn(usize) -> f64| TimeLine {
        name: name.to_owned(),
        class,
        points: seconds
            .iter()
            .enumerate()
            .map(|(n, (at, _))| (*at, of(n) / window.crowd[n].length_s()))
            .collect(),
    };
    let latencies = TimeChart {
        title: "Latency of each second in ms".to_owned(),
        lines: vec![line("p50", "s2", 0.5), line("p99", "s1", 0.99), line("max", "s3", 1.0)],
    };
    let rates = TimeChart {
        title: "Requests of each second".to_owned(),
        lines: vec![
            rate("planned", "s0", &|n| window.crowd[n].planned as f64),
            rate("answered right", "s2", &|n| seconds[n].1.latency.count() as f64),
            rate("failed", "s1", &|n| seconds[n].1.error_count() as f64),
        ],
    };
    html! {
        section {
            h2 { "Second by second" }
            figure { figcaption { "Latency from the planned instant, in milliseconds. A request counts in the second in which it ended." } (latencies.draw()) }
            figure { figcaption { "Requests per second." } (rates.draw()) }
        }
    }
}

fn figures(summary: &LoadSummary) -> Markup {
    let Some(window) = summary.window.as_ref().filter(|w| !w.crowd.is_empty()) else { return html! {} };
    let rates = &summary.rates;
    let row = |name: Markup, seen: &RouteSecond| {
        html! {
            tr {
                th scope="row" { (name) }
                td { (count(seen.ended(), "", "")) }
                td { (number(seen.ended() as f64 / window.seconds())) }
                @for (_, q) in QUANTILES { td { (latency(&seen.latency, q)) } }
                td { (latency(&seen.service, 0.99)) }
                td { (percent(seen.error_count() as f64 / seen.ended().max(1) as f64)) }
            }
        }
    };
    html! {
        section {
            h2 { "Requests" }
            p.soft {
                @if let Some(planned) = rates.users_planned { (number(planned)) " users/s planned, " }
                (number(rates.users_arrived)) " came; " (number(rates.planned)) " requests/s planned, "
                (number(rates.sent)) " sent, " (number(rates.answered)) " answered right. Latency counts from the planned instant of a request, service from the real send."
            }
            (table("Requests", html! {
                thead { tr {
                    th scope="col" { "Route" } th scope="col" { "Requests" } th scope="col" { "per s" }
                    @for (name, _) in QUANTILES { th scope="col" { (name) } }
                    th scope="col" { "service p99" } th scope="col" { "errors" }
                } }
                tbody {
                    @for (route, seen) in &summary.routes { (row(html! { code { (route) } }, seen)) }
                    @if summary.routes.len() > 1 { (row(html! { "all" }, &summary.total)) }
                }
            }))
        }
    }
}
