//! Journeys out of an OpenAPI description (3.0 and 3.1): nobody was seen, so they are drawn up. Each makes something,
//! reads it, changes it and takes it away again, with values that the description allows.

mod document;
mod maker;
mod operation;
mod pattern;
mod plausible;
mod refused;
mod secure;
mod story;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fissure_facts::journey::Journey;
use serde_json::Value;

use super::LearnedJourney;
use super::names;
use document::{Document, shortened};
use operation::{Operation, bare};
use story::{Api, Story, route_name};

pub use refused::without;

/// What was drawn up.
#[derive(Debug)]
pub struct Drawn {
    pub journeys: Vec<LearnedJourney>,
    pub operations: usize,
    /// Operations that are in no journey, and why.
    pub left_out: Vec<(String, String)>,
}

/// What is wrong with a description, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// A JSON pointer.
    pub place: String,
    pub sentence: String,
}

impl Wrong {
    pub fn at(place: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self { place: place.into(), sentence: sentence.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shortened(&self.place), self.sentence)
    }
}

/// Steps of one journey; a part of an API with more becomes several.
const STEPS_MAX: usize = 40;

pub fn journeys(description: &Value) -> Result<Drawn, Wrong> {
    let version = match description.get("openapi") {
        Some(Value::String(version)) => version.clone(),
        Some(Value::Number(version)) => version.to_string(),
        _ if description.get("swagger").is_some() => {
            return Err(Wrong::at(
                "#/swagger",
                "this is a description of version 2 (Swagger): convert it to OpenAPI 3, as editor.swagger.io does",
            ));
        }
        _ => return Err(Wrong::at("#", "this is no OpenAPI description: it has no text `openapi`")),
    };
    if !version.starts_with("3.") {
        return Err(Wrong::at(
            "#/openapi",
            format!("version {} is not read: 3.0, 3.1 and 3.2 are", shortened(&version)),
        ));
    }
    let document = Document::new(description);
    let operations = operation::read(&document)?;
    let api = Api { prefix: prefix(description), document, operations };
    let mut drawn = Drawn { journeys: Vec::new(), operations: api.operations.len(), left_out: Vec::new() };
    let mut waiting: BTreeMap<usize, String> = BTreeMap::new();
    let mut sets: Vec<BTreeSet<usize>> = Vec::new();
    for (name, group) in groups(&api.operations) {
        let mut story = Story::new(&api);
        for n in group {
            if story.steps.len() >= STEPS_MAX {
                keep(&mut drawn, &mut sets, &name, &mut story);
                story = Story::new(&api);
            }
            if let Err(why) = story.play(n)? {
                waiting.insert(n, why);
            }
        }
        keep(&mut drawn, &mut sets, &name, &mut story);
    }
    // What only makes ready for another journey is none.
    let is_part = |n: usize| {
        (0..sets.len()).any(|other| {
            other != n && sets[n].is_subset(&sets[other]) && (sets[n] != sets[other] || other < n)
        })
    };
    let mut number = 0..;
    drawn.journeys.retain(|_| number.next().is_some_and(|n| !is_part(n)));
    let is_played = |n: &usize| sets.iter().any(|set| set.contains(n));
    for (n, why) in waiting.into_iter().filter(|(n, _)| !is_played(n)) {
        drawn.left_out.push((route_name(&api.operations[n]), why));
    }
    Ok(drawn)
}

fn keep(drawn: &mut Drawn, sets: &mut Vec<BTreeSet<usize>>, name: &str, story: &mut Story<'_, '_>) {
    let steps = std::mem::take(&mut story.steps);
    if steps.is_empty() {
        return;
    }
    sets.push(story.played.keys().copied().collect());
    let is_free = |name: &String| drawn.journeys.iter().all(|known| known.journey.name != *name);
    let mut own = name.to_owned();
    for number in 2.. {
        if is_free(&own) {
            break;
        }
        own = format!("{name}-{number}");
    }
    let notes = std::mem::take(&mut story.notes);
    drawn.journeys.push(LearnedJourney { journey: Journey { name: own, steps }, users: 0, notes });
}

/// The path of the first server: `/api/v3`.
fn prefix(description: &Value) -> String {
    let Some(server) = description.pointer("/servers/0") else { return String::new() };
    let mut url = server.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten() {
        let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
    }
    let path = match url.find("://") {
        Some(at) => url[at + 3..].find('/').map_or("", |slash| &url[at + 3 + slash..]),
        None => url.as_str(),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    if path.is_empty() { String::new() } else { format!("/{}", story::encoded(path, "/")) }
}

/// Operations by what they are about, in the order in which a user would call them.
fn groups(operations: &[Operation<'_>]) -> Vec<(String, Vec<usize>)> {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    // The words that all paths begin with tell nothing.
    let first = operations.first().map_or("", |operation| operation.path);
    let common = first
        .split('/')
        .enumerate()
        .take_while(|(n, segment)| {
            !segment.contains('{') && operations.iter().all(|o| o.path.split('/').nth(*n) == Some(segment))
        })
        .count();
    let is_one_path = operations.iter().all(|operation| operation.path == first);
    for (n, operation) in operations.iter().enumerate() {
        let segment = operation
            .path
            .split('/')
            .skip(if is_one_path { 0 } else { common })
            .find(|s| !s.contains('{') && !s.is_empty());
        let name = names::word(operation.tag.or(segment).unwrap_or("api")).replace('_', "-");
        let name = if name.is_empty() { "api".to_owned() } else { name };
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, group)) => group.push(n),
            None => groups.push((name, vec![n])),
        }
    }
    for (_, group) in &mut groups {
        group.sort_by_key(|n| order(operations, *n));
    }
    groups
}

/// Look around, make, read, change, take away (the innermost first), leave.
fn order(operations: &[Operation<'_>], n: usize) -> (usize, isize) {
    let operation = &operations[n];
    let depth = operation.path.matches('{').count() as isize;
    let has_children =
        operations.iter().any(|o| o.parents().iter().any(|(parent, _)| *parent == bare(operation.path)));
    let leaves = operation.is_called(&["logout", "signout", "logoff"]);
    match operation.method.as_str() {
        _ if leaves => (6, 0),
        "DELETE" => (5, -depth),
        "POST" if has_children && depth == 0 => (1, depth),
        "GET" | "HEAD" if depth == 0 => (0, depth),
        "GET" | "HEAD" => (3, depth),
        "POST" => (2, depth),
        _ => (4, depth),
    }
}
