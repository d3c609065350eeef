//! What the bytes of an HTTP/1.1 answer mean (RFC 9112). Pure: bytes come in pieces of any size, an answer comes out.
//!
//! Two readers of one byte stream must never disagree on where an answer ends, so what is ambiguous is refused, each
//! time with a sentence.

use std::mem::MaybeUninit;

use fissure_facts::fact::ErrorClass;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};

use super::super::{Failure, Keep, Reply};

/// The first line and all headers together, or all trailers.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;
/// The line with a chunk's size and its extensions.
const CHUNK_LINE_BYTES_MAX: usize = 4 << 10;

/// An answer on its way.
pub(super) struct Answer {
    reply: Reply,
    keep: Keep,
    method: Method,
    stage: Stage,
    /// The beginning of something that can only be read as a whole: a head, the line of a chunk, trailers.
    held: Vec<u8>,
    has_begun: bool,
    keeps_open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    /// So many bytes of the body are to come.
    Fixed(u64),
    UntilClose,
    ChunkLine,
    Chunk(u64),
    /// The line end behind a chunk, of which so much is still to come.
    ChunkEnd(&'static [u8]),
    Trailers,
    Whole,
}

impl Answer {
    pub(super) fn to(method: &Method, keep: Keep) -> Self {
        Self {
            reply: Reply::default(),
            keep,
            method: method.clone(),
            stage: Stage::Head,
            held: Vec::new(),
            has_begun: false,
            keeps_open: true,
        }
    }

