//! Answers that are held back until the first part of them is acknowledged.
//!
//! Who sends a small answer in two writes, head and body, without `TCP_NODELAY`, has its kernel keep the second until the first is
//! acknowledged (RFC 896, Nagle); the receiver's kernel waits for something to send along with the acknowledgement, for 40 ms on
//! Linux (RFC 1122, 4.2.3.2). Nothing works meanwhile, and no profiler sees it. So it is tried: does the same request take less
//! when the crowd acknowledges at once? It takes a connection that was used before, because Linux acknowledges the first packets
//! of each at once.

use std::collections::BTreeMap;

use fissure_facts::fact::PlayedStep;
use fissure_facts::{Arrangement, Fact, Route, Run, Step};

use crate::judgement::HeldBack;
use crate::stats;

/// What an acknowledgement is late, in milliseconds, with room for what else differs between two requests.
const LATE_MS: std::ops::Range<f64> = 30.0..60.0;
/// Only what takes so long alone can hold such a wait, and what takes longer has other sorrows.
const SUSPECT_MS: std::ops::Range<f64> = 35.0..70.0;
/// One slow answer is chance.
const PLAYS_LEAST: usize = 2;

/// Something takes so long alone that it may be this, and nobody has tried.
pub fn is_open(run: &Run) -> bool {
    let is_tried = |s: &fissure_facts::Stamped| {
        matches!(s.fact, Fact::StepBegan { step: Step::PlayAcknowledging { .. }, .. })
    };
    let is_suspect = |ms: &Vec<f64>| ms.len() >= PLAYS_LEAST && ms.iter().all(|ms| SUSPECT_MS.contains(ms));
    !run.facts.iter().any(is_tried) && alone(run).values().any(|(_, ms)| is_suspect(ms))
}

/// Every route whose answers come clearly sooner to a user who acknowledges at once.
pub fn held_back(run: &Run) -> Vec<HeldBack> {
    let played = run.facts.iter().filter_map(|s| match &s.fact {
        Fact::PlayedAcknowledging { journey, steps } => Some((journey, steps)),
        _ => None,
    });
    let acknowledged: Places<'_> = places(played);
    let mut found: BTreeMap<&Route, HeldBack> = BTreeMap::new();
    for (place, (route, waited)) in alone(run) {
        let Some(sooner_ms) = acknowledged.get(&place).and_then(|(_, ms)| stats::median(ms)) else {
            continue;
        };
        let is_late = |ms: &f64| LATE_MS.contains(&(ms - sooner_ms));
        if waited.len() >= PLAYS_LEAST
            && waited.iter().all(is_late)
            && let Some(latency_ms) = stats::median(&waited)
        {
            found.entry(route).or_insert(HeldBack {
                route: route.clone(),
                latency_ms,
                acknowledged_ms: sooner_ms,
            });
        }
    }
    found.into_values().collect()
}

/// Milliseconds of every right answer at each place of a journey: its name and the step's line.
type Places<'r> = BTreeMap<(&'r str, u32), (&'r Route, Vec<f64>)>;

fn alone(run: &Run) -> Places<'_> {
    let whole = Arrangement::whole().name;
    places(run.facts.iter().filter_map(|s| match &s.fact {
        Fact::JourneyPlayed { arrangement, journey, steps } if *arrangement == whole => {
            Some((journey, steps))
        }
        _ => None,
    }))
}

fn places<'r>(played: impl Iterator<Item = (&'r String, &'r Vec<PlayedStep>)>) -> Places<'r> {
    let mut places = Places::new();
    for (journey, steps) in played {
        for step in steps.iter().filter(|s| s.problem.is_none() && s.status.is_some()) {
            let place = places.entry((journey.as_str(), step.line)).or_insert((&step.route, Vec::new()));
            place.1.push(step.latency_us as f64 / 1e3);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use fissure_facts::{Header, Stamped};

    use super::*;

    /// A run in which one step took so long each time it was played alone, and then, with acknowledgements at once, so long.
    fn run(alone_ms: &[u64], acknowledged_ms: Option<u64>) -> Run {
        let steps = |ms: u64| {
            vec![PlayedStep {
                route: "GET /other".parse().unwrap(),
                line: 5,
                status: Some(200),
                latency_us: ms * 1000,
                bytes: 10,
                problem: None,
            }]
        };
        let (whole, journey) = (Arrangement::whole(), "browse".to_owned());
        let mut run = Run::new(Header::default());
        let mut add = |fact| run.facts.push(Stamped { at_s: 0.0, fact });
        for &ms in alone_ms {
            let (arrangement, journey) = (whole.name.clone(), journey.clone());
            add(Fact::JourneyPlayed { arrangement, journey, steps: steps(ms) });
        }
        if let Some(ms) = acknowledged_ms {
            add(Fact::StepBegan { step: Step::PlayAcknowledging { arrangement: whole }, why: String::new() });
            add(Fact::PlayedAcknowledging { journey, steps: steps(ms) });
        }
        run
    }

    #[test]
    fn an_answer_that_waits_for_an_acknowledgement_is_found_once_it_was_tried() {
        assert!(is_open(&run(&[41, 44, 41], None)));
        let tried = run(&[41, 44, 41], Some(1));
        assert!(!is_open(&tried));
        let [found] = held_back(&tried).try_into().unwrap();
        assert_eq!((found.latency_ms, found.acknowledged_ms), (41.0, 1.0));
    }

    #[test]
    fn a_sleep_a_cold_start_and_one_slow_answer_are_something_else() {
        for (alone_ms, acknowledged_ms) in
            [(&[41, 41, 41][..], 41), (&[43, 2, 2], 2), (&[400, 390], 20), (&[42], 1)]
        {
            assert_eq!(held_back(&run(alone_ms, Some(acknowledged_ms))), [], "{alone_ms:?}");
        }
        for alone_ms in [&[2, 2, 2][..], &[43, 2, 2], &[400, 390, 410], &[42]] {
            assert!(!is_open(&run(alone_ms, None)), "{alone_ms:?}");
        }
    }
}
