//! The lessons: their folders, what is true of them, and the programs that they talk to.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Lesson {
    pub name: String,
    pub folder: PathBuf,
    pub truth: toml::Table,
}

impl Lesson {
    /// By its number.
    pub fn named(number: &str) -> Self {
        lessons().into_iter().find(|lesson| lesson.name.starts_with(number)).unwrap()
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder.join(path))
            .unwrap_or_else(|e| panic!("{}/{path}: {e}", self.name))
    }

    pub fn strings(&self, key: &str) -> Vec<String> {
        let list = self.truth.get(key).unwrap_or_else(|| panic!("{}: no `{key}`", self.name));
        list.as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect()
    }

    pub fn flag(&self, key: &str) -> bool {
        self.truth.get(key).is_some_and(|value| value.as_bool().unwrap())
    }

    /// So that the lesson stays as it is.
    pub fn copy(&self) -> tempfile::TempDir {
        // Not below /tmp, where an app may write as it likes: that once hid that nothing could be checked elsewhere.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        copy(&self.folder, folder.path());
        folder
    }

    pub fn start_beside(&self) -> Option<Beside> {
        let words: Vec<&str> = self.truth.get("beside")?.as_str().unwrap().split(' ').collect();
        let port = u16::try_from(self.truth["port"].as_integer().unwrap()).unwrap();
        let child =
            Command::new(words[0]).args(&words[1..]).current_dir(&self.folder).stdin(Stdio::null()).spawn();
        let beside = Beside(child.unwrap());
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "{}: nobody listens on {port}", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(beside)
    }
}

/// A program beside the app, which ends with the test.
pub struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn lessons() -> Vec<Lesson> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lessons");
    let mut found: Vec<Lesson> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let folder = entry.unwrap().path();
            let truth = std::fs::read_to_string(folder.join("truth.toml")).unwrap().parse().unwrap();
            Lesson { name: folder.file_name().unwrap().to_string_lossy().into_owned(), folder, truth }
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(found.len() >= 15, "{}", found.len());
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), target).unwrap();
        } else if entry.file_name() != ".fissure" && entry.file_name() != "__pycache__" {
            copy(&entry.path(), &target);
        }
    }
}
