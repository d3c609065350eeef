//! Folders of runs: `.fissure/runs/<id>/{journal.jsonl, report.html, report.json}`.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use fissure_facts::Run;

use crate::exit::{Exit, Failure};

/// What fissure keeps beside an app.
pub fn home(project: &Path) -> PathBuf {
    project.join(".fissure")
}

/// A new run's name: its time in UTC and four hexadecimal digits that keep two runs of one second apart.
pub fn new_name(seed: u64) -> String {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%S");
    format!("{now}-{:04x}", seed & 0xffff)
}

pub fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Makes `.fissure` with a `.gitignore` that keeps it out of the user's repository.
pub fn prepare(project: &Path) -> std::io::Result<()> {
    let home = home(project);
    std::fs::create_dir_all(home.join("runs"))?;
    let ignore = home.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(ignore, "*\n")?;
    }
    Ok(())
}

/// The folders of all runs, the last one at the end; one at least.
pub fn all(project: &Path) -> Result<Vec<PathBuf>, Failure> {
    let runs = home(project).join("runs");
    let mut names: Vec<PathBuf> = std::fs::read_dir(&runs)
        .map(|entries| entries.filter_map(Result::ok).map(|e| e.path()).collect())
        .unwrap_or_default();
    names.sort();
    if names.is_empty() {
        let sentence =
            format!("there is no run in {}: `fissure check` and `fissure load` make one.", runs.display());
        return Err(Failure::new(Exit::BadInput, sentence));
    }
    Ok(names)
}

/// Finds a run by its folder or name, or the last one.
pub fn find(project: &Path, wanted: Option<&Path>) -> Result<PathBuf, Failure> {
    let Some(wanted) = wanted else {
        return all(project).map(|mut runs| runs.pop().unwrap_or_default());
    };
    let runs = home(project).join("runs");
    let candidates = [wanted.to_path_buf(), runs.join(wanted)];
    candidates.into_iter().find(|c| c.exists()).ok_or_else(|| {
        Failure::new(
            Exit::BadInput,
            format!("there is no run {} (looked here and in {}).", wanted.display(), runs.display()),
        )
    })
}

pub fn read(path: &Path) -> Result<Run, Failure> {
    fissure_facts::journal::read(path).map_err(|e| Failure::new(Exit::BadInput, format!("{e}.")))
}

/// Writes report.json and report.html beside the journal; gives the path of the latter.
pub fn write_reports(folder: &Path, json: &serde_json::Value, page: &str) -> Result<PathBuf, Failure> {
    let html = folder.join("report.html");
    let json = serde_json::to_string_pretty(json)
        .map_err(|e| Failure::new(Exit::Bug, format!("the report is not JSON: {e}.")))?;
    std::fs::write(folder.join("report.json"), json + "\n")
        .and_then(|()| std::fs::write(&html, page))
        .map_err(|e| {
            Failure::new(
                Exit::CouldNotTell,
                format!("the report cannot be written to {}: {e}.", folder.display()),
            )
        })?;
    Ok(html)
}
