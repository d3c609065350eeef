//! fissure-show
