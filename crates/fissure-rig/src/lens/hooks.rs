//! What a copy of the app is started with so that the instruments can look inside: variables of its environment, and a
//! folder. Only the copy that is kept for the profilers gets them; nothing that is measured does.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::jvm;

/// Loaded by every Node on its way up.
const INSPECT: &str = include_str!("node/inspect.cjs");
/// Has the JVM keep lines for every instruction, and not only for those at which it may stop.
const JAVA_OPTIONS: &str =
    "-XX:+IgnoreUnrecognizedVMOptions -XX:+UnlockDiagnosticVMOptions -XX:+DebugNonSafepoints";

/// The folder goes away with it.
#[derive(Debug)]
pub struct Hooks {
    folder: PathBuf,
}

impl Hooks {
    /// Makes the folder, which must not exist yet: Node runs what lies there, so nobody else may have put it there.
    pub fn create(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(folder)?;
        let hooks = Self { folder: folder.to_path_buf() };
        fs::write(folder.join("inspect.cjs"), INSPECT)?;
        fs::write(folder.join(jvm::SETTINGS_FILE), jvm::SETTINGS)?;
        Ok(hooks)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The variables to set, given what they would be otherwise.
    pub fn environment(&self, otherwise: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
        let otherwise = |name: &str| otherwise(name).filter(|value| !value.is_empty());
        let folder = self.folder.to_string_lossy();
        // Node takes quotes and backslashes in this variable as a shell would.
        let script = folder.replace('\\', r"\\").replace('"', r#"\""#);
        let require = format!(r#"--require "{script}/inspect.cjs""#);
        let added = |name: &str, ours: &str| {
            let value = otherwise(name).map_or(ours.to_owned(), |theirs| format!("{theirs} {ours}"));
            (name.to_owned(), value)
        };
        vec![added("NODE_OPTIONS", &require), added("JAVA_TOOL_OPTIONS", JAVA_OPTIONS)]
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder); // it lies in the run's folder: at worst it stays there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_app_has_set_itself_stays_and_the_folder_goes() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("hooks");
        let hooks = Hooks::create(&folder).unwrap();
        assert!(Hooks::create(&folder).is_err(), "somebody else's folder is not trusted");
        let value = |name: &str, otherwise: Option<&str>| {
            let set = hooks.environment(|_| otherwise.map(str::to_owned));
            set.into_iter().find(|(n, _)| n == name).unwrap().1.replace(&*folder.to_string_lossy(), "HOOKS")
        };
        let require = r#"--require "HOOKS/inspect.cjs""#;
        assert_eq!(value("NODE_OPTIONS", None), require);
        assert_eq!(
            value("NODE_OPTIONS", Some("--max-old-space-size=99")),
            format!("--max-old-space-size=99 {require}")
        );
        assert_eq!(value("JAVA_TOOL_OPTIONS", Some("-Xmx99m")), format!("-Xmx99m {JAVA_OPTIONS}"));
        drop(hooks);
        assert!(!folder.exists());
    }
}
