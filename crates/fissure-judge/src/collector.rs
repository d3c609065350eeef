//! A garbage collector that stops the app: no line of it runs then, so no profile of lines shows it.

use fissure_facts::{Fact, Purpose, Run};

use crate::judgement::CollectorStops;

/// Below this share of the time nobody would look for it.
const NOTABLE: f64 = 0.08;

/// What was seen flat out. Copies each have a collector of their own, and only one copy is profiled.
pub fn stops(run: &Run) -> Option<CollectorStops> {
    let windows = run.windows();
    let of = |window: u32| {
        let is_it = |w: &&fissure_facts::Window| w.plan.window == window;
        windows.iter().find(is_it).filter(|w| w.plan.purpose == Purpose::Profile && w.plan.emphasis.is_none())
    };
    let (mut seconds, mut stops_us) = (0.0, Vec::new());
    for stamped in &run.facts {
        let Fact::Profiled(profile) = &stamped.fact else { continue };
        if let Some(window) = of(profile.window).filter(|_| !profile.stops_us.is_empty()) {
            seconds += window.seconds();
            stops_us.extend(&profile.stops_us);
        }
    }
    let longest_ms = *stops_us.iter().max()? as f64 / 1e3;
    let share = stops_us.iter().sum::<u64>() as f64 / 1e6 / f64::max(seconds, 1.0);
    let per_s = stops_us.len() as f64 / f64::max(seconds, 1.0);
    (share >= NOTABLE).then_some(CollectorStops { share: share.min(1.0), per_s, longest_ms })
}
