//! What the app would hold if its dearest own lines cost nothing.

use std::collections::BTreeSet;

use fissure_facts::config::Goal;
use fissure_facts::{Estimate, Route};

use super::{LEAST_SHARE, Lines, OwnLine};
use crate::judgement::Fix;
use crate::model::Model;
use crate::sim;

/// More lines than this are no few lines to fix.
const FEW_LINES: usize = 10;
/// They must carry at least this share of the CPU, or fixing them is polish.
const MOST_OF_IT: f64 = 0.4;
/// CPU that a request costs at least when its dearest lines cost nothing, of what it costs.
const LEAST_LEFT: f64 = 0.01;
/// Standard deviation of the log of a ratio of two simulated capacities.
const SIMULATION_NOISE: f64 = 0.035;

/// None when no few lines of the app's own carry enough.
///
/// Only time in the app's own code counts: what a library does for a line (decoding an image, hashing a password) is
/// seldom made less by other lines around it, and then a person who was told to fix them would have been misled.
///
/// `cpus_needed`: what the goal's load needs as the app is.
pub fn fix(lines: &Lines, model: &Model, cpus_needed: Estimate, goal: &Goal, seed: u64) -> Option<Fix> {
    let dear = lines.own.iter().take_while(|line| line.share.mid >= LEAST_SHARE).count();
    let dearest = &lines.own[..dear.min(FEW_LINES)];
    let share = sum(dearest.iter().map(|l| l.share));
    if share.mid < MOST_OF_IT {
        return None;
    }
    let capacity = sim::capacity_of_whole(model, goal, seed);
    let whole = capacity(model);
    if !(whole > 0.0 && whole.is_finite()) {
        return None;
    }
    // The shares' own error: as if all of them were at the lower, or the upper, end of the sum's interval.
    let ratio = |scale: f64| capacity(&without(model, lines.hot.as_ref(), dearest, scale)) / whole;
    let noise = (1.96 * SIMULATION_NOISE).exp();
    let (low, mid, high) = (ratio(share.low / share.mid), ratio(1.0), ratio(share.high / share.mid));
    let capacity_ratio = Estimate::new(mid, low.min(mid) / noise, high.max(mid) * noise);
    let left = without(model, lines.hot.as_ref(), dearest, 1.0).mean_cpu_ms() / model.mean_cpu_ms();
    // Lines that seem to take everything leave something all the same, or the goal could be anything.
    let cpus_needed = cpus_needed.scaled(left.max(LEAST_LEFT));
    let named = dearest.iter().filter(|line| !is_part_of_another(&line.function));
    let functions: BTreeSet<_> = named.map(|line| (&line.file, &line.function)).collect();
    Some(Fix { lines: dearest.len(), functions: functions.len().max(1), share, capacity_ratio, cpus_needed })
}

/// Closures and comprehensions are functions to their language and lines of the function around them to a person.
fn is_part_of_another(function: &str) -> bool {
    ["comp>", "<genexpr>", "lambda", "anonymous", "closure", "block ", ".func"]
        .iter()
        .any(|part| function.contains(part))
}

/// The model with the lines' cost taken out of each route.
fn without(model: &Model, hot: Option<&Route>, lines: &[OwnLine], scale: f64) -> Model {
    let of = |part: fn(&OwnLine) -> f64| (scale * lines.iter().map(part).sum::<f64>()).min(1.0);
    let (of_hot, of_others) = (of(|l| l.of_hot), of(|l| l.of_others));
    let mut model = model.clone();
    for route in &mut model.routes {
        route.cpu_ms *= 1.0 - if Some(&route.route) == hot { of_hot } else { of_others };
    }
    model
}

/// Shares of the same samples: their errors add in squares.
fn sum(shares: impl Iterator<Item = Estimate> + Clone) -> Estimate {
    let mid: f64 = shares.clone().map(|s| s.mid).sum();
    let low: f64 = shares.clone().map(|s| (s.mid - s.low).powi(2)).sum::<f64>().sqrt();
    let high: f64 = shares.map(|s| (s.high - s.mid).powi(2)).sum::<f64>().sqrt();
    Estimate::new(mid, (mid - low).max(0.0), (mid + high).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comprehension_belongs_to_the_function_around_it() {
        for function in [
            "<listcomp>",
            "<lambda>",
            "block in rank",
            "main.search.func1",
            "shop::total::{closure#0}",
            "lambda$rank$0",
        ] {
            assert!(is_part_of_another(function), "{function}");
        }
        for function in
            ["rank", "<shop::Cart as shop::Priced>::total", "Shop::Cart#total", "main.(*Server).list"]
        {
            assert!(!is_part_of_another(function), "{function}");
        }
    }
}
