//! One user: a jar, a few connections, and the values picked up on the way through a journey.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fissure_facts::Protocol;
use fissure_facts::fact::ErrorClass;
use fissure_facts::journey::{StepKind, Variables};
use hyper::header::LOCATION;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::connection::{Broken, Connection, Failure, Keep, Reply};
use super::dispatch::{Replica, Role};
use super::draft::Draft;
use super::engine::Engine;
use super::jar::Jar;
use super::kept;
use super::live::{self, Live};
use super::recorder::Outcome;
use super::redirect;
use super::script::{Personal, Script, ScriptStep};
use super::timer::{Alarm, monotonic_ns};
use super::written::{Draws, Seen, carried};
use crate::journey::{Answer, Problem, judge};

/// Browsers give up after about twenty; a journey that needs more than ten goes in circles.
const REDIRECTS_MAX: u32 = 10;

/// As many as browsers hold to one host.
const CONNECTIONS_MAX: usize = 6;

/// Open connections to replicas, at rest; the one used last is last.
pub(super) type Connections = Vec<(Arc<Replica>, Connection)>;

pub(super) struct User {
    engine: Rc<Engine>,
    number: u64,
    pub(super) variables: Variables,
    pub(super) jar: Jar,
    connections: Connections,
    /// What the journey has left open.
    pub(super) live: Option<Box<Live>>,
    random: Draws,
    /// Values that were made for this user alone, and those that the last request carried.
    fresh: Vec<String>,
    carried: Vec<String>,
    /// Numbers of what this user wrote.
    wrote: Vec<usize>,
}

impl User {
    pub(super) fn new(engine: &Rc<Engine>, number: u64) -> Self {
        Self {
            variables: engine.variables_of(number),
            engine: Rc::clone(engine),
            number,
            jar: Jar::default(),
            connections: Vec::new(),
            live: None,
            random: Draws::new(Pcg64Mcg::seed_from_u64(engine.seed_of(number)), engine.remembers_values()),
            fresh: Vec::new(),
            carried: Vec::new(),
            wrote: Vec::new(),
        }
    }

    /// The journey that this user plays.
    pub(super) fn choose(&mut self) -> Rc<Script> {
        self.engine.script(self.random.generator().random::<f64>())
    }

    /// Plays a journey to its end, or to the first step that fails: then the user leaves. True when it came to the end.
    pub(super) async fn play(
        mut self,
        script: &Script,
        arrived_ns: u64,
        mut seen: impl FnMut(&ScriptStep, u64, Outcome, &[String]),
    ) -> bool {
        let engine = Rc::clone(&self.engine);
        let (think, patience) = (engine.timers.alarm(), engine.timers.alarm());
        let mut free_ns = arrived_ns;
        for step in &script.steps {
            // What a repeated step captures counts the last time only, so that every repetition is the same request.
            let before = (step.times > 1 && step.sets_variables()).then(|| self.variables.clone());
            for time in 0..step.times {
                if let Some(before) = before.as_ref().filter(|_| time > 0) {
                    self.variables.clone_from(before);
                }
                let planned_ns = if time == 0 { free_ns + step.think_ns } else { free_ns };
                engine.recorder.planned(step.route, planned_ns);
                match &mut self.live {
                    None => think.until(planned_ns).await,
                    Some(live) => live.until(&think, planned_ns).await,
                }
                // In a box: what a request needs is many times what a waiting user needs.
                let outcome = Box::pin(self.perform(step, planned_ns, &patience)).await;
                engine.recorder.ended(step.route, planned_ns, &outcome);
                free_ns = outcome.ended_ns;
                if let Some(writes) = engine.writes.as_ref().filter(|_| !step.readings.is_empty()) {
                    // None: it never came to a request.
                    if let Some(&number) = self.wrote.last() {
                        writes.ended(number, step, &outcome, &self.variables);
                    }
                }
                let failed = outcome.failure.is_some();
                if let Some(failure) = &outcome.failure {
                    engine.recorder.problem(&script.name, step.route, failure);
                }
                seen(step, planned_ns, outcome, &self.carried);
                if failed {
                    self.leave();
                    return false;
                }
            }
        }
        self.leave();
        true
    }

    fn leave(&self) {
        if let Some(writes) = &self.engine.writes {
            writes.left(&self.wrote, &self.variables, &self.jar);
        }
    }

