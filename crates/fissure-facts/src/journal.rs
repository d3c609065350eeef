//! The journal: `journal.jsonl` in a run's folder. First line the header, then one fact a line.
//!
//! Append-only; flushed at the end of every step; a torn last line is dropped on reading; an unknown version is
//! refused with a sentence. Facts that this build does not know are skipped when it judges; they stay in the file,
//! because nothing ever rewrites it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::run::FORMAT;
use crate::{Fact, Header, Run, Stamped};

/// Name of the journal in a run's folder.
pub const FILE_NAME: &str = "journal.jsonl";

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal {path} cannot be opened: {source}")]
    Open { path: PathBuf, source: io::Error },
    #[error("the journal {path} cannot be written: {source} (is the disk full?)")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} is not a journal of fissure: its first line is not a header ({reason})")]
    NotAJournal { path: PathBuf, reason: String },
    #[error(
        "{path} was written in the format `{found}`, this fissure reads `{FORMAT}`: use the fissure that wrote it"
    )]
    UnknownFormat { path: PathBuf, found: String },
    #[error("line {line} of {path} is damaged: {reason}")]
    Damaged { path: PathBuf, line: usize, reason: String },
}

/// Appends facts to a run's journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Journal {
    /// Creates the folder's journal and writes the header. Refuses to touch one that exists.
    pub fn create(folder: &Path, header: &Header) -> Result<Self, JournalError> {
        let path = folder.join(FILE_NAME);
        let open = |source| JournalError::Open { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(open)?;
        let file = OpenOptions::new().create_new(true).write(true).open(&path).map_err(open)?;
        let mut journal = Self { path, out: BufWriter::new(file) };
        journal.line(header)?;
        journal.flush()?;
        Ok(journal)
    }

    pub fn append(&mut self, fact: &Stamped) -> Result<(), JournalError> {
        self.line(fact)
    }

    /// Hands everything to the operating system; call at the end of every step.
    pub fn flush(&mut self) -> Result<(), JournalError> {
        self.out.flush().map_err(|source| JournalError::Write { path: self.path.clone(), source })
    }

    fn line<T: serde::Serialize>(&mut self, value: &T) -> Result<(), JournalError> {
        let write = |source| JournalError::Write { path: self.path.clone(), source };
        let text = serde_json::to_string(value).map_err(|e| write(io::Error::other(e)))?;
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.write_all(b"\n")).map_err(write)
    }
}

/// Reads a run from its folder (or from the journal itself).
pub fn read(path: &Path) -> Result<Run, JournalError> {
    let path = if path.is_dir() { path.join(FILE_NAME) } else { path.to_path_buf() };
    let open = |source| JournalError::Open { path: path.clone(), source };
    let mut reader = BufReader::new(File::open(&path).map_err(open)?);

    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).map_err(open)?;
    let not_a_journal = |reason: String| JournalError::NotAJournal { path: path.clone(), reason };
    let raw: serde_json::Value = serde_json::from_slice(&line).map_err(|e| not_a_journal(e.to_string()))?;
    match raw.get("format").and_then(|f| f.as_str()) {
        Some(FORMAT) => {}
        Some(found) => return Err(JournalError::UnknownFormat { path, found: found.to_owned() }),
        None => return Err(not_a_journal("it has no `format`".to_owned())),
    }
    let header: Header = serde_json::from_value(raw).map_err(|e| not_a_journal(e.to_string()))?;

    let mut run = Run::new(header);
    for number in 2.. {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(open)? == 0 {
            break;
        }
        if line.last() != Some(&b'\n') {
            break; // torn by a crash: never finished, so never a fact
        }
        let damaged = |e: serde_json::Error| JournalError::Damaged {
            path: path.clone(),
            line: number,
            reason: e.to_string(),
        };
        let raw: serde_json::Value = serde_json::from_slice(&line).map_err(damaged)?;
        match serde_json::from_value::<Stamped>(raw.clone()) {
            Ok(fact) => run.facts.push(fact),
            Err(_) if is_from_a_newer_build(&raw) => {}
            Err(e) => return Err(damaged(e)),
        }
    }
    Ok(run)
}

/// A fact whose name this build does not know was written by a newer one: additive changes only, so skip it.
fn is_from_a_newer_build(raw: &serde_json::Value) -> bool {
    let Some(name) = raw.get("fact").and_then(|f| f.as_str()) else { return false };
    // serde names the unknown variant in its error only after trying; asking for a bare variant tells the two apart.
    let probe = serde_json::json!({ "fact": name });
    serde_json::from_value::<Fact>(probe).is_err_and(|e| e.to_string().starts_with("unknown variant"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Config, Machine};

    pub(crate) fn header() -> Header {
        Header {
            format: FORMAT.to_owned(),
            fissure: "0.1.0".to_owned(),
            run: "test".to_owned(),
            started_unix_s: 1,
            verb: "check".to_owned(),
            seed: 7,
            machine: Machine::default(),
            config: Config::default(),
            journeys: Vec::new(),
        }
    }

    fn write(folder: &Path, tail: &str) {
        let mut journal = Journal::create(folder, &header()).unwrap();
        journal.append(&Stamped { at_s: 1.5, fact: Fact::Interrupted }).unwrap();
        journal.flush().unwrap();
        let mut file = OpenOptions::new().append(true).open(folder.join(FILE_NAME)).unwrap();
        file.write_all(tail.as_bytes()).unwrap();
    }

    #[test]
    fn a_torn_last_line_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "{\"at_s\":2.0,\"fact\":\"interr");
        assert_eq!(read(folder.path()).unwrap().facts.len(), 1);
    }

    #[test]
    fn a_fact_of_a_newer_build_is_skipped_but_damage_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "{\"at_s\":2.0,\"fact\":\"moon_rose\",\"phase\":3}\n");
        assert_eq!(read(folder.path()).unwrap().facts.len(), 1);

        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "{\"at_s\":2.0,\"fact\":\"window_ended\"}\n");
        let error = read(folder.path()).unwrap_err();
        assert!(error.to_string().starts_with("line 3"), "{error}");
    }

    #[test]
    fn an_unknown_format_is_refused_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), "{\"format\":\"fissure.run/9\"}\n").unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("fissure.run/9"));
    }
}
