//! Late while hardly anybody asks: then no load is to blame, but what the app does by itself.
//!
//! A timer's job that keeps the one thread of an event loop for 400 ms in every 2.5 s has one answer in eight wait, at any load, while most
//! of the CPU idles. No number of copies cures that, and flat out the job is a small part of what runs.

use crate::capacity::LoadPoint;
use crate::evidence::{Evidence, WHOLE};
use crate::judgement::Unasked;
use crate::lines;

/// Share of what the CPUs stand below which hardly anybody asks.
const LIGHT: f64 = 0.35;
/// Answers under such a load from which on a share of late ones is believed.
const ENOUGH_ANSWERS: u64 = 100;
/// CPU without requests, over the share of late answers that it should explain: whoever comes while a job runs waits for its rest.
const EXPLAINS: f64 = 0.5;

/// The load, in users per second, at which profilers should look who works unasked. None where nothing suggests it.
pub(crate) fn load_to_look_at(evidence: &Evidence<'_>) -> Option<f64> {
    let light = light(evidence);
    let late = late_share(&light)?;
    let allowed = 1.0 - evidence.run.header.config.goal.slo.quantile();
    let background = evidence.demands().background_cores?;
    let is_suspected = late > allowed
        && background.low >= allowed
        && background.mid >= EXPLAINS * late
        && evidence.solo_misses().is_empty();
    let lightest = light.iter().map(|p| p.users_per_s).min_by(f64::total_cmp);
    lightest.filter(|_| is_suspected)
}

/// What runs by itself, where it explains that the goal is missed at any load.
pub(crate) fn unasked(evidence: &Evidence<'_>) -> Option<Unasked> {
    load_to_look_at(evidence)?;
    let late = late_share(&light(evidence))?;
    lines::unasked(evidence.run).filter(|unasked| unasked.cores >= EXPLAINS * late)
}

fn light(evidence: &Evidence<'_>) -> Vec<LoadPoint> {
    let most = evidence.ceiling_users_per_s().map_or(0.0, |ceiling| LIGHT * ceiling);
    let mut points = evidence.points(WHOLE);
    points.retain(|p| p.users_per_s <= most);
    points
}

fn late_share(points: &[LoadPoint]) -> Option<f64> {
    let routes = || points.iter().flat_map(|p| p.routes.values());
    let (late, all) = routes().fold((0, 0), |sum, (over, n)| (sum.0 + over, sum.1 + n));
    (all >= ENOUGH_ANSWERS).then(|| late as f64 / all as f64)
}
