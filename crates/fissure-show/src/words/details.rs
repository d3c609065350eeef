//! What stands behind a verdict, a sentence each.

use fissure_facts::{Route, Run};
use fissure_judge::Judgement;
use fissure_judge::isolation::Answer;
use fissure_judge::judgement::{
    Capacity, Fix, LatencyChange, Limit, Missing, RemedyKind, RemedyResult, Verdict,
};

use super::databases::{asks_often, works_at};
use super::goal::{amount, asked, goal, quantile, times_the_goal, unit};
use super::grammar::{code, routes_text, sentence};
use super::lines::{rehearsed_beside, what_a_fix_gives, who_blocks, who_runs};
use super::missing::missing;
use super::names::resource;
use super::remedies::{answered_wrongly, headline, reach, remedy_name};
use super::waits::{cure, who_waits};
use super::{growth, isolation};
use crate::units::{brief, change, ms, percent};

/// What stands behind the verdict, a sentence each: goal, capacity, limit, what was tried, what it costs.
pub fn details(run: &Run, judgement: &Judgement) -> Vec<String> {
    let mut lines = vec![format!("The goal: {}.", goal(run, judgement))];
    lines.extend(judgement.capacity.iter().map(|c| as_it_is(judgement, c)));
    if let Some(limit) = &judgement.limit {
        lines.push(limit_sentence(judgement, limit));
        lines.extend(limit.evidence.iter().map(|e| evidence(judgement, e)));
        if !limit.is_waited_for {
            lines.extend(who_runs(&limit.place));
            lines.extend(who_blocks(limit));
            // While users who think hold the workers, cheaper lines give nothing, and that says nothing about the lines.
            let fix = judgement.fix.as_ref();
            let is_hidden = |fix: &Fix| judgement.held_workers.is_some() && fix.capacity_ratio.low <= 1.0;
            lines.extend(fix.filter(|fix| !is_hidden(fix)).map(what_a_fix_gives));
        }
    }
    lines.extend(judgement.waits.iter().flat_map(who_waits));
    lines.extend(judgement.databases.iter().flat_map(works_at));
    lines.extend(judgement.questions.iter().map(asks_often));
    lines.extend(growth::rest(judgement));
    lines.extend(held_back(judgement));
    lines.extend(held_workers(judgement));
    // Of what waits and is not helped the verdict's own sentence says it.
    let is_said = match &judgement.verdict {
        Verdict::NotEnoughEvidence { reasons } => is_wait(reasons),
        Verdict::ItsTheLink { .. } => true,
        Verdict::FixTheseLines { .. } => !judgement.questions.is_empty(),
        _ => false,
    };
    if !is_said {
        let cure = if judgement.verdict.releases_workers(&judgement.remedies) {
            Some("More workers do the same, where there are as many as users at once.")
        } else {
            judgement.limit.as_ref().and_then(cure)
        };
        lines.extend(cure.map(str::to_owned));
    }
    match &judgement.verdict {
        Verdict::Remedy { index } => {
            let simpler = judgement.remedies.iter().take(*index);
            lines.extend(simpler.filter(|r| r.meets_goal == Some(false)).map(|r| simpler_but(judgement, r)));
            if let Some(remedy) = judgement.remedies.get(*index) {
                lines.extend(side_effects(run, judgement, remedy));
                lines.extend(judgement.tried(remedy).map(isolation::tried));
                if remedy.kind == RemedyKind::CacheAnswers {
                    lines.push("Users who ask within that second get the same bytes: whoever asked right after another, known to the app or not, was seen to get the same anyway; what a write changes shows up to a second later. The rehearsed cache is a process of fissure's own on the app's CPUs; any reverse proxy can do the same.".to_owned());
                }
                let is_several = matches!(remedy.kind, RemedyKind::AddReplicas | RemedyKind::SplitThisArea);
                if is_several && judgement.tried(remedy).is_none() {
                    lines.push("Before you ship it: this run did not check whether the app answers the same when it runs as several processes. Sessions, caches and files that one process keeps to itself are what to look for.".to_owned());
                }
            }
        }
        Verdict::FixTheseLines { routes } => {
            lines.extend(routes.iter().skip(1).map(|r| {
                format!(
                    "{} takes {} alone ({} of it CPU); its goal is {}.",
                    code(&r.route),
                    ms(r.latency_ms),
                    ms(r.cpu_ms),
                    ms(r.limit_ms)
                )
            }));
            let is_placed = judgement.limit.as_ref().is_some_and(|limit| !limit.place.is_empty())
                || judgement.questions.iter().any(|asked| asked.asked_at.is_some());
            if !judgement.are_held_back(routes) && !is_placed {
                lines.push(
                    "Which lines they are is not known, because no profiler of this run saw them: start with whatever those routes compute."
                        .to_owned(),
                );
            }
            lines.extend(rehearsed_beside(judgement));
        }
        Verdict::NotEnoughEvidence { reasons } => {
            lines.extend(reasons.iter().skip(1).map(|r| missing(run, judgement, r)));
            lines.extend(reasons.iter().flat_map(last_lines));
        }
        Verdict::UnsafeToSplit { .. }
        | Verdict::HoldingUp { .. }
        | Verdict::ItsTheLink { .. }
        | Verdict::ScaleOut { .. } => {}
    }
    for tried in judgement.isolation.tried.iter().filter(|t| t.answer == Answer::Unsafe) {
        lines.push(isolation::tried(tried));
        lines.extend(tried.findings.iter().map(isolation::finding));
    }
    lines
}