    /// One step of a journey, played as by `play`, but nobody counts it.
    pub(super) async fn step_alone(&mut self, step: &ScriptStep, free_ns: u64) -> Outcome {
        let engine = Rc::clone(&self.engine);
        let (think, patience) = (engine.timers.alarm(), engine.timers.alarm());
        let planned_ns = free_ns + step.think_ns;
        match &mut self.live {
            None => think.until(planned_ns).await,
            Some(live) => live.until(&think, planned_ns).await,
        }
        Box::pin(self.perform(step, planned_ns, &patience)).await
    }

    /// Somebody who knows all that this user knows, and will say the same. Connections are not shared.
    pub(super) fn twin(&self) -> Self {
        Self {
            variables: self.variables.clone(),
            engine: Rc::clone(&self.engine),
            number: self.number,
            jar: self.jar.clone(),
            connections: Vec::new(),
            live: None,
            random: self.random.clone(),
            fresh: self.fresh.clone(),
            carried: self.carried.clone(),
            wrote: Vec::new(),
        }
    }

    /// Somebody who knows what to ask for, and whom no cookie names.
    pub(super) fn stranger(&self) -> Self {
        Self { jar: Jar::default(), ..self.twin() }
    }

    /// Opens a connection to every replica that may get the step, so that what is sent then is there at once.
    pub(super) async fn connect_ahead(&mut self, step: &ScriptStep) {
        let protocol = self.engine.protocol;
        for replica in step.role.replicas() {
            if let Ok(connection) = self.connect(replica, protocol, false).await {
                self.keep(replica, connection);
            }
        }
    }

    pub(super) fn hang_up(&mut self) {
        self.connections.clear();
        self.live = None;
    }

    /// One request of the journey, with everything that belongs to it: its turn at a limit, redirects, judgement.
    async fn perform(&mut self, step: &ScriptStep, planned_ns: u64, patience: &Alarm) -> Outcome {
        let engine = Rc::clone(&self.engine);
        let turned_ns = monotonic_ns();
        engine.recorder.turned_to(step.route, planned_ns, turned_ns);
        let mut outcome = Outcome { ended_ns: turned_ns, ..Outcome::default() };
        let mut seen = 0;
        let limit_ns = live::limit_of(step).map_or(engine.timeout_ns, |within| within.as_nanos() as u64);
        let attempt = async {
            match step.step.kind {
                StepKind::Request => self.attempt(step, planned_ns, &mut outcome).await,
                // Boxed, so that it does not make the task of a user larger who only sends requests.
                _ => Box::pin(self.attempt_live(step, planned_ns, &mut outcome, &mut seen)).await,
            }
        };
        let failure = match patience.limit(turned_ns + limit_ns, attempt).await {
            Some(Ok(())) => None,
            Some(Err(failure)) => Some(failure),
            None => Some(Failure {
                class: ErrorClass::Timeout,
                sentence: match step.step.kind.expected() {
                    Some(expected) => live::nothing_came(expected, seen, limit_ns as f64 / 1e9),
                    None => format!("no whole answer within {} s", limit_ns as f64 / 1e9),
                },
            }),
        };
        if outcome.failure.is_none() && failure.is_some() {
            outcome.ended_ns = monotonic_ns();
        }
        outcome.failure = failure.map(|f| f.at_line(step.step.line));
        outcome
    }

    async fn attempt(
        &mut self,
        step: &ScriptStep,
        planned_ns: u64,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let _turn = match &step.limit {
            Some(limit) => limit.acquire().await.ok(),
            None => None,
        };
        let mut draft = step.draft(&mut self.personal())?;
        if self.engine.remembers_values() {
            self.remember(step, &draft);
        }
        outcome.sent_ns = Some(monotonic_ns());
        let reply = self.ask(step, &mut draft, step.keep, outcome).await?;

        // The last byte is here; judging is the crowd's time, not the app's.
        outcome.ended_ns = monotonic_ns();
        let duration = Duration::from_nanos(outcome.ended_ns.saturating_sub(planned_ns));
        Ok(self.judge(step, &draft, &reply, duration)?)
    }

