//! Remedies: which changes of arrangement are possible, what the model promises of each, which are worth a rehearsal.

mod area;
mod prediction;
mod wrong;

use std::collections::BTreeMap;

use fissure_facts::config::Goal;
use fissure_facts::{Arrangement, Estimate, Route};

use crate::demand::Demands;
use crate::judgement::{GoalView, RemedyKind, RouteDemand};
use crate::model::Model;
use area::{Area, areas, heavy};
use prediction::{Depth, Prophet};

pub(crate) use wrong::wrong_answer;

/// How busy the CPUs of an app may be for long: above, queues grow so fast with every percent that no goal is safe.
pub(crate) const BUSY_AT_MOST: f64 = 0.8;
/// A remedy that the model does not promise at least this many times the whole's capacity is not worth minutes of
/// rehearsal, unless it is the best of its kind.
const WORTH: f64 = 1.1;
/// More copies, or a larger area, must promise this many times what fewer do.
const CLEARLY_BETTER: f64 = 1.1;
/// Two capacities within this factor are the same to the simulator.
const BETTER_THAN_NOISE: f64 = 1.02;
/// Limits on one route that are tried in the model. Larger ones hardly differ from no limit.
const LIMITS: [u32; 3] = [1, 2, 4];
/// How many copies are tried in the model, besides one for each CPU.
const COPIES: [u32; 3] = [2, 3, 4];
/// Where each copy brings slots of its own and CPU is left, more may be worth their memory.
const COPIES_FOR_SLOTS: u32 = 8;
/// A prediction this many times the goal is enough of a remedy; predictions err by some tenths.
const ENOUGH: f64 = 1.3;
/// A route with less of the time is not worth a cache.
const LEAST_CACHED: f64 = 0.1;
/// Copies beyond this cost memory and start-up time that a rehearsal on one machine does not have.
const MOST_COPIES: u32 = 16;

/// A remedy, predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub kind: RemedyKind,
    pub arrangement: Arrangement,
    /// Routes that are limited or split off; empty for replicas.
    pub area: Vec<Route>,
    /// Capacity under the SLO relative to the whole's. The interval holds what is unsure about the demands, and the
    /// simulation's noise; not the model's own error, of which only rehearsals can tell.
    pub predicted: Estimate,
    pub predicted_meets_goal: bool,
    /// Why it is not worth a rehearsal, or not possible; a part of a sentence.
    pub why_not: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// How many copies of the app can run side by side: 1 when its port is fixed.
    pub copies_allowed: u32,
    /// How many remedies are rehearsed at most.
    pub most: usize,
    /// The goal's load.
    pub goal_users_per_s: f64,
}

/// Every remedy that was thought of, each predicted by simulation: first those worth a rehearsal (without `why_not`), then
/// the others; lowest rung first in both parts.
///
/// The best of each kind that is possible is rehearsed even when little is promised, so that the ladder can be compared
/// by measured numbers. `demands` are the model's routes with their intervals. Empty for a model without demand.
pub fn shortlist(
    model: &Model,
    demands: &[RouteDemand],
    goal: &Goal,
    config_areas: &BTreeMap<String, Vec<Route>>,
    options: &Options,
    seed: u64,
) -> Vec<Candidate> {
    shortlist_at(Depth::FULL, model, demands, goal, config_areas, options, seed)
}

