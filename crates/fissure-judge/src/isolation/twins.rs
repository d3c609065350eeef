//! Twins: the same request twice at the same instant, to one copy and to two. What one process keeps apart by a lock of its
//! own, two do not.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::shadow::{Act, ShadowedStep, Twinned};
use fissure_facts::{Arrangement, Exchange, Route, ShadowPlan, Topology};

use super::leaves::{self, leaves};
use super::{By, Finding, Shadow, State, cut, status_of};

/// Pairs in one shadow. What never happens with one copy, and in a quarter of the pairs with two, is found 19 times of 20.
pub const PAIRS: u32 = 40;
/// By chance (Fisher's exact test, one side) in the first shadows: to be looked at again ...
const SUSPICIOUS: f64 = 0.05;
/// ... and in the first and the second together: to be believed. A dozen requests with a few values each are looked at.
const BELIEVED: f64 = 1e-4;
/// Different requests that are tried.
const ROUTES_MOST: usize = 12;

/// A request that changes something and is answered well when it is asked once.
#[derive(Debug, Clone, PartialEq)]
struct Create {
    journey: String,
    step: u32,
    route: Route,
}

fn creates(all: &[Shadow<'_>]) -> Vec<Create> {
    let control = all.iter().find(|s| {
        s.plan.act == Act::Play
            && s.plan.topology == Topology::Control
            && s.plan.parts.is_empty()
            && s.cut_short == Some(None)
    });
    let mut found: Vec<Create> = Vec::new();
    for step in control.iter().flat_map(|c| c.answers.values()) {
        let is_change = matches!(step.route.method(), "POST" | "PUT" | "PATCH" | "DELETE");
        let is_known = found.iter().any(|c| c.route == step.route);
        let is_good = step.exchanges.first().is_some_and(|e| (200..400).contains(&status_of(e)));
        if is_change && is_good && !is_known && found.len() < ROUTES_MOST {
            let (journey, route) = (step.journey.clone(), step.route.clone());
            found.push(Create { journey, step: step.step, route });
        }
    }
    found
}

fn act(create: &Create) -> Act {
    Act::Twins { journey: create.journey.clone(), step: create.step, pairs: PAIRS }
}

/// Those of one request: with one copy, and with two.
fn played<'s, 'r>(all: &'s [Shadow<'r>], create: &Create) -> [Vec<&'s Shadow<'r>>; 2] {
    let act = act(create);
    let of = |topology| all.iter().filter(|s| s.plan.act == act && s.plan.topology == topology).collect();
    [of(Topology::Control), of(Topology::Replicate)]
}

