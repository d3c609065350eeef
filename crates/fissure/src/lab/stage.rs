//! The stage: arrangements that are running now, each on a scratch copy of its own.
//!
//! Several arrangements may stand side by side, so that rehearsals can be interleaved; those that are not under load
//! only idle. An app on a fixed port, and `--in-place`, leave room for one.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::{Duration, Instant};

use fissure_facts::arrangement::{CACHE, CACHE_FOR_S, WEB};
use fissure_facts::config::{Before, Link, LinkKind};
use fissure_facts::fact::{StageFailure, StagedProcess};
use fissure_facts::{Arrangement, Fact, FaultKind};
use fissure_rig::cache;
use fissure_rig::faults::{clock, inject};
use fissure_rig::keeper::{self, CpuSplit, Intercept, Kept, Launch, MovedPort};
use fissure_rig::lens::{Database, ForeignDatabases, Hooks};
use fissure_rig::scratch::{self, Scratch, ScratchDatabase};
use fissure_rig::wire::{LinkAddress, Relay};

use crate::project::Project;
use crate::runs;

/// How many of the app's last lines a failure shows.
const LAST_LINES: usize = 15;
/// How long a killed process may keep its port.
const PORT_FREE_WITHIN: Duration = Duration::from_secs(2);

pub struct Stage<'p> {
    project: &'p Project,
    in_place: bool,
    /// Each process gets a port of its own even where the app's code says which it takes.
    pub moves_port: bool,
    /// Where users come in, if that is not the app's own address.
    pub base: Option<String>,
    program: PathBuf,
    run_folder: PathBuf,
    cpus: CpuSplit,
    standing: Vec<Standing>,
    /// Relays in the app's links, for faults; none in other runs.
    links: Vec<RelayedLink>,
    /// The fault for which the next app is started, if it needs that.
    prepared: Option<FaultKind>,
}

/// A link of the app that leads through a relay.
pub struct RelayedLink {
    pub name: String,
    variable: String,
    address: LinkAddress,
    pub relay: Relay,
}

/// One arrangement with its processes.
pub struct Standing {
    pub arrangement: Arrangement,
    pub processes: Vec<Process>,
    /// Of the copy that is kept for the profilers.
    hooks: Option<Hooks>,
    /// Copies of database servers' data, of this arrangement alone.
    databases: Vec<ScratchDatabase>,
    /// Dropped after the processes: it deletes the folder in which they ran.
    scratch: Option<Scratch>,
}

pub struct Process {
    pub role: String,
    pub replica: u32,
    pub port: u16,
    pub kept: Kept,
    /// How it was started, so that it can be started again.
    launch: Launch,
    /// Its death was recorded.
    pub buried: bool,
}

impl<'p> Stage<'p> {
    pub fn new(
        project: &'p Project,
        in_place: bool,
        program: &Path,
        run_folder: &Path,
        cpus: &CpuSplit,
    ) -> Self {
        Self {
            project,
            in_place,
            moves_port: false,
            base: None,
            program: program.to_path_buf(),
            run_folder: run_folder.to_path_buf(),
            cpus: cpus.clone(),
            standing: Vec::new(),
            links: Vec::new(),
            prepared: None,
        }
    }

    /// Stands in every declared link whose address is in an environment variable and on this machine; the others are
    /// given back with the reason.
    pub fn stand_in_links(&mut self, cpus: &[usize]) -> Vec<(String, String)> {
        let mut left_out = Vec::new();
        let own = &self.project.folder;
        let env = self.environment((own, own), WEB, 0, &[]);
        for (name, link) in &self.project.config.links {
            let Some(variable) = link.env.clone() else {
                left_out.push((name.clone(), "no `env` says where its address is".to_owned()));
                continue;
            };
            let Some(value) = value_of(&env, &variable) else {
                left_out.push((name.clone(), format!("${variable} is not set")));
                continue;
            };
            let relayed = LinkAddress::parse(&value).map_err(|e| e.to_string()).and_then(|address| {
                let relay = Relay::start(0, address.upstream, cpus).map_err(|e| e.to_string())?;
                Ok(RelayedLink { name: name.clone(), variable, address, relay })
            });
            match relayed {
                Ok(link) => self.links.push(link),
                Err(why) => left_out.push((name.clone(), why)),
            }
        }
        left_out
    }