    /// Reads on. What is left over does not belong to this answer.
    pub(super) fn take<'b>(&mut self, mut bytes: &'b [u8]) -> Result<&'b [u8], Failure> {
        self.has_begun |= !bytes.is_empty();
        while !bytes.is_empty() && self.stage != Stage::Whole {
            bytes = match self.stage {
                Stage::Whole => bytes,
                Stage::Head => self.head(bytes)?,
                Stage::Fixed(left) => {
                    let (now, later) = split(bytes, left);
                    self.body(now)?;
                    self.stage = Stage::fixed(left - now.len() as u64);
                    later
                }
                Stage::UntilClose => {
                    self.body(bytes)?;
                    &[]
                }
                Stage::ChunkLine => self.chunk_line(bytes)?,
                Stage::Chunk(left) => {
                    let (now, later) = split(bytes, left);
                    self.body(now)?;
                    let left = left - now.len() as u64;
                    self.stage = if left > 0 { Stage::Chunk(left) } else { Stage::ChunkEnd(b"\r\n") };
                    later
                }
                Stage::ChunkEnd(due) => {
                    if bytes[0] != due[0] {
                        return Err(malformed("a chunk is not followed by a line end"));
                    }
                    self.stage = if due.len() > 1 { Stage::ChunkEnd(&due[1..]) } else { Stage::ChunkLine };
                    &bytes[1..]
                }
                Stage::Trailers => self.trailers(bytes)?,
            };
        }
        Ok(bytes)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.stage == Stage::Whole
    }

    /// The app will not send anything more.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        match self.stage {
            Stage::UntilClose => {
                self.stage = Stage::Whole;
                Ok(())
            }
            Stage::Whole => Ok(()),
            _ => Err(self.cut_short("it closed the connection")),
        }
    }

    /// Why there is no whole answer when the connection is gone.
    pub(super) fn cut_short(&self, how: &str) -> Failure {
        if self.has_begun {
            let sentence = format!("the app's answer ends in its middle: {how}");
            return Failure { class: ErrorClass::CutShort, sentence };
        }
        let sentence = format!("the app did not answer: {how}");
        Failure { class: ErrorClass::Reset, sentence }
    }

    /// The whole answer, and whether the connection may carry another one.
    pub(super) fn into_reply(self) -> (Reply, bool) {
        (self.reply, self.keeps_open)
    }

    fn body(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.reply.take_body(bytes, self.keep)
    }

    /// Reads a head, which `bytes` bring to its end or not.
    fn head<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Failure> {
        let before = self.held.len();
        let Some(held) = self.gather(bytes)? else { return Ok(&[]) };
        let text = if before == 0 { bytes } else { &held };
        let mut fields = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut head,
            text,
            &mut fields,
        );
        match parsed.map_err(of_head)? {
            httparse::Status::Partial => {
                self.held = if before == 0 { bytes.to_vec() } else { held };
                self.is_not_too_long()?;
                Ok(&[])
            }
            httparse::Status::Complete(length) => {
                self.understand(&head)?;
                Ok(&bytes[length.saturating_sub(before)..])
            }
        }
    }

    /// The bytes held so far with the new ones behind them, or None when it is in vain to read them yet. Copies nothing
    /// when nothing was held.
    fn gather(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        if self.held.is_empty() {
            return Ok(Some(Vec::new()));
        }
        self.held.extend_from_slice(bytes);
        // Heads and trailers end with a line; this keeps an app that sends byte by byte from costing a parse for each.
        if bytes.contains(&b'\n') {
            return Ok(Some(std::mem::take(&mut self.held)));
        }
        self.is_not_too_long()?;
        Ok(None)
    }

    fn is_not_too_long(&self) -> Result<(), Failure> {
        if self.held.len() < HEAD_BYTES_MAX {
            return Ok(());
        }
        Err(too_large(format!("the head of the answer is longer than {} kB", HEAD_BYTES_MAX >> 10)))
    }

    /// What the head says about itself and the body (RFC 9112, section 6.3).
    fn understand(&mut self, head: &httparse::Response<'_, '_>) -> Result<(), Failure> {
        let status = head.code.unwrap_or_default();
        let is_1_0 = head.version == Some(0);
        if status < 100 {
            return Err(malformed(&format!("{status} is not a status")));
        }
        if status == 101 {
            return Err(malformed("the app switched to another protocol, which nobody had asked it to"));
        }
        if status < 200 {
            return Ok(()); // the answer proper is to come
        }

        let (mut length, mut is_chunked, mut closes) = (None, false, is_1_0);
        for field in &*head.headers {
            let (name, value) = (field.name, field.value);
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(content_length(value, length)?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                if is_chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    let value = String::from_utf8_lossy(value);
                    return Err(malformed(&format!(
                        "its transfer encoding is `{value}`; nobody asked for more than `chunked`, once"
                    )));
                }
                is_chunked = true;
            } else if name.eq_ignore_ascii_case("connection") {
                let says = |word: &[u8]| {
                    value.split(|b| *b == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(word))
                };
                closes = says(b"close") || (closes && !says(b"keep-alive"));
            }
            if self.keep.headers || status >= 400 || name.eq_ignore_ascii_case("set-cookie") {
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| malformed(&e.to_string()))?;
                let value = HeaderValue::from_bytes(value).map_err(|e| malformed(&e.to_string()))?;
                self.reply.headers.append(name, value);
            }
        }
        if is_chunked && is_1_0 {
            return Err(malformed("a transfer encoding in an HTTP/1.0 answer, which does not know any"));
        }
        self.reply.status = status;
        self.stage = match (length, is_chunked) {
            _ if self.method == Method::HEAD || matches!(status, 204 | 304) => Stage::Whole,
            (None, false) => Stage::UntilClose,
            (Some(length), false) => Stage::fixed(length),
            (_, true) => Stage::ChunkLine,
        };
        // Lengths of both kinds: whoever is in between may have read the other one.
        self.keeps_open = !closes && self.stage != Stage::UntilClose && !(is_chunked && length.is_some());
        Ok(())
    }

    fn chunk_line<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Failure> {
        let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
        let (now, later) = bytes.split_at(end);
        if self.held.len() + now.len() > CHUNK_LINE_BYTES_MAX {
            return Err(too_large(format!(
                "the line before a chunk is longer than {} kB",
                CHUNK_LINE_BYTES_MAX >> 10
            )));
        }
        if !now.ends_with(b"\n") {
            self.held.extend_from_slice(now);
            return Ok(later);
        }
        let size = if self.held.is_empty() {
            chunk_size(now)
        } else {
            self.held.extend_from_slice(now);
            chunk_size(&std::mem::take(&mut self.held))
        };
        self.stage = match size? {
            0 => Stage::Trailers,
            size => Stage::Chunk(size),
        };
        Ok(later)
    }

    /// Nobody looks at trailers, but they must be proper ones.
    fn trailers<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Failure> {
        let before = self.held.len();
        let Some(held) = self.gather(bytes)? else { return Ok(&[]) };
        let text = if before == 0 { bytes } else { &held };
        let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
        match httparse::parse_headers(text, &mut fields).map_err(of_head)? {
            httparse::Status::Partial => {
                self.held = if before == 0 { bytes.to_vec() } else { held };
                self.is_not_too_long()?;
                Ok(&[])
            }
            httparse::Status::Complete((length, _)) => {
                // In a head a bare line feed is let through, as everywhere; inside of a body nothing is.
                let is_bare = |at: usize| text[at] == b'\n' && (at == 0 || text[at - 1] != b'\r');
                if (0..length).any(is_bare) {
                    return Err(malformed("a trailer ends without a carriage return"));
                }
                self.stage = Stage::Whole;
                Ok(&bytes[length.saturating_sub(before)..])
            }
        }
    }
}

