//! A folder that is not to be trusted: bounded reads, a bounded walk, no symbolic link followed while walking.

use std::collections::VecDeque;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// No manifest of a sane app is larger; what lies behind is not read.
const MAX_FILE_BYTES: u64 = 1 << 20;
const MAX_DEPTH: usize = 6;
/// Directory entries that a walk looks at, and files that it answers with.
const MAX_ENTRIES: usize = 20_000;
const MAX_FILES: usize = 400;

/// Folders that hold other people's code, built things, or tests that start servers of their own.
const SKIPPED: &[&str] = &[
    "node_modules",
    "vendor",
    "target",
    "venv",
    "env",
    "__pycache__",
    "dist",
    "build",
    "out",
    "coverage",
    "test",
    "tests",
    "spec",
    "__tests__",
    "e2e",
    "examples",
    "fixtures",
    "docs",
    "tmp",
    "log",
    "migrations",
    "static",
    "public",
    "journeys",
];

pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// A regular file stands at `path` (relative, with slashes). Links to files count: virtual environments are made of them.
    pub(super) fn has(&self, path: &str) -> bool {
        fs::metadata(self.root.join(path)).is_ok_and(|m| m.is_file())
    }

    pub(super) fn has_folder(&self, path: &str) -> bool {
        fs::metadata(self.root.join(path)).is_ok_and(|m| m.is_dir())
    }

    pub(super) fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        // Not opened before its type is known: opening a pipe would wait forever.
        if !self.has(path) {
            return None;
        }
        let mut bytes = Vec::new();
        fs::File::open(self.root.join(path)).ok()?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The file's text; bytes that are not UTF-8 become U+FFFD.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let bytes = self.bytes(path)?;
        let text =
            String::from_utf8_lossy(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes)).into_owned();
        Some(text)
    }

    /// The first of `paths` that is a file.
    pub(super) fn first<'a>(&self, paths: &[&'a str]) -> Option<&'a str> {
        paths.iter().copied().find(|path| self.has(path))
    }

    /// Paths of files whose name ends in `.` + one of `extensions`: nearest to the root first, then by name.
    pub(super) fn files(&self, extensions: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        let mut looked_at = 0;
        let mut waiting = VecDeque::from([(String::new(), 0)]);
        while let Some((path, depth)) = waiting.pop_front() {
            let Ok(entries) = fs::read_dir(self.root.join(&path)) else { continue };
            let mut names: Vec<(String, bool)> = Vec::new();
            for entry in entries.flatten() {
                looked_at += 1;
                if looked_at > MAX_ENTRIES {
                    return found;
                }
                let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else {
                    continue;
                };
                if kind.is_file() || kind.is_dir() {
                    names.push((name, kind.is_dir()));
                }
            }
            names.sort();
            for (name, is_folder) in names {
                let inside = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                if is_folder {
                    if depth < MAX_DEPTH && !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
                        waiting.push_back((inside, depth + 1));
                    }
                } else if extensions
                    .iter()
                    .any(|e| name.strip_suffix(e).is_some_and(|stem| stem.ends_with('.')))
                {
                    found.push(inside);
                    if found.len() == MAX_FILES {
                        return found;
                    }
                }
            }
        }
        found
    }
}
