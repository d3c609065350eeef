//! Where requests of HTTP/1.x begin and end on a connection, read so strictly that nobody behind can read it otherwise
//! (RFC 9112). Whatever two programs could understand in two ways is refused, not repaired.
//!
//! Pure: bytes in, verdict out.

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) why: &'static str,
}

const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;
const TRAILER_BYTES_MAX: usize = 16 << 10;
/// How a client begins that speaks HTTP/2 at once.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// How far a connection has been read.
#[derive(Debug)]
pub(super) struct Framing {
    state: State,
    first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    /// So many bytes of a body, then perhaps a change of protocol.
    Body {
        left: u64,
        upgrade: bool,
    },
    Chunks {
        at: Chunk,
        upgrade: bool,
    },
    /// The request asked for another protocol: what follows is not known before the app has answered.
    Undecided,
    /// Anything: no longer HTTP/1.x.
    Free,
}

/// Where in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Size { digits: u8, size: u64 },
    Extension { size: u64 },
    SizeEnd { size: u64 },
    Data { left: u64 },
    DataEnd,
    DataEnded,
    Trailers,
}

/// What was found at the beginning of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A whole head; with it a request begins.
    Head(usize),
    /// So many bytes that belong to what began before.
    More(usize),
    /// Nothing that can be judged yet.
    Nothing,
}

impl Framing {
    pub(super) fn new() -> Self {
        Self { state: State::Head, first: true }
    }

    /// Judges the beginning of `bytes`, which follow on what was found before.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Found, Refusal> {
        if bytes.is_empty() {
            return Ok(Found::Nothing);
        }
        match self.state {
            State::Head => self.head(bytes),
            State::Body { left, upgrade } => {
                let found = left.min(bytes.len() as u64);
                self.state = after_body(left - found, upgrade);
                Ok(Found::More(found as usize))
            }
            State::Chunks { at, upgrade } => self.chunks(bytes, at, upgrade),
            State::Undecided => Ok(Found::Nothing),
            State::Free => Ok(Found::More(bytes.len())),
        }
    }

    /// How many bytes may pass unread: the rest of a body of known length.
    pub(super) fn unread(&self) -> u64 {
        match self.state {
            State::Body { left, .. } => left,
            State::Free => u64::MAX,
            _ => 0,
        }
    }

    pub(super) fn passed(&mut self, bytes: u64) {
        if let State::Body { left, upgrade } = self.state {
            self.state = after_body(left.saturating_sub(bytes), upgrade);
        }
    }

    pub(super) fn is_undecided(&self) -> bool {
        self.state == State::Undecided
    }

    /// Nothing of the next request was let in.
    pub(super) fn is_between_requests(&self) -> bool {
        self.state == State::Head
    }

    pub(super) fn is_free(&self) -> bool {
        self.state == State::Free
    }

    /// The app has answered a request for another protocol.
    pub(super) fn decide(&mut self, switched: bool) {
        self.state = if switched { State::Free } else { State::Head };
    }

    fn head(&mut self, bytes: &[u8]) -> Result<Found, Refusal> {
        if std::mem::take(&mut self.first) {
            if bytes.starts_with(HTTP2) {
                self.state = State::Free;
                return Ok(Found::More(bytes.len()));
            }
            self.first = HTTP2.starts_with(bytes);
        }
        // RFC 9112 2.2: an empty line before a request is let pass.
        let blank = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        let lines = &bytes[blank..];
        let Some(end) = end_of_head(lines)? else {
            return if bytes.len() > HEAD_BYTES_MAX {
                Err(Refusal { status: 431, why: "its head is larger than 64 KiB" })
            } else {
                Ok(Found::Nothing)
            };
        };
        let request = Head::read(&lines[..end])?;
        self.state = match request.body {
            Length::Known(left) => after_body(left, request.upgrade),
            Length::Chunked => State::Chunks { at: Chunk::START, upgrade: request.upgrade },
        };
        Ok(Found::Head(blank + end))
    }

    fn chunks(&mut self, bytes: &[u8], mut at: Chunk, upgrade: bool) -> Result<Found, Refusal> {
        let mut read = 0;
        while read < bytes.len() {
            if at == Chunk::Trailers {
                let Some(length) = end_of_trailers(&bytes[read..])? else { break };
                self.state = after_body(0, upgrade);
                return Ok(Found::More(read + length));
            }
            if let Chunk::Data { left } = at {
                let found = left.min((bytes.len() - read) as u64);
                read += found as usize;
                at = if found == left { Chunk::DataEnd } else { Chunk::Data { left: left - found } };
                continue;
            }
            at = at.next(bytes[read])?;
            read += 1;
        }
        self.state = State::Chunks { at, upgrade };
        Ok(if read == 0 { Found::Nothing } else { Found::More(read) })
    }
}

