//! A file of lines, as a journal and a recording are: first a header that names its format, then one value a line, in JSON.
//!
//! Append-only; a torn last line is dropped on reading; an unknown format is refused with a sentence.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What went wrong with a file, whose `kind` is the word for it: `journal`, `recording`.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    #[error("the {kind} {path} cannot be opened: {source}")]
    Open { kind: &'static str, path: PathBuf, source: io::Error },
    #[error("the {kind} {path} cannot be written: {source} (is the disk full?)")]
    Write { kind: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} is not a {kind} of fissure: its first line is not a header ({reason})")]
    NotOne { kind: &'static str, path: PathBuf, reason: String },
    #[error(
        "{path} was written in the format `{found}`, this fissure reads `{known}`: use the fissure that wrote it"
    )]
    UnknownFormat { path: PathBuf, found: String, known: &'static str },
    #[error("line {line} of {path} is damaged: {reason}")]
    Damaged { path: PathBuf, line: usize, reason: String },
}

/// So many lines of a busy recording go to the disk at once.
const OUT_BYTES: usize = 64 << 10;

/// Appends lines.
#[derive(Debug)]
pub(crate) struct Writer {
    kind: &'static str,
    path: PathBuf,
    out: BufWriter<File>,
    line: Vec<u8>,
}

impl Writer {
    /// Creates the file and writes the header. Refuses to touch one that exists.
    pub fn create(
        kind: &'static str,
        path: PathBuf,
        options: &mut OpenOptions,
        header: &impl Serialize,
    ) -> Result<Self, LinesError> {
        let file = options.create_new(true).write(true).open(&path);
        let file = file.map_err(|source| LinesError::Open { kind, path: path.clone(), source })?;
        let mut writer =
            Self { kind, path, out: BufWriter::with_capacity(OUT_BYTES, file), line: Vec::new() };
        writer.append(header)?;
        writer.flush()?;
        Ok(writer)
    }

    pub fn append(&mut self, value: &impl Serialize) -> Result<(), LinesError> {
        self.line.clear();
        let line = serde_json::to_writer(&mut self.line, value).map_err(io::Error::other);
        let written = line.and_then(|()| {
            self.line.push(b'\n');
            self.out.write_all(&self.line)
        });
        written.map_err(|source| self.unwritten(source))
    }

    /// Hands everything to the operating system; what was flushed outlives a killed fissure.
    pub fn flush(&mut self) -> Result<(), LinesError> {
        self.out.flush().map_err(|source| self.unwritten(source))
    }

    fn unwritten(&self, source: io::Error) -> LinesError {
        LinesError::Write { kind: self.kind, path: self.path.clone(), source }
    }
}

/// Reads lines.
pub(crate) struct Reader {
    kind: &'static str,
    path: PathBuf,
    lines: BufReader<File>,
    line: Vec<u8>,
    number: usize,
}

impl Reader {
    /// Opens the file, or the one of this name in a folder, and reads its header.
    pub fn open<H: DeserializeOwned>(
        kind: &'static str,
        known: &'static str,
        path: &Path,
        name: &str,
    ) -> Result<(H, Self), LinesError> {
        let path = if path.is_dir() { path.join(name) } else { path.to_path_buf() };
        let file =
            File::open(&path).map_err(|source| LinesError::Open { kind, path: path.clone(), source })?;
        let mut reader =
            Self { kind, path: path.clone(), lines: BufReader::new(file), line: Vec::new(), number: 0 };
        let not_one = |reason: String| LinesError::NotOne { kind, path: path.clone(), reason };
        // A file that ends in its header is refused below, or has a whole one.
        reader.read()?;
        let raw: Value = serde_json::from_slice(&reader.line).map_err(|e| not_one(e.to_string()))?;
        match raw.get("format").and_then(Value::as_str) {
            Some(found) if found == known => {}
            Some(found) => return Err(LinesError::UnknownFormat { path, found: found.to_owned(), known }),
            None => return Err(not_one("it has no `format`".to_owned())),
        }
        let header = serde_json::from_value(raw).map_err(|e| not_one(e.to_string()))?;
        Ok((header, reader))
    }

    /// The next line; None at the end, or when the last one was torn by a crash: never finished, so never a value.
    pub fn next(&mut self) -> Result<Option<Value>, LinesError> {
        self.read()?;
        if self.line.last() != Some(&b'\n') {
            return Ok(None);
        }
        serde_json::from_slice(&self.line).map(Some).map_err(|e| self.damaged(&e))
    }

    /// The line that was read last makes no sense.
    pub fn damaged(&self, why: &serde_json::Error) -> LinesError {
        LinesError::Damaged { path: self.path.clone(), line: self.number, reason: why.to_string() }
    }

    fn read(&mut self) -> Result<(), LinesError> {
        self.line.clear();
        self.number += 1;
        let read = self.lines.read_until(b'\n', &mut self.line);
        read.map(drop).map_err(|source| LinesError::Open { kind: self.kind, path: self.path.clone(), source })
    }
}
