//! Arrivals: who comes when, in each of the crowd's modes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use fissure_facts::fact::PlayedStep;
use fissure_facts::journey::{Journey, Variables};
use fissure_facts::{Arrivals, Exchange, Load, Protocol, Route, journey};
use tokio::sync::watch;
use tokio::task::spawn_local;

use super::arrivals;
use super::connection::Opener;
use super::dispatch::Dispatch;
use super::event::CrowdEvent;
use super::plan::{CrowdPlan, JourneySource, Mode};
use super::recorder::Recorder;
use super::script::{Script, Setting};
use super::timer::{Timers, monotonic_ns};
use super::user::{Connections, User};
use super::written::{Alone, Writes};

const SECOND_NS: u64 = 1_000_000_000;
/// Longest think time when a journey is played alone: enough to keep its order, short enough not to bore.
const PLAY_THINK_MAX: Duration = Duration::from_millis(50);
/// How long after the last second an answer may still come.
const GRACE_MAX_NS: u64 = 2 * SECOND_NS;
/// A closed user whose journey failed rests for so long. Otherwise an app that refuses connections would be hammered by
/// a loop that is only as fast as the crowd's CPU, and nothing but that CPU would be measured.
const REST_NS: u64 = 10_000_000;

/// More users than this wait for nothing that could still be learnt, and each takes memory.
const USERS_MAX: u64 = 100_000;
const ARRIVALS_PER_TURN: u64 = 64;

/// Which users a thread of the crowd plays: every `of`-th one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) index: u64,
    pub(super) of: u64,
}

impl Share {
    fn has(self, user: u64) -> bool {
        user % self.of == self.index
    }
}

/// What the users of one thread share.
pub(super) struct Engine {
    pub(super) timers: Rc<Timers>,
    pub(super) recorder: Recorder,
    pub(super) opener: Opener,
    pub(super) dispatch: Arc<Dispatch>,
    share: Share,
    pub(super) timeout_ns: u64,
    pub(super) protocol: Protocol,
    scripts: Vec<(f64, Rc<Script>)>,
    rows: Vec<Variables>,
    seed: u64,
    start_ns: u64,
    warmup_s: f64,
    /// So many users are inside in truth for each whose pauses are shortened.
    stands_for: u32,
    /// No connection is kept behind an answer.
    pub(super) closes: bool,
    /// The connections of all users, when the plan says that they hand them on.
    pub(super) handed_on: Option<RefCell<Connections>>,
    /// What is looked for again when the window is over.
    pub(super) writes: Option<Writes>,
    finds_writes: bool,
    /// Every exchange in full, where somebody wants to see them.
    exchanges: RefCell<Option<Vec<Exchange>>>,
    /// The last second is over; no new journey begins.
    is_over: Cell<bool>,
}