fn shortlist_at(
    depth: Depth,
    model: &Model,
    demands: &[RouteDemand],
    goal: &Goal,
    config_areas: &BTreeMap<String, Vec<Route>>,
    options: &Options,
    seed: u64,
) -> Vec<Candidate> {
    let Some(prophet) = Prophet::new(model, goal, depth, seed) else { return Vec::new() };
    let mut variants: Vec<Variant> = releases(model).into_iter().collect();
    variants.extend(limits(model, goal));
    variants.extend(caches(model));
    variants.push(copies(model, options));
    variants.extend(splits(model, goal, config_areas));
    if model.admits_per_s.is_some() {
        // Whatever stands in front of the app can keep the users' connections itself, and without that nothing else helps.
        variants.iter_mut().flat_map(|v| &mut v.strengths).for_each(|arrangement| arrangement.closes = true);
    }
    let mut rated: Vec<Rated> =
        variants.into_iter().map(|variant| variant.simplest_good_enough(&prophet, options)).collect();
    let parts: Vec<(Vec<Route>, f64)> = rated
        .iter()
        .filter(|r| r.kind == RemedyKind::SplitThisArea)
        .map(|r| (r.area.clone(), r.ratio))
        .collect();
    // Nobody splits off more than what helps.
    rated.retain(|r| {
        let is_part = |area: &[Route]| area.len() < r.area.len() && area.iter().all(|x| r.area.contains(x));
        let does_as_well =
            |(area, ratio): &(Vec<Route>, f64)| is_part(area) && r.ratio < ratio * CLEARLY_BETTER;
        let is_asked_for = r.arrangement.roles.iter().any(|role| config_areas.contains_key(&role.name));
        r.kind != RemedyKind::SplitThisArea || is_asked_for || !parts.iter().any(does_as_well)
    });
    // Stable, so that among equals the areas that the user named come before those that were found.
    rated.sort_by(|a, b| a.kind.rung().cmp(&b.kind.rung()).then(b.ratio.total_cmp(&a.ratio)));
    let verdicts = why_not(&rated, options);

    let draws = prophet.draws(demands);
    let mut candidates: Vec<Candidate> = rated
        .into_iter()
        .zip(verdicts)
        .map(|(r, why_not)| Candidate {
            kind: r.kind,
            predicted: draws.estimate(&r.arrangement, r.ratio),
            predicted_meets_goal: prophet.meets(r.ratio, options.goal_users_per_s),
            arrangement: r.arrangement,
            area: r.area,
            why_not,
        })
        .collect();
    candidates.sort_by_key(|c| c.why_not.is_some());
    candidates
}

/// One remedy in one or more strengths, simplest first.
struct Variant {
    kind: RemedyKind,
    area: Vec<Route>,
    strengths: Vec<Arrangement>,
}

/// The strength that was chosen, with the capacity ratio that the model promises.
struct Rated {
    kind: RemedyKind,
    area: Vec<Route>,
    arrangement: Arrangement,
    ratio: f64,
}

impl Variant {
    fn simplest_good_enough(self, prophet: &Prophet<'_>, options: &Options) -> Rated {
        let better = if self.kind == RemedyKind::AddReplicas { CLEARLY_BETTER } else { BETTER_THAN_NOISE };
        let mut best: Option<(Arrangement, f64)> = None;
        for arrangement in self.strengths {
            let ratio = prophet.ratio(&arrangement);
            if best.as_ref().is_none_or(|(_, so_far)| ratio > so_far * better) {
                best = Some((arrangement, ratio));
            }
            if self.kind == RemedyKind::AddReplicas && prophet.meets(ratio / ENOUGH, options.goal_users_per_s)
            {
                break;
            }
        }
        let (arrangement, ratio) = best.unwrap_or_else(|| (Arrangement::whole(), 1.0));
        Rated { kind: self.kind, area: self.area, arrangement, ratio }
    }
}

/// Where workers are held by users who think.
fn releases(model: &Model) -> Option<Variant> {
    model.admits_per_s.map(|_| Variant {
        kind: RemedyKind::ReleaseWorkers,
        strengths: vec![Arrangement::closing()],
        area: Vec::new(),
    })
}

/// A limit on each heavy route. Strictest first: it protects the other routes most, and where the model sees no loss for
/// the heavy one there is nothing to weigh against that.
fn limits(model: &Model, goal: &Goal) -> Vec<Variant> {
    heavy(model, goal)
        .into_iter()
        // In front of the app nobody can make a message wait.
        .filter(|route| !route.is_live())
        .map(|route| Variant {
            kind: RemedyKind::LimitConcurrency,
            strengths: LIMITS.iter().map(|&at_once| Arrangement::limited(&route, at_once)).collect(),
            area: vec![route],
        })
        .collect()
}

/// A cache for each dear route whose answers repeat.
fn caches(model: &Model) -> Vec<Variant> {
    let worth = model.routes.iter().filter(|r| model.hits.contains_key(&r.route));
    let dear = worth.filter(|r| model.share_of_time(r) >= LEAST_CACHED);
    dear.map(|r| Variant {
        kind: RemedyKind::CacheAnswers,
        area: vec![r.route.clone()],
        strengths: vec![Arrangement::cached(&r.route)],
    })
    .collect()
}

