//! The messages of PostgreSQL's protocol 3 (postgresql.org/docs/current/protocol-message-formats.html), as far as one must read
//! them to know which statement is executed, and whether a transaction is open.
//!
//! It is told the bytes of both directions in any pieces and never changes one. What it does not understand it stops reading;
//! it never guesses.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Of a message so much is kept: a longer statement is cut off.
const KEPT_MAX: usize = 64 << 10;
/// Texts of prepared statements and portals that are remembered for one connection, together.
const REMEMBERED_MAX: usize = 4 << 20;
const NAMES_MAX: usize = 10_000;

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
const PROTOCOL_3: u32 = 3 << 16;
const PROTOCOL_4: u32 = 4 << 16;
/// A TLS record of a handshake: encryption without asking first.
const TLS_HANDSHAKE: u8 = 0x16;

/// Who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    App,
    Database,
}

/// What is worth noting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A statement that is executed now; None: its text is not known (too long ago, or a call of the old kind).
    Statement(Option<Arc<str>>),
    /// The database is ready for the next one: idle, in a transaction, or in one that has failed.
    Ready(Transaction),
    /// Somebody asks on this connection to cancel what another one does.
    Cancel,
    /// From here on nothing can be read: it is encrypted.
    Encrypted,
    /// From here on nothing can be read: this is not protocol 3.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    None,
    Open,
    Failed,
}

/// One connection.
#[derive(Debug, Default)]
pub struct Conversation {
    app: Reader,
    database: Reader,
    phase: Phase,
    statements: BTreeMap<Vec<u8>, Option<Arc<str>>>,
    portals: BTreeMap<Vec<u8>, Option<Arc<str>>>,
    remembered: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The app's first message, which has no type.
    #[default]
    Greeting,
    /// One byte of the database says whether encryption begins.
    Asked,
    Talking,
    /// Nothing more is read.
    Deaf,
}

impl Conversation {
    /// Takes in bytes as they pass.
    pub fn hear(&mut self, side: Side, mut bytes: &[u8], heard: &mut dyn FnMut(Heard)) {
        while !bytes.is_empty() && self.phase != Phase::Deaf {
            let rest = match (self.phase, side) {
                (Phase::Asked, Side::Database) => {
                    match bytes[0] {
                        b'N' => self.phase = Phase::Greeting,
                        b'S' | b'G' => self.end(Heard::Encrypted, heard),
                        // A database that does not know the question answers with an error, and hangs up.
                        _ => self.end(Heard::Lost, heard),
                    }
                    &bytes[1..]
                }
                // Nobody speaks before the answer is there.
                (Phase::Asked, Side::App) => {
                    self.end(Heard::Lost, heard);
                    &[]
                }
                (Phase::Greeting, Side::Database) => &[],
                (Phase::Greeting, Side::App) => self.greeting(bytes, heard),
                (Phase::Talking, _) => self.message(side, bytes, heard),
                (Phase::Deaf, _) => &[],
            };
            bytes = rest;
        }
    }

    fn end(&mut self, why: Heard, heard: &mut dyn FnMut(Heard)) {
        heard(why);
        *self = Self { phase: Phase::Deaf, ..Self::default() };
    }

