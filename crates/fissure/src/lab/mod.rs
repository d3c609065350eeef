//! The lab conducts a run: asks the planner for the next step, has the rig perform it, records the facts.
//!
//! The only place that talks to both the rig and the judge.

mod fault;
mod hold;
mod machine;
mod profile;
mod shadow;
mod stage;
mod touch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use fissure_facts::journal::Journal;
use fissure_facts::lines::LinesError;
use fissure_facts::run::FORMAT;
use fissure_facts::{Fact, Header, Run, Stamped, Step};
use fissure_judge::Planned;
use fissure_rig::crowd::Destination;
use fissure_rig::keeper::{CpuSplit, cpu_split};
use fissure_rig::shadow::Veil;

use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::project::Project;
use crate::runs;
pub use machine::{moves_port, refuse_foreign_databases, refuse_shared_data};

/// The verb whose runs break things.
pub const CHAOS: &str = "chaos";
/// What a run is called that holds the old program against the new one.
pub const PROOF: &str = "proof";
pub use stage::{Stage, Standing};

/// What the command line adds to a project.
#[derive(Debug, Clone)]
pub struct Order {
    pub verb: &'static str,
    pub seed: u64,
    pub in_place: bool,
    pub keep: Keep,
    /// A server that runs already, with what `Host` says; otherwise the app is started.
    pub running: Option<(Destination, String)>,
    /// When the warm-up of a window is to begin, so that several machines begin together.
    pub start_at: Option<SystemTime>,
}

/// Where a run is kept.
#[derive(Debug, Clone)]
pub enum Keep {
    /// In `.fissure/runs` beside the app.
    InProject,
    /// In this folder.
    At(PathBuf),
    Nowhere,
}

/// Conducts a whole run and gives it back with its folder, if it is kept. What went wrong on the way is in its facts.
pub fn conduct(
    project: &Project,
    order: &Order,
    plan: &mut dyn FnMut(&Run) -> Planned,
    progress: &mut Progress,
) -> Result<(Run, Option<PathBuf>), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| {
        Failure::new(Exit::CouldNotTell, format!("the machine gives fissure no event loop: {e}."))
    })?;
    runtime.block_on(Lab::open(project, order, progress)?.conduct(plan))
}

struct Lab<'p> {
    project: &'p Project,
    order: &'p Order,
    run: Run,
    /// With the folder in which it lies.
    journal: Option<(Journal, PathBuf)>,
    began: Instant,
    stage: Stage<'p>,
    progress: &'p mut Progress,
    veil: Veil,
    cpus: CpuSplit,
    program: PathBuf,
    /// Ports of roles -> ports of the relays before them, while a fault is to befall the way from the users.
    doors: BTreeMap<u16, u16>,
}

impl<'p> Lab<'p> {
    fn open(project: &'p Project, order: &'p Order, progress: &'p mut Progress) -> Result<Self, Failure> {
        let home = runs::home(&project.folder);
        let unwritable = |e: std::io::Error| {
            Failure::new(Exit::CouldNotTell, format!("{} cannot be written: {e}.", home.display()))
        };
        if matches!(order.keep, Keep::InProject) || order.running.is_none() {
            runs::prepare(&project.folder).map_err(unwritable)?;
        }
        let program = std::env::current_exe().map_err(unwritable)?;
        // What outlived a fissure that was killed together with its guards.
        fissure_rig::keeper::sweep();
        fissure_rig::scratch::sweep(&home.join("scratch"));

        let cpus = cpu_split(project.config.limits.app_cpus);
        let header = Header {
            format: FORMAT.to_owned(),
            fissure: env!("CARGO_PKG_VERSION").to_owned(),
            run: runs::new_name(order.seed),
            started_unix_s: runs::unix_s(),
            verb: order.verb.to_owned(),
            seed: order.seed,
            machine: machine::describe(project, &cpus),
            config: machine::known_config(project),
            journeys: project.outlines(),
        };
        let folder = match &order.keep {
            Keep::InProject => Some(home.join("runs").join(&header.run)),
            Keep::At(folder) => Some(folder.clone()),
            Keep::Nowhere => None,
        };
        let journal = match folder {
            Some(folder) => Some((Journal::create(&folder, &header).map_err(broken_journal)?, folder)),
            None => None,
        };
        // The app writes what it says into the run's folder.
        let logs = journal.as_ref().map_or_else(std::env::temp_dir, |(_, folder)| folder.clone());
        let mut stage = Stage::new(project, order.in_place, &program, &logs, &cpus);
        stage.moves_port = header.machine.moves_port;
        if order.verb == CHAOS {
            for (link, why) in stage.stand_in_links(&cpus.crowd) {
                progress.problem(&format!("faults of the link {link} are not tried: {why}"));
            }
        }
        Ok(Self {
            project,
            order,
            run: Run::new(header),
            journal,
            began: Instant::now(),
            stage,
            progress,
            veil: Veil::default(),
            cpus,
            program,
            doors: BTreeMap::new(),
        })
    }