fn after_body(left: u64, upgrade: bool) -> State {
    match (left, upgrade) {
        (0, true) => State::Undecided,
        (0, false) => State::Head,
        (left, upgrade) => State::Body { left, upgrade },
    }
}

impl Chunk {
    const START: Self = Self::Size { digits: 0, size: 0 };

    /// One byte of the frame of a chunk (RFC 9112 7.1).
    fn next(self, byte: u8) -> Result<Self, Refusal> {
        match (self, byte) {
            (Self::Size { digits, size }, b) if b.is_ascii_hexdigit() => {
                if digits == 15 {
                    return Err(bad("a chunk's size is too large"));
                }
                let digit = (b as char).to_digit(16).unwrap_or(0);
                Ok(Self::Size { digits: digits + 1, size: size << 4 | u64::from(digit) })
            }
            (Self::Size { digits: 1.., size }, b'\r') => Ok(Self::SizeEnd { size }),
            (Self::Size { digits: 1.., size }, b';') => Ok(Self::Extension { size }),
            (Self::Size { .. }, _) => Err(bad("a chunk's size is not a hexadecimal number")),
            (Self::Extension { size }, b'\r') => Ok(Self::SizeEnd { size }),
            (extension @ Self::Extension { .. }, b) if is_text(b) => Ok(extension),
            (Self::Extension { .. }, _) => Err(bad("a control character stands in a chunk's extension")),
            (Self::SizeEnd { size: 0 }, b'\n') => Ok(Self::Trailers),
            (Self::SizeEnd { size }, b'\n') => Ok(Self::Data { left: size }),
            (Self::DataEnd, b'\r') => Ok(Self::DataEnded),
            (Self::DataEnded, b'\n') => Ok(Self::START),
            (Self::DataEnd | Self::DataEnded, _) => Err(bad("a chunk is longer than its size says")),
            _ => Err(bad("a line of the chunked body does not end with CR LF")),
        }
    }
}

enum Length {
    Known(u64),
    Chunked,
}

/// What matters of a head for what follows it.
struct Head {
    body: Length,
    upgrade: bool,
}

impl Head {
    /// `lines` end with an empty one; each ends with CR LF, and neither stands alone anywhere.
    fn read(lines: &[u8]) -> Result<Self, Refusal> {
        let mut lines = lines[..lines.len() - 4].split(|&b| b == b'\n').map(without_cr);
        let line = RequestLine::read(lines.next().unwrap_or_default())?;
        let (mut length, mut host) = (None, None);
        let (mut chunked, mut upgrade, mut connection_upgrade) = (false, false, false);
        for (count, header) in lines.enumerate() {
            if count == HEADERS_MAX {
                return Err(Refusal { status: 431, why: "it has more than 100 headers" });
            }
            let (name, value) = read_header(header)?;
            let meaning = Meaning::of(name);
            // WSGI, CGI and PHP take `_` and `-` in names for the same.
            if meaning.is_none() && name.contains(&b'_') {
                let alike: Vec<u8> = name.iter().map(|&b| if b == b'_' { b'-' } else { b }).collect();
                if Meaning::of(&alike).is_some_and(Meaning::frames) {
                    return Err(bad("a header's name differs from one that frames the request by `_` only"));
                }
            }
            match meaning {
                Some(Meaning::Length) if length.is_some() => {
                    return Err(bad("it has more than one Content-Length"));
                }
                Some(Meaning::Length) => length = Some(read_length(value)?),
                Some(Meaning::Coding) if chunked || !value.eq_ignore_ascii_case(b"chunked") => {
                    return Err(bad("its Transfer-Encoding is another one than `chunked`"));
                }
                Some(Meaning::Coding) => chunked = true,
                Some(Meaning::Host) if host.is_some() => return Err(bad("it has more than one Host")),
                Some(Meaning::Host) if !value.iter().all(|&b| is_of_authority(b)) => {
                    return Err(bad("its Host is not a host"));
                }
                Some(Meaning::Host) => host = Some(value),
                Some(Meaning::Upgrade) => upgrade = true,
                Some(Meaning::Connection) => {
                    let mut options = value.split(|&b| b == b',').map(<[u8]>::trim_ascii);
                    connection_upgrade |= options.any(|o| o.eq_ignore_ascii_case(b"upgrade"));
                }
                None => {}
            }
        }
        match (chunked, line.is_old) {
            (true, true) => return Err(bad("HTTP/1.0 knows no Transfer-Encoding")),
            (true, false) if length.is_some() => {
                return Err(bad("it has both Content-Length and Transfer-Encoding"));
            }
            _ => {}
        }
        match (host, line.authority) {
            (None, _) if !line.is_old => return Err(bad("it has no Host")),
            (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
                return Err(bad("its target names another host than its Host"));
            }
            _ => {}
        }
        let body = if chunked { Length::Chunked } else { Length::Known(length.unwrap_or(0)) };
        Ok(Self { body, upgrade: line.is_connect || (upgrade && connection_upgrade) })
    }
}

