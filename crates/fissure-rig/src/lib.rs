//! fissure-rig
pub mod journey;
