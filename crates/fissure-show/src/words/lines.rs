//! The lines: where the time goes, and what it would give if they cost nothing.

use fissure_facts::Estimate;
use fissure_judge::Judgement;
use fissure_judge::judgement::{Fix, Limit, Place, Questions, Resource, Unasked, Verdict};

use super::databases::asks;
use super::goal::{asked_claim, load, times_the_goal};
use super::grammar::{and, code};
use super::remedies::remedy_name;
use super::waits::{line_of, spot};
use crate::units::{brief, claim, count, percent};

/// Times the goal.
const FAR_ABOVE: f64 = 5.0;
/// Places that a sentence names; the page's table has all.
const NAMED: usize = 3;
/// And no place that has less of the time than this part of what the dearest has.
const NOTABLE: f64 = 0.1;

/// `resize` (`src/thumbnail.rs:27`), and who calls it where that is what can be changed.
pub fn place(place: &Place) -> String {
    let called = place.called_at.as_ref().map(|at| format!(", called from {}", spot(Some(at))));
    let here = format!("{} ({})", code(&place.function), code(line_of(&place.file, place.line)));
    format!("{here}{}", called.unwrap_or_default())
}

/// Share of the CPU with its interval, for a table cell.
pub fn place_share(place: &Place) -> String {
    let per_cent = place.share.scaled(100.0);
    brief(per_cent, "%")
}

/// Whose work it is there.
pub fn place_work(place: &Place) -> String {
    match &place.inside {
        _ if place.is_library => "a library's".to_owned(),
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
            let library = match &p.inside {
                _ if p.is_library => ", which is a library's".to_owned(),
                Some(library) => format!(", mostly in the library's {}", code(library)),
                None => String::new(),
            };
            format!("{} with {} of the CPU{library}", place(p), percent(p.share.mid))
        })
        .collect();
    (!named.is_empty()).then(|| format!("Who runs: {}.", and(&named)))
}

