//! The verdict: its name, its rung, its sentence, its exit status.

use fissure_facts::{Route, Run};
use fissure_judge::Judgement;
use fissure_judge::judgement::{Missing, RemedyKind, RemedyResult, SoloMiss, Verdict};

use super::goal::{asked_claim, headroom_of, load, quantile, slo, times_the_goal};
use super::grammar::{and, code, routes_text};
use super::lines::fix_these;
use super::missing::missing;
use super::names::{cpus, program, same_cpus};
use super::remedies::{
    KEPT, answered_wrongly, apart, capacity_ratio, copies, headline, latency_step, limited, ratio_claim,
    reach, rehearsal_load, remedy_name, with_keep_alive_off,
};
use super::{growth, isolation, links};
use crate::units::{change, claim, ms};

/// The word of report.json.
pub fn kind(judgement: &Judgement) -> &'static str {
    match &judgement.verdict {
        Verdict::HoldingUp { .. } => "HoldingUp",
        Verdict::FixTheseLines { .. } => "FixTheseLines",
        Verdict::Remedy { index } => judgement.remedies.get(*index).map_or("Remedy", |r| r.kind.name()),
        Verdict::UnsafeToSplit { .. } => "UnsafeToSplit",
        Verdict::ItsTheLink { link, .. } if link.is_database => "ItsTheDatabase",
        Verdict::ItsTheLink { .. } => "ItsDownstream",
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
            Some(RemedyKind::ReleaseWorkers) => "Release workers",
            Some(RemedyKind::LimitConcurrency) => "Limit concurrency",
            Some(RemedyKind::CacheAnswers) => "Cache answers",
            Some(RemedyKind::AddReplicas) => "Add replicas",
            Some(RemedyKind::SplitThisArea) => "Split this area",
            None => "Change the arrangement",
        },
        Verdict::UnsafeToSplit { .. } => "Unsafe to split",
        Verdict::ItsTheLink { link, .. } if link.is_database => "It is the database",
        Verdict::ItsTheLink { .. } => "It is another service",
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
        Verdict::ItsTheLink { .. } => Some(6),
        Verdict::ScaleOut { .. } => Some(7),
        Verdict::UnsafeToSplit { .. } | Verdict::NotEnoughEvidence { .. } => None,
    }
}

