//! Bodies of requests: JSON, text, bytes and files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::cursor::Cursor;
use super::error::{Parsed, Wrong};
use super::text::{self, Pieces, Until};
use super::{Body, Files, Piece, Template};

const JSON: Option<&str> = Some("application/json");
const XML: Option<&str> = Some("application/xml");

/// Nobody writes JSON deeper than this by hand; a recursive parser must stop somewhere.
const JSON_DEPTH_MAX: u32 = 100;

/// The body that stands here, or `None` when something else does.
pub(super) fn body(cursor: &mut Cursor<'_>, files: &Files<'_>) -> Parsed<Option<Body>> {
    let start = *cursor;
    let Some(first) = cursor.peek() else { return Ok(None) };
    Ok(Some(match first {
        '`' if cursor.eat("```") => fenced(cursor, start)?,
        '`' => {
            cursor.next();
            Body::Text { content_type: None, text: text::template(cursor, Until::Backtick)? }
        }
        '{' | '[' | '"' | '-' | '0'..='9' => json_body(cursor)?,
        '<' => {
            return Err(cursor.wrong("a bare XML body is not supported: put it between ```xml and ``` lines"));
        }
        _ if cursor.starts_with("base64,") => Body::Bytes(base64(cursor)?),
        _ if cursor.starts_with("hex,") => Body::Bytes(hex(cursor)?),
        _ if cursor.starts_with("file,") => Body::Bytes(file(cursor, files)?.1),
        _ if ["true", "false", "null"].iter().any(|w| cursor.starts_with(w)) => json_body(cursor)?,
        _ => return Ok(None),
    }))
}

/// Behind the opening ```` ``` ````: a language, then lines.
fn fenced(cursor: &mut Cursor<'_>, start: Cursor<'_>) -> Parsed<Body> {
    let mut ahead = *cursor;
    let language = ahead.take_while(|c| c.is_alphanumeric() || c == ',');
    ahead.spaces();
    if !ahead.is_at_line_end() {
        // ```all on one line```
        return Ok(Body::Text { content_type: None, text: text::template(cursor, Until::Fence)? });
    }
    let content_type = match language {
        "" => None,
        "json" => JSON,
        "xml" => XML,
        "graphql" => {
            return Err(start.wrong(
                "a GraphQL body is not supported: write the JSON that it stands for, {\"query\": \"...\", \"variables\": {}}",
            ));
        }
        other => {
            return Err(start
                .wrong(format!("`{other}` after ``` is not supported: write ```json, ```xml or only ```")));
        }
    };
    ahead.eat("\r");
    ahead.eat("\n");
    *cursor = ahead;
    Ok(Body::Text { content_type, text: text::template(cursor, Until::Fence)? })
}

fn json_body(cursor: &mut Cursor<'_>) -> Parsed<Body> {
    let mut pieces = Pieces::default();
    json(cursor, &mut pieces, 0)?;
    Ok(Body::Text { content_type: JSON, text: Template(pieces.0) })
}

