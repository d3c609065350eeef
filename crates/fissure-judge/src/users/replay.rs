//! Proof that journeys replay: each alone, then two users at the same time, then fifty.

use fissure_facts::fact::{CrowdSecond, ErrorClass, RouteSecond};
use fissure_facts::{Arrangement, Fact, Load, Purpose, Run, Step, WindowPlan};

use crate::asked::played_well;
use crate::planner::Planned;

/// Users at the same time, one window after the other.
pub const CROWDS: [u32; 2] = [2, 50];
/// When the app itself failed under a crowd, one user after another plays again: is the app broken, or only overrun?
const AFTERWARDS: usize = CROWDS.len();
/// A crowd gets the time in which each of them could play twice, within these bounds.
const SECONDS: std::ops::RangeInclusive<f64> = 3.0..=120.0;

/// The next step of a replay.
pub fn next(run: &Run) -> Planned {
    let arrangement = Arrangement::whole();
    if run.facts.is_empty() {
        let (step, why) = (Step::Play { arrangement }, "play each journey once, alone".to_owned());
        return Planned { step, why, remaining_s: 10.0 };
    }
    if !played_well(run) {
        return Planned::finish("a journey went wrong although it was alone");
    }
    let windows = run.windows();
    let went_wrong = windows.iter().any(|window| window.crowd.iter().any(has_errors));
    if went_wrong && !is_the_apps_own(run) {
        return Planned::finish("a crowd met wrong answers");
    }
    let (users, why) = match CROWDS.get(windows.len()) {
        Some(users) => (*users, format!("{users} users at the same time")),
        None if went_wrong && windows.len() == AFTERWARDS => {
            (1, "one user after another again: was it only that they came at the same time?".to_owned())
        }
        None => return Planned::finish("every crowd has played"),
    };
    let seconds = (2.0 * alone_s(run) * f64::from(users)).clamp(*SECONDS.start(), *SECONDS.end()).ceil();
    let plan = WindowPlan {
        window: windows.len() as u32 + 1,
        purpose: Purpose::Asked,
        arrangement,
        load: Load::Closed { users },
        emphasis: None,
        warmup_s: 0.0,
        visit_max_s: None,
        seconds: seconds as u32,
        // Of its own: the app still knows whoever the crowd before has made up.
        seed: run.header.seed.rotate_left(8 * (windows.len() as u32 + 1)) ^ u64::from(users),
    };
    Planned { step: Step::Hold(plan), why, remaining_s: seconds }
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
    /// How long they had.
    pub seconds: u32,
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
            Crowd { users, seconds: window.plan.seconds, answers, errors }
        })
        .collect()
}

/// Did the app fail whenever something went wrong: an answer 5xx, or a connection that broke off? Such an answer is no other
/// one than the journey says; it is none.
fn is_the_apps_own(run: &Run) -> bool {
    let mut problems = run.facts.iter().filter_map(|fact| match &fact.fact {
        Fact::ProblemSeen { class, sentence, .. } => Some((class, sentence)),
        _ => None,
    });
    let mut some = false;
    let all = problems.all(|(class, sentence)| {
        some = true;
        match class {
            ErrorClass::Status => got(sentence, "5"),
            class => matches!(
                class,
                ErrorClass::Refused | ErrorClass::Reset | ErrorClass::CutShort | ErrorClass::Timeout
            ),
        }
    });
    some && all
}

/// What a replay shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Alone and in every crowd all answers were as recorded.
    Proved,
    /// The journeys are right, alone and one after another; the app fails when several users come at the same time.
    AppOverrun,
    /// The app fails under a crowd, and goes on failing afterwards.
    AppBroken,
    /// A journey does not replay, or it is not known whether it does.
    Fails,
}

pub fn outcome(run: &Run) -> Outcome {
    let broke_off = run
        .facts
        .iter()
        .any(|f| matches!(f.fact, Fact::StageFailed { .. } | Fact::ChildDied { .. } | Fact::Interrupted));
    let crowds = crowds(run);
    if !played_well(run) || broke_off || crowds.len() < CROWDS.len() || crowds.iter().any(|c| c.answers == 0)
    {
        return Outcome::Fails;
    }
    if crowds.iter().all(|crowd| crowd.errors == 0) {
        return Outcome::Proved;
    }
    if !is_the_apps_own(run) {
        return Outcome::Fails;
    }
    let after = run.windows().get(AFTERWARDS).map(|window| {
        let routes = || window.crowd.iter().flat_map(|second| second.routes.values());
        (routes().map(RouteSecond::ended).sum::<u64>(), routes().map(RouteSecond::error_count).sum::<u64>())
    });
    match after {
        Some((1.., 0)) => Outcome::AppOverrun,
        Some((1.., _)) => Outcome::AppBroken,
        _ => Outcome::Fails,
    }
}

/// Every journey played alone and no crowd met an error.
pub fn is_proved(run: &Run) -> bool {
    outcome(run) == Outcome::Proved
}

/// What probably stands behind a step that did not replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guess {
    NotLoggedIn,
    /// Alone they are.
    OneAccount,
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

/// Does the sentence tell of a status that begins so? What the answer said stands behind it, in brackets.
fn got(sentence: &str, status: &str) -> bool {
    sentence.split(" (").next().is_some_and(|said| said.contains(&format!("got {status}")))
}

