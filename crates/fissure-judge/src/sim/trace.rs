//! Who arrives when and asks for how much, apart from any load, demand or arrangement, so that all of them can be
//! compared on the same users (common random numbers).

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, Exp1, Gamma};
use rand_pcg::Pcg64Mcg;

use crate::model::Model;

/// Arrivals at rate 1 with sizes of mean 1. The shares of the routes, the mean gap and each route's mean size are exactly
/// the model's, not only on average: a sample that happens to be 3 % too heavy would shift every capacity by 3 %.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Ascending.
    pub(super) at: Vec<f64>,
    /// Index into the model's routes.
    pub(super) route: Vec<u32>,
    /// CPU time relative to the route's mean.
    pub(super) size: Vec<f64>,
}

impl Trace {
    pub fn new(model: &Model, requests: usize, seed: u64) -> Self {
        // One stream each, so that another mix or another variation does not change the arrivals.
        let stream =
            |n: u64| Pcg64Mcg::seed_from_u64(seed.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let route = routes(model, requests, &mut stream(1));
        let at = arrivals(route.len(), &mut stream(2));
        let size = sizes(model, &route, &mut stream(3));
        Self { at, route, size }
    }
}

/// Each route as often as the mix says (largest remainders), in random order.
fn routes(model: &Model, requests: usize, rng: &mut Pcg64Mcg) -> Vec<u32> {
    let exact: Vec<f64> = model.routes.iter().map(|r| r.mix.max(0.0) * requests as f64).collect();
    let mut counts: Vec<usize> = exact.iter().map(|&n| n as usize).collect();
    let missing = requests.saturating_sub(counts.iter().sum());
    let mut by_remainder: Vec<usize> = (0..exact.len()).collect();
    by_remainder.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()));
    for &index in by_remainder.iter().take(missing) {
        counts[index] += 1;
    }
    let mut order: Vec<u32> =
        counts.iter().enumerate().flat_map(|(index, &n)| std::iter::repeat_n(index as u32, n)).collect();
    order.shuffle(rng);
    order
}

fn arrivals(requests: usize, rng: &mut Pcg64Mcg) -> Vec<f64> {
    let mut now = 0.0;
    let mut at: Vec<f64> = (0..requests)
        .map(|_| {
            let gap: f64 = Exp1.sample(rng);
            now += gap;
            now
        })
        .collect();
    let scale = if now > 0.0 { requests as f64 / now } else { 1.0 };
    at.iter_mut().for_each(|t| *t *= scale);
    at
}

/// Gamma, the usual two-parameter family of service times: exponential at a variation of 1, constant at 0.
fn sizes(model: &Model, route: &[u32], rng: &mut Pcg64Mcg) -> Vec<f64> {
    let families: Vec<Option<Gamma<f64>>> = model
        .routes
        .iter()
        .map(|r| {
            let variance = r.cv * r.cv;
            if variance > 1e-6 { Gamma::new(variance.recip(), variance).ok() } else { None }
        })
        .collect();
    let mut sums = vec![(0.0, 0.0); families.len()];
    let mut size: Vec<f64> = route
        .iter()
        .map(|&index| {
            let drawn = families[index as usize].as_ref().map_or(1.0, |family| family.sample(rng));
            let (sum, count) = &mut sums[index as usize];
            *sum += drawn;
            *count += 1.0;
            drawn
        })
        .collect();
    for (s, &index) in size.iter_mut().zip(route) {
        let (sum, count) = sums[index as usize];
        if sum > 0.0 {
            *s *= count / sum;
        }
    }
    size
}
