//! The live page of the front door: what comes through it, now.

use fissure_facts::Latencies;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::html::{STYLE, sections::table};
use crate::units::{count, ms, number};

/// The rate of now is that of so many last seconds: one alone would jump.
const NOW_S: usize = 10;
/// Draws the page anew in its place, once a second; who forbids scripts gets it anew as a whole.
const AGAIN: &str = "setInterval(async () => {
  let main = document.querySelector('main');
  try {
    let text = await (await fetch(location.href)).text();
    main.replaceWith(new DOMParser().parseFromString(text, 'text/html').querySelector('main'));
  } catch { main.querySelector('.eyebrow').textContent = 'fissure has ended'; }
}, 1000);";
const OWN_STYLE: &str = "
td.number, th.number { text-align: right; }
.bars { display: flex; align-items: flex-end; gap: 2px; height: 5rem; margin: 1.2rem 0 .2rem; border-bottom: 1px solid var(--line); }
.bars span { flex: 1; background: var(--blue); position: relative; min-height: 0; }
.bars i { position: absolute; inset: auto 0 0 0; background: var(--bad); }";

/// What the page shows.
#[derive(Debug, Clone, Default)]
pub struct Live {
    pub command: String,
    /// Where the app is found.
    pub base: String,
    /// The recording's folder, if there is one.
    pub recording: Option<String>,
    /// The last seconds, the oldest first, without the one that is not over.
    pub seconds: Vec<LiveSecond>,
    pub routes: Vec<LiveRoute>,
    /// Requests that the door did not let in.
    pub refused: u64,
    /// Said over WebSockets.
    pub messages: u64,
    /// What went wrong last, the newest first, and how many seconds ago.
    pub troubles: Vec<(u64, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveSecond {
    pub requests: u64,
    /// Of them, those that the app failed.
    pub failed: u64,
}

#[derive(Debug, Clone, Default)]
pub struct LiveRoute {
    pub route: String,
    /// The process that answers it.
    pub role: String,
    pub latencies: Latencies,
    /// Answered by a status from 400 to 499.
    pub declined: u64,
    /// Answered by a status from 500 on, or not at all.
    pub failed: u64,
}

pub fn page(live: &Live) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                noscript { meta http-equiv="refresh" content="2"; }
                title { "fissure: " (live.command) }
                style { (PreEscaped(STYLE)) (PreEscaped(OWN_STYLE)) }
            }
            body {
                main { (content(live)) }
                script { (PreEscaped(AGAIN)) }
            }
        }
    }
    .into_string()
}

fn content(live: &Live) -> Markup {
    html! {
        header {
            p.eyebrow { "fissure up · " code { (live.command) } " at " a href=(live.base) { (live.base) } }
            h1 { (headline(live)) }
        }
        (bars(&live.seconds))
        @if live.routes.is_empty() {
            p { "Nothing has come through the door yet. Open " a href=(live.base) { (live.base) } " and use the app." }
        } @else {
            (routes(live))
        }
        @if !live.troubles.is_empty() {
            section {
                h2 { "What went wrong last" }
                ul { @for (ago_s, what) in &live.troubles { li { (what) " " span.soft { "(" (ago(*ago_s)) ")" } } } }
            }
        }
        footer { p.soft {
            @if live.messages > 0 { (count(live.messages, "message", "messages")) " over WebSockets. " }
            @if live.refused > 0 { (count(live.refused, "request was", "requests were")) " refused at the door. " }
            @match &live.recording {
                Some(folder) => { "Recording to " code { (folder) } "." }
                None => { "Nothing is recorded." }
            }
        } }
    }
}

fn ago(s: u64) -> String {
    match s {
        0..60 => format!("{s} s ago"),
        60..3600 => format!("{} min ago", s / 60),
        _ => format!("{} h ago", s / 3600),
    }
}

/// The last seconds in one sentence.
fn headline(live: &Live) -> String {
    let last = &live.seconds[live.seconds.len().saturating_sub(NOW_S)..];
    let sum = |of: fn(&LiveSecond) -> u64| last.iter().map(of).sum::<u64>();
    let (requests, failed) = (sum(|s| s.requests), sum(|s| s.failed));
    if requests == 0 {
        return "Quiet".to_owned();
    }
    let rate = number(requests as f64 / last.len() as f64);
    match failed {
        0 => format!("{rate} requests/s, none failed"),
        failed => format!("{rate} requests/s, {failed} of {requests} failed"),
    }
}

/// A bar for each of the last seconds; what failed of it stands at its foot.
fn bars(seconds: &[LiveSecond]) -> Markup {
    let most = seconds.iter().map(|s| s.requests).max().unwrap_or(0).max(1) as f64;
    let share = |of: u64, whole: f64| format!("height:{:.1}%", of as f64 / whole * 100.0);
    html! {
        div.bars role="img" aria-label="Requests in each of the last seconds" {
            @for second in seconds {
                span style=(share(second.requests, most)) title=(count(second.requests, "request", "requests")) {
                    @if second.failed > 0 { i style=(share(second.failed, second.requests as f64)) {} }
                }
            }
        }
        p.soft { "The last minute; at most " (count(most as u64, "request", "requests")) " in a second." }
    }
}

fn routes(live: &Live) -> Markup {
    let has_areas = live.routes.iter().any(|route| route.role != live.routes[0].role);
    let quantile = |route: &LiveRoute, q: f64| ms(route.latencies.quantile_us(q) as f64 / 1e3);
    table(
        "Routes",
        html! {
            thead { tr {
                th scope="col" { "Route" }
                @for name in ["Requests", "p50", "p95", "p99", "4xx", "Failed"] { th.number scope="col" { (name) } }
                @if has_areas { th scope="col" { "Answered by" } }
            } }
            tbody { @for route in &live.routes { tr {
                th scope="row" { code { (route.route) } }
                td.number { (number(route.latencies.count() as f64)) }
                @for q in [0.5, 0.95, 0.99] { td.number { (quantile(route, q)) } }
                td.number { @if route.declined > 0 { (number(route.declined as f64)) } }
                td.number.bad { @if route.failed > 0 { (number(route.failed as f64)) } }
                @if has_areas { td { (route.role) } }
            } } }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(name: &str, role: &str, failed: u64) -> LiveRoute {
        let mut latencies = Latencies::new();
        latencies.record_many_us(12_300, 1_234);
        LiveRoute { route: name.to_owned(), role: role.to_owned(), latencies, declined: 0, failed }
    }

    #[test]
    fn shows_rates_latencies_failures_and_who_answered() {
        let live = Live {
            base: "http://127.0.0.1:8080".to_owned(),
            seconds: vec![LiveSecond { requests: 30, failed: 0 }, LiveSecond { requests: 10, failed: 4 }],
            routes: vec![route("GET /<b>", "web", 4), route("POST /photos", "thumbs", 0)],
            troubles: vec![(130, "GET /<b>: status 500".to_owned())],
            ..Live::default()
        };
        let page = page(&live);
        for part in [
            "20 requests/s, 4 of 40 failed",
            "1,230",
            "12.3 ms",
            "thumbs",
            "2 min ago",
            "GET /&lt;b&gt;",
            "height:33.3%",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(!page.contains("<b>"), "{page}");
    }

    #[test]
    fn without_traffic_it_says_what_to_do() {
        let page = page(&Live { base: "http://127.0.0.1:8080".to_owned(), ..Live::default() });
        assert!(page.contains("Quiet") && page.contains("Nothing has come through the door yet"), "{page}");
        assert!(!page.contains("NaN"), "{page}");
    }
}
