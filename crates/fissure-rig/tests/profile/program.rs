//! Small programs: built, started, looked into, ended.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Frame, Stack};
use fissure_rig::lens::{Hooks, Profiler, Subject};
use rustix::process::{Pid, Signal, kill_process};

/// Long enough to see what waits.
const WATCH: Duration = Duration::from_secs(2);
/// What a busy program works at least while it is watched, in hundredths of a second of CPU: enough for hundreds of
/// samples, however long a loaded machine takes for it.
const WORK_TICKS: u64 = 150;
const WORKS_WITHIN: Duration = Duration::from_secs(60);

/// One program is watched at a time: they would take each other's CPU.
static ALONE: Mutex<()> = Mutex::new(());

/// A folder with a source and the program that runs in it; both go away with the test.
pub struct Program {
    folder: tempfile::TempDir,
    source: String,
    child: Child,
    hooks: Option<Hooks>,
    _alone: MutexGuard<'static, ()>,
}

impl Drop for Program {
    fn drop(&mut self) {
        // Asked, not killed: a JVM then takes its socket in /tmp away. Nobody here refuses.
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        let _ = kill_process(pid, Signal::TERM);
        let _ = self.child.wait();
    }
}

impl Program {
    /// A C program with line tables and without frame pointers, as release builds are.
    pub fn of_c(name: &str, text: &str) -> Self {
        let arguments = ["-O2", "-g", "-fomit-frame-pointer", "-pthread", "-o"];
        Self::built(name, text, Command::new("cc").args(arguments))
    }

    /// A program that the command makes of its source; the names of both come at the command's end.
    pub fn built(name: &str, text: &str, compiler: &mut Command) -> Self {
        Self::started(name, text, compiler, Stdio::null())
    }

    /// The same, for one that says something; [`Program::output`] is to be read.
    pub fn built_and_heard(name: &str, text: &str, compiler: &mut Command) -> Self {
        Self::started(name, text, compiler, Stdio::piped())
    }

    pub fn output(&mut self) -> &mut std::process::ChildStdout {
        self.child.stdout.as_mut().unwrap()
    }

    fn started(name: &str, text: &str, compiler: &mut Command, output: Stdio) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join(name);
        std::fs::write(&source, text).unwrap();
        let program = folder.path().join("program");
        let built = compiler.args([&program, &source]).current_dir(&folder).status();
        assert!(built.unwrap().success(), "{name} is compiled");
        let child =
            Command::new(&program).current_dir(&folder).stdin(Stdio::null()).stdout(output).spawn().unwrap();
        Self { folder, source: text.to_owned(), child, hooks: None, _alone: alone }
    }

    /// A program for `node` or `python3`, started as fissure starts an app for the profilers. It says when it is ready.
    pub fn of(interpreter: &str, name: &str, text: &str) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join(name);
        std::fs::write(&source, text).unwrap();
        let hooks = Hooks::create(&folder.path().join("hooks")).unwrap();
        let mut child = Command::new(interpreter)
            .arg(&source)
            .current_dir(&folder)
            .envs(hooks.environment(|_| None))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready");
        Self { folder, source: text.to_owned(), child, hooks: Some(hooks), _alone: alone }
    }

    /// The program and its children.
    pub fn processes(&self) -> Vec<u32> {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid()));
        let children = children.unwrap_or_default();
        [self.pid()].into_iter().chain(children.split_whitespace().map(|pid| pid.parse().unwrap())).collect()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The number of the line with this mark.
    pub fn line(&self, mark: &str) -> u32 {
        self.source.lines().position(|line| line.contains(mark)).unwrap() as u32 + 1
    }

    /// What the instrument of this name sees of a program that works without end.
    pub fn look_at_work(&self, instrument: &str) -> Profile {
        self.look_until(instrument, || {
            let (began, until) = (self.ticks(), Instant::now() + WORKS_WITHIN);
            while self.ticks() < began + WORK_TICKS && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(50));
            }
        })
    }

    /// CPU of the program's threads so far, as the kernel's scheduler counts it.
    pub fn cpu_s(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let ns = tasks.filter_map(|task| {
            let stat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<f64>().ok()
        });
        ns.sum::<f64>() / 1e9
    }

    /// CPU of the program and its children so far.
    fn ticks(&self) -> u64 {
        let of = |pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(11).take(2);
            fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>()
        };
        self.processes().into_iter().map(of).sum()
    }

    /// What the instrument of this name sees.
    pub fn look(&self, instrument: &str) -> Profile {
        self.look_until(instrument, || std::thread::sleep(WATCH))
    }

    fn look_until(&self, instrument: &str, wait: impl FnOnce()) -> Profile {
        let processes = self.processes();
        let cpus = (0..std::thread::available_parallelism().unwrap().get()).collect();
        let folders: Vec<PathBuf> = vec![self.folder().to_path_buf()];
        let hooks = self.hooks.as_ref().map(|hooks| hooks.folder().to_path_buf());
        let subject = Subject { processes, cpus, folders, hooks, ..Subject::default() };
        Profiler::prepare(&subject);
        let profiler = Profiler::start(&subject);
        wait();
        let seen = profiler.finish(7);
        assert!(!seen.blind.iter().any(|(name, _)| *name == instrument), "{:?}", seen.blind);
        seen.profiles.into_iter().find(|p| p.instrument == instrument).unwrap()
    }
}

/// The innermost frame in the app's own files.
pub fn own<'p>(profile: &'p Profile, stack: &'p Stack) -> Option<&'p Frame> {
    profile.frames(stack).find(|frame| frame.in_app)
}

/// Share of the samples of threads that were doing `what` whose innermost own frame is as wanted.
pub fn share(profile: &Profile, what: impl Fn(&Doing) -> bool, wanted: impl Fn(&Frame) -> bool) -> f64 {
    let count = |keep: &dyn Fn(&Stack) -> bool| {
        let kept = profile.stacks.iter().filter(|s| what(&s.doing) && keep(s));
        kept.map(|stack| stack.count).sum::<u64>() as f64
    };
    count(&|stack| own(profile, stack).is_some_and(&wanted)) / count(&|_| true).max(1.0)
}
