//! Words for journeys that were replayed.

use fissure_judge::users::replay::{Guess, Outcome};

/// What stands below a replay in which something went wrong although each journey went well alone.
pub fn outcome(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Proved | Outcome::Fails => None,
        Outcome::AppOverrun => Some(
            "the journeys replay: alone, and one user after another on the same copy afterwards, every answer is as recorded. It is \
             the app that fails when several users come at the same time",
        ),
        Outcome::AppBroken => Some(
            "the journeys replay alone; it is the app that fails under a crowd, and it goes on failing for one user afterwards",
        ),
    }
}

/// Nothing was answered although each journey went well alone.
pub fn no_answers(seconds: u32) -> String {
    format!(
        "none of them was answered within {seconds} s, so it is not known whether the journeys replay: the app is too slow for so many at once, \
         or this machine is busy. Try again while nothing else runs"
    )
}

/// What probably stands behind a failed step, and what to try.
pub fn guess(guess: Guess) -> &'static str {
    match guess {
        Guess::NotLoggedIn => "the user is not logged in there: does the journey begin with the login?",
        Guess::OneAccount => {
            "alone the user is logged in there: if all of them log in as one account, the app may keep few sessions of it; give each a row of \
             their own ([users] data)"
        }
        Guess::TokenRefused => "a token was refused: one that the page gives may not be carried over",
        Guess::NotThere => {
            "what it asks for is not in the copy of the app: it was made in the recording, or is gone since"
        }
        Guess::TakenAlready => {
            "a value that must differ for each user may be the same for all: give it `{{newUuid}}`"
        }
        Guess::Refused => {
            "the app took the same values once and refuses them now: one of them may have to be new each time"
        }
        Guess::TooOften => "the app limits how often one may ask: switch that off for the copy, in [app.env]",
        Guess::AppFailed => {
            "the app itself failed; what it printed is in its log, `app-*.log` below .fissure/replay"
        }
        Guess::OtherPage => "another page came than in the recording",
        Guess::TooSlow => "the app is too slow for so many at once, which says nothing against the journey",
        Guess::Unknown => "not known",
    }
}