/// The next pairs to send.
pub(super) fn next(all: &[Shadow<'_>], seed: u64, left_s: f64) -> Option<(ShadowPlan, String)> {
    for create in creates(all) {
        let [one, two] = played(all, &create);
        let turn = one.len().min(two.len());
        let wanted = if turn >= 2 || turn == 1 && suspicions(&one[..1], &two[..1], SUSPICIOUS).is_empty() {
            continue;
        } else if one.len() <= two.len() {
            Topology::Control
        } else {
            Topology::Replicate
        };
        let cost_s = one.iter().chain(&two).map(|s| s.took_s).fold(0.0, f64::max);
        if cost_s * 2.0 > left_s {
            return None;
        }
        let arrangement =
            if wanted == Topology::Control { Arrangement::whole() } else { Arrangement::replicas(2) };
        let at = if wanted == Topology::Control { "one copy" } else { "two copies" };
        let plan = ShadowPlan {
            shadow: all.len() as u32 + 1,
            topology: wanted,
            arrangement,
            parts: Vec::new(),
            passes: 1,
            seed: seed.wrapping_add(turn as u64),
            act: act(&create),
        };
        return Some((plan, format!("is it safe? {} twice at the same instant, at {at}", create.route)));
    }
    None
}

/// Requests that were tried so, and in how many pairs each.
pub(super) fn tried(all: &[Shadow<'_>]) -> usize {
    let is_tried = |create: &Create| played(all, create).iter().all(|shadows| !shadows.is_empty());
    creates(all).iter().filter(|c| is_tried(c)).count()
}

pub(super) fn findings(all: &[Shadow<'_>]) -> Vec<Finding> {
    creates(all).iter().filter_map(|create| finding(all, create)).collect()
}

fn finding(all: &[Shadow<'_>], create: &Create) -> Option<Finding> {
    let [one, two] = played(all, create);
    if one.len().min(two.len()) < 2 {
        return None;
    }
    let kind = suspicions(&one, &two, BELIEVED).into_iter().next()?;
    let pair = two.first()?.twins.first()?;
    let request = &pair.exchanges.first()?.request;
    let (expected, got) = kind.words();
    let line = all.iter().flat_map(|s| s.answers.values()).find(|s| s.route == create.route)?.line;
    Some(Finding {
        topology: Topology::Replicate,
        by: By::Twins,
        state: kind.state,
        journey: create.journey.clone(),
        line,
        route: Some(create.route.clone()),
        request: cut(&format!("{} {}", request.method, request.target)),
        what: kind.what.spoken(),
        expected,
        got,
        others: 0,
        steps: steps(all, create),
    })
}

/// The journey up to the request: what must come before it is not cut down.
fn steps(all: &[Shadow<'_>], create: &Create) -> Vec<(u32, Route)> {
    let control = all.iter().find(|s| s.plan.act == Act::Play && s.plan.parts.is_empty());
    let is_before = |s: &&&ShadowedStep| s.journey == create.journey && s.pass == 1 && s.step <= create.step;
    let steps = control.into_iter().flat_map(|c| c.answers.values());
    steps.filter(is_before).map(|s| (s.line, s.route.clone())).collect()
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// Both were answered well.
    Accepted,
    /// An error of the app's own, or a lock.
    Failed,
    /// A value that is another one in each answer of one copy is the same in both.
    Equal(String),
    /// A value that is the same in both answers of one copy, and another one in each pair, differs.
    Apart(String),
}

impl What {
    fn spoken(&self) -> String {
        match self {
            Self::Accepted => "accepted twice".to_owned(),
            Self::Failed => "an error".to_owned(),
            Self::Equal(path) | Self::Apart(path) => leaves::spoken(path),
        }
    }
}

#[derive(Debug, Clone)]
struct Suspicion {
    what: What,
    state: State,
    /// Pairs in which it was so, of how many.
    one: (usize, usize),
    two: (usize, usize),
}

impl Suspicion {
    fn words(&self) -> (String, String) {
        let say = |(times, of): (usize, usize)| match self.what {
            What::Accepted => format!("both accepted in {times} of {of} pairs"),
            What::Failed => format!("refused with an error in {times} of {of} pairs"),
            What::Equal(_) => format!("the same value twice in {times} of {of} pairs"),
            What::Apart(_) => format!("two different values in {times} of {of} pairs"),
        };
        (say(self.one), say(self.two))
    }
}

/// What these shadows of one copy and of two show together that is rarer by chance than `limit`.
fn suspicions(one: &[&Shadow<'_>], two: &[&Shadow<'_>], limit: f64) -> Vec<Suspicion> {
    let pairs = |shadows: &[&Shadow<'_>]| Pairs::of(shadows.iter().flat_map(|s| s.twins.iter().copied()));
    let (one, two) = (pairs(one), pairs(two));
    if one.count < PAIRS as usize / 2 || two.count < PAIRS as usize / 2 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut look = |what: What, state: State, in_one: usize, in_two: usize| {
        let p = more_often(in_two, two.count, in_one, one.count);
        if p < limit {
            found.push(Suspicion { what, state, one: (in_one, one.count), two: (in_two, two.count) });
        }
    };
    let limits = one.limited > 0;
    look(What::Accepted, if limits { State::RateLimit } else { State::Lock }, one.accepted, two.accepted);
    look(What::Failed, State::Lock, one.failed, two.failed);
    for (path, pairs) in &one.values {
        let Some(other) = two.values.get(path) else { continue };
        // A number, an id: never given twice by one copy.
        let different: BTreeSet<&str> = pairs.iter().flat_map(|(a, b)| [&**a, &**b]).collect();
        let equal = |pairs: &[(String, String)]| pairs.iter().filter(|(a, b)| a == b).count();
        if different.len() == 2 * pairs.len() {
            look(What::Equal(path.clone()), State::Lock, 0, equal(other));
        }
        // The answer of the first request, given again.
        let firsts: BTreeSet<&str> = pairs.iter().map(|(a, _)| &**a).collect();
        if equal(pairs) == pairs.len() && firsts.len() == pairs.len() {
            look(What::Apart(path.clone()), State::Records, 0, other.len() - equal(other));
        }
    }
    found.sort_by(|a, b| a.what.cmp(&b.what));
    found
}

/// Pairs that were sent, counted.
#[derive(Debug, Default)]
struct Pairs {
    count: usize,
    accepted: usize,
    failed: usize,
    limited: usize,
    /// Of pairs that were both accepted: the values at a path.
    values: BTreeMap<String, Vec<(String, String)>>,
}

impl Pairs {
    fn of<'t>(twins: impl Iterator<Item = &'t Twinned>) -> Self {
        let mut pairs = Self::default();
        for pair in twins {
            let [a, b] = pair.exchanges.as_slice() else { continue };
            pairs.count += 1;
            let statuses = [status_of(a), status_of(b)];
            let is_error = |status: &u16| *status >= 500 || *status == 423 || *status == 0;
            pairs.failed += usize::from(statuses.iter().any(is_error));
            pairs.limited += usize::from(statuses.contains(&429));
            if !statuses.iter().all(|status| (200..400).contains(status)) {
                continue;
            }
            pairs.accepted += 1;
            let steps = [lone(pair, a), lone(pair, b)];
            let taken = leaves(&[&steps[0], &steps[1]], 2);
            for (path, leaf) in &taken[0] {
                let other =
                    taken[1].get(path).filter(|_| path.contains(leaves::BODY) && !is_time(&leaf.value));
                if let Some(other) = other {
                    // Each shadow has a fresh copy of the app, whose ids begin anew.
                    let here = |value: &str| format!("{} {value}", pair.shadow);
                    let values = (here(&leaf.value), here(&other.value));
                    pairs.values.entry(path.clone()).or_default().push(values);
                }
            }
        }
        // A value that is not always there means nothing.
        pairs.values.retain(|_, values| values.len() == pairs.accepted);
        pairs
    }
}

/// A moment, however it is written: two that ask at the same instant may well be told the same.
fn is_time(value: &str) -> bool {
    let is_date = value.len() >= 10 && value.as_bytes()[4] == b'-' && value.as_bytes()[7] == b'-';
    value.contains(':') || is_date || value.parse::<f64>().is_ok_and(|n| n > 1e9)
}

fn lone(pair: &Twinned, exchange: &Exchange) -> ShadowedStep {
    ShadowedStep {
        shadow: pair.shadow,
        pass: pair.pair,
        journey: String::new(),
        step: 0,
        line: 0,
        route: pair.route.clone(),
        exchanges: vec![exchange.clone()],
        problem: None,
        tables: None,
    }
}

/// How probable it is to see it `a` times of `n` or more often, when it is as frequent in `b` of `m`: Fisher's exact test,
/// one side, by the hypergeometric distribution.
fn more_often(a: usize, n: usize, b: usize, m: usize) -> f64 {
    let logs: Vec<f64> = std::iter::once(0.0)
        .chain((1..=n + m).scan(0.0, |sum, i| {
            *sum += (i as f64).ln();
            Some(*sum)
        }))
        .collect();
    let choose = |n: usize, k: usize| logs[n] - logs[k] - logs[n - k];
    let both = a + b;
    let most = both.min(n);
    (a..=most)
        .filter(|x| both - x <= m)
        .map(|x| (choose(n, x) + choose(m, both - x) - choose(n + m, both)).exp())
        .sum::<f64>()
        .min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_test_is_fishers() {
        // The lady tasting tea, all four right: 1 in 70.
        assert!((more_often(4, 4, 0, 4) - 1.0 / 70.0).abs() < 1e-9);
        assert!((more_often(0, 40, 0, 40) - 1.0).abs() < 1e-9);
        assert!(more_often(14, 60, 0, 120) < 1e-6);
        assert!(more_often(5, 40, 5, 40) > 0.5);
    }

    #[test]
    fn moments_are_no_numbers() {
        assert!(is_time("2026-01-02T03:04:05Z") && is_time("1767322800123") && is_time("12:30"));
        assert!(!is_time("1001") && !is_time("~0123456789abcdef"));
    }
}
