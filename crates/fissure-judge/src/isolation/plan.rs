//! Which shadow comes next: as few as tell, repeated when they differ, then cut down.

use fissure_facts::shadow::{Act, Part};
use fissure_facts::{Arrangement, Route, Run, ShadowPlan, Topology};

use super::compare::{Answers, Difference, compare};
use super::{CONTROLS_LEAST, Shadow, answers, idle, shadows, table_changes, twins, whole};

/// Runs of each kind before a difference is believed, and with little time.
const REPEATS: usize = 6;
const REPEATS_IN_A_HURRY: usize = 5;
/// The same, where all that differs may be thrown coins: of nine clean runs one was a false alarm.
const REPEATS_OF_COINS: usize = 10;
/// Shadows of one way that may fail before it is given up.
const FAILURES_MOST: usize = 2;
/// Trials by which a journey is cut down.
const TRIALS_MOST: usize = 24;

/// A way to run the app that is to be compared with the app as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub topology: Topology,
    pub arrangement: Arrangement,
}

impl Wanted {
    /// As its remedy is rehearsed; None for remedies that start no second process.
    pub fn of(arrangement: &Arrangement) -> Option<Self> {
        let topology = match (arrangement.table.is_empty(), arrangement.copies()) {
            (false, _) => Topology::Split,
            (true, 2..) => Topology::Replicate,
            _ => return None,
        };
        // What two copies get wrong, more get wrong too, and two have the shorter journeys.
        let arrangement =
            if topology == Topology::Replicate { Arrangement::replicas(2) } else { arrangement.clone() };
        Some(Self { topology, arrangement })
    }
}

/// How often the journeys are played in one shadow. Twice: the second user meets what the first one left, and other copies.
/// A restart takes long enough to do it once.
pub(super) fn passes(topology: Topology) -> u32 {
    if topology == Topology::Restart { 1 } else { 2 }
}

/// The next shadow for `wanted`; None when it is told, or cannot be within `left_s`. With little time only journeys are played.
pub fn next(run: &Run, wanted: &Wanted, left_s: f64, is_hurried: bool) -> Option<(ShadowPlan, String)> {
    let all = shadows(run);
    played(run, &all, wanted, left_s, is_hurried).or_else(|| {
        let is_whole = wanted.topology == Topology::Replicate && !is_hurried;
        let has_started =
            !whole(&all, Topology::Replicate, None, &[], passes(Topology::Replicate)).is_empty();
        let more = || {
            twins::next(&all, run.header.seed, left_s).or_else(|| idle::next(&all, run.header.seed, left_s))
        };
        (is_whole && has_started).then(more).flatten()
    })
}

fn played(
    run: &Run,
    all: &[Shadow<'_>],
    wanted: &Wanted,
    left_s: f64,
    is_hurried: bool,
) -> Option<(ShadowPlan, String)> {
    let Wanted { topology, arrangement } = wanted;
    let passes = passes(*topology);
    let controls = whole(all, Topology::Control, None, &[], passes);
    let runs = whole(all, *topology, Some(arrangement), &[], passes);
    let failed = |topology: Topology| {
        let is_it = |s: &&Shadow<'_>| {
            s.plan.topology == topology
                && s.plan.act == Act::Play
                && (topology == Topology::Control || s.plan.arrangement == *arrangement)
        };
        all.iter().filter(is_it).filter(|s| s.cut_short.flatten().is_some()).count()
    };
    if failed(Topology::Control) >= FAILURES_MOST || failed(*topology) >= FAILURES_MOST {
        return None;
    }
    let plan = |topology: Topology, parts: Vec<Part>, passes: u32| {
        let arrangement =
            if topology == Topology::Control { Arrangement::whole() } else { arrangement.clone() };
        let shadow = all.len() as u32 + 1;
        ShadowPlan { shadow, topology, arrangement, parts, passes, seed: run.header.seed, act: Act::Play }
    };
    let cost_s = |topology: Topology| {
        let is_it = |s: &&Shadow<'_>| {
            s.plan.topology == topology && s.plan.parts.is_empty() && s.plan.act == Act::Play
        };
        let took = all.iter().filter(is_it);
        took.map(|s| s.took_s).fold(0.0, f64::max)
    };
    // Control, candidate, control: what drifts is no difference. Then whichever was tried less.
    let comparison = compare(&answers(&controls, arrangement), &answers(&runs, arrangement));
    let steady = comparison.steady();
    let enough = match is_hurried {
        true => REPEATS_IN_A_HURRY,
        false if !steady.is_empty() && steady.iter().all(|d| d.may_be_a_coin()) => REPEATS_OF_COINS,
        false => REPEATS,
    };
    let is_suspicious = comparison.is_suspicious() || !table_changes(*topology, &controls, &runs).is_empty();
    let is_open = controls.len() >= CONTROLS_LEAST && !runs.is_empty() && is_suspicious;
    let which = if controls.is_empty() {
        Some(Topology::Control)
    } else if runs.is_empty() {
        Some(*topology)
    } else if controls.len() < CONTROLS_LEAST || is_open && controls.len() < enough.min(runs.len()) {
        Some(Topology::Control)
    } else if is_open && runs.len() < enough {
        Some(*topology)
    } else if is_open && controls.len() < enough {
        Some(Topology::Control)
    } else {
        None
    };
    if let Some(which) = which {
        let why = match which {
            Topology::Control => {
                "is it safe? the journeys on one copy as it is, to learn what differs by chance".to_owned()
            }
            Topology::Replicate => "is it safe? the same journeys on two copies in turn".to_owned(),
            Topology::Split => format!("is it safe? the same journeys with {}", arrangement.name),
            Topology::Restart => {
                "is it safe? the same journeys with a restart between the requests".to_owned()
            }
        };
        return (cost_s(which) <= left_s).then(|| (plan(which, Vec::new(), passes), why));
    }
    if is_hurried || !is_open {
        return None;
    }
    let difference = (*steady.first()?).clone();
    let expected = &controls.first()?.answers;
    let (_, trial) = cut_down(*topology, arrangement, &difference, expected, all);
    let (parts, topology) = trial?;
    let why =
        format!("{} differs: is a shorter journey enough to see it?", expected.get(&difference.place)?.route);
    (2.0 * cost_s(topology) <= left_s).then(|| (plan(topology, parts, 1), why))
}

