//! Neighbours in time: one window of each arrangement in a block, compared by the ratio of what they show. What changes on the
//! machine from block to block changes both, and cancels out.

use std::collections::BTreeMap;

use fissure_facts::config::Goal;
use fissure_facts::{Estimate, Purpose, Route, Window};

use crate::evidence::Evidence;
use crate::stats;

/// Two pairs give an interval from nothing to everything (Student's t with one degree of freedom: 12.7 standard errors).
pub const FEWEST_PAIRS: usize = 3;
/// A quantile of fewer requests is chance.
const FEWEST_REQUESTS: u64 = 5;

/// What something was, and what it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Medians over the blocks.
    pub was: f64,
    pub is: f64,
    /// is / was.
    pub ratio: Estimate,
}

/// What `read` finds in a window of each block, of the arrangement `name`.
fn in_blocks(
    evidence: &Evidence<'_>,
    name: &str,
    read: impl Fn(&Window) -> Option<f64>,
) -> BTreeMap<u32, f64> {
    let in_block = |w: &Window| match w.plan.purpose {
        Purpose::Rehearse { block } => Some((block, read(w)?)),
        _ => None,
    };
    evidence.open(name).filter_map(in_block).collect()
}

/// (`name`, the others) of every block in which both have a valid window. Where several of the others stand in a block, which
/// are copies of the same, their geometric mean is the better witness.
pub fn pairs(
    evidence: &Evidence<'_>,
    name: &str,
    others: &[&str],
    read: impl Fn(&Window) -> Option<f64>,
) -> Vec<(f64, f64)> {
    let others: Vec<BTreeMap<u32, f64>> =
        others.iter().map(|other| in_blocks(evidence, other, &read)).collect();
    let together = |block: u32| {
        let logs: Vec<f64> = others.iter().filter_map(|other| Some(other.get(&block)?.ln())).collect();
        (!logs.is_empty()).then(|| stats::mean(&logs).exp())
    };
    let own = in_blocks(evidence, name, &read);
    own.into_iter().filter_map(|(block, value)| Some((value, together(block)?))).collect()
}

/// The change from the second of each pair to the first.
pub fn change(pairs: &[(f64, f64)], seed: u64) -> Option<Change> {
    if pairs.len() < FEWEST_PAIRS {
        return None;
    }
    let (is, was): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    Some(Change {
        was: stats::median(&was)?,
        is: stats::median(&is)?,
        ratio: stats::paired_log_ratio(pairs, seed)?,
    })
}

/// The quantile of `route` that the goal speaks of.
pub fn slo_latency_ms(window: &Window, route: &Route, goal: &Goal) -> Option<f64> {
    let latency = window.route(route).latency;
    let quantile = goal.slo_of(route).quantile();
    (latency.count() >= FEWEST_REQUESTS).then(|| latency.quantile_us(quantile) as f64 / 1e3)
}