/// What a header tells about what follows the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Length,
    Coding,
    Host,
    Upgrade,
    Connection,
}

impl Meaning {
    fn of(name: &[u8]) -> Option<Self> {
        let (known, meaning) = match name.len() {
            4 => (&b"host"[..], Self::Host),
            7 => (&b"upgrade"[..], Self::Upgrade),
            10 => (&b"connection"[..], Self::Connection),
            14 => (&b"content-length"[..], Self::Length),
            17 => (&b"transfer-encoding"[..], Self::Coding),
            _ => return None,
        };
        name.eq_ignore_ascii_case(known).then_some(meaning)
    }

    fn frames(self) -> bool {
        matches!(self, Self::Length | Self::Coding | Self::Host)
    }
}

struct RequestLine<'a> {
    /// HTTP/1.0.
    is_old: bool,
    is_connect: bool,
    /// What a target names that is more than a path.
    authority: Option<&'a [u8]>,
}

impl<'a> RequestLine<'a> {
    fn read(line: &'a [u8]) -> Result<Self, Refusal> {
        let mut parts = line.split(|&b| b == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad("its first line is not a method, a target and a version with one space between"));
        };
        if !is_token(method) {
            return Err(bad("its method is not a word"));
        }
        let is_old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(Refusal {
                    status: 505,
                    why: "it is in a version of HTTP that is not spoken here",
                });
            }
            _ => return Err(bad("its first line does not end with a version of HTTP")),
        };
        if target.is_empty() || target.iter().any(|&b| b <= b' ' || b == 0x7f) {
            return Err(bad("its target holds a control character, or is empty"));
        }
        let is_connect = method == b"CONNECT";
        let authority = match target {
            [b'/', ..] if !is_connect => None,
            b"*" if method == b"OPTIONS" => None,
            authority if is_connect && authority.iter().all(|&b| is_of_authority(b)) => Some(authority),
            absolute if !is_connect => Some(authority_of(absolute)?),
            _ => return Err(bad("its target is not one that CONNECT can have")),
        };
        Ok(Self { is_old, is_connect, authority })
    }
}

/// `http://host/path` names `host`.
fn authority_of(target: &[u8]) -> Result<&[u8], Refusal> {
    let wrong = bad("its target is neither a path nor a URL of http");
    let after = |scheme: &[u8]| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let rest = after(b"http://").or_else(|| after(b"https://")).ok_or(wrong)?;
    let end = rest.iter().position(|b| b"/?#".contains(b)).unwrap_or(rest.len());
    let authority = &rest[..end];
    if authority.is_empty() || !authority.iter().all(|&b| is_of_authority(b)) {
        Err(wrong)
    } else {
        Ok(authority)
    }
}

fn read_header(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if line.first().is_some_and(|b| b" \t".contains(b)) {
        return Err(bad("a header goes on in a second line"));
    }
    let colon = line.iter().position(|&b| b == b':').ok_or(bad("a header has no colon"))?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if !is_token(name) {
        return Err(bad("a header's name is not a word directly before its colon"));
    }
    if !value.iter().all(|&b| is_text(b)) {
        return Err(bad("a header's value holds a control character"));
    }
    Ok((name, value))
}

fn read_length(value: &[u8]) -> Result<u64, Refusal> {
    let wrong = bad("its Content-Length is not one number");
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(wrong);
    }
    // Above, a length and a length and a bit could be the same number for somebody.
    std::str::from_utf8(value)
        .ok()
        .and_then(|v| v.parse().ok())
        .filter(|&n| n <= i64::MAX as u64)
        .ok_or(wrong)
}

/// The length of a head with its empty line. Line ends are judged as they come, so that nobody waits for what
/// can no longer be right.
fn end_of_head(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let mut line_began = 0;
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|&b| b == b'\r' || b == b'\n') {
        at += next;
        match bytes[at..] {
            [b'\n', ..] => return Err(bad("a LF stands alone")),
            [_] => return Ok(None),
            [_, b'\n', ..] if at == 0 => return Err(bad("it begins with empty lines")),
            [_, b'\n', ..] if at == line_began => return Ok(Some(at + 2)),
            [_, b'\n', ..] => at += 2,
            _ => return Err(bad("a CR stands alone")),
        }
        line_began = at;
    }
    Ok(None)
}

