//! The vocabulary: every sentence of a verdict, a limit, a doubt, a missing piece of evidence, and the names of
//! remedies. Terminal, page and JSON take their words from here and from nowhere else.
//!
//! Routes and names that a person types stand in backticks; the page sets them as code. Every sentence about a doubt
//! or a missing piece of evidence says what is the matter, whose fault it is where that is known, and what to try.

use std::collections::BTreeMap;

use fissure_facts::config::GoalLoad;
use fissure_facts::{Estimate, Load, Machine, Purpose, Route, Run};
use fissure_judge::Judgement;
use fissure_judge::judgement::{
    Capacity, Doubt, GoalView, LatencyChange, Limit, Missing, RemedyKind, RemedyResult, Resource, SoloMiss,
    Verdict,
};

use crate::units::{brief, change, claim, count, ms, number, parts, percent};

/// Loads nearer than this share to each other count as the same load.
pub const SAME_LOAD: f64 = 0.05;

// --- the verdict ---

/// The word of report.json.
pub fn kind(judgement: &Judgement) -> &'static str {
    match &judgement.verdict {
        Verdict::HoldingUp { .. } => "HoldingUp",
        Verdict::FixTheseLines { .. } => "FixTheseLines",
        Verdict::Remedy { index } => judgement.remedies.get(*index).map_or("Remedy", |r| r.kind.name()),
        Verdict::ScaleOut { .. } => "ScaleOut",
        Verdict::NotEnoughEvidence { .. } => "NotEnoughEvidence",
    }
}

/// The same for people: `Split this area`.
pub fn title(judgement: &Judgement) -> &'static str {
    match &judgement.verdict {
        Verdict::HoldingUp { .. } => "Holding up",
        Verdict::FixTheseLines { .. } => "Fix these lines",
        Verdict::Remedy { index } => match judgement.remedies.get(*index).map(|r| r.kind) {
            Some(RemedyKind::LimitConcurrency) => "Limit concurrency",
            Some(RemedyKind::AddReplicas) => "Add replicas",
            Some(RemedyKind::SplitThisArea) => "Split this area",
            None => "Change the arrangement",
        },
        Verdict::ScaleOut { .. } => "Scale out",
        Verdict::NotEnoughEvidence { .. } => "Not enough evidence",
    }
}

/// The rung of the ladder; nothing stands on it without evidence.
pub fn rung(judgement: &Judgement) -> Option<u8> {
    match &judgement.verdict {
        Verdict::HoldingUp { .. } => Some(0),
        Verdict::FixTheseLines { .. } => Some(1),
        Verdict::Remedy { index } => judgement.remedies.get(*index).map(|r| r.kind.rung()),
        Verdict::ScaleOut { .. } => Some(7),
        Verdict::NotEnoughEvidence { .. } => None,
    }
}

/// Does what the verdict advises meet the goal? `None`: could not tell.
pub fn goal_met(judgement: &Judgement) -> Option<bool> {
    match &judgement.verdict {
        Verdict::HoldingUp { .. } => Some(true),
        Verdict::Remedy { index } => judgement.remedies.get(*index).and_then(|r| r.meets_goal),
        Verdict::FixTheseLines { .. } | Verdict::ScaleOut { .. } => Some(false),
        Verdict::NotEnoughEvidence { .. } => None,
    }
}

/// The published exit status. It speaks of the app as it is, so a remedy that would meet the goal is still 1.
pub fn exit_status(judgement: &Judgement) -> u8 {
    let Verdict::NotEnoughEvidence { reasons } = &judgement.verdict else {
        return u8::from(!matches!(judgement.verdict, Verdict::HoldingUp { .. }));
    };
    if reasons.iter().any(|r| matches!(r, Missing::Interrupted)) {
        130
    } else if reasons.iter().any(|r| matches!(r, Missing::NotStarted { .. })) {
        69
    } else {
        2
    }
}

/// How the goal stands, in a few words for a badge.
pub fn standing(judgement: &Judgement) -> &'static str {
    match (&judgement.verdict, goal_met(judgement)) {
        (Verdict::HoldingUp { .. }, _) => "goal met as it is",
        (Verdict::Remedy { .. }, Some(true)) => "goal missed as it is, met with the remedy",
        (Verdict::NotEnoughEvidence { .. }, _) => "could not tell",
        _ => "goal missed",
    }
}