    /// Sends a request, and what redirects make of it; the last answer counts.
    async fn ask(
        &mut self,
        step: &ScriptStep,
        draft: &mut Draft<'_>,
        keep: Keep,
        outcome: &mut Outcome,
    ) -> Result<Reply, Failure> {
        let mut reply = self.exchange(&step.role, draft, keep).await?;
        outcome.took_in(&reply);
        self.jar.store(&reply.headers, draft.path());

        let mut redirects = 0;
        while step.step.follow_redirects && matches!(reply.status, 301 | 302 | 303 | 307 | 308) {
            redirects += 1;
            if redirects > REDIRECTS_MAX {
                let sentence = format!("the app redirected more than {REDIRECTS_MAX} times");
                return Err(Failure { class: ErrorClass::Assert, sentence });
            }
            let Some(location) = reply.headers.get(LOCATION) else { break };
            let location = String::from_utf8_lossy(location.as_bytes());
            self.turn(draft, reply.status, &location)?;
            draft.cookies = step.cookies_for(draft.path(), &mut self.personal())?;
            let role = self.engine.dispatch.role_of_path(draft.method.as_str(), draft.path());
            reply = self.exchange(&role, draft, keep).await?;
            outcome.took_in(&reply);
            self.jar.store(&reply.headers, draft.path());
        }
        Ok(reply)
    }

    fn judge(
        &mut self,
        step: &ScriptStep,
        draft: &Draft<'_>,
        reply: &Reply,
        duration: Duration,
    ) -> Result<(), Problem> {
        let url = if step.reads_url {
            format!("{}://{}{}", draft.protocol.scheme(), self.engine.dispatch.host, draft.target)
        } else {
            String::new()
        };
        let mut answer = Answer::new(reply.status, &reply.headers, &reply.body, &url, duration);
        answer.version = reply.version;
        judge(&step.step, &answer, &mut self.variables)
    }

    /// Notes which values of its own a request carries, and that a write is about to be sent.
    fn remember(&mut self, step: &ScriptStep, draft: &Draft<'_>) {
        self.fresh.extend(self.random.values());
        self.carried = carried(&draft.target, &draft.body, &self.fresh);
        if let Some(writes) = self.engine.writes.as_ref().filter(|_| !step.readings.is_empty()) {
            self.wrote.push(writes.sent(self.number, &step.readings, self.carried.clone()));
        }
    }

    /// Somebody who was here before, with what is known of that visit.
    pub(super) fn again(engine: &Rc<Engine>, number: u64, variables: Variables, jar: Jar) -> Self {
        Self { variables, jar, ..Self::new(engine, number) }
    }

    /// What this user would ask a page for: who would ask the same gets the same answer.
    pub(super) fn would_ask(&mut self, step: &ScriptStep) -> Result<String, String> {
        let draft = step.draft(&mut self.personal()).map_err(|failure| failure.sentence)?;
        Ok(format!("{} {:?} {:?}", draft.target, draft.own, draft.cookies))
    }

    /// Asks for a page once more; nobody counts it.
    pub(super) async fn read_page(mut self, step: &ScriptStep) -> Result<Seen, String> {
        let engine = Rc::clone(&self.engine);
        let patience = engine.timers.alarm();
        let before = self.jar.clone();
        let mut outcome = Outcome::default();
        let limit_ns = monotonic_ns() + engine.timeout_ns;
        let asked = async {
            let mut draft = step.draft(&mut self.personal())?;
            let target = draft.target.clone();
            let reply = self.ask(step, &mut draft, Keep { headers: true, body: true }, &mut outcome).await?;
            let was_led_elsewhere = target != draft.target;
            let is_right = self.judge(step, &draft, &reply, Duration::ZERO).is_ok();
            let answer = Answer::new(reply.status, &reply.headers, &reply.body, "", Duration::ZERO);
            Ok::<_, Failure>(Seen {
                status: reply.status,
                body: answer.bytes().unwrap_or(&reply.body).to_vec(),
                is_right,
                is_strange: was_led_elsewhere || self.jar.has_lost_any_of(&before),
            })
        };
        match patience.limit(limit_ns, asked).await {
            Some(seen) => seen.map_err(|failure| failure.sentence),
            None => Err("no whole answer in time".to_owned()),
        }
    }