/// Checks one JSON value and copies it as it is written, with its variables.
fn json(cursor: &mut Cursor<'_>, out: &mut Pieces, depth: u32) -> Parsed<()> {
    if depth > JSON_DEPTH_MAX {
        return Err(cursor.wrong(format!("this JSON is nested deeper than {JSON_DEPTH_MAX} levels")));
    }
    let start = *cursor;
    match cursor.peek() {
        Some('{') if cursor.starts_with("{{") => match text::placeholder(cursor)? {
            Piece::Variable(name) => out.0.push(Piece::JsonValue(name)),
            _ => return Err(start.wrong("this function gives text: put quotes around it in JSON")),
        },
        Some('{') => {
            json_list(cursor, out, '}', |cursor, out| {
                if cursor.peek() != Some('"') {
                    let found = cursor.shown();
                    return Err(
                        cursor.wrong(format!("expected a name in quotes in this JSON object, found {found}"))
                    );
                }
                json_string(cursor, out)?;
                json_spaces(cursor, out);
                copy(cursor, out, ':', "between name and value in a JSON object")?;
                json_spaces(cursor, out);
                json(cursor, out, depth + 1)
            })?;
        }
        Some('[') => json_list(cursor, out, ']', |cursor, out| json(cursor, out, depth + 1))?,
        Some('"') => json_string(cursor, out)?,
        Some(c) if c == '-' || c.is_ascii_alphanumeric() => {
            let word = cursor.take_while(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
            let is_scalar =
                word.starts_with(['-', 't', 'f', 'n']) || word.starts_with(|c: char| c.is_ascii_digit());
            if !is_scalar || serde_json::from_str::<serde_json::Value>(word).is_err() {
                return Err(start.wrong(format!("`{word}` is not a JSON value: text needs quotes")));
            }
            word.chars().for_each(|c| out.push(c));
        }
        _ => {
            let found = cursor.shown();
            return Err(cursor.wrong(format!("expected a JSON value, found {found}")));
        }
    }
    Ok(())
}

fn json_list<'a>(
    cursor: &mut Cursor<'a>,
    out: &mut Pieces,
    close: char,
    mut element: impl FnMut(&mut Cursor<'a>, &mut Pieces) -> Parsed<()>,
) -> Parsed<()> {
    cursor.next().into_iter().for_each(|c| out.push(c));
    json_spaces(cursor, out);
    if cursor.peek() == Some(close) {
        return copy(cursor, out, close, "");
    }
    loop {
        element(cursor, out)?;
        json_spaces(cursor, out);
        if cursor.peek() != Some(',') {
            return copy(cursor, out, close, "at the end of this JSON list or object");
        }
        let comma = *cursor;
        copy(cursor, out, ',', "")?;
        json_spaces(cursor, out);
        if cursor.peek() == Some(close) {
            return Err(comma.wrong("JSON has no comma behind the last element"));
        }
    }
}

fn json_string(cursor: &mut Cursor<'_>, out: &mut Pieces) -> Parsed<()> {
    copy(cursor, out, '"', "before a JSON string")?;
    loop {
        if cursor.is_at_line_end() {
            return Err(cursor.wrong("this JSON string has no closing `\"` on its line"));
        }
        if cursor.starts_with("{{") {
            out.0.push(match text::placeholder(cursor)? {
                Piece::Variable(name) => Piece::JsonString(name),
                function => function,
            });
        } else if cursor.starts_with("\\") {
            json_escape(cursor, out)?;
        } else if let Some(c) = cursor.peek() {
            if c.is_control() && c < ' ' {
                return Err(
                    cursor.wrong("a control character stands inside a JSON string: write `\\t` or `\\u0000`")
                );
            }
            cursor.next();
            out.push(c);
            if c == '"' {
                return Ok(());
            }
        }
    }
}

fn json_escape(cursor: &mut Cursor<'_>, out: &mut Pieces) -> Parsed<()> {
    let start = *cursor;
    cursor.next();
    match cursor.next() {
        Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => {}
        Some('u') if (0..4).all(|_| cursor.next().is_some_and(|c| c.is_ascii_hexdigit())) => {}
        _ => {
            return Err(start.wrong(
                "this is not an escape of JSON: write `\\\\` for one backslash, `\\u00e9` for a character",
            ));
        }
    }
    cursor.since(&start).chars().for_each(|c| out.push(c));
    Ok(())
}

fn json_spaces(cursor: &mut Cursor<'_>, out: &mut Pieces) {
    cursor.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n')).chars().for_each(|c| out.push(c));
}

fn copy(cursor: &mut Cursor<'_>, out: &mut Pieces, mark: char, why: &str) -> Parsed<()> {
    if cursor.peek() != Some(mark) {
        let found = cursor.shown();
        return Err(cursor.wrong(format!("expected `{mark}` {why}, found {found}")));
    }
    cursor.next();
    out.push(mark);
    Ok(())
}

fn base64(cursor: &mut Cursor<'_>) -> Parsed<Vec<u8>> {
    let start = *cursor;
    cursor.eat("base64,");
    let written = up_to_semicolon(cursor, start)?;
    let written: String = written.chars().filter(|c| !c.is_whitespace()).collect();
    STANDARD.decode(&written).map_err(|e| start.wrong(format!("this is not base64 ({e})")))
}

fn hex(cursor: &mut Cursor<'_>) -> Parsed<Vec<u8>> {
    let start = *cursor;
    cursor.eat("hex,");
    let written = up_to_semicolon(cursor, start)?.trim();
    let digits: Option<Vec<u8>> = written.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => {
            Ok(digits.chunks_exact(2).map(|d| d[0] << 4 | d[1]).collect())
        }
        _ => Err(start.wrong("this is not hex: write two digits (0-9, a-f) a byte, like `hex,c0ffee;`")),
    }
}

fn up_to_semicolon<'a>(cursor: &mut Cursor<'a>, start: Cursor<'a>) -> Parsed<&'a str> {
    let written = cursor.take_while(|c| c != ';');
    if !cursor.eat(";") {
        return Err(start.wrong("expected `;` at the end of these bytes"));
    }
    Ok(written)
}

/// `file,name;` gives the name and what is in the file.
pub(super) fn file(cursor: &mut Cursor<'_>, files: &Files<'_>) -> Parsed<(String, Vec<u8>)> {
    cursor.expect("file,", "before the name of a file")?;
    cursor.spaces();
    let start = *cursor;
    let mut name = String::new();
    while !cursor.is_at_line_end() && !cursor.starts_with(";") {
        match cursor.peek() {
            Some('\\') => name.push(text::escape(cursor, "\\bfnrt#; {}u")?),
            Some('{') if cursor.starts_with("{{") => {
                return Err(cursor.wrong(
                    "variables in the name of a file are not supported: files are read once, before the users come",
                ));
            }
            Some(' ') if cursor.rest().trim_start_matches(' ').starts_with(';') => {
                cursor.spaces();
            }
            Some(c) if "#{} ".contains(c) => {
                return Err(cursor.wrong(format!("write `\\{c}` in the name of a file")));
            }
            Some(c) => {
                name.push(c);
                cursor.next();
            }
            None => break,
        }
    }
    cursor.expect(";", "after the name of a file")?;
    let bytes = read(&name, files).map_err(|message| Wrong { at: start.place(), message })?;
    Ok((name, bytes))
}

fn read(name: &str, files: &Files<'_>) -> Result<Vec<u8>, String> {
    let leaves = name.starts_with(['/', '\\']) || name.split(['/', '\\']).any(|part| part == "..");
    if name.is_empty() {
        return Err("expected the name of a file after `file,`".to_owned());
    }
    if leaves {
        return Err(format!("`{name}` lies outside the journey's folder: copy it beside the journey"));
    }
    files(name).map_err(|e| {
        format!("the file `{name}` cannot be read ({e}); it is looked for in the journey's folder")
    })
}