/// What Node's functions do that return only when all is done: their names say so, and each has a sibling that works in another thread.
pub(super) fn who_blocks(limit: &Limit) -> Option<String> {
    let of_node = |p: &Place| p.inside.as_deref()?.strip_suffix("Sync").map(str::to_owned);
    let (place_, sibling) = limit.place.iter().find_map(|p| Some((p, of_node(p)?)))?;
    (limit.resource == Resource::OneThread).then(|| {
        format!(
            "{} blocks the event loop in {}: {} does the same in another thread, while others are served.",
            place(place_),
            code(format!("{sibling}Sync")),
            code(&sibling)
        )
    })
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

/// A prediction far above the goal says that it is met; how far nobody can tell, and nobody needs to know.
fn predicted_times_the_goal(ratio: Estimate) -> String {
    if ratio.low >= FAR_ABOVE {
        format!("at least {FAR_ABOVE} times the goal")
    } else {
        times_the_goal(ratio)
    }
}

/// The order, when few lines would do.
pub(super) fn fix_these(judgement: &Judgement) -> String {
    if let Some(unasked) = &judgement.unasked {
        return runs_by_itself(judgement, unasked);
    }
    let row_by_row = judgement.questions.iter().find(|asked| asked.stand_out());
    if let (None, Some(asked)) = (&judgement.fix, row_by_row) {
        return ask_once(judgement, asked);
    }
    let places = judgement.limit.as_ref().map_or(&[][..], |l| &l.place);
    // What a database in the process does for a line counts as the line's own.
    let is_own = |p: &&Place| p.inside.is_none() || 2.0 * p.own_share >= p.share.mid;
    let dearest = places.iter().find(is_own);
    let is_dear = |p: &&Place| dearest.is_some_and(|dearest| p.share.mid >= NOTABLE * dearest.share.mid);
    let named = || places.iter().filter(is_own).filter(is_dear).take(NAMED);
    let own: Vec<String> = named().map(place).collect();
    let at_work = |many_statements: bool| {
        let works = |p: &&Place| p.many_statements == many_statements && p.inside.is_some();
        let found = named().find(works)?;
        let there =
            if Some(found) == dearest { "There".to_owned() } else { format!("In {}", code(&found.function)) };
        Some((there, found.inside.as_deref()?))
    };
    let (mapper, engine) = (at_work(true), at_work(false));
    let goal = load(judgement.goal.asked);
    let waited_for = judgement.limit.as_ref().filter(|limit| limit.is_waited_for);
    if let (Some(limit), Some(fix), Some(held)) = (waited_for, &judgement.fix, &judgement.capacity) {
        if let Some(asked) = row_by_row.filter(|_| limit.resource == Resource::Pool) {
            return format!(
                "Ask once for what belongs together, instead of row by row, in {}: {}, {} of the requests under way wait there, and the goal of {goal} is missed. \
                 How much that gives is not known: check again.",
                and(&own),
                asks(asked),
                percent(fix.share.mid)
            );
        }
        let ratio = fix.capacity_ratio.scaled(held.users_per_s.mid / judgement.goal.users_per_s);
        let order = match limit.resource {
            Resource::OneThread => format!("Do not block the event loop in {}", and(&own)),
            Resource::Lock => format!("Hold the lock for less in {}", and(&own)),
            Resource::Disk => format!("Do not wait for the file at each request in {}", and(&own)),
            _ => format!("Let more in at once at {}", and(&own)),
        };
        let there = if limit.resource == Resource::OneThread {
            "it stands still there most of the time, and if it did not".to_owned()
        } else {
            format!("{} of the requests under way wait there, and if none did", percent(fix.share.mid))
        };
        return format!(
            "{order}: the goal of {goal} is missed with an idle CPU, {there} the app would hold {}, by prediction, as far as nothing else gives way then.",
            predicted_times_the_goal(ratio)
        );
    }
    let gain = match (&judgement.fix, &judgement.capacity) {
        (Some(fix), Some(capacity)) => {
            let mid = capacity.users_per_s.mid;
            let ratio = fix.capacity_ratio.scaled(mid / judgement.goal.users_per_s);
            let enough = match ratio {
                Estimate { low, .. } if low >= 1.0 => String::new(),
                Estimate { mid, .. } if mid >= 1.0 => ", which may do".to_owned(),
                _ => format!(
                    ". That alone does not do: the rest would still need about {} for the goal, so look again when they are cheaper",
                    claim(fix.cpus_needed, "CPUs")
                ),
            };
            format!(
                "without their cost the app would hold {}, by prediction{enough}",
                predicted_times_the_goal(ratio)
            )
        }
        _ => "what they would give is not known".to_owned(),
    };
    let asks_often = mapper.map(|(there, mapper)| {
        format!(
            " {there} it is {} that works, so long for one request that it must be asked for many statements or many rows: load what belongs \
             together at once (a join, eager loading) instead of row by row, and only what is shown.",
            code(mapper)
        )
    });
    let statement = asks_often.or_else(|| engine.map(|(there, engine)| {
        format!(
            " {there} it is {engine} that works, for the statement: see what it reads (`EXPLAIN QUERY PLAN`), give it an index, or ask it less often."
        )
    }));
    format!(
        "Make {} cheaper: the goal of {goal} is missed, and {gain}.{}",
        and(&own),
        statement.unwrap_or_default()
    )
}

/// Everybody waits for what nobody asked for.
fn runs_by_itself(judgement: &Judgement, unasked: &Unasked) -> String {
    let named: Vec<String> = unasked.places.iter().take(NAMED).map(place).collect();
    format!(
        "Take what runs by itself out of the process that answers, or do it in smaller steps: {} are at work whoever asks, {} of a CPU even when hardly \
         anybody does, and who comes meanwhile waits. So the goal of {} is missed at any load, and neither copies nor CPUs cure that. How much \
         it gives is not known: check again.",
        and(&named),
        percent(unasked.cores),
        load(judgement.goal.asked)
    )
}

/// Where no line's own work is what takes the time, but that it asks so often.
fn ask_once(judgement: &Judgement, asked: &Questions) -> String {
    let place = asked.asked_at.as_ref().map(|at| match &at.called_at {
        Some(caller) => spot(Some(caller)),
        None => place(at),
    });
    format!(
        "Ask once for what belongs together, instead of row by row{}: {}, and the goal of {} is missed. How much that gives is not known: \
         check again.",
        place.map(|place| format!(", in {place}")).unwrap_or_default(),
        asks(asked),
        load(judgement.goal.asked)
    )
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
