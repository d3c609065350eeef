//! fissure-rig
pub mod crowd;
pub mod journey;
pub mod keeper;
pub mod lens;
mod process;
pub mod scratch;
