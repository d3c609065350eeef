//! What the reports say, on hand-made judgements: golden texts, the JSON's contract, the page's promises.

mod compare;
mod contract;
mod fixtures;
mod golden;
mod page;
mod sentences;
