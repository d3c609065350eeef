//! Journeys at work: templates become requests, answers are judged. Pure: no socket, no clock, no file.
//!
//! The crowd asks for the pieces of a request (`target`, `render`, `body_bytes`), sends it by whatever means, and hands
//! the answer to `judge`, which checks it in the order of the language: status, headers, captures, asserts.

mod answer;
mod judge;
mod render;
mod request;

pub use answer::Answer;
pub use judge::{Problem, judge, needs_body};
pub use render::{MissingVariable, render};
pub use request::{body_bytes, target};