    pub fn relays(&self) -> impl Iterator<Item = (&str, &Relay)> {
        self.links.iter().map(|link| (link.name.as_str(), &link.relay))
    }

    pub fn link(&self, name: &str) -> Option<&RelayedLink> {
        self.links.iter().find(|link| link.name == name)
    }

    /// From now on apps are started so that this fault can befall them; those that stand are ended.
    pub async fn prepare(&mut self, fault: Option<FaultKind>) {
        if self.prepared != fault {
            self.strike().await;
            self.prepared = fault;
        }
    }

    /// The file that shifts the clock of an app that was started for it.
    pub fn clock_file(&self) -> PathBuf {
        self.run_folder.join("clock")
    }

    /// What an app that is started for a fault gets beside its own environment.
    fn instruments(&self, env: &mut Vec<(String, String)>) -> Option<Intercept> {
        match self.prepared? {
            FaultKind::DiskFull => Some(Intercept::Writes),
            FaultKind::Fsync => Some(Intercept::Syncs),
            FaultKind::Clock { .. } => {
                let preloaded = value_of(env, "LD_PRELOAD");
                let library = clock::library()?;
                // Without the file the clock is right, and the fault says that it could not be injected.
                env.extend(
                    clock::environment(&library, &self.clock_file(), preloaded.as_deref())
                        .unwrap_or_default(),
                );
                None
            }
            _ => None,
        }
    }

    /// Ends one arrangement, so that the next window begins with a fresh one.
    pub async fn strike_one(&mut self, arrangement: &Arrangement) {
        if let Some(index) = self.standing.iter().position(|s| s.arrangement == *arrangement) {
            self.standing.remove(index).strike().await;
        }
    }

