//! A remedy that is answered otherwise than the whole: then it is not slow but wrong, and mostly what a process keeps to itself is why.

use fissure_facts::fact::ErrorClass;
use fissure_facts::{Fact, Route};

use crate::evidence::{Evidence, WHOLE};
use crate::judgement::WrongAnswer;
use crate::stats;

/// Share of a route's answers from which on they are no accident.
const CLEAR: f64 = 0.01;
/// The whole must be wrong this many times less often.
const LESS_OFTEN: f64 = 10.0;
/// Answers of a route without which nothing is concluded.
const LEAST: u64 = 30;

/// The route that is answered wrongly most often, where the whole answers it as the journeys expect.
pub fn wrong_answer(evidence: &Evidence<'_>, arrangement: &str) -> Option<WrongAnswer> {
    let share = |arrangement: &str, route: &Route| {
        let (mut wrong, mut ended) = (0, 0);
        for window in evidence.valid(arrangement) {
            let seen = window.route(route);
            let of = |class| seen.errors.get(&class).copied().unwrap_or(0);
            wrong += of(ErrorClass::Status) + of(ErrorClass::Assert);
            ended += seen.ended();
        }
        stats::wilson(wrong, ended).filter(|_| ended >= LEAST)
    };
    let is_wrong = |route: &Route| {
        let here = share(arrangement, route)?;
        (here.mid >= CLEAR && here.mid >= LESS_OFTEN * share(WHOLE, route)?.mid).then_some(here)
    };
    let routes = evidence.run.routes().into_iter();
    let (share, route) = routes
        .filter_map(|route| Some((is_wrong(&route)?, route)))
        .max_by(|a, b| a.0.mid.total_cmp(&b.0.mid))?;
    let problem = evidence.valid(arrangement).find_map(|window| {
        evidence.run.facts.iter().find_map(|s| match &s.fact {
            Fact::ProblemSeen {
                window: n,
                route: at,
                class: ErrorClass::Status | ErrorClass::Assert,
                sentence,
                ..
            } if *n == window.plan.window && *at == route => Some(sentence.clone()),
            _ => None,
        })
    })?;
    Some(WrongAnswer { route, share, problem })
}
