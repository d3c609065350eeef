//! What the app would hold if its dearest own lines cost nothing.

use std::collections::BTreeSet;

use fissure_facts::config::Goal;
use fissure_facts::{Estimate, Route};

use super::origin::is_in_a_body;
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
/// Lines of one block that has no name are no further from each other.
const ONE_BLOCK: u32 = 4;
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
    Some(Fix { lines: dearest.len(), functions: functions(dearest), share, capacity_ratio, cpus_needed })
}

/// In how many functions the lines stand. What has no name of its own is told apart by how far its lines are from each other; closures count
/// only where nothing has a name, because otherwise they are likely in what has.
fn functions(lines: &[OwnLine]) -> usize {
    let of = |is: fn(&str) -> bool| lines.iter().filter(move |line| is(&line.function));
    let named: BTreeSet<_> =
        of(|f| !is_part_of_another(f) && !is_in_a_body(f)).map(|line| (&line.file, &line.function)).collect();
    let apart = |is: fn(&str) -> bool| {
        let places: BTreeSet<_> = of(is).map(|line| (&line.file, line.line)).collect();
        let places: Vec<_> = places.into_iter().collect();
        let goes_on = |pair: &&[(&String, u32)]| pair[0].0 == pair[1].0 && pair[1].1 - pair[0].1 <= ONE_BLOCK;
        places.len() - places.windows(2).filter(goes_on).count()
    };
    let found = named.len() + apart(is_in_a_body);
    if found > 0 { found } else { apart(|_| true).max(1) }
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

    fn lines(of: &[(&str, u32)]) -> Vec<OwnLine> {
        let line = |&(function, line): &(&str, u32)| OwnLine {
            function: function.to_owned(),
            file: "app.rb".to_owned(),
            line,
            share: Estimate::new(0.1, 0.05, 0.15),
            of_hot: 0.1,
            of_others: 0.1,
        };
        of.iter().map(line).collect()
    }

    /// Eight routes of Sinatra were one function, whose eight lines were to be made cheaper.
    #[test]
    fn routes_that_have_no_name_are_functions_each() {
        const ROUTE: &str = "block in <class:Application>";
        let routes = lines(&[(ROUTE, 74), (ROUTE, 75), (ROUTE, 80), (ROUTE, 86), (ROUTE, 92)]);
        assert_eq!(functions(&routes), 4);
        let handlers = lines(&[("(anonymous)", 10), ("(anonymous)", 12), ("(anonymous)", 40)]);
        assert_eq!(functions(&handlers), 2);
        assert_eq!(functions(&lines(&[("rank", 10), ("block in rank", 12), ("(anonymous)", 90)])), 1);
    }

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