/// The length of a chunked body's trailers with their empty line.
fn end_of_trailers(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    if bytes.starts_with(b"\r\n") {
        return Ok(Some(2));
    }
    let Some(end) = end_of_head(bytes)? else {
        return if bytes.len() > TRAILER_BYTES_MAX {
            Err(Refusal { status: 431, why: "its trailers are larger than 16 KiB" })
        } else {
            Ok(None)
        };
    };
    for line in bytes[..end - 4].split(|&b| b == b'\n') {
        let (name, _) = read_header(without_cr(line))?;
        if FRAMING.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            return Err(bad("a trailer has the name of a header that frames or routes"));
        }
    }
    Ok(Some(end))
}

const FRAMING: &[&[u8]] = &[b"content-length", b"transfer-encoding", b"host", b"connection", b"trailer"];

/// A line without the CR before its LF.
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn bad(why: &'static str) -> Refusal {
    Refusal { status: 400, why }
}

/// RFC 9110 5.6.2.
fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&b| IS_OF_TOKEN[usize::from(b)])
}

const IS_OF_TOKEN: [bool; 256] = {
    let mut known = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        known[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut mark = 0;
    while mark < marks.len() {
        known[marks[mark] as usize] = true;
        mark += 1;
    }
    known
};

/// Text of a header's value, in any encoding that keeps ASCII (RFC 9110 5.5).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// A character of `host:port`.
fn is_of_authority(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads all bytes, `step` at a time; gives where requests began, and what was left.
    fn read(bytes: &[u8], step: usize) -> Result<(Vec<usize>, usize), Refusal> {
        let mut framing = Framing::new();
        let (mut begins, mut done, mut have) = (Vec::new(), 0, 0);
        while have < bytes.len() {
            have = (have + step).min(bytes.len());
            loop {
                match framing.read(&bytes[done..have])? {
                    Found::Head(length) => {
                        begins.push(done);
                        done += length;
                    }
                    Found::More(length) => done += length,
                    Found::Nothing => break,
                }
            }
        }
        Ok((begins, bytes.len() - done))
    }

    const PIPELINED: &[u8] = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=\"1\"\r\nhello\r\n0\r\nX-T: 1\r\n\r\n\
          PUT /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
          GET /c HTTP/1.0\r\n\r\n";

    #[test]
    fn requests_are_told_apart_wherever_the_network_cuts_them() {
        let at = |path: &str| PIPELINED.windows(path.len()).position(|w| w == path.as_bytes()).unwrap();
        let begins = vec![0, at("PUT /b"), at("GET /c")];
        for step in 1..PIPELINED.len() {
            assert_eq!(read(PIPELINED, step), Ok((begins.clone(), 0)), "{step}");
        }
    }

    #[test]
    fn what_follows_an_upgrade_waits_for_the_answer() {
        let head = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: foo\r\nConnection: a, Upgrade\r\n\r\n";
        let bytes = [&head[..], b"\0anything"].concat();
        assert_eq!(read(&bytes, bytes.len()), Ok((vec![0], 9)));
        let mut framing = Framing::new();
        assert_eq!(framing.read(&bytes), Ok(Found::Head(head.len())));
        assert!(framing.is_undecided());
        framing.decide(true);
        assert_eq!(framing.read(&bytes[head.len()..]), Ok(Found::More(9)));
        framing = Framing::new();
        framing.read(&bytes).unwrap();
        framing.decide(false);
        assert_eq!(framing.read(b"GET / HTTP/1.1\r\n\r\n").unwrap_err().why, "it has no Host");
    }

    #[test]
    fn http_2_is_left_to_those_who_read_it() {
        let bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        for step in 1..bytes.len() {
            assert_eq!(read(bytes, step), Ok((vec![], 0)), "{step}");
        }
        let late = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &bytes[..]].concat();
        assert!(read(&late, late.len()).is_err());
    }

    proptest! {
        #[test]
        fn the_verdict_does_not_depend_on_how_the_bytes_come(
            at in 0..PIPELINED.len(), byte: u8, step in 1..40usize,
        ) {
            let mut bytes = PIPELINED.to_vec();
            bytes[at] = byte;
            let whole = read(&bytes, bytes.len());
            let parts = read(&bytes, step);
            prop_assert_eq!(whole.is_err(), parts.is_err(), "{:?} {:?}", whole, parts);
            if whole.is_ok() { prop_assert_eq!(whole, parts); }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, step in 1..9usize) {
            let _ = read(&bytes, step);
        }
    }
}
