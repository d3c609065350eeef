//! What belongs to comparing copies of the app besides playing journeys: answers that may be written down, and what databases
//! hold afterwards.

mod tables;
mod veil;

pub use tables::{Written, links, tables};
pub use veil::Veil;
