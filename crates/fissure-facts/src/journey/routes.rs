//! The route of a request: its method and what stays the same in its path.

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
    Route::new(method, if path.is_empty() { "/" } else { &path }).ok()
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

/// Two journeys may name the parameters of one route differently; the first spelling wins everywhere.
pub fn unify_routes(journeys: &mut [Journey]) {
    let mut spellings: Vec<Route> = Vec::new();
    for step in journeys.iter_mut().flat_map(|j| &mut j.steps) {
        match spellings.iter().find(|known| known.matches(&step.route)) {
            Some(known) => step.route = known.clone(),
            None => spellings.push(step.route.clone()),
        }
    }
}
