//! What one thread of the crowd saw, second by second.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc;

use fissure_facts::fact::{CrowdSecond, ErrorClass, RouteSecond, WindowEnd};
use fissure_facts::{Latencies, Route};

use super::connection::{Failure, Opening};
use super::event::{CrowdEvent, ProblemSeen, kind_of};

const SECOND_NS: u64 = 1_000_000_000;
/// More examples than this teach a person nothing.
const PROBLEMS_MAX: usize = 20;

pub(super) struct Recorder {
    window: u32,
    /// Of an open load, in the measured seconds.
    users_planned: Cell<Option<u64>>,
    /// Index = number of a route in the scripts.
    routes: Vec<Route>,
    from_ns: u64,
    until_ns: u64,
    users_inside: Cell<u64>,
    in_flight: Cell<u64>,
    inner: RefCell<Inner>,
    events: mpsc::Sender<CrowdEvent>,
    problems: RefCell<BTreeSet<(usize, ErrorClass, String)>>,
}

struct Inner {
    /// The seconds that are not yet told, from `first` on, as far as anything is known of them: a long test takes no more
    /// memory than a short one.
    seconds: VecDeque<OpenSecond>,
    first: u32,
    totals: Vec<Totals>,
}

#[derive(Default)]
struct OpenSecond {
    routes: Vec<RouteSecond>,
    users_arrived: u64,
    planned: u64,
    lateness: Latencies,
    connects: u64,
    connect: Latencies,
    handshake: Latencies,
    reconnects: u64,
}

impl OpenSecond {
    fn new(routes: usize) -> Self {
        Self { routes: vec![RouteSecond::default(); routes], ..Self::default() }
    }
}

/// Requests of one route that were planned inside the measured seconds.
#[derive(Clone, Copy, Default)]
struct Totals {
    planned: u64,
    turned_to: u64,
    ended: u64,
}

/// How a request ended.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) ended_ns: u64,
    /// When it was really sent; None when it never was.
    pub(super) sent_ns: Option<u64>,
    /// A connection was opened for it.
    pub(super) is_first: bool,
    pub(super) status: Option<u16>,
    pub(super) body_bytes: u64,
    pub(super) failure: Option<Failure>,
}

impl Recorder {
    pub(super) fn new(
        window: u32,
        routes: Vec<Route>,
        from_ns: u64,
        seconds: u32,
        events: mpsc::Sender<CrowdEvent>,
    ) -> Self {
        let count = routes.len();
        Self {
            window,
            users_planned: Cell::new(None),
            routes,
            from_ns,
            until_ns: from_ns + u64::from(seconds) * SECOND_NS,
            users_inside: Cell::new(0),
            in_flight: Cell::new(0),
            inner: RefCell::new(Inner {
                seconds: VecDeque::new(),
                first: 0,
                totals: vec![Totals::default(); count],
            }),
            events,
            problems: RefCell::default(),
        }
    }

    pub(super) fn window(&self) -> u32 {
        self.window
    }

    pub(super) fn measured_from_ns(&self) -> u64 {
        self.from_ns
    }

    pub(super) fn measured_until_ns(&self) -> u64 {
        self.until_ns
    }

    fn is_measured(&self, at_ns: u64) -> bool {
        (self.from_ns..self.until_ns).contains(&at_ns)
    }

    /// The second in which `at_ns` lies, if it is measured and not yet told.
    fn second(&self, at_ns: u64, update: impl FnOnce(&mut OpenSecond)) {
        if self.is_measured(at_ns) {
            let number = ((at_ns - self.from_ns) / SECOND_NS) as u32;
            let inner = &mut *self.inner.borrow_mut();
            if let Some(ahead) = number.checked_sub(inner.first) {
                while inner.seconds.len() <= ahead as usize {
                    inner.seconds.push_back(OpenSecond::new(self.routes.len()));
                }
                update(&mut inner.seconds[ahead as usize]);
            }
        }
    }

    /// A user is due at `at_ns`, in an open load.
    pub(super) fn user_planned(&self, at_ns: u64) {
        let before = self.users_planned.get().unwrap_or(0);
        self.users_planned.set(Some(before + u64::from(self.is_measured(at_ns))));
    }

    pub(super) fn users_inside(&self) -> u64 {
        self.users_inside.get()
    }

    pub(super) fn user_arrived(&self, at_ns: u64) {
        self.users_inside.set(self.users_inside.get() + 1);
        self.second(at_ns, |s| s.users_arrived += 1);
    }

    pub(super) fn user_left(&self) {
        self.users_inside.set(self.users_inside.get() - 1);
    }

    /// A connection was opened, perhaps in place of one that the app had closed.
    pub(super) fn connected(&self, at_ns: u64, took: &Opening, again: bool) {
        self.second(at_ns, |s| {
            s.connects += 1;
            s.reconnects += u64::from(again);
            s.connect.record_us(took.connect_ns / 1000);
            if let Some(ns) = took.handshake_ns {
                s.handshake.record_us(ns / 1000);
            }
        });
    }