/// The answer in one sentence. When there is no answer: what is missing and how to get it.
pub fn verdict_sentence(run: &Run, judgement: &Judgement) -> String {
    let goal = load(judgement.goal.asked);
    match &judgement.verdict {
        Verdict::HoldingUp { headroom } => {
            let breaks = match &judgement.capacity {
                Some(capacity) => {
                    format!("it would break at about {}", asked_claim(&judgement.goal, capacity))
                }
                None => "where it would break was not measured".to_owned(),
            };
            format!("It holds up: {goal} with {}; {breaks}, {}.", slo(run), times_the_goal(*headroom))
        }
        Verdict::FixTheseLines { routes } => fix_sentence(routes),
        Verdict::Remedy { index } => match judgement.remedies.get(*index) {
            Some(remedy) => {
                let outcome = match remedy.meets_goal {
                    Some(true) => format!("it meets the goal of {goal}"),
                    _ => format!("it is the best that was tried, but was not seen to meet the goal of {goal}"),
                };
                format!("{}: {outcome}; {}.", advice(remedy), gain(run, judgement, remedy))
            }
            None => "The verdict names a remedy that is not in the list: that is a bug in fissure; please report it with the run's folder.".to_owned(),
        },
        Verdict::ScaleOut { cpus_needed, cpus_given, best } => {
            let best = match best.and_then(|i| judgement.remedies.get(i)) {
                Some(remedy) => format!("the best that was tried, {}, {}", remedy_name(remedy), reach(judgement, remedy)),
                None => "no other arrangement of the same CPUs was seen to help".to_owned(),
            };
            format!(
                "One machine share is not enough: the goal of {goal} needs about {} and the app has {}; {best}.",
                claim(*cpus_needed, "CPUs"),
                cpus_given
            )
        }
        Verdict::NotEnoughEvidence { reasons } => match reasons.first() {
            Some(reason) => format!("Could not tell. {}", missing(run, judgement, reason)),
            None => "Could not tell: the run holds too few facts; check again.".to_owned(),
        },
    }
}

fn fix_sentence(routes: &[SoloMiss]) -> String {
    let Some(first) = routes.first() else {
        return "A route misses its goal even alone, but the run does not say which: check again.".to_owned();
    };
    let names: Vec<Route> = routes.iter().map(|r| r.route.clone()).collect();
    format!(
        "Make {} cheaper: even alone {} takes {}, of which {} is CPU, and its goal is {}, so no arrangement of the app can help.",
        routes_text(&names),
        if routes.len() == 1 { "it".to_owned() } else { code(&first.route) },
        ms(first.latency_ms),
        ms(first.cpu_ms),
        ms(first.limit_ms)
    )
}

/// What is advised, as an order.
fn advice(remedy: &RemedyResult) -> String {
    match remedy.kind {
        RemedyKind::LimitConcurrency => {
            format!("Let at most {} in at once", limited(remedy, " requests of"))
        }
        RemedyKind::AddReplicas => format!("Run {}", copies(remedy)),
        RemedyKind::SplitThisArea => format!("Run {} as its own process", routes_text(&remedy.area)),
    }
}

/// `2 copies`, `at most 2 POST /photos at once`, `POST /photos as its own process`.
pub fn remedy_name(remedy: &RemedyResult) -> String {
    match remedy.kind {
        RemedyKind::LimitConcurrency => format!("at most {} at once", limited(remedy, "")),
        RemedyKind::AddReplicas => copies(remedy),
        RemedyKind::SplitThisArea => format!("{} as its own process", routes_text(&remedy.area)),
    }
}

fn copies(remedy: &RemedyResult) -> String {
    count(u64::from(remedy.arrangement.copies()), "copy", "copies")
}