    /// Points the draft to where a redirect leads, if that is the app.
    fn turn(&self, draft: &mut Draft<'_>, status: u16, location: &str) -> Result<(), Failure> {
        let refuse = |sentence: String| Failure { class: ErrorClass::Assert, sentence };
        let (authority, target) =
            redirect::resolve(draft.protocol.scheme(), &draft.target, location).map_err(refuse)?;
        if let Some(foreign) = authority.filter(|a| !self.engine.dispatch.is_own(a)) {
            return Err(refuse(format!(
                "the redirect to `{foreign}` leaves the app, so it was not followed"
            )));
        }
        draft.redirected(redirect::next_method(status, &draft.method), target)
    }

    /// Sends a request to a replica of `role`, over the connection that the user has to it or over a new one.
    async fn exchange(&mut self, role: &Role, draft: &Draft<'_>, keep: Keep) -> Result<Reply, Failure> {
        if !self.engine.is_keeping_exchanges() {
            return self.send(role, draft, keep).await;
        }
        let began_ns = monotonic_ns();
        let outcome = self.send(role, draft, Keep { headers: true, body: true }).await;
        let took_us = (monotonic_ns() - began_ns) / 1000;
        self.engine.keep_exchange(kept::exchange(draft, outcome.as_ref().ok(), began_ns / 1000, took_us));
        outcome
    }

    async fn send(&mut self, role: &Role, draft: &Draft<'_>, keep: Keep) -> Result<Reply, Failure> {
        let outstanding = role.choose();
        let replica = &outstanding.0;
        let known = self.take(replica, draft.protocol);
        let had_one = known.is_some();
        if let Some(mut reused) = known.and_then(Connection::ready) {
            match reused.exchange(draft, keep).await {
                Ok(reply) => {
                    self.keep(replica, reused);
                    return Ok(reply);
                }
                // The app closed it in the moment in which it was used. Browsers and proxies try once more.
                Err(broken) if broken.is_stale() && (broken.nothing_written || draft.is_idempotent()) => {}
                Err(broken) => return Err(broken.failure),
            }
        }
        let mut fresh = self.connect(replica, draft.protocol, had_one).await?;
        let reply = fresh.exchange(draft, keep).await.map_err(|broken| broken.failure)?;
        self.keep(replica, fresh);
        Ok(Reply { is_first: true, ..reply })
    }

    pub(super) async fn connect(
        &self,
        replica: &Replica,
        protocol: Protocol,
        had_one: bool,
    ) -> Result<Connection, Failure> {
        let (connection, took) = self.engine.opener.open(replica.address, protocol, self.number).await?;
        self.engine.recorder.connected(monotonic_ns(), &took, had_one);
        Ok(connection)
    }

    /// A connection at rest, taken out while in use: what is interrupted in the middle of an answer must not be used again.
    pub(super) fn take(&mut self, replica: &Arc<Replica>, protocol: Protocol) -> Option<Connection> {
        let take = |at_rest: &mut Connections| {
            let index =
                at_rest.iter().rposition(|(r, c)| Arc::ptr_eq(r, replica) && c.protocol == protocol)?;
            Some(at_rest.remove(index).1)
        };
        match &self.engine.handed_on {
            Some(of_all) => take(&mut of_all.borrow_mut()),
            None => take(&mut self.connections),
        }
    }

    pub(super) fn keep(&mut self, replica: &Arc<Replica>, connection: Connection) {
        if self.engine.closes {
            return;
        }
        let at_rest = (Arc::clone(replica), connection);
        match &self.engine.handed_on {
            Some(of_all) => of_all.borrow_mut().push(at_rest),
            None => {
                if self.connections.len() == CONNECTIONS_MAX {
                    self.connections.remove(0); // not used for the longest time
                }
                self.connections.push(at_rest);
            }
        }
    }

    pub(super) fn personal(&mut self) -> Personal<'_> {
        Personal { variables: &mut self.variables, jar: &self.jar, random: &mut self.random }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { class: problem.class, sentence: problem.sentence }
    }
}

impl Outcome {
    fn took_in(&mut self, reply: &Reply) {
        self.is_first |= reply.is_first;
        self.status = Some(reply.status);
        self.body_bytes += reply.body_bytes;
    }
}

impl Broken {
    fn is_stale(&self) -> bool {
        self.nothing_read && self.failure.class == ErrorClass::Reset
    }
}

impl Failure {
    /// Says where in the journey it happened, if it does not say so already.
    fn at_line(mut self, line: u32) -> Self {
        let place = format!("line {line}");
        if !self.sentence.starts_with("line ") {
            self.sentence = format!("{place}: {}", self.sentence);
        }
        self
    }
}