impl Engine {
    /// Prepares everything, inside the runtime. What is wrong with the plan is said in a sentence.
    pub(super) fn new(
        plan: CrowdPlan,
        share: Share,
        dispatch: Arc<Dispatch>,
        events: mpsc::Sender<CrowdEvent>,
    ) -> Result<Rc<Self>, String> {
        let timers = Timers::new().map_err(|e| format!("the crowd could not make its timer: {e}"))?;
        let (think_max, emphasis) = match &plan.mode {
            Mode::Play => (PLAY_THINK_MAX.min(seconds(plan.think_max_s)), None),
            Mode::Hold { load: Load::Closed { .. }, emphasis, .. } => (Duration::ZERO, emphasis.clone()),
            Mode::Hold { emphasis, .. } => (seconds(plan.think_max_s), emphasis.clone()),
        };
        let mut routes: Vec<Route> = Vec::new();
        let mut setting = Setting {
            protocol: plan.protocol,
            dispatch: &dispatch,
            think_max,
            closes: plan.closes,
            times: &|route| {
                emphasis.as_ref().filter(|e| e.route.matches(route)).map_or(1, |e| e.times.max(1))
            },
            route_number: &mut |route| {
                routes.iter().position(|r| r == route).unwrap_or_else(|| {
                    routes.push(route.clone());
                    routes.len() - 1
                })
            },
        };
        let mut journeys = plan.journeys.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        journey::unify_routes(&mut journeys, &plan.routes);
        let writes = (!plan.read_back.is_empty()).then(|| Writes::new(plan.read_back.clone()));
        let mut scripts = Vec::new();
        let mut weight = 0.0;
        // Pauses by weight, as they are written and as they are played.
        let (mut written_s, mut played_s) = (0.0, 0.0);
        for (mut journey, source) in journeys.into_iter().zip(&plan.journeys) {
            let is_played = emphasis.as_ref().is_none_or(|e| !e.ends || end_behind(&mut journey, &e.route));
            let its_weight = if is_played { source.weight.max(0.0) } else { 0.0 };
            weight += its_weight;
            let mut script = Script::prepare(journey, &mut setting)?;
            written_s += its_weight * script.pauses_s();
            if let Some(visit_max_s) = plan.visit_max_s {
                script.pause_at_most(visit_max_s);
            }
            played_s += its_weight * script.pauses_s();
            for (place, step) in script.steps.iter_mut().enumerate() {
                step.readings =
                    writes.as_ref().map(|w| w.readings_of(&source.name, place)).unwrap_or_default();
            }
            scripts.push((weight, Rc::new(script)));
        }
        if scripts.is_empty() || (weight <= 0.0 && plan.mode != Mode::Play) {
            return Err("there is no journey to play: give at least one, with a weight above zero".to_owned());
        }

        let now_ns = monotonic_ns();
        let start_ns = plan.start_at_ns.unwrap_or(now_ns);
        let (window, warmup_s, from_ns, count) = match plan.mode {
            Mode::Play => (0, 0.0, u64::MAX, 0),
            Mode::Hold { window, warmup_s, seconds: count, .. } => {
                (window, warmup_s, start_ns + seconds(warmup_s).as_nanos() as u64, count)
            }
        };
        if now_ns > from_ns {
            return Err(format!(
                "the crowd was ready {:.3} s after its first measured second had begun: the machine is overloaded, or the plan's start too early",
                (now_ns - from_ns) as f64 / 1e9
            ));
        }
        Ok(Rc::new(Self {
            timers,
            recorder: Recorder::new(window, routes, from_ns, count, events),
            timeout_ns: seconds(plan.timeout_s).as_nanos() as u64,
            protocol: plan.protocol,
            scripts,
            rows: rows(
                &plan.data,
                &plan.variables,
                &format!("{}://{}", plan.protocol.scheme(), dispatch.host),
            ),
            opener: Opener::new(&dispatch.host, plan.acknowledges_at_once),
            dispatch,
            share,
            seed: plan.seed,
            start_ns: start_ns.max(now_ns),
            warmup_s,
            stands_for: if played_s > 0.0 { (written_s / played_s) as u32 } else { 1 },
            closes: plan.closes,
            handed_on: plan.hand_on.then(RefCell::default),
            writes,
            finds_writes: plan.finds_writes,
            exchanges: RefCell::new(plan.finds_writes.then(Vec::new)),
            is_over: Cell::new(false),
        }))
    }

    pub(super) fn scripts(&self) -> impl Iterator<Item = &Rc<Script>> {
        self.scripts.iter().map(|(_, script)| script)
    }

    /// Fresh values are remembered, so that they can be looked for.
    pub(super) fn remembers_values(&self) -> bool {
        self.finds_writes || self.writes.is_some()
    }

    /// From now on exchanges are kept in full.
    pub(super) fn keep_exchanges(&self) {
        self.exchanges.replace(Some(Vec::new()));
    }

    pub(super) fn is_keeping_exchanges(&self) -> bool {
        self.exchanges.borrow().is_some()
    }

    pub(super) fn keep_exchange(&self, exchange: Exchange) {
        if let Some(kept) = &mut *self.exchanges.borrow_mut() {
            kept.push(exchange);
        }
    }