    /// Starts the processes of a role again, as a supervisor would: in the same folder, on the same port.
    pub async fn restart_role(&mut self, arrangement: &Arrangement, role: &str) -> Result<(), String> {
        let program = self.program.clone();
        let Some(standing) = self.of(arrangement) else { return Ok(()) };
        for process in standing.processes.iter_mut().filter(|p| p.role == role) {
            // Whoever still drains, or was started by somebody else, must let go of the port first.
            if inject(FaultKind::Restart, process.kept.guard_pid(), PORT_FREE_WITHIN).is_ok() {
                let until = Instant::now() + PORT_FREE_WITHIN;
                while !process.kept.tree().is_empty() && Instant::now() < until {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            let again = Kept::start(&program, &process.launch).await.map_err(|e| e.to_string())?;
            std::mem::replace(&mut process.kept, again).stop_within(Duration::ZERO).await;
            process.buried = false;
        }
        Ok(())
    }

    fn has_room_for_one(&self) -> bool {
        self.in_place || self.only_port().is_some()
    }

    /// The port of which there is one.
    fn only_port(&self) -> Option<u16> {
        self.project.config.app.port.filter(|_| !self.moves_port)
    }

    /// Starts the arrangement unless it stands already. Gives the fact when it was started.
    pub async fn ensure(&mut self, arrangement: &Arrangement) -> Result<Option<Fact>, StageFailure> {
        let whole_and_alive =
            |s: &Standing| s.arrangement == *arrangement && s.processes.iter().all(|p| !p.buried);
        if self.standing.iter().any(whole_and_alive) {
            return Ok(None);
        }
        let stale = |s: &Standing| s.arrangement == *arrangement;
        if let Some(index) = self.standing.iter().position(stale) {
            self.standing.remove(index).strike().await;
        }
        while !self.standing.is_empty() && (self.has_room_for_one() || memory_is_short()) {
            self.standing.remove(0).strike().await;
        }
        let began = Instant::now();
        let standing = self.start(arrangement, false, Vec::new()).await?;
        let processes = standing
            .processes
            .iter()
            .map(|p| StagedProcess {
                role: p.role.clone(),
                replica: p.replica,
                pid: p.kept.pid(),
                port: p.port,
            })
            .collect();
        self.standing.push(standing);
        let ready_ms = began.elapsed().as_secs_f64() * 1e3;
        Ok(Some(Fact::Staged { arrangement: arrangement.name.clone(), processes, ready_ms }))
    }

    pub fn of(&mut self, arrangement: &Arrangement) -> Option<&mut Standing> {
        self.standing.iter_mut().find(|s| s.arrangement == *arrangement)
    }

    /// Ends every process and deletes every copy.
    pub async fn strike(&mut self) {
        for standing in self.standing.drain(..) {
            standing.strike().await;
        }
    }

    /// Starts an arrangement beside those that stand, for the caller to keep and to strike.
    /// `at_once`: all its processes at the same instant.
    pub async fn start_apart(
        &mut self,
        arrangement: &Arrangement,
        at_once: bool,
    ) -> Result<Standing, StageFailure> {
        // A database to which somebody is connected cannot be copied, and apps stay connected.
        let is_held = self.copied_databases().next().is_some();
        while !self.standing.is_empty() && (is_held || self.has_room_for_one() || memory_is_short()) {
            self.standing.remove(0).strike().await;
        }
        let databases = self.copy_databases().await?;
        self.start(arrangement, at_once, databases).await
    }

    /// The PostgreSQL databases that the app is declared to ask.
    pub fn databases(&self) -> Vec<Database> {
        let folder = &self.project.folder;
        let env = self.environment((folder, folder), WEB, 0, &[]);
        let links = self.project.config.links.iter().filter(|(_, link)| link.kind == LinkKind::Postgres);
        let database = |(link, of): (&String, &Link)| {
            let variable = of.env.clone()?;
            let url = value_of(&env, &variable)?;
            Some(Database { link: link.clone(), variable, url })
        };
        links.filter_map(database).collect()
    }

    /// Those that the user has declared as disposable.
    fn copied_databases(&self) -> impl Iterator<Item = Database> {
        let is_disposable =
            |of: &Database| self.project.config.links.get(&of.link).is_some_and(|link| link.disposable);
        self.databases().into_iter().filter(is_disposable)
    }

    /// Of every PostgreSQL link that the user has declared as disposable: each stack finds the same, and none what another has left.
    async fn copy_databases(&self) -> Result<Vec<ScratchDatabase>, StageFailure> {
        let failed = |sentence: String| StageFailure { sentence, last_lines: Vec::new() };
        let mut copies = Vec::new();
        for Database { link, variable, url } in self.copied_databases() {
            copies.push(ScratchDatabase::create(&link, &variable, &url).await.map_err(failed)?);
        }
        Ok(copies)
    }

    async fn start(
        &self,
        arrangement: &Arrangement,
        at_once: bool,
        databases: Vec<ScratchDatabase>,
    ) -> Result<Standing, StageFailure> {
        let (scratch, folder) = self.copy(arrangement)?;
        // Without them the profilers see less, and say so.
        let hooks =
            arrangement.profiled.then(|| self.run_folder.join(format!("hooks-{}", std::process::id())));
        let hooks = hooks.and_then(|folder| Hooks::create(&folder).ok());
        let mut standing =
            Standing { arrangement: arrangement.clone(), processes: Vec::new(), hooks, databases, scratch };
        let elsewhere: Vec<(String, String)> =
            standing.databases.iter().map(|d| (d.variable.clone(), d.url().to_owned())).collect();

        let mut places = Vec::new();
        for role in &arrangement.roles {
            for replica in 0..role.replicas {
                places.push((role.name.clone(), replica, self.port()?));
            }
        }
        let app = &self.project.config.app;
        let source = self.source(arrangement);
        if let Some(command) = &app.setup {
            let launch = self.launch(
                "setup",
                command,
                &arrangement.name,
                &folder,
                [self.environment((&source, &folder), WEB, 0, &[]), elsewhere.clone()].concat(),
            );
            keeper::setup(&self.program, &launch, app.start_within.0).await.map_err(|e| StageFailure {
                sentence: format!("[app] setup: {e}"),
                last_lines: e.last_lines().to_vec(),
            })?;
        }
        let mut launches = Vec::new();
        for (role, replica, port) in &places {
            let mut env = self.environment((&source, &folder), role, *port, &places);
            env.extend(elsewhere.clone());
            if let Some(hooks) = &standing.hooks {
                let hooked = hooks.environment(|name| value_of(&env, name));
                env.extend(hooked);
            }
            let mut command = self.command(arrangement).to_owned();
            if role == CACHE {
                command = own_command(&self.program, cache::CACHE);
                env.push((cache::KEEPS_MS.to_owned(), format!("{:.0}", CACHE_FOR_S * 1e3)));
            }
            let mut launch =
                self.launch(&format!("{role}-{replica}"), &command, &arrangement.name, &folder, env);
            launch.moved = self.moved(role, *port);
            launches.push((role.clone(), *replica, *port, launch));
        }
        // One after the other, unless it is asked what happens otherwise.
        let mut started = Vec::new();
        if at_once {
            let starts = launches.iter().map(|(_, _, port, launch)| self.start_process(launch, *port));
            started = together(starts.collect()).await;
        } else {
            for (_, _, port, launch) in &launches {
                let kept = self.start_process(launch, *port).await;
                let failed = kept.is_err();
                started.push(kept);
                if failed {
                    break;
                }
            }
        }
        let mut failure = None;
        for ((role, replica, port, launch), kept) in launches.into_iter().zip(started) {
            match kept {
                Ok(kept) => {
                    standing.processes.push(Process { role, replica, port, kept, launch, buried: false });
                }
                Err(why) => failure = Some(why),
            }
        }
        if let Some(failure) = failure {
            standing.strike().await;
            return Err(failure);
        }
        Ok(standing)
    }

    /// Starts a process and waits until it is ready.
    async fn start_process(&self, launch: &Launch, port: u16) -> Result<Kept, StageFailure> {
        let failed = |sentence: String, last_lines| StageFailure { sentence, last_lines };
        let mut kept =
            Kept::start(&self.program, launch).await.map_err(|e| failed(e.to_string(), Vec::new()))?;
        let app = &self.project.config.app;
        match keeper::wait_ready(&mut kept, port, app.protocol(), &app.health, app.start_within.0).await {
            Ok(_) => Ok(kept),
            Err(e) => {
                let last_lines = kept.last_lines(LAST_LINES);
                kept.stop().await;
                Err(failed(e.to_string(), last_lines))
            }
        }
    }

    /// Ends every process of an arrangement and starts it again, in the same folder and on the same port.
    pub async fn restart(&self, standing: &mut Standing) -> Result<(), StageFailure> {
        for process in std::mem::take(&mut standing.processes) {
            let Process { role, replica, port, kept, launch, .. } = process;
            kept.stop().await;
            let kept = self.start_process(&launch, port).await?;
            standing.processes.push(Process { role, replica, port, kept, launch, buried: false });
        }
        Ok(())
    }

    /// How one process is started; `what` names its log.
    fn launch(
        &self,
        what: &str,
        command: &str,
        arrangement: &str,
        folder: &Path,
        mut env: Vec<(String, String)>,
    ) -> Launch {
        let intercept = self.instruments(&mut env);
        Launch {
            intercept,
            moved: None,
            label: format!("{arrangement} {what}"),
            command: command.to_owned(),
            folder: folder.to_path_buf(),
            env,
            clear_env: Vec::new(),
            cpus: self.cpus.app.clone(),
            output: self.run_folder.join(format!("app-{}-{what}.log", file_word(arrangement))),
        }
    }

    /// The program as it was, of an arrangement that runs it.
    fn before(&self, arrangement: &Arrangement) -> Option<&Before> {
        self.project.config.before.as_ref().filter(|_| arrangement.before)
    }

    fn command(&self, arrangement: &Arrangement) -> &str {
        self.before(arrangement).map_or(&self.project.config.app.command, |before| &before.command)
    }

    /// The folder with the arrangement's program.
    fn source(&self, arrangement: &Arrangement) -> PathBuf {
        let folder = self.before(arrangement).and_then(|before| before.folder.as_ref());
        folder.map_or_else(|| self.project.folder.clone(), |folder| self.project.folder.join(folder))
    }

    /// The folder in which the arrangement runs: a scratch copy, or the app's own.
    fn copy(&self, arrangement: &Arrangement) -> Result<(Option<Scratch>, PathBuf), StageFailure> {
        let source = self.source(arrangement);
        if self.in_place {
            return Ok((None, source));
        }
        let root = runs::home(&self.project.folder).join("scratch");
        let copy = Scratch::copy(&source, &root)
            .map_err(|e| StageFailure { sentence: e.to_string(), last_lines: Vec::new() })?;
        let folder = copy.path().to_path_buf();
        Ok((Some(copy), folder))
    }

    /// Where a process gets `to` although its code says otherwise. fissure's own cache reads its port.
    fn moved(&self, role: &str, to: u16) -> Option<MovedPort> {
        let from = self.project.config.app.port.filter(|_| self.moves_port && role != CACHE)?;
        Some(MovedPort { from, to })
    }

    fn port(&self) -> Result<u16, StageFailure> {
        let failed = |sentence: String| StageFailure { sentence, last_lines: Vec::new() };
        match self.only_port() {
            None => keeper::free_port().map_err(|e| failed(format!("no port is free on 127.0.0.1: {e}."))),
            Some(port) => match keeper::port_taken(port) {
                None => Ok(port),
                Some(by) => Err(failed(format!(
                    "port {port} is taken by {by}: stop that program, or let the app listen on $PORT and remove \
                     `port = {port}` from fissure.toml."
                ))),
            },
        }
    }

    /// What the app finds in its environment besides fissure's own: the configuration's variables (with the app's
    /// folder, the first, replaced by the copy's, the second), its port, its role, the address that users ask, and the
    /// address of every other role.
    fn environment(
        &self,
        (source, folder): (&Path, &Path),
        role: &str,
        port: u16,
        places: &[(String, u32, u16)],
    ) -> Vec<(String, String)> {
        let mut env: Vec<(String, String)> = std::env::vars()
            .filter(|(_, value)| value.contains(&*source.to_string_lossy()))
            .filter(|(name, _)| name != "PATH" && name != "PWD" && name != "OLDPWD")
            .chain(scratch::dotenv(source, folder))
            .chain(self.project.config.app.env.clone())
            .map(|(name, value)| (name, scratch::rewrite(&value, source, folder)))
            .collect();
        for link in &self.links {
            env.push((link.variable.clone(), link.address.through(link.relay.port())));
        }
        // What the app is told agrees with what its code says.
        let told = self.moved(role, port).map_or(port, |moved| moved.from);
        env.push(("PORT".to_owned(), told.to_string()));
        env.push(("FISSURE_ROLE".to_owned(), role.to_owned()));
        // All copies are asked by the name of the first.
        let first = places.iter().find(|(name, _, _)| name == WEB).map_or(port, |(_, _, port)| *port);
        let asked = self.moved(role, first).map_or(first, |moved| moved.from);
        let scheme = self.project.config.app.protocol().scheme();
        let base = self.base.clone().unwrap_or_else(|| format!("{scheme}://127.0.0.1:{asked}"));
        env.push(("FISSURE_BASE".to_owned(), base));
        for (name, _, port) in places.iter().filter(|(_, replica, _)| *replica == 0) {
            env.push((format!("{}_URL", name.to_ascii_uppercase()), format!("http://127.0.0.1:{port}")));
        }
        env
    }
}

/// What the app will find under this name: the last one counts, and what it is not given it has from fissure's own.
fn value_of(env: &[(String, String)], name: &str) -> Option<String> {
    let given = env.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    given.or_else(|| std::env::var(name).ok())
}

impl Standing {
    /// Processes that ended by themselves since the last look, as facts.
    pub fn deaths(&mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        for process in self.processes.iter_mut().filter(|p| !p.buried) {
            if let Some(how) = process.kept.died() {
                process.buried = true;
                facts.push(Fact::ChildDied {
                    arrangement: self.arrangement.name.clone(),
                    role: process.role.clone(),
                    replica: process.replica,
                    how,
                    last_lines: process.kept.last_lines(LAST_LINES),
                });
            }
        }
        facts
    }

    /// Looks from now on at which database servers it is connected to.
    pub fn foreign_databases(&self, every: Duration) -> ForeignDatabases {
        let guards = self.processes.iter().map(|process| process.kept.guard_pid()).collect();
        ForeignDatabases::watch(guards, every)
    }

    /// Where each role listens.
    pub fn addresses(&self) -> BTreeMap<String, Vec<SocketAddr>> {
        let mut addresses: BTreeMap<String, Vec<SocketAddr>> = BTreeMap::new();
        for process in &self.processes {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, process.port));
            addresses.entry(process.role.clone()).or_default().push(address);
        }
        addresses
    }