    /// The loop of the design: plan, perform, record, until there is nothing more worth measuring.
    async fn conduct(
        mut self,
        plan: &mut dyn FnMut(&Run) -> Planned,
    ) -> Result<(Run, Option<PathBuf>), Failure> {
        let mut interrupt = Interrupt::listen();
        let of_goal = (self.run.header.verb == "check").then(|| self.project.users_without_pauses());
        let told = [self.project.shortened_pause(), self.project.unused_limits(), of_goal.flatten()];
        told.iter().flatten().for_each(|sentence| self.progress.note(sentence));
        let mut outcome;
        loop {
            let planned = plan(&self.run);
            if planned.step == Step::Finish {
                outcome = self.record(Fact::StepBegan { step: Step::Finish, why: planned.why });
                break;
            }
            self.progress.step(&planned.why, self.began.elapsed().as_secs_f64(), planned.remaining_s);
            let began = Fact::StepBegan { step: planned.step.clone(), why: planned.why };
            outcome = match self.record(began) {
                Ok(()) => self.perform(planned.step, &mut interrupt).await,
                Err(e) => Err(e),
            };
            outcome = outcome.and_then(|()| self.flush());
            if outcome.is_err() || self.run.was_interrupted() {
                break;
            }
        }
        self.progress.clear();
        self.stage.strike().await;
        outcome?;
        self.flush()?;
        Ok((self.run, self.journal.map(|(_, folder)| folder)))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.journal.as_mut().map_or(Ok(()), |(journal, _)| journal.flush().map_err(broken_journal))
    }

    async fn perform(&mut self, step: Step, interrupt: &mut Interrupt) -> Result<(), Failure> {
        match step {
            Step::Play { arrangement } => self.play(&arrangement, false, interrupt).await,
            Step::PlayAcknowledging { arrangement } => self.play(&arrangement, true, interrupt).await,
            Step::Hold(plan) => self.hold(&plan, interrupt).await,
            Step::Shadow(plan) => self.shadow(&plan, interrupt).await,
            Step::Renew { arrangement } => {
                self.stage.strike_one(&arrangement).await;
                Ok(())
            }
            Step::Finish => Ok(()),
        }
    }

    /// Adds a fact, in memory and in the journal.
    fn record(&mut self, fact: Fact) -> Result<(), Failure> {
        let stamped = Stamped { at_s: self.began.elapsed().as_secs_f64(), fact };
        if let Some((journal, _)) = &mut self.journal {
            journal.append(&stamped).map_err(broken_journal)?;
        }
        self.run.add(stamped);
        Ok(())
    }
}

fn broken_journal(error: LinesError) -> Failure {
    Failure::new(Exit::CouldNotTell, format!("{error}."))
}

/// Ctrl-C or a request to end, as a future that can be asked again and again.
pub struct Interrupt {
    int: Option<tokio::signal::unix::Signal>,
    term: Option<tokio::signal::unix::Signal>,
}

impl Interrupt {
    pub fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self { int: signal(SignalKind::interrupt()).ok(), term: signal(SignalKind::terminate()).ok() }
    }

    pub async fn came(&mut self) {
        tokio::select! {
            () = one(self.int.as_mut()) => {}
            () = one(self.term.as_mut()) => {}
        }
    }
}

async fn one(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
