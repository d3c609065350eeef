//! The lines: where the time goes, and what it would give if they cost nothing.

use fissure_judge::Judgement;
use fissure_judge::judgement::{Fix, Place, Verdict};

use super::goal::{asked_claim, load, times_the_goal};
use super::grammar::{and, code};
use super::remedies::remedy_name;
use crate::units::{brief, claim, count, percent};

/// Places that a sentence names; the page's table has all.
const NAMED: usize = 3;

/// `resize` (`src/thumbnail.rs:27`).
pub fn place(place: &Place) -> String {
    format!("{} ({})", code(&place.function), code(format!("{}:{}", place.file, place.line)))
}

/// Share of the CPU with its interval, for a table cell.
pub fn place_share(place: &Place) -> String {
    let per_cent = place.share.scaled(100.0);
    brief(per_cent, "%")
}

/// Whose work it is there.
pub fn place_work(place: &Place) -> String {
    match &place.inside {
        Some(library) => format!("mostly in a library, in {}", code(library)),
        None => "the app's own".to_owned(),
    }
}

/// Where the CPU goes, in one sentence.
pub(super) fn who_runs(places: &[Place]) -> Option<String> {
    let named: Vec<String> = places
        .iter()
        .take(NAMED)
        .map(|p| {
            let library = p.inside.as_ref().map(|l| format!(", mostly in the library's {}", code(l)));
            format!("{} with {} of the CPU{}", place(p), percent(p.share.mid), library.unwrap_or_default())
        })
        .collect();
    (!named.is_empty()).then(|| format!("Who runs: {}.", and(&named)))
}

/// What the dearest lines would give, as a prediction.
pub(super) fn what_a_fix_gives(fix: &Fix) -> String {
    format!(
        "Predicted, not measured: if {} of the app's own, which {} of the CPU goes to, cost nothing, it would hold {} what it holds.",
        count(fix.lines as u64, "line", "lines"),
        percent(fix.share.mid),
        claim(fix.capacity_ratio, "times")
    )
}

/// The order, when few lines would do.
pub(super) fn fix_these(judgement: &Judgement) -> String {
    let places = judgement.limit.as_ref().map_or(&[][..], |l| &l.place);
    let own: Vec<String> = places.iter().filter(|p| p.inside.is_none()).take(NAMED).map(place).collect();
    let goal = load(judgement.goal.asked);
    let gain = match (&judgement.fix, &judgement.capacity) {
        (Some(fix), Some(capacity)) => {
            let mid = capacity.users_per_s.mid;
            let ratio = fix.capacity_ratio.scaled(mid / judgement.goal.users_per_s);
            format!("without their cost the app would hold {}, by prediction", times_the_goal(ratio))
        }
        _ => "what they would give is not known".to_owned(),
    };
    format!("Make {} cheaper: the goal of {goal} is missed, and {gain}.", and(&own))
}

/// Remedies that met the goal when they were rehearsed, beside lines of which that is only predicted.
pub(super) fn rehearsed_beside(judgement: &Judgement) -> Option<String> {
    let Verdict::FixTheseLines { routes } = &judgement.verdict else { return None };
    let met: Vec<String> = judgement
        .remedies
        .iter()
        .filter(|r| routes.is_empty() && r.meets_goal == Some(true))
        .map(|r| {
            let held = r.capacity.as_ref().map(|c| format!(", holds {}", asked_claim(&judgement.goal, c)));
            format!("{}{}", remedy_name(r), held.unwrap_or_default())
        })
        .collect();
    (!met.is_empty()).then(|| format!("Seen to meet the goal without touching the code: {}.", met.join("; ")))
}
