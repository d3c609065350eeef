//! What breaks what, as text, page and JSON; the words of it live here, once.

pub mod html;
pub mod json;
pub mod terminal;

use fissure_facts::{Fault, Trigger};
use fissure_judge::chaos::{Cell, Chaos, Class, Foreseen, Outcome, Trial};

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
        Class::DuplicatedWrite => "WROTE TWICE",
        Class::LostWrite => "LOST WRITE",
    }
}

/// The published status: 0 all healed, 1 something stayed broken, was answered wrongly, lost or written twice, 2 it cannot be told.
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
    if measured == 0 && !chaos.is_bad() {
        let why = chaos.stopped.as_ref().or(chaos.ended_early.as_ref());
        let why = why.map_or("no window could be believed", String::as_str);
        return format!("Nothing was learnt: {why}");
    }
    let not_tried = chaos.trials.iter().filter(|t| matches!(t.outcome, Outcome::NotTried { .. })).count();
    let aside = if not_tried > 0 { format!(", {not_tried} not tried") } else { String::new() };
    let tried = format!("{measured} of {} faults measured{aside}", chaos.trials.len());
    let written = || chaos.trials.iter().flat_map(|trial| &trial.written);
    let lost = written().filter(|seen| seen.lost > 0).count();
    let doubled = written().filter(|seen| seen.duplicated > 0).count();
    if lost + doubled > 0 {
        let counted = |count: usize, what: &str| (count > 0).then(|| format!("{count} times a route {what}"));
        let parts =
            [counted(lost, "lost what it had acknowledged"), counted(doubled, "wrote something twice")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        return format!("{tried}: {}.", parts.join(", "));
    }
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
    let Fault { kind, target, trigger, route, .. } = &trial.fault;
    let mut name = format!("{kind} on {target}");
    if let Some(route) = route {
        name.push_str(&format!(" (only {route})"));
    }
    match trigger {
        Trigger::Always => {}
        Trigger::Percent(percent) => name.push_str(&format!(" ({percent} % of the connections)")),
        Trigger::EveryNth(n) => name.push_str(&format!(" (each connection no. {n})")),
        Trigger::Request(n) => name.push_str(&format!(" (each request no. {n})")),
        Trigger::FirstByte => name.push_str(" (from the first byte on)"),
        Trigger::Commit => name.push_str(" (at a commit)"),
    }
    name
}

/// The average over the faults, for each arrangement: before and after a split.
fn radii(chaos: &Chaos) -> Vec<String> {
    let line = |name: &&str| {
        let share = chaos.blast_radius(name)?;
        Some(format!("{name}: on average a fault spoils {} of the requests while it lasts.", percent(share)))
    };
    chaos.arrangements().iter().filter_map(line).collect()
}

/// What was left out, and what the machine did meanwhile; each window is its own control, so that weakens figures rather than classes.
fn doubts(chaos: &Chaos) -> Vec<String> {
    let of = |trial: &Trial| match &trial.outcome {
        Outcome::Measured { doubts, .. } => doubts.first().cloned(),
        _ => None,
    };
    let all: Vec<String> = chaos.trials.iter().filter_map(of).collect();
    let busy = all.first().map(|first| {
        format!(
            "In {} of {} windows the machine was busy; in the first, {first}.",
            all.len(),
            chaos.trials.len()
        )
    });
    let ended_early = chaos.ended_early.as_ref().filter(|_| chaos.stopped.is_none());
    let left = ended_early.map(|why| format!("Not every fault was tried: {why}."));
    left.into_iter().chain(busy).collect()
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

/// What was written and read back, one line for each route and fault that has something to tell.
fn writes(chaos: &Chaos) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut kept, mut faults, mut unread) = (0, 0, 0);
    for trial in &chaos.trials {
        faults += usize::from(!trial.written.is_empty());
        for seen in &trial.written {
            kept += seen.acknowledged - seen.lost;
            unread += seen.unread;
            let said = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
            let when = match seen.lost_in {
                Some((first, last)) if first != last => {
                    format!(" (acknowledged in the seconds {first} to {last} of the window)")
                }
                Some((only, _)) => format!(" (acknowledged in second {only} of the window)"),
                None => String::new(),
            };
            let parts = [
                said(seen.lost, &format!("of {} acknowledged writes are gone{when}", seen.acknowledged)),
                said(seen.duplicated, "are there more than once"),
                said(seen.undead, "are there although the app said that they failed"),
            ];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            if !parts.is_empty() {
                lines.push(format!(
                    "{}, `{}` by `{}`: {}.",
                    name(trial),
                    seen.route,
                    seen.by,
                    parts.join(", ")
                ));
            }
        }
    }
    if faults > 0 {
        lines.push(format!(
            "{kept} acknowledged writes were read back after {faults} faults, and were there{}.",
            if unread > 0 { format!("; for {unread} the page could not be read") } else { String::new() }
        ));
    }
    let not_checked = chaos.not_checked.iter();
    lines.extend(not_checked.map(|missing| format!("`{}` not checked: {}.", missing.route, missing.why)));
    lines
}

/// What was expected of routes that do not use a link.
fn foreseen(chaos: &Chaos) -> Vec<String> {
    let Foreseen { verified, wrong, untouched } = &chaos.foreseen;
    let mut lines = Vec::new();
    if !untouched.is_empty() {
        lines.push(format!(
            "No journey goes over {}: its faults are expected to spoil nothing, and only a tenth of them was tried.",
            untouched.join(", ")
        ));
    }
    if *verified > 0 {
        lines.push(format!(
            "{verified} times a route does not use the link that was broken; {} of them it was unaffected, as expected.",
            verified - wrong.len()
        ));
    }
    for (fault, route) in wrong {
        lines.push(format!(
            "{fault} spoils `{route}`, which does not use that link: it shares something with a route that does, such as workers or \
             a pool of connections."
        ));
    }
    lines
}

/// What no run of this kind looks at.
const NOT_TESTED: &[&str] = &[
    "A power cut: what a killed process wrote is still in the kernel's cache, and a mistake with fsync does not show.",
    "Whether a write that is there stays there, and in which order writes happened.",
    "Lost packets, names that do not resolve, several faults at once, what goes by io_uring or mapped files.",
];
