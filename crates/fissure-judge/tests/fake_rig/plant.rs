//! An app, and the answers that its users want: whole checks on the fake rig.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fissure_facts::config::{Goal, Percent, Slo, Span};
use fissure_facts::{Arrangement, Load, Purpose, Route, Run, Stamped, Step};
use fissure_judge::{Planner, model, sim};

use super::{FakeRig, Model, Waited, plan};

pub fn route(text: &str) -> Route {
    text.parse().unwrap()
}

/// An app, and the answers that its users want.
#[derive(Clone)]
pub struct Plant {
    pub model: Model,
    pub goal: Goal,
    pub budget_s: Option<u64>,
    /// Copies answer otherwise than the whole.
    pub forgets: bool,
    /// The share of each route's CPU that one line of the app's own takes.
    pub own_line: BTreeMap<Route, f64>,
    pub waited: Option<Waited>,
    /// Routes whose answer is the same for everybody.
    pub repeats: BTreeSet<Route>,
}

impl Plant {
    pub fn new(model: Model, p95_ms: u64) -> Self {
        let goal = Goal {
            slo: Slo::p95(Duration::from_millis(p95_ms)),
            errors: Percent(0.01),
            journeys_per_s: Some(1.0),
            ..Goal::default()
        };
        Self {
            model,
            goal,
            budget_s: None,
            forgets: false,
            own_line: BTreeMap::new(),
            waited: None,
            repeats: BTreeSet::new(),
        }
    }

    pub fn at(&self, users_per_s: f64) -> Self {
        let goal = Goal { journeys_per_s: Some(users_per_s), ..self.goal.clone() };
        Self { goal, ..self.clone() }
    }

    pub fn within(self, budget_s: u64) -> Self {
        Self { budget_s: Some(budget_s), ..self }
    }

    pub fn forgets(self) -> Self {
        Self { forgets: true, ..self }
    }

    pub fn budget_s(&self) -> f64 {
        self.budget_s.map_or(fissure_judge::planner::BUDGET_S, |s| s as f64)
    }

    /// The whole's capacity under the SLO, by the simulator with the planted demands.
    pub fn capacity(&self, arrangement: &Arrangement) -> f64 {
        let weights: f64 = self.model.journeys.iter().map(|j| j.weight).sum();
        let routes =
            self.model.costs.iter().zip(&self.model.journeys).map(|(cost, journey)| model::RouteModel {
                route: cost.route.clone(),
                mix: journey.weight / weights,
                cpu_ms: cost.cpu_ms,
                wait_ms: cost.wait_ms,
                cv: cost.cv,
            });
        let model = model::Model {
            cpus: self.model.cpus as f64,
            workers: self.model.threads as u32,
            slots: None,
            admits_per_s: None,
            hits: BTreeMap::new(),
            connection_ms: 0.0,
            routes: routes.collect(),
            requests_per_user: 1.0,
        };
        let seeds = 1..=5;
        seeds.clone().map(|seed| sim::capacity(&model, arrangement, &self.goal, seed)).sum::<f64>()
            / seeds.count() as f64
    }

    /// Does an arrangement meet the goal in the fake rig, at this share of the goal's load, in a window that is long enough to tell?
    pub fn meets_goal(&self, arrangement: &Arrangement, share: f64) -> bool {
        let load = Load::Open { users_per_s: self.goal.journeys_per_s.unwrap() * share };
        let mut run = Run::new(self.model.header(self.goal.clone(), 1));
        let plan = plan(1, Purpose::Asked, arrangement.clone(), load, 100);
        FakeRig::new(self.model.clone(), 4242).take(&mut run, &Step::Hold(plan));
        run.windows()[0].routes().iter().all(|(route, seen)| {
            let slo = self.goal.slo_of(route);
            let over = seen.latency.count_over(slo.limit_us()) + seen.error_count();
            over as f64 <= (1.0 - slo.quantile()) * seen.ended() as f64
        })
    }

    pub fn check(&self, seed: u64) -> Run {
        self.check_with(seed, |_, _| {}, |_, _| {})
    }

    /// A whole check. `before` may change the rig for a step, `after` the facts that the step gave.
    pub fn check_with(
        &self,
        seed: u64,
        mut before: impl FnMut(&mut FakeRig, &Step),
        mut after: impl FnMut(&Step, &mut Vec<Stamped>),
    ) -> Run {
        let mut header = self.model.header(self.goal.clone(), seed);
        header.config.limits.budget = self.budget_s.map(|s| Span(Duration::from_secs(s)));
        let mut run = Run::new(header);
        let mut rig = FakeRig::new(self.model.clone(), seed ^ 0xfa_4e);
        rig.forgets = self.forgets;
        rig.own_line.clone_from(&self.own_line);
        rig.waited = self.waited;
        rig.repeats.clone_from(&self.repeats);
        let mut planner = Planner::new();
        loop {
            let planned = planner.next(&run);
            if planned.step == Step::Finish {
                break;
            }
            assert!(!planned.why.is_empty() && planned.remaining_s > 0.0, "{planned:?}");
            before(&mut rig, &planned.step);
            let known = run.facts.len();
            rig.take(&mut run, &planned.step);
            let mut seen = run.facts.split_off(known);
            after(&planned.step, &mut seen);
            run.facts.append(&mut seen);
            assert!(run.facts.len() < 20_000, "the planner does not come to an end");
        }
        self.hold_to_the_rules(&run);
        run
    }

    /// What is true of every check.
    fn hold_to_the_rules(&self, run: &Run) {
        let windows = run.windows();
        let longest_s =
            windows.iter().map(|w| w.plan.warmup_s + f64::from(w.plan.seconds) + 0.5).fold(0.0, f64::max);
        assert!(
            run.elapsed_s() <= self.budget_s() + longest_s,
            "{} s of {}",
            run.elapsed_s(),
            self.budget_s()
        );
        let numbers: Vec<u32> = windows.iter().map(|w| w.plan.window).collect();
        assert_eq!(numbers, (1..=windows.len() as u32).collect::<Vec<_>>(), "windows count up");
        let mut blocks: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        let mut again = BTreeSet::new();
        for window in &windows {
            if let Purpose::Rehearse { block } = window.plan.purpose {
                let name = window.plan.arrangement.name.as_str();
                // A window that a neighbour spoiled may be repeated once.
                let is_spoiled = window.probes.iter().any(|p| p.other_cpu_s > 0.0);
                if !is_spoiled || !again.insert((block, name)) {
                    blocks.entry(block).or_default().push(name);
                }
            }
        }
        // The last block may be cut off by the clock.
        let last = blocks.keys().next_back().copied();
        for (block, names) in &blocks {
            let copies = |name: &str| names.iter().filter(|n| **n == name).count();
            let has_whole = copies("whole") == 1 || again.contains(&(*block, "whole"));
            assert!(has_whole || Some(*block) == last, "block {block}: {names:?}");
            assert!(names.iter().all(|n| copies(n) == 1), "block {block}: {names:?}");
        }
    }
}
