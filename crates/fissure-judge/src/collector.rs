//! A garbage collector that stops the app: no line of it runs then, so no profile of lines shows it.

use fissure_facts::{Fact, Run};

use crate::judgement::CollectorStops;

/// Below this share of the time nobody would look for it.
const NOTABLE: f64 = 0.08;

/// What was seen flat out, in the window in which it took most: where one route is repeated it may be the one that fills the memory.
pub fn stops(run: &Run) -> Option<CollectorStops> {
    let windows = run.windows();
    let of = |stamped: &fissure_facts::Stamped| {
        let Fact::Profiled(profile) = &stamped.fact else { return None };
        let window = windows.iter().find(|w| w.plan.window == profile.window)?;
        let longest_ms = *profile.stops_us.iter().max()? as f64 / 1e3;
        let seconds = window.seconds().max(1.0);
        let share = profile.stops_us.iter().sum::<u64>() as f64 / 1e6 / seconds;
        let per_s = profile.stops_us.len() as f64 / seconds;
        Some(CollectorStops { share: share.min(1.0), per_s, longest_ms })
    };
    let found = run.facts.iter().filter_map(of).filter(|stops| stops.share >= NOTABLE);
    found.max_by(|a, b| a.share.total_cmp(&b.share))
}
