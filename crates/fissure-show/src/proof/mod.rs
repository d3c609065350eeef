//! The proof of a change, as text, page and JSON; the words of it live here, once.

pub mod html;
pub mod json;
pub mod terminal;

use fissure_facts::{Estimate, Run};
use fissure_judge::proof::{AtLoad, Measure, Outcome, Proof, Side};

use crate::units::{brief, change, count, number, percent, times};
use crate::words::{self, full_stop, quantile};

/// The published status: 0 the new program meets the goal, 1 it does not, 2 it cannot be told, 69 it did not start.
pub fn exit_status(run: &Run, proof: &Proof) -> u8 {
    match (&proof.outcome, proof.after.meets_goal) {
        _ if run.was_interrupted() => 130,
        (Outcome::Failed { .. } | Outcome::OutOfTime, _) => 2,
        (_, Some(true)) => 0,
        (_, Some(false)) => 1,
        (_, None) => 2,
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Better(_) => "better",
        Outcome::Worse(_) => "worse",
        Outcome::NoClearChange => "no clear change",
        Outcome::Failed { .. } | Outcome::Interrupted | Outcome::OutOfTime => "could not tell",
    }
}

fn headline(proof: &Proof) -> String {
    let stands = |side: &Side| {
        side.capacity.map_or("an unknown load".to_owned(), |c| {
            brief(words::open(c.requests_per_s, c.at_least), "requests/s")
        })
    };
    match &proof.outcome {
        Outcome::Better(measure) | Outcome::Worse(measure) => match measure {
            Measure::Capacity(Some(ratio)) => format!(
                "The new program stands {} of the load of the old one: {} instead of {}.",
                times(*ratio),
                stands(&proof.after),
                stands(&proof.before)
            ),
            Measure::Capacity(None) => {
                format!("The new program stands {}, the old one {}.", stands(&proof.after), stands(&proof.before))
            }
            Measure::Latency(at, ratio) => {
                format!("Latency over all routes {} at {}.", change(*ratio), load(&proof.loads[*at]))
            }
            Measure::Cpu(at, ratio) => {
                format!("CPU of a request {} at {}.", change(*ratio), load(&proof.loads[*at]))
            }
        },
        Outcome::NoClearChange => {
            let ratio = proof.loads.iter().find_map(|load| load.latency_ratio);
            let within = ratio.map(|r| format!(" Over all routes latency {}.", change(r))).unwrap_or_default();
            format!("The change makes no difference that could be told from chance.{within}")
        }
        Outcome::Failed { is_before, sentence } => {
            let which = if *is_before { "old" } else { "new" };
            format!("Nothing is proved, because of the {which} program: {}", full_stop(sentence))
        }
        Outcome::Interrupted => "Interrupted before anything could be proved.".to_owned(),
        Outcome::OutOfTime => "The time was up before both programs had stood at one load three times; give it more with --budget.".to_owned(),
    }
}

/// The route that changed most at a load that both programs stand, or else at the highest.
fn foremost(run: &Run, proof: &Proof) -> Option<String> {
    let load_of = |stood: bool| proof.loads.iter().rev().find(|l| l.before_is_overloaded != stood);
    let at = load_of(true).or_else(|| load_of(false))?;
    let (route, changed) = at
        .latency_ms
        .iter()
        .filter(|(_, changed)| !changed.ratio.contains(1.0))
        .max_by(|(_, a), (_, b)| a.ratio.mid.ln().abs().total_cmp(&b.ratio.mid.ln().abs()))?;
    Some(format!(
        "{} of `{route}` at {}: {} ms to {} ms; it {}.",
        quantile(run, route),
        load(at),
        number(changed.was),
        number(changed.is),
        change(changed.ratio)
    ))
}

/// What else a reader should know at once.
fn details(run: &Run, proof: &Proof) -> Vec<String> {
    let stands = |who: &str, side: &Side| {
        let capacity = side.capacity?;
        let goal = match side.meets_goal {
            Some(true) => "meets the goal",
            Some(false) => "misses the goal",
            None => "may or may not meet the goal",
        };
        let load = brief(words::open(capacity.requests_per_s, capacity.at_least), "requests/s");
        Some(format!(
            "{who} (`{}`) stands {load} and {goal} of {}.",
            side.command,
            words::load(proof.goal.asked)
        ))
    };
    let mut lines = Vec::new();
    lines.extend(foremost(run, proof));
    lines.extend(stands("The old program", &proof.before));
    lines.extend(stands("The new program", &proof.after));
    lines
}

fn load(at: &AtLoad) -> String {
    format!("{} requests/s", number(at.requests_per_s))
}

/// What weakens the proof.
fn doubts(proof: &Proof) -> Vec<String> {
    let mut lines = Vec::new();
    for at in &proof.loads {
        if let Some(ratio) = at.control_ratio.filter(|ratio| !ratio.contains(1.0)) {
            lines.push(format!(
                "At {} two copies of the new program differ, although they are the same: the latency of one {}. \
                 Differences as small as that prove nothing.",
                load(at),
                change(ratio)
            ));
        }
        if at.before_is_overloaded {
            lines.push(format!(
                "The old program does not stand {}: its latency grows for as long as that lasts, so the ratio there depends on the length of a window.",
                load(at)
            ));
        }
    }
    if proof.windows_void > 0 {
        lines.push(format!(
            "{} of {} windows were void, because the machine was busy or the crowd late.",
            proof.windows_void, proof.windows
        ));
    }
    lines
}

/// Rows of the table of one load: what, before, after, change.
fn rows(run: &Run, at: &AtLoad) -> Vec<[String; 4]> {
    let open = |ratio: Option<Estimate>| ratio.map_or("not known".to_owned(), change);
    let mut rows: Vec<[String; 4]> = at
        .latency_ms
        .iter()
        .map(|(route, changed)| {
            let what = format!("{} of {route}", quantile(run, route));
            [
                what,
                format!("{} ms", number(changed.was)),
                format!("{} ms", number(changed.is)),
                change(changed.ratio),
            ]
        })
        .collect();
    if at.latency_ms.len() > 1 {
        rows.push(["over all routes".to_owned(), String::new(), String::new(), open(at.latency_ratio)]);
    }
    if let Some(cpu) = at.cpu_ms {
        let ms = |value: f64| format!("{} ms", number(value));
        rows.push(["CPU of a request".to_owned(), ms(cpu.was), ms(cpu.is), change(cpu.ratio)]);
    }
    let (was, is) = at.error_share;
    if was > 0.0 || is > 0.0 {
        rows.push(["failed requests".to_owned(), percent(was), percent(is), String::new()]);
    }
    if let Some(ratio) = at.control_ratio {
        let what = "new against new, by chance".to_owned();
        rows.push([what, String::new(), String::new(), change(ratio)]);
    }
    rows
}

fn method(proof: &Proof) -> String {
    format!(
        "Old and new were started side by side and measured in turns, in {} of one run, on the same CPUs.",
        count(u64::from(proof.windows), "window", "windows")
    )
}
