//! Journeys at work: templates become requests, answers are judged. Pure: no socket, no clock, no file.
//!
//! The crowd sets a step's variables, asks for the pieces of its request (`target`, `render`, `body_bytes`), sends it by
//! whatever means, and hands the answer to `judge`, which checks it in the order of the language: status, captures,
//! headers, asserts.

mod answer;
mod cookie;
mod filter;
mod html;
mod judge;
mod predicate;
mod render;
mod request;
pub(crate) mod secret;
mod xpath;

#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use judge::{Problem, fits, judge, needs_body};
pub(crate) use render::uuid;
pub use render::{MissingVariable, render, set_variables};
pub use request::{body_bytes, target};
