//! What the model promises of an arrangement, relative to the whole.

use fissure_facts::config::Goal;
use fissure_facts::{Arrangement, Estimate};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;

use crate::judgement::RouteDemand;
use crate::model::Model;
use crate::sim::{Effort, Targets, Trace, capacity_with};

/// How much work a shortlist is worth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    /// For the middle of a prediction.
    pub middle: Effort,
    /// For each world.
    pub world: Effort,
    /// Worlds that are drawn from the demands' intervals.
    pub worlds: u64,
}

impl Depth {
    /// The spread of 20 worlds is itself known within 16 %.
    pub const FULL: Self = Self { middle: Effort::CAREFUL, world: Effort::QUICK, worlds: 20 };
}

/// Standard deviations from the middle to the end of a 95 % interval of a normal claim.
const Z_95: f64 = 1.96;
/// Standard deviation of the log of a ratio over seeds, at the middle's effort: measured for apps with a rare heavy route,
/// smaller for others.
const SIMULATION_NOISE: f64 = 0.035;
/// A world in which a remedy all but stops the app still has a ratio.
const LEAST_RATIO: f64 = 0.01;

/// Predicts with the demands as measured, and in worlds drawn from their intervals.
pub(super) struct Prophet<'m> {
    model: &'m Model,
    targets: Targets,
    /// A route misses its SLO even alone: then ratios are about the others, and no remedy meets the goal.
    hopeless: bool,
    trace: Trace,
    whole: f64,
    depth: Depth,
    seed: u64,
}

impl<'m> Prophet<'m> {
    /// None when the whole has no capacity to compare with.
    pub fn new(model: &'m Model, goal: &Goal, depth: Depth, seed: u64) -> Option<Self> {
        let trace = Trace::new(model, depth.middle.requests, seed);
        let (targets, left_out) = Targets::new(model, goal).attainable(model, &trace);
        let whole = capacity_with(model, &Arrangement::whole(), &targets, &trace, depth.middle.precision);
        let comparable = whole.is_finite() && whole > 0.0;
        comparable.then_some(Self { model, targets, hopeless: left_out > 0, trace, whole, depth, seed })
    }

    pub fn ratio(&self, arrangement: &Arrangement) -> f64 {
        capacity_with(self.model, arrangement, &self.targets, &self.trace, self.depth.middle.precision)
            / self.whole
    }

    pub fn meets(&self, ratio: f64, users_per_s: f64) -> bool {
        !self.hopeless && ratio * self.whole >= users_per_s
    }

    /// Worlds whose demands differ as the intervals allow; the users are the same in all, so that nothing else differs.
    pub fn draws(&self, demands: &[RouteDemand]) -> Draws<'_> {
        let Effort { requests, precision } = self.depth.world;
        let trace = Trace::new(self.model, requests, self.seed);
        let mut rng = Pcg64Mcg::seed_from_u64(self.seed ^ 0xA076_1D64_78BD_642F);
        let worlds = (0..self.depth.worlds)
            .filter_map(|_| {
                let mut model = self.model.clone();
                for route in &mut model.routes {
                    let z: f64 = StandardNormal.sample(&mut rng);
                    if let Some(claim) = demands.iter().find(|d| d.route == route.route) {
                        route.cpu_ms *= drawn(claim.cpu_ms, z);
                    }
                }
                let whole = capacity_with(&model, &Arrangement::whole(), &self.targets, &trace, precision);
                (whole > 0.0).then_some(World { model, whole })
            })
            .collect();
        Draws { targets: &self.targets, trace, precision, worlds }
    }
}

/// A value of the claim, `z` standard deviations from its middle, relative to the middle. The two sides of an interval
/// may differ in width.
fn drawn(claim: Estimate, z: f64) -> f64 {
    if claim.mid <= 0.0 {
        return 1.0;
    }
    let side = if z < 0.0 { claim.mid - claim.low } else { claim.high - claim.mid };
    (1.0 + z * side / Z_95 / claim.mid).max(0.05)
}

struct World {
    model: Model,
    whole: f64,
}

pub(super) struct Draws<'p> {
    targets: &'p Targets,
    trace: Trace,
    precision: f64,
    worlds: Vec<World>,
}

impl Draws<'_> {
    /// `mid` with the spread of the log ratios over the worlds, and the simulator's own noise.
    pub fn estimate(&self, arrangement: &Arrangement, mid: f64) -> Estimate {
        let logs: Vec<f64> = self
            .worlds
            .iter()
            .map(|World { model, whole }| {
                let capacity = capacity_with(model, arrangement, self.targets, &self.trace, self.precision);
                (capacity / whole).max(LEAST_RATIO).ln()
            })
            .collect();
        if logs.len() < 2 {
            return Estimate::new(mid, 0.0, f64::INFINITY);
        }
        let mean = logs.iter().sum::<f64>() / logs.len() as f64;
        let variance = logs.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / (logs.len() - 1) as f64;
        let spread = (Z_95 * (variance + SIMULATION_NOISE.powi(2)).sqrt()).exp();
        Estimate::new(mid, mid / spread, mid * spread)
    }
}