/// `2 requests of POST /photos`, or `2 POST /photos` for a table.
fn limited(remedy: &RemedyResult, of: &str) -> String {
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

/// What a remedy was seen to gain: the latency of the route that suffers most, or else the capacity.
fn gain(run: &Run, judgement: &Judgement, remedy: &RemedyResult) -> String {
    let cpus = same_cpus(run);
    if let Some((route, change)) = headline(run, judgement, remedy) {
        let at = rehearsal_load(run, judgement, remedy);
        return format!(
            "{} {at} on {cpus} ({})",
            latency_step(run, route, change),
            ratio_claim(change.ratio)
        );
    }
    match remedy.capacity_ratio {
        Some(ratio) => format!("on {cpus} it holds {} what the whole holds", claim(ratio, "times")),
        None => "its gain was not measured".to_owned(),
    }
}

/// The route that a sentence about `remedy` should speak of: the first that misses the goal, else the one whose
/// latency on the whole is worst against its limit.
pub fn headline<'a>(
    run: &Run,
    judgement: &Judgement,
    remedy: &'a RemedyResult,
) -> Option<(&'a Route, &'a LatencyChange)> {
    let victims = judgement.limit.iter().flat_map(|l| &l.victims);
    victims.filter_map(|v| remedy.latency_ratio.get_key_value(v)).next().or_else(|| {
        let misses = |route: &Route, c: &LatencyChange| {
            c.whole_ms * 1_000.0 / run.header.config.goal.slo_of(route).limit_us() as f64
        };
        remedy.latency_ratio.iter().max_by(|(r, c), (s, d)| misses(r, c).total_cmp(&misses(s, d)))
    })
}

/// `p95 of GET /photos/{id}: 190 ms to 14 ms`.
fn latency_step(run: &Run, route: &Route, change: &LatencyChange) -> String {
    format!(
        "{} of {}: {} to {}",
        quantile(run, route),
        code(route),
        ms(change.whole_ms),
        ms(change.remedy_ms)
    )
}

fn ratio_claim(ratio: Estimate) -> String {
    let p = parts(ratio);
    match p.interval {
        Some(interval) => format!("ratio {}, 95 % interval {interval}", p.mid),
        None => format!("ratio {}", p.mid),
    }
}

