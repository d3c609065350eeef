//! Users out of traffic: exchanges become users, users become journeys, and what an answer gave and a later request
//! sent back becomes a capture.
//!
//! The rule in one line: a value is carried over when the recording shows where it came from and it cannot be the same
//! the next time (it looks random, or it was made behind the first change), or when the page itself hands it over (a
//! field of a form, an id in JSON). Everything else stays as the person sent it.

mod accounts;
mod cached;
mod carried;
mod fresh;
mod given;
mod headers;
mod html;
mod live;
mod names;
pub mod openapi;
mod people;
mod random;
pub mod replay;
mod sent;
mod steps;
mod unique;

use std::collections::BTreeMap;

use fissure_facts::Exchange;
use fissure_facts::journey::{ExpectedStatus, Journey, JourneyStep};
use fissure_facts::traffic::Message;

pub use cached::LeftOut;
pub use random::looks_random;

/// What was learned from traffic.
#[derive(Debug, Default)]
pub struct Learned {
    /// The most frequent first.
    pub journeys: Vec<LearnedJourney>,
    /// How many exchanges are in no journey, and why.
    pub left_out: BTreeMap<LeftOut, usize>,
    pub users: usize,
}

#[derive(Debug, Clone)]
pub struct LearnedJourney {
    /// `name` is a word for a file's name, unique among these.
    pub journey: Journey,
    /// How many users did the same; none when nobody was seen.
    pub users: usize,
    /// What a person should know of each step.
    pub notes: Vec<Vec<String>>,
}

/// A row of the users' data: values by the names of their columns.
pub type Row = BTreeMap<String, String>;

/// Learns journeys from exchanges whose bodies are without content coding, and from what was said over the WebSockets that they
/// opened. Who logs in as one of the rows becomes any of them.
pub fn learn(exchanges: &[Exchange], messages: &[Message], rows: &[Row]) -> Learned {
    let mut learned = Learned::default();
    let kept: Vec<&Exchange> = exchanges
        .iter()
        .filter(|exchange| match cached::why_left_out(exchange) {
            Some(LeftOut::Live) if live::is_opening(exchange, messages) => true,
            Some(why) => {
                *learned.left_out.entry(why).or_default() += 1;
                false
            }
            None => true,
        })
        .collect();
    let kept: Vec<Exchange> = kept.into_iter().cloned().collect();
    for visit in people::split(&kept) {
        let visit: Vec<&Exchange> = visit.into_iter().map(|n| &kept[n]).collect();
        learned.users += 1;
        let visit = live::woven(&visit, messages);
        let (steps, notes) = steps::of_visit(&visit.iter().collect::<Vec<_>>(), rows);
        // Two who do the same are one journey that is played more often; whose values vary less does not matter.
        match learned.journeys.iter_mut().find(|known| is_the_same(&known.journey.steps, &steps)) {
            Some(known) => known.users += 1,
            None => {
                let journey = Journey { name: String::new(), steps };
                learned.journeys.push(LearnedJourney { journey, users: 1, notes });
            }
        }
    }
    learned.journeys.retain(|learned| !learned.journey.steps.is_empty());
    learned.journeys.sort_by_key(|learned| std::cmp::Reverse(learned.users));
    name_them(&mut learned.journeys);
    learned
}

fn is_the_same(a: &[JourneyStep], b: &[JourneyStep]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.route.matches(&b.route) && a.status == b.status)
}

/// Words in paths of what everybody does beside what they came for: they come in, they leave, and pages send what nobody asked them to.
const BESIDE: [&str; 22] = [
    "login",
    "logout",
    "signin",
    "signout",
    "sign-in",
    "sign-out",
    "log-in",
    "log-out",
    "wp-login",
    "session",
    "sessions",
    "auth",
    "token",
    "refresh",
    "presets",
    "preferences",
    "heartbeat",
    "ping",
    "analytics",
    "telemetry",
    "collect",
    "metrics",
];

/// By the last form that a journey sends off, which leads to another page; else by what it does last that changes something, else by what it
/// looks at last. What everybody does beside it names nothing, unless there is nothing else.
fn name_them(journeys: &mut [LearnedJourney]) {
    let mut taken: Vec<String> = Vec::new();
    for learned in journeys {
        let steps = &learned.journey.steps;
        let changes =
            |s: &&JourneyStep| !s.route.is_read() && !live::CHANGES_NOTHING.contains(&s.route.method());
        let leads_on =
            |s: &&JourneyStep| changes(s) && matches!(s.status, ExpectedStatus::Exactly(300..=399));
        let is_beside = |s: &&JourneyStep| {
            let words = s.route.path().split(['/', '.']);
            words.map(str::to_ascii_lowercase).any(|word| BESIDE.contains(&word.as_str()))
        };
        let from_the_last = || steps.iter().rev();
        let tells = |s: &&JourneyStep| changes(s) && !is_beside(s);
        let telling = from_the_last()
            .find(|s| leads_on(s) && tells(s))
            .or_else(|| from_the_last().find(tells))
            .or_else(|| from_the_last().find(leads_on))
            .or_else(|| from_the_last().find(changes))
            .or(steps.last());
        let Some(step) = telling else { continue };
        let mut words: Vec<String> = step
            .route
            .path()
            .split('/')
            .filter(|segment| !segment.contains('{'))
            .map(|segment| names::word(segment).replace('_', "-"))
            .filter(|word| !word.is_empty())
            .collect();
        words.dedup();
        let verb = match step.route.method() {
            "GET" | "HEAD" => None,
            "POST" => Some("post"),
            "PUT" | "PATCH" => Some("change"),
            "DELETE" => Some("delete"),
            _ => Some("send"),
        };
        let keep = words.len().saturating_sub(3);
        let words: Vec<&str> = verb.into_iter().chain(words[keep..].iter().map(String::as_str)).collect();
        let base = if words.is_empty() { "home".to_owned() } else { words.join("-") };
        let mut name = base.clone();
        for number in 2.. {
            if !taken.contains(&name) {
                break;
            }
            name = format!("{base}-{number}");
        }
        taken.push(name.clone());
        learned.journey.name = name;
    }
}

#[cfg(test)]
mod tests;
