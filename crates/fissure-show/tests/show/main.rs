//! What the reports say, on hand-made judgements: golden texts, the JSON's contract, the page's promises.

#![expect(clippy::unwrap_used, reason = "helpers of tests may; clippy excuses only the tests themselves")]

mod compare;
mod contract;
mod fixtures;
mod golden;
mod hurl;
mod k6;
mod load;
mod page;
mod sentences;
