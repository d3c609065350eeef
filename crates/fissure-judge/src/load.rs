//! What a load run says: rates, latencies, thresholds, and whether any of it may be believed. Runs of several machines with the
//! same plan are one: histograms add up without loss.

use std::fmt;

use fissure_facts::fact::{CrowdSecond, ErrorClass, PlayedStep, RouteSecond};
use fissure_facts::{Fact, JourneyOutline, Latencies, Load, Route, Run, Step, Window, WindowPlan};

use crate::foresight::{self, Foreseen};
use crate::goal;
use crate::threshold::{Checked, Threshold};
use crate::validity::{self, Void};

#[derive(Debug, Clone, PartialEq)]
pub struct LoadSummary {
    /// What became of it, most important first.
    pub outcome: Outcome,
    /// The measured window; of several machines together. None when none was begun.
    pub window: Option<Window>,
    pub rates: Rates,
    /// In the order in which users meet them.
    pub routes: Vec<(Route, RouteSecond)>,
    pub total: RouteSecond,
    pub thresholds: Vec<Checked>,
    pub lateness: Latencies,
    pub connects: u64,
    pub crowd_cpu_s: f64,
    /// None when the server was not started by fissure.
    pub app_cpu_s: Option<f64>,
    /// Seconds that one user spends inside when alone.
    pub seconds_inside: f64,
    /// Users inside at the ends of the seconds, on average.
    pub users_inside: f64,
    pub foreseen: Vec<Foreseen>,
    pub problems: Vec<Problem>,
    pub interrupted: bool,
    pub machines: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The app could not be started, or nobody answered at the address.
    NotThere { why: String, last_lines: Vec<String> },
    /// A journey got a wrong answer although it was alone.
    WrongAlone { journey: String, step: PlayedStep },
    /// It was not begun, because it cannot be sent from here.
    Hopeless { why: String },
    /// Interrupted before anything was measured.
    Nothing,
    /// Measured, and not to be believed, on which of the machines.
    Void { machine: usize, why: Void },
    /// Measured.
    Held,
}

/// Per second of the window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// None for a closed load, in which nobody arrives.
    pub users_planned: Option<f64>,
    pub users_arrived: f64,
    /// Requests whose planned instant came.
    pub planned: f64,
    /// Requests that the crowd turned to.
    pub sent: f64,
    /// Right answers.
    pub answered: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub route: Route,
    pub class: ErrorClass,
    pub sentence: String,
}

/// Why runs cannot be added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotOne {
    /// No run at all.
    Nothing,
    NotALoad {
        run: String,
    },
    SameRun {
        run: String,
    },
    /// They were asked for different things.
    Different {
        run: String,
        other: String,
        what: &'static str,
    },
}

impl fmt::Display for NotOne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(f, "there is no run to add up"),
            Self::NotALoad { run } => {
                write!(f, "{run} is not a run of `fissure load`, so it cannot be added to others")
            }
            Self::SameRun { run } => write!(f, "{run} is given twice: its requests would count twice"),
            Self::Different { run, other, what } => write!(
                f,
                "{other} cannot be added to {run}: they differ in {what}, so their sum would be the latency of nothing that was ever asked for; \
                 give every machine the same command"
            ),
        }
    }
}

impl std::error::Error for NotOne {}

/// The summary of a run, or of runs with the same plan on several machines.
pub fn summarise(runs: &[Run]) -> Result<LoadSummary, NotOne> {
    let run = runs.first().ok_or(NotOne::Nothing)?;
    refuse_strangers(runs)?;
    let window = merged(runs);
    let foreseen = match plan_of(run) {
        Some(plan) => foresight::of(run, &plan.load, plan.warmup_s + f64::from(plan.seconds)),
        None => Vec::new(),
    };
    let mut summary = LoadSummary {
        outcome: outcome(runs, window.is_some()),
        rates: Rates::default(),
        routes: Vec::new(),
        total: RouteSecond::default(),
        thresholds: Vec::new(),
        lateness: Latencies::new(),
        connects: 0,
        crowd_cpu_s: 0.0,
        app_cpu_s: None,
        seconds_inside: goal::seconds_per_user(run),
        users_inside: 0.0,
        foreseen,
        problems: problems(runs),
        interrupted: runs.iter().any(Run::was_interrupted),
        machines: runs.len(),
        window: None,
    };
    if let Some(window) = window {
        summary.take(run, window);
    }
    Ok(summary)
}

/// Requests to which the crowd turned in vain.
fn not_sent(second: &CrowdSecond) -> u64 {
    second.routes.values().filter_map(|r| r.errors.get(&ErrorClass::Crowd)).sum()
}

impl LoadSummary {
    fn take(&mut self, run: &Run, window: Window) {
        let seconds = window.seconds().max(1.0);
        let per_s = |of: fn(&CrowdSecond) -> u64| window.crowd.iter().map(of).sum::<u64>() as f64 / seconds;
        self.rates = Rates {
            users_planned: window.end.as_ref().and_then(|end| end.users_planned).map(|n| n as f64 / seconds),
            users_arrived: per_s(|s| s.users_arrived),
            planned: per_s(|s| s.planned),
            sent: per_s(|s| s.lateness.count().saturating_sub(not_sent(s))),
            answered: window.total().latency.count() as f64 / seconds,
        };
        let inside = window.crowd.iter().map(|s| s.users_inside as f64 * s.length_s());
        self.users_inside = inside.sum::<f64>() / seconds;
        self.connects = window.crowd.iter().map(|s| s.connects).sum();
        window.crowd.iter().for_each(|s| self.lateness.add(&s.lateness));
        let seen = window.routes();
        self.routes = run
            .routes()
            .into_iter()
            .filter_map(|route| seen.get(&route).map(|figures| (route.clone(), figures.clone())))
            .collect();
        self.total = window.total();
        self.thresholds = thresholds(run).iter().map(|t| t.check(&window)).collect();
        self.crowd_cpu_s = window.probes.iter().map(|p| p.crowd_cpu_s).sum();
        let started_here = run.header.config.load.base.is_none();
        self.app_cpu_s = started_here.then(|| window.app_cpu_s());
        self.window = Some(window);
    }

