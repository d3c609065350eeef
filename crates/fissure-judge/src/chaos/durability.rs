//! Is everything there that the app acknowledged, and nothing twice?
//!
//! A set checker after Jepsen: every acknowledged write is found, no failed one is, none more often than one is found
//! without a fault; of those whose end nobody knows either is right. A page only counts as a witness when it showed every
//! acknowledged write in a window without a fault: what is capped, deleted by its own journey or shown late proves nothing.

use fissure_facts::{Fact, FoundBy, ReadBack, ReadCount, Reading, Route, Run, WriteEnd, WriteSent};
use serde::Serialize;

/// With fewer acknowledged writes than this in the window without a fault, a page is no witness.
const ENOUGH: u64 = 10;

/// What one page says of the writes of one route, in one window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Durability {
    pub route: Route,
    pub by: Route,
    pub found_by: FoundBy,
    pub acknowledged: u64,
    /// Acknowledged, and not there.
    pub lost: u64,
    /// There more often than a write is without a fault.
    pub duplicated: u64,
    /// There, although the app had said that they failed.
    pub undead: u64,
    /// Nobody knows how they ended.
    pub unknown: u64,
    /// Their page could not be read.
    pub unread: u64,
    /// Measured seconds in which the lost ones were acknowledged, first and last.
    pub lost_in: Option<(i32, i32)>,
}

impl Durability {
    pub fn is_bad(&self) -> bool {
        self.lost + self.duplicated + self.undead > 0
    }
}

/// Writes that nobody looks for, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotChecked {
    pub route: Route,
    pub why: String,
}

/// Ways to look for writes, by what the journeys showed when each was played alone: for every write the page that its
/// answer leads to, and the first list; the page that its value leads to only where there is neither.
pub fn readings(run: &Run) -> Vec<Reading> {
    let shown: Vec<&Reading> = run
        .facts
        .iter()
        .filter_map(|stamped| match &stamped.fact {
            Fact::WriteShown(reading) => Some(reading),
            _ => None,
        })
        .collect();
    let mut chosen: Vec<Reading> = Vec::new();
    for write in writes(run) {
        let of_this: Vec<&Reading> = shown
            .iter()
            .copied()
            .filter(|reading| reading.journey == write.journey && reading.write == write.step)
            .collect();
        let first = |found_by, valued: bool| {
            of_this.iter().copied().find(|r| r.found_by == found_by && r.value.is_some() == valued)
        };
        // A page that shows the value says more than one that is only there.
        let by_answer = first(FoundBy::Answer, true).or_else(|| first(FoundBy::Answer, false));
        let list = first(FoundBy::List, true);
        let by_value = first(FoundBy::Value, true).filter(|_| by_answer.is_none() && list.is_none());
        for reading in [by_answer, list, by_value].into_iter().flatten() {
            if !chosen.contains(reading) {
                chosen.push(reading.clone());
            }
        }
    }
    chosen
}

fn writes(run: &Run) -> Vec<&WriteSent> {
    let mut writes: Vec<&WriteSent> = Vec::new();
    for stamped in &run.facts {
        if let Fact::WriteSent(write) = &stamped.fact
            && !writes.iter().any(|known| known.journey == write.journey && known.step == write.step)
        {
            writes.push(write);
        }
    }
    writes
}

/// Why some writes are not looked for at all, and some pages not believed: one reason for each route.
pub fn not_checked(run: &Run) -> Vec<NotChecked> {
    let readings = readings(run);
    let mut reasons: Vec<NotChecked> = Vec::new();
    let mut say = |route: &Route, why: String| {
        if !reasons.iter().any(|known| known.route == *route) {
            reasons.push(NotChecked { route: route.clone(), why });
        }
    };
    for write in writes(run) {
        let of_this: Vec<&Reading> =
            readings.iter().filter(|r| r.journey == write.journey && r.write == write.step).collect();
        if of_this.is_empty() {
            let (journey, line) = (&write.journey, write.line);
            say(
                &write.route,
                match write.fresh {
                    0 => format!(
                        "it carries no value of its own, and no later GET of {journey} asks for what its answer gave: \
                         put {{{{newUuid}}}} into the request at line {line}, and a GET that shows it behind it"
                    ),
                    _ => format!("no later GET of {journey} shows the value that it carries (line {line})"),
                },
            );
            continue;
        }
        let controls: Vec<Result<Control, String>> =
            of_this.iter().map(|reading| Control::of(run, reading)).collect();
        if let Some(why) = controls.iter().find_map(|c| c.as_ref().err())
            && controls.iter().all(Result::is_err)
        {
            say(&write.route, why.clone());
        }
    }
    let routes = run.routes();
    for deletion in routes.iter().filter(|route| route.to_string().starts_with("DELETE ")) {
        say(deletion, "whether what was deleted stays away is not looked at".to_owned());
    }
    reasons
}

