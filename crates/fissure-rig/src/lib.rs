//! fissure-rig
