//! What belongs to comparing copies of the app besides playing journeys: answers that may be written down.

mod veil;

pub use veil::Veil;