    fn greeting<'b>(&mut self, bytes: &'b [u8], heard: &mut dyn FnMut(Heard)) -> &'b [u8] {
        if self.app.is_new() && bytes[0] == TLS_HANDSHAKE {
            self.end(Heard::Encrypted, heard);
            return &[];
        }
        let rest = self.app.read(bytes, 4, |_| true);
        match self.app.state() {
            State::Unfinished => {}
            State::Broken => self.end(Heard::Lost, heard),
            State::Whole => {
                let body = self.app.take();
                let code = body.get(..4).and_then(|c| c.try_into().ok()).map_or(0, u32::from_be_bytes);
                match code {
                    SSL_REQUEST | GSS_REQUEST => self.phase = Phase::Asked,
                    CANCEL_REQUEST => {
                        heard(Heard::Cancel);
                        self.phase = Phase::Deaf;
                    }
                    PROTOCOL_3..PROTOCOL_4 => self.phase = Phase::Talking,
                    _ => self.end(Heard::Lost, heard),
                }
            }
        }
        rest
    }

    fn message<'b>(&mut self, side: Side, bytes: &'b [u8], heard: &mut dyn FnMut(Heard)) -> &'b [u8] {
        let (reader, wanted): (&mut Reader, &[u8]) = match side {
            Side::App => (&mut self.app, b"QPBECF"),
            Side::Database => (&mut self.database, b"Z"),
        };
        let rest = reader.read(bytes, 5, |kind| wanted.contains(&kind));
        match reader.state() {
            State::Unfinished => {}
            State::Broken => self.end(Heard::Lost, heard),
            State::Whole => {
                let kind = reader.kind();
                let body = reader.take();
                match side {
                    Side::App => self.asked(kind, &body, heard),
                    Side::Database if kind == b'Z' => heard(match body.first() {
                        Some(b'T') => Heard::Ready(Transaction::Open),
                        Some(b'E') => Heard::Ready(Transaction::Failed),
                        _ => Heard::Ready(Transaction::None),
                    }),
                    Side::Database => {}
                }
            }
        }
        rest
    }

    fn asked(&mut self, kind: u8, body: &[u8], heard: &mut dyn FnMut(Heard)) {
        let mut words = body.splitn(3, |b| *b == 0);
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        match kind {
            b'Q' => heard(Heard::Statement(Some(text(first)))),
            b'F' => heard(Heard::Statement(None)),
            b'P' => {
                let statement = second.map(text);
                self.remember(true, first.to_vec(), statement);
            }
            b'B' => {
                let statement = second.and_then(|name| self.statements.get(name)).cloned().flatten();
                self.remember(false, first.to_vec(), statement);
            }
            b'E' => heard(Heard::Statement(self.portals.get(first).cloned().flatten())),
            // Close: `S` a statement, `P` a portal.
            b'C' => {
                let (of_statements, name) =
                    (first.first() == Some(&b'S'), first.get(1..).unwrap_or_default());
                let all = if of_statements { &mut self.statements } else { &mut self.portals };
                if let Some(Some(gone)) = all.remove(name) {
                    self.remembered = self.remembered.saturating_sub(gone.len());
                }
            }
            _ => {}
        }
    }

    fn remember(&mut self, is_statement: bool, name: Vec<u8>, text: Option<Arc<str>>) {
        let size = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |t| t.len());
        let all = if is_statement { &mut self.statements } else { &mut self.portals };
        if let Some(gone) = all.remove(&name) {
            self.remembered = self.remembered.saturating_sub(size(&gone));
        }
        // What does not fit is unknown, never wrong.
        if all.len() < NAMES_MAX && name.len() <= 1024 {
            let fits = self.remembered + size(&text) <= REMEMBERED_MAX;
            let text = text.filter(|_| fits);
            self.remembered += size(&text);
            all.insert(name, text);
        }
    }
}

fn text(bytes: &[u8]) -> Arc<str> {
    String::from_utf8_lossy(bytes).into()
}

/// One message after the other, from pieces of any size.
#[derive(Debug, Default)]
struct Reader {
    /// Type (if any) and length.
    head: Vec<u8>,
    /// Bytes of the body that are still to come; None while the head is not whole.
    left: Option<u64>,
    body: Vec<u8>,
    is_kept: bool,
    is_broken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unfinished,
    Whole,
    Broken,
}

impl Reader {
    fn is_new(&self) -> bool {
        self.head.is_empty()
    }

    fn kind(&self) -> u8 {
        if self.head.len() == 5 { self.head[0] } else { 0 }
    }

    fn state(&self) -> State {
        match self.left {
            _ if self.is_broken => State::Broken,
            Some(0) => State::Whole,
            _ => State::Unfinished,
        }
    }