/// Why a remedy that would come before the answer is none.
fn simpler_but(judgement: &Judgement, remedy: &RemedyResult) -> String {
    match &remedy.wrong {
        Some(wrong) => {
            format!("Simpler, but wrong: with {} {}.", remedy_name(remedy), answered_wrongly(wrong))
        }
        None => {
            format!("Simpler, but it misses the goal: {} {}.", remedy_name(remedy), reach(judgement, remedy))
        }
    }
}

/// Answers that wait to be acknowledged: what it costs, and the cure.
fn held_back(judgement: &Judgement) -> Option<String> {
    let first = judgement.held_back.first()?;
    let routes: Vec<Route> = judgement.held_back.iter().map(|held| held.route.clone()).collect();
    Some(format!(
        "The answers to {} wait for an acknowledgement: alone {} takes {}, and {} for a user who acknowledges at once. The app sends them in \
         small parts and its kernel keeps the next until the last was acknowledged, which clients do up to 40 ms late: send head and body \
         in one write, or set TCP_NODELAY.",
        routes_text(&routes),
        code(&first.route),
        ms(first.latency_ms),
        ms(first.acknowledged_ms)
    ))
}

/// Workers that users keep while they think, unless the verdict and its limit say so already.
fn held_workers(judgement: &Judgement) -> Option<String> {
    let is_said = judgement.verdict.releases_workers(&judgement.remedies);
    let held = judgement.held_workers.filter(|_| !is_said)?;
    Some(format!(
        "Its workers are held by users who think: beyond its capacity the first request on a connection takes {}, later ones {}, while {} of \
         the CPU is busy. Turn keep-alive off in the app's server, or put a proxy in front that keeps the users' connections itself; without \
         that nothing else here helps.",
        ms(held.first_ms),
        ms(held.later_ms),
        percent(held.cpu_share)
    ))
}

fn is_wait(reasons: &[Missing]) -> bool {
    matches!(reasons.first(), Some(Missing::SomethingWaits { .. }))
}

pub(super) fn as_it_is(judgement: &Judgement, capacity: &Capacity) -> String {
    let held = asked(&judgement.goal, capacity);
    let ratio = held.scaled(1.0 / amount(judgement.goal.asked));
    let flat_out = judgement
        .saturation_per_s
        .map(|s| format!("; flat out it does {}", brief(s, "requests/s")))
        .unwrap_or_default();
    format!(
        "As it is, the app holds {}, {}{flat_out}.",
        brief(held, unit(&judgement.goal)),
        times_the_goal(ratio)
    )
}

/// Routes besides the headline's whose latency clearly changed; what got slower is said as a cost.
pub(super) fn side_effects(run: &Run, judgement: &Judgement, remedy: &RemedyResult) -> Vec<String> {
    let told = headline(run, judgement, remedy).map(|(route, _)| route);
    let clear =
        |c: &LatencyChange| c.ratio.low.is_finite() && c.ratio.high.is_finite() && !c.ratio.contains(1.0);
    let tell = |slower: bool| {
        remedy
            .latency_ratio
            .iter()
            .filter(|(route, c)| Some(*route) != told && clear(c) && (c.ratio.low > 1.0) == slower)
            .map(|(route, c)| format!("{} of {} {}", quantile(run, route), code(route), change(c.ratio)))
            .collect::<Vec<_>>()
    };
    let mut lines = Vec::new();
    for (intro, changes) in [("What it costs", tell(true)), ("It also helps others", tell(false))] {
        if !changes.is_empty() {
            lines.push(format!("{intro}: {}.", changes.join("; ")));
        }
    }
    lines
}

pub(super) fn last_lines(reason: &Missing) -> Vec<String> {
    let (Missing::NotStarted { last_lines, .. } | Missing::Died { last_lines, .. }) = reason else {
        return Vec::new();
    };
    let skip = last_lines.len().saturating_sub(5);
    last_lines.iter().skip(skip).map(|line| format!("The app printed: {line}")).collect()
}

/// The judge's words as a sentence; a route at its beginning is set as one.
fn evidence(judgement: &Judgement, text: &str) -> String {
    let routes = judgement.demands.iter().map(|d| d.route.to_string());
    let named = routes.filter(|r| text.strip_prefix(r.as_str()).is_some_and(|rest| rest.starts_with(' ')));
    match named.max_by_key(String::len) {
        Some(route) => sentence(&format!("{}{}", code(&route), &text[route.len()..])),
        None => sentence(text),
    }
}

/// What gives way first, who uses it up, who suffers.
pub fn limit_sentence(judgement: &Judgement, limit: &Limit) -> String {
    // Of an app that holds up nobody has seen anything give way.
    let gives = if matches!(judgement.verdict, Verdict::HoldingUp { .. }) {
        "would give way first"
    } else {
        "gives way first"
    };
    let mut text = format!("What {gives} is {}", resource(limit.resource));
    if !limit.routes.is_empty() {
        let how = if limit.is_waited_for { "who waits for it is mostly" } else { "it is used up mostly by" };
        text.push_str(&format!("; {how} {}", routes_text(&limit.routes)));
    }
    if !limit.victims.is_empty() {
        text.push_str(&format!("; the first to miss the goal: {}", routes_text(&limit.victims)));
    }
    text.push('.');
    text
}
