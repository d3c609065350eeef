//! The arithmetic of fissure: facts in, estimates and verdicts out.
//!
//! **Invariant:** no I/O, no clock, no process, no environment, no unseeded randomness. Time and seeds come in as facts,
//! so any run can be judged again, next year, with the same answer.

pub mod asked;
mod at_rest;
pub mod capacity;
pub mod chaos;
mod collector;
pub mod demand;
pub mod evidence;
pub mod foresight;
pub mod goal;
pub mod growth;
pub mod held_back;
pub mod isolation;
pub mod judgement;
pub mod keep_alive;
pub mod limit;
pub mod lines;
pub mod load;
pub mod model;
pub mod nnls;
pub mod own_steal;
pub mod pairs;
pub mod planner;
pub mod proof;
pub mod questions;
pub mod remedy;
pub mod repeats;
pub mod sim;
pub mod statements;
pub mod stats;
pub mod threshold;
pub mod users;
pub mod validity;
pub mod verdict;
mod visit;
pub mod waits;
pub mod warming;
pub mod wear;

pub use judgement::Judgement;
pub use planner::{Planned, Planner};
pub use verdict::judge;
