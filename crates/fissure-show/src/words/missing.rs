//! Why no verdict can be given: what is missing, whose fault it is, how to get it.

use fissure_facts::Run;
use fissure_judge::Judgement;
use fissure_judge::judgement::Missing;

use super::goal::times_the_goal;
use super::grammar::{code, fragment, full_stop, of_windows, reasons};
use super::lines::place;
use super::links::link_name;
use super::names::resource;
use super::remedies::best_so_far;
use super::waits::cure;
use crate::units::{brief, claim, ms, percent};

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
        Missing::NothingHelps { cpus_needed, best } => format!(
            "Nothing that was tried meets the goal{}, although its load needs only {}: what the heaviest requests do must take less time, or leave the request (a queue, a worker). Begin with {}.",
            best_so_far(judgement, *best),
            claim(*cpus_needed, "CPUs"),
            judgement.demands.first().map_or("the heaviest route".to_owned(), |d| code(&d.route))
        ),
        Missing::LinesUnseen { cpus_needed, best, engine } => {
            let heaviest = judgement.demands.first().map_or("the heaviest route".to_owned(), |d| code(&d.route));
            let (seen, first) = match engine {
                Some((name, share)) => (
                    format!("{} of it is {name}'s, inside the app's own process; which of the app's lines ask for it, no instrument can see here", percent(*share)),
                    format!("Look at the statements of {heaviest} first (their query plans, an index that is missing, many statements where one would do)"),
                ),
                None => (
                    "none of the app's own lines could be seen at work (a language that fissure has no instrument for, or a program without debug information: `fissure doctor` says which)".to_owned(),
                    format!("Let a profiler of the app's own language look at {heaviest} first"),
                ),
            };
            format!(
                "Nothing that was tried meets the goal{}, the CPU is full, and {seen}. So it is either few lines, or {} as it is. {first}, mend what stands out, and check again.",
                best_so_far(judgement, *best),
                claim(*cpus_needed, "CPUs")
            )
        }
        Missing::SomethingWaits { cpu_share, best } => {
            let best = best_so_far(judgement, *best);
            let waits_for = match judgement.limit.as_ref().and_then(|l| Some((l, cure(l)?))) {
                Some((limit, cure)) => format!("What gives way first is {}. {cure}", resource(limit.resource)),
                None if judgement.waits.as_ref().is_some_and(|w| !w.places.is_empty()) => {
                    "The app waits, and no one thing was seen that most of the requests wait for: who waits for what stands below.".to_owned()
                }
                None => "The app waits for something, such as a database, a lock, a pool or another service, and this run could not see which: look at slow queries and at the sizes of pools first.".to_owned(),
            };
            format!(
                "Nothing that was tried meets the goal{best}, and the CPU is not the reason: only {} of it was busy. {waits_for}",
                brief(cpu_share.scaled(100.0), "%")
            )
        }
        Missing::TwoLimits { cpu_share, other, other_share, link } => {
            let lines = judgement.limit.iter().flat_map(|l| &l.place).next();
            let hot = lines.map(|p| format!(" (most of it for {})", place(p))).unwrap_or_default();
            let (whom, how) = match link {
                Some(link) => (link_name(link), "delay its answers by a fifth"),
                None => (resource(*other).to_owned(), "let what is done under it take a fifth longer"),
            };
            format!(
                "Two things could be it: {} of the CPU is busy{hot}, and {} of the requests under way wait for {whom} all the same, so to mend one of the two may change nothing. What tells them apart: give the app a fifth less of the CPU (`fissure chaos` can), then {how}, and see which of the two costs more of the capacity.",
                brief(cpu_share.scaled(100.0), "%"),
                percent(*other_share)
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
