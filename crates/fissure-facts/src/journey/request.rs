//! The request of a step: method, URL, headers, sections, body.

use std::time::Duration;

use super::body;
use super::cursor::Cursor;
use super::error::{Parsed, Wrong};
use super::routes::route_of;
use super::text::{self, Until};
use super::{Body, ExpectedStatus, Files, JourneyStep, Part, PartContent, Piece, StepKind, Template};
use crate::{HttpVersion, Route};

/// Reads a request up to its answer part or the next request.
pub(super) fn request(cursor: &mut Cursor<'_>, files: &Files<'_>) -> Parsed<JourneyStep> {
    let start = *cursor;
    let method = method(cursor)?;
    let target = url(cursor)?;
    let Some(route) = route_of(&method, &target) else {
        return Err(start.wrong(format!("`{method}` with this path is not a route")));
    };
    let mut step = JourneyStep { route, method, target, ..JourneyStep::empty(start.line()) };
    for (name, value) in pairs(cursor, "a header")? {
        step.headers.push((name, value));
    }
    sections(cursor, &mut step, files)?;
    cursor.blank_lines();
    let place = *cursor;
    if let Some(found) = body::body(cursor, files)? {
        if !matches!(step.body, Body::None) {
            return Err(place.wrong("a request has either a form or a body, not both"));
        }
        step.body = found;
        cursor.line_end()?;
    }
    Ok(step)
}

impl JourneyStep {
    /// `GET /`, with nothing that it says and nothing that it expects.
    pub fn empty(line: u32) -> Self {
        Self {
            line,
            kind: StepKind::Request,
            route: Route::root(),
            think: Duration::ZERO,
            method: "GET".to_owned(),
            target: Template::text("/"),
            headers: Vec::new(),
            query: Vec::new(),
            cookies: Vec::new(),
            basic_auth: None,
            body: Body::None,
            variables: Vec::new(),
            http: None,
            follow_redirects: false,
            status: ExpectedStatus::Unsaid,
            version: None,
            expected_headers: Vec::new(),
            captures: Vec::new(),
            asserts: Vec::new(),
        }
    }
}

fn method(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let start = *cursor;
    let method = cursor.take_while(|c| c.is_ascii_uppercase());
    if method.is_empty() || !cursor.spaces() {
        let found = start.shown();
        let what = if start.starts_with("[") {
            let known = start.rest().split(']').next().unwrap_or_default().trim_start_matches('[');
            format!(
                "`[{}]` does not belong here: sections come before the body; move it up, below the request's line and headers",
                known.chars().take(30).collect::<String>()
            )
        } else {
            format!("expected a request like `GET {{{{base}}}}/`, found {found}")
        };
        return Err(start.wrong(what));
    }
    if method == "CONNECT" {
        return Err(start.wrong("`CONNECT` is for proxies and cannot be a step of a journey"));
    }
    Ok(method.to_owned())
}

