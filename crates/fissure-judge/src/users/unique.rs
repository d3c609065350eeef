//! What makes a value another one for each user, short enough for forms: the last twelve digits of a UUID, which only a capture
//! can cut off. It is drawn once for a user, at a step before the first that needs it.

use fissure_facts::journey::{Capture, Filter, JourneyStep, Piece, Query, Template};

/// The variable that holds it.
pub const NAME: &str = "unique";
/// The variable that holds the whole UUID.
pub const WHOLE: &str = "uuid";
/// Characters of it: 48 bits, so that of a hundred thousand users two are the same with a chance of 2 in 100,000.
pub const LENGTH: usize = 12;
/// Characters of a whole UUID, for where there is no step before.
pub const LENGTH_WHOLE: usize = 36;

/// Has this step draw it.
pub fn drawn_at(step: &mut JourneyStep) {
    if step.captures.iter().any(|capture| capture.name == NAME) {
        return;
    }
    step.variables.push((WHOLE.to_owned(), Template(vec![Piece::NewUuid])));
    let filters = vec![Filter::Split("-".to_owned()), Filter::Nth(4)];
    step.captures.push(Capture {
        line: 0,
        name: NAME.to_owned(),
        query: Query::Variable(WHOLE.to_owned()),
        filters,
    });
}