/// Does what the verdict advises meet the goal? `None`: could not tell.
pub fn goal_met(judgement: &Judgement) -> Option<bool> {
    match &judgement.verdict {
        Verdict::HoldingUp { .. } => Some(true),
        Verdict::Remedy { index } => judgement.remedies.get(*index).and_then(|r| r.meets_goal),
        Verdict::FixTheseLines { .. }
        | Verdict::UnsafeToSplit { .. }
        | Verdict::ItsTheLink { .. }
        | Verdict::ScaleOut { .. } => Some(false),
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

/// The answer in one sentence, and one more where it will not stay true. When there is no answer: what is missing and how to
/// get it.
pub fn verdict_sentence(run: &Run, judgement: &Judgement) -> String {
    let answer = answer(run, judgement);
    match growth::warning(judgement) {
        Some(warning) => format!("{answer} {warning}"),
        None => answer,
    }
}

fn answer(run: &Run, judgement: &Judgement) -> String {
    let goal = load(judgement.goal.asked);
    match &judgement.verdict {
        Verdict::HoldingUp { headroom } => {
            let breaks = match &judgement.capacity {
                Some(capacity) => {
                    let held = asked_claim(&judgement.goal, capacity);
                    if capacity.at_least {
                        format!("every load that was tried met the goal, so it holds {held}")
                    } else {
                        format!("it would break at about {held}")
                    }
                }
                None => "where it would break was not measured".to_owned(),
            };
            let headroom = times_the_goal(headroom_of(judgement, *headroom));
            format!("It holds up: {goal} with {}; {breaks}, {headroom}.", slo(run))
        }
        Verdict::FixTheseLines { routes } if routes.is_empty() => fix_these(judgement),
        Verdict::FixTheseLines { routes } if judgement.are_held_back(routes) => send_at_once(routes),
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
        Verdict::UnsafeToSplit { index } => {
            let remedy = judgement.remedies.get(*index);
            let name = remedy.map_or("The remedy".to_owned(), remedy_name);
            let would = match remedy.and_then(|r| r.meets_goal) {
                Some(true) => "would meet",
                _ => "may meet (by prediction)",
            };
            let found = remedy.and_then(|r| judgement.unsafe_answers(r).first());
            let proof = found.map(|f| format!("{} {}", isolation::difference(f), isolation::cure(f.state)));
            let wrong = || Some(format!("{}. What a process keeps to itself (sessions, a cache) must lie where all copies find it.", answered_wrongly(remedy?.wrong.as_ref()?)));
            let proof = proof.or_else(wrong);
            let proof = proof.map(|proof| format!(": {proof}")).unwrap_or_default();
            format!("Not yet: {name} {would} the goal of {goal}, but the app then answers differently{proof}")
        }
        Verdict::ItsTheLink { link, alone } => links::its_the_link(&goal, link, alone.as_ref(), &judgement.databases),
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

fn send_at_once(routes: &[SoloMiss]) -> String {
    let late: Vec<String> = routes
        .iter()
        .map(|r| {
            format!("{} takes {} where its goal is {}", code(&r.route), ms(r.latency_ms), ms(r.limit_ms))
        })
        .collect();
    format!(
        "Send answers in one piece: even alone {}, because the rest waits until its beginning was acknowledged.",
        and(&late)
    )
}

pub(super) fn fix_sentence(routes: &[SoloMiss]) -> String {
    let Some(first) = routes.first() else {
        return "A route misses its goal even alone, but the run does not say which: check again.".to_owned();
    };
    let names: Vec<Route> = routes.iter().map(|r| r.route.clone()).collect();
    format!(
        "Make {} cheaper: even alone {} takes {}, of which {} is CPU, and its goal is {}, so no arrangement of the app can help. Where that is what it takes, give it a goal of its own under [goal.routes]: then the others' goal is looked at.",
        routes_text(&names),
        if routes.len() == 1 { "it".to_owned() } else { code(&first.route) },
        ms(first.latency_ms),
        ms(first.cpu_ms),
        ms(first.limit_ms)
    )
}

/// What is advised, as an order.
pub(super) fn advice(remedy: &RemedyResult) -> String {
    let order = match remedy.kind {
        RemedyKind::ReleaseWorkers => {
            return "Turn keep-alive off in the app's server, or put a proxy in front that keeps the users' connections itself, \
                    so that no worker is held while a user thinks"
                .to_owned();
        }
        RemedyKind::LimitConcurrency => {
            format!("Let at most {} in at once", limited(remedy, " requests of"))
        }
        RemedyKind::CacheAnswers => {
            format!("Keep the answers of {} for {KEPT} in front of the app", routes_text(&remedy.area))
        }
        RemedyKind::AddReplicas => format!("Run {}", copies(remedy)),
        RemedyKind::SplitThisArea => format!("Run {}", apart(remedy)),
    };
    format!("{order}{}", with_keep_alive_off(remedy))
}

/// What a remedy was seen to gain: the latency of the route that suffers most, or else the capacity.
pub(super) fn gain(run: &Run, judgement: &Judgement, remedy: &RemedyResult) -> String {
    let cpus = same_cpus(run);
    if let Some((route, change)) = headline(run, judgement, remedy) {
        let at = rehearsal_load(run, judgement, remedy);
        return format!(
            "{} {at} on {cpus} ({})",
            latency_step(run, route, change),
            ratio_claim(change.ratio)
        );
    }
    if let Some(ratio) = capacity_ratio(remedy) {
        return format!("on {cpus} it holds {} what the whole holds", claim(ratio, "times"));
    }
    // What the whole holds is not known well enough to divide by it.
    match (&remedy.capacity, &judgement.capacity) {
        (Some(remedy), Some(whole)) => {
            let held = |capacity| asked_claim(&judgement.goal, capacity);
            format!("on {cpus} it holds {}, and the whole {}", held(remedy), held(whole))
        }
        _ => "its gain was not measured".to_owned(),
    }
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
            times_the_goal(headroom_of(judgement, *headroom))
        ),
        Verdict::Remedy { index } => {
            let remedy = judgement.remedies.get(*index).filter(|r| r.meets_goal == Some(true))?;
            let how = match remedy.kind {
                RemedyKind::ReleaseWorkers => "releasing workers between requests".to_owned(),
                RemedyKind::LimitConcurrency => {
                    format!("letting at most {} in at once", limited(remedy, " requests of"))
                }
                RemedyKind::CacheAnswers => {
                    format!("keeping the answers of {} for {KEPT}", routes_text(&remedy.area))
                }
                RemedyKind::AddReplicas => format!("running {}", copies(remedy)),
                RemedyKind::SplitThisArea => format!("running {}", apart(remedy)),
            };
            let at = rehearsal_load(run, judgement, remedy).replace("that load", &goal);
            let at = if at == format!("at {goal}") { at } else { format!("{at} (goal: {goal})") };
            match (headline(run, judgement, remedy), capacity_ratio(remedy)) {
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
