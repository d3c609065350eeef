//! The journal: `journal.jsonl` in a run's folder. First line the header, then one fact a line.
//!
//! Append-only; flushed at the end of every step; a torn last line is dropped on reading; an unknown version is
//! refused with a sentence. Facts that this build does not know are skipped when it judges; they stay in the file,
//! because nothing ever rewrites it.

use std::fs::OpenOptions;
use std::path::Path;

use crate::lines::{LinesError, Reader, Writer};
use crate::run::FORMAT;
use crate::{Fact, Header, Run, Stamped};

const KIND: &str = "journal";
/// Name of the journal in a run's folder.
pub const FILE_NAME: &str = "journal.jsonl";

/// Appends facts to a run's journal.
#[derive(Debug)]
pub struct Journal(Writer);

impl Journal {
    /// Creates the folder's journal and writes the header. Refuses to touch one that exists.
    pub fn create(folder: &Path, header: &Header) -> Result<Self, LinesError> {
        let path = folder.join(FILE_NAME);
        if let Err(source) = std::fs::create_dir_all(folder) {
            return Err(LinesError::Open { kind: KIND, path, source });
        }
        Writer::create(KIND, path, &mut OpenOptions::new(), header).map(Self)
    }

    pub fn append(&mut self, fact: &Stamped) -> Result<(), LinesError> {
        self.0.append(fact)
    }

    /// Hands everything to the operating system; call at the end of every step.
    pub fn flush(&mut self) -> Result<(), LinesError> {
        self.0.flush()
    }
}

/// Reads a run from its folder (or from the journal itself).
pub fn read(path: &Path) -> Result<Run, LinesError> {
    let (header, mut reader) = Reader::open(KIND, FORMAT, path, FILE_NAME)?;
    let mut run = Run::new(header);
    while let Some(raw) = reader.next()? {
        match serde_json::from_value::<Stamped>(raw.clone()) {
            Ok(fact) => run.facts.push(fact),
            Err(_) if is_from_a_newer_build(&raw) => {}
            Err(e) => return Err(reader.damaged(&e)),
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
    use std::io::Write as _;

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

    /// The last bit of a number once turned round two routes that could hardly be told apart, and the report shown
    /// again was not the report of the run.
    #[test]
    fn a_fact_is_read_as_it_was_written_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path(), &header()).unwrap();
        let facts: Vec<Stamped> = (1..2000)
            .map(|i| Stamped { at_s: 1.0 / 7.0 * f64::from(i).powf(1.3), fact: Fact::Interrupted })
            .collect();
        for fact in &facts {
            journal.append(fact).unwrap();
        }
        journal.flush().unwrap();
        assert_eq!(read(folder.path()).unwrap().facts, facts);
    }

    #[test]
    fn an_unknown_format_is_refused_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), "{\"format\":\"fissure.run/9\"}\n").unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("fissure.run/9"));
    }
}