/// `{{base}}/path?query`: gives what stands behind `{{base}}`. A link out of an answer may stand behind it or in its place.
fn url(cursor: &mut Cursor<'_>) -> Parsed<Template> {
    let start = *cursor;
    let first = if cursor.starts_with("{{") { Some(text::placeholder(cursor)?) } else { None };
    let is_base = first == Some(Piece::Variable("base".to_owned()));
    let is_more_of_a_link = is_over(cursor) || ["?", "&", "#"].iter().any(|sign| cursor.starts_with(sign));
    let mut pieces = text::Pieces::default();
    match first {
        Some(link @ Piece::Variable(_)) if !is_base && is_more_of_a_link => pieces.0.push(link),
        _ if is_base => {}
        _ => {
            return Err(start.wrong(
                "a URL begins with `{{base}}`, the app's address, or with a link out of an answer: fissure starts the app on a port of its own and sends load nowhere else",
            ));
        }
    }
    let behind = *cursor;
    loop {
        if cursor.starts_with("{{") {
            pieces.0.push(text::placeholder(cursor)?);
            continue;
        }
        match cursor.peek() {
            Some(c) if c.is_alphanumeric() || ":/.-?=&_%*,@~+!$'();[]".contains(c) => {
                cursor.next();
                pieces.push(c);
            }
            _ => break,
        }
    }
    if !is_over(cursor) {
        let found = cursor.peek().unwrap_or_default();
        return Err(
            cursor.wrong(format!("`{found}` may not stand in a URL: percent-encode it, or use [Query]"))
        );
    }
    cursor.line_end()?;
    match pieces.0.first_mut() {
        None => pieces.push('/'),
        Some(Piece::Text(text)) if text.starts_with('/') => {}
        // A path out of an answer, as links have it.
        Some(Piece::Variable(_)) => {}
        Some(Piece::Text(text)) if text.starts_with('?') => text.insert(0, '/'),
        Some(_) => return Err(behind.wrong("expected `/`, or a link out of an answer, behind `{{base}}`")),
    }
    if has_dot_segment(&pieces.0) {
        return Err(
            behind.wrong("`.` and `..` in a path are not supported: write the path that they lead to")
        );
    }
    Ok(Template(pieces.0))
}

/// Nothing but a comment is left of the line.
fn is_over(cursor: &Cursor<'_>) -> bool {
    cursor.is_at_line_end() || [" ", "\t", "#"].iter().any(|blank| cursor.starts_with(blank))
}

fn has_dot_segment(pieces: &[Piece]) -> bool {
    let written: String =
        pieces.iter().map(|p| if let Piece::Text(text) = p { text } else { "{}" }).collect();
    let path = written.split('?').next().unwrap_or_default();
    path.split('/').any(|segment| segment == "." || segment == "..")
}

/// `key: value` lines as long as they come.
fn key_values<'a>(cursor: &mut Cursor<'a>) -> Parsed<Vec<(Cursor<'a>, Template, Template)>> {
    let mut found = Vec::new();
    while let Some((start, key)) = next_key(cursor)? {
        let value = text::template(cursor, Until::LineEnd)?;
        cursor.line_end()?;
        found.push((start, key, value));
    }
    Ok(found)
}

/// The next `key:`; the cursor stands at its value then. Nothing is read when the line is something else.
pub(super) fn next_key<'a>(cursor: &mut Cursor<'a>) -> Parsed<Option<(Cursor<'a>, Template)>> {
    let mut ahead = *cursor;
    ahead.blank_lines();
    let start = ahead;
    // A JSON body may begin with a variable; only a colon makes it a key.
    let Some(key) = text::key(&mut ahead)? else { return Ok(None) };
    ahead.spaces();
    if !ahead.eat(":") {
        return Ok(None);
    }
    ahead.spaces();
    *cursor = ahead;
    Ok(Some((start, key)))
}

/// `key: value` lines whose keys have no variables.
pub(super) fn pairs(cursor: &mut Cursor<'_>, what: &str) -> Parsed<Vec<(String, Template)>> {
    let mut pairs = Vec::new();
    for (start, key, value) in key_values(cursor)? {
        pairs.push((plain_key(start, key, what)?, value));
    }
    Ok(pairs)
}

fn plain_key(start: Cursor<'_>, key: Template, what: &str) -> Parsed<String> {
    text::plain(key).ok_or_else(|| start.wrong(format!("variables in the name of {what} are not supported")))
}

/// The name of the section that begins here, with the cursor behind its line.
pub(super) fn section<'a>(cursor: &mut Cursor<'a>) -> Parsed<Option<(Cursor<'a>, &'a str)>> {
    let mut ahead = *cursor;
    ahead.blank_lines();
    let start = ahead;
    if !ahead.eat("[") {
        return Ok(None);
    }
    let name = ahead.take_while(char::is_alphanumeric);
    // `[1, 2]` and `[]` are JSON bodies.
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) || !ahead.eat("]") {
        return Ok(None);
    }
    ahead.line_end()?;
    *cursor = ahead;
    Ok(Some((start, name)))
}

