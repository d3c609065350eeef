//! Which file of the app a path means. Programs name their sources as they stood when they were built: in the scratch
//! copy, in the user's folder, on another machine.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Where tool chains and package managers keep other people's sources.
const ELSEWHERE: [&str; 6] = ["/rustc/", "/.cargo/", "/.rustup/", "/go/pkg/mod/", "/usr/", "/nix/store/"];

/// Where the app's sources stand, and what was found out about paths.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The folder in which the app runs, and the user's own when that is a copy of it.
    folders: Vec<PathBuf>,
    known: HashMap<PathBuf, (String, bool)>,
}

impl Sources {
    pub fn new(folders: &[PathBuf]) -> Self {
        Self { folders: folders.iter().map(|folder| plain(folder)).collect(), known: HashMap::new() }
    }

    /// The path relative to the app's folder and true; or as it is and false.
    pub fn resolve(&mut self, path: &Path) -> (String, bool) {
        if let Some(known) = self.known.get(path) {
            return known.clone();
        }
        let found = self.inside(path).or_else(|| self.of_module(path)).or_else(|| self.built_elsewhere(path));
        let found = match found {
            Some(relative) => (relative.to_string_lossy().into_owned(), true),
            None => (path.to_string_lossy().into_owned(), false),
        };
        self.known.insert(path.to_path_buf(), found.clone());
        found
    }

    fn inside(&self, path: &Path) -> Option<PathBuf> {
        let path = plain(path);
        self.folders.iter().find_map(|folder| path.strip_prefix(folder).ok()).map(Path::to_path_buf)
    }

    /// Go's `-trimpath` has a file begin with the name of its module.
    fn of_module(&self, path: &Path) -> Option<PathBuf> {
        let folder = self.folders.first().filter(|_| path.is_relative())?;
        let module = fs::read_to_string(folder.join("go.mod")).ok()?;
        let name = module.lines().find_map(|line| line.strip_prefix("module "))?;
        let file = path.strip_prefix(name.trim().trim_matches('"')).ok()?;
        folder.join(file).is_file().then(|| file.to_path_buf())
    }

    /// The longest end of the path that names a file in the app's folder. Where the path itself exists, both must hold
    /// the same text: many a library has a `src/lib.rs` too.
    fn built_elsewhere(&self, path: &Path) -> Option<PathBuf> {
        if ELSEWHERE.iter().any(|place| path.to_string_lossy().contains(place)) {
            return None;
        }
        let folder = self.folders.first()?;
        let parts: Vec<Component<'_>> = path.components().collect();
        let ends = (0..parts.len()).map(|skip| parts[skip..].iter().collect::<PathBuf>());
        let end = ends.filter(|end| end.is_relative()).find(|end| folder.join(end).is_file())?;
        let same = match fs::read(path) {
            Ok(stated) => fs::read(folder.join(&end)).is_ok_and(|here| here == stated),
            // A bare file name says too little.
            Err(_) => end.components().count() > 1,
        };
        same.then_some(end)
    }
}

/// Without `.` and `..`, which debug information is full of. No symbolic link is followed.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_the_apps_in_its_copy_in_its_folder_and_when_built_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        let (folder, copy) = (root.path().join("app"), root.path().join("app/.fissure/scratch/1"));
        let (other, library) = (root.path().join("other/src/shop"), root.path().join("library/src"));
        for folder in [&copy.join("src"), &other, &library] {
            fs::create_dir_all(folder).unwrap();
        }
        for (folder, text) in [(&copy.join("src"), "ours"), (&other.join(".."), "ours"), (&library, "theirs")]
        {
            fs::write(folder.join("main.rs"), text).unwrap();
        }
        let mut sources = Sources::new(&[copy.clone(), folder.clone()]);
        let ours = ("src/main.rs".to_owned(), true);
        assert_eq!(sources.resolve(&copy.join("src/main.rs")), ours);
        assert_eq!(sources.resolve(&folder.join("lib/../src/./main.rs")), ours);
        assert_eq!(sources.resolve(Path::new("/not/there/src/main.rs")), ours);
        assert_eq!(sources.resolve(&root.path().join("other/src/main.rs")), ours);
        // Built in a folder of which this one is a copy, with its sources at the top.
        let original = root.path().join("original");
        fs::create_dir_all(&original).unwrap();
        for folder in [&original, &copy] {
            fs::write(folder.join("piers.go"), "ours").unwrap();
        }
        assert_eq!(sources.resolve(&original.join("piers.go")), ("piers.go".to_owned(), true));
        fs::write(copy.join("go.mod"), "module example.com/shop\n\ngo 1.22\n").unwrap();
        fs::write(copy.join("main.go"), "").unwrap();
        assert_eq!(sources.resolve(Path::new("example.com/shop/main.go")), ("main.go".to_owned(), true));
        assert!(!sources.resolve(Path::new("example.com/other/main.rs")).1);
        for path in [
            &library.join("main.rs"),
            Path::new("/home/me/.cargo/registry/src/main.rs"),
            Path::new("main.rs"),
        ] {
            assert_eq!(sources.resolve(path), (path.to_string_lossy().into_owned(), false), "{path:?}");
        }
    }
}
