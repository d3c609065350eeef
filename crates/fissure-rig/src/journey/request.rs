//! The parts of a request: target and body.

use std::fmt::Write;

use bytes::Bytes;
use fissure_facts::journey::{Body, JourneyStep, Part, PartContent, Variables};

use super::{MissingVariable, render};

/// Path and query of a step's request, ready for the request line.
pub fn target(
    step: &JourneyStep,
    vars: &Variables,
    random: &mut dyn FnMut() -> u64,
    now: &dyn Fn() -> String,
) -> Result<String, MissingVariable> {
    let written = render(&step.target, vars, random, now)?;
    // A fragment never goes over the wire.
    let mut out = legal(path_of_link(&written).split('#').next().unwrap_or_default());
    if !out.starts_with('/') {
        out.insert(0, '/');
    }
    for (name, value) in &step.query {
        let value = render(value, vars, random, now)?;
        if !out.ends_with('?') {
            out.push(if out.contains('?') { '&' } else { '?' });
        }
        // The language encodes values and leaves names as they are written.
        let _ = write!(out, "{}={}", legal(name), percent_encoded(&value));
    }
    Ok(out)
}

/// A link that was captured may be a whole address. Only the app is ever asked, so of its own and of any other the path is left.
fn path_of_link(link: &str) -> &str {
    let behind_scheme = ["http://", "https://"].iter().find_map(|scheme| link.strip_prefix(scheme));
    behind_scheme.map_or(link, |address| address.find('/').map_or("/", |at| &address[at..]))
}

/// A step's body with the content type that it implies; a `Content-Type` header of the step goes before that one
/// (except for multipart, whose boundary only this content type knows).
pub fn body_bytes(
    body: &Body,
    vars: &Variables,
    random: &mut dyn FnMut() -> u64,
    now: &dyn Fn() -> String,
) -> Result<(Option<String>, Bytes), MissingVariable> {
    Ok(match body {
        Body::None => (None, Bytes::new()),
        Body::Text { content_type, text } => {
            (content_type.map(str::to_owned), render(text, vars, random, now)?.into())
        }
        Body::Form(fields) => {
            let mut pairs = Vec::with_capacity(fields.len());
            for (name, value) in fields {
                let value = render(value, vars, random, now)?;
                pairs.push(format!("{name}={}", percent_encoded(&value)));
            }
            (Some("application/x-www-form-urlencoded".to_owned()), pairs.join("&").into())
        }
        Body::Multipart(parts) => {
            let boundary = format!("fissure{:016x}{:016x}", random(), random());
            let mut out = Vec::new();
            for part in parts {
                write_part(&mut out, &boundary, part, |t| render(t, vars, random, now))?;
            }
            out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
            (Some(format!("multipart/form-data; boundary={boundary}")), out.into())
        }
        Body::Bytes(bytes) => (None, Bytes::copy_from_slice(bytes)),
    })
}

/// One part of a multipart body (RFC 7578).
fn write_part(
    out: &mut Vec<u8>,
    boundary: &str,
    part: &Part,
    render: impl FnOnce(&fissure_facts::journey::Template) -> Result<String, MissingVariable>,
) -> Result<(), MissingVariable> {
    let name = quoted(&part.name);
    out.extend_from_slice(
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"").as_bytes(),
    );
    match &part.content {
        PartContent::Text(text) => {
            out.extend_from_slice(b"\r\n\r\n");
            out.extend_from_slice(render(text)?.as_bytes());
        }
        PartContent::File { file_name, content_type, bytes } => {
            let file_name = quoted(file_name);
            out.extend_from_slice(
                format!("; filename=\"{file_name}\"\r\nContent-Type: {content_type}\r\n\r\n").as_bytes(),
            );
            out.extend_from_slice(bytes);
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Quotes and line ends in a part's name, escaped as browsers do (WHATWG HTML, multipart/form-data encoding algorithm).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// Everything but RFC 3986's unreserved characters becomes `%XX`.
fn percent_encoded(text: &str) -> String {
    percent_encoded_but(text, "")
}

/// The same, except for the characters in `kept`.
pub(super) fn percent_encoded_but(text: &str, kept: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Encodes only what a URL may not contain as it is; what is encoded already stays.
fn legal(target: &str) -> String {
    let mut out = String::with_capacity(target.len());
    for byte in target.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
