//! What the app would hold if nobody had to wait at the lines at which most requests wait: a lock that is held across something
//! slow, a file that is written for each request, a pool that is too small.

use fissure_facts::{Config, Estimate};

use super::waiting;
use crate::judgement::{Fix, Resource, Waits, WaitsFor};
use crate::model::Model;
use crate::sim;

/// Standard deviation of the log of a ratio of two simulated capacities.
const SIMULATION_NOISE: f64 = 0.035;

/// The model without its limit on how many are served at once; where a file is what is waited for, without that wait, too.
///
/// None where no line of the app is known at which they wait, or where the model has no such limit. **What it cannot know**: whether
/// that which is waited for behind the lock (a service, a device) can do more than it does. So it is a prediction, and the
/// words say as much.
pub fn fix(waits: &Waits, config: &Config, model: &Model, cpus_needed: Estimate, seed: u64) -> Option<Fix> {
    let (resource, _) = waiting::resource(waits, config)?;
    if !matches!(resource, Resource::Lock | Resource::Disk | Resource::Pool | Resource::OneThread) {
        return None;
    }
    let lines = waiting::places(waits, resource).len();
    model.slots.filter(|_| lines > 0)?;
    let is_it = |what: &WaitsFor| match resource {
        Resource::Lock => *what == WaitsFor::Lock,
        Resource::Disk => matches!(what, WaitsFor::File(_)),
        _ => true,
    };
    let shares: Vec<Estimate> =
        waits.places.iter().filter(|wait| is_it(&wait.what)).map(|wait| wait.share).collect();
    let sum = |end: fn(&Estimate) -> f64| shares.iter().map(end).sum::<f64>().min(1.0);
    let share = Estimate::new(sum(|s| s.mid), sum(|s| s.low), sum(|s| s.high));

    let capacity = sim::capacity_of_whole(model, &config.goal, seed);
    let mut freed = Model { slots: None, ..model.clone() };
    if resource == Resource::Disk {
        freed.routes.iter_mut().for_each(|route| route.wait_ms *= 1.0 - share.mid);
    }
    let (whole, freed) = (capacity(model), capacity(&freed));
    let is_known = whole > 0.0 && whole.is_finite() && freed.is_finite();
    let ratio = is_known.then_some(freed / whole)?;
    let noise = (1.96 * SIMULATION_NOISE).exp();
    let capacity_ratio = Estimate::new(ratio, ratio / noise, ratio * noise);
    // It is one lock or one file, wherever it is waited for.
    Some(Fix { lines, functions: 1, share, capacity_ratio, cpus_needed })
}
