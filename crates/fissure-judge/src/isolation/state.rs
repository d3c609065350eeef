//! What kind of state it seems to be that one process keeps to itself: a guess from what the first wrong answer looks like.

use fissure_facts::shadow::ShadowedStep;
use serde::Serialize;

use super::compare::{Answers, Difference, Place};
use super::leaves::STATUS;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Who is logged in, or what a visitor has gathered.
    Session,
    /// What tokens are signed with is drawn anew at each start.
    Secret,
    /// An answer that was right once.
    Cache,
    /// A number that goes on counting.
    Counter,
    /// How often somebody may ask.
    RateLimit,
    /// What was uploaded or written to a place of the process's own.
    File,
    /// Records that are kept in memory only.
    Records,
    /// A lock that holds within one process only, or that one process holds against the other.
    Lock,
    /// Messages reach only those who are connected to the same process.
    Broadcast,
    /// Every process does by itself, by the clock or at its start, what should be done once.
    Scheduled,
    /// Processes that start at the same instant prepare the database at the same time.
    Migration,
    /// What is done once with one copy is done more often.
    Twice,
    /// Nothing of the above can be told.
    Other,
}

/// From the answers of one control and one candidate.
pub fn guess(difference: &Difference, expected: &Answers<'_>, got: &Answers<'_>) -> State {
    let (Some(was), Some(is)) = (expected.get(&difference.place), got.get(&difference.place)) else {
        return State::Other;
    };
    if was.route.method() == "RECEIVE" || was.route.method() == "SEND" {
        return State::Broadcast;
    }
    let before = before(expected, &difference.place);
    let (right, wrong) = (status(was), status(is));
    if body(is).contains("database is locked") || wrong == 423 {
        return State::Lock;
    }
    if right == 429 || wrong == 429 || right == 423 {
        return State::RateLimit;
    }
    if right != wrong || (goes_to_login(is) && !goes_to_login(was)) {
        let is_turned_away = matches!(wrong, 401 | 403 | 419 | 440) || goes_to_login(is);
        if is_turned_away {
            return if before.iter().any(|step| hands_out_signed(step)) {
                State::Secret
            } else {
                State::Session
            };
        }
        if matches!(wrong, 404 | 410) {
            let is_upload = |step: &&ShadowedStep| {
                step.exchanges
                    .iter()
                    .any(|e| e.request.body.cut_from.is_some() || e.request.body.bytes.starts_with(b"--"))
                    || is_a_file(was)
            };
            // What was last sent to that part of the app.
            let wrote = |step: &&&ShadowedStep| step.route.method() != "GET" && area(step) == area(was);
            let written = before.iter().rev().find(wrote);
            return if written.is_some_and(is_upload) { State::File } else { State::Records };
        }
        // What was said before is not known: a number of parts, a code that was sent, a name that is taken.
        if before.iter().any(|step| step.route.method() != "GET") {
            return State::Records;
        }
    }
    if is_stale(difference, is, got) {
        return State::Cache;
    }
    if difference.path.contains("set-cookie") {
        return State::Session;
    }
    let number = |value: &Option<String>| value.as_deref().is_some_and(|v| v.parse::<f64>().is_ok());
    if number(&difference.expected) && number(&difference.got) && !difference.path.ends_with(".length") {
        return if difference.path.ends_with(STATUS) { State::Other } else { State::Counter };
    }
    if was.route.method() == "GET" && before.iter().any(|step| step.route.method() != "GET") {
        return State::Records;
    }
    State::Other
}

/// What one copy answers is no page and no data: a picture, a document.
fn is_a_file(step: &ShadowedStep) -> bool {
    let answer = step.exchanges.last().and_then(|e| e.answer.as_ref());
    let kind = answer.and_then(|a| a.header("content-type")).unwrap_or_default().to_ascii_lowercase();
    let is_page = ["json", "html", "xml", "text/plain"].iter().any(|page| kind.contains(page));
    !kind.is_empty() && !is_page && answer.is_some_and(|a| !a.body.is_empty())
}

/// The first part of the path.
fn area(step: &ShadowedStep) -> Option<&str> {
    step.route.template().split('/').nth(1)
}

/// The steps of the same user before this one.
fn before<'r>(answers: &Answers<'r>, place: &Place) -> Vec<&'r ShadowedStep> {
    answers
        .iter()
        .filter(|(p, _)| p.pass == place.pass && p.turn == place.turn && p.step < place.step)
        .map(|(_, step)| *step)
        .collect()
}

fn status(step: &ShadowedStep) -> u16 {
    step.exchanges.last().and_then(|e| e.answer.as_ref()).map_or(0, |a| a.status)
}

fn body(step: &ShadowedStep) -> std::borrow::Cow<'_, str> {
    let bytes = step.exchanges.last().and_then(|e| e.answer.as_ref()).map(|a| &a.body.bytes[..]);
    String::from_utf8_lossy(bytes.unwrap_or_default())
}

fn goes_to_login(step: &ShadowedStep) -> bool {
    let leads_there = |location: &str| {
        let location = location.to_ascii_lowercase();
        ["login", "signin", "sign_in", "sign-in", "auth"].iter().any(|word| location.contains(word))
    };
    step.exchanges
        .iter()
        .filter_map(|e| e.answer.as_ref())
        .filter(|a| (300..400).contains(&a.status))
        .any(|a| a.header("location").is_some_and(leads_there))
}

/// A cookie or a field whose value is in parts: a text with its signature. Fingerprints keep the points.
fn hands_out_signed(step: &ShadowedStep) -> bool {
    let is_signed = |text: &str| {
        text.match_indices('~').any(|(at, _)| {
            let rest = text.get(at + 17..).unwrap_or_default();
            rest.starts_with(".~")
        })
    };
    step.exchanges.iter().filter_map(|e| e.answer.as_ref()).any(|a| {
        a.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("set-cookie") && is_signed(value))
            || is_signed(&String::from_utf8_lossy(&a.body.bytes))
    })
}

/// The candidate gave this very answer before, where one copy gave another one by now.
fn is_stale(difference: &Difference, is: &ShadowedStep, got: &Answers<'_>) -> bool {
    let said = |step: &ShadowedStep| {
        let last = step.exchanges.last()?;
        let answer = last.answer.as_ref()?;
        Some((last.request.target.clone(), answer.status, answer.body.bytes.clone()))
    };
    let same_answer = |step: &ShadowedStep| said(step) == said(is);
    let earlier = got.iter().filter(|(place, _)| **place < difference.place);
    is.route.method() == "GET"
        && !body(is).is_empty()
        && earlier.into_iter().any(|(_, step)| same_answer(step))
}