    /// Those that were kept since this was last asked.
    pub(super) fn kept_exchanges(&self) -> Vec<Exchange> {
        self.exchanges.borrow_mut().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The journey at this share (0 to 1) of the weights.
    pub(super) fn script(&self, share: f64) -> Rc<Script> {
        let total = self.scripts.last().map_or(0.0, |(weight, _)| *weight);
        let index = self.scripts.partition_point(|(weight, _)| *weight <= share * total);
        Rc::clone(&self.scripts[index.min(self.scripts.len() - 1)].1)
    }

    pub(super) fn variables_of(&self, user: u64) -> Variables {
        self.rows[(user % self.rows.len() as u64) as usize].clone()
    }

    /// Each user draws from a stream of its own, so that what one does never depends on how fast another is answered.
    pub(super) fn seed_of(&self, user: u64) -> u64 {
        self.seed.wrapping_add((user + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)) // the step of SplitMix64
    }

    /// Each journey once, alone.
    pub(super) async fn play(self: &Rc<Self>) {
        for (number, (_, script)) in self.scripts.iter().enumerate() {
            let mut steps = Vec::new();
            let mut alone = Alone::default();
            let user = User::new(self, number as u64);
            user.play(script, monotonic_ns(), |step, planned_ns, outcome, carried| {
                if self.finds_writes && outcome.failure.is_none() {
                    let answers = self.kept_exchanges();
                    let last = answers.last().and_then(|exchange| exchange.answer.as_ref());
                    let body = last.map(|answer| answer.body.bytes.as_slice()).unwrap_or_default();
                    let seen = alone.look(script, steps.len(), carried, body);
                    seen.into_iter().for_each(|event| self.recorder.tell(event));
                }
                steps.push(PlayedStep {
                    route: step.step.route.clone(),
                    line: step.step.line,
                    status: outcome.status,
                    latency_us: outcome.ended_ns.saturating_sub(planned_ns) / 1000,
                    bytes: outcome.body_bytes,
                    problem: outcome.failure.map(|f| f.sentence),
                });
            })
            .await;
            self.recorder.tell(CrowdEvent::Played { journey: script.name.clone(), steps });
        }
    }

    /// A window of load, told second by second, to its end or until `stop` says why it is to end early. True: it was whole.
    pub(super) async fn hold(self: &Rc<Self>, load: Load, stop: &watch::Sender<Option<String>>) -> bool {
        let mut stopped = stop.subscribe();
        if let Load::Closed { users } = load {
            for first in (0..users).filter(|user| self.share.has(u64::from(*user))) {
                spawn_local(Rc::clone(self).closed(first, users));
            }
        }
        // A task of its own, so that arrivals do not wait for the seconds.
        let arriving = load.arrivals().map(|arrivals| spawn_local(Rc::clone(self).open(arrivals)));
        let arrived = async {
            match arriving {
                Some(task) => task.await.unwrap_or(Ok(())),
                None => Ok(()),
            }
        };
        let told = async {
            self.tell_seconds().await;
            Ok(())
        };
        let cut_short = tokio::select! {
            ended = async { tokio::try_join!(told, arrived) } => ended.err(),
            // An error means that nobody can ask any more, and then this process is about to end.
            reason = stopped.wait_for(Option::is_some) => reason.ok().and_then(|r| r.clone()),
        };
        if cut_short.is_some() {
            // The other threads have no reason to go on either.
            stop.send_if_modified(|reason| {
                let is_news = reason.is_none();
                if is_news {
                    reason.clone_from(&cut_short);
                }
                is_news
            });
        }
        let is_whole = cut_short.is_none();
        self.recorder.tell_end(cut_short);
        is_whole
    }

    async fn tell_seconds(&self) {
        let clock = self.timers.alarm();
        let (from_ns, until_ns) = (self.recorder.measured_from_ns(), self.recorder.measured_until_ns());
        let mut end_ns = from_ns;
        while end_ns < until_ns {
            end_ns += SECOND_NS;
            clock.until(end_ns).await;
            let gauges = self.recorder.gauges();
            if end_ns == until_ns {
                self.is_over.set(true);
                let last_ns = until_ns + self.timeout_ns.min(GRACE_MAX_NS);
                while self.recorder.unanswered() > 0 && monotonic_ns() < last_ns {
                    clock.until(monotonic_ns() + 5_000_000).await;
                }
            }
            self.recorder.tell_second(gauges);
        }
    }

    /// Users arrive, whatever becomes of those before them. An error says why the window must end.
    async fn open(self: Rc<Self>, arrivals: Arrivals) -> Result<(), String> {
        let clock = self.timers.alarm();
        let instants = arrivals::instants(arrivals.after_warmup(self.warmup_s), self.stands_for, self.seed)
            .map(|ns| self.start_ns + ns)
            .take_while(|ns| *ns < self.recorder.measured_until_ns());
        // Every thread knows all arrivals, and takes those of its own users.
        for (number, arrived_ns) in (0..).zip(instants).filter(|(number, _)| self.share.has(*number)) {
            self.recorder.user_planned(arrived_ns);
            if self.is_over.get() {
                continue; // too late to come, but planned
            }
            clock.until(arrived_ns).await;
            if self.recorder.users_inside() >= USERS_MAX / self.share.of {
                return Err(format!(
                    "{USERS_MAX} users were inside at once: this load is far above what app and crowd can do"
                ));
            }
            spawn_local(Rc::clone(&self).visit(number, arrived_ns));
            // When so many are due that the clock never waits, the others must have their turn all the same.
            if (number / self.share.of).is_multiple_of(ARRIVALS_PER_TURN) {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Journey after journey, each by a new user, as fast as the answers come.
    async fn closed(self: Rc<Self>, first: u32, users: u32) {
        let clock = self.timers.alarm();
        clock.until(self.start_ns).await;
        let mut number = u64::from(first);
        // Not by the clock: who is early by a hair must not leave a hole at the end of the last second.
        while !self.is_over.get() {
            if !Rc::clone(&self).visit(number, monotonic_ns()).await {
                clock.until(monotonic_ns() + REST_NS).await;
            }
            number += u64::from(users);
        }
    }

    async fn visit(self: Rc<Self>, number: u64, arrived_ns: u64) -> bool {
        self.recorder.user_arrived(arrived_ns);
        let mut user = User::new(&self, number);
        let script = user.choose();
        let came_to_the_end = user.play(&script, arrived_ns, |_, _, _, _| ()).await;
        self.recorder.user_left();
        came_to_the_end
    }
}

fn parse(source: &JourneySource) -> Result<Journey, String> {
    let files = |path: &str| std::fs::read(source.folder.join(path));
    journey::parse(&source.name, &source.text, &files).map_err(|e| e.to_string())
}

/// Cuts the journey off behind the last request of the route. False: it has none.
fn end_behind(journey: &mut Journey, route: &Route) -> bool {
    let last = journey.steps.iter().rposition(|s| s.route.matches(route));
    journey.steps.truncate(last.map_or(0, |i| i + 1));
    last.is_some()
}

/// The variables that a user starts with, one set for each row of the users' data.
fn rows(data: &[BTreeMap<String, String>], common: &BTreeMap<String, String>, base: &str) -> Vec<Variables> {
    let nobody = BTreeMap::new();
    let data: Vec<_> = if data.is_empty() { vec![&nobody] } else { data.iter().collect() };
    let base = ("base".to_owned(), serde_json::Value::from(base));
    let text = |(name, value): (&String, &String)| (name.clone(), serde_json::Value::from(value.as_str()));
    data.into_iter()
        .map(|row| {
            std::iter::once(base.clone()).chain(row.iter().map(text)).chain(common.iter().map(text)).collect()
        })
        .collect()
}

/// What cannot be a length of time is none.
fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s).unwrap_or(Duration::ZERO)
}