/// At which load the remedy and the whole were compared, by the plans of the rehearsal's windows.
fn rehearsal_load(run: &Run, judgement: &Judgement, remedy: &RemedyResult) -> String {
    let goal = judgement.goal.users_per_s;
    let windows = run.windows();
    let loads = windows.iter().filter_map(|w| match (&w.plan.purpose, w.plan.load) {
        (Purpose::Rehearse { .. }, Load::Open { users_per_s })
            if w.plan.arrangement.name == remedy.arrangement.name =>
        {
            Some(users_per_s)
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
fn reach(judgement: &Judgement, remedy: &RemedyResult) -> String {
    match (&remedy.capacity, remedy.capacity_ratio) {
        (Some(capacity), _) => format!("holds {}", asked_claim(&judgement.goal, capacity)),
        (None, Some(ratio)) => format!("holds {} what the whole holds", claim(ratio, "times")),
        (None, None) => "misses it too".to_owned(),
    }
}

/// What stands behind the verdict, a sentence each: goal, capacity, limit, what was tried, what it costs.
pub fn details(run: &Run, judgement: &Judgement) -> Vec<String> {
    let mut lines = vec![format!("The goal: {}.", goal(run, judgement))];
    lines.extend(judgement.capacity.iter().map(|c| as_it_is(judgement, c)));
    if let Some(limit) = &judgement.limit {
        lines.push(limit_sentence(limit));
        lines.extend(limit.evidence.iter().map(|e| full_stop(e)));
    }
    match &judgement.verdict {
        Verdict::Remedy { index } => {
            for remedy in judgement.remedies.iter().take(*index).filter(|r| r.meets_goal == Some(false)) {
                lines.push(format!(
                    "Simpler, but it misses the goal: {} {}.",
                    remedy_name(remedy),
                    reach(judgement, remedy)
                ));
            }
            if let Some(remedy) = judgement.remedies.get(*index) {
                lines.extend(side_effects(run, judgement, remedy));
                if remedy.kind != RemedyKind::LimitConcurrency {
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
            lines.push(
                "Which lines they are needs a profiler, and this run had none: start with whatever those routes compute."
                    .to_owned(),
            );
        }
        Verdict::NotEnoughEvidence { reasons } => {
            lines.extend(reasons.iter().skip(1).map(|r| missing(run, judgement, r)));
            lines.extend(reasons.iter().flat_map(last_lines));
        }
        Verdict::HoldingUp { .. } | Verdict::ScaleOut { .. } => {}
    }
    lines
}

fn as_it_is(judgement: &Judgement, capacity: &Capacity) -> String {
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
fn side_effects(run: &Run, judgement: &Judgement, remedy: &RemedyResult) -> Vec<String> {
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

fn last_lines(reason: &Missing) -> Vec<String> {
    let (Missing::NotStarted { last_lines, .. } | Missing::Died { last_lines, .. }) = reason else {
        return Vec::new();
    };
    let skip = last_lines.len().saturating_sub(5);
    last_lines.iter().skip(skip).map(|line| format!("The app printed: {line}")).collect()
}

/// A sentence for a CV or a pull request; only where a valid verdict says that something is good.
pub fn resume(run: &Run, judgement: &Judgement) -> Option<String> {
    let goal = load(judgement.goal.asked);
    let text = match &judgement.verdict {
        Verdict::HoldingUp { headroom } => format!(
            "Load-tested a {} app to {goal} with {} on {}: measured capacity {}.",
            program(run),
            slo(run),
            cpus(run),
            times_the_goal(*headroom)
        ),
        Verdict::Remedy { index } => {
            let remedy = judgement.remedies.get(*index).filter(|r| r.meets_goal == Some(true))?;
            let how = match remedy.kind {
                RemedyKind::LimitConcurrency => {
                    format!("letting at most {} in at once", limited(remedy, " requests of"))
                }
                RemedyKind::AddReplicas => format!("running {}", copies(remedy)),
                RemedyKind::SplitThisArea => {
                    format!("running {} as its own process", routes_text(&remedy.area))
                }
            };
            let at = rehearsal_load(run, judgement, remedy).replace("that load", &goal);
            let at = if at == format!("at {goal}") { at } else { format!("{at} (goal: {goal})") };
            match (headline(run, judgement, remedy), remedy.capacity_ratio) {
                (Some((route, c)), _) if c.ratio.high < 1.0 => format!(
                    "{} of {} {at} {}, {} to {}, on {}, by {how}.",
                    quantile(run, route),
                    code(route),
                    change(c.ratio).replacen('(', "(95 % interval ", 1),
                    ms(c.whole_ms),
                    ms(c.remedy_ms),
                    same_cpus(run)
                ),
                (_, Some(ratio)) if ratio.low > 1.0 => {
                    format!("Raised capacity to {} on {} by {how}.", claim(ratio, "times"), same_cpus(run))
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(text.replace('`', ""))
}

// --- the goal and its units ---

/// `400 users at once`.
pub fn load(asked: GoalLoad) -> String {
    match asked {
        GoalLoad::Users(n) => {
            format!("{} at once", if n == 1.0 { "1 user".to_owned() } else { format!("{} users", number(n)) })
        }
        GoalLoad::RequestsPerS(n) => format!("{} requests/s", number(n)),
        GoalLoad::JourneysPerS(n) => format!("{} journeys/s", number(n)),
    }
}

/// The unit in which the goal was asked.
pub fn unit(goal: &GoalView) -> &'static str {
    match goal.asked {
        GoalLoad::Users(_) => "users at once",
        GoalLoad::RequestsPerS(_) => "requests/s",
        GoalLoad::JourneysPerS(_) => "journeys/s",
    }
}

/// The goal's number in the unit in which it was asked.
pub fn amount(asked: GoalLoad) -> f64 {
    match asked {
        GoalLoad::Users(n) | GoalLoad::RequestsPerS(n) | GoalLoad::JourneysPerS(n) => n,
    }
}

/// A capacity in the unit in which the goal was asked; every arriving user plays one journey.
pub fn asked(goal: &GoalView, capacity: &Capacity) -> Estimate {
    match goal.asked {
        GoalLoad::Users(_) => capacity.users_at_once,
        GoalLoad::RequestsPerS(_) => capacity.requests_per_s,
        GoalLoad::JourneysPerS(_) => capacity.users_per_s,
    }
}

fn asked_claim(goal: &GoalView, capacity: &Capacity) -> String {
    claim(asked(goal, capacity), unit(goal))
}

/// `1.8 times the goal (1.7 to 2.0)`.
fn times_the_goal(ratio: Estimate) -> String {
    let p = parts(ratio);
    let interval = p.interval.map(|i| format!(" ({i})")).unwrap_or_default();
    format!("{} times the goal{interval}", p.mid)
}

/// `p95`: the quantile that the route's SLO names.
pub fn quantile(run: &Run, route: &Route) -> String {
    run.header.config.goal.slo_of(route).name()
}

/// `p95 within 300 ms`.
pub fn slo(run: &Run) -> String {
    let slo = run.header.config.goal.slo;
    format!("{} within {}", slo.name(), ms(slo.limit_us() as f64 / 1_000.0))
}

/// The whole goal: load, SLO, exceptions, errors.
pub fn goal(run: &Run, judgement: &Judgement) -> String {
    let mut text = load(judgement.goal.asked);
    if !matches!(judgement.goal.asked, GoalLoad::RequestsPerS(_)) {
        text.push_str(&format!(" (about {} requests/s)", number(judgement.goal.requests_per_s)));
    }
    text.push_str(&format!(" with {}", slo(run)));
    for (route, slo) in &run.header.config.goal.routes {
        text.push_str(&format!(
            ", {} {} within {}",
            code(route),
            slo.name(),
            ms(slo.limit_us() as f64 / 1_000.0)
        ));
    }
    text.push_str(&format!(" and at most {} errors", percent(run.header.config.goal.errors.0)));
    text
}

fn cpus(run: &Run) -> String {
    count(run.header.machine.app_cpus.len() as u64, "CPU", "CPUs")
}

fn same_cpus(run: &Run) -> String {
    match run.header.machine.app_cpus.len() {
        0 => "the same CPUs".to_owned(),
        _ => format!("the same {}", cpus(run)),
    }
}

/// The first word of the app's command that is not a setting: `node`.
fn program(run: &Run) -> String {
    let command = &run.header.config.app.command;
    let word = command.split_whitespace().find(|w| !w.contains('=')).unwrap_or("web");
    word.rsplit('/').next().unwrap_or(word).to_owned()
}

// --- the limit ---

/// What a resource class is called.
pub fn resource(resource: Resource) -> &'static str {
    match resource {
        Resource::Cpu => "the CPU",
        Resource::OneThread => "one thread (an event loop or an interpreter lock)",
        Resource::Lock => "a lock",
        Resource::Pool => "a pool of connections or workers",
        Resource::Database => "the database",
        Resource::Downstream => "another service",
        Resource::Disk => "the disk",
        Resource::Memory => "memory",
        Resource::NotTheApp => "not the app, but the machine or the load generator",
    }
}

/// What gives way first, who uses it up, who suffers.
pub fn limit_sentence(limit: &Limit) -> String {
    let mut text = format!("What gives way first is {}", resource(limit.resource));
    if !limit.routes.is_empty() {
        text.push_str(&format!("; it is used up mostly by {}", routes_text(&limit.routes)));
    }
    if !limit.victims.is_empty() {
        text.push_str(&format!("; the first to miss the goal: {}", routes_text(&limit.victims)));
    }
    text.push('.');
    text
}

// --- remedies ---

/// How a remedy ended, for a table cell.
pub fn outcome(remedy: &RemedyResult) -> &'static str {
    match (remedy.meets_goal, &remedy.not_rehearsed) {
        (Some(true), _) => "meets the goal",
        (Some(false), _) => "misses the goal",
        (None, Some(_)) => "not rehearsed",
        (None, None) => "could not tell",
    }
}

/// What the A/A control says.
pub fn control(ratio: Estimate) -> String {
    format!(
        "Two identical copies of the whole, measured like a remedy, differed in CPU per request by a ratio of {}; smaller differences than that mean nothing.",
        brief(ratio, "")
    )
}

// --- what is missing ---

/// Why no verdict can be given: what is missing, whose fault it is, how to get it.
pub fn missing(run: &Run, judgement: &Judgement, missing: &Missing) -> String {
    match missing {
        Missing::NotStarted { sentence, .. } => full_stop(sentence),
        Missing::JourneyFails { journey, line, route, problem } => format!(
            "The journey `{journey}` does not work even alone: {} on line {line}: {}. That is the journey's fault or the app's, not the load's: try the request by hand, mend whichever is wrong, and check again.",
            code(route),
            fragment(problem)
        ),
        Missing::Void { void, windows, why } => format!(
            "{} void, because the machine or the load generator was the bottleneck{}, so nothing can be blamed on the app: close other programs, leave fissure a CPU of its own (`app_cpus` under [limits]) or ask for less load, and check again.",
            of_windows(*void, *windows),
            reasons(why)
        ),
        Missing::Interrupted => "The run was interrupted before it had seen enough: let it run to its end and there will be a verdict.".to_owned(),
        Missing::OutOfTime => "The time was up before the answer was clear: allow more of it (`budget` under [limits]) and check again.".to_owned(),
        Missing::SomethingWaits { cpu_share, best } => {
            let best = match best.and_then(|i| judgement.remedies.get(i)) {
                Some(remedy) => format!(" (the best, {}, {})", remedy_name(remedy), reach(judgement, remedy)),
                None => String::new(),
            };
            format!(
                "Nothing that was tried meets the goal{best}, and the CPU is not the reason: only {} of it was busy. The app waits for something, such as a database, a lock, a pool or another service, and this run could not see which: look at slow queries and at the sizes of pools first.",
                brief(cpu_share.scaled(100.0), "%")
            )
        }
        Missing::SoloWaits { route, latency_ms, cpu_ms, limit_ms } => format!(
            "{} takes {} even alone, only {} of it CPU, and its goal is {}: it waits for something (a database, another service, a timer) that no arrangement of the app makes faster. Look at what this route calls, or give it a goal of its own under [goal.routes].",
            code(route),
            ms(*latency_ms),
            ms(*cpu_ms),
            ms(*limit_ms)
        ),
        Missing::Errors { route, share } => format!(
            "{} answers wrongly in {} of its requests under hardly any load (the goal allows {}). That is the app's fault or the journey's, not the load's: read what the app printed in the run's folder, mend it, and check again.",
            code(route),
            percent(*share),
            percent(run.header.config.goal.errors.0)
        ),
        Missing::Died { how, .. } => format!(
            "The app died under load ({}), and that is the app's fault: what it printed last is in the run's folder. Mend that first, and check again.",
            fragment(how)
        ),
        Missing::TooClose { capacity, goal } => {
            let ratio = capacity.scaled(1.0 / goal);
            format!(
                "The goal lies inside the interval of the capacity, which is {}, so it may hold or break: measure longer (`budget` under [limits]), or ask for a goal further from the edge.",
                times_the_goal(ratio)
            )
        }
    }
}

// --- doubts ---

/// Why a number may be wrong, and what to try.
pub fn doubt(doubt: &Doubt) -> String {
    match doubt {
        Doubt::VoidWindows { void, windows, why } => format!(
            "{} void{}; their numbers were not used. For more certain numbers close other programs and check again.",
            of_windows(*void, *windows),
            reasons(why)
        ),
        Doubt::ControlDiffers { ratio } => format!(
            "Two identical copies differed: CPU per request at a ratio of {}, so smaller differences mean nothing. Check again on a quieter machine.",
            brief(*ratio, "")
        ),
        Doubt::RareRoute { route, requests } => format!(
            "{} was met only {}, too few to judge it. Give its journey more weight (`weights` under [users]) or measure longer.",
            code(route),
            count(*requests, "time", "times")
        ),
        Doubt::SharedCpus => "The load generator shared CPUs with the app, so every latency holds some of its noise. Use a machine with more CPUs, or give the app fewer (`app_cpus` under [limits]).".to_owned(),
        Doubt::Drift { what } => format!(
            "Something drifted while the load was steady: {}. Look for a leak, a cache that fills or data that grows, and check again.",
            fragment(what)
        ),
        Doubt::PredictionOff { remedy, predicted, measured } => format!(
            "For {remedy} the model predicted {} times the capacity and {} times was measured, so the model misses something about this app. Trust what was measured, and doubt what was only predicted.",
            number(*predicted),
            number(*measured)
        ),
        Doubt::VagueDemand { route } => format!(
            "The CPU cost of {} could not be told apart from its neighbours'. Put it into a journey of its own, or measure longer.",
            code(route)
        ),
        Doubt::ConnectionChurn { per_request } => format!(
            "The app closed connections after nearly every request ({} connections for each request), so connecting is part of every latency. Switch keep-alive on in the app, and check again.",
            number(*per_request)
        ),
        Doubt::WideInterval { half_width_share } => format!(
            "The time was up while the capacity was known only to within {}. Allow more of it (`budget` under [limits]) for a narrower interval.",
            percent(*half_width_share)
        ),
        Doubt::LittleHeadroom { headroom } => format!(
            "The goal holds with little to spare: the capacity is {}. Check again with a higher goal to see what would give way first.",
            times_the_goal(*headroom)
        ),
    }
}

/// How many windows there were, and how many were of no use; silent where a doubt says it already.
pub fn windows(judgement: &Judgement) -> Option<String> {
    if judgement.doubts.iter().any(|d| matches!(d, Doubt::VoidWindows { .. })) {
        return None;
    }
    let measured = count(u64::from(judgement.windows), "window", "windows");
    Some(match (judgement.windows, judgement.windows_void) {
        (0, _) => "No window of load was measured.".to_owned(),
        (_, 0) => format!("{measured} measured, none void."),
        (_, void) => format!("{measured} measured, {void} of them void and not used."),
    })
}

// --- the machine and the run ---

/// Model, memory and kernel.
pub fn machine(machine: &Machine) -> String {
    let model = if machine.cpu_model.is_empty() { "unknown CPU" } else { &machine.cpu_model };
    let gib = machine.memory_bytes as f64 / (1u64 << 30) as f64;
    format!("{model}, {} GiB of memory, kernel {}", number(gib), machine.kernel)
}

/// `CPU 0`, `CPUs 0, 2`.
pub fn cpu_list(cpus: &[usize]) -> String {
    let list: Vec<String> = cpus.iter().map(usize::to_string).collect();
    match list.as_slice() {
        [] => "no CPU of its own".to_owned(),
        [one] => format!("CPU {one}"),
        _ => format!("CPUs {}", list.join(", ")),
    }
}

/// `95 s`, `4 min 10 s`.
pub fn minutes(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min {} s", seconds / 60, seconds % 60) }
}

// --- grammar ---

/// A route or a name, as a person types it.
pub fn code(text: impl std::fmt::Display) -> String {
    format!("`{text}`")
}

/// The first three routes, and how many more there are.
pub fn routes_text(routes: &[Route]) -> String {
    const NAMED: usize = 3;
    let mut names: Vec<String> = routes.iter().take(NAMED).map(code).collect();
    if routes.len() > NAMED {
        names.push(count((routes.len() - NAMED) as u64, "more route", "more routes"));
    }
    if names.is_empty() { "no route".to_owned() } else { and(&names) }
}

/// `a`, `a and b`, `a, b and c`.
fn and(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn of_windows(void: u32, windows: u32) -> String {
    let verb = if void == 1 { "is" } else { "are" };
    format!("{void} of {} {verb}", count(u64::from(windows), "window", "windows"))
}

/// ` (crowd late: 2, steal: 1)`.
fn reasons(why: &BTreeMap<String, u32>) -> String {
    if why.is_empty() {
        return String::new();
    }
    let list: Vec<String> = why.iter().map(|(reason, n)| format!("{}: {n}", fragment(reason))).collect();
    format!(" ({})", list.join(", "))
}

/// Somebody else's words as a sentence of their own.
pub fn full_stop(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// Somebody else's words inside a sentence of ours.
fn fragment(text: &str) -> &str {
    text.trim().trim_end_matches('.')
}
