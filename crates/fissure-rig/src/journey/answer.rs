//! What the app answered, decoded only as far as somebody looks.

use std::cell::{Cell, OnceCell};
use std::io::Read;
use std::time::Duration;

use fissure_facts::HttpVersion;
use fissure_facts::fact::ErrorClass;
use fissure_facts::journey::JsonPath;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::Value;

use super::Problem;

/// A decompressed body may be this large; a small answer that unpacks to more is a bomb or a mistake.
const DECODED_BYTES_MAX: usize = 64 << 20;
/// One encoding is usual, two are a mistake of a proxy; each may blow up what the one before left.
const ENCODINGS_MAX: usize = 4;

/// One answer, over HTTP/1.1 unless somebody says otherwise. Text and JSON are decoded once, when first asked for.
#[derive(Debug)]
pub struct Answer<'a> {
    pub version: HttpVersion,
    pub status: u16,
    pub headers: &'a HeaderMap,
    /// As it came over the wire, still compressed if it was.
    pub body: &'a [u8],
    /// After redirects.
    pub url: &'a str,
    pub duration: Duration,
    decoded: OnceCell<Result<Vec<u8>, Problem>>,
    text: OnceCell<Result<String, String>>,
    json: OnceCell<Result<Value, String>>,
    /// A path was looked for in the text.
    was_followed: Cell<bool>,
}

impl<'a> Answer<'a> {
    pub fn new(
        status: u16,
        headers: &'a HeaderMap,
        body: &'a [u8],
        url: &'a str,
        duration: Duration,
    ) -> Self {
        let (decoded, text, json) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        let (version, was_followed) = (HttpVersion::One, Cell::new(false));
        Self { version, status, headers, body, url, duration, decoded, text, json, was_followed }
    }

    /// The body without its content encoding.
    pub fn bytes(&self) -> Result<&[u8], &str> {
        if !self.headers.contains_key(CONTENT_ENCODING) {
            return Ok(self.body);
        }
        let decoded = self.decoded.get_or_init(|| decode(self.headers, self.body));
        decoded.as_deref().map_err(|problem| problem.sentence.as_str())
    }

    /// The class of an assert or capture that failed on this answer: it may have failed because nobody can unpack the body.
    pub(super) fn class_of_failure(&self) -> ErrorClass {
        match self.decoded.get() {
            Some(Err(problem)) => problem.class,
            _ => ErrorClass::Assert,
        }
    }

    /// The body as text, in its own character set.
    pub(super) fn text(&self) -> Result<&str, &str> {
        let text = self.text.get_or_init(|| characters(self.headers, self.bytes()?));
        text.as_deref().map_err(String::as_str)
    }

    /// What a path finds in the body. The first one is followed through the text, which costs a fraction of building the
    /// whole value; when there are several, the others look into the value.
    pub(super) fn json_at(&self, path: &JsonPath) -> Result<Option<Value>, String> {
        let not_json = |e: serde_json::Error| format!("the body is not JSON ({e})");
        if !self.was_followed.replace(true)
            && let Some(found) = path.look_in_text(self.json_text()?)
        {
            return found.map_err(not_json);
        }
        let json = self.json.get_or_init(|| serde_json::from_str(self.json_text()?).map_err(not_json));
        json.as_ref().map(|json| path.look(json)).map_err(String::clone)
    }

    /// JSON is UTF-8, whatever the content type says (RFC 8259, section 8.1).
    fn json_text(&self) -> Result<&str, String> {
        let bytes = self.bytes()?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        std::str::from_utf8(bytes).map_err(|e| format!("the body is not JSON ({e})"))
    }
}

/// Undoes every content encoding, last applied first (RFC 9110, section 8.4).
fn decode(headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut encodings: Vec<String> = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        encodings.extend(value.split(',').map(|e| e.trim().to_owned()));
    }
    if encodings.len() > ENCODINGS_MAX {
        return Err(too_large(format!("the body is encoded {} times over", encodings.len())));
    }
    let mut bytes = body.to_vec();
    for encoding in encodings.iter().rev() {
        bytes = match encoding.as_str() {
            "" | "identity" => continue,
            "gzip" | "x-gzip" => unpack(MultiGzDecoder::new(&bytes[..]), encoding)?,
            // "deflate" means zlib, but some servers send the bare stream; a zlib header tells them apart.
            "deflate" if bytes.first().is_some_and(|b| b & 0x0f == 8) => {
                unpack(ZlibDecoder::new(&bytes[..]), encoding)?
            }
            "deflate" => unpack(DeflateDecoder::new(&bytes[..]), encoding)?,
            other => {
                return Err(wrong(format!("the body is encoded as `{other}`, which fissure cannot read")));
            }
        };
    }
    Ok(bytes)
}

fn unpack(decoder: impl Read, encoding: &str) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::new();
    let limit = DECODED_BYTES_MAX as u64 + 1;
    decoder
        .take(limit)
        .read_to_end(&mut out)
        .map_err(|e| wrong(format!("the body is not right {encoding} ({e})")))?;
    if out.len() > DECODED_BYTES_MAX {
        let mb = DECODED_BYTES_MAX >> 20;
        return Err(too_large(format!("the {encoding} body unpacks to more than {mb} MB")));
    }
    Ok(out)
}

fn wrong(sentence: String) -> Problem {
    Problem { class: ErrorClass::Assert, sentence }
}

fn too_large(sentence: String) -> Problem {
    Problem { class: ErrorClass::TooLarge, sentence }
}

/// UTF-8 unless the content type says Latin-1; those two are what the web of monoliths speaks.
fn characters(headers: &HeaderMap, bytes: &[u8]) -> Result<String, String> {
    let content_type =
        headers.get(CONTENT_TYPE).map(|v| String::from_utf8_lossy(v.as_bytes()).to_ascii_lowercase());
    let charset =
        content_type.as_deref().and_then(|t| t.split(';').find_map(|p| p.trim().strip_prefix("charset=")));
    match charset.map(|c| c.trim_matches(['"', '\'', ' '])) {
        None | Some("utf-8" | "utf8" | "us-ascii" | "ascii") => std::str::from_utf8(bytes)
            .map(|text| text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
            .map_err(|e| format!("the body is not UTF-8 text (byte {})", e.valid_up_to() + 1)),
        Some("iso-8859-1" | "latin1" | "windows-1252" | "cp1252") => {
            Ok(bytes.iter().map(|b| char::from(*b)).collect())
        }
        Some(other) => Err(format!("the body's character set is `{other}`; fissure reads utf-8 and latin1")),
    }
}
