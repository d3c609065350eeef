//! Runs the real command on small apps and looks at what it says, returns and leaves behind.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod lesson;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HOSTILE: &str = include_str!("../apps/hostile.py");

/// The command under test.
pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_fissure"))
}

/// An app's folder that goes away with the test.
pub struct Folder {
    folder: tempfile::TempDir,
    app: String,
    users: String,
    goal: String,
    configured: bool,
}

impl Folder {
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, app: String::new(), users: String::new(), goal: String::new(), configured: false }
    }

    /// `hostile.py` with one bad habit, and one journey.
    pub fn with_hostile_app(habit: &str, journey: &str) -> Self {
        let mut folder = Self::empty();
        folder.configured = true;
        folder.app = format!(
            "command = \"exec python3 hostile.py\"\nhealth = \"/health\"\nenv = {{ HABIT = \"{habit}\" }}\n"
        );
        folder.goal = "users = 2\np95 = \"500ms\"".to_owned();
        folder.file("hostile.py", HOSTILE).file("journeys/home.hurl", journey)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(self, name: &str, text: &str) -> Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub fn without(self, name: &str) -> Self {
        std::fs::remove_file(self.path().join(name)).unwrap();
        self
    }

    /// More lines in [app].
    pub fn configured(mut self, lines: &str) -> Self {
        self.app += lines;
        self.app.push('\n');
        self
    }

    /// More lines in [users].
    pub fn users(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.users);
        self
    }

    pub fn goal(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.goal);
        self
    }

    /// `fissure check` with a budget that suffices for windows, not for a verdict.
    pub fn check(&self) -> Seen {
        self.start(&["check", "--budget", "8s"]).finish()
    }

    pub fn fissure(&self, arguments: &[&str]) -> Seen {
        self.start(arguments).finish()
    }

    pub fn start(&self, arguments: &[&str]) -> Running {
        if self.configured {
            let text = format!("[app]\n{}[users]\n{}\n[goal]\n{}\n", self.app, self.users, self.goal);
            std::fs::write(self.path().join("fissure.toml"), text).unwrap();
        }
        let mut child = Command::new(program())
            .args(arguments)
            .current_dir(self.path())
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running { child, stderr, said: String::new(), folder: self.path().to_path_buf() }
    }
}

pub struct Running {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    said: String,
    folder: PathBuf,
}

impl Running {
    /// Reads standard error until a line holds `part`.
    pub fn wait_for(&mut self, part: &str) {
        let mut line = String::new();
        while self.stderr.read_line(&mut line).unwrap() > 0 {
            self.said += &line;
            if line.contains(part) {
                return;
            }
            line.clear();
        }
        panic!("`{part}` was never said:\n{}", self.said);
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    pub fn finish(mut self) -> Seen {
        let mut out = self.child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).map(|_| text)
        });
        self.stderr.read_to_string(&mut self.said).unwrap();
        self.said += &reader.join().unwrap().unwrap();
        let status = self.child.wait().unwrap();
        Seen { status: status.code(), said: self.said, folder: self.folder }
    }
}

/// What a finished command said and left.
pub struct Seen {
    pub status: Option<i32>,
    pub said: String,
    folder: PathBuf,
}

impl Seen {
    #[track_caller]
    pub fn exits(&self, status: i32) -> &Self {
        assert_eq!(self.status, Some(status), "{}", self.said);
        self
    }

    #[track_caller]
    pub fn exits_one_of(&self, statuses: &[i32]) -> &Self {
        assert!(
            self.status.is_some_and(|s| statuses.contains(&s)),
            "status {:?}:\n{}",
            self.status,
            self.said
        );
        self
    }

    /// Line breaks and runs of blanks do not matter.
    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat(&self.said).contains(&flat(part)), "`{part}` is missing in:\n{}", self.said);
        self
    }

    #[track_caller]
    pub fn does_not_say(&self, part: &str) -> &Self {
        assert!(!self.said.contains(part), "`{part}` is in:\n{}", self.said);
        self
    }

    /// No process, no scratch copy.
    #[track_caller]
    pub fn leaves_nothing(&self) -> &Self {
        self.leaves_no_process();
        let scratch = self.folder.join(".fissure/scratch");
        let left: Vec<_> = std::fs::read_dir(scratch)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .map(|e| e.path())
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        self
    }

    /// A guard needs a moment to end its tree after fissure was killed; ten seconds are a hang.
    #[track_caller]
    pub fn leaves_no_process(&self) -> &Self {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let left = processes_of(&self.folder);
            if left.is_empty() {
                return self;
            }
            assert!(Instant::now() < until, "still running: {left:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Processes that work in the folder or were started with its name in their arguments.
pub fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|b| b.is_ascii_digit()) || name == own {
            continue;
        }
        let Ok(cwd) = std::fs::read_link(entry.path().join("cwd")) else { continue };
        if cwd.to_string_lossy().starts_with(&*folder.to_string_lossy()) {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(format!("{name} {}", String::from_utf8_lossy(&command).replace('\0', " ")));
        }
    }
    found
}