/// By the sentence of the problem; `is_alone` when nobody else played at that time.
pub fn guess(sentence: &str, changes: bool, is_alone: bool) -> Guess {
    let got = |status: &str| got(sentence, status);
    let not_logged_in = if is_alone { Guess::NotLoggedIn } else { Guess::OneAccount };
    if sentence.contains("no whole answer within") {
        Guess::TooSlow
    } else if got("429") {
        Guess::TooOften
    } else if got("5") {
        Guess::AppFailed
    } else if got("401")
        || (got("30") && ["login", "signin", "sign-in", "sign_in"].iter().any(|w| sentence.contains(w)))
    {
        not_logged_in
    } else if got("403") || got("419") {
        if changes { Guess::TokenRefused } else { not_logged_in }
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
    use fissure_facts::fact::PlayedStep;
    use fissure_facts::{Config, Header, JourneyOutline, Stamped};

    use super::*;

    /// Replays against an app that answers a crowd of so many users with this, once in ten answers.
    fn replayed(wrong: &dyn Fn(usize, u32) -> Option<(ErrorClass, &'static str)>) -> (Vec<u32>, Outcome) {
        let config =
            "[app]\ncommand = \"./app\"\n[users]\njourneys = [\"a.hurl\"]\n[goal]\nusers = 4\np95 = \"1s\"\n";
        let mut run = Run::new(Header {
            format: fissure_facts::run::FORMAT.to_owned(),
            fissure: String::new(),
            run: String::new(),
            started_unix_s: 0,
            verb: "replay".to_owned(),
            seed: 1,
            machine: fissure_facts::Machine::default(),
            config: Config::parse(config).unwrap(),
            journeys: vec![JourneyOutline { name: "a.hurl".to_owned(), weight: 1.0, steps: Vec::new() }],
        });
        let route: fissure_facts::Route = "POST /notes".parse().unwrap();
        let mut crowds = Vec::new();
        for _ in 0..10 {
            let Planned { step, why, .. } = next(&run);
            let mut facts = vec![Fact::StepBegan { step: step.clone(), why }];
            match step {
                Step::Play { arrangement } => {
                    let steps = vec![PlayedStep {
                        line: 1,
                        route: route.clone(),
                        status: Some(302),
                        latency_us: 1_000,
                        bytes: 0,
                        problem: None,
                    }];
                    let (arrangement, journey) = (arrangement.name, "a.hurl".to_owned());
                    facts.push(Fact::JourneyPlayed { arrangement, journey, steps });
                }
                Step::Hold(plan) => {
                    let Load::Closed { users } = plan.load else { panic!("{plan:?}") };
                    let mut seen = RouteSecond::default();
                    (0..9).for_each(|_| seen.latency.record_us(1_000));
                    if let Some((class, sentence)) = wrong(crowds.len(), users) {
                        seen.errors.insert(class, 1);
                        let (journey, route, sentence) =
                            ("a.hurl".to_owned(), route.clone(), sentence.to_owned());
                        facts.push(Fact::ProblemSeen {
                            window: plan.window,
                            journey,
                            route,
                            class,
                            sentence,
                        });
                    }
                    crowds.push(users);
                    let routes = [(route.clone(), seen)].into();
                    facts.push(Fact::SecondPassed(CrowdSecond {
                        window: plan.window,
                        routes,
                        ..CrowdSecond::default()
                    }));
                }
                _ => break,
            }
            run.facts.extend(facts.into_iter().map(|fact| Stamped { at_s: 1.0, fact }));
        }
        (crowds, outcome(&run))
    }

    #[test]
    fn an_app_that_fails_is_told_from_a_journey_that_does_not_replay() {
        assert_eq!(replayed(&|_, _| None), (vec![2, 50], Outcome::Proved));
        // Two at the same instant are answered 500; one alone never.
        let locked = (ErrorClass::Status, "line 3: expected status 302, got 500");
        assert_eq!(
            replayed(&|_, users| (users > 1).then_some(locked)),
            (vec![2, 50, 1], Outcome::AppOverrun)
        );
        assert_eq!(
            replayed(&|_, users| (users > 2).then_some(locked)),
            (vec![2, 50, 1], Outcome::AppOverrun)
        );
        assert_eq!(replayed(&|_, _| Some(locked)), (vec![2, 50, 1], Outcome::AppBroken));
        let late = (ErrorClass::Timeout, "line 3: no whole answer within 60 s");
        assert_eq!(replayed(&|_, users| (users > 2).then_some(late)).1, Outcome::AppOverrun);
        // All write one thing: nobody's failing but the journey's.
        let taken = (ErrorClass::Status, "line 3: expected status 302, got 409");
        assert_eq!(replayed(&|_, users| (users > 1).then_some(taken)), (vec![2], Outcome::Fails));
        let both = |n: usize, users: u32| (users > 1).then_some(if n == 0 { locked } else { taken });
        assert_eq!(replayed(&both), (vec![2, 50], Outcome::Fails));
        let other = (ErrorClass::Assert, "line 3: expected body contains x");
        assert_eq!(replayed(&|_, users| (users > 2).then_some(other)), (vec![2, 50], Outcome::Fails));
    }

    #[test]
    fn a_guess_names_what_a_person_would_look_at_first() {
        for (sentence, changes, alone, expected) in [
            ("line 3: expected status 302, got 403", true, true, Guess::TokenRefused),
            ("line 3: expected status 200, got 302 (Location: /login?...)", false, true, Guess::NotLoggedIn),
            ("line 3: expected status 200, got 302 (Location: /login?...)", false, false, Guess::OneAccount),
            ("line 3: expected status 201, got 400 (we got 500 of them)", true, true, Guess::Refused),
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