/// The fewest copies, unless more are clearly better. Two are predicted even where they cannot run.
fn copies(model: &Model, options: &Options) -> Variant {
    let for_each_cpu = (model.cpus.ceil() as u32).min(MOST_COPIES);
    let possible = 2..=options.copies_allowed.max(2);
    let mut counts: Vec<u32> = COPIES
        .into_iter()
        .chain([for_each_cpu])
        .chain(model.slots.map(|_| COPIES_FOR_SLOTS))
        .filter(|n| possible.contains(n))
        .collect();
    counts.sort_unstable();
    counts.dedup();
    Variant {
        kind: RemedyKind::AddReplicas,
        area: Vec::new(),
        strengths: counts.into_iter().map(Arrangement::replicas).collect(),
    }
}

fn splits(model: &Model, goal: &Goal, config_areas: &BTreeMap<String, Vec<Route>>) -> Vec<Variant> {
    areas(model, goal, config_areas)
        .into_iter()
        .map(|Area { role, routes }| Variant {
            kind: RemedyKind::SplitThisArea,
            strengths: vec![Arrangement::split(&role, &routes)],
            area: routes,
        })
        .collect()
}

/// For each of `rated`, why it is not rehearsed.
fn why_not(rated: &[Rated], options: &Options) -> Vec<Option<String>> {
    let mut verdicts: Vec<Option<String>> = rated
        .iter()
        .map(|r| {
            let copies = r.arrangement.copies();
            let allowed = options.copies_allowed;
            (copies > allowed).then(|| {
                format!("needs {copies} copies of the app side by side, and only {allowed} can run here")
            })
        })
        .collect();
    // The best of each kind first, then whatever promises most.
    let possible: Vec<usize> = (0..rated.len()).filter(|&i| verdicts[i].is_none()).collect();
    let best_of_kind = |i: usize| {
        !possible.iter().any(|&j| {
            rated[j].kind == rated[i].kind
                && (rated[j].ratio > rated[i].ratio || rated[j].ratio == rated[i].ratio && j < i)
        })
    };
    let mut order = possible.clone();
    order.sort_by(|&a, &b| {
        // The others rest on workers that are not held.
        let rank = |i: usize| (rated[i].kind == RemedyKind::ReleaseWorkers, best_of_kind(i));
        rank(b).cmp(&rank(a)).then(rated[b].ratio.total_cmp(&rated[a].ratio))
    });
    for (place, index) in order.into_iter().enumerate() {
        let ratio = rated[index].ratio;
        if !best_of_kind(index) && ratio < WORTH {
            verdicts[index] =
                Some(format!("predicted {ratio:.2} times the whole's capacity: not worth trying"));
        } else if place >= options.most {
            verdicts[index] =
                Some(format!("predicted {ratio:.2} times the whole's capacity: others promise more"));
        }
    }
    verdicts
}

/// CPUs that the goal's load needs so that they are at most 80 % busy: the utilisation law, U = X D, over all routes and new
/// connections, plus what the app burns without requests.
///
/// The routes' intervals are taken as independent of each other. It is a lower bound where something waits: more CPUs do
/// not help a lock or a database.
pub fn cpus_needed(demands: &Demands, goal: GoalView) -> Estimate {
    let per_cpu_ms = goal.requests_per_s / 1000.0;
    let parts: Vec<Estimate> = demands
        .routes
        .iter()
        .map(|d| d.cpu_ms.scaled(d.mix * per_cpu_ms))
        .chain(demands.connection.map(|c| c.cpu_ms.scaled(c.per_request * per_cpu_ms)))
        .chain(demands.background_cores)
        .map(|cores| cores.scaled(BUSY_AT_MOST.recip()))
        .collect();
    let mid: f64 = parts.iter().map(|p| p.mid).sum();
    let below = parts.iter().map(|p| (p.mid - p.low).powi(2)).sum::<f64>().sqrt();
    let above = parts.iter().map(|p| (p.high - p.mid).powi(2)).sum::<f64>().sqrt();
    Estimate::new(mid, (mid - below).max(0.0), mid + above)
}

#[cfg(test)]
mod tests;