/// The shortest journey that was seen to show the difference.
pub(super) fn shortest(
    topology: Topology,
    arrangement: &Arrangement,
    difference: &Difference,
    expected: &Answers<'_>,
    all: &[Shadow<'_>],
) -> Vec<(u32, Route)> {
    let (steps, _) = cut_down(topology, arrangement, difference, expected, all);
    let place = &difference.place;
    let of_journey = expected.iter().filter(|(p, _)| p.pass == place.pass && p.turn == place.turn);
    of_journey
        .filter(|(p, _)| steps.contains(&p.step))
        .map(|(_, step)| (step.line, step.route.clone()))
        .collect()
}

/// A function of the trials so far: the steps that are known to suffice, and the trial that would tell more.
///
/// First the journey alone, up to the difference; then without one request after the other (a greedy form of delta
/// debugging: Zeller and Hildebrandt 2002).
fn cut_down(
    topology: Topology,
    arrangement: &Arrangement,
    difference: &Difference,
    expected: &Answers<'_>,
    all: &[Shadow<'_>],
) -> (Vec<u32>, Option<(Vec<Part>, Topology)>) {
    let Some(journey) = expected.get(&difference.place).map(|s| s.journey.clone()) else {
        return (Vec::new(), None);
    };
    let last = difference.place.step;
    let mut known: Vec<u32> = (0..=last).collect();
    let trials = (0..last).map(Some);
    for (count, without) in std::iter::once(None).chain(trials).enumerate() {
        let steps: Vec<u32> = known.iter().copied().filter(|s| Some(*s) != without).collect();
        let parts = vec![Part { journey: journey.clone(), steps: steps.clone() }];
        let controls = whole(all, Topology::Control, None, &parts, 1);
        let runs = whole(all, topology, Some(arrangement), &parts, 1);
        let (Some(control), Some(run)) = (controls.first(), runs.first()) else {
            let is_ended = |which: Topology| {
                all.iter().any(|s| s.plan.topology == which && s.plan.parts == parts && s.cut_short.is_some())
            };
            let which = if !is_ended(Topology::Control) {
                Topology::Control
            } else if !is_ended(topology) {
                topology
            } else {
                continue; // could not be played
            };
            return (known, (count < TRIALS_MOST).then_some((parts, which)));
        };
        if shows(difference, &control.answers, &run.answers) {
            known = steps;
        } else if without.is_none() {
            return (known, None); // others must play before it
        }
    }
    (known, None)
}

/// The same value of the same step differs, and one copy plays the journey rightly.
fn shows(difference: &Difference, expected: &Answers<'_>, got: &Answers<'_>) -> bool {
    let comparison = compare(std::slice::from_ref(expected), std::slice::from_ref(got));
    let is_it = |d: &Difference| {
        d.path == difference.path
            && (d.place.turn, d.place.step) == (difference.place.turn, difference.place.step)
    };
    expected.values().all(|step| step.problem.is_none()) && comparison.differences.iter().flatten().any(is_it)
}
