//! What the crowd's threads say, made one. Exact: counts and histograms add up.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::Route;
use fissure_facts::fact::{CrowdSecond, ErrorClass, WindowEnd};

use super::event::{CrowdEvent, kind_of};

pub(super) struct Merge {
    threads: usize,
    /// Seconds that some threads have told and others have not yet.
    seconds: BTreeMap<u32, (usize, CrowdSecond)>,
    end: Option<(usize, WindowEnd)>,
    problems: BTreeSet<(Route, ErrorClass, String)>,
}

impl Merge {
    pub(super) fn of(threads: usize) -> Self {
        Self { threads, seconds: BTreeMap::new(), end: None, problems: BTreeSet::new() }
    }

    /// What is now to be said, if this makes something whole.
    pub(super) fn take(&mut self, event: CrowdEvent) -> Option<CrowdEvent> {
        match event {
            CrowdEvent::Second(part) => {
                let number = part.second;
                let (told, whole) = match self.seconds.remove(&number) {
                    Some((told, mut whole)) => {
                        whole.add(&part);
                        (told + 1, whole)
                    }
                    None => (1, part),
                };
                if told == self.threads {
                    return Some(CrowdEvent::Second(whole));
                }
                self.seconds.insert(number, (told, whole));
                None
            }
            CrowdEvent::Ended(part) => {
                let (told, whole) = match self.end.take() {
                    Some((told, mut whole)) => {
                        whole.add(&part);
                        (told + 1, whole)
                    }
                    None => (1, part),
                };
                if told == self.threads {
                    return Some(CrowdEvent::Ended(whole));
                }
                self.end = Some((told, whole));
                None
            }
            CrowdEvent::Problem(problem) => {
                let kind = kind_of(problem.class, &problem.sentence).to_owned();
                let is_new = self.problems.insert((problem.route.clone(), problem.class, kind));
                is_new.then_some(CrowdEvent::Problem(problem))
            }
            other => Some(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use fissure_facts::Latencies;
    use fissure_facts::fact::RouteSecond;

    use super::*;
    use crate::crowd::ProblemSeen;

    fn route(name: &str) -> Route {
        format!("GET /{name}").parse().unwrap()
    }

    fn second(number: u32, name: &str, us: u64) -> CrowdEvent {
        let mut latency = Latencies::new();
        latency.record_us(us);
        let seen = RouteSecond {
            service: latency.clone(),
            first: 1,
            first_us: us,
            errors: [(ErrorClass::Reset, 1)].into(),
            late: 0,
            bytes: 10,
            latency: latency.clone(),
        };
        CrowdEvent::Second(CrowdSecond {
            window: 1,
            second: number,
            folded: 0,
            routes: [(route(name), seen)].into(),
            users_arrived: 1,
            users_inside: 2,
            planned: 3,
            in_flight: 4,
            lateness: latency.clone(),
            connects: 5,
            reconnects: 6,
            connect: latency.clone(),
            handshake: latency,
        })
    }

    #[test]
    fn a_second_is_told_when_every_thread_has_told_its_part() {
        let mut merge = Merge::of(2);
        assert_eq!(merge.take(second(0, "a", 10)), None);
        assert_eq!(merge.take(second(1, "a", 10)), None, "the faster thread is a second ahead");
        let Some(CrowdEvent::Second(whole)) = merge.take(second(0, "a", 20)) else { panic!() };
        let seen = &whole.routes[&route("a")];
        assert_eq!((seen.first, seen.first_us), (2, 30));
        assert_eq!(
            (seen.latency.count(), seen.latency.max_us(), seen.errors[&ErrorClass::Reset], seen.bytes),
            (2, 20, 2, 20)
        );
        assert_eq!((whole.second, whole.users_arrived, whole.users_inside, whole.planned), (0, 2, 4, 6));
        assert_eq!(
            (whole.in_flight, whole.lateness.count(), whole.connects, whole.reconnects),
            (8, 2, 10, 12)
        );
        let Some(CrowdEvent::Second(whole)) = merge.take(second(1, "b", 20)) else { panic!() };
        assert_eq!(whole.routes.keys().cloned().collect::<Vec<_>>(), [route("a"), route("b")]);
    }

    #[test]
    fn the_end_is_told_once_with_the_first_reason() {
        let end = |planned, cut_short: Option<&str>| {
            CrowdEvent::Ended(WindowEnd {
                window: 1,
                planned,
                unanswered: [(route("a"), 2)].into(),
                users_planned: Some(planned),
                cut_short: cut_short.map(str::to_owned),
            })
        };
        let mut merge = Merge::of(2);
        assert_eq!(merge.take(end(10, None)), None);
        let Some(CrowdEvent::Ended(whole)) = merge.take(end(20, Some("asked to"))) else { panic!() };
        assert_eq!((whole.planned, whole.unanswered[&route("a")], whole.users_planned), (30, 4, Some(30)));
        assert_eq!(whole.cut_short.as_deref(), Some("asked to"));
    }

    #[test]
    fn a_problem_is_told_once_and_everything_else_at_once() {
        let problem = |sentence: &str| {
            CrowdEvent::Problem(ProblemSeen {
                journey: "j".to_owned(),
                route: route("a"),
                class: ErrorClass::Reset,
                sentence: sentence.to_owned(),
            })
        };
        let mut merge = Merge::of(2);
        assert_eq!(merge.take(problem("once")), Some(problem("once")));
        assert_eq!(merge.take(problem("again")), None);
        assert!(merge.take(CrowdEvent::Started { pid: 1 }).is_some());
    }
}
