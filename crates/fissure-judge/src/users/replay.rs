//! Proof that journeys replay: each alone, then two users at the same time, then fifty.

use fissure_facts::fact::{CrowdSecond, RouteSecond};
use fissure_facts::{Arrangement, Fact, Load, Purpose, Run, Step, WindowPlan};

use crate::asked::played_well;
use crate::planner::Planned;

/// Users at the same time, one window after the other.
pub const CROWDS: [u32; 2] = [2, 50];
/// A crowd gets the time in which each of them could play twice, within these bounds.
const SECONDS: std::ops::RangeInclusive<f64> = 3.0..=30.0;

/// The next step of a replay.
pub fn next(run: &Run) -> Planned {
    let arrangement = Arrangement::whole();
    let finish = |why: &str| Planned { step: Step::Finish, why: why.to_owned(), remaining_s: 0.0 };
    if run.facts.is_empty() {
        let (step, why) = (Step::Play { arrangement }, "play each journey once, alone".to_owned());
        return Planned { step, why, remaining_s: 10.0 };
    }
    if !played_well(run) {
        return finish("a journey went wrong although it was alone");
    }
    let windows = run.windows();
    let went_wrong = windows.iter().any(|window| window.crowd.iter().any(has_errors));
    let Some(&users) = CROWDS.get(windows.len()).filter(|_| !went_wrong) else {
        return finish("every crowd has played");
    };
    let seconds = (2.0 * alone_s(run) * f64::from(users)).clamp(*SECONDS.start(), *SECONDS.end()).ceil();
    let plan = WindowPlan {
        window: windows.len() as u32 + 1,
        purpose: Purpose::Asked,
        arrangement,
        load: Load::Closed { users },
        emphasis: None,
        warmup_s: 0.0,
        seconds: seconds as u32,
        // Of its own: the app still knows whoever the crowd before has made up.
        seed: run.header.seed.rotate_left(8 * (windows.len() as u32 + 1)) ^ u64::from(users),
    };
    Planned { step: Step::Hold(plan), why: format!("{users} users at the same time"), remaining_s: seconds }
}

/// Seconds that the app takes for every journey once, without pauses.
fn alone_s(run: &Run) -> f64 {
    let played = run.facts.iter().filter_map(|fact| match &fact.fact {
        Fact::JourneyPlayed { steps, .. } => Some(steps),
        _ => None,
    });
    played.flatten().map(|step| step.latency_us as f64 / 1e6).sum()
}

fn has_errors(second: &CrowdSecond) -> bool {
    second.routes.values().any(|route| route.error_count() > 0)
}

/// What a replay showed of one crowd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowd {
    pub users: u32,
    pub answers: u64,
    pub errors: u64,
}

/// The crowds that have played.
pub fn crowds(run: &Run) -> Vec<Crowd> {
    run.windows()
        .iter()
        .zip(CROWDS)
        .map(|(window, users)| {
            let routes = || window.crowd.iter().flat_map(|second| second.routes.values());
            let answers = routes().map(RouteSecond::ended).sum();
            let errors = routes().map(RouteSecond::error_count).sum();
            Crowd { users, answers, errors }
        })
        .collect()
}

/// Every journey played alone and no crowd met an error.
pub fn is_proved(run: &Run) -> bool {
    let crowds = crowds(run);
    played_well(run)
        && crowds.len() == CROWDS.len()
        && crowds.iter().all(|crowd| crowd.errors == 0 && crowd.answers > 0)
        && !run
            .facts
            .iter()
            .any(|f| matches!(f.fact, Fact::StageFailed { .. } | Fact::ChildDied { .. } | Fact::Interrupted))
}

/// What probably stands behind a step that did not replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guess {
    NotLoggedIn,
    TokenRefused,
    NotThere,
    TakenAlready,
    Refused,
    TooOften,
    AppFailed,
    OtherPage,
    TooSlow,
    Unknown,
}

/// By the sentence of the problem; `is_alone` when nobody else played at that time.
pub fn guess(sentence: &str, changes: bool, is_alone: bool) -> Guess {
    let got = |status: &str| sentence.contains(&format!("got {status}"));
    if sentence.contains("no whole answer within") {
        Guess::TooSlow
    } else if got("429") {
        Guess::TooOften
    } else if got("5") {
        Guess::AppFailed
    } else if got("401")
        || (got("30") && ["login", "signin", "sign-in", "sign_in"].iter().any(|w| sentence.contains(w)))
    {
        Guess::NotLoggedIn
    } else if got("403") || got("419") {
        if changes { Guess::TokenRefused } else { Guess::NotLoggedIn }
    } else if got("404") || got("410") {
        Guess::NotThere
    } else if changes && (got("409") || got("422") || got("400") || got("200")) {
        if is_alone { Guess::Refused } else { Guess::TakenAlready }
    } else if sentence.contains("found nothing") || sentence.contains("expected body") {
        Guess::OtherPage
    } else {
        Guess::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_names_what_a_person_would_look_at_first() {
        for (sentence, changes, alone, expected) in [
            ("line 3: expected status 302, got 403", true, true, Guess::TokenRefused),
            ("line 3: expected status 200, got 302 (Location: /login?...)", false, true, Guess::NotLoggedIn),
            ("line 3: expected status 302, got 200", true, false, Guess::TakenAlready),
            ("line 3: expected status 302, got 200", true, true, Guess::Refused),
            ("line 3: expected status 200, got 404", false, true, Guess::NotThere),
            ("line 3: expected status 200, got 500", false, false, Guess::AppFailed),
            ("line 3: no whole answer within 60 s", false, false, Guess::TooSlow),
            ("line 3: regex /x/ found nothing in an empty body", false, true, Guess::OtherPage),
            ("line 3: the connection was reset", false, true, Guess::Unknown),
        ] {
            assert_eq!(guess(sentence, changes, alone), expected, "{sentence}");
        }
    }
}
