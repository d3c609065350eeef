//! Answers that repeat: GETs that a cache could answer for a moment, and how often.
//!
//! Seen on one copy as it is (`Act::AskAgain`): behind each answer to a GET somebody asks for the same whom no cookie names. Whoever gets
//! the same then, but for what the clock shows, would get it from a cache too, only up to a second older. One answer that differs, sets
//! a cookie, was given to credentials, or says itself that it is not to be kept, and the route is left alone.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::arrangement::CACHE_FOR_S;
use fissure_facts::shadow::{Act, Twinned};
use fissure_facts::traffic::{Answered, Asked};
use fissure_facts::{Arrangement, Exchange, Fact, Purpose, Route, Run, ShadowPlan, Step, Topology};

use crate::demand;
use crate::isolation::moments;

/// A cache that answers fewer of the requests than this is no remedy.
const LEAST_HITS: f64 = 0.5;
/// Users who play each journey.
const PASSES: u32 = 2;

/// What is played to learn it: the first shadow of a run.
pub fn plan(run: &Run) -> ShadowPlan {
    ShadowPlan {
        shadow: 1,
        topology: Topology::Control,
        arrangement: Arrangement::whole(),
        parts: Vec::new(),
        passes: PASSES,
        seed: run.header.seed,
        act: Act::AskAgain,
    }
}

/// The share of each route's requests, at the goal's load, that a cache would answer itself; only routes for which it is worth it.
pub fn hits(run: &Run, requests_per_s: f64) -> BTreeMap<Route, f64> {
    let mut seen: BTreeMap<&Route, Seen<'_>> = BTreeMap::new();
    let mut shadows: BTreeSet<u32> = BTreeSet::new();
    for stamped in &run.facts {
        match &stamped.fact {
            // The shortlist is a function of what was known before the first rehearsal.
            Fact::StepBegan { step: Step::Hold(plan), .. }
                if matches!(plan.purpose, Purpose::Rehearse { .. }) =>
            {
                break;
            }
            Fact::StepBegan { step: Step::Shadow(plan), .. } if plan.act == Act::AskAgain => {
                shadows.insert(plan.shadow);
            }
            Fact::Twinned(pair) if shadows.contains(&pair.shadow) => {
                seen.entry(&pair.route).or_default().add(pair);
            }
            _ => {}
        }
    }
    let mix = demand::mix(run);
    let hits = seen.into_iter().filter_map(|(route, seen)| {
        let per_lifetime = mix.get(route)? * requests_per_s * CACHE_FOR_S;
        let hits = seen.hits(per_lifetime)?;
        (hits >= LEAST_HITS).then_some((route.clone(), hits))
    });
    hits.collect()
}

#[derive(Default)]
struct Seen<'r> {
    asked: usize,
    targets: BTreeSet<&'r str>,
    is_spoiled: bool,
}

impl<'r> Seen<'r> {
    fn add(&mut self, pair: &'r Twinned) {
        self.asked += 1;
        match &pair.exchanges[..] {
            [one, again] if is_the_same_to_everybody(one, again) => {
                self.targets.insert(&one.request.target);
            }
            _ => self.is_spoiled = true,
        }
    }

    /// Of so many requests within the life of an answer. None where nobody may keep one.
    ///
    /// Where nearly every request has a target of its own, more requests have more targets, and hardly one repeats; where there are
    /// few targets, there are no more than were seen.
    fn hits(&self, per_lifetime: f64) -> Option<f64> {
        if self.is_spoiled || per_lifetime <= 0.0 {
            return None;
        }
        let (targets, asked) = (self.targets.len() as f64, self.asked as f64);
        let targets = if 2.0 * targets > asked { per_lifetime * targets / asked } else { targets };
        Some((1.0 - targets / per_lifetime).max(0.0))
    }
}

fn is_the_same_to_everybody(one: &Exchange, again: &Exchange) -> bool {
    let (Some(first), Some(second)) = (&one.answer, &again.answer) else { return false };
    let content = |answer: &Answered| answer.header("content-type").map(str::to_owned);
    one.request.target == again.request.target
        && is_nobody(&again.request)
        && is_anybodys(first)
        && is_anybodys(second)
        && content(first) == content(second)
        && moments::differ_by_the_clock_at_most(&first.body.bytes, &second.body.bytes)
}

/// Nothing in the request tells who asks.
fn is_nobody(asked: &Asked) -> bool {
    asked.header("authorization").is_none() && asked.header("cookie").is_none()
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

#[cfg(test)]
mod tests {
    use fissure_facts::traffic::Content;

    use super::*;

    /// The answer to a signed-in user, and the one to somebody else right after it.
    fn hits(first: &str, again: &str, header: Option<(&str, &str)>) -> Option<f64> {
        let exchange = |body: &str, is_again: bool| Exchange {
            request: Asked {
                method: "GET".to_owned(),
                target: "/overview".to_owned(),
                headers: if is_again { vec![] } else { vec![("Cookie".to_owned(), "sid=1".to_owned())] },
                ..Asked::default()
            },
            answer: Some(Answered {
                status: 200,
                headers: header
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
                body: Content::whole(body),
            }),
            ..Exchange::default()
        };
        let route: Route = "GET /overview".parse().unwrap();
        let pairs: Vec<Twinned> = (1..=4)
            .map(|pair| Twinned {
                shadow: 1,
                pair,
                route: route.clone(),
                exchanges: vec![
                    exchange(&first.replace('N', &pair.to_string()), false),
                    exchange(&again.replace('N', &pair.to_string()), true),
                ],
            })
            .collect();
        let mut seen = Seen::default();
        pairs.iter().for_each(|pair| seen.add(pair));
        seen.hits(100.0)
    }

    #[test]
    fn what_changes_with_time_is_the_same_to_everybody_who_asks_at_the_same_time() {
        let is_kept = |first: &str, again: &str| hits(first, again, None) == Some(0.99);
        assert!(is_kept("{\"visits\":N}", "{\"visits\":N}"));
        assert!(is_kept(
            r#"{"rank":["ann"],"generated_at":"2026-11-29T20:10:01.250Z"}"#,
            r#"{"rank":["ann"],"generated_at":"2026-11-29T20:10:01.312Z"}"#
        ));
        assert!(is_kept("<p>as of 2026-11-29 20:10:01</p>", "<p>as of 2026-11-29 20:10:02</p>"));
        assert!(is_kept(r#"{"at":1795983001250}"#, r#"{"at":1795983001312}"#));
        // Another day, another name, another space: somebody else's.
        assert!(!is_kept(r#"{"at":"2026-11-29T20:10:01Z"}"#, r#"{"at":"2026-11-28T20:10:02Z"}"#));
        assert!(!is_kept("<p>Hello, ann</p>", "<p>Hello, guest</p>"));
        assert!(!is_kept("<p>as of 20:10:01</p>", "<p>as of 20:10:01 </p>"));
    }

    #[test]
    fn what_is_one_users_own_or_says_so_is_not_kept() {
        assert_eq!(hits("same", "same", Some(("cache-control", "private, max-age=60"))), None);
        assert_eq!(hits("same", "same", Some(("set-cookie", "sid=2"))), None);
        assert_eq!(hits("same", "same", Some(("vary", "cookie"))), None);
        assert_eq!(hits("same", "same", Some(("vary", "accept-encoding"))), Some(0.99));
        assert_eq!(hits("cart N", "cart 0", None), None);
    }
}