fn sections(cursor: &mut Cursor<'_>, step: &mut JourneyStep, files: &Files<'_>) -> Parsed<()> {
    let mut seen: Vec<&str> = Vec::new();
    while let Some((start, name)) = section(cursor)? {
        let kind = match name {
            "QueryStringParams" => "Query",
            "FormParams" => "Form",
            "MultipartFormData" => "Multipart",
            other => other,
        };
        if seen.contains(&kind) {
            return Err(start.wrong(format!("`[{name}]` stands here for the second time")));
        }
        seen.push(kind);
        if matches!(kind, "Form" | "Multipart") && !matches!(step.body, Body::None) {
            return Err(start.wrong("a request has either [Form] or [Multipart], not both"));
        }
        match kind {
            "Query" => step.query = pairs(cursor, "a query parameter")?,
            "Form" => step.body = Body::Form(pairs(cursor, "a form field")?),
            "Multipart" => step.body = Body::Multipart(parts(cursor, files)?),
            "Cookies" => step.cookies = pairs(cursor, "a cookie")?,
            "BasicAuth" => step.basic_auth = basic_auth(cursor, start)?,
            "Options" => options(cursor, step)?,
            "Captures" | "Asserts" => {
                return Err(
                    start.wrong(format!("`[{name}]` belongs to an answer: put a line `HTTP 200` before it"))
                );
            }
            _ => {
                return Err(start.wrong(format!(
                    "`[{name}]` is not a section of a request: there are [Query], [Form], [Multipart], [Cookies], [BasicAuth] and [Options]"
                )));
            }
        }
    }
    Ok(())
}

fn basic_auth(cursor: &mut Cursor<'_>, start: Cursor<'_>) -> Parsed<Option<(Template, Template)>> {
    let mut found = key_values(cursor)?.into_iter();
    match (found.next(), found.next()) {
        (Some((_, user, password)), None) => Ok(Some((user, password))),
        (None, _) => Err(start.wrong("[BasicAuth] needs one line `user: password`")),
        (_, Some((second, ..))) => Err(second.wrong("[BasicAuth] has only one line `user: password`")),
    }
}

fn parts(cursor: &mut Cursor<'_>, files: &Files<'_>) -> Parsed<Vec<Part>> {
    let mut parts = Vec::new();
    while let Some((start, key)) = next_key(cursor)? {
        let name = plain_key(start, key, "a part")?;
        let content = if cursor.starts_with("file,") {
            let (path, bytes) = body::file(cursor, files)?;
            cursor.spaces();
            let place = *cursor;
            let content_type = text::plain(text::template(cursor, Until::LineEnd)?)
                .ok_or_else(|| place.wrong("variables in the content type of a file are not supported"))?;
            let content_type =
                if content_type.is_empty() { content_type_of(&path).to_owned() } else { content_type };
            let file_name = path.rsplit('/').next().unwrap_or(&path).to_owned();
            PartContent::File { file_name, content_type, bytes }
        } else {
            PartContent::Text(text::template(cursor, Until::LineEnd)?)
        };
        cursor.line_end()?;
        parts.push(Part { name, content });
    }
    Ok(parts)
}

/// What the language takes a file for by the end of its name.
fn content_type_of(path: &str) -> &'static str {
    let ending = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "gif" => "image/gif",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain",
        "htm" | "html" => "text/html",
        "pdf" => "application/pdf",
        "xml" => "application/xml",
        _ => "application/octet-stream",
    }
}

