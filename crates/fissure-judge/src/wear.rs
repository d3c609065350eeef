//! Does the app wear out? What earlier users used up (stock, seats, a form's token) is refused to later ones, and to take that for a lack of
//! capacity would blame the load for what the journeys did. Then the app is started anew, with its data as they were.

use std::collections::BTreeMap;

use fissure_facts::fact::{ErrorClass, RouteSecond};
use fissure_facts::{Arrangement, Fact, Purpose, Route, Run, Step, Window};

use crate::stats;

/// More than this share of a route's answers is refused, surely.
const REFUSED: f64 = 0.01;
/// A route that was served so often at first was served.
const SERVED: u64 = 20;

/// When each arrangement was started anew: the number of the last window before.
#[derive(Debug, Default)]
pub struct Renewals(BTreeMap<String, Vec<u32>>);

impl Renewals {
    pub fn of(run: &Run) -> Self {
        let mut renewals: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let mut last = 0;
        for stamped in &run.facts {
            match &stamped.fact {
                Fact::StepBegan { step: Step::Hold(plan), .. } => last = plan.window,
                Fact::StepBegan { step: Step::Renew { arrangement }, .. } => {
                    renewals.entry(arrangement.name.clone()).or_default().push(last);
                }
                _ => {}
            }
        }
        Self(renewals)
    }

    pub fn count(&self, arrangement: &Arrangement) -> usize {
        self.0.get(&arrangement.name).map_or(0, Vec::len)
    }

    /// Whether it was started anew behind this window.
    pub fn is_since(&self, arrangement: &Arrangement, window: &Window) -> bool {
        self.0.get(&arrangement.name).is_some_and(|all| all.iter().any(|last| *last >= window.plan.window))
    }

    /// The route that a window was refused, of those that the first one since its arrangement was started was served, at no less load.
    /// `earlier` are the windows before it.
    pub fn worn<'w>(&self, window: &Window, earlier: impl Iterator<Item = &'w Window>) -> Option<Route> {
        matches!(window.plan.purpose, Purpose::Capacity | Purpose::Rehearse { .. }).then_some(())?;
        let name = &window.plan.arrangement.name;
        let renewals = self.0.get(name).into_iter().flatten();
        let began = renewals.copied().filter(|last| *last < window.plan.window).max().unwrap_or(0);
        let mut since = earlier.filter(|w| w.plan.arrangement.name == *name && w.plan.window > began);
        let first = since.find(|w| w.plan.emphasis.is_none())?;
        // What is refused at more load than was served may be refused for that.
        let per_s = |window: &Window, seen: &RouteSecond| seen.ended() as f64 / window.seconds().max(1.0);
        let is_worn = |route: &Route, seen: &RouteSecond| {
            let before = first.route(route);
            let was_served = before.ended() >= SERVED && !is_refused(&before);
            was_served && is_refused(seen) && per_s(first, &before) >= per_s(window, seen)
        };
        window.routes().into_iter().find_map(|(route, seen)| is_worn(&route, &seen).then_some(route))
    }
}

/// By its status or its content; what comes late, or not at all, is a matter of load.
fn is_refused(seen: &RouteSecond) -> bool {
    let refused =
        [ErrorClass::Status, ErrorClass::Assert].iter().filter_map(|class| seen.errors.get(class)).sum();
    stats::wilson(refused, seen.ended()).is_some_and(|share| share.low > REFUSED)
}

#[cfg(test)]
mod tests {
    use fissure_facts::fact::CrowdSecond;
    use fissure_facts::{Load, WindowPlan};

    use super::*;

    /// A second of a route: answers, and how many of them were refused.
    fn window(number: u32, purpose: Purpose, answers: u64, refused: u64) -> Window {
        let arrangement = Arrangement::whole();
        let load = Load::Closed { users: 16 };
        let (emphasis, warmup_s, visit_max_s, seconds, seed) = (None, 0.0, None, 1, 1);
        let plan = WindowPlan {
            window: number,
            purpose,
            arrangement,
            load,
            emphasis,
            warmup_s,
            visit_max_s,
            seconds,
            seed,
        };
        let mut seen = RouteSecond::default();
        seen.latency.record_many_us(1000, answers - refused);
        seen.errors.insert(ErrorClass::Status, refused);
        let routes = [("POST /loans".parse().unwrap(), seen)].into();
        let crowd = vec![CrowdSecond { window: number, routes, ..CrowdSecond::default() }];
        Window { plan, crowd, probes: Vec::new(), end: None, deaths: Vec::new() }
    }

    #[test]
    fn what_was_served_at_more_load_is_worn_out_and_what_is_refused_at_more_load_is_not() {
        let flat_out = window(1, Purpose::Saturate, 1000, 0);
        let refused = window(2, Purpose::Capacity, 100, 90);
        let worn = |window: &Window, earlier: &[&Window]| {
            Renewals::default().worn(window, earlier.iter().copied()).map(|route| route.to_string())
        };
        assert_eq!(worn(&refused, &[&flat_out]).as_deref(), Some("POST /loans"));
        assert_eq!(worn(&window(2, Purpose::Capacity, 1100, 400), &[&flat_out]), None, "it sheds load");
        assert_eq!(worn(&refused, &[&window(1, Purpose::Saturate, 1000, 200)]), None, "it always did");
        assert_eq!(worn(&refused, &[]), None);
        // Started anew behind the first window, it has served nothing yet.
        let renewals = Renewals([("whole".to_owned(), vec![1])].into());
        assert_eq!(renewals.worn(&refused, std::iter::once(&flat_out)), None);
        assert!(renewals.is_since(&Arrangement::whole(), &flat_out));
        assert!(!renewals.is_since(&Arrangement::whole(), &refused));
    }
}
