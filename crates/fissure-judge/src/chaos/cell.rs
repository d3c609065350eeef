//! One cell of the matrix: what one fault does to one route.

use fissure_facts::config::Goal;
use fissure_facts::fact::ErrorClass;
use fissure_facts::{Estimate, Latencies, Route};
use serde::Serialize;

use super::durability::Durability;
use super::phases::{Phases, Tally, spoiled_share};
use crate::stats;

/// Fewer requests than this before the fault, and nothing is said of the route.
const ENOUGH: u64 = 20;
/// Where answers are slower than before by less than this, it is no effect worth a word.
const NOTICEABLE: f64 = 1.25;

#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    pub route: Route,
    pub class: Class,
    pub error_share: Option<Estimate>,
    /// Fault over before, of right answers.
    pub p95_ratio: Option<Estimate>,
    /// Share of the route's requests that the fault spoiled.
    pub spoiled: f64,
    /// Until the route was as before; None when it never was.
    pub recovery_s: Option<u32>,
}

/// From harmless to worst, the unknown first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    TooFew,
    Unaffected,
    WithinSlo,
    Slow,
    /// An earlier step of the journeys failed, so nobody came here.
    NotReached,
    FailsFast,
    Hangs,
    WrongAnswer,
    NeverHealed,
    /// A write is there more often than it was made.
    DuplicatedWrite,
    /// What the app had acknowledged is not there any more.
    LostWrite,
}

pub(super) fn cell(route: &Route, phases: &Phases<'_>, goal: &Goal, written: &[Durability]) -> Cell {
    let (before, fault, after) =
        (phases.before(route, goal), phases.fault(route, goal), phases.after(route, goal));
    let expected = phases.expected(route, goal);
    let p95_ratio = ratio(&fault.seen.latency, &before.seen.latency, 0.95);
    let error_share = stats::wilson(fault.errors(), fault.ended());
    let class = if before.ended() < ENOUGH {
        Class::TooFew
    } else if never_healed(route, &before, &after, goal) {
        Class::NeverHealed
    } else {
        class(route, &before, &fault, expected, p95_ratio, goal)
    };
    let has_healed = class != Class::NeverHealed;
    let class = class.max(of_writes(route, written));
    let recovery_s = has_healed.then(|| phases.recovery_s(route, goal));
    Cell {
        route: route.clone(),
        class,
        error_share,
        p95_ratio,
        spoiled: spoiled_share(expected, &fault),
        recovery_s,
    }
}

/// What is worst about the route's writes.
fn of_writes(route: &Route, written: &[Durability]) -> Class {
    let any = |count: fn(&Durability) -> u64| written.iter().any(|w| w.route == *route && count(w) > 0);
    if any(|w| w.lost) {
        Class::LostWrite
    } else if any(|w| w.duplicated) {
        Class::DuplicatedWrite
    } else if any(|w| w.undead) {
        Class::WrongAnswer
    } else {
        Class::TooFew
    }
}

/// The promise is broken still, or next to nobody is answered.
fn never_healed(route: &Route, before: &Tally, after: &Tally, goal: &Goal) -> bool {
    let due = before.good() as f64 / before.seconds.max(1.0) * after.seconds;
    let silent = due >= 10.0 && (after.good() as f64) < 0.3 * due;
    after.breaks(route, goal) || silent
}

fn class(
    route: &Route,
    before: &Tally,
    fault: &Tally,
    expected: f64,
    p95_ratio: Option<Estimate>,
    goal: &Goal,
) -> Class {
    let missing = expected - fault.ended() as f64;
    let missing = if missing > 3.0 * expected.sqrt() && missing > 0.5 * expected { missing } else { 0.0 };
    let wrong = fault.of(&[ErrorClass::Assert, ErrorClass::Malformed, ErrorClass::TooLarge]);
    let hangs = fault.of(&[ErrorClass::Timeout]);
    let fast = fault.errors() - wrong - hangs;
    let breaks = fault.breaks(route, goal);
    if breaks || missing > 0.0 {
        // What happens most names it; of equals the worse.
        let kinds = [
            (fault.slow as f64, Class::Slow),
            (missing, Class::NotReached),
            (fast as f64, Class::FailsFast),
            (hangs as f64, Class::Hangs),
            (wrong as f64, Class::WrongAnswer),
        ];
        return kinds.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).map_or(Class::Slow, |(_, class)| class);
    }
    let slower = p95_ratio.is_some_and(|ratio| ratio.low > NOTICEABLE);
    let (was, is) =
        (stats::wilson(before.errors(), before.ended()), stats::wilson(fault.errors(), fault.ended()));
    let fails_more = was.zip(is).is_some_and(|(was, is)| is.low > was.high);
    if slower || fails_more { Class::WithinSlo } else { Class::Unaffected }
}

/// Ratio of a quantile with an interval from the binomial ranks of both (Conover, Practical Nonparametric Statistics,
/// 1999, section 3.2): free of assumptions on the shape, and wider than 95 % because both ends are taken at once.
fn ratio(fault: &Latencies, before: &Latencies, quantile: f64) -> Option<Estimate> {
    let (of_fault, of_before) = (ranks(fault, quantile)?, ranks(before, quantile)?);
    let over = |a: f64, b: f64| a / b.max(1.0);
    Some(Estimate::new(
        over(of_fault.mid, of_before.mid),
        over(of_fault.low, of_before.high),
        over(of_fault.high, of_before.low),
    ))
}

fn ranks(latencies: &Latencies, quantile: f64) -> Option<Estimate> {
    let count = latencies.count() as f64;
    if count < ENOUGH as f64 {
        return None;
    }
    let half = 1.96 * (quantile * (1.0 - quantile) / count).sqrt();
    let at = |q: f64| latencies.quantile_us(q.clamp(0.0, 1.0)) as f64;
    Some(Estimate::new(at(quantile), at(quantile - half), at(quantile + half)))
}
