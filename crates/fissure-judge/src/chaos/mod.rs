//! What breaks what: the matrix fault x route, each window held against its own parts before and after the fault.

mod cell;
pub mod durability;
mod links;
mod phases;
mod planner;

use std::collections::BTreeSet;

use fissure_facts::{Estimate, Fact, Fault, Purpose, Route, Run, Step, Window};

use crate::validity::{self, Void};
use cell::cell;
pub use cell::{Cell, Class};
pub use durability::{Durability, NotChecked};
pub use links::Foreseen;
use phases::Phases;
pub use planner::{Campaign, SETTLE_S};

/// Everything that a chaos run says.
#[derive(Debug, Clone, PartialEq)]
pub struct Chaos {
    /// Users arriving per second.
    pub users_per_s: f64,
    pub trials: Vec<Trial>,
    pub interrupted: bool,
    /// Writes that nobody looked for again.
    pub not_checked: Vec<NotChecked>,
    /// What was expected of routes that do not use a link, and what they were.
    pub foreseen: Foreseen,
    /// Why nothing was tried, if nothing could be.
    pub stopped: Option<String>,
    /// Why not everything was tried that should have been.
    pub ended_early: Option<String>,
}

/// One fault on one target of one arrangement.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub arrangement: String,
    pub fault: Fault,
    pub outcome: Outcome,
    /// What became of the writes, also where the window's latencies cannot be believed.
    pub written: Vec<Durability>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The machine does not allow it, or it met nobody.
    NotTried {
        why: String,
    },
    /// Measured, and not to be believed.
    Void {
        why: String,
    },
    Measured {
        cells: Vec<Cell>,
        blast_radius: Estimate,
        doubts: Vec<String>,
    },
}

impl Chaos {
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.trials.iter().flat_map(|trial| match &trial.outcome {
            Outcome::Measured { cells, .. } => cells.as_slice(),
            _ => &[],
        })
    }

    /// Something stayed broken, was answered wrongly, or lost or doubled what was written. That a route fails while its process is away is no shame.
    pub fn is_bad(&self) -> bool {
        self.cells().any(|cell| cell.class >= Class::WrongAnswer)
            || self.trials.iter().flat_map(|trial| &trial.written).any(Durability::is_bad)
    }

    /// Every fault that was tried can be believed, and one was.
    pub fn is_known(&self) -> bool {
        self.cells().any(|cell| cell.class != Class::TooFew)
            && !self.interrupted
            && self.ended_early.is_none()
            && !self.trials.iter().any(|t| matches!(t.outcome, Outcome::Void { .. }))
    }

    /// Traffic-weighted share that the faults of one arrangement spoil, on average over its measured faults.
    pub fn blast_radius(&self, arrangement: &str) -> Option<f64> {
        let shares: Vec<f64> = self
            .trials
            .iter()
            .filter(|trial| trial.arrangement == arrangement)
            .filter_map(|trial| match &trial.outcome {
                Outcome::Measured { blast_radius, .. } => Some(blast_radius.mid),
                _ => None,
            })
            .collect();
        (!shares.is_empty()).then(|| crate::stats::mean(&shares))
    }

    /// As many seconds of a whole outage would have spoiled as many requests.
    pub fn outage_s(&self) -> f64 {
        let spoiled_s = |trial: &Trial| match &trial.outcome {
            Outcome::Measured { blast_radius, .. } => blast_radius.mid * f64::from(trial.fault.lasts_s),
            _ => 0.0,
        };
        self.trials.iter().map(spoiled_s).sum()
    }

    /// In the order in which they were tried.
    pub fn arrangements(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        self.trials.iter().map(|t| t.arrangement.as_str()).filter(|name| seen.insert(*name)).collect()
    }
}

