//! Performing steps: playing journeys alone, and holding a load for a window while the probes watch.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use fissure_facts::arrangement::WEB;
use fissure_facts::fact::WindowEnd;
use fissure_facts::{Arrangement, Fact, Load, Purpose, WindowPlan};
use fissure_judge::warming::Warming;
use fissure_rig::crowd::{Crowd, CrowdEvent, CrowdPlan, JourneySource, Mode, ProblemSeen, monotonic_ns};
use fissure_rig::keeper;
use fissure_rig::lens::{Meter, Profiler, Watched};
use tokio::time::Instant;

use super::machine::CONNECTIONS_EVERY;
use super::{CHAOS, Interrupt, Lab, refuse_foreign_databases};
use crate::exit::{Exit, Failure};

/// Time for the crowd to start, read its plan and be ready, before its clock begins.
const CROWD_START: Duration = Duration::from_millis(120);
/// How long an interrupted crowd may take to say what it knows.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a window waits for the app to finish what the last one left over.
const REST_AT_MOST: Duration = Duration::from_secs(8);
/// Users without pauses who warm up each copy of an arrangement that has just started, and for how many seconds at most.
const WARMING_USERS: u32 = 4;
const WARMING_S: u32 = 10;

impl Lab<'_> {
    /// Starts the arrangement and plays each journey once, alone.
    pub(super) async fn play(
        &mut self,
        arrangement: &Arrangement,
        acknowledges_at_once: bool,
        interrupt: &mut Interrupt,
    ) -> Result<(), Failure> {
        if !self.ensure(arrangement, interrupt).await? {
            return Ok(());
        }
        let mut plan = self.crowd_plan(arrangement, Mode::Play, None);
        plan.acknowledges_at_once = acknowledges_at_once;
        plan.finds_writes = self.order.verb == CHAOS;
        // Whoever plays it again is somebody else, with names of their own: as far from the users of windows as from the first.
        let played = self.run.facts.iter().filter(|s| matches!(s.fact, Fact::JourneyPlayed { .. })).count();
        plan.seed = plan.seed.wrapping_add((played as u64) << 32);
        let foreign =
            self.stage.of(arrangement).map(|standing| standing.foreign_databases(CONNECTIONS_EVERY));
        let mut crowd = self.start_crowd(&plan).await?;
        loop {
            tokio::select! {
                event = crowd.next() => match event {
                    Some(Ok(CrowdEvent::Write(write))) => self.record(Fact::WriteSent(write))?,
                    Some(Ok(CrowdEvent::Shown(reading))) => self.record(Fact::WriteShown(reading))?,
                    Some(Ok(CrowdEvent::Played { journey, steps })) => {
                        let arrangement = arrangement.name.clone();
                        self.record(if acknowledges_at_once {
                            Fact::PlayedAcknowledging { journey, steps }
                        } else {
                            Fact::JourneyPlayed { arrangement, journey, steps }
                        })?;
                    }
                    Some(Ok(_)) => {}
                    Some(Err(e)) => return Err(Failure::new(Exit::Bug, e)),
                    None => break,
                },
                () = interrupt.came() => {
                    self.record(Fact::Interrupted)?;
                    break;
                }
            }
        }
        self.bury(arrangement)?;
        if let Some(foreign) = foreign {
            refuse_foreign_databases(self.project, &foreign)?;
        }
        if self.order.verb == CHAOS && !self.run.was_interrupted() {
            self.find_links(arrangement, interrupt).await?;
        }
        let strays =
            self.stage.of(arrangement).map(|s| s.stray_writes(&self.project.folder)).unwrap_or_default();
        if let Some(path) = strays.first() {
            return Err(Failure::new(
                Exit::BadInput,
                format!(
                    "the app writes to {} although it runs in a scratch copy: its configuration names that path. Make the \
                     path relative to the app's folder, or accept changes to your data with --in-place.",
                    path.display()
                ),
            ));
        }
        Ok(())
    }

    /// Holds a load for one window.
    pub(super) async fn hold(&mut self, plan: &WindowPlan, interrupt: &mut Interrupt) -> Result<(), Failure> {
        if let Err(why) = self.prepare_stage(plan).await {
            // Nothing would be learnt from the window.
            return self.record(Fact::FaultNotTried { window: plan.window, why });
        }
        let stood = self.stage.of(&plan.arrangement).is_some();
        if !self.ensure(&plan.arrangement, interrupt).await? {
            return Ok(());
        }
        if !stood && plan.purpose != Purpose::Asked && !self.warm(plan, interrupt).await? {
            return Ok(());
        }
        if plan.purpose.is_profile() {
            self.prepare_profilers(&plan.arrangement).await;
        }
        if self.order.running.is_none() {
            self.rest(&plan.arrangement).await;
        }
        if !self.wait_for_start(interrupt).await? {
            return Ok(());
        }

        let mut trial = self.prepare_fault(plan)?;
        let mode = Mode::Hold {
            window: plan.window,
            load: plan.load.clone(),
            emphasis: plan.emphasis.clone(),
            warmup_s: plan.warmup_s,
            seconds: plan.seconds,
        };
        let start = Instant::now() + CROWD_START;
        let start_at_ns = monotonic_ns() + CROWD_START.as_nanos() as u64;
        let mut crowd_plan = self.crowd_plan(&plan.arrangement, mode, Some(start_at_ns));
        crowd_plan.seed = plan.seed;
        crowd_plan.visit_max_s = plan.visit_max_s;
        crowd_plan.read_back = plan.read_back().to_vec();
        let mut crowd = self.start_crowd(&crowd_plan).await?;

        let measured = start + Duration::from_secs_f64(plan.warmup_s);
        let mut meter = Meter::new();
        // None: the warm-up is still on. Some(k): second k is being watched.
        let mut second: Option<u32> = None;
        // The crowd may end a moment before the last second is read.
        let (mut has_ended, mut is_cut_short) = (false, false);
        let mut last_words: Option<Instant> = None;
        let mut profiler: Option<Profiler> = None;
        let mut profiled = None;
        loop {
            let next = measured + Duration::from_secs(second.map_or(0, |k| u64::from(k) + 1));
            let watching = second.is_none_or(|k| k < plan.seconds);
            if has_ended && (is_cut_short || second.is_none() || !watching) {
                break;
            }
            tokio::select! {
                event = crowd.next(), if !has_ended => match event {
                    Some(Ok(CrowdEvent::Second(seen))) => {
                        self.progress.second(&seen);
                        self.record(Fact::SecondPassed(seen))?;
                    }
                    Some(Ok(CrowdEvent::Ended(end))) => {
                        is_cut_short = end.cut_short.is_some();
                        self.record(Fact::WindowEnded(end))?;
                    }
                    Some(Ok(CrowdEvent::Problem(problem))) => {
                        self.progress.problem(&problem.to_string());
                        let ProblemSeen { journey, route, class, sentence } = problem;
                        let window = plan.window;
                        self.record(Fact::ProblemSeen { window, journey, route, class, sentence })?;
                    }
                    Some(Ok(CrowdEvent::ReadBack(told))) => self.record(Fact::ReadBack(told))?,
                    Some(Ok(_)) => {}
                    // A window without its crowd is void, no more: the machine may have been too busy to start it in time.
                    Some(Err(e)) => {
                        let (window, cut_short) = (plan.window, Some(e.to_string()));
                        self.record(Fact::WindowEnded(WindowEnd { window, planned: 0, unanswered: BTreeMap::new(), users_planned: None, cut_short }))?;
                        break;
                    }
                    None => has_ended = true,
                },
                () = tokio::time::sleep_until(next), if watching => {
                    let watched = self.watched(&plan.arrangement, crowd.pid());
                    match second {
                        None => {
                            meter.begin(&watched);
                            second = Some(0);
                            if plan.purpose.is_profile() {
                                profiler = Some(Profiler::start(&self.subject(&plan.arrangement)));
                            }
                        }
                        Some(k) => {
                            let sample = meter.second(&watched, plan.window, k);
                            self.progress.sample(&sample);
                            let suffers = self.host_suffers(&sample) && last_words.is_none();
                            self.record(Fact::Sampled(sample))?;
                            if let Some(trial) = trial.as_mut().filter(|_| suffers) {
                                self.lift(trial, plan).await;
                                crowd.stop("the machine ran short of memory, so the fault was lifted").await;
                                last_words = Some(Instant::now() + LAST_WORDS);
                            }
                            second = Some(k + 1);
                        }
                    }
                    if let (Some(trial), Some(second)) = (&mut trial, second) {
                        self.at_second(trial, plan, second).await?;
                    }
                    if second == Some(plan.seconds) && let Some(profiler) = profiler.take() {
                        let window = plan.window;
                        profiled = Some(tokio::task::spawn_blocking(move || profiler.finish(window)));
                    }
                    self.bury(&plan.arrangement)?;
                    self.progress.tick();
                }
                // What is known so far is worth hearing, but not for ever.
                () = interrupt.came(), if last_words.is_none() => {
                    self.record(Fact::Interrupted)?;
                    crowd.stop("interrupted").await;
                    last_words = Some(Instant::now() + LAST_WORDS);
                }
                () = tokio::time::sleep_until(last_words.unwrap_or(start)), if last_words.is_some() => break,
            }
        }
        self.keep(profiled).await?;
        self.bury(&plan.arrangement)?;
        self.clear_up(trial, plan).await;
        Ok(())
    }

    /// Copies that have just started are cold, and what they load and compile at their first requests is not what their
    /// arrangement costs: they get some load that nobody measures, until they are warm. False when the user interrupted.
    async fn warm(&mut self, plan: &WindowPlan, interrupt: &mut Interrupt) -> Result<bool, Failure> {
        let users = WARMING_USERS * plan.arrangement.copies();
        let mode = Mode::Hold {
            window: plan.window,
            load: Load::Closed { users },
            emphasis: None,
            warmup_s: 0.0,
            seconds: WARMING_S,
        };
        let crowd_plan = self.crowd_plan(&plan.arrangement, mode, None);
        let mut crowd = self.start_crowd(&crowd_plan).await?;
        let mut warming = Warming::of(&self.run);
        let mut meter = Meter::new();
        meter.begin(&self.watched(&plan.arrangement, crowd.pid()));
        loop {
            tokio::select! {
                event = crowd.next() => match event {
                    None => return Ok(true),
                    Some(Ok(CrowdEvent::Second(seen))) => {
                        let watched = self.watched(&plan.arrangement, crowd.pid());
                        let app_cpu_s = meter.second(&watched, plan.window, seen.second).app_cpu_s;
                        let right = seen.routes.values().map(|route| route.latency.count()).sum();
                        if warming.is_over(app_cpu_s, right) {
                            crowd.stop("warm").await;
                        }
                    }
                    Some(_) => {}
                },
                () = interrupt.came() => return self.record(Fact::Interrupted).map(|()| false),
            }
        }
    }

    /// Waits for the instant at which several machines begin together; false when the user interrupted.
    async fn wait_for_start(&mut self, interrupt: &mut Interrupt) -> Result<bool, Failure> {
        let Some(at) = self.order.start_at else { return Ok(true) };
        let Some(wait) = at.duration_since(SystemTime::now()).ok().and_then(|d| d.checked_sub(CROWD_START))
        else {
            return Err(Failure::new(
                Exit::CouldNotTell,
                "the time of --start-at has passed before everything was ready: choose a later one.",
            ));
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(true),
            () = interrupt.came() => self.record(Fact::Interrupted).map(|()| false),
        }
    }

    /// Makes the arrangement stand; false when it could not be started (which is then a fact) or the user interrupted.
    async fn ensure(
        &mut self,
        arrangement: &Arrangement,
        interrupt: &mut Interrupt,
    ) -> Result<bool, Failure> {
        if self.order.running.is_some() {
            return Ok(true);
        }
        let outcome = tokio::select! {
            outcome = self.stage.ensure(arrangement) => Some(outcome),
            () = interrupt.came() => None,
        };
        match outcome {
            Some(Ok(None)) => Ok(true),
            Some(Ok(Some(staged))) => self.record(staged).map(|()| true),
            Some(Err(failure)) => {
                self.record(Fact::StageFailed { arrangement: arrangement.name.clone(), failure })?;
                Ok(false)
            }
            None => self.record(Fact::Interrupted).map(|()| false),
        }
    }

    /// Waits until the app has finished what the last window left over, so that no window inherits a queue.
    async fn rest(&mut self, arrangement: &Arrangement) {
        const LOOK_EVERY: Duration = Duration::from_millis(100);
        let until = Instant::now() + REST_AT_MOST;
        // A queue before workers that wait burns no CPU; that the app answers again tells that it is gone.
        let app = &self.project.config.app;
        for process in self.stage.of(arrangement).into_iter().flat_map(|s| &mut s.processes) {
            let left = until.saturating_duration_since(Instant::now());
            let _ =
                keeper::wait_ready(&mut process.kept, process.port, app.protocol(), &app.health, left).await;
        }
        let mut meter = Meter::new();
        meter.begin(&self.watched(arrangement, 0));
        while Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
            let sample = meter.second(&self.watched(arrangement, 0), 0, 0);
            meter.begin(&self.watched(arrangement, 0));
            // A tenth of a CPU: timers and collectors of an idle app stay well below.
            if sample.app_cpu_s < 0.1 * sample.elapsed_s {
                break;
            }
        }
    }

    /// Records processes that ended by themselves.
    fn bury(&mut self, arrangement: &Arrangement) -> Result<(), Failure> {
        let deaths = self.stage.of(arrangement).map(super::stage::Standing::deaths).unwrap_or_default();
        deaths.into_iter().try_for_each(|fact| self.record(fact))
    }

    fn watched(&mut self, arrangement: &Arrangement, crowd: u32) -> Watched {
        let mut roles: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let mut guards = Vec::new();
        if let Some(standing) = self.stage.of(arrangement) {
            for process in &standing.processes {
                roles.entry(process.role.clone()).or_default().extend(process.kept.tree());
                guards.push(process.kept.guard_pid());
            }
        }
        Watched { roles, guards, crowd, app_cpus: self.cpus.app.clone(), crowd_cpus: self.cpus.crowd.clone() }
    }

    async fn start_crowd(&self, plan: &CrowdPlan) -> Result<Crowd, Failure> {
        Crowd::start(&self.program, plan).await.map_err(|e| Failure::new(Exit::CouldNotTell, e))
    }

    fn crowd_plan(&mut self, arrangement: &Arrangement, mode: Mode, start_at_ns: Option<u64>) -> CrowdPlan {
        let mut targets = self.stage.of(arrangement).map(|standing| standing.addresses()).unwrap_or_default();
        // Where a fault is to befall the way from the users, a relay stands before the role.
        for address in targets.values_mut().flatten() {
            address.set_port(self.doors.get(&address.port()).copied().unwrap_or(address.port()));
        }
        self.crowd_plan_for(targets, arrangement, mode, start_at_ns)
    }

    /// The same for processes that stand apart.
    pub(super) fn crowd_plan_for(
        &self,
        mut targets: BTreeMap<String, Vec<SocketAddr>>,
        arrangement: &Arrangement,
        mode: Mode,
        start_at_ns: Option<u64>,
    ) -> CrowdPlan {
        // Where the app believes to be.
        let told = self.project.config.app.port.filter(|_| self.stage.moves_port);
        let mut host = told.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string());
        let mut own_hosts = BTreeMap::new();
        if let Some((destination, authority)) = &self.order.running {
            targets.insert(WEB.to_owned(), vec![destination.address]);
            own_hosts.clone_from(&destination.own_hosts);
            host = Some(authority.clone());
        }
        let settings = &self.project.config.load;
        let sources = self.project.journeys.iter().map(|loaded| JourneySource {
            name: loaded.journey.name.clone(),
            text: loaded.text.clone(),
            folder: loaded.folder.clone(),
            weight: loaded.weight,
        });
        CrowdPlan {
            mode,
            journeys: sources.collect(),
            routes: self.project.config.named_routes(),
            data: self.project.data.clone(),
            variables: BTreeMap::new(),
            targets,
            protocol: self.project.config.app.protocol(),
            table: arrangement.table.clone(),
            own_hosts,
            host,
            finds_writes: false,
            read_back: Vec::new(),
            acknowledges_at_once: false,
            concurrency: arrangement.concurrency.clone(),
            closes: arrangement.closes,
            hand_on: settings.hand_on,
            at_once: settings.connections,
            think_max_s: self.project.config.users.think_max.0.as_secs_f64(),
            visit_max_s: None,
            timeout_s: self.project.config.users.timeout.0.as_secs_f64(),
            seed: self.run.header.seed,
            cpus: self.cpus.crowd.clone(),
            start_at_ns,
        }
    }
}
