//! Journeys: what one user does, in order. A journey is a `.hurl` file; this is its parsed form.
//!
//! The supported part of the language is documented in `docs/journeys.md`. What is not supported is an error with line
//! and column, never ignored; what is accepted means the same under the real `hurl`, except for what the page
//! lists.

mod body;
mod cursor;
mod error;
mod json_path;
mod live;
mod model;
mod query;
mod request;
mod response;
mod routes;
mod text;
mod variables;
pub mod xpath;

#[cfg(test)]
mod tests;

pub use error::JourneyError;
pub use json_path::{JsonPath, Step as PathStep};
pub use model::*;
pub use routes::{route_of, unify_routes};
pub use variables::unbound_variables;

use cursor::Cursor;
use error::Parsed;

/// Reads a file that a journey names, relative to the journey's folder.
pub type Files<'a> = dyn Fn(&str) -> std::io::Result<Vec<u8>> + 'a;

/// Reads a journey. `name` is its path as the configuration names it; `files` reads what `file,x;` names, because this
/// crate does no I/O of its own.
pub fn parse(name: &str, text: &str, files: &Files<'_>) -> Result<Journey, JourneyError> {
    // A byte order mark is how some editors sign; it is no part of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let steps = steps(&live::unmarked(text), files).map_err(|wrong| wrong.in_file(name, text))?;
    Ok(Journey { name: name.to_owned(), steps })
}

fn steps(text: &str, files: &Files<'_>) -> Parsed<Vec<JourneyStep>> {
    let mut cursor = Cursor::new(text);
    let (mut steps, mut open) = (Vec::new(), live::Open::default());
    loop {
        cursor.blank_lines();
        if cursor.is_at_end() {
            break;
        }
        if let Some(step) = open.step(&mut cursor, files)? {
            steps.push(step);
            continue;
        }
        let at = cursor.place();
        let mut step = request::request(&mut cursor, files)?;
        response::response(&mut cursor, &mut step)?;
        open.take_note(&mut step, at)?;
        steps.push(step);
    }
    if steps.is_empty() {
        return Err(Cursor::new(text).wrong("this journey has no request: write at least `GET {{base}}/`"));
    }
    Ok(steps)
}
