//! Remedies: what they are called, what they were seen to do, and at which load.

use fissure_facts::{Estimate, Load, Purpose, Route, Run};
use fissure_judge::Judgement;
use fissure_judge::judgement::{LatencyChange, RemedyKind, RemedyResult, WrongAnswer};

use super::goal::{asked_claim, open, quantile};
use super::grammar::{and, code, fragment, routes_text};
use crate::units::{brief, claim, count, ms, parts, percent};

/// How long the rehearsed cache keeps an answer ([`fissure_facts::arrangement::CACHE_FOR_S`]).
pub(super) const KEPT: &str = "a second";
/// The users' connections are closed behind each answer.
pub(super) const KEEP_ALIVE_OFF: &str = "keep-alive off";
/// Where a table has nothing to say.
pub const NOTHING: &str = "–";

/// Loads nearer than this share to each other count as the same load.
pub const SAME_LOAD: f64 = 0.05;

/// `2 copies`, `at most 2 POST /photos at once`, `POST /photos as its own process`.
pub fn remedy_name(remedy: &RemedyResult) -> String {
    let name = match remedy.kind {
        RemedyKind::ReleaseWorkers => return KEEP_ALIVE_OFF.to_owned(),
        RemedyKind::LimitConcurrency => format!("at most {} at once", limited(remedy, "")),
        RemedyKind::CacheAnswers => format!("answers of {} kept for {KEPT}", routes_text(&remedy.area)),
        RemedyKind::AddReplicas => copies(remedy),
        RemedyKind::SplitThisArea => apart(remedy),
    };
    format!("{name}{}", with_keep_alive_off(remedy))
}

/// What an arrangement has besides what it is called after.
pub(super) fn with_keep_alive_off(remedy: &RemedyResult) -> String {
    let is_besides = remedy.arrangement.closes && remedy.kind != RemedyKind::ReleaseWorkers;
    if is_besides { format!(", with {KEEP_ALIVE_OFF}") } else { String::new() }
}

/// `POST /photos as its own process`; of a large area the first route and how many more, for the whole list fills a table.
pub(super) fn apart(remedy: &RemedyResult) -> String {
    match remedy.area.as_slice() {
        [first, rest @ ..] if rest.len() > 1 => {
            format!("{} and {} more routes as their own process", code(first), rest.len())
        }
        [_, _] => format!("{} as their own process", routes_text(&remedy.area)),
        area => format!("{} as its own process", routes_text(area)),
    }
}

pub(super) fn copies(remedy: &RemedyResult) -> String {
    count(u64::from(remedy.arrangement.copies()), "copy", "copies")
}

/// `2 requests of POST /photos`, or `2 POST /photos` for a table.
pub(super) fn limited(remedy: &RemedyResult, of: &str) -> String {
    let limits: Vec<String> = remedy
        .arrangement
        .concurrency
        .iter()
        .map(|(route, n)| {
            format!(
                "{n}{} {}",
                if *n == 1 { of.replace("requests", "request") } else { of.to_owned() },
                code(route)
            )
        })
        .collect();
    and(&limits)
}

/// How a remedy ended, for a table cell.
pub fn outcome(remedy: &RemedyResult) -> &'static str {
    match (remedy.meets_goal, &remedy.not_rehearsed) {
        (Some(true), _) => "meets the goal",
        (Some(false), _) if remedy.wrong.is_some() => "answers wrongly",
        // It held what was tried, and what the goal costs is more than there is.
        (Some(false), _) if remedy.capacity.is_some_and(|c| c.at_least) => "needs more CPUs",
        (Some(false), _) => "misses the goal",
        (None, Some(_)) => "not rehearsed",
        (None, None) => "could not tell",
    }
}

/// `2 % of the answers to GET /orders are others than the whole gives (expected status 200, got 401)`.
pub(super) fn answered_wrongly(wrong: &WrongAnswer) -> String {
    format!(
        "{} of the answers to {} are others than the whole gives ({})",
        brief(wrong.share.scaled(100.0), "%"),
        code(&wrong.route),
        wrong.problem
    )
}

/// The route that a sentence about `remedy` should speak of: the first that misses the goal, else the one whose
/// latency on the whole is worst against its limit.
pub fn headline<'a>(
    run: &Run,
    judgement: &Judgement,
    remedy: &'a RemedyResult,
) -> Option<(&'a Route, &'a LatencyChange)> {
    if remedy.wrong.is_some() {
        return None;
    }
    let victims = judgement.limit.iter().flat_map(|l| &l.victims);
    victims.filter_map(|v| remedy.latency_ratio.get_key_value(v)).next().or_else(|| {
        let misses = |route: &Route, c: &LatencyChange| {
            c.whole_ms * 1_000.0 / run.header.config.goal.slo_of(route).limit_us() as f64
        };
        remedy.latency_ratio.iter().max_by(|(r, c), (s, d)| misses(r, c).total_cmp(&misses(s, d)))
    })
}

