//! A recording: `traffic.jsonl` in a folder of its own. First line the header, then one [`Exchange`] a line, in the
//! order in which the answers ended.
//!
//! Append-only; a torn last line is dropped on reading; an unknown format is refused with a sentence. What people send
//! is in it as they sent it, passwords too, so only the user who made it may read it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Exchange;

/// Name of the traffic in a recording's folder.
pub const FILE_NAME: &str = "traffic.jsonl";
pub const FORMAT: &str = "fissure.recording/1";

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Header {
    pub format: String,
    /// Version of the fissure that wrote it.
    pub fissure: String,
    /// Name of the recording's folder.
    pub recording: String,
    pub started_unix_s: u64,
    /// Where its users found the app, like `http://127.0.0.1:8080`.
    pub base: String,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recording {
    pub header: Header,
    pub exchanges: Vec<Exchange>,
}

#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("the recording {path} cannot be opened: {source}")]
    Open { path: PathBuf, source: io::Error },
    #[error("the recording {path} cannot be written: {source} (is the disk full?)")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} is not a recording of fissure: its first line is not a header ({reason})")]
    NotARecording { path: PathBuf, reason: String },
    #[error(
        "{path} was written in the format `{found}`, this fissure reads `{FORMAT}`: use the fissure that wrote it"
    )]
    UnknownFormat { path: PathBuf, found: String },
    #[error("line {line} of {path} is damaged: {reason}")]
    Damaged { path: PathBuf, line: usize, reason: String },
}

/// Appends exchanges to a recording.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Writer {
    /// Creates the folder and its traffic for this user alone, and writes the header. Refuses to touch one that exists.
    pub fn create(folder: &Path, header: &Header) -> Result<Self, RecordingError> {
        let path = folder.join(FILE_NAME);
        let open = |source| RecordingError::Open { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(open)?;
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).map_err(open)?;
        let mut writer = Self { path, out: BufWriter::new(file) };
        writer.line(header)?;
        writer.flush()?;
        Ok(writer)
    }

    pub fn append(&mut self, exchange: &Exchange) -> Result<(), RecordingError> {
        self.line(exchange)
    }

    /// Hands everything to the operating system; what was flushed outlives a killed fissure.
    pub fn flush(&mut self) -> Result<(), RecordingError> {
        self.out.flush().map_err(|source| RecordingError::Write { path: self.path.clone(), source })
    }

    fn line<T: Serialize>(&mut self, value: &T) -> Result<(), RecordingError> {
        let write = |source| RecordingError::Write { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(value).map_err(|e| write(io::Error::other(e)))?;
        line.push(b'\n');
        self.out.write_all(&line).map_err(write)
    }
}

/// Reads a recording from its folder (or from the traffic itself).
pub fn read(path: &Path) -> Result<Recording, RecordingError> {
    let path = if path.is_dir() { path.join(FILE_NAME) } else { path.to_path_buf() };
    let open = |source| RecordingError::Open { path: path.clone(), source };
    let mut reader = BufReader::new(File::open(&path).map_err(open)?);
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).map_err(open)?;
    let header = header(&line, &path)?;

    let mut exchanges = Vec::new();
    for number in 2.. {
        line.clear();
        reader.read_until(b'\n', &mut line).map_err(open)?;
        if line.last() != Some(&b'\n') {
            break; // the end, or torn by a crash
        }
        let damaged = |e: serde_json::Error| RecordingError::Damaged {
            path: path.clone(),
            line: number,
            reason: e.to_string(),
        };
        exchanges.push(serde_json::from_slice(&line).map_err(damaged)?);
    }
    Ok(Recording { header, exchanges })
}

fn header(line: &[u8], path: &Path) -> Result<Header, RecordingError> {
    let path = || path.to_path_buf();
    let not_one = |reason: String| RecordingError::NotARecording { path: path(), reason };
    let raw: serde_json::Value = serde_json::from_slice(line).map_err(|e| not_one(e.to_string()))?;
    match raw.get("format").and_then(serde_json::Value::as_str) {
        Some(FORMAT) => serde_json::from_value(raw).map_err(|e| not_one(e.to_string())),
        Some(found) => Err(RecordingError::UnknownFormat { path: path(), found: found.to_owned() }),
        None => Err(not_one("it has no `format`".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;
    use crate::traffic::{Answered, Asked, Content};

    fn made(folder: &Path, tail: &[u8]) -> Exchange {
        let header = Header { format: FORMAT.to_owned(), base: "http://x".to_owned(), ..Header::default() };
        let mut writer = Writer::create(folder, &header).unwrap();
        let exchange = Exchange {
            at_us: 7,
            client: "127.0.0.1".to_owned(),
            request: Asked {
                method: "POST".to_owned(),
                target: "/a".to_owned(),
                body: Content::whole("a\nb"),
                ..Asked::default()
            },
            answer: Some(Answered { status: 303, ..Answered::default() }),
            took_us: 5,
        };
        writer.append(&exchange).unwrap();
        writer.flush().unwrap();
        let mut file = OpenOptions::new().append(true).open(folder.join(FILE_NAME)).unwrap();
        file.write_all(tail).unwrap();
        exchange
    }

    #[test]
    fn comes_back_as_it_was_written_without_a_torn_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("one");
        let exchange = made(&folder, b"{\"at_us\":9,\"requ");
        let read = read(&folder).unwrap();
        assert_eq!(read.exchanges, [exchange]);
        assert_eq!(read.header.base, "http://x");
    }

    #[test]
    fn only_its_maker_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("one");
        made(&folder, b"");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join(FILE_NAME))), (0o700, 0o600));
    }

    #[test]
    fn damage_and_strangers_are_told_with_their_place() {
        let folder = tempfile::tempdir().unwrap();
        made(&folder.path().join("one"), b"nonsense\n");
        let error = read(&folder.path().join("one")).unwrap_err().to_string();
        assert!(error.starts_with("line 3 of"), "{error}");
        let file = folder.path().join("file");
        for (text, told) in [
            ("", "not a recording"),
            ("[1]\n", "has no `format`"),
            ("{\"format\":\"fissure.recording/9\"}\n", "fissure.recording/9"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = read(&file).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(tail: Vec<u8>) {
            let folder = tempfile::tempdir().unwrap();
            made(&folder.path().join("one"), &tail);
            let _ = read(&folder.path().join("one"));
            std::fs::write(folder.path().join("file"), &tail).unwrap();
            let _ = read(&folder.path().join("file"));
        }
    }
}