/// Judges a run of `fissure chaos`.
pub fn judge(run: &Run) -> Chaos {
    let mut trials: Vec<Trial> = Vec::new();
    let mut users_per_s = 0.0;
    for window in run.windows() {
        let Purpose::Fault(fault) = &window.plan.purpose else { continue };
        if let fissure_facts::Load::Open { users_per_s: rate } = window.plan.load {
            users_per_s = rate;
        }
        let arrangement = window.plan.arrangement.name.clone();
        let written = durability::of_window(run, window.plan.window, window.plan.read_back());
        let outcome = outcome(run, &window, &written);
        // A window that was repeated counts once, by its last try.
        trials.retain(|t| {
            t.arrangement != arrangement || (t.fault.kind, &t.fault.target) != (fault.kind, &fault.target)
        });
        trials.push(Trial { arrangement, fault: (**fault).clone(), outcome, written });
    }
    let interrupted = run.was_interrupted();
    let foreseen = links::foreseen(run, &trials);
    Chaos {
        users_per_s,
        trials,
        foreseen,
        interrupted,
        not_checked: durability::not_checked(run),
        stopped: stopped(run),
        ended_early: ended_early(run),
    }
}

fn outcome(run: &Run, window: &Window, written: &[Durability]) -> Outcome {
    let number = window.plan.window;
    let facts = || run.facts.iter().map(|stamped| &stamped.fact);
    let not_tried = facts().find_map(|fact| match fact {
        Fact::FaultNotTried { window, why } if *window == number => Some(why.clone()),
        _ => None,
    });
    if let Some(why) = not_tried {
        return Outcome::NotTried { why };
    }
    let second = |wanted: fn(&Fact) -> Option<(u32, u32)>| {
        facts().filter_map(wanted).find(|(window, _)| *window == number).map(|(_, second)| second)
    };
    let injected = second(|fact| match fact {
        Fact::FaultInjected { window, second } => Some((*window, *second)),
        _ => None,
    });
    let lifted = second(|fact| match fact {
        Fact::FaultLifted { window, second } => Some((*window, *second)),
        _ => None,
    });
    let (Some(injected), Some(lifted)) = (injected, lifted) else {
        return Outcome::Void { why: "the window ended before the fault was over".to_owned() };
    };
    let mut doubts = Vec::new();
    match own_void(window, run) {
        Some(doubt @ (Void::NoisyNeighbour { .. } | Void::CrowdStarved { .. })) => {
            doubts.push(doubt.to_string());
        }
        Some(void) => return Outcome::Void { why: void.to_string() },
        None => {}
    }
    let timeout_s = run.header.config.users.timeout.0.as_secs_f64();
    let phases = Phases::cut(window, injected, lifted, timeout_s);
    let goal = &run.header.config.goal;
    let routes: Vec<Route> = run.routes();
    if phases.broke_before(&routes, goal) {
        return Outcome::Void {
            why: "the goal was missed already before the fault: the load is too high".to_owned(),
        };
    }
    let cells: Vec<Cell> = routes.iter().map(|route| cell(route, &phases, goal, written)).collect();
    let blast_radius = phases.blast_radius(&routes, goal);
    Outcome::Measured { cells, blast_radius, doubts }
}

/// That the app died is what is measured here, so it voids nothing.
fn own_void(window: &Window, run: &Run) -> Option<Void> {
    let unscathed = Window { deaths: Vec::new(), ..window.clone() };
    validity::void(&unscathed, &run.header)
}

fn ended_early(run: &Run) -> Option<String> {
    let last = run.facts.iter().rev().find_map(|stamped| match &stamped.fact {
        Fact::StepBegan { step, why } => Some((step, why)),
        _ => None,
    });
    last.filter(|(step, why)| **step == Step::Finish && *why != planner::ALL_TRIED)
        .map(|(_, why)| why.clone())
}

fn stopped(run: &Run) -> Option<String> {
    run.facts.iter().rev().find_map(|stamped| match &stamped.fact {
        Fact::StageFailed { failure, .. } => Some(failure.sentence.clone()),
        Fact::JourneyPlayed { journey, steps, .. } => steps
            .iter()
            .find_map(|step| Some(format!("{journey}, line {}: {}", step.line, step.problem.as_ref()?))),
        _ => None,
    })
}