/// `p95 of GET /photos/{id}: 190 ms to 14 ms`.
pub(super) fn latency_step(run: &Run, route: &Route, change: &LatencyChange) -> String {
    format!(
        "{} of {}: {} to {}",
        quantile(run, route),
        code(route),
        ms(change.whole_ms),
        ms(change.remedy_ms)
    )
}

pub(super) fn ratio_claim(ratio: Estimate) -> String {
    let p = parts(ratio);
    match p.interval {
        Some(interval) => format!("ratio {}, 95 % interval {interval}", p.mid),
        None => format!("ratio {}", p.mid),
    }
}

/// At which load the remedy and the whole were compared, by the plans of the rehearsal's windows.
pub(super) fn rehearsal_load(run: &Run, judgement: &Judgement, remedy: &RemedyResult) -> String {
    let goal = judgement.goal.users_per_s;
    let windows = run.windows();
    let loads = windows.iter().filter_map(|w| match (&w.plan.purpose, &w.plan.load) {
        (Purpose::Rehearse { .. }, Load::Open { users_per_s })
            if w.plan.arrangement.name == remedy.arrangement.name =>
        {
            Some(*users_per_s)
        }
        _ => None,
    });
    let nearest = loads.min_by(|a, b| (a - goal).abs().total_cmp(&(b - goal).abs()));
    match nearest.map(|l| l / goal).filter(|share| share.is_finite()) {
        Some(share) if (share - 1.0).abs() <= SAME_LOAD => "at that load".to_owned(),
        Some(share) => format!("at {} of that load", percent(share)),
        None => "at the load of the rehearsal".to_owned(),
    }
}

/// How far an arrangement that misses the goal comes.
pub(super) fn reach(judgement: &Judgement, remedy: &RemedyResult) -> String {
    match (&remedy.capacity, capacity_ratio(remedy)) {
        (Some(capacity), _) => format!("holds {}", asked_claim(&judgement.goal, capacity)),
        (None, Some(ratio)) => format!("holds {} what the whole holds", claim(ratio, "times")),
        (None, None) => "misses it too".to_owned(),
    }
}

/// The best remedy, in brackets; empty when none was better than the whole.
pub(super) fn best_so_far(judgement: &Judgement, best: Option<usize>) -> String {
    match best.and_then(|i| judgement.remedies.get(i)) {
        Some(remedy) => format!(" (the best, {}, {})", remedy_name(remedy), reach(judgement, remedy)),
        None => String::new(),
    }
}

/// Capacity relative to the app as it is, open where every load that was tried met the goal.
pub(super) fn capacity_ratio(remedy: &RemedyResult) -> Option<Estimate> {
    let at_least = remedy.capacity.is_some_and(|c| c.at_least);
    remedy.capacity_ratio.map(|ratio| open(ratio, at_least))
}

/// Measured capacity relative to the app as it is, for a table cell: `1.8 (1.6 to 2.0)`, `at least 1.2`.
pub fn measured(remedy: &RemedyResult) -> String {
    if remedy.wrong.is_some() {
        // How fast a wrong answer comes is nobody's question.
        return NOTHING.to_owned();
    }
    match (capacity_ratio(remedy), &remedy.capacity) {
        // What the whole holds is not known well enough to divide by it.
        (None, Some(held)) => brief(open(held.requests_per_s, held.at_least), "requests/s"),
        (ratio, _) => ratio_cell(ratio),
    }
}

/// The same as the model predicted it.
pub fn predicted(remedy: &RemedyResult) -> String {
    ratio_cell(remedy.predicted)
}

fn ratio_cell(ratio: Option<Estimate>) -> String {
    ratio.map_or(NOTHING.to_owned(), |ratio| brief(ratio, ""))
}

/// Why a remedy was not rehearsed, without the prediction that stands beside it anyway.
pub fn why_not(remedy: &RemedyResult) -> Option<&str> {
    let why = remedy.not_rehearsed.as_deref()?;
    match why.split_once(": ") {
        Some((prediction, rest)) if prediction.starts_with("predicted ") => Some(rest),
        _ => Some(why),
    }
}

/// The remedies that were not rehearsed: a sentence for each reason, so that nobody reads it once a remedy.
pub fn not_rehearsed(remedies: &[RemedyResult]) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for remedy in remedies {
        let Some(why) = why_not(remedy).map(fragment) else { continue };
        let told = match remedy.predicted {
            Some(_) => format!("{}, predicted {}", remedy_name(remedy), predicted(remedy)),
            None => remedy_name(remedy),
        };
        match by_reason.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, names)) => names.push(told),
            None => by_reason.push((why, vec![told])),
        }
    }
    by_reason.iter().map(|(why, names)| format!("Not rehearsed ({why}): {}.", names.join("; "))).collect()
}

/// What the A/A control says.
pub fn control(ratio: Estimate) -> String {
    format!(
        "Two identical copies of the whole, measured like a remedy, differed in CPU for the same work by a ratio of {}; smaller differences than that mean nothing.",
        brief(ratio, "")
    )
}
