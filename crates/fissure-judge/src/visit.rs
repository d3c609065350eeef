//! How long a visit lasts in a window, and how long a window warms up for it.

use fissure_facts::Run;

/// Until the first users reach the ends of their journeys the mix is not the journeys' mix, and the load is not the whole
/// load: everybody is at the beginning. So the warm-up is as long as the longest visit, and a visit is no longer than this.
pub(crate) const VISIT_MAX_S: f64 = 9.5;

pub(crate) fn warmup_s(run: &Run) -> f64 {
    (longest_pauses_s(run).min(VISIT_MAX_S) + 0.5).max(1.0)
}

/// The pauses of the journey that has most of them.
pub(crate) fn longest_pauses_s(run: &Run) -> f64 {
    run.header.journeys.iter().map(fissure_facts::JourneyOutline::think_s).fold(0.0, f64::max)
}