fn options(cursor: &mut Cursor<'_>, step: &mut JourneyStep) -> Parsed<()> {
    while let Some((start, key)) = next_key(cursor)? {
        let name = plain_key(start, key, "an option")?;
        match name.as_str() {
            "delay" => step.think = delay(cursor)?,
            "location" => step.follow_redirects = boolean(cursor)?,
            "variable" => step.variables.push(variable(cursor)?),
            // The one effect on the request is the header; answers are always decompressed when somebody looks.
            "compressed" => {
                let asked = step.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept-encoding"));
                if boolean(cursor)? && !asked {
                    step.headers.push(("Accept-Encoding".to_owned(), Template::text("gzip, deflate")));
                }
            }
            // What they ask for is how the crowd works anyway, or is about printing.
            "verbose" | "very-verbose" | "insecure" | "ipv4" => {
                boolean(cursor)?;
            }
            "http1.1" | "http2" => {
                let version = if name == "http2" { HttpVersion::Two } else { HttpVersion::One };
                step.http = boolean(cursor)?.then_some(version).or(step.http);
            }
            other => return Err(start.wrong(unsupported_option(other))),
        }
        cursor.line_end()?;
    }
    Ok(())
}

fn unsupported_option(name: &str) -> String {
    let instead = match name {
        "retry" | "retry-interval" => "a retry would hide an error under load",
        "repeat" => "write the request as often as a user makes it",
        "skip" => "put a `#` before the lines",
        "user" => "use a [BasicAuth] section",
        "max-time" | "connect-timeout" => "set `timeout` in [users] of fissure.toml",
        "http1.0" | "http3" => "there are `http1.1` and `http2`",
        "max-redirs" => "`location: true` follows up to ten redirects",
        "location-trusted" => "use `location: true`; the app is the only host",
        "output" => "fissure does not write answers to files",
        _ => "the options are delay, location, variable, compressed, http1.1 and http2",
    };
    format!("the option `{name}` is not supported: {instead}")
}

fn boolean(cursor: &mut Cursor<'_>) -> Parsed<bool> {
    if cursor.eat("true") {
        Ok(true)
    } else if cursor.eat("false") {
        Ok(false)
    } else {
        let found = cursor.shown();
        Err(cursor.wrong(format!("expected `true` or `false`, found {found}")))
    }
}

pub(super) fn delay(cursor: &mut Cursor<'_>) -> Parsed<Duration> {
    let start = *cursor;
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    let unit_ms = match cursor.take_while(char::is_alphabetic) {
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let ms = digits.parse::<u64>().ok().zip(unit_ms).and_then(|(number, unit)| number.checked_mul(unit));
    let found = start.shown();
    ms.map(Duration::from_millis)
        .ok_or_else(|| start.wrong(format!("expected a time like `500ms` or `2s`, found {found}")))
}

/// `name=value`; numbers, booleans and null keep their type, as in the language.
pub(super) fn variable(cursor: &mut Cursor<'_>) -> Parsed<(String, Template)> {
    let start = *cursor;
    let name = cursor.take_while(text::is_name_character).to_owned();
    if name.is_empty() {
        return Err(start.wrong("expected `name=value` after `variable:`"));
    }
    check_variable_name(&name).map_err(|message| Wrong { at: start.place(), message })?;
    cursor.spaces();
    cursor.expect("=", "after the name of the variable")?;
    cursor.spaces();
    if cursor.eat("\"") {
        return Ok((name, text::template(cursor, Until::Quote)?));
    }
    let value = text::template(cursor, Until::LineEnd)?;
    let literal = match value.0.as_slice() {
        [Piece::Text(text)] => serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .filter(|v| (v.is_number() && !text.contains(['e', 'E'])) || v.is_boolean() || v.is_null()),
        _ => None,
    };
    Ok((name, literal.map_or(value, |literal| Template(vec![Piece::Literal(literal)]))))
}

/// Names that mean something else already.
pub(super) fn check_variable_name(name: &str) -> Result<(), String> {
    match name {
        "base" => Err("`base` is the app's address and cannot be changed".to_owned()),
        "newUuid" | "newDate" | "getEnv" => Err(format!("`{name}` is a function: choose another name")),
        _ => Ok(()),
    }
}