    /// The copy in which it runs; None: the app's own folder.
    pub fn copy(&self) -> Option<&Path> {
        self.scratch.as_ref().map(Scratch::path)
    }

    /// Copies of the data of database servers.
    pub fn databases(&self) -> &[ScratchDatabase] {
        &self.databases
    }

    /// The folder that lets profilers look inside.
    pub fn hooks(&self) -> Option<&Path> {
        self.hooks.as_ref().map(Hooks::folder)
    }

    /// Files outside the scratch copy and inside the app's own folder that the app holds open for writing, without what
    /// fissure keeps there itself: what the app prints goes to a file of the run.
    pub fn stray_writes(&self, app_folder: &Path) -> Vec<PathBuf> {
        let Some(scratch) = &self.scratch else { return Vec::new() };
        let pids: Vec<u32> = self.processes.iter().flat_map(|p| p.kept.tree()).collect();
        let outside = scratch::files_open_for_writing_outside(&pids, &[scratch.path().to_path_buf()]);
        let kept = app_folder.join(".fissure");
        outside.into_iter().filter(|path| path.starts_with(app_folder) && !path.starts_with(&kept)).collect()
    }

    /// Ends every process; the copy stays, to be looked at.
    pub async fn end_processes(&mut self) -> Option<&Path> {
        for process in std::mem::take(&mut self.processes) {
            process.kept.stop().await;
        }
        self.copy()
    }

    pub async fn strike(mut self) {
        self.end_processes().await;
        drop(self.databases);
        drop(self.scratch);
    }
}

/// Waits for all of them at once.
async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(|context| {
        let mut all_ready = true;
        for (future, output) in running.iter_mut().filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(value) => *output = Some(value),
                Poll::Pending => all_ready = false,
            }
        }
        if all_ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

/// A command line by which a shell starts fissure itself.
fn own_command(program: &Path, arm: &str) -> String {
    format!("exec '{}' {arm}", program.to_string_lossy().replace('\'', "'\\''"))
}

/// A name as part of a file name.
fn file_word(name: &str) -> String {
    let mut word: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    word.truncate(60);
    word
}

/// Less than a fifth of the machine's memory is left: another copy of the app may not fit.
fn memory_is_short() -> bool {
    let Ok(text) = std::fs::read_to_string("/proc/meminfo") else { return false };
    let field = |name: &str| -> Option<f64> {
        text.lines().find_map(|l| l.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
    };
    match (field("MemAvailable:"), field("MemTotal:")) {
        (Some(available), Some(total)) => available < total * 0.2,
        _ => false,
    }
}
