//! What of an app's folder is copied, linked, kept or left out. Decided before anything is written.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Folders that tools fill and apps only read, wherever they lie.
const DEPENDENCIES: [&str; 13] = [
    "node_modules",
    "bower_components",
    ".venv",
    "venv",
    ".tox",
    "__pypackages__",
    "target",
    "vendor",
    ".bundle",
    ".gradle",
    "deps",
    "_build",
    "elm-stuff",
];
/// Of no use to a copy: history, and our own runs (the scratch root lies there).
const LEFT_OUT: [&str; 2] = [".git", ".fissure"];

/// One thing to make in the copy; parents come before their children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Relative to the app's folder.
    pub path: PathBuf,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    /// A real folder, so that what is newly put there stays in the copy; its entries are links to the originals.
    Dependencies,
    File {
        bytes: u64,
    },
    /// A link with this text.
    Link {
        to: PathBuf,
    },
    /// A link to this path inside the copy.
    LinkInside {
        to: PathBuf,
    },
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub entries: Vec<Entry>,
    pub skipped: Vec<PathBuf>,
    /// Links that lead out of the app's folder.
    pub outside: Vec<PathBuf>,
}

impl Plan {
    /// `from` and `into` are canonical.
    pub fn of(from: &Path, into: &Path, link_dependencies: bool) -> io::Result<Self> {
        let mut plan = Self::default();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let list = match fs::read_dir(from.join(&folder)) {
                Ok(list) => list,
                Err(error) if folder.as_os_str().is_empty() => return Err(error),
                Err(_) => {
                    plan.skipped.push(folder); // not ours to read: a database's folder, say
                    continue;
                }
            };
            for entry in list.flatten() {
                let path = folder.join(entry.file_name());
                let original = from.join(&path);
                let Ok(kind) = entry.file_type() else { continue };
                let name = entry.file_name();
                let named = |names: &[&str]| names.iter().any(|n| name == *n);
                if named(&LEFT_OUT) || original == into {
                    continue;
                }
                if kind.is_symlink() {
                    plan.add_link(from, path);
                } else if kind.is_dir() {
                    if link_dependencies && (named(&DEPENDENCIES) && is_dependencies(&original)) {
                        plan.add_dependencies(from, path);
                    } else {
                        plan.entries.push(Entry { path: path.clone(), kind: Kind::Folder });
                        folders.push(path);
                    }
                } else if kind.is_file() {
                    let bytes = entry.metadata().map_or(0, |m| m.len());
                    plan.entries.push(Entry { path, kind: Kind::File { bytes } });
                } else {
                    plan.skipped.push(path);
                }
            }
        }
        Ok(plan)
    }

    pub fn bytes(&self) -> u64 {
        self.files().map(|(_, bytes)| bytes).sum()
    }

    pub fn largest(&self) -> PathBuf {
        self.files().max_by_key(|(_, bytes)| *bytes).map(|(path, _)| path.to_owned()).unwrap_or_default()
    }

    fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.entries.iter().filter_map(|entry| match entry.kind {
            Kind::File { bytes } => Some((entry.path.as_path(), bytes)),
            _ => None,
        })
    }

    /// A dependency folder's entries become links to the originals; links among them stay links, so that a workspace's
    /// own packages (`node_modules/mine -> ../packages/mine`) lead to their copies.
    fn add_dependencies(&mut self, from: &Path, path: PathBuf) {
        self.entries.push(Entry { path: path.clone(), kind: Kind::Dependencies });
        for entry in fs::read_dir(from.join(&path)).into_iter().flatten().flatten() {
            let inner = path.join(entry.file_name());
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_symlink() {
                self.add_link(from, inner);
            } else if kind.is_dir() && entry.file_name().to_string_lossy().starts_with('@') {
                self.add_dependencies(from, inner); // a scope of npm: a folder of packages
            } else {
                self.entries.push(Entry { path: inner.clone(), kind: Kind::Link { to: from.join(inner) } });
            }
        }
    }

    /// A link is kept with its text where that leads to the same place in the copy; otherwise its text is adapted.
    fn add_link(&mut self, from: &Path, path: PathBuf) {
        let Ok(text) = fs::read_link(from.join(&path)) else { return };
        let beside = path.parent().unwrap_or(Path::new(""));
        let aim = lexical(&from.join(beside).join(&text));
        let real = from.join(&path).canonicalize().unwrap_or_else(|_| aim.clone());
        if !real.starts_with(from) {
            self.outside.push(path.clone());
        }
        let kind = match aim.strip_prefix(from) {
            Ok(_) if text.is_relative() => Kind::Link { to: text },
            Ok(inside) => Kind::LinkInside { to: inside.to_owned() },
            // Spelled by another name of the folder (through a link above it), but inside it.
            Err(_) if text.is_absolute() && real.starts_with(from) => {
                Kind::LinkInside { to: real.strip_prefix(from).unwrap_or(Path::new("")).to_owned() }
            }
            Err(_) => Kind::Link { to: aim },
        };
        self.entries.push(Entry { path, kind });
    }
}

/// Names that are common words need a sign that a tool made the folder.
fn is_dependencies(folder: &Path) -> bool {
    let beside = |names: &[&str]| {
        folder.parent().is_some_and(|parent| names.iter().any(|name| parent.join(name).exists()))
    };
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("target") => {
            folder.join("CACHEDIR.TAG").exists()
                || beside(&["Cargo.toml", "pom.xml", "build.sbt", "project.clj"])
        }
        Some("vendor") => beside(&["composer.json", "go.mod", "Gemfile", "Cargo.toml"]),
        Some("deps" | "_build") => beside(&["mix.exs", "rebar.config"]),
        _ => true,
    }
}

/// A path without `.` and `..`, by its text alone: the target of a link need not exist.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}
