//! The vocabulary: every sentence of a verdict, a limit, a doubt, a missing piece of evidence, and the names of
//! remedies. Terminal, page and JSON take their words from here and from nowhere else.
//!
//! Routes and names that a person types stand in backticks; the page sets them as code. Every sentence about a doubt
//! or a missing piece of evidence says what is the matter, whose fault it is where that is known, and what to try.

mod costs;
pub mod coupling;
mod databases;
mod details;
mod doubts;
mod goal;
mod grammar;
mod growth;
pub mod isolation;
mod lines;
mod links;
mod missing;
mod names;
mod remedies;
pub mod replay;
mod verdict;
mod waits;

pub use costs::{NEW_CONNECTION, cost, is_cost_known};
pub use details::{details, limit_sentence};
pub use doubts::{doubts, windows};
pub use goal::{amount, asked, goal, load, open, quantile, slo, unit};
pub use grammar::{code, full_stop, routes_text};
pub use lines::{place, place_share, place_work};
pub use missing::missing;
pub use names::{cpu_list, machine, minutes, resource};
pub use remedies::{
    NOTHING, SAME_LOAD, control, headline, measured, not_rehearsed, outcome, predicted, remedy_name, why_not,
};
pub use verdict::{exit_status, goal_met, kind, resume, rung, standing, title, verdict_sentence};
pub use waits::{holder, spot, wait_share, waits_for};