    pub fn plan(&self) -> Option<&WindowPlan> {
        self.window.as_ref().map(|w| &w.plan)
    }
}

/// The thresholds of a run. One that a newer fissure wrote and this one cannot read is left out.
pub fn thresholds(run: &Run) -> Vec<Threshold> {
    run.header.config.load.require.iter().filter_map(|text| text.parse().ok()).collect()
}

fn plan_of(run: &Run) -> Option<WindowPlan> {
    run.windows().into_iter().next().map(|w| w.plan)
}

fn refuse_strangers(runs: &[Run]) -> Result<(), NotOne> {
    let Some((first, rest)) = runs.split_first() else { return Ok(()) };
    for (n, run) in runs.iter().enumerate() {
        let name = || run.header.run.clone();
        if run.header.verb != "load" {
            return Err(NotOne::NotALoad { run: name() });
        }
        if runs[..n]
            .iter()
            .any(|r| r.header.run == run.header.run && r.header.started_unix_s == run.header.started_unix_s)
        {
            return Err(NotOne::SameRun { run: name() });
        }
    }
    for other in rest {
        if let Some(what) = difference(first, other) {
            let (run, other) = (first.header.run.clone(), other.header.run.clone());
            return Err(NotOne::Different { run, other, what });
        }
    }
    Ok(())
}

/// In what two plans differ. The seed may, and should: then the machines' users do not come at the same instants.
fn difference(a: &Run, b: &Run) -> Option<&'static str> {
    let journeys = |r: &Run| -> Vec<JourneyOutline> { r.header.journeys.clone() };
    let (plan, other) = (plan_of(a), plan_of(b));
    let of = |get: fn(&WindowPlan) -> (f64, u32)| plan.as_ref().map(get) != other.as_ref().map(get);
    let load = |p: &Option<WindowPlan>| -> Option<Load> { p.as_ref().map(|p| p.load.clone()) };
    // By Little's law users at once become arrivals, and each machine has measured its own seconds inside.
    let users = |r: &Run| r.header.config.goal.users;
    if journeys(a) != journeys(b) {
        Some("their journeys")
    } else if users(a) != users(b) || (users(a).is_none() && load(&plan) != load(&other)) {
        Some("their load")
    } else if of(|p| (p.warmup_s, p.seconds)) {
        Some("how long they lasted")
    } else if a.header.config.load.connections != b.header.config.load.connections {
        Some("their connections")
    } else {
        (a.header.config.load.require != b.header.config.load.require).then_some("their thresholds")
    }
}

/// All windows as one: second by second, route by route.
fn merged(runs: &[Run]) -> Option<Window> {
    let mut windows = runs.iter().flat_map(Run::windows);
    let mut sum = windows.next()?;
    for window in windows {
        for (n, second) in window.crowd.into_iter().enumerate() {
            match sum.crowd.get_mut(n) {
                Some(into) => into.add(&second),
                None => sum.crowd.push(second),
            }
        }
        sum.probes.extend(window.probes);
        sum.deaths.extend(window.deaths);
        sum.end = match (sum.end.take(), window.end) {
            (Some(mut end), Some(other)) => {
                end.add(&other);
                Some(end)
            }
            _ => None,
        };
    }
    Some(sum)
}

fn outcome(runs: &[Run], was_begun: bool) -> Outcome {
    for run in runs {
        for stamped in &run.facts {
            match &stamped.fact {
                Fact::StageFailed { failure, .. } => {
                    return Outcome::NotThere {
                        why: failure.sentence.clone(),
                        last_lines: failure.last_lines.clone(),
                    };
                }
                Fact::JourneyPlayed { journey, steps, .. } => {
                    if let Some(step) = steps.iter().find(|step| step.problem.is_some()) {
                        return Outcome::WrongAlone { journey: journey.clone(), step: step.clone() };
                    }
                }
                _ => {}
            }
        }
    }
    let void = runs.iter().enumerate().find_map(|(machine, run)| {
        run.windows()
            .first()
            .and_then(|w| validity::void(w, &run.header))
            .map(|why| Outcome::Void { machine, why })
    });
    match void {
        Some(void) => void,
        None if was_begun => Outcome::Held,
        None => runs.iter().find_map(refusal).map_or(Outcome::Nothing, |why| Outcome::Hopeless { why }),
    }
}

/// Why the planner had nothing held.
fn refusal(run: &Run) -> Option<String> {
    run.facts.iter().find_map(|s| match &s.fact {
        Fact::StepBegan { step: Step::Finish, why } => Some(why.clone()),
        _ => None,
    })
}

fn problems(runs: &[Run]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for stamped in runs.iter().flat_map(|r| &r.facts) {
        if let Fact::ProblemSeen { route, class, sentence, .. } = &stamped.fact
            && !problems.iter().any(|p| p.route == *route && p.class == *class)
        {
            problems.push(Problem { route: route.clone(), class: *class, sentence: sentence.clone() });
        }
    }
    problems
}
