//! What `fissure up` needs beside the door: notes of what comes through it.

mod line;
mod notes;

pub use notes::{Noted, Notes};
