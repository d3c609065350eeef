//! A recording: `traffic.jsonl` in a folder of its own. First line the header, then one [`Exchange`] a line, in the
//! order in which the answers ended. Beside it `messages.jsonl`, once a WebSocket has said something: the same header,
//! then one [`Message`] a line.
//!
//! Append-only; a torn last line is dropped on reading; an unknown format is refused with a sentence. What people send
//! is in it as they sent it, passwords too, so only the user who made it may read it.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Exchange;
use crate::lines::{self, LinesError, Reader};
use crate::traffic::Message;

const KIND: &str = "recording";
/// Name of the traffic in a recording's folder.
pub const FILE_NAME: &str = "traffic.jsonl";
/// Name of the messages of WebSockets beside it.
pub const MESSAGES_NAME: &str = "messages.jsonl";
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
    pub messages: Vec<Message>,
}

/// Appends exchanges and messages to a recording.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    header: Header,
    traffic: lines::Writer,
    /// Most recordings have none.
    messages: Option<lines::Writer>,
}

impl Writer {
    /// Creates the folder and its traffic for this user alone, and writes the header. Refuses to touch one that exists.
    pub fn create(folder: &Path, header: &Header) -> Result<Self, LinesError> {
        if let Err(source) = DirBuilder::new().recursive(true).mode(0o700).create(folder) {
            return Err(LinesError::Open { kind: KIND, path: folder.to_owned(), source });
        }
        let traffic = file(folder, FILE_NAME, header)?;
        Ok(Self { folder: folder.to_owned(), header: header.clone(), traffic, messages: None })
    }

    pub fn append(&mut self, exchange: &Exchange) -> Result<(), LinesError> {
        self.traffic.append(exchange)
    }

    pub fn append_message(&mut self, message: &Message) -> Result<(), LinesError> {
        let messages = match &mut self.messages {
            Some(messages) => messages,
            none => none.insert(file(&self.folder, MESSAGES_NAME, &self.header)?),
        };
        messages.append(message)
    }

    /// Hands everything to the operating system; what was flushed outlives a killed fissure.
    pub fn flush(&mut self) -> Result<(), LinesError> {
        self.traffic.flush()?;
        self.messages.as_mut().map_or(Ok(()), lines::Writer::flush)
    }
}

fn file(folder: &Path, name: &str, header: &Header) -> Result<lines::Writer, LinesError> {
    lines::Writer::create(KIND, folder.join(name), OpenOptions::new().mode(0o600), header)
}

/// Reads a recording from its folder (or from the traffic itself, without messages).
pub fn read(path: &Path) -> Result<Recording, LinesError> {
    let (header, exchanges) = values(path, FILE_NAME)?;
    let has_messages = path.is_dir() && path.join(MESSAGES_NAME).exists();
    let messages = if has_messages { values::<Message>(path, MESSAGES_NAME)?.1 } else { Vec::new() };
    Ok(Recording { header, exchanges, messages })
}

fn values<T: DeserializeOwned>(path: &Path, name: &str) -> Result<(Header, Vec<T>), LinesError> {
    let (header, mut reader) = Reader::open(KIND, FORMAT, path, name)?;
    let mut values = Vec::new();
    while let Some(raw) = reader.next()? {
        values.push(serde_json::from_value(raw).map_err(|e| reader.damaged(&e))?);
    }
    Ok((header, values))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;
    use crate::traffic::{Answered, Asked, Content, Side};

    fn said() -> Message {
        let body = Content::whole([0, 255]);
        Message { at_us: 9, opened_us: 7, from: Side::Client, binary: true, body }
    }

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
        writer.append_message(&said()).unwrap();
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
        assert_eq!(read.messages, [said()]);
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
