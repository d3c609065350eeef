//! What copies do when nobody asks: at their start, when both start at the same instant, and by the clock.

use fissure_facts::shadow::{Act, TableSeen};
use fissure_facts::{Arrangement, ShadowPlan, Topology};

use super::tables::{self, Change};
use super::{By, Finding, Shadow, State};

/// How long nobody asks, where there is a database to look at.
const WATCH_S: u32 = 2;
/// Starts of two copies at the same instant before anything was seen: a race does not show every time.
const STARTS: usize = 3;
const REPEATS: usize = 5;
const BELIEVED: usize = 3;
/// Starts at the same instant that must have gone wrong.
const WRONG_LEAST: usize = 2;

fn act(seconds: u32, at_once: bool) -> Act {
    Act::Idle { seconds, at_once }
}

/// Shadows in which nobody asked.
struct Watched<'s, 'r> {
    seconds: u32,
    one: Vec<&'s Shadow<'r>>,
    two: Vec<&'s Shadow<'r>>,
    /// Looked at as soon as they are ready.
    just_started: Vec<&'s Shadow<'r>>,
    one_by_one: Vec<&'s Shadow<'r>>,
    at_once: Vec<&'s Shadow<'r>>,
}

impl<'s, 'r> Watched<'s, 'r> {
    fn of(all: &'s [Shadow<'r>]) -> Self {
        let has_tables = all.iter().any(|s| s.plan.act == Act::Play && !s.tables.is_empty());
        let seconds = if has_tables { WATCH_S } else { 0 };
        let with = |topology: Topology, act: Act| {
            all.iter()
                .filter(|s| s.plan.topology == topology && s.plan.act == act)
                .filter(|s| s.cut_short.is_some())
                .collect()
        };
        Self {
            seconds,
            one: if has_tables { with(Topology::Control, act(seconds, false)) } else { Vec::new() },
            two: if has_tables { with(Topology::Replicate, act(seconds, false)) } else { Vec::new() },
            just_started: with(Topology::Control, act(0, false)),
            one_by_one: with(Topology::Replicate, act(0, false)),
            at_once: with(Topology::Replicate, act(0, true)),
        }
    }

    fn tables(shadows: &[&'s Shadow<'r>]) -> Vec<&'r [TableSeen]> {
        shadows.iter().filter(|s| s.cut_short == Some(None)).map(|s| s.tables).collect()
    }

    /// What two copies that started one after the other did otherwise.
    fn twice(&self) -> Vec<Change> {
        tables::changes(&Self::tables(&self.one), &Self::tables(&self.two))
    }

    /// Starts at the same instant that went wrong, each with what it looked like.
    fn wrong_starts(&self) -> Vec<Wrong<'r>> {
        let one = Self::tables(&self.just_started);
        // What two copies do at their start in any case is no race.
        let mut known: Vec<Change> = self.twice();
        known.extend(tables::changes(&one, &Self::tables(&self.one_by_one)));
        let wrong = |shadow: &&&'s Shadow<'r>| match shadow.cut_short.flatten() {
            Some(why) => Some(Wrong::DidNotStart(why)),
            None => tables::changes(&one, &[shadow.tables])
                .into_iter()
                .find(|c| c.column.is_none() && !known.iter().any(|k| k.table == c.table))
                .map(Wrong::Tables),
        };
        self.at_once.iter().filter_map(|s| wrong(&s)).collect()
    }
}

enum Wrong<'r> {
    DidNotStart(&'r str),
    Tables(Change),
}

pub(super) fn next(all: &[Shadow<'_>], seed: u64, left_s: f64) -> Option<(ShadowPlan, String)> {
    let watched = Watched::of(all);
    let suspicious = !watched.twice().is_empty();
    let wrong = watched.wrong_starts().len();
    let (ones, twos) = match (watched.seconds, suspicious) {
        (0, _) => (0, 0),
        (_, false) => (2, 1),
        (_, true) => (REPEATS, REPEATS),
    };
    let starts = if wrong > 0 { REPEATS } else { STARTS };
    let (one, two) = (watched.one.len(), watched.two.len());
    let needs_baseline = watched.seconds > 0;
    let (topology, at_once, seconds) = if one < ones && (one < 2 || one <= two) {
        (Topology::Control, false, watched.seconds)
    } else if two < twos {
        (Topology::Replicate, false, watched.seconds)
    } else if one < ones {
        (Topology::Control, false, watched.seconds)
    } else if needs_baseline && watched.just_started.len() < 2 {
        (Topology::Control, false, 0)
    } else if needs_baseline && watched.one_by_one.is_empty() {
        (Topology::Replicate, false, 0)
    } else if watched.at_once.len() < starts {
        (Topology::Replicate, true, 0)
    } else {
        return None;
    };
    let took = all.iter().filter(|s| s.plan.topology == topology).map(|s| s.took_s).fold(0.0, f64::max);
    if took + f64::from(watched.seconds) > left_s {
        return None;
    }
    let arrangement =
        if topology == Topology::Control { Arrangement::whole() } else { Arrangement::replicas(2) };
    let why = match (topology, at_once) {
        (Topology::Control, _) => "what does one copy do when nobody asks?",
        (_, false) => "what do two copies do when nobody asks?",
        (_, true) => "do two copies start well at the same instant?",
    };
    let plan = ShadowPlan {
        shadow: all.len() as u32 + 1,
        topology,
        arrangement,
        parts: Vec::new(),
        passes: 1,
        seed,
        act: act(seconds, at_once),
    };
    Some((plan, why.to_owned()))
}

/// Seconds that copies were watched, and starts at the same instant.
pub(super) fn tried(all: &[Shadow<'_>]) -> (u32, usize) {
    let watched = Watched::of(all);
    (if watched.two.is_empty() { 0 } else { watched.seconds }, watched.at_once.len())
}

pub(super) fn findings(all: &[Shadow<'_>]) -> Vec<Finding> {
    let watched = Watched::of(all);
    let mut findings = Vec::new();
    if watched.one.len().min(watched.two.len()) >= BELIEVED {
        findings.extend(watched.twice().iter().map(|change| nobody(State::Scheduled, change, By::Idle)));
    }
    let wrong = watched.wrong_starts();
    if wrong.len() >= WRONG_LEAST {
        let tables = wrong.iter().find_map(|w| match w {
            Wrong::Tables(change) => Some(nobody(State::Migration, change, By::StartedAtOnce)),
            Wrong::DidNotStart(_) => None,
        });
        let failed = wrong.iter().find_map(|w| match w {
            Wrong::DidNotStart(why) => Some(*why),
            Wrong::Tables(_) => None,
        });
        let count = format!("{} of {}", wrong.len(), watched.at_once.len());
        findings.extend(tables.map(|f| Finding { others: wrong.len() - 1, ..f }).or_else(|| {
            Some(Finding {
                what: "the start".to_owned(),
                expected: "both copies start".to_owned(),
                got: format!("in {count} starts one did not: {}", failed?),
                ..nobody(State::Migration, &Change::nothing(), By::StartedAtOnce)
            })
        }));
    }
    findings
}

/// Something that nobody asked for.
pub(super) fn nobody(state: State, change: &Change, by: By) -> Finding {
    let (expected, got) = change.counts();
    Finding {
        topology: Topology::Replicate,
        by,
        state,
        journey: String::new(),
        line: 0,
        route: None,
        request: String::new(),
        what: change.spoken(),
        expected,
        got,
        others: 0,
        steps: Vec::new(),
    }
}
