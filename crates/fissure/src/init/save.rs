//! Writes a guess into the folder. Never over something that is there, unless the user insists.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{Guess, first_journey, write_toml};

/// What was written.
#[derive(Debug, PartialEq, Eq)]
pub struct Saved {
    pub config: PathBuf,
    /// None when the folder has journeys already.
    pub journey: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("{} is there already: change it by hand, or write a new one with --force", .0.display())]
    AlreadyThere(PathBuf),
    #[error("{} is not a folder: run `fissure init` in the folder that holds the app", .0.display())]
    NotAFolder(PathBuf),
    #[error("cannot write {}: {why}; is the folder yours, and is there room on the disk?", path.display())]
    CannotWrite { path: PathBuf, why: io::Error },
}

/// Writes `fissure.toml` and, when there is no journey yet, a first one.
pub fn save(folder: &Path, guess: &Guess, force: bool) -> Result<Saved, InitError> {
    if !folder.is_dir() {
        return Err(InitError::NotAFolder(folder.to_owned()));
    }
    let config = folder.join("fissure.toml");
    let text = write_toml(guess);
    if force {
        replace(&config, &text)?;
    } else if !create(&config, &text)? {
        return Err(InitError::AlreadyThere(config));
    }
    let journeys = folder.join("journeys");
    if has_journey(&journeys) {
        return Ok(Saved { config, journey: None });
    }
    fs::create_dir_all(&journeys).map_err(|why| InitError::CannotWrite { path: journeys.clone(), why })?;
    let journey = journeys.join("home.hurl");
    let created = create(&journey, first_journey())?;
    Ok(Saved { config, journey: created.then_some(journey) })
}

fn has_journey(journeys: &Path) -> bool {
    let Ok(entries) = fs::read_dir(journeys) else { return false };
    entries.flatten().any(|entry| entry.path().extension().is_some_and(|e| e == "hurl"))
}

/// Creates the file; false when something of that name is there, even a dangling link.
fn create(path: &Path, text: &str) -> Result<bool, InitError> {
    let failed = |why| InitError::CannotWrite { path: path.to_owned(), why };
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| true).map_err(failed),
        Err(why) if why.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(why) => Err(failed(why)),
    }
}

/// By renaming, so that a failure half-way leaves the old file, and a link is replaced instead of written through.
fn replace(path: &Path, text: &str) -> Result<(), InitError> {
    let failed = |why| InitError::CannotWrite { path: path.to_owned(), why };
    let beside = path.with_extension("toml.new");
    let _ = fs::remove_file(&beside);
    if !create(&beside, text)? {
        return Err(failed(io::Error::new(ErrorKind::AlreadyExists, "fissure.toml.new is in the way")));
    }
    fs::rename(&beside, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten_without_force() {
        let folder = tempfile::tempdir().unwrap();
        let mut guess = Guess::default();
        guess.app.command = "node a.js".to_owned();
        let saved = save(folder.path(), &guess, false).unwrap();
        assert_eq!(saved.journey, Some(folder.path().join("journeys/home.hurl")));

        guess.app.command = "node b.js".to_owned();
        let error = save(folder.path(), &guess, false).unwrap_err();
        assert!(error.to_string().contains("--force"), "{error}");
        assert!(fs::read_to_string(&saved.config).unwrap().contains("a.js"));

        assert_eq!(save(folder.path(), &guess, true).unwrap().journey, None);
        assert!(fs::read_to_string(&saved.config).unwrap().contains("b.js"));
        assert!(!folder.path().join("fissure.toml.new").exists());
    }

    #[test]
    fn a_link_is_never_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join("fissure.toml")).unwrap();
        assert!(matches!(save(folder.path(), &Guess::default(), false), Err(InitError::AlreadyThere(_))));
        save(folder.path(), &Guess::default(), true).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    }

    #[test]
    fn a_folder_that_is_none_is_a_sentence() {
        let error = save(Path::new("/nonexistent/app"), &Guess::default(), false).unwrap_err();
        assert!(error.to_string().contains("not a folder"), "{error}");
    }
}
