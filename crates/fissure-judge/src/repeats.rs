//! Answers that repeat: GETs that a cache could answer for a moment, and how often.
//!
//! Seen on one copy as it is, played by one user after another (the control of a shadow): the same target must have been answered
//! with the same bytes whoever asked, also behind everything that the users wrote between two of these answers. One answer that
//! differs, sets a cookie, belongs to an `Authorization`, or says itself that it is not to be kept, and the route is left alone.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::arrangement::CACHE_FOR_S;
use fissure_facts::traffic::Answered;
use fissure_facts::{Fact, Purpose, Route, Run, Step, Topology};

use crate::demand;

/// A cache that answers fewer of the requests than this is no remedy.
const LEAST_HITS: f64 = 0.5;

/// The share of each route's requests, at the goal's load, that a cache would answer itself; only routes for which it is worth it.
pub fn hits(run: &Run, requests_per_s: f64) -> BTreeMap<Route, f64> {
    let mut seen: BTreeMap<Route, Seen<'_>> = BTreeMap::new();
    let mut controls: BTreeSet<u32> = BTreeSet::new();
    for stamped in &run.facts {
        match &stamped.fact {
            // The shortlist is a function of what was known before the first rehearsal.
            Fact::StepBegan { step: Step::Hold(plan), .. }
                if matches!(plan.purpose, Purpose::Rehearse { .. }) =>
            {
                break;
            }
            Fact::StepBegan { step: Step::Shadow(plan), .. } if plan.topology == Topology::Control => {
                controls.insert(plan.shadow);
            }
            Fact::Shadowed(step) if controls.contains(&step.shadow) && step.route.method() == "GET" => {
                let seen = seen.entry(step.route.clone()).or_default();
                match (&step.exchanges[..], &step.problem) {
                    ([exchange], None) => match &exchange.answer {
                        Some(answer) if exchange.request.header("authorization").is_none() => {
                            seen.add(&exchange.request.target, (step.shadow, step.pass), answer);
                        }
                        _ => seen.is_spoiled = true,
                    },
                    _ => seen.is_spoiled = true,
                }
            }
            _ => {}
        }
    }
    let mix = demand::mix(run);
    let hits = seen.into_iter().filter_map(|(route, seen)| {
        let per_lifetime = mix.get(&route)? * requests_per_s * CACHE_FOR_S;
        let hits = seen.hits(per_lifetime)?;
        (hits >= LEAST_HITS).then_some((route, hits))
    });
    hits.collect()
}

/// Which shadow, and which users in it.
type Passes = BTreeSet<(u32, u32)>;

#[derive(Default)]
struct Seen<'r> {
    asked: usize,
    /// The answer to each target, and in which passes it was given.
    answers: BTreeMap<&'r str, (&'r Answered, Passes)>,
    is_spoiled: bool,
}

impl<'r> Seen<'r> {
    fn add(&mut self, target: &'r str, pass: (u32, u32), answer: &'r Answered) {
        self.asked += 1;
        let (first, passes) = self.answers.entry(target).or_insert_with(|| (answer, BTreeSet::new()));
        passes.insert(pass);
        let content = |answer: &Answered| answer.header("content-type").map(str::to_owned);
        let is_same = first.body == answer.body && content(first) == content(answer);
        self.is_spoiled |= !is_same || !is_anybodys(answer);
    }

    /// Of so many requests within the life of an answer. None where nothing was asked for twice by different users.
    ///
    /// Where nearly every request has a target of its own, more requests have more targets, and hardly one repeats; where there are
    /// few targets, there are no more than were seen.
    fn hits(&self, per_lifetime: f64) -> Option<f64> {
        let repeats = self.answers.values().any(|(_, passes)| passes.len() > 1);
        if self.is_spoiled || !repeats || per_lifetime <= 0.0 {
            return None;
        }
        let (targets, asked) = (self.answers.len() as f64, self.asked as f64);
        let targets = if 2.0 * targets > asked { per_lifetime * targets / asked } else { targets };
        Some((1.0 - targets / per_lifetime).max(0.0))
    }
}

/// Nothing says that the answer is one user's only. (What the rehearsed cache asks, too.)
fn is_anybodys(answer: &Answered) -> bool {
    let control = answer.header("cache-control").unwrap_or_default().to_ascii_lowercase();
    let vary = answer.header("vary").unwrap_or_default();
    answer.status == 200
        && answer.header("set-cookie").is_none()
        && vary
            .split(',')
            .map(str::trim)
            .all(|name| name.is_empty() || name.eq_ignore_ascii_case("accept-encoding"))
        && !control.contains("no-store")
        && !control.contains("private")
}
