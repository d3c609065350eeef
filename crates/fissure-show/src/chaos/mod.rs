//! What breaks what, as text, page and JSON; the words of it live here, once.

pub mod html;
pub mod json;
pub mod terminal;

use fissure_judge::chaos::{Cell, Chaos, Class, Outcome, Trial};

use crate::units::{number, percent};

/// Short enough for a column of a matrix.
fn word(class: Class) -> &'static str {
    match class {
        Class::TooFew => "?",
        Class::Unaffected => "unaffected",
        Class::WithinSlo => "within SLO",
        Class::Slow => "slow",
        Class::NotReached => "not reached",
        Class::FailsFast => "fails fast",
        Class::Hangs => "hangs",
        Class::WrongAnswer => "WRONG",
        Class::NeverHealed => "NOT HEALED",
    }
}

/// The published status: 0 all healed, 1 something stayed broken or was answered wrongly, 2 it cannot be told.
pub fn exit_status(chaos: &Chaos) -> u8 {
    match (chaos.interrupted, chaos.is_bad(), chaos.is_known()) {
        (true, _, _) => 130,
        (_, true, _) => 1,
        (_, _, true) => 0,
        (_, _, false) => 2,
    }
}

fn headline(chaos: &Chaos) -> String {
    let measured = chaos.trials.iter().filter(|t| matches!(t.outcome, Outcome::Measured { .. })).count();
    let count_of = |class: Class| chaos.cells().filter(|cell| cell.class == class).count();
    if measured == 0 {
        let why = chaos.stopped.clone().unwrap_or_else(|| "no window could be believed".to_owned());
        return format!("Nothing was learnt: {why}");
    }
    let tried = format!("{measured} of {} faults measured", chaos.trials.len());
    let (stuck, wrong) = (count_of(Class::NeverHealed), count_of(Class::WrongAnswer));
    match (stuck, wrong) {
        (0, 0) => format!("{tried}: after each of them every route was as before."),
        (stuck, 0) => format!("{tried}: {stuck} times a route was still broken when the fault was over."),
        (0, wrong) => format!("{tried}: {wrong} times a route gave wrong answers."),
        (stuck, wrong) => format!(
            "{tried}: {stuck} times a route was still broken when the fault was over, {wrong} times it gave wrong answers."
        ),
    }
}

fn name(trial: &Trial) -> String {
    format!("{} on {}", trial.fault.kind, trial.fault.target)
}

/// The average over the faults, for each arrangement: before and after a split.
fn radii(chaos: &Chaos) -> Vec<String> {
    let line = |name: &&str| {
        let share = chaos.blast_radius(name)?;
        Some(format!("{name}: on average a fault spoils {} of the requests while it lasts.", percent(share)))
    };
    chaos.arrangements().iter().filter_map(line).collect()
}

/// What the machine did meanwhile; each window is its own control, so this weakens figures rather than classes.
fn doubts(chaos: &Chaos) -> Vec<String> {
    let of = |trial: &Trial| match &trial.outcome {
        Outcome::Measured { doubts, .. } => doubts.first().cloned(),
        _ => None,
    };
    let all: Vec<String> = chaos.trials.iter().filter_map(of).collect();
    let Some(first) = all.first() else { return Vec::new() };
    vec![format!(
        "In {} of {} windows the machine was busy; in the first, {first}.",
        all.len(),
        chaos.trials.len()
    )]
}

/// What happened to a route in figures.
fn figures(cell: &Cell) -> String {
    let mut parts = vec![format!("{} of its requests spoiled", percent(cell.spoiled))];
    if let Some(errors) = cell.error_share.filter(|e| e.mid > 0.0) {
        parts.push(format!(
            "errors {} ({} to {})",
            percent(errors.mid),
            percent(errors.low),
            percent(errors.high)
        ));
    }
    if let Some(ratio) = cell.p95_ratio.filter(|r| r.low > 1.0) {
        parts.push(format!("p95 x {} ({} to {})", number(ratio.mid), number(ratio.low), number(ratio.high)));
    }
    parts.push(match cell.recovery_s {
        None => "not back when the window ended".to_owned(),
        Some(0) => "back at once".to_owned(),
        Some(seconds) => format!("back within {seconds} s"),
    });
    parts.join(", ")
}

/// What no run of this kind looks at.
const NOT_TESTED: &[&str] = &[
    "Whether every acknowledged write is still there: no written value is read back yet.",
    "A power cut: what a killed process wrote is still in the kernel's cache, and a mistake with fsync does not show.",
    "Full and failing disks, a clock that jumps, lost packets, names that do not resolve, several faults at once.",
];