    /// Takes what belongs to this message and gives back the rest.
    fn read<'b>(&mut self, mut bytes: &'b [u8], head: usize, wants: impl Fn(u8) -> bool) -> &'b [u8] {
        if self.left.is_none() {
            let taken = (head - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.head.len() < head {
                return bytes;
            }
            let length = self.head[head - 4..].iter().fold(0u32, |n, b| n << 8 | u32::from(*b));
            // It counts itself, and a sign bit is a mistake.
            if !(4..=i32::MAX as u32).contains(&length) {
                self.is_broken = true;
                return &[];
            }
            self.left = Some(u64::from(length) - 4);
            self.is_kept = wants(self.kind());
        }
        let left = self.left.unwrap_or(0);
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        if self.is_kept {
            let room = KEPT_MAX.saturating_sub(self.body.len());
            self.body.extend_from_slice(&bytes[..taken.min(room)]);
        }
        self.left = Some(left - taken as u64);
        &bytes[taken..]
    }

    /// The body; then the next message begins.
    fn take(&mut self) -> Vec<u8> {
        let body = std::mem::take(&mut self.body);
        *self = Self::default();
        body
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
    }

    fn startup() -> Vec<u8> {
        let body = [&(3u32 << 16).to_be_bytes()[..], b"user\0me\0\0"].concat();
        [&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat()
    }

    fn ssl_request() -> Vec<u8> {
        [8u32.to_be_bytes(), SSL_REQUEST.to_be_bytes()].concat()
    }

    fn hear(pieces: &[(Side, Vec<u8>)]) -> Vec<Heard> {
        let (mut conversation, mut all) = (Conversation::default(), Vec::new());
        for (side, bytes) in pieces {
            conversation.hear(*side, bytes, &mut |h| all.push(h));
        }
        all
    }

    fn said(text: &str) -> Heard {
        Heard::Statement(Some(text.into()))
    }

    /// Simple queries, prepared statements executed twice, a close, one that was never prepared.
    fn session() -> Vec<(Side, Vec<u8>)> {
        let app = [
            message(b'Q', b"BEGIN\0"),
            message(b'P', b"s1\0SELECT 1\0\0\0"),
            message(b'B', b"\0s1\0\0\0\0\0\0\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'd', &[b'Q'; 100]),
            message(b'B', b"p\0s1\0\0\0\0\0\0\0"),
            message(b'C', b"Ss1\0"),
            message(b'E', b"p\0\0\0\0\0"),
            message(b'B', b"\0s1\0\0\0\0\0\0\0"),
            message(b'E', b"\0\0\0\0\0"),
        ];
        vec![
            (Side::App, ssl_request()),
            (Side::Database, b"N".to_vec()),
            (Side::App, startup()),
            (Side::Database, [message(b'R', &[0; 4]), message(b'Z', b"I")].concat()),
            (Side::App, app.concat()),
            (Side::Database, [message(b'C', b"BEGIN\0"), message(b'Z', b"T"), message(b'Z', b"E")].concat()),
        ]
    }

    fn heard_in_session() -> Vec<Heard> {
        vec![
            Heard::Ready(Transaction::None),
            said("BEGIN"),
            said("SELECT 1"),
            said("SELECT 1"),
            Heard::Statement(None),
            Heard::Ready(Transaction::Open),
            Heard::Ready(Transaction::Failed),
        ]
    }

    #[test]
    fn statements_are_heard_when_they_are_executed() {
        assert_eq!(hear(&session()), heard_in_session());
    }

    #[test]
    fn what_is_encrypted_or_foreign_is_not_guessed_at() {
        let encrypted = [(Side::App, ssl_request()), (Side::Database, b"S".to_vec()), (Side::App, startup())];
        assert_eq!(hear(&encrypted), [Heard::Encrypted]);
        assert_eq!(hear(&[(Side::App, vec![0x16, 3, 1, 0, 5])]), [Heard::Encrypted]);
        assert_eq!(hear(&[(Side::App, b"GET / HTTP/1.1\r\n\r\n".to_vec())]), []);
        let cancel = [16u32.to_be_bytes(), CANCEL_REQUEST.to_be_bytes(), [1; 4], [2; 4]].concat();
        assert_eq!(hear(&[(Side::App, cancel)]), [Heard::Cancel]);
        let short = [&startup()[..], &[b'Q', 0, 0, 0, 3]].concat();
        assert_eq!(hear(&[(Side::App, short), (Side::App, message(b'Q', b"SELECT 1\0"))]), [Heard::Lost]);
    }

    #[test]
    fn a_giant_length_takes_no_memory() {
        let mut conversation = Conversation::default();
        conversation.hear(Side::App, &startup(), &mut |_| ());
        conversation.hear(Side::App, &[b'Q', 0x7f, 0xff, 0xff, 0xff], &mut |_| ());
        for _ in 0..1000 {
            conversation.hear(Side::App, &[b'x'; 4096], &mut |_| ());
        }
        assert!(conversation.app.body.len() <= KEPT_MAX);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cuts in prop::collection::vec(1usize..7, 1..50)) {
            let mut pieces = Vec::new();
            let mut sizes = cuts.iter().cycle();
            for (side, bytes) in session() {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (piece, next) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                    pieces.push((side, piece.to_vec()));
                    rest = next;
                }
            }
            prop_assert_eq!(hear(&pieces), heard_in_session());
        }

        #[test]
        fn no_bytes_break_it(pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..64)), 0..40), greets in any::<bool>()) {
            let (mut conversation, mut count) = (Conversation::default(), 0usize);
            if greets {
                conversation.hear(Side::App, &startup(), &mut |_| ());
            }
            for (is_app, bytes) in pieces {
                let side = if is_app { Side::App } else { Side::Database };
                conversation.hear(side, &bytes, &mut |_| count += 1);
            }
            prop_assert!(conversation.remembered <= REMEMBERED_MAX && conversation.app.body.len() <= KEPT_MAX);
        }
    }
}
