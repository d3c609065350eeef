//! A window with a fault, cut into before, with it, and after it.

use fissure_facts::config::Goal;
use fissure_facts::fact::{CrowdSecond, ErrorClass, RouteSecond};
use fissure_facts::{Estimate, Route, Window};

use crate::stats;

/// Errors below this number, and shares below the goal's, are chance.
const CHANCE: u64 = 2;

pub(super) struct Phases<'w> {
    before: &'w [CrowdSecond],
    fault: &'w [CrowdSecond],
    /// Between fault and after: what was sent into the fault still ends here.
    drain: &'w [CrowdSecond],
    after: &'w [CrowdSecond],
    /// All seconds since it was lifted.
    since: &'w [CrowdSecond],
    window: &'w Window,
}

/// One phase of one route.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub seen: RouteSecond,
    /// Right answers over the SLO's limit.
    pub slow: u64,
    pub seconds: f64,
}

impl Tally {
    pub fn ended(&self) -> u64 {
        self.seen.ended()
    }

    pub fn errors(&self) -> u64 {
        self.seen.error_count()
    }

    pub fn of(&self, classes: &[ErrorClass]) -> u64 {
        classes.iter().filter_map(|class| self.seen.errors.get(class)).sum()
    }

    /// Right and in time.
    pub fn good(&self) -> u64 {
        self.seen.latency.count() - self.slow
    }

    /// The promise of the route is broken by more than chance.
    pub fn breaks(&self, route: &Route, goal: &Goal) -> bool {
        let over =
            |count: u64, allowed: f64| count >= CHANCE && count as f64 > allowed * self.ended().max(1) as f64;
        over(self.errors(), goal.errors.0) || over(self.slow, 1.0 - goal.slo_of(route).quantile())
    }
}

impl<'w> Phases<'w> {
    /// The after part begins when everything that was sent into the fault has ended.
    pub fn cut(window: &'w Window, injected: u32, lifted: u32, timeout_s: f64) -> Self {
        let seconds = &window.crowd;
        let at = |second: usize| second.min(seconds.len());
        let (injected, lifted) = (at(injected as usize), at(lifted as usize));
        let settled = at(lifted + timeout_s.ceil() as usize + super::SETTLE_S as usize);
        Self {
            before: &seconds[..injected.min(lifted)],
            fault: &seconds[injected.min(lifted)..lifted],
            drain: &seconds[lifted..settled],
            after: &seconds[settled..],
            since: &seconds[lifted..],
            window,
        }
    }

    fn tally(seconds: &[CrowdSecond], route: &Route, goal: &Goal) -> Tally {
        let mut seen = RouteSecond::default();
        seconds.iter().filter_map(|s| s.routes.get(route)).for_each(|second| seen.add(second));
        let slow = seen.latency.count_over(goal.slo_of(route).limit_us());
        Tally { seen, slow, seconds: seconds.len() as f64 }
    }

    pub fn before(&self, route: &Route, goal: &Goal) -> Tally {
        Self::tally(self.before, route, goal)
    }

    pub fn after(&self, route: &Route, goal: &Goal) -> Tally {
        let mut tally = Self::tally(self.after, route, goal);
        if let Some(&unanswered) = self.window.end.as_ref().and_then(|end| end.unanswered.get(route)) {
            *tally.seen.errors.entry(ErrorClass::Timeout).or_default() += unanswered;
        }
        tally
    }

    /// With what was sent into the fault and ended after it: those that ran out of time, and those that came late.
    pub fn fault(&self, route: &Route, goal: &Goal) -> Tally {
        let mut tally = Self::tally(self.fault, route, goal);
        let drained = Self::tally(self.drain, route, goal);
        let timeouts = drained.of(&[ErrorClass::Timeout]);
        if timeouts > 0 {
            *tally.seen.errors.entry(ErrorClass::Timeout).or_default() += timeouts;
        }
        let limit_us = goal.slo_of(route).limit_us();
        for (latency_us, count) in drained.seen.latency.buckets().filter(|(us, _)| *us > limit_us) {
            tally.seen.latency.record_many_us(latency_us, count);
            tally.slow += count;
        }
        tally
    }

    /// Good answers that the fault's seconds should have had, by the control.
    pub fn expected(&self, route: &Route, goal: &Goal) -> f64 {
        let before = self.before(route, goal);
        before.good() as f64 / before.seconds.max(1.0) * self.fault.len() as f64
    }

    /// Seconds from the end of the fault to the end of the last second in which a fifth of the route's requests or more
    /// were spoiled.
    pub fn recovery_s(&self, route: &Route, goal: &Goal) -> u32 {
        let spoiled = |second: &CrowdSecond| {
            let tally = Self::tally(std::slice::from_ref(second), route, goal);
            let bad = tally.errors() + tally.slow;
            bad >= CHANCE && bad as f64 >= 0.2 * tally.ended() as f64
        };
        self.since.iter().rposition(spoiled).map_or(0, |last| last as u32 + 1)
    }

    pub fn broke_before(&self, routes: &[Route], goal: &Goal) -> bool {
        routes.iter().any(|route| self.before(route, goal).breaks(route, goal))
    }

    /// The share of all requests that the fault spoiled: those that were to be answered rightly and in time, and were
    /// not, whether they failed, were slow, or were never sent because an earlier step had failed.
    pub fn blast_radius(&self, routes: &[Route], goal: &Goal) -> Estimate {
        let (mut expected, mut spoiled) = (0.0, 0.0);
        for route in routes {
            let due = self.expected(route, goal);
            expected += due;
            spoiled += spoiled_share(due, &self.fault(route, goal)) * due;
        }
        stats::wilson(spoiled.round() as u64, expected.round() as u64).unwrap_or(Estimate::new(0.0, 0.0, 1.0))
    }
}

/// Arrivals are Poisson, so that fewer come by chance alone: what was asked counts, unless far fewer could ask.
pub(super) fn spoiled_share(expected: f64, fault: &Tally) -> f64 {
    if expected <= 0.0 {
        return 0.0;
    }
    let asked = fault.ended() as f64;
    let bad = (fault.errors() + fault.slow) as f64;
    let missing = expected - asked;
    let missing = if missing > 3.0 * expected.sqrt() { missing } else { 0.0 };
    ((bad + missing) / (asked + missing).max(1.0)).clamp(0.0, 1.0)
}
