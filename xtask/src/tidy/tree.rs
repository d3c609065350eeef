//! The text files of the repository, in memory, so that rules are functions.

use std::fs;
use std::io;
use std::path::Path;

/// Built, fetched or recorded things, and what belongs to git.
const SKIPPED: &[&str] = &["target", "node_modules", ".git", ".fissure", ".venv", "venv", "fixtures"];
const TEXT: &[&str] = &["rs", "toml", "md", "sh", "js", "py", "css", "html", "hurl", "yml", "yaml", "json"];

pub struct File {
    /// Relative to the root, with slashes.
    pub path: String,
    pub text: String,
}

pub struct Tree {
    pub files: Vec<File>,
}

impl Tree {
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        walk(root, "", &mut files)?;
        files.sort_by(|a: &File, b: &File| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Rust sources of crates and of the tasks.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File { path: path.to_owned(), text: text.to_owned() };
        Self { files: files.iter().map(file).collect() }
    }
}

fn walk(root: &Path, inside: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(inside))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if inside.is_empty() { name.clone() } else { format!("{inside}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            walk(root, &path, files)?;
        } else if kind.is_file() && is_text(&path) {
            files.push(File { text: String::from_utf8_lossy(&fs::read(entry.path())?).into_owned(), path });
        }
    }
    Ok(())
}

fn is_text(path: &str) -> bool {
    path.starts_with(".ci/") || path.rsplit_once('.').is_some_and(|(_, extension)| TEXT.contains(&extension))
}