/// What a page showed when nothing was broken.
struct Control {
    acknowledged: u64,
    /// The most often that one write was shown.
    times: u32,
}

impl Control {
    /// The page as a witness; else why it is none.
    fn of(run: &Run, reading: &Reading) -> Result<Self, String> {
        let unharmed: Vec<u32> = run
            .windows()
            .iter()
            .filter(|w| matches!(w.plan.purpose, fissure_facts::Purpose::Unharmed { .. }))
            .map(|w| w.plan.window)
            .collect();
        let seen = told(run, reading, |window| unharmed.contains(&window));
        let counts = || seen.iter().flat_map(|told| &told.counts);
        let of = |end, fits: fn(Option<u32>) -> bool| -> u64 {
            counts().filter(|c| c.end == end && fits(c.times)).map(|c| c.count).sum()
        };
        let page = seen.first().map(|told| told.by.to_string()).unwrap_or_default();
        let acknowledged = of(WriteEnd::Acknowledged, |times| times.is_some());
        let missing = of(WriteEnd::Acknowledged, |times| times == Some(0));
        let unread = of(WriteEnd::Acknowledged, |times| times.is_none());
        if acknowledged + unread < ENOUGH {
            return Err("too few were acknowledged in the window without a fault".to_owned());
        }
        if unread > acknowledged / 10 {
            let why = seen.iter().find_map(|told| told.unreadable.clone());
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            return Err(format!(
                "also without a fault `{page}` could not be read for {unread} of {} writes{why}",
                acknowledged + unread
            ));
        }
        if missing > 0 {
            return Err(format!(
                "also without a fault `{page}` did not show {missing} of {acknowledged} acknowledged writes: it shows only some, \
                 the journey takes them away again, or the app loses them by itself"
            ));
        }
        let times = counts().filter_map(|c| c.times).max().unwrap_or(0).max(reading.times);
        Ok(Self { acknowledged, times })
    }
}

fn told<'r>(run: &'r Run, reading: &Reading, is_wanted: impl Fn(u32) -> bool) -> Vec<&'r ReadBack> {
    let told = run.facts.iter().filter_map(|stamped| match &stamped.fact {
        Fact::ReadBack(told) => Some(told),
        _ => None,
    });
    told.filter(|told| told.reading == *reading && is_wanted(told.window)).collect()
}

/// What became of the writes of a window, page by page, as far as the pages can be believed.
pub(super) fn of_window(run: &Run, window: u32, readings: &[Reading]) -> Vec<Durability> {
    let of = |reading: &Reading| {
        let control = Control::of(run, reading).ok()?;
        let told = told(run, reading, |number| number == window);
        let first = told.first()?;
        let counts: Vec<&ReadCount> = told.iter().flat_map(|told| &told.counts).collect();
        let sum = |fits: &dyn Fn(&ReadCount) -> bool| -> u64 {
            counts.iter().filter(|c| fits(c)).map(|c| c.count).sum()
        };
        let is_acknowledged = |c: &ReadCount| c.end == WriteEnd::Acknowledged;
        let found = sum(&|c| is_acknowledged(c) && c.times.is_some_and(|t| t > 0));
        let missing = sum(&|c| is_acknowledged(c) && c.times == Some(0));
        let seconds = |fits: &dyn Fn(&ReadCount) -> bool| {
            let all = || counts.iter().filter(|c| is_acknowledged(c) && fits(c)).map(|c| c.second);
            Some((all().min()?, all().max()?))
        };
        let lost_in = seconds(&|c| c.times == Some(0));
        let found_in = seconds(&|c| c.times.is_some_and(|t| t > 0));
        // A list that shows the latest only would lack just the eldest, and only when there were more than ever before.
        let is_crowded =
            reading.found_by == FoundBy::List && found + missing > control.acknowledged && found > 0;
        let are_the_eldest = lost_in.zip(found_in).is_some_and(|((_, last), (first, _))| last <= first);
        let lost = if is_crowded && are_the_eldest { 0 } else { missing };
        Some(Durability {
            route: first.route.clone(),
            by: first.by.clone(),
            found_by: reading.found_by,
            acknowledged: found + missing,
            lost,
            duplicated: sum(&|c| c.times.is_some_and(|t| t > control.times)),
            undead: sum(&|c| c.end == WriteEnd::Failed && c.times.is_some_and(|t| t > 0)),
            unknown: sum(&|c| c.end == WriteEnd::Unknown),
            unread: sum(&|c| is_acknowledged(c) && c.times.is_none()),
            lost_in: lost_in.filter(|_| lost > 0),
        })
    };
    readings.iter().filter_map(of).collect()
}
