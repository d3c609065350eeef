//! A window: a planned load with everything that was seen while it was held. Grouping only; no conclusion.

use std::collections::{BTreeMap, BTreeSet};

use crate::fact::{CrowdSecond, ErrorClass, ProbeSecond, RouteSecond, WindowEnd};
use crate::{Fact, Route, Stamped, Step, WindowPlan};

#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub plan: WindowPlan,
    pub crowd: Vec<CrowdSecond>,
    pub probes: Vec<ProbeSecond>,
    /// None while the window is still open, or when the run was cut off inside it.
    pub end: Option<WindowEnd>,
    /// How processes of the app died while the window was open.
    pub deaths: Vec<String>,
}

impl Window {
    /// Joins plans with their seconds, samples and ends.
    pub fn collect(facts: &[Stamped]) -> Vec<Self> {
        let mut windows: Vec<Self> = Vec::new();
        for stamped in facts {
            match &stamped.fact {
                Fact::StepBegan { step: Step::Hold(plan), .. } => windows.push(Self {
                    plan: plan.clone(),
                    crowd: Vec::new(),
                    probes: Vec::new(),
                    end: None,
                    deaths: Vec::new(),
                }),
                Fact::SecondPassed(second) => {
                    if let Some(w) = find(&mut windows, second.window) {
                        w.crowd.push(second.clone());
                    }
                }
                Fact::Sampled(sample) => {
                    if let Some(w) = find(&mut windows, sample.window) {
                        w.probes.push(sample.clone());
                    }
                }
                Fact::WindowEnded(end) => {
                    if let Some(w) = find(&mut windows, end.window) {
                        w.end = Some(end.clone());
                    }
                }
                Fact::ChildDied { role, how, .. } => {
                    if let Some(w) = windows.last_mut().filter(|w| w.end.is_none()) {
                        w.deaths.push(format!("{role}: {how}"));
                    }
                }
                _ => {}
            }
        }
        windows
    }

    /// Length of the measured part, in seconds.
    pub fn seconds(&self) -> f64 {
        self.crowd.iter().map(CrowdSecond::length_s).sum()
    }

    /// All seconds of a route as one; requests that never got an answer count as timeouts.
    pub fn route(&self, route: &Route) -> RouteSecond {
        let mut sum = RouteSecond::default();
        for second in self.crowd.iter().filter_map(|s| s.routes.get(route)) {
            sum.add(second);
        }
        if let Some(&unanswered) = self.end.as_ref().and_then(|e| e.unanswered.get(route)) {
            *sum.errors.entry(ErrorClass::Timeout).or_default() += unanswered;
        }
        sum
    }

    /// All routes as one.
    pub fn total(&self) -> RouteSecond {
        let mut sum = RouteSecond::default();
        self.routes().values().for_each(|seen| sum.add(seen));
        sum
    }

    /// Every route that was seen, summed.
    pub fn routes(&self) -> BTreeMap<Route, RouteSecond> {
        let mut names: BTreeSet<&Route> = self.crowd.iter().flat_map(|s| s.routes.keys()).collect();
        names.extend(self.end.iter().flat_map(|e| e.unanswered.keys()));
        names.into_iter().map(|r| (r.clone(), self.route(r))).collect()
    }

    /// Requests that ended within the window, right or wrong.
    pub fn done(&self) -> u64 {
        self.crowd.iter().flat_map(|s| s.routes.values()).map(RouteSecond::done).sum()
    }

    /// Right answers that came within the window.
    pub fn right(&self) -> u64 {
        self.crowd.iter().flat_map(|s| s.routes.values()).map(RouteSecond::right).sum()
    }

    /// CPU seconds that the app used in the window.
    pub fn app_cpu_s(&self) -> f64 {
        self.probes.iter().map(|p| p.app_cpu_s).sum()
    }
}

fn find(windows: &mut [Window], number: u32) -> Option<&mut Window> {
    windows.iter_mut().rev().find(|w| w.plan.window == number)
}
