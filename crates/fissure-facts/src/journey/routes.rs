//! The route of a request: its method and what stays the same in its path.

use std::collections::{BTreeMap, BTreeSet};

use super::{Journey, Piece, Template};
use crate::Route;

/// `{{var}}` becomes `{var}`; literal numbers, UUIDs and long tokens become parameters too; the query is dropped.
pub fn route_of(method: &str, target: &Template) -> Option<Route> {
    let mut path = String::new();
    // Segments with a variable in them are templates already.
    let mut fixed_segment = true;
    let mut segment = String::new();
    let close = |segment: &mut String, fixed: bool, path: &mut String| {
        path.push_str(if fixed { parameter_for(segment).unwrap_or(segment) } else { segment });
        segment.clear();
    };
    'pieces: for piece in &target.0 {
        let name = match piece {
            Piece::Text(text) => {
                for c in text.chars() {
                    match c {
                        '?' | '#' => break 'pieces,
                        // More of the query that a link out of an answer has.
                        '&' if path.is_empty() => break 'pieces,
                        '/' => {
                            close(&mut segment, fixed_segment, &mut path);
                            path.push('/');
                            fixed_segment = true;
                        }
                        c => segment.push(c),
                    }
                }
                continue;
            }
            Piece::Variable(name) | Piece::JsonString(name) | Piece::JsonValue(name) => name.as_str(),
            Piece::NewUuid => "uuid",
            Piece::NewDate => "date",
            Piece::Literal(_) => "value",
        };
        fixed_segment = false;
        segment.push_str(&format!("{{{name}}}"));
    }
    close(&mut segment, fixed_segment, &mut path);
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    Route::new(method, &path).ok()
}

/// The parameter that a literal segment probably is a value of.
fn parameter_for(segment: &str) -> Option<&'static str> {
    let has = |what: fn(&char) -> bool| segment.chars().any(|c| what(&c));
    if !segment.is_empty() && segment.chars().all(|c| c.is_ascii_digit()) {
        return Some("{id}");
    }
    let groups: Vec<&str> = segment.split('-').collect();
    let is_hex = |text: &&str| text.chars().all(|c| c.is_ascii_hexdigit());
    if groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(is_hex) {
        return Some("{uuid}");
    }
    let long = segment.len() >= 16 && has(char::is_ascii_digit) && has(char::is_ascii_alphabetic);
    let body = segment.trim_end_matches('=');
    let plain = body.chars().all(|c| c.is_ascii_alphanumeric());
    // A slug like `my-summer-of-2024` is no token; base64url mixes cases.
    let base64url = body.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_uppercase);
    (long && (plain || base64url)).then_some("{token}")
}

/// One name for each route in all journeys: the one that the user gave it; else values behind a plural become a parameter, and of
/// two names for one parameter the first wins.
pub fn unify_routes(journeys: &mut [Journey], named: &[Route]) {
    let steps = || journeys.iter().flat_map(|j| &j.steps);
    let siblings = Siblings::of(steps().map(|step| &step.route).filter(|route| name(route, named).is_none()));
    let mut spellings: Vec<Route> = Vec::new();
    for step in journeys.iter_mut().flat_map(|j| &mut j.steps) {
        if let Some(name) = name(&step.route, named).or_else(|| siblings.name(&step.route)) {
            step.route = name;
        }
        match spellings.iter().find(|known| known.matches(&step.route)) {
            Some(known) => step.route = known.clone(),
            None => spellings.push(step.route.clone()),
        }
    }
}

/// What the user calls it. Messages keep the names that they have behind `#`.
fn name(route: &Route, named: &[Route]) -> Option<Route> {
    let name = named.iter().find(|name| name.serves(route.method(), route.path()))?;
    let message = &route.template()[route.path().len()..];
    Route::new(name.method(), &format!("{}{message}", name.template())).ok()
}

/// Paths that differ in one segment only, which stands behind a plural and before something that they share:
/// `/leagues/north/table` and `/leagues/west/table` are one route. `/users/new` and `/users/search` are two, and so are
/// `/admin/users/list` and `/admin/posts/list`.
struct Siblings(BTreeMap<Sibling, BTreeSet<String>>);

/// Method, what stands before the segment, and what stands behind it.
type Sibling = (String, Vec<String>, Vec<String>);

impl Siblings {
    fn of<'r>(routes: impl Iterator<Item = &'r Route>) -> Self {
        let mut values: BTreeMap<Sibling, BTreeSet<String>> = BTreeMap::new();
        for route in routes {
            for (sibling, value) in places(route) {
                values.entry(sibling).or_default().insert(value);
            }
        }
        values.retain(|_, values| values.len() > 1);
        Self(values)
    }

    fn name(&self, route: &Route) -> Option<Route> {
        let ((_, before, behind), _) = places(route).find(|(sibling, _)| self.0.contains_key(sibling))?;
        let parameter = format!("{{{}}}", singular(before.last()?)?);
        let segments: Vec<&str> = before
            .iter()
            .map(String::as_str)
            .chain([&*parameter])
            .chain(behind.iter().map(String::as_str))
            .collect();
        Route::new(route.method(), &segments.join("/")).ok()
    }
}

/// Where a value could stand in a path, and the value.
fn places(route: &Route) -> impl Iterator<Item = (Sibling, String)> {
    let method = route.method().to_owned();
    let segments: Vec<String> = route.template().split('/').map(str::to_owned).collect();
    let is_fixed = |segment: &String| !segment.is_empty() && !segment.contains('{');
    (1..segments.len()).filter_map(move |place| {
        let (before, value, behind) = (&segments[..place], &segments[place], &segments[place + 1..]);
        singular(before.last()?)?;
        let is_value = is_fixed(value) && behind.iter().any(is_fixed);
        is_value.then(|| ((method.clone(), before.to_vec(), behind.to_vec()), value.clone()))
    })
}

/// `leagues` gives `league` and `companies` gives `company`. English only: what is no plural to it stays as it was written.
fn singular(word: &str) -> Option<String> {
    let stem = word.strip_suffix('s').filter(|stem| stem.len() > 2 && !stem.ends_with(['s', 'u', 'i']))?;
    stem.chars().all(|c| c.is_ascii_alphabetic()).then_some(())?;
    Some(stem.strip_suffix("ie").map_or_else(|| stem.to_owned(), |y| format!("{y}y")))
}
