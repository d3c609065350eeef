//! Users out of files and recordings: foreign formats, and what is written beside the app.

pub mod import;
pub mod unpacked;
pub mod weights;