impl Stage {
    fn fixed(left: u64) -> Self {
        if left == 0 { Self::Whole } else { Self::Fixed(left) }
    }
}

fn split(bytes: &[u8], at_most: u64) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.len().min(usize::try_from(at_most).unwrap_or(usize::MAX)))
}

/// One or more lengths, which must agree with each other and with those `before` (RFC 9110, section 8.6).
fn content_length(value: &[u8], before: Option<u64>) -> Result<u64, Failure> {
    let mut all = before;
    for length in value.split(|b| *b == b',') {
        let length = digits(length.trim_ascii(), 10).ok_or_else(|| {
            let value = String::from_utf8_lossy(value);
            malformed(&format!("its length is `{value}`"))
        })?;
        if all.is_some_and(|known| known != length) {
            return Err(malformed("it has two lengths that differ"));
        }
        all = Some(length);
    }
    Ok(all.unwrap_or_default())
}

/// The size in the line before a chunk, with its line end; extensions are skipped (RFC 9112, section 7.1).
fn chunk_size(line: &[u8]) -> Result<u64, Failure> {
    let bad = || malformed(&format!("`{}` is not the size of a chunk", line.escape_ascii()));
    let text = line.strip_suffix(b"\r\n").ok_or_else(bad)?;
    if text.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
        return Err(bad());
    }
    let end = text.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(text.len());
    let (size, extensions) = text.split_at(end);
    if !matches!(extensions.trim_ascii(), [] | [b';', ..]) {
        return Err(bad());
    }
    digits(size, 16).ok_or_else(bad)
}

/// Digits and nothing else, and not too many.
fn digits(text: &[u8], radix: u32) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, b| {
        let digit = char::from(*b).to_digit(radix)?;
        sum.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))
    })
}

fn of_head(error: httparse::Error) -> Failure {
    match error {
        httparse::Error::TooManyHeaders => {
            too_large(format!("the answer has more than {HEADERS_MAX} headers"))
        }
        error => malformed(&error.to_string()),
    }
}

fn malformed(reason: &str) -> Failure {
    let sentence = format!("the answer is not proper HTTP/1.1 ({reason})");
    Failure { class: ErrorClass::Malformed, sentence }
}

fn too_large(sentence: String) -> Failure {
    Failure { class: ErrorClass::TooLarge, sentence }
}
