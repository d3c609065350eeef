//! Small programs: built, started, looked into, ended.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Frame, Stack};
use fissure_rig::lens::{Profiler, Subject};

/// Long enough for hundreds of samples of a busy thread.
const WATCH: Duration = Duration::from_secs(2);

/// A folder with a source and the program that runs in it; both go away with the test.
pub struct Program {
    folder: tempfile::TempDir,
    source: String,
    child: Child,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// A C program with line tables and without frame pointers, as release builds are.
    pub fn of_c(name: &str, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join(name);
        std::fs::write(&source, text).unwrap();
        let program = folder.path().join("program");
        let built = Command::new("cc")
            .args(["-O2", "-g", "-fomit-frame-pointer", "-pthread", "-o"])
            .args([&program, &source])
            .status();
        assert!(built.unwrap().success(), "a C compiler is needed to build fissure, too");
        let child = Command::new(&program).current_dir(&folder).stdin(Stdio::null()).spawn().unwrap();
        Self { folder, source: text.to_owned(), child }
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

    /// What the instrument of this name sees.
    pub fn look(&self, instrument: &str) -> Profile {
        let processes = vec![self.pid()];
        let cpus = (0..std::thread::available_parallelism().unwrap().get()).collect();
        let folders: Vec<PathBuf> = vec![self.folder().to_path_buf()];
        let profiler = Profiler::start(&Subject { processes, cpus, folders });
        std::thread::sleep(WATCH);
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