    /// A request was given its planned instant.
    pub(super) fn planned(&self, route: usize, planned_ns: u64) {
        if self.is_measured(planned_ns) {
            self.second(planned_ns, |s| s.planned += 1);
            self.inner.borrow_mut().totals[route].planned += 1;
        }
    }

    /// The crowd turned to a request, at best at its planned instant.
    pub(super) fn turned_to(&self, route: usize, planned_ns: u64, now_ns: u64) {
        self.in_flight.set(self.in_flight.get() + 1);
        self.second(now_ns, |s| s.lateness.record_us(now_ns.saturating_sub(planned_ns) / 1000));
        if self.is_measured(planned_ns) {
            self.inner.borrow_mut().totals[route].turned_to += 1;
        }
    }

    /// A request ended: in its second, or, when it ended in the grace after the last second, in that one.
    pub(super) fn ended(&self, route: usize, planned_ns: u64, outcome: &Outcome) {
        self.in_flight.set(self.in_flight.get() - 1);
        let was_planned_inside = self.is_measured(planned_ns);
        if was_planned_inside {
            self.inner.borrow_mut().totals[route].ended += 1;
        }
        let in_grace = outcome.ended_ns >= self.until_ns && was_planned_inside;
        let at_ns = if in_grace { self.until_ns - 1 } else { outcome.ended_ns };
        self.second(at_ns, |s| {
            let seen = &mut s.routes[route];
            seen.bytes += outcome.body_bytes;
            match &outcome.failure {
                Some(failure) => *seen.errors.entry(failure.class).or_default() += 1,
                None => {
                    let sent_ns = outcome.sent_ns.unwrap_or(planned_ns);
                    let service_us = outcome.ended_ns.saturating_sub(sent_ns) / 1000;
                    seen.latency.record_us(outcome.ended_ns.saturating_sub(planned_ns) / 1000);
                    seen.service.record_us(service_us);
                    seen.late += u64::from(in_grace);
                    if outcome.is_first {
                        seen.first += 1;
                        seen.first_us += service_us;
                    }
                }
            }
        });
    }

    /// Tells the first example of each kind of problem on each route.
    pub(super) fn problem(&self, journey: &str, route: usize, failure: &Failure) {
        let mut seen = self.problems.borrow_mut();
        if seen.len() >= PROBLEMS_MAX
            || !seen.insert((route, failure.class, kind_of(failure.class, &failure.sentence).to_owned()))
        {
            return;
        }
        self.tell(CrowdEvent::Problem(ProblemSeen {
            journey: journey.to_owned(),
            route: self.routes[route].clone(),
            class: failure.class,
            sentence: failure.sentence.clone(),
        }));
    }

    /// Requests that were planned inside the window and have no answer yet.
    pub(super) fn unanswered(&self) -> u64 {
        self.inner.borrow().totals.iter().map(|t| t.planned - t.ended).sum()
    }

    /// Users inside and requests in flight, to be taken at the very end of a second.
    pub(super) fn gauges(&self) -> (u64, u64) {
        (self.users_inside.get(), self.in_flight.get())
    }

    /// Tells the oldest second that is not yet told.
    pub(super) fn tell_second(&self, (users_inside, in_flight): (u64, u64)) {
        let (number, seen) = {
            let inner = &mut *self.inner.borrow_mut();
            inner.first += 1;
            let seen = inner.seconds.pop_front().unwrap_or_else(|| OpenSecond::new(self.routes.len()));
            (inner.first - 1, seen)
        };
        let is_filled = |r: &RouteSecond| r.ended() > 0;
        let named = self.routes.iter().cloned().zip(seen.routes);
        self.tell(CrowdEvent::Second(CrowdSecond {
            window: self.window,
            second: number,
            folded: 0,
            routes: named.filter(|(_, r)| is_filled(r)).collect(),
            users_arrived: seen.users_arrived,
            users_inside,
            planned: seen.planned,
            in_flight,
            lateness: seen.lateness,
            connects: seen.connects,
            connect: seen.connect,
            handshake: seen.handshake,
            reconnects: seen.reconnects,
        }));
    }

    /// Tells the end of the window. When it was cut short, requests whose time had not come yet were never planned.
    pub(super) fn tell_end(&self, cut_short: Option<String>) {
        let inner = self.inner.borrow();
        let planned = |t: &Totals| if cut_short.is_some() { t.turned_to } else { t.planned };
        let unanswered = self.routes.iter().cloned().zip(inner.totals.iter().map(|t| planned(t) - t.ended));
        self.tell(CrowdEvent::Ended(WindowEnd {
            window: self.window,
            planned: inner.totals.iter().map(planned).sum(),
            unanswered: unanswered.filter(|(_, count)| *count > 0).collect(),
            users_planned: self.users_planned.get(),
            cut_short,
        }));
    }

    pub(super) fn tell(&self, event: CrowdEvent) {
        // The receiver lives as long as the process.
        let _ = self.events.send(event);
    }
}
