//! Facts and judgement to bytes.
//!
//! Pure functions: no file, no clock, no printing. Words live in one place ([`words`]), so that the terminal, the
//! page and the JSON can never disagree.
//!
//! **Invariant:** a report shows nothing that the facts and the judgement do not hold.

pub mod chaos;
mod chart;
pub mod compare;
pub mod doctor;
pub mod html;
pub mod hurl;
pub mod isolation;
pub mod json;
pub mod k6;
pub mod live;
pub mod load;
pub mod proof;
pub mod stacks;
pub mod terminal;
pub mod units;
pub mod words;
