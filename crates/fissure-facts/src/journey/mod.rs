//! Journeys: what one user does, in order. A journey is a `.hurl` file; this is its parsed form.
//!
//! The supported part of the language is documented in `docs/journeys.md`. What is not supported is an error with line
//! and column, never ignored.

mod model;

pub use model::*;
